"""A wheel alone, away from the clone, has the weights and draws a face."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.course import ROOT

MOST_MB = 30
DRAW = """
import sys
from pathlib import Path
import torch
import latentlib
from latentlib import photos, weights
assert Path(latentlib.__file__).is_relative_to(sys.argv[1]), latentlib.__file__
generator = weights.load("faces-64")
z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(2))
face = generator.draw(generator.truncate(generator.mapping(z), 0.7))
assert face.shape == (1, 3, 64, 64)
assert face.std() > 0.1
enlarged = torch.nn.functional.interpolate(face, scale_factor=4, mode="bicubic").clamp(0, 1)[0]
photos.find_landmarks((enlarged.permute(1, 2, 0) * 255).byte().numpy())  # raises when it sees no face
print("a face")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("setuptools", minversion="77")
    folder, clone = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "README.md", "LICENSE"):  # a copy, since setuptools builds in the folder itself
        shutil.copy(ROOT / name, clone / name)
    for name in ("latentlib", "data/weights"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", folder, "."]
    made = subprocess.run(command, capture_output=True, text=True, cwd=clone)
    assert made.returncode == 0, made.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_draws_a_face_outside_the_clone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "installed")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LATENTLIB_", "PYTHONPATH"))}
    environment = {**kept, "PYTHONPATH": str(tmp_path / "installed"), "LATENTLIB_OFFLINE": "1"}
    command = [sys.executable, "-c", DRAW, str(tmp_path / "installed")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.stdout == "a face\n", run.stderr[-2000:]


def test_a_wheel_is_no_heavier_than_promised(wheel):
    assert wheel.stat().st_size < MOST_MB * 1e6


def test_a_wheel_has_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as content:
        there = {name for name in content.namelist() if not name.split("/")[0].endswith(".dist-info")}
    files = {path for path in (ROOT / "latentlib").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {path.relative_to(ROOT).as_posix() for path in files}
    wanted |= {f"latentlib/shipped/{path.name}" for path in (ROOT / "data" / "weights").iterdir()}
    assert there == wanted
