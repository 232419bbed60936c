"""The imitated Colab: what counts as a failure. `python -m tools.colab` builds the environment itself and runs it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import clone, colab, pythons
from tools.badges import setup_cell
from tools.course import ROOT, setting

v4 = nbformat.v4
THIS = Path(sys.executable)
FOLDER = setting("slug").split("/")[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> str:
    try:
        return clone.serve(tmp_path_factory.mktemp("server"))
    except (OSError, RuntimeError):
        pytest.skip("the course is not in a git clone here")


def notebook(folder: Path, *cells: str) -> Path:
    """A notebook that opens as all do, with these cells behind the set-up cell."""
    setup = v4.new_code_cell(setup_cell(setting("slug"), setting("revision")), metadata={"tags": ["setup"]})
    path = folder / "00_alone.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 00"), setup, *map(v4.new_code_cell, cells)]), path)
    return path


def test_a_notebook_alone_fetches_the_course_and_switches_on_the_widgets(server, tmp_path):
    """For real, with a kernel of this Python in place of Colab's."""
    code = "import os, latentlib\nfrom google.colab import output\nprint(output.managers, sorted(os.listdir()))"
    result = colab.run(notebook(tmp_path, code), THIS, server, tmp_path / "kept")
    assert result.error == ""
    assert 0 < result.peak_mb < 500
    kept = nbformat.read(tmp_path / "kept" / "00_alone.ipynb", as_version=4)
    assert kept.cells[1].outputs[0].text == (
        f"Ready: fetched the course into the folder {FOLDER}; switched on Colab's widgets\n"
    )
    assert kept.cells[2].outputs[0].text == f"1 ['00_alone.ipynb', '{FOLDER}']\n"
    assert len(kept.cells) == 3  # the question about memory is gone


def test_a_cell_that_fails_is_named(server, tmp_path):
    result = colab.run(notebook(tmp_path, "ready = 1", "raise ImportError('no face detector')"), THIS, server)
    assert result.error == "cell 3: ImportError: no face detector"


def test_a_set_up_cell_that_says_something_else_is_a_failure(tmp_path):
    cell = v4.new_code_cell("", metadata={"tags": ["setup"]})
    ready = f"Ready: fetched the course into the folder {FOLDER}; "
    for text, fine in (
        (ready + "switched on Colab's widgets\n", True),
        (ready + "installed safetensors>=0.4.3; switched on Colab's widgets\n", True),
        (ready + "installed safetensors>=0.4.3\n", False),
        ("a warning\n" + ready + "switched on Colab's widgets\n", False),
    ):
        cell.outputs = [v4.new_output("stream", text=text)]
        assert (colab.wrong_set_up(v4.new_notebook(cells=[cell])) == []) is fine, text


def test_a_package_that_the_notebook_replaced_is_named_and_a_new_one_is_no_harm():
    before = {"torch": "2.11.0", "numpy": "2.1.3", "tqdm": "4.67.1"}
    assert colab.changed(before, before | {"safetensors": "0.8.0"}) == []
    assert colab.changed(before, {"torch": "2.15.0", "numpy": "2.1.3"}) == [
        "torch 2.11.0 became 2.15.0",
        "tqdm 4.67.1 became nothing",
    ]
    assert colab.packages(THIS)["torch"] == importlib.metadata.version("torch")


def test_a_failure_or_too_much_memory_is_the_exit_status(monkeypatch, tmp_path, capsys):
    ends = {"00_fine": ("", 800), "01_broken": ("cell 4: ImportError: no", 800), "02_large": ("", 1501)}
    monkeypatch.setattr(colab, "HOME", tmp_path)
    monkeypatch.setattr(colab.clone, "serve", lambda folder: "file:///nowhere")
    monkeypatch.setattr(colab, "run", lambda path, *_: colab.Result(path, 1.0, *reversed(ends[path.stem])))
    assert colab.run_notebooks(THIS, [Path(f"{name}.ipynb") for name in ends]) == 1
    said = capsys.readouterr().out
    assert said.endswith("1 passed, 2 failed\n")
    assert "    cell 4: ImportError: no\n" in said
    assert colab.run_notebooks(THIS, [Path("00_fine.ipynb")]) == 0
    assert colab.main(["nowhere.ipynb"]) == 2


