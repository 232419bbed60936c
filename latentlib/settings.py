"""What must be decided before PyTorch is loaded, where files lie, and what a notebook's parameters mean.

Only the standard library is imported here. A setting that the learner has made already, in the shell or in a cell,
stays as it is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

# How long a thread that has nothing to do goes round a loop before it sleeps. GNU's do 300,000 rounds unless told
# otherwise, Intel's and LLVM's go on for 200 ms. Where two notebooks share two cores, each then waits for threads that
# only wait, and takes ten times as long as alone. A short spin costs little; benchmarks/bench_threads.py measures it.
SPIN = {
    "GOMP_SPINCOUNT": "1000",  # GNU: rounds. PyTorch on Linux
    "KMP_BLOCKTIME": "0",  # Intel and LLVM: milliseconds. PyTorch on macOS, Windows and from conda-forge
}
WAITING = ("OMP_WAIT_POLICY", *SPIN)  # who sets one of these has decided how threads wait
FALLBACK = {
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",  # what Apple's GPUs cannot do yet is done on the CPU instead of failing
}
_CLONE = Path(__file__).resolve().parents[1]


def set_variables(environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Set in the environment what is not decided there yet; gives what was set."""
    wanted = dict(FALLBACK)
    if not any(name in environment for name in WAITING):
        wanted |= SPIN
    made = {name: value for name, value in wanted.items() if name not in environment}
    environment.update(made)
    return made


def data_folder() -> Path | None:
    """The folder named by ``LATENTLIB_DATA``, or None when the variable is not set.

    Raises FileNotFoundError with one sentence when the variable names something that is not a folder.
    """
    name = os.environ.get("LATENTLIB_DATA", "").strip()
    if not name:
        return None
    path = Path(name).expanduser()
    # A kernel starts in the notebook's folder, so a relative path may also be meant from the clone's root.
    for folder in (path.resolve(), (_CLONE / path).resolve()):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"LATENTLIB_DATA names {path}, which is not a folder; correct it or unset it")


def cache_folder() -> Path:
    """Where downloads are kept; made on first use. Where that folder may not be written, a temporary one."""
    in_clone = (_CLONE / "pyproject.toml").is_file()
    usual = _CLONE / "data" / "cache" if in_clone else Path.home() / ".cache" / "latentlib"
    named = os.environ.get("LATENTLIB_CACHE", "").strip()
    folder = Path(named).expanduser().resolve() if named else usual
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "latentlib"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def offline() -> bool:
    """True when ``LATENTLIB_OFFLINE`` forbids the network."""
    return os.environ.get("LATENTLIB_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")
