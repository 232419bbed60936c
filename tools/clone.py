"""The course as a stranger gets it: the work tree as it is now, without what git ignores, copied or served by git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.course import ROOT, setting

WHO = ("-c", "user.name=course", "-c", "user.email=course@example.invalid", "-c", "core.autocrlf=false")


def git(*arguments: str | Path, cwd: Path) -> str:
    """What git prints. Raises RuntimeError with git's own words."""
    done = subprocess.run(["git", *WHO, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def copy(folder: Path, root: Path = ROOT) -> Path:
    """Copy what git tracks, and what it would track, into a new folder. RuntimeError where root is no clone."""
    for name in filter(None, git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    return folder


def serve(folder: Path, root: Path = ROOT) -> str:
    """The URL of a repository in this folder from which the set-up cell can fetch the course, as from GitHub.

    It has two commits, so that a shallow clone is one, on the revision that the badges name.
    """
    work = copy(folder / "work", root)
    git("init", "--quiet", "--initial-branch", setting("revision", root), cwd=work)
    git("add", "--all", "--force", cwd=work)
    git("commit", "--quiet", "--message", "first", cwd=work)
    git("commit", "--quiet", "--message", "second", "--allow-empty", cwd=work)
    git("clone", "--quiet", "--bare", work, folder / "course.git", cwd=folder)
    shutil.rmtree(work)
    return (folder / "course.git").as_uri()
