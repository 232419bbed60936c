"""Where Python interpreters of other versions are on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
QUESTION = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"


def find(version: str) -> Path | None:
    """The Python of this version, as in "3.13", that starts and can make virtual environments; None where none is.

    Looked at in turn: this one, what PATH names, those of pyenv, uv and the Windows launcher.
    """
    for command in _candidates(version):
        try:
            asked = subprocess.run([*command, "-c", QUESTION], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        said = asked.stdout.splitlines()
        if asked.returncode == 0 and said[:1] == [version]:
            return Path(said[1])
    return None


def _candidates(version: str) -> Iterator[list[str]]:
    yield [sys.executable]
    yield [f"python{version}"]
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(home.glob(f"{version}*"), reverse=True):
        yield [str(folder / ("python.exe" if os.name == "nt" else "bin/python"))]
    if uv := shutil.which("uv"):
        asked = subprocess.run([uv, "python", "find", "--no-python-downloads", version], capture_output=True, text=True)
        if asked.returncode == 0:
            yield [asked.stdout.strip()]
    if py := shutil.which("py"):
        yield [py, f"-{version}"]
