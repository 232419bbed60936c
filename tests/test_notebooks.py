"""What must be true of every committed notebook, and proof that the rules notice when it is not; refresh and badges."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import nbformat
import pytest

from tools import badges, rules, run
from tools import solutions as sources
from tools.course import ROOT, lessons, setting, solutions

ALL = [*lessons(), *solutions()]
STARTS = (r"from latentlib import ", r"(import|from) .*\btorch\b")
v4 = nbformat.v4
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
AS_REFRESH = "are not as make refresh leaves them"
ALT = "A line that rises from left to right"


@pytest.mark.parametrize("path", ALL, ids=[f"{path.parent.name}-{path.stem}" for path in ALL])
def test_a_notebook_breaks_no_rule(path):
    assert rules.problems(path) == []


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_exercises_and_solutions_are_those_of_their_source(path):
    assert sources.made(path) == ([], {})
    assert nbformat.read(path, as_version=4).cells[0].source.startswith(f"# {path.stem[:2]} · ")


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_latentlib_decides_on_threads_before_torch_is_loaded(path):
    lines = [line for cell in nbformat.read(path, as_version=4).cells for line in cell.source.splitlines()]
    ours, theirs = (next(k for k, line in enumerate(lines) if re.match(start, line)) for start in STARTS)
    assert ours < theirs


def test_the_readme_has_every_notebook_with_the_badges_of_the_slug():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in lessons():
        assert badges.badges(f"notebooks/{path.name}", setting("slug"), setting("revision")) in readme


# --- the rules notice ------------------------------------------------------------------------------------------------


def code(source: str = "x", **metadata) -> nbformat.NotebookNode:
    return v4.new_code_cell(source, metadata=metadata)


def good_notebook() -> nbformat.NotebookNode:
    """A small lesson as refresh leaves it: title, set-up, parameters, imports, a picture, three exercises."""
    picture = code("draw()", tags=["nbval-ignore-output"], alt=ALT)
    picture.outputs = [v4.new_output("display_data", {"image/png": PIXEL}), v4.new_output("stream", text="ok\n")]
    exercises = [code(f"check({n})", tags=["exercise"]) for n in range(3)]
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# 00 · Good"), code("import os"), picture, *exercises])
    badges.apply(notebook, "notebooks/00_good.ipynb")
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
    return rules.clean(notebook)


@pytest.fixture
def check(tmp_path):
    """A function that stores a notebook in a course of its own and gives the rules it breaks."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")

    def problems(notebook: nbformat.NotebookNode) -> list[str]:
        path = tmp_path / "notebooks" / "00_good.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return rules.problems(path, tmp_path)

    return problems


def test_a_good_notebook_passes(check):
    assert check(good_notebook()) == []


def change(path: str, value: object):
    """A function that sets notebook["a"][3]["b"] for the path "a 3 b"."""

    def apply(notebook):
        *steps, last = [int(step) if step.isdigit() else step for step in path.split()]
        place = notebook
        for step in steps:
            place = place[step]
        place[last] = value

    return apply


def more(count: int, source: str, kind: str = "code"):
    """A function that adds cells."""

    def apply(notebook):
        make = {"code": code, "markdown": v4.new_markdown_cell}[kind]
        first = sum(cell.cell_type == "code" for cell in notebook.cells) + 1
        cells = [make(source) for _ in range(count)]
        for number, cell in enumerate(cells):
            cell.id = f"more-{number}"
            if kind == "code":
                cell.execution_count = first + number
        notebook.cells += cells

    return apply


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (change("metadata widgets", {"state": {}}), AS_REFRESH),
        (change("cells 4 execution_count", None), "cells were not run once, in order"),
        (change("cells 4 outputs", []), "0 pictures in the three cells after"),
        (change("cells 4 metadata", {}), "1 picture(s): the cell's metadata needs an alt text"),
        (change("cells 4 metadata alt", [ALT, ALT]), "1 picture(s): the cell's metadata needs an alt text"),
        (change("cells 4 metadata alt", "Another text than before"), AS_REFRESH),
        (change("cells 4 source", "a = 1\n" * 19), "19 lines; at most 18"),
        (change("cells 4 source", "x = '" + "a" * 1_600_000 + "'"), "MB; at most 1.5 MB"),
        (change("cells 4 metadata tags", ["nbval-skip"]), "unknown tag nbval-skip"),
        (change("cells 4 outputs 1 name", "stderr"), "stored warning or message on stderr: ok"),
        (change("cells 0 source", "# A\n\n# B"), "needs one '# ' heading, in the first cell; found 2"),
        (change("cells 0 source", "# A"), AS_REFRESH),
        (change("cells 1 source", "import os"), AS_REFRESH),
        (change("cells 1 metadata", {}), AS_REFRESH),
        (change("cells 2 source", "fast = False"), AS_REFRESH),
        (change("cells 3 source", "from a import (\n    b,\n    c,\n    d,\n)"), "5 lines of imports; 1 to 4"),
        (change("cells 5 metadata", {}), "2 exercises; 3 to 4"),
        (more(44, "Word.", "markdown"), "52 cells; 1 to 50"),
        (more(1, "word " * 2195 + "`code` and <b>more</b> " * 3, "markdown"), "words; 1 to 2200"),
        (more(1, f'print("{"word " * 2205}")'), "words; 1 to 2200"),
        (more(30, "a = 1\n" * 10), "lines of code; 1 to 300"),
        (more(30, "a = 1\n" * 8), "8 lines in the median cell; 1 to 7"),
    ],
)
def test_a_damaged_notebook_is_noticed(check, damage, sentence):
    notebook = copy.deepcopy(good_notebook())
    damage(notebook)
    found = check(notebook)
    assert any(sentence in problem for problem in found), found


