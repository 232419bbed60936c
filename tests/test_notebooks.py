"""What must be true of every committed notebook, and proof that the rules notice when it is not."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path

import nbformat
import pytest

from tools import badges, clone, refresh, rules
from tools.course import ROOT, lessons, setting, solutions

FIRST_FIVE = ["00_start_here", "01_compression", "02_latent_plots", "03_autoencoders", "04_interpolation"]
ALL = [*lessons(), *solutions()]


def test_the_lessons_are_there():
    assert [path.stem for path in lessons()][:5] == FIRST_FIVE


@pytest.mark.parametrize("path", ALL, ids=[path.stem for path in ALL])
def test_a_notebook_breaks_no_rule(path):
    assert rules.problems(path) == []


@pytest.mark.parametrize("path", lessons(), ids=[path.stem for path in lessons()])
def test_a_lesson_opens_and_closes_as_all_do(path):
    cells = nbformat.read(path, as_version=4).cells
    opening = cells[0].source
    assert opening.startswith(f"# {path.stem[:2]} · ")
    for part in ("**Question", "**You will be able to", "**Time", "**Device"):
        assert part in opening
    markdown = [cell.source for cell in cells if cell.cell_type == "markdown"]
    headings = [line for source in markdown for line in source.splitlines() if line.startswith("## ")]
    assert [line[3:] for line in headings[-3:]] == ["Exercises", "Quiz", "What to read next"]


def test_the_readme_has_the_badges_of_the_slug_in_pyproject():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    slug, revision = setting("slug"), setting("revision")
    assert badges.mark(readme, "notebooks/00_start_here.ipynb", slug, revision) == readme
    for path in lessons():
        assert badges.badges(f"notebooks/{path.name}", slug, revision) in readme


# --- the rules notice ------------------------------------------------------------------------------------------------

PICTURE = {"image/png": "iVBORw0KGgo="}
ERROR = nbformat.v4.new_output("error", ename="ValueError", evalue="no")


def good_notebook(path: str = "notebooks/00_good.ipynb") -> nbformat.NotebookNode:
    """A small notebook as refresh leaves it."""
    v4 = nbformat.v4
    code = v4.new_code_cell("draw()", metadata={"tags": ["nbval-ignore-output"]})
    alt = {"image/png": {"alt": "A line that rises from left to right"}}
    code.outputs = [v4.new_output("display_data", PICTURE, metadata=alt), v4.new_output("stream", text="ok\n")]
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# 00 · Good\n\n**Question.** Is it?"), code])
    badges.apply(notebook, path, setting("slug"), setting("revision"))
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
    return refresh.clean(notebook)


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
        *steps, last = [int(step) if step.lstrip("-").isdigit() else step for step in path.split()]
        place = notebook
        for step in steps:
            place = place[step]
        place[last] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (change("metadata widgets", {"state": {}}), "metadata must be the kernel's name only"),
        (change("cells 3 execution_count", None), "cells were not run once, in order"),
        (change("cells 3 execution_count", 7), "cells were not run once, in order"),
        (change("cells 3 outputs", []), "no outputs"),
        (change("cells 3 outputs 0 metadata", {}), "a picture without alt text"),
        (change("cells 3 source", "a = 1\n" * 26), "26 lines; at most 25"),
        (change("cells 3 source", " "), "is empty"),
        (change("cells 3 source", "x = '" + "a" * 1_600_000 + "'"), "MB; at most 1.5 MB"),
        (change("cells 3 metadata tags", ["nbval-skip"]), "unknown tag nbval-skip"),
        (
            change("cells 3 metadata", {"execution": {"iopub.status.busy": "12:00"}}),
            "metadata execution does not belong",
        ),
        (change("cells 3 outputs 1 name", "stderr"), "stored warning or message on stderr: ok"),
        (
            change("cells 3 outputs 1", nbformat.v4.new_output("error", ename="ValueError", evalue="no")),
            "stored error Value",
        ),
        (change("cells 0 source", "# A\n\n# B"), "needs one '# ' heading, in the first cell; found 2"),
        (change("cells 0 source", "# A"), "the first cell needs the badges"),
        (change("cells 1 source", "import os"), "the set-up cell differs"),
        (change("cells 1 metadata", {}), "the second cell must be tagged setup"),
        (change("cells 2 source", "fast = False"), "the parameters cell does not begin with"),
        (change("cells 2 source", badges.template("parameters") + "\nprint(1)"), "holds more than assignments"),
        (change("cells 3 cell_type", "cod"), "not a valid notebook"),
    ],
)
def test_a_damaged_notebook_is_noticed(check, damage, sentence):
    notebook = copy.deepcopy(good_notebook())
    damage(notebook)
    found = check(notebook)
    assert any(sentence in problem for problem in found), found


def test_two_cells_with_one_id_are_noticed(check):
    notebook = good_notebook()
    notebook.cells[3].id = notebook.cells[2].id
    assert "two cells have the same id; run make refresh" in check(notebook)


# --- refresh and badges ----------------------------------------------------------------------------------------------


def test_refresh_drops_what_differs_from_run_to_run():
    notebook = good_notebook()
    again = copy.deepcopy(notebook)
    again.metadata["widgets"] = {"state": {}}
    again.metadata["language_info"] = {"name": "python", "version": "3.99"}
    again.cells[3].metadata["execution"] = {"started": "now"}
    again.cells[3].metadata["collapsed"] = False
    again.cells[3].id = "another"
    again.cells[3].outputs[0].data["application/vnd.jupyter.widget-view+json"] = {"model_id": "1"}
    again.cells[3].outputs[1:] = [nbformat.v4.new_output("stream", text=part) for part in ("1%\r", "o", "k\n")]
    assert refresh.clean(again) == notebook


def test_refresh_gives_each_cell_an_id_of_its_own_that_follows_the_text():
    v4 = nbformat.v4
    cells = [v4.new_code_cell("a"), v4.new_code_cell("b"), v4.new_code_cell("a")]
    ids = [cell.id for cell in refresh.clean(v4.new_notebook(cells=cells)).cells]
    assert len(set(ids)) == 3
    moved = v4.new_notebook(cells=[v4.new_code_cell("b"), v4.new_code_cell("a")])
    assert [cell.id for cell in refresh.clean(moved).cells] == [ids[1], ids[0]]


def test_refresh_runs_stores_and_reports(monkeypatch, tmp_path, capsys):
    """For real, with a kernel: a notebook that has only its title and one cell becomes one that breaks no rule."""
    path = make_course(monkeypatch, tmp_path, "print(seed + 41)")
    assert refresh.refresh(path) is True
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[-1].outputs[0].text == "41\n"
    assert "0 rule(s) broken" in capsys.readouterr().out


def test_refresh_stores_nothing_when_a_cell_fails(monkeypatch, tmp_path, capsys):
    path = make_course(monkeypatch, tmp_path, "1 / 0")
    before = path.read_text()
    assert refresh.refresh(path) is False
    assert path.read_text() == before
    assert "ZeroDivisionError" in capsys.readouterr().out


def make_course(monkeypatch, root: Path, code: str) -> Path:
    (root / "notebooks").mkdir()
    (root / "latentlib").mkdir()
    for name in ("pyproject.toml", "latentlib/bootstrap.py"):
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    path = root / "notebooks" / "00_new.ipynb"
    v4 = nbformat.v4
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 00 · New"), v4.new_code_cell(code)]), path)
    monkeypatch.setattr(refresh, "ROOT", root)
    monkeypatch.setattr(refresh, "problems", lambda path: rules.problems(path, root))
    return path


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course with one notebook and a README, whose badges are those of another slug."""
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.latentlib]\nslug = "old/course"\nrevision = "main"\n\n[x]\nslug = "no"\n'
    )
    path = tmp_path / "notebooks" / "00_good.ipynb"
    path.write_text(json.dumps(good_notebook()), encoding="utf-8")
    (tmp_path / "README.md").write_text("<!-- badges 00_good --><!-- /badges -->\nkept", encoding="utf-8")
    monkeypatch.setattr(badges, "ROOT", tmp_path)
    monkeypatch.setattr(badges, "write_all", lambda write=badges.write_all: write(tmp_path))
    monkeypatch.setattr(badges, "store", lambda name, value, store=badges.store: store(name, value, tmp_path))
    monkeypatch.setattr(badges, "setting", lambda name, root=tmp_path, read=setting: read(name, tmp_path))
    return tmp_path


