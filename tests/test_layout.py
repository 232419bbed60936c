"""The package's rooms: what may import what, that importing changes nothing, and that all of it is packaged."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import latentlib
from tools.course import ROOT

PACKAGE = ROOT / "latentlib"
# A room may import those on the lines above its own. The set-up cell's room is on no line: it may ask any of them.
ARROWS = (
    ("_lazy", "settings", "claims", "device", "folders"),
    ("space", "models", "download"),
    ("foreign",),
    ("weights",),
    ("photos",),
    ("datasets",),
    ("metrics", "training"),
    ("gan",),
    ("plots",),
    ("exercises", "widgets"),
)
RANK = {room: rank for rank, rooms in enumerate(ARROWS) for room in rooms}
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def imported(source: str) -> set[str]:
    """The rooms of latentlib that a file imports, wherever in the file that stands."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("latentlib.")}
    return rooms


def wrong_arrows(file: Path, source: str) -> list[str]:
    room = room_of(file)
    return sorted(other for other in imported(source) - {room} if RANK[other] >= RANK[room])


@pytest.mark.parametrize("file", FILES, ids=str)
def test_arrows_go_one_way(file):
    if room_of(file) not in ("__init__", "bootstrap"):
        assert wrong_arrows(file, (PACKAGE / file).read_text(encoding="utf-8")) == []


def test_a_wrong_arrow_is_noticed():
    assert wrong_arrows(Path("space.py"), "def f():\n    from latentlib.gan import inversion") == ["gan"]
    assert wrong_arrows(Path("models/vae.py"), "from latentlib import space") == ["space"]
    assert wrong_arrows(Path("gan/tuning.py"), "from latentlib.gan import lbfgs\nimport latentlib.metrics") == []


def test_the_package_imports_neither_its_training_nor_its_tools():
    for file in FILES:
        for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] not in ("training", "benchmarks", "tools", "tests"), file


def test_every_room_opens_at_its_first_use():
    there = {room_of(file) for file in FILES} - {"__init__", "_lazy", "settings"}
    assert set(latentlib.__all__) == there == set(dir(latentlib))
    code = (
        "import latentlib, sys; assert 'torch' not in sys.modules; latentlib.space.lerp; latentlib.gan.inversion.invert"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    with pytest.raises(AttributeError, match="module 'latentlib' has no attribute 'rooms'; it has bootstrap, "):
        latentlib.rooms  # noqa: B018


def test_importing_changes_nothing_outside():
    """Neither matplotlib's parameters, nor random numbers, nor PyTorch's settings; of the environment only what
    settings names."""
    code = """
import importlib, os, pkgutil, random
import matplotlib, numpy, torch
def state():
    threads, kind = torch.get_num_threads(), torch.get_default_dtype()
    numbers = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    return dict(matplotlib.rcParams), dict(os.environ), numbers, threads, kind
before = state()
import latentlib
for module in pkgutil.walk_packages(latentlib.__path__, "latentlib."):
    importlib.import_module(module.name)
after = state()
for name in {*latentlib.settings.SPIN, *latentlib.settings.FALLBACK, "KMP_INIT_AT_FORK"}:  # that of sklearn
    before[1].pop(name, None)
    after[1].pop(name, None)
for name, one, other in zip(("matplotlib", "environment", "random", "threads", "kind"), before, after):
    assert one == other, f"{name}: {one} {other}"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_every_package_and_data_file_is_in_the_wheel():
    setuptools = pytest.importorskip("tomllib").loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]
    folders = {".".join(("latentlib", *file.parent.parts)) for file in FILES}
    assert folders == {name for name in setuptools["packages"] if name != "latentlib.shipped"}
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            package = ".".join(("latentlib", *path.relative_to(PACKAGE).parent.parts))
            assert any(path.match(pattern) for pattern in setuptools["package-data"][package]), path


def test_one_version_everywhere():
    assert f"\nversion: {latentlib.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {latentlib.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
