"""A folder from which the course is set up without a network: `python -m tools.bundle [PYTHON]`, with .venv's Python.

Fills the folder `offline` in the course's own: wheels of everything for this system and this version of Python, and
MNIST. Copy the whole course, that folder included, to a stick; on another machine of the same kind `make lab` then
installs from it. About 3 GB with PyTorch's ordinary build for Linux, far less with the one for CPUs.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from pathlib import Path

from tools import progress
from tools.course import ROOT
from tools.install import OFFLINE, SetupError, constraints_for, explain, machine, say, torch_index, torch_lines

BUILD_TOOLS = ("pip", "setuptools>=77")  # the first renews a new .venv's own, the second builds latentlib


def download(root: Path, wheels: Path, *arguments: str) -> None:
    """Let pip fetch wheels, and nothing but wheels, into the folder. Raises SetupError with one sentence."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--only-binary", ":all:"]
    status, errors = progress.run([*command, "--dest", str(wheels), *arguments], root, root / ".venv", say)
    if status:
        raise SetupError(explain(errors))


def make(root: Path = ROOT) -> Path:
    """Fill root/offline anew and give it. Raises SetupError with one sentence."""
    folder = root / OFFLINE
    version = platform.python_version()
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    constraints = ["-c", "constraints.txt"] if constraints_for(root, version) else []
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join(line for line in lines if not line.startswith("-e")), encoding="utf-8")
    say(f"Fetching wheels for Python {version} on {platform.system()} {platform.machine()} ...")
    if (index := torch_index()) and (torch := torch_lines(root)):
        try:
            hurry = ("--retries", "0", "--timeout", "15")
            download(root, wheels, *hurry, "--no-deps", "--index-url", index, *torch, *constraints)
        except SetupError:
            say("  PyTorch's build for the CPU cannot be had from here: taking the ordinary one.")
    download(root, wheels, "--find-links", str(wheels), "-r", str(wanted), *BUILD_TOOLS, *constraints)
    wanted.unlink()
    say(digits_into(folder / "MNIST" / "raw"))
    (folder / "made_for.json").write_text(json.dumps(machine(version)) + "\n", encoding="utf-8")  # last: now it counts
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    say(f"Ready: {folder}, {size:.1f} GB. Copy the whole course with it; there, `make lab` needs no network.")
    return folder


def digits_into(folder: Path) -> str:
    """Copy MNIST from LATENTLIB_DATA or the cache, downloading it if need be, and say what came of it."""
    from latentlib.datasets import digits
from latentlib.settings import cache_folder, data_folder

    try:
        digits.load("mnist")
        given = data_folder()
        places = [place / "MNIST" / "raw" for place in (given, cache_folder()) if place]
        source = next(place for place in places if all((place / name).is_file() for name in digits.FILES))
    except (RuntimeError, OSError, StopIteration) as error:
        return f"MNIST is left out ({error}); without it the notebooks use smaller digits."
    folder.mkdir(parents=True)
    for name in digits.FILES:
        shutil.copy(source / name, folder / name)
    return "MNIST is in it."


def main() -> int:
    try:
        make()
    except (SetupError, OSError) as error:
        say(f"bundle: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
