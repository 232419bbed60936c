"""Notebook 01 with half a core's time, as in a small container: with as many threads as latentlib starts there, beside
as many as PyTorch would, which counts the cores that it sees and not the time that it gets.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import LeftOut, Row
from latentlib.settings import THREADS, WAITING
from tools.course import ROOT, lessons

TIMED = """
import os, pathlib, sys
pathlib.Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
import nbformat
from tools.run import execute
path = pathlib.Path(sys.argv[2])
result = execute(nbformat.read(path, as_version=4), path.parent, path.stem)
sys.exit(result.error or print(result.seconds))
"""


@contextlib.contextmanager
def control_group(cores: float) -> Iterator[Path]:
    """A real group with so many cores' time, for what writes its number into cgroup.procs there (Linux, as root)."""
    old = Path("/sys/fs/cgroup/cpu")  # version 1 of control groups
    group = (old if old.is_dir() else old.parent) / f"latentlib-{os.getpid()}"
    try:
        try:
            group.mkdir()
            (group / "cpu.cfs_quota_us" if old.is_dir() else group / "cpu.max").write_text(f"{cores * 100_000:.0f}")
        except OSError as error:
            raise LeftOut(f"no control group with a quota can be made here: {error}") from error
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def run() -> list[Row]:
    """Seconds of the whole notebook, its kernel's start included, once each."""
    path = lessons()[1]
    free = {name: value for name, value in os.environ.items() if name not in (*THREADS, *WAITING)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1

    def seconds(**settings: str) -> float:
        command = [sys.executable, "-c", TIMED, group, path]
        return float(subprocess.run(command, cwd=ROOT, env=free | settings, check=True, capture_output=True).stdout)

    with control_group(0.5) as group:
        ours, theirs = seconds(), seconds(OMP_NUM_THREADS=str(cores))
    return [Row(f"{path.stem} with half a core: s (peer: {cores} threads)", ours, theirs)]
