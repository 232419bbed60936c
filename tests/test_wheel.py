"""A wheel has every file of the package and its weights, and is light; test_launch.py installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

from tools.course import ROOT

MOST_MB = 40


def test_a_wheel_has_every_file_of_the_package_and_is_light(tmp_path):
    clone = tmp_path / "clone"  # a copy, since setuptools builds in the folder itself
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    for name in ("latentlib", "data/weights"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, "."]
    made = subprocess.run(command, capture_output=True, text=True, cwd=clone)
    assert made.returncode == 0, made.stderr[-2000:]
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as content:
        there = {name for name in content.namelist() if not name.split("/")[0].endswith(".dist-info")}
    files = {path for path in (ROOT / "latentlib").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {path.relative_to(ROOT).as_posix() for path in files}
    assert there == wanted | {f"latentlib/shipped/{path.name}" for path in (ROOT / "data" / "weights").iterdir()}
    assert path.stat().st_size < MOST_MB * 1e6