@pytest.mark.parametrize("arguments", [[], ["--tests"]])
def test_without_python_3_13_it_says_that_it_was_left_out(monkeypatch, tmp_path, capsys, arguments):
    monkeypatch.setattr(colab, "HOME", tmp_path / "build" / "colab")
    monkeypatch.setattr(pythons, "find", lambda version: None)
    assert colab.main(arguments) == colab.LEFT_OUT
    assert capsys.readouterr().out == "left out: Colab, imitated: no Python 3.13 was found on this machine\n"


def test_the_versions_have_a_date_and_fit_the_ranges():
    from packaging.specifiers import SpecifierSet

    text = colab.VERSIONS.read_text(encoding="utf-8")
    assert re.search(r"in (\w+ 20\d\d): Python 3\.13", text)
    read = dict(line.split("==") for line in text.splitlines() if line and line[0] != "#")
    assert {"torch", "torchvision", "numpy", "ipywidgets", "ipython", "opencv-python-headless"} <= set(read)
    needed = re.findall(r"^([\w.-]+)([^#\s]*)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    outside = {name for name, ranges in needed if name in read and read[name] not in SpecifierSet(ranges)}
    assert not outside


def test_a_python_is_found_by_its_version():
    version = "{}.{}".format(*sys.version_info)
    found = pythons.find(version)
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"Python {version}.")
    assert pythons.find("2.0") is None


@pytest.mark.skipif(os.name == "nt", reason="needs a script that the system runs")
def test_a_python_that_does_not_start_or_is_another_is_passed_over(monkeypatch, tmp_path):
    """As pyenv's shims do: the name is on PATH and gives an error; another name lies about its version."""
    for name, text in (("python9.9", "#!/bin/sh\nexit 127\n"), ("python9.8", "#!/bin/sh\necho 3.1\necho x\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    good = tmp_path / "versions" / "9.9.1" / "bin" / "python"
    good.parent.mkdir(parents=True)
    good.write_text(f"#!/bin/sh\necho 9.9\necho {good}\n")
    good.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert pythons.find("9.9") == good
    assert pythons.find("9.8") is None


# --- what CI runs ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
@pytest.mark.parametrize(
    ("minute", "test", "site", "notebooks", "status", "parts", "sentences"),
    [
        (0, 0, 0, 0, 0, ["-q", "", "--tests", "--remove"], []),
        (59, 1, 0, 0, 1, ["-q", "", "--tests", "--remove"], []),
        (0, 0, 1, 0, 1, ["", "--tests", "--remove"], []),
        (0, 0, 0, 1, 1, ["-q", "", "--tests", "--remove"], []),
        (0, 0, 0, 77, 0, ["-q", "", "--tests", "--remove"], ["the notebooks as on Colab, Python 3.13: it cannot run"]),
        (61, 0, 0, 0, 0, ["--remove"], ["the notebooks as on Colab, Python 3.13: minute 61 is too late"]),
    ],
)
def test_ci_runs_the_optional_parts_before_minute_60_and_names_what_it_left_out(
    tmp_path, minute, test, site, notebooks, status, parts, sentences
):
    """The script itself, with other programs in place of make and Python; ``parts``: the third word that Python got."""
    for name, text in {
        "bin/chromium": "",
        "bin/make": f'[ "$1" = site ] && exit {site}; exit {test}',
        ".venv/bin/python": f'echo "$3" >> asked; [ -z "$3" ] && exit {notebooks}; exit 0',
        ".ci/run": (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition("\n")[2],
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment["SECONDS"] = str(60 * minute)
    done = subprocess.run([tmp_path / ".ci" / "run"], env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert (tmp_path / "asked").read_text().splitlines() == parts
    assert [sentence for sentence in sentences if f"left out: {sentence}" not in done.stdout] == []
    assert ("left out" in done.stdout) is bool(sentences), done.stdout
