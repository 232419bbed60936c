"""The set-up cell, for real: on an imitated Colab, in another folder, under another kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from tools.badges import service_cell
from tools.colab import settings
from tools.course import ROOT, repository, setting

CELL = service_cell("setup", setting("slug"), setting("revision"))
LEFT_OUT = ("latentlib", "__editable__", "anywidget", "psygnal", "pip", "__pycache__")
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""
DRAW = """
import torch, latentlib
from latentlib import weights
generator = weights.load("faces-64", "cpu")
print(latentlib.__file__, generator.draw(generator.mapping(torch.zeros(1, generator.z_dim))).shape[-1], anywidget)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A virtual environment that has PyTorch and NumPy, as Colab has, but neither latentlib nor anywidget."""
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (there := folder / "packages").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith(LEFT_OUT) and entry.suffix != ".pth":
            (there / entry.name).symlink_to(entry)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    for old in site.glob("setuptools*"):  # what Python 3.11 brings would hide the one that PyTorch asks for
        shutil.rmtree(old)
    (site / "packages.pth").write_text(str(there))
    return folder / "venv" / "bin" / "python"


def installed(python: Path) -> dict[str, str]:
    said = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    return {package["name"]: package["version"] for package in json.loads(said.stdout)}


def clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("LATENTLIB_", "PIP_", "PYTHONPATH"))}


def run_cell(python: Path | str, folder: Path, more: str = "", **variables: str) -> subprocess.CompletedProcess:
    """The cell, and more, as a program in this folder."""
    environment = {**clean(), "PYTHONPATH": "", **variables}
    return subprocess.run([python, "-c", CELL + more], cwd=folder, env=environment, capture_output=True, text=True)


def test_alone_on_colab_it_installs_the_course_with_its_weights_and_changes_nothing(python, make_wheel, tmp_path):
    """No network: git has a repository on this machine, pip finds wheels in a folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("the course is not in a git clone here")
    for name in ("anywidget", "psygnal", "setuptools"):
        make_wheel(name, tmp_path)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    code = nbformat.v4.new_code_cell
    cells = [code(CELL), code("import anywidget, torch\nfrom latentlib import widgets" + DRAW), code("output.managers")]
    path = tmp_path / "alone" / "00_copied.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = installed(python)
    environment = {**clean(), **settings(tmp_path / "colab", repository(tmp_path)), **offline}
    done = subprocess.run([python, "-c", RUN, path], cwd=path.parent, env=environment, capture_output=True, text=True)
    after = installed(python)
    subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "latentlib"], check=True)
    assert done.returncode == 0, done.stderr[-3000:]
    setup, draw, managers = nbformat.read(path, as_version=4).cells
    assert setup.outputs == []
    assert f"{python.parent.parent}/lib" in draw.outputs[0].text, "not the installed one"
    assert " 64 <module" in draw.outputs[0].text
    assert managers.outputs[0].data["text/plain"] == "1", "Colab's widgets are switched on"
    assert set(after) - set(before) == {"latentlib", "anywidget", "psygnal"}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("folder", ["", "notebooks", "docs/pictures"])
def test_another_kernel_in_the_course_s_folder_finds_its_code(python, folder):
    done = run_cell(python, ROOT / folder, "\nimport latentlib\nprint(latentlib.__file__)", PATH="")
    assert done.stdout == f"{ROOT / 'latentlib' / '__init__.py'}\n", done.stderr


def test_papermill_in_another_folder_takes_the_installed_course(tmp_path):
    cells = [nbformat.v4.new_code_cell(CELL), nbformat.v4.new_code_cell("import latentlib; print(latentlib.__file__)")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "in.ipynb")
    variables = {**clean(), "LATENTLIB_REPOSITORY": "file:///nowhere"}
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--language", "python"]
    subprocess.run(command, cwd=tmp_path, env=variables, check=True, capture_output=True)
    said = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[1].outputs[0].text
    assert said == f"{ROOT / 'latentlib' / '__init__.py'}\n"


def test_a_failed_fetch_is_one_clear_sentence(python, tmp_path):
    done = run_cell(python, tmp_path, LATENTLIB_REPOSITORY="http://127.0.0.1:9/nowhere.git")
    assert done.returncode == 1
    assert done.stderr.endswith("AssertionError: The course was not installed: is there a network, and git?\n")


def test_the_cell_is_short():
    assert len([line for line in CELL.splitlines() if line.strip()]) <= 8
