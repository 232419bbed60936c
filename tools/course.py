"""What the tools know of the course: its folders, its notebooks, and where it lives on GitHub."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
REVISION = re.compile(r"(?![0-9a-f]{40}$)[A-Za-z0-9][A-Za-z0-9._/-]*")


def lessons(root: Path = ROOT) -> list[Path]:
    """The numbered notebooks, in order."""
    return sorted(root.glob("notebooks/[0-9][0-9]_*.ipynb"))


def solutions(root: Path = ROOT) -> list[Path]:
    return sorted(root.glob("notebooks/solutions/*.ipynb"))


def setting(name: str, root: Path = ROOT) -> str:
    """A value of [tool.latentlib] in pyproject.toml (read line by line: Python 3.10 has no reader for TOML)."""
    section = (root / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.latentlib]")[2].partition("\n[")[0]
    match = re.search(rf'^{name} = "([^"]*)"$', section, re.M)
    if match is None:
        raise ValueError(f'pyproject.toml has no line {name} = "..." under [tool.latentlib]')
    return match[1]
