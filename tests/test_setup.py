"""The files that say what to install agree, and tools.setup makes, keeps and completes a .venv."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools import setup
from tools.course import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_ALL = [*PROJECT["dependencies"], *EXTRAS["plots"], *EXTRAS["widgets"], *EXTRAS["faces"]]
RANGES = {item.name: item.specifier for item in map(Requirement, [*FOR_ALL, *EXTRAS["test"]])}


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def test_packages_are_named_once():
    assert lines("requirements.txt") == ["-e .[all,test]"]
    assert EXTRAS["all"] == ["latentlib[plots,widgets,faces]"]
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert pip == {"pip": ["-e .[all]"]}
    named = {item.name.removeprefix("py").removesuffix("-cpu"): item.specifier for item in map(Requirement, conda[2:])}
    assert named == {name: RANGES[name] for name in ("torch", "torchvision", "numpy", "jupyterlab")}


@pytest.mark.parametrize(("name", "has"), [("constraints.txt", RANGES), ("constraints-colab.txt", {"torch", "numpy"})])
def test_exact_versions_lie_inside_the_ranges(name, has):
    exact = [(item.name.lower(), item.specifier) for item in map(Requirement, lines(name))]
    assert set(has) <= {package for package, _ in exact}
    assert all(re.fullmatch(r"==[\w.]+", str(version)) for _, version in exact)
    outside = [item for item in exact if item[0] in RANGES and str(item[1])[2:] not in RANGES[item[0]]]
    assert outside == []


def test_nothing_that_colab_brings_is_bounded_from_above():
    assert not [name for name in ("torch", "torchvision", "numpy") if re.search(r"<|==|~=", str(RANGES[name]))]


def test_the_same_pythons_everywhere():
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == ">=3.11"
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f'"{version}"' in nox
        assert f'"{version}"' in workflow
    assert "3.10" not in nox + workflow + (ROOT / "README.md").read_text(encoding="utf-8")


# --- tools.setup ------------------------------------------------------------------------------------------------------


@pytest.fixture
def commands(monkeypatch, tmp_path) -> list[str]:
    """What setup.make would run, without its own paths; those that hold the word in ``commands.failing`` fail."""

    class Commands(list):
        failing = "nothing"

    made = Commands()

    def record(command, **_):
        text = " ".join(map(str, command)).replace(str(tmp_path), ".").replace(sys.executable, "python")
        made.append(text)
        return subprocess.CompletedProcess(command, int(made.failing in text), "", "")

    for name in ("VENV", "PYTHON", "STAMP", "OFFLINE"):
        monkeypatch.setattr(setup, name, tmp_path / name)
    monkeypatch.setattr(setup, "starts", lambda: False)
    monkeypatch.setattr(setup.subprocess, "run", record)
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)
    monkeypatch.setattr(setup, "NVIDIA", [])
    monkeypatch.setattr(setup.sys, "platform", "linux")
    return made


def test_without_a_gpu_pytorch_comes_from_its_own_index_first(commands, capsys):
    setup.make()
    assert commands[0] == "python -m venv --clear ./VENV"
    torch, rest = commands[2:]
    assert f"--index-url {setup.CPU_INDEX} -c constraints.txt torch torchvision" in torch
    assert rest == "./PYTHON -m pip install -r requirements.txt -c constraints.txt"
    assert setup.STAMP.read_text() == setup.stamp()
    commands.failing = "index-url"
    setup.make()
    assert "That index cannot be used from here: taking the ordinary build" in capsys.readouterr().out


def test_uv_a_gpu_and_a_folder_of_wheels_change_the_commands(commands, monkeypatch):
    monkeypatch.setattr(setup.shutil, "which", lambda name: name)
    setup.OFFLINE.mkdir()
    setup.make()
    assert commands[0] == "uv venv --seed --python python --clear ./VENV"
    wanted = "--no-index --find-links ./OFFLINE -r requirements.txt -c constraints.txt"
    assert commands[2:] == [f"uv pip install --python ./PYTHON {wanted}"]


@pytest.mark.parametrize(("failing", "sentence"), [("venv", "could not make"), ("-r", "could not be installed")])
def test_what_fails_is_a_sentence_and_leaves_no_stamp(commands, failing, sentence):
    commands.failing = failing
    with pytest.raises(SystemExit, match=sentence):
        setup.make()
    assert not setup.STAMP.exists()


def test_an_old_python_gets_one_sentence(monkeypatch):
    monkeypatch.setattr(setup.sys, "version_info", (3, 10))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, .* make PYTHON=python3\.13 lab"):
        setup.main()


def test_for_real_in_a_room_without_network(make_wheel, tmp_path):
    """A course that needs one small package, whose wheel lies in the folder `offline`; twice."""
    course = tmp_path / "course"
    (course / "offline").mkdir(parents=True)
    (course / "tools").mkdir()
    make_wheel("iniconfig", course / "offline")
    shutil.copy(ROOT / "tools" / "setup.py", course / "tools")
    for name, text in (("pyproject.toml", ""), ("requirements.txt", "iniconfig"), ("constraints.txt", "")):
        (course / name).write_text(text)
    for said in (f"Ready: {course / '.venv'}\n", ""):
        done = subprocess.run([sys.executable, "-m", "tools.setup"], cwd=course, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(said)
    python = course / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([python, "-c", "import iniconfig"], check=True)


def test_every_command_of_make_is_a_module_and_stands_in_the_help():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.search(r"^\.PHONY: help setup (.*)$", makefile, re.M)[1].split():
        assert re.search(rf'^\t@echo "make {name}\b', makefile, re.M), name
    for module in re.findall(r"-m ((?:tools|benchmarks)[\w.]+)", makefile):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_no_host_of_a_registry_is_named():
    assert Path(setup.__file__).read_text(encoding="utf-8").count("https://") == 1
