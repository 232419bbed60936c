"""The set-up cell, for real: a notebook alone in an empty folder, a Python that has PyTorch, a git server."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import types
from pathlib import Path

import nbformat
import pytest

from latentlib import bootstrap
from tools import badges, clone
from tools.badges import setup_cell
from tools.course import ROOT, setting

REVISION = setting("revision")
FOLDER = setting("slug").split("/")[-1]
LEFT_OUT = ("latentlib", "__editable__", "anywidget", "psygnal", "pip", "__pycache__")
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> str:
    """The URL of a repository that holds the work tree as it is now, on the revision that the badges name."""
    try:
        return clone.serve(tmp_path_factory.mktemp("server"))
    except (OSError, RuntimeError):
        pytest.skip("the course is not in a git clone here")


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A virtual environment that has PyTorch and NumPy, as Colab has, but neither latentlib nor anywidget."""
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    there = folder / "packages"
    there.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith(LEFT_OUT) and entry.suffix != ".pth":
            (there / entry.name).symlink_to(entry)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    (site / "packages.pth").write_text(str(there))
    return folder / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def environment(tmp_path_factory, server, make_wheel) -> dict[str, str]:
    """No network and no data: git reaches the server above, pip finds two wheels in a folder."""
    wheels = tmp_path_factory.mktemp("wheels")
    for name in ("anywidget", "psygnal"):
        make_wheel(name, wheels)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LATENTLIB_", "PIP_", "PYTHONPATH"))}
    return {
        **kept,
        "LATENTLIB_REPOSITORY": server,
        "LATENTLIB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "JUPYTER_DATA_DIR": str(tmp_path_factory.mktemp("jupyter")),
    }


def installed(python: Path) -> dict[str, str]:
    """Name and version of all that this Python sees, and where PyTorch and NumPy come from."""
    code = "import importlib.metadata as m, json, torch, numpy; print(json.dumps(dict(sorted({d.name: d.version "
    code += "for d in m.distributions()}.items()) + [('where', torch.__file__ + numpy.__file__)])))"
    return json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_the_readme_leads_to_the_page_to_play():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    address = "(https://somebody.github.io/course/play/)"
    published = badges.mark(readme, "", "Somebody/course", "main")
    assert published.count(address) == 2  # the first picture, and a sentence
    assert f".png)]{address}" in published.partition("## ")[0]
    assert badges.mark(published, "", setting("slug"), "main") == badges.mark(readme, "", setting("slug"), "main")
    assert badges.to_play("Play with it in your browser", setting("slug")) in readme
    # What stands behind a comment at the start of a line is shown as it is, not as Markdown.
    assert not re.search(r"^<!--.*?-->.", published, re.M)


def test_a_notebook_alone_fetches_the_course_and_installs_only_what_is_missing(python, environment, tmp_path):
    before = installed(python)
    notebook = tmp_path / "00_start_here.ipynb"
    shutil.copy(ROOT / "notebooks" / notebook.name, notebook)
    for attempt in ("first", "second"):
        run = subprocess.run(
            [python, "-c", RUN, notebook], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr[-3000:]
        cells = [cell for cell in nbformat.read(notebook, 4).cells if "setup" in cell.metadata.get("tags", [])]
        said = "".join(output.text for output in cells[0].outputs if output.output_type == "stream")
        if attempt == "first":
            assert (
                said
                == f"Ready: fetched the course into the folder {FOLDER}; installed {bootstrap.NEEDED['anywidget']}\n"
            )
        else:
            assert said == "Ready: the course is here, nothing to install\n"
    after = installed(python)
    assert set(after) - set(before) == {"anywidget", "psygnal"}
    assert {name: after[name] for name in before} == before
    assert (tmp_path / FOLDER / ".git" / "shallow").is_file()
    assert [path.name for path in (tmp_path / FOLDER).glob("latentlib/bootstrap.py")]


def cell_in(folder: Path, **settings: str) -> subprocess.CompletedProcess:
    """Run the set-up cell as a program in this folder."""
    source = setup_cell(setting("slug"), REVISION)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LATENTLIB_")}
    return subprocess.run(
        [sys.executable, "-c", source], cwd=folder, env={**kept, **settings}, capture_output=True, text=True
    )


@pytest.mark.parametrize("folder", ["", "notebooks", "docs/nbconvert/latent"])
def test_in_a_clone_it_needs_neither_git_nor_network(folder):
    done = cell_in(ROOT / folder, PATH="")
    assert (done.returncode, done.stdout) == (0, "Ready: the course is here, nothing to install\n"), done.stderr


def test_a_failed_fetch_is_one_clear_sentence(tmp_path):
    done = cell_in(tmp_path, LATENTLIB_REPOSITORY=(tmp_path / "nowhere.git").as_uri())
    assert done.returncode == 1
    last = re.search(r"^RuntimeError: (.*)", done.stderr, re.M)
    assert last
    assert last[1].startswith(f"could not fetch the course from {(tmp_path / 'nowhere.git').as_uri()}")
    assert not (tmp_path / FOLDER).exists()


def test_colab_gets_its_widget_manager(monkeypatch, capsys):
    calls = []
    output = types.SimpleNamespace(enable_custom_widget_manager=lambda: calls.append("on"))
    colab = types.ModuleType("google.colab")
    colab.output = output
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    bootstrap.prepare(ROOT)
    assert calls == ["on"]
    assert capsys.readouterr().out == "Ready: switched on Colab's widgets\n"


def test_without_pytorch_it_says_so(monkeypatch):
    monkeypatch.setattr(bootstrap, "KEPT", ("torch", "surely_not_installed"))
    with pytest.raises(RuntimeError, match=r"has no surely_not_installed; install PyTorch first"):
        bootstrap.prepare(ROOT)


def test_what_pip_refuses_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(bootstrap, "NEEDED", {"surely_not_installed": "surely-not-installed>=1"})
    with pytest.raises(RuntimeError, match=r"pip could not install surely-not-installed>=1 \(ERROR: No matching"):
        bootstrap.prepare(ROOT)


def test_pip_may_not_change_pytorch(monkeypatch):
    """A package that would want another NumPy is refused; NumPy stays."""
    commands = []

    def record(command, **_):
        commands.append((command, Path(command[command.index("--constraint") + 1]).read_text()))
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(bootstrap.subprocess, "run", record)
    monkeypatch.setattr(bootstrap, "NEEDED", {"surely_not_installed": "surely-not-installed>=1"})
    bootstrap.prepare(ROOT)
    (command, kept) = commands[0]
    assert command[-1] == "surely-not-installed>=1"
    assert kept == "".join(
        f"{name}=={importlib.metadata.version(name)}\n" for name in ("torch", "torchvision", "numpy")
    )
