"""Make or repair .venv in the course's folder; do nothing when it is as it should be. Standard library only."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tools import progress

ROOT = Path(__file__).resolve().parents[1]
# PyTorch for Linux brings NVIDIA's libraries: 7 GB when installed, and pip keeps what it downloads for a while. Without
# them it is a guess: that build's index could not be reached where this was written.
NEEDED_GB = 10 if sys.platform.startswith("linux") else 3
NEEDED_GB_WITHOUT_GPU = 4
# PyTorch's own index of builds without GPU libraries. LATENTLIB_TORCH_INDEX names another; empty: the ordinary index.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = ("torch", "torchvision")
NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg")  # the last one is Windows' GPU under WSL
OFFLINE = "offline"  # the folder that tools/bundle.py makes, for machines without a network
MODULES = {  # where a package is imported under another name
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "umap-learn": "umap",
    "pillow": "PIL",
    "pytest-xdist": "xdist",
}
# Run inside .venv: exits 0 when each module named on the command line can be found there.
LOOK = """
import importlib.util, sys
sys.exit("missing: " + ", ".join(lost) if (lost := [n for n in sys.argv[1:] if not importlib.util.find_spec(n)]) else 0)
"""
# Run inside .venv: prints the packages of which a file is missing, as a killed install or a cleaning tool leaves them.
# Each package's own list is read: from Python 3.12 on, Distribution.files leaves out what is missing.
DAMAGED = """
import csv, importlib.metadata
for package in importlib.metadata.distributions():
    files = [row[0] for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if row]
    lost = any(not package.locate_file(file).exists() for file in files if not file.endswith(".pyc"))
    if package.metadata["Name"] and lost:
        print(package.metadata["Name"] + "==" + package.version)
"""


class SetupError(Exception):
    """One sentence for the person at the keyboard."""


def say(text: str) -> None:
    print(text, flush=True)


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def required_names(root: Path) -> list[str]:
    """The package names in requirements.txt, without versions and comments."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [m.group() for line in lines if (m := re.match(r"[A-Za-z][\w.-]*", line))]


def constraints_for(root: Path, version: str) -> Path | None:
    """constraints.txt when it was tested with this Python (as in 3.11.7) or an earlier patch of it, else None.

    A later patch is fine; for an earlier one, such as Debian's 3.11.2, not every package has the tested version.
    """
    path = root / "constraints.txt"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    tested = re.search(r"Tested with Python (\d+\.\d+)(?:\.(\d+))?", text)
    same = tested and version.rpartition(".")[0] == tested[1] and int(version.rpartition(".")[2]) >= int(tested[2] or 0)
    return path if same else None


