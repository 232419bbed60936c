"""The pages for teachers agree with the notebooks: plans add up, keys exist, terms stand where the glossary says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from latentlib.exercises.verdicts import SENTENCES
from tools.course import ROOT
from tools.timetable import keys, sections, words_of

DOCS = ROOT / "docs"
NOTEBOOKS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
TEACHING = (DOCS / "teaching.md").read_text("utf-8")
LESSONS = dict(re.findall(r"^## (\d\d) · [^\n]*\n(.*?)(?=^## |\Z)", TEACHING, re.M | re.S))
TERMS = re.findall(
    r"^\| (.+?) \| (.+?) \| .+? \| \[(\d\d)\]\(\.\./notebooks/(.+?)\), (?:section )?(\w+) \|$",
    (DOCS / "glossary.md").read_text("utf-8"),
    re.M,
)


def test_each_notebook_has_a_plan():
    assert sorted(LESSONS) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("minutes", [45, 90])
@pytest.mark.parametrize("lesson", sorted(LESSONS))
def test_a_plan_adds_up(lesson, minutes):
    (plan,) = re.findall(rf"^\*\*{minutes} minutes:\*\* (.+)$", LESSONS[lesson], re.M)
    assert sum(int(part.split()[0]) for part in plan.split(" · ")) == minutes


@pytest.mark.parametrize("lesson", sorted(LESSONS))
def test_the_guesses_and_exercises_that_a_plan_names_are_in_the_notebook(lesson):
    parts = sections(NOTEBOOKS[lesson])
    there = {key for part in parts for key in part.guesses + part.exercises}
    named = set(re.findall(r"`(\d\d-[\w-]+)`", LESSONS[lesson]))
    assert named <= there, f"not in notebook {lesson}: {sorted(named - there)}"


def minutes_beside(path: Path) -> dict[str, int]:
    """For each exercise the minutes that stand in the text before its check."""
    said, found = 0, {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and (minutes := re.findall(r"\((?:easy|medium|hard) · (\d+) min", source)):
            said = int(minutes[-1])
        elif cell["cell_type"] == "code":
            found |= dict.fromkeys(keys(source, path.name[:2])[1], said)
    return found


@pytest.mark.parametrize("lesson", sorted(LESSONS))
def test_an_exercise_has_the_minutes_that_stand_beside_it(lesson):
    wanted = minutes_beside(NOTEBOOKS[lesson])
    for plan in re.findall(r"^\*\*\d+ minutes:\*\* (.+)$", LESSONS[lesson], re.M):
        for part in plan.split(" · "):
            needed = sum(wanted[key] for key in re.findall(r"exercise `([\w-]+)`", part))
            assert int(part.split()[0]) >= needed, f"{lesson}: {part} (the notebook says {needed} minutes)"
    for key, minutes in re.findall(r"`([\w-]+)` \((\d+) minutes\)", LESSONS[lesson]):
        assert wanted[key] == int(minutes), key


@pytest.mark.parametrize("lesson", sorted(LESSONS))
def test_the_minutes_of_reading_are_about_right(lesson):
    """A lesson may grow by a third before its plan has to be thought over."""
    (said,) = re.findall(rf"^\| {lesson} · .+\| (\d+) min \|$", TEACHING, re.M)
    assert 3 / 4 < sum(part.minutes for part in sections(NOTEBOOKS[lesson])) / int(said) < 4 / 3


def test_words_skip_what_is_folded_and_the_targets_of_links():
    assert words_of("Two [words here](https://example.org/a b).") == 3
    assert words_of("One <details><summary>Hint</summary>two three</details>\n```python\nfour = 5\n```") == 1
    assert words_of("One · – | two") == 2


def test_keys_are_found_over_two_lines():
    code = 'guess(\n    "05-layer",\n    "Which?",\n    ...,\n)\nbelieve("steer", ...)\ncheck("05-mix", mix)'
    assert keys(code, "05") == (["05-steer", "05-layer"], ["05-mix"])


def prose_of(path: Path, wanted: str) -> str:
    """The Markdown of one section: its number, its heading, or "Opening"; in small letters, on one line."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    opening, *parts = re.split(r"^## ", text, flags=re.M)
    start = f"{wanted}." if wanted.isdigit() else wanted
    (part,) = [opening] if wanted == "Opening" else [part for part in parts if part.startswith(start)]
    return part.lower().replace("$r^2$", "r²").replace("*", "").replace("\n", " ")


def test_the_glossary_is_read_whole():
    rows = [line for line in (DOCS / "glossary.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(TERMS) == len(rows) - 1 > 40


@pytest.mark.parametrize(("plain", "term", "lesson", "name", "section"), TERMS, ids=[term[1] for term in TERMS])
def test_a_term_stands_where_the_glossary_says(plain, term, lesson, name, section):
    assert NOTEBOOKS[lesson].name == name
    prose = prose_of(NOTEBOOKS[lesson], section)
    words = [word.strip().lower() for word in re.split(r", | and ", term)] + [plain.lower()]
    assert any(re.search(rf"(?<!\w){re.escape(word)}", prose) for word in words)


@pytest.mark.parametrize("page", ["teaching", "troubleshooting", "glossary", "map", "ethics", "contributing"])
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", (DOCS / f"{page}.md").read_text("utf-8")):
        assert (DOCS / target).exists(), f"docs/{page}.md links to {target}"


@pytest.mark.parametrize("name", SENTENCES)
def test_the_map_says_of_each_sentence_what_the_board_says(name):
    sentence, line = SENTENCES[name], (DOCS / "map.md").read_text("utf-8")
    assert f"| {sentence.text} | {sentence.verdict} | [{sentence.lesson}](../notebooks/" in line
