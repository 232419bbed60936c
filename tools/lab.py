"""Open JupyterLab on the first notebook: `python -m tools.lab` with .venv's Python. Arguments go to JupyterLab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.course import ROOT

FIRST = "notebooks/00_start_here.ipynb"


def has_screen(environment: dict[str, str], platform: str = sys.platform) -> bool:
    """Whether a browser can open here: Windows and macOS unless over ssh, Linux with a display."""
    if platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def main(arguments: list[str]) -> int:
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}"]
    command += [f"--LabApp.default_url=/lab/tree/{FIRST}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    environment = dict(os.environ)
    if not has_screen(environment):
        print("No screen here: open the address that JupyterLab prints below in a browser. Ctrl+C ends it.", flush=True)
        command.append("--no-browser")
    # Notebooks that start `python` or `jupyter` in a shell find those of .venv, without anything being activated.
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment.get("PATH", "")
    try:
        return subprocess.call([*command, *arguments], env=environment, cwd=ROOT)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
