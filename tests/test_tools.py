"""make test, make run, make class-branch, the imitated Colab, and what they measure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from benchmarks import hub
from tools import check, class_branch, colab, course, jupyter_page, run
from tools.course import ROOT

v4 = nbformat.v4


def write_notebook(folder: Path, name: str, *cells: str) -> Path:
    """A notebook with a title, a parameters cell and these code cells."""
    parameters = v4.new_code_cell("fast = False\nseed = 0", metadata={"tags": ["parameters"]})
    path = folder / f"{name}.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [v4.new_markdown_cell(f"# {name}"), parameters, *map(v4.new_code_cell, cells)]
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


# --- memory is a test ------------------------------------------------------------------------------------------------


def test_a_notebook_that_holds_too_much_fails_although_it_lets_go_again_and_the_next_is_tested(tmp_path):
    """Budgets are above `import torch`, which these notebooks do not import: so this one is near zero."""
    big = write_notebook(tmp_path, "00_big", "block = bytearray(400_000_000)", "del block")
    fine = write_notebook(tmp_path, "01_fine", "assert True")
    budget = 300 - run.import_torch()
    options = ["-q", "-p", "no:cacheprovider", "-p", "conftest", "--nbval", "--nbval-current-env"]
    options += [f"--above-import-mb={budget}", f"--rootdir={ROOT}", "-c", ROOT / "pyproject.toml", big, fine]
    command = [sys.executable, "-m", "pytest", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert re.search(r"00_big\.ipynb: \d+ MB above import torch; the budget is -?\d+ MB", said), said
    assert re.search(r"memory of 00_big\.ipynb: \d+ MB above import torch, 4\d\d MB in all", said)
    assert re.search(r"memory of 01_fine\.ipynb: -\d+ MB above import torch, \d\d MB in all", said)
    assert re.search(r"5 passed, 1 error", said)


def test_pages_of_program_files_do_not_count():
    def status(peak, files):
        return f"Name:\tpython\nVmHWM:\t{peak} kB\nRssAnon:\t1 kB\nRssFile:\t{files} kB\n"

    for files in (0, 300_000, 600_000):
        assert run.peak_of(status(1_000_000 + files, files)) == pytest.approx(1024)
    assert run.peak(2**22 + 1) == 0


# --- make test -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ran(monkeypatch) -> list[tuple[str, dict]]:
    """The steps of the check and their variables; none of them runs."""
    found = []

    def record(name, *commands, root=course.ROOT, **variables):
        found.append((name, variables))
        for folder in [root] if root != course.ROOT else []:  # a copy, into which nobody may write
            assert (folder / "latentlib").stat().st_mode & 0o222 == 0
            assert all(path.is_relative_to(folder) and path.is_file() for path in commands[0] if isinstance(path, Path))
        return f"ok      {name}"

    monkeypatch.setattr(check, "step", record)
    monkeypatch.setattr(jupyter_page, "chromium", lambda: None)
    monkeypatch.setattr(jupyter_page, "required", lambda: False)
    return found


def test_what_is_left_out_is_said(ran, monkeypatch, capsys):
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    assert check.main([]) == 0
    said = capsys.readouterr().out
    assert [name.partition(",")[0] for name, _ in ran] == [
        "style",
        "unit and browser tests",
        "notebooks on the bundled digits",
    ]
    assert "left out: the browser tests: no Chromium" in said
    assert "left out: the notebooks with MNIST" in said
    monkeypatch.setenv("LATENTLIB_DATA", "data")
    check.run_all([ROOT / "notebooks" / "00_start_here.ipynb"])
    assert ran[3][0] == "notebooks with MNIST"
    given = os.environ["LATENTLIB_DATA"]
    assert [variables.get("LATENTLIB_DATA", given) for _, variables in ran[3:]] == [str(Path("data").resolve()), ""]
    assert {variables["LATENTLIB_OFFLINE"] for _, variables in ran[3:]} == {"1"}


def test_a_step_passes_when_all_of_its_commands_do_and_sets_variables(monkeypatch):
    monkeypatch.setenv("LATENTLIB_DATA", "data")
    fine = ["timeit", "-n1", "import os; assert not os.environ['LATENTLIB_DATA'] and os.environ['MORE'] == 'x'"]
    assert check.step("fine", fine, LATENTLIB_DATA="", MORE="x").startswith("ok      fine")
    assert check.step("both", ["this_is_no_module"], fine, LATENTLIB_DATA="", MORE="x").startswith("FAILED  both")


@pytest.mark.parametrize(("ci", "asked", "expected"), [("", "", False), ("true", "", True), ("false", "1", True)])
def test_the_browser_tests_are_required_on_ci(monkeypatch, ci, asked, expected):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("LATENTLIB_REQUIRE_BROWSER", asked)
    assert jupyter_page.required() is expected


# --- make run --------------------------------------------------------------------------------------------------------


def test_the_course_runs_and_a_failing_notebook_stops_no_other(monkeypatch, tmp_path, capsys):
    """For real, with kernels: the first fails, the second gets its parameters as papermill would give them."""
    monkeypatch.setattr(run, "BUILD", tmp_path / "build")
    bad = write_notebook(tmp_path, "00_bad", "1 / 0")
    good = write_notebook(tmp_path, "01_good", "print(repr(seed), fast)\nblock = bytearray(150_000_000)\ndel block")
    assert run.main([str(bad), str(good), "fast=off"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"^00_bad .* FAILED  cell 3: ZeroDivisionError: division by zero$", said, re.M)
    peak, above = map(float, re.search(r"^01_good .* (\d\.\d\d) GB +(-\d\.\d\d) GB .* fits$", said, re.M).groups())
    assert 0.17 < peak < 0.5  # the block of 0.15 GB and a bare kernel
    assert above == pytest.approx(peak - run.import_torch() / 1e3, abs=0.011)
    assert nbformat.read(tmp_path / "build" / "01_good.ipynb", as_version=4).cells[3].outputs[0].text == "0 off\n"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("fats=True", "parameters() got an unexpected keyword argument 'fats'"),
        ("fast", "fast must be true or false, got ''"),
        ("fast=perhaps", "fast must be true or false, got 'perhaps'"),
        ("seed=1.5", "seed must be a whole number"),
    ],
)
def test_a_wrong_parameter_is_a_sentence(capsys, argument, sentence):
    assert run.main([argument]) == 2
    said = capsys.readouterr().out
    assert said.startswith(f"run: {sentence}")
    assert said.endswith("; there are the parameters fast, seed, device, dataset\n")


def test_a_row_says_what_fits():
    base = run.import_torch()
    results = [
        run.Result("00_small", seconds=12.3, peak=base + 350),
        run.Result("01_slow", seconds=60.1, peak=base),
        run.Result("02_large", seconds=12.3, peak=base + 361),
        run.Result("03_broken", error="cell 4"),
    ]
    said = [run.row(result).rsplit(" GB   ")[-1] for result in results]
    assert said == ["fits", "OVER", "OVER", "FAILED  cell 4"]


# --- a class's branch, Colab -----------------------------------------------------------------------------------------


def test_a_class_s_branch_has_no_outputs_and_grows_by_one_commit(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "teacher")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "teacher@example.invalid")
    (tmp_path / "notebooks").mkdir()
    path = write_notebook(tmp_path / "notebooks", "00_any", "print(1)")

    def store(text: str) -> str:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[2].outputs, notebook.cells[2].execution_count = [v4.new_output("stream", text=text)], 1
        notebook.cells[0].source = f"# {text}"
        nbformat.write(notebook, path)
        course.git("add", "--all", cwd=tmp_path)
        course.git("commit", "--quiet", "-m", text, cwd=tmp_path)
        return class_branch.write(tmp_path)

    course.git("init", "--quiet", cwd=tmp_path)
    assert "publish it with" in store("first")
    assert class_branch.write(tmp_path) == "the branch class has all of it already"
    store("second")
    shown = nbformat.reads(course.git("show", "class:notebooks/00_any.ipynb", cwd=tmp_path), as_version=4)
    assert (shown.cells[0].source, shown.cells[2].outputs, shown.cells[2].execution_count) == ("# second", [], None)
    assert len(course.git("log", "--format=%s", "class", cwd=tmp_path).splitlines()) == 3
    assert nbformat.read(path, as_version=4).cells[2].outputs[0].text == "second"
    assert course.git("worktree", "list", cwd=tmp_path).count("\n") == 1


def test_a_package_that_a_notebook_replaced_on_colab_is_named(monkeypatch, tmp_path):
    states = [{"torch": "2.11.0"}, {"torch": "2.15.0", "latentlib": "0.3.0"}, {"torch": "2.11.0"}, {"torch": "2.11.0"}]
    monkeypatch.setattr(colab, "packages", lambda: states.pop(0))
    monkeypatch.setattr(colab, "execute", lambda notebook, folder, name: run.Result(name))
    monkeypatch.setattr(colab.subprocess, "run", lambda *_, **__: None)
    path = write_notebook(tmp_path, "00_any", "1")
    assert colab.run(path, tmp_path / "a").error == "torch 2.11.0 became 2.15.0"
    assert colab.run(path, tmp_path / "b").error == "the course was not installed"


def test_where_the_course_is_installed_colab_is_not_imitated(capsys):
    assert colab.main([]) == 2
    assert "nox -s colab" in capsys.readouterr().out


def test_all_that_a_hub_has_started_ends_with_it(tmp_path):
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    starter = [sys.executable, "-c", f"import subprocess; subprocess.Popen({sleeper}, start_new_session=True)"]
    with hub.running(starter, tmp_path / "log") as process:
        process.wait(60)
        assert len(hub.family()) == 1  # without a parent
    assert hub.family() == []


class Channel:
    """A kernel's websocket that answers with these kinds of messages, each with its content, and with its own id."""

    def __init__(self, *answers: tuple[str, dict] | bytes):
        self.answers = [*answers]

    def send(self, text: str) -> None:
        self.asked = json.loads(text)

    def recv(self) -> str | bytes:
        if isinstance(answer := self.answers.pop(0), bytes):
            return answer
        kind, content = answer
        return json.dumps({"msg_type": kind, "content": content, "parent_header": self.asked["header"]})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("error", {"ename": "ValueError", "evalue": "no"}), "cell 2: ValueError: no"),
        (("status", {"execution_state": "restarting"}), "cell 2: the kernel is restarting"),
    ],
)
def test_a_student_s_cell_that_fails_is_named(answer, said):
    idle, cells = ("status", {"execution_state": "idle"}), [{"cell_type": "code", "source": "1"}] * 2
    told = hub.run_cells(Channel(b"picture", idle, answer), [cells[0], {"cell_type": "markdown"}, cells[1]])
    next(told)
    with pytest.raises(RuntimeError, match=said):
        next(told)