def test_badges_are_written_everywhere_by_one_command(small_course, capsys):
    assert badges.main(["SLUG=ada/latent", "REVISION=v1.0"]) == 0
    assert setting("slug", small_course) == "ada/latent"
    assert '[x]\nslug = "no"' in (small_course / "pyproject.toml").read_text()
    readme = (small_course / "README.md").read_text()
    assert "colab.research.google.com/github/ada/latent/blob/v1.0/notebooks/00_good.ipynb" in readme
    assert "mybinder.org/v2/gh/ada/latent/v1.0?urlpath=lab/tree/notebooks/00_good.ipynb" in readme
    assert readme.endswith("\nkept")
    assert rules.problems(small_course / "notebooks" / "00_good.ipynb", small_course) == []
    assert "2 file(s) changed" in capsys.readouterr().out
    assert badges.main([]) == 0
    assert "0 file(s) changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("remote", "slug", "offered"),
    [
        ("https://github.com/ada/latent.git", "OWNER/course", "ada/latent"),
        ("git@github.com:ada/la.tent", "OWNER/course", "ada/la.tent"),
        ("https://github.com/ada/latent", "bob/course", None),  # set already
        ("https://example.invalid/ada/latent", "OWNER/course", None),  # not GitHub
        (None, "OWNER/course", None),
    ],
)
def test_a_placeholder_is_refused_when_git_knows_better(small_course, monkeypatch, capsys, remote, slug, offered):
    clone.git("init", "--quiet", cwd=small_course)
    if remote:
        clone.git("remote", "add", "origin", remote, cwd=small_course)
    badges.store("slug", slug)
    readme = (small_course / "README.md").read_text()
    ask = functools.partial(badges.placeholder_beside_a_remote, small_course)
    monkeypatch.setattr(badges, "placeholder_beside_a_remote", ask)
    assert ask() == offered
    assert badges.main([]) == (2 if offered else 0)
    said = capsys.readouterr().out
    assert (f"set it with: make badges SLUG={offered}" in said) is bool(offered)
    assert ((small_course / "README.md").read_text() == readme) is bool(offered)


@pytest.mark.parametrize("argument", ["SLUG=latent", "SLUG=a/b/c", "REVISION=" + "a" * 40, "NAME=x", "SLUG=a/b c"])
def test_a_wrong_slug_changes_nothing(small_course, capsys, argument):
    before = (small_course / "pyproject.toml").read_text()
    assert badges.main([argument]) == 2
    assert (small_course / "pyproject.toml").read_text() == before
    assert "is not SLUG=owner/name" in capsys.readouterr().out


def test_the_set_up_cell_is_short_and_names_the_repository():
    cell = badges.setup_cell("ada/latent", "v1.0")
    assert len(cell.splitlines()) <= rules.LONGEST_CELL
    assert 'REPOSITORY, REVISION = "https://github.com/ada/latent", "v1.0"' in cell
