"""What the tools know of the course: its folders, its notebooks, where it lives on GitHub, and a copy of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
REVISION = re.compile(r"(?![0-9a-f]{40}$)[A-Za-z0-9][A-Za-z0-9._/-]*")
WHO = ("-c", "user.name=course", "-c", "user.email=course@example.invalid", "-c", "core.autocrlf=false")


def lessons(root: Path = ROOT) -> list[Path]:
    """The numbered notebooks, in order."""
    return sorted(root.glob("notebooks/[0-9][0-9]_*.ipynb"))


def solutions(root: Path = ROOT) -> list[Path]:
    return sorted(root.glob("notebooks/solutions/*.ipynb"))


def setting(name: str, root: Path = ROOT) -> str:
    """A value of [tool.latentlib] in pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["latentlib"][name]


def git(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """What git prints. Raises RuntimeError with git's own words."""
    done = subprocess.run(["git", *WHO, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def copy(folder: Path, root: Path = ROOT) -> Path:
    """Copy what git tracks, and what it would track, as it is now. RuntimeError where root is no clone."""
    for name in filter(None, git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    return folder


def serve(folder: Path, root: Path = ROOT) -> str:
    """The URL of a repository in this folder that holds a copy, on the revision that the badges name."""
    work = copy(folder / "work", root)
    git("init", "--quiet", "--initial-branch", setting("revision", root), cwd=work)
    git("add", "--all", "--force", cwd=work)
    git("commit", "--quiet", "--message", "the course", cwd=work)
    git("clone", "--quiet", "--bare", work, folder / "course.git", cwd=folder)
    shutil.rmtree(work)
    return (folder / "course.git").as_uri()
