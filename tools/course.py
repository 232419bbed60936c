"""What the tools know of the course: its folders, its notebooks, where it lives on GitHub, and a copy of it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
    """What git prints. SystemExit with git's own words where it fails."""
    done = subprocess.run(["git", *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(map(str, arguments))} failed: {done.stderr.strip()}")
    return done.stdout


def files(root: Path = ROOT) -> list[str]:
    """The names of what git tracks, and of what it would track. SystemExit where root is no clone."""
    named = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")
    return [name for name in named if (root / name).is_file()]


def copy(folder: Path, root: Path = ROOT) -> Path:
    """Copy these files as they are now."""
    for name in files(root):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)
    return folder


def once(stamp: Path, named: Path, *commands: list) -> bool:
    """Whether commands that install what a file names have passed; they run again when it says something else."""
    wanted = named.read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        if any(subprocess.run(list(map(str, command))).returncode for command in commands):
            return False
        stamp.write_text(wanted, encoding="utf-8")
    return True


def repository(folder: Path) -> str:
    """The URL of a git repository, made in the folder, that holds a copy on the revision that the badges name."""
    work = copy(folder / "course")
    git("init", "--quiet", "--initial-branch", setting("revision"), cwd=work)
    git(*WHO, "add", "--all", "--force", cwd=work)
    git(*WHO, "commit", "--quiet", "--message", "the course", cwd=work)
    return work.as_uri().replace("///", "//localhost/")  # pip takes no URL without a host