@pytest.mark.parametrize("damage", [change("cells 4 cell_type", "cod"), change("cells 4 id", "x" * 65)])
def test_what_is_no_notebook_is_an_error(check, damage):
    notebook = copy.deepcopy(good_notebook())
    damage(notebook)
    with pytest.raises(nbformat.ValidationError):
        check(notebook)


def test_words_of_folds_count_and_code_links_and_comments_do_not():
    text = "One [two](https://three.org) <!-- four --> <details>three</details>\n```python\nfive = 5\n```"
    assert rules.prose(v4.new_markdown_cell(text)) == 3
    assert rules.prose(code('claim(f"a code keeps {x} colours", b > "not this one")\nplot("nor this one")')) == 7


# --- refresh and badges ----------------------------------------------------------------------------------------------


def test_refresh_drops_what_differs_from_run_to_run_and_describes_each_picture():
    notebook = good_notebook()
    again = copy.deepcopy(notebook)
    again.metadata["widgets"] = {"state": {}}
    again.metadata["language_info"] = {"name": "python", "version": "3.99"}
    again.cells[4].metadata["execution"] = {"started": "now"}
    again.cells[4].outputs[0].metadata = {"image/png": {"alt": "what the cell showed before"}}
    again.cells[4].outputs[0].data["application/vnd.jupyter.widget-view+json"] = {"model_id": "1"}
    again.cells[4].outputs[1:] = [v4.new_output("stream", text=part) for part in ("o", "k\n")]
    assert rules.clean(again) == notebook
    assert notebook.cells[4].outputs[0].metadata == {"image/png": {"alt": ALT}}
    assert notebook.metadata.language_info == {
        "name": "python",
        "file_extension": ".py",
        "nbconvert_exporter": "python",
    }


def test_several_pictures_of_a_cell_have_a_text_each():
    cell = code("draw()", alt=["The first of two pictures", "The second of two pictures"])
    cell.outputs = [v4.new_output("display_data", {"image/png": PIXEL}) for _ in range(2)]
    rules.describe(cell)
    assert [output.metadata["image/png"]["alt"] for output in cell.outputs] == cell.metadata.alt


@pytest.mark.parametrize(("source", "fine"), [("print(seed + 41)", True), ("1 / 0", False)])
def test_refresh_stores_what_ran_and_nothing_else(monkeypatch, tmp_path, capsys, source, fine):
    """For real, with a kernel."""
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    path = tmp_path / "notebooks" / "solutions" / "00_new.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 00 · New"), code(source)]), path)
    before = path.read_text()
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "problems", lambda path: rules.problems(path, tmp_path))
    monkeypatch.setattr(run, "apply", lambda notebook, name: badges.apply(notebook, name, tmp_path))
    assert run.main(["--inplace", str(path)]) == int(not fine), capsys.readouterr().out
    said = capsys.readouterr().out
    if fine:
        assert nbformat.read(path, as_version=4).cells[-1].outputs[0].text == "41\n"
    else:
        assert path.read_text() == before
        assert "FAILED  cell 3: ZeroDivisionError: division by zero" in said


@pytest.fixture
def small_course(tmp_path) -> Path:
    """A course with one notebook and a README, whose badges are those of another slug."""
    (tmp_path / "notebooks").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.latentlib]\nslug = "OLD/course"\nrevision = "main"\n')
    (tmp_path / "notebooks" / "00_good.ipynb").write_text(json.dumps(good_notebook()), encoding="utf-8")
    readme = badges.badges("notebooks/00_good.ipynb", "OLD/course", "main") + " https://old.github.io/course/play/"
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    return tmp_path


def test_badges_are_written_everywhere_by_one_command(small_course, capsys):
    assert badges.main(["SLUG=Ada/latent", "REVISION=v1.0"], small_course) == 0
    assert setting("slug", small_course) == "Ada/latent"
    readme = (small_course / "README.md").read_text()
    wanted = badges.badges("notebooks/00_good.ipynb", "Ada/latent", "v1.0")
    assert readme == wanted + " https://ada.github.io/latent/play/"
    assert rules.problems(small_course / "notebooks" / "00_good.ipynb", small_course) == []
    said = capsys.readouterr().out
    assert "/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2FAda%2Flatent&branch=class&urlpath=" in said
    before = {path: path.read_bytes() for path in small_course.rglob("*.*")}
    assert badges.main([], small_course) == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("argument", ["SLUG=latent", "SLUG=a/b/c", "REVISION=" + "a" * 40, "NAME=x", "SLUG=a/b c"])
def test_a_wrong_slug_changes_nothing(small_course, argument):
    before = (small_course / "pyproject.toml").read_text()
    assert badges.main([argument], small_course) == 2
    assert (small_course / "pyproject.toml").read_text() == before
