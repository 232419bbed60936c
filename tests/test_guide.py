"""The pages agree with the notebooks: keys exist, plans add up, terms stand where the glossary says, links lead."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.course import ROOT, lessons

DOCS = ROOT / "docs"
NOTEBOOKS = {path.name[:2]: path for path in lessons()}
TEACHING = (DOCS / "teaching.md").read_text("utf-8")
PLANS = dict(re.findall(r"^## (\d\d) · [^\n]*\n(.*?)(?=^## |\Z)", TEACHING, re.M | re.S))
TERMS = re.findall(
    r"^\| (.+?) \| (.+?) \| .+? \| \[(\d\d)\]\(\.\./notebooks/", (DOCS / "glossary.md").read_text("utf-8"), re.M
)
PAGES = ["README.md", *(path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.md"))]


def text_of(path: Path, kind: str) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == kind)


def test_each_notebook_has_a_plan():
    assert sorted(PLANS) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("lesson", sorted(PLANS))
def test_a_plan_adds_up_and_names_what_is_in_the_notebook(lesson):
    for minutes, plan in re.findall(r"^\*\*(\d+) minutes:\*\* (.+)$", PLANS[lesson], re.M):
        assert sum(int(part.split()[0]) for part in plan.split(" · ")) == int(minutes)
    asked = set(re.findall(r'(?:guess|check)\(\s*"([^"]+)"', text_of(NOTEBOOKS[lesson], "code")))
    named = set(re.findall(r"`(\d\d-[\w-]+)`", PLANS[lesson]))
    assert named <= asked, f"not in notebook {lesson}: {sorted(named - asked)}"


@pytest.mark.parametrize(("plain", "term", "lesson"), TERMS, ids=[term[1] for term in TERMS])
def test_a_term_stands_in_the_notebook_that_the_glossary_names(plain, term, lesson):
    prose = re.sub(r"[*`$^]|\s+", " ", text_of(NOTEBOOKS[lesson], "markdown")).lower()
    words = [word.strip().lower() for word in re.split(r", | and ", term)] + [plain.lower()]
    assert any(re.search(rf"(?<!\w){re.escape(word)}", prose) for word in words)


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", (ROOT / page).read_text("utf-8")):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