def stamp_of(root: Path, version: str) -> str:
    """A hash of all that decides what .venv must hold, the folder's place and Python included."""
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    sections = re.findall(r"^\[(?:build-system|project|tool\.setuptools).*?(?=^\[|\Z)", pyproject, re.M | re.S)
    constraints = constraints_for(root, version)
    parts = [(root / "requirements.txt").read_text(encoding="utf-8"), *sections, str(root), version]
    parts.append(constraints.read_text(encoding="utf-8") if constraints else "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def version_of(venv: Path) -> str | None:
    """The version of .venv's own Python when it starts, is new enough and has pip; else None: then it is made anew."""
    question = "import sys, pip; print('%d.%d.%d' % sys.version_info[:3] if sys.prefix != sys.base_prefix else '')"
    try:
        answer = subprocess.run([python_of(venv), "-c", question], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = answer.stdout.strip()
    new_enough = answer.returncode == 0 and version and tuple(map(int, version.split(".")[:2])) >= (3, 10)
    return version if new_enough else None


def complete(root: Path, venv: Path) -> bool:
    """Whether every package of requirements.txt can be found from .venv's Python."""
    modules = [MODULES.get(name.lower(), name.lower().replace("-", "_")) for name in required_names(root)]
    try:
        return subprocess.run([python_of(venv), "-c", LOOK, *modules], capture_output=True, timeout=120).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def explain(errors: str) -> str:
    """What went wrong in pip, as one sentence with what to do."""
    if re.search(r"No space left|Errno 28|not enough space on the disk|WinError 112", errors, re.I):
        return f"The disk is full: the course needs about {NEEDED_GB} GB. Make room and run the same command again."
    if re.search(
        r"NewConnectionError|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|getaddrinfo|name resolution"
        r"|Network is unreachable|Connection refused|SSLError|Max retries",
        errors,
    ):
        return "pip cannot reach the package index: check the network (or the proxy) and run the same command again."
    if match := re.search(r"Could not find a version that satisfies the requirement (\S+)", errors):
        where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        return f"There is no release of {match[1]} for {where}; another Python (3.10 to 3.13) may have one."
    last = [line for line in errors.splitlines() if line.strip() and not line.startswith("WARNING")][-12:]
    return "pip could not install the course:\n    " + "\n    ".join(last)


def pip_install(venv: Path, root: Path, *arguments: str) -> None:
    command = [python_of(venv), "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2", *arguments]
    status, errors = progress.run(command, root, venv, say)
    if status:
        raise SetupError(explain(errors))


def torch_index(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> str | None:
    """The index from which PyTorch alone is taken; None for the ordinary one.

    The variable LATENTLIB_TORCH_INDEX decides. Without it: PyTorch's builds for the CPU on Linux without an NVIDIA GPU,
    where the ordinary build would bring 5 GB of libraries for one. Other systems' ordinary builds bring none.
    """
    if "LATENTLIB_TORCH_INDEX" in environment:
        return environment["LATENTLIB_TORCH_INDEX"].strip() or None
    return CPU_INDEX if system.startswith("linux") and not has_nvidia_gpu() else None


def has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or any(os.path.exists(path) for path in NVIDIA)


def torch_lines(root: Path) -> list[str]:
    """What requirements.txt says about PyTorch, such as "torch>=2.4"."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    return [line for line in found if re.split(r"[^\w.-]", line)[0] in TORCH]


def install_torch(root: Path, venv: Path, constraints: list[str]) -> None:
    """Take PyTorch from its own index where that is wanted and can be reached; else leave it to the ordinary index."""
    index, lines = torch_index(), torch_lines(root)
    if index is None or not lines:
        return
    say("No NVIDIA GPU here: taking PyTorch's build for the CPU ...")
    try:
        # Alone, without what it needs: that comes from the ordinary index. Tried once, so that nobody waits long.
        hurry = ("--retries", "0", "--timeout", "15")
        pip_install(venv, root, *hurry, "--no-deps", "--index-url", index, *lines, *constraints)
    except SetupError:
        say("  that index cannot be used from here: taking the ordinary build, with libraries for GPUs.")
        need_room(venv.parent, NEEDED_GB)


def offline_folder(root: Path, version: str) -> Path | None:
    """The folder with wheels in the course's, when it was made for this Python and system; says so when it was not."""
    folder = root / OFFLINE
    try:
        made_for = json.loads((folder / "made_for.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if made_for == machine(version):
        return folder
    there, here = (f"Python {m['python']} on {m['system']}" for m in (made_for, machine(version)))
    say(f"The folder {OFFLINE} was made for {there}, and this is {here}: it is not used.")
    return None


def machine(version: str) -> dict[str, str]:
    """What wheels must fit."""
    return {"python": version.rpartition(".")[0], "system": f"{platform.system()} {platform.machine()}"}


def create(venv: Path) -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                f"This Python ({sys.executable}) has no {module} module; on Debian and Ubuntu: apt install python3-venv"
            )
    need_room(venv.parent, min(NEEDED_GB, NEEDED_GB_WITHOUT_GPU) if torch_index() else NEEDED_GB)
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)
    say(f"Making {venv} with Python {platform.python_version()} ...")
    done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"Python could not make {venv}: {(done.stdout + done.stderr).strip()}")


def need_room(folder: Path, gigabytes: float) -> None:
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"The course needs about {gigabytes} GB of disk under {folder}; {free:.1f} GB are free. Make room."
        )


def fill(root: Path, venv: Path, version: str) -> None:
    """Install what requirements.txt names, then mend packages that lost files."""
    start = time.monotonic()
    constraints = ["-c", "constraints.txt"] if constraints_for(root, version) else []
    if not constraints:
        say(f"constraints.txt was not tested with Python {version}: taking the newest versions that fit the ranges.")
    bundle = offline_folder(root, version)
    source = ["--no-index", "--find-links", str(bundle / "wheels")] if bundle else []
    say("Installing the packages of requirements.txt" + (f" from the folder {OFFLINE} ..." if bundle else " ..."))
    # An older pip, as a new .venv has it, cannot read every release's metadata and then finds no solution.
    pip_install(venv, root, "--quiet", "--upgrade", "pip", *source, *constraints)
    if bundle:
        copy_data(bundle, root)
    else:
        install_torch(root, venv, constraints)
    pip_install(venv, root, "-r", "requirements.txt", *source, *constraints)
    found = subprocess.run([python_of(venv), "-c", DAMAGED], capture_output=True, text=True)
    if damaged := found.stdout.split():
        say("Mending " + ", ".join(damaged) + " ...")
        index = torch_index() if any("+" in package for package in damaged) else None  # such as torch==2.15.0+cpu
        source += ["--extra-index-url", index] if index and not bundle else []
        pip_install(venv, root, "--force-reinstall", "--no-deps", *source, *damaged)
    say(f"Installed in {progress.clock(time.monotonic() - start)}.")


def copy_data(bundle: Path, root: Path) -> None:
    """Put MNIST where a download would have put it, unless it is there."""
    source, target = bundle / "MNIST" / "raw", root / "data" / "cache" / "MNIST" / "raw"
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target)


def install(root: Path = ROOT) -> Path:
    """Make, complete or repair root/.venv and return its Python. Raises SetupError with one sentence.

    A .venv that starts is kept whatever Python (3.10 or newer) made it.
    """
    venv = root / ".venv"
    mark = venv / "latentlib-stamp"
    version = version_of(venv)
    had_all = version is not None and complete(root, venv)
    if had_all and mark.is_file() and mark.read_text() == stamp_of(root, version):
        return python_of(venv)
    if venv.exists():
        say("Updating .venv ..." if version else "The .venv does not start or is of an old Python: making it anew.")
    mark.unlink(missing_ok=True)
    if version is None:
        create(venv)
        version = platform.python_version()
    try:
        fill(root, venv, version)
    except SetupError as error:
        if not (had_all and "package index" in str(error)):
            raise
        say("No network: going on with the packages that are there.")
        return python_of(venv)
    if not complete(root, venv):
        raise SetupError(
            "The .venv is incomplete although pip reports success; delete .venv and run the command again."
        )
    mark.write_text(stamp_of(root, version))
    say(f"Ready: {venv}")
    return python_of(venv)


def main() -> int:
    try:
        install()
    except SetupError as error:
        say(f"setup: {error}")
        return 1
    except PermissionError as error:
        say(f"setup: no permission to write {error.filename}; move the course to a folder of your own.")
        return 1
    except OSError as error:
        say(f"setup: {explain(str(error))}")
        return 1
    except KeyboardInterrupt:
        say("\nsetup: stopped; the same command goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
