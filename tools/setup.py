"""Make .venv with all that the course needs: `python -m tools.setup`, with Python 3.11 or newer (make does it, too).

Does nothing when .venv was made from what pyproject.toml and constraints.txt say now. Takes uv when it is there, and
the folder `offline` instead of a network when it is there (docs/troubleshooting.md says how to fill it).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
OFFLINE = ROOT / "offline"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "latentlib-stamp"
WANTED = ["-r", "requirements.txt", "-c", "constraints.txt"]
# PyTorch's own index: on Linux without an NVIDIA GPU the ordinary build would bring 5 GB of libraries for one.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NVIDIA = ["/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg"]  # the last one is Windows' GPU under WSL


def stamp():
    """All that decides what .venv must hold, the folder's place included."""
    names = ("pyproject.toml", "requirements.txt", "constraints.txt")
    return "\n".join([str(ROOT), *((ROOT / name).read_text(encoding="utf-8") for name in names)])


def starts():
    """Whether .venv's Python runs, is new enough and has pip."""
    question = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([PYTHON, "-c", question], capture_output=True).returncode == 0
    except OSError:
        return False


def install(*arguments, hurry=False):
    """Whether pip, or uv where it is there, could install this; what went wrong it says itself.

    hurry: one try of 15 seconds, for what can be had elsewhere.
    """
    uv, environment = shutil.which("uv"), dict(os.environ)
    command = [uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install"]
    if hurry:
        environment.update(PIP_RETRIES="0", PIP_TIMEOUT="15", UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="15")
    command += ["--no-index", "--find-links", OFFLINE] if OFFLINE.is_dir() else []
    return subprocess.run([*command, *arguments], cwd=ROOT, env=environment).returncode == 0


def make():
    """Make or complete .venv. SystemExit with one sentence when that is not possible."""
    if not starts():
        print(f"Making .venv with Python {sys.version.split()[0]} ...", flush=True)
        uv = shutil.which("uv")
        with_uv, without = [uv, "venv", "--seed", "--python", sys.executable], [sys.executable, "-m", "venv"]
        if subprocess.run([*(with_uv if uv else without), "--clear", VENV]).returncode:
            sys.exit("setup: Python could not make the folder .venv, see above.")
    install("--quiet", "--upgrade", "pip")  # that of a new .venv cannot read every release's metadata
    gpu = shutil.which("nvidia-smi") or any(os.path.exists(path) for path in NVIDIA)
    if sys.platform.startswith("linux") and not gpu and not OFFLINE.is_dir():
        print("No NVIDIA GPU here: taking PyTorch's build for the CPU ...", flush=True)
        alone = ("--no-deps", "--index-url", CPU_INDEX, "-c", "constraints.txt", "torch", "torchvision")
        if not install(*alone, hurry=True):
            print("That index cannot be used from here: taking the ordinary build, with 5 GB for GPUs.", flush=True)
    if not install(*WANTED):
        sys.exit(
            "setup: the packages could not be installed, see above. Is there a network, and room on the disk (10 GB on "
            "Linux with an NVIDIA GPU, else 3)? The same command goes on from here."
        )
    STAMP.write_text(stamp(), encoding="utf-8")
    print(f"Ready: {VENV}")


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 (older ones come here, too)
        this = sys.version.split()[0]
        sys.exit(f"The course needs Python 3.11 or newer, and this is {this}; name another: make PYTHON=python3.13 lab")
    try:
        if not (starts() and STAMP.is_file() and STAMP.read_text(encoding="utf-8") == stamp()):
            make()
    except PermissionError as error:
        sys.exit(f"setup: {error.filename} may not be written; move the course to a folder of your own.")
    except KeyboardInterrupt:
        sys.exit("\nsetup: stopped; the same command goes on from here.")


if __name__ == "__main__":
    main()
