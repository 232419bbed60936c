"""Modules and what may import what, that importing changes nothing, that all of it is packaged, and how large it is."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import latentlib
from tools import size
from tools.course import ROOT

PACKAGE = ROOT / "latentlib"
# A module may import those on the lines above its own, and none beside or below it.
ORDER = (
    ("settings", "device", "claims"),
    ("space", "models"),
    ("nvidia",),
    ("weights",),
    ("photos",),
    ("datasets",),
    ("metrics", "fit"),
    ("gan",),
    ("plots",),
    ("widgets", "exercises"),
)
BESIDE = {("settings", "device")}  # the only one that looks beside it
RANK = {module: rank for rank, modules in enumerate(ORDER) for module in modules}
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def imported(source: str) -> set[str]:
    """The modules of latentlib that a file imports, wherever in the file that stands, and what else the course has."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("latentlib.")}
        found |= {name.split(".")[0] for name in names} & {"training", "benchmarks", "tools", "tests"}
    return found


def wrong(file: Path, source: str) -> list[str]:
    module = module_of(file)
    allowed = {other for other in RANK if RANK[other] < RANK[module] or (module, other) in BESIDE}
    return sorted(imported(source) - {module} - allowed)


@pytest.mark.parametrize("file", [file for file in FILES if module_of(file) != "__init__"], ids=str)
def test_imports_go_one_way(file):
    assert wrong(file, (PACKAGE / file).read_text(encoding="utf-8")) == []


def test_a_wrong_import_is_noticed():
    assert wrong(Path("space.py"), "def f():\n    from latentlib.gan import inversion") == ["gan"]
    assert wrong(Path("models/vae.py"), "from latentlib import space\nimport training.runs") == ["space", "training"]
    assert wrong(Path("gan/tuning.py"), "from latentlib.gan import inversion\nimport latentlib.metrics") == []


def test_every_module_opens_at_its_first_use():
    assert set(latentlib.__all__) == {module_of(file) for file in FILES} - {"__init__"} == set(RANK)
    code = "import latentlib, sys; assert 'torch' not in sys.modules; latentlib.space.lerp"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    with pytest.raises(AttributeError, match="has no attribute 'rooms'"):
        latentlib.rooms  # noqa: B018


def test_importing_changes_nothing_outside():
    """Neither matplotlib's parameters, nor random numbers, nor PyTorch's settings; of the environment only what
    settings names."""
    code = """
import importlib, os, pkgutil, random
import matplotlib, numpy, torch
from latentlib import settings
def state():
    numbers = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    kept = {name: value for name, value in os.environ.items() if "THREADS" not in name and not name.startswith("KMP_")}
    return dict(matplotlib.rcParams), kept, numbers, torch.get_default_dtype()
before = state()
import latentlib
for module in pkgutil.walk_packages(latentlib.__path__, "latentlib."):
    importlib.import_module(module.name)
for name, one, other in zip(("matplotlib", "environment", "random", "kind"), before, state()):
    assert one == other, f"{name}: {one} {other}"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_every_package_and_data_file_is_in_the_wheel():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {".".join(("latentlib", *file.parent.parts)) for file in FILES}
    assert folders == {name for name in setuptools["packages"] if name != "latentlib.shipped"}
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            package = ".".join(("latentlib", *path.relative_to(PACKAGE).parent.parts))
            assert any(path.match(pattern) for pattern in setuptools["package-data"][package]), path


def test_one_version_everywhere():
    assert f"\nversion: {latentlib.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {latentlib.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_folder_fits_its_budget():
    assert size.over(size.lines()) == []


def test_a_folder_that_is_too_large_is_named():
    counted = Counter({("latentlib", "page"): 881, ("benchmarks", "Python"): 660, ("tests/answers", "Python"): 99_999})
    assert size.over(counted) == ["latentlib (page): 881 lines; the budget is 800"]
