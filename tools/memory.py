"""What a process holds of the memory, in MB (10**6 bytes), and what a notebook may hold above `import torch`."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import NamedTuple

import psutil

ABOVE_IMPORT_MB = (
    360.0  # a notebook's peak above what `import torch` takes, which differs from build to build by 0.5 GB
)
PROGRAM_MB = 450.0  # program files count this much at most, see peak_of
IMPORT = "import os, torch; from tools.memory import held; print(torch.__version__, *held(os.getpid()))"


class Held(NamedTuple):
    """peak: the most since the start (on macOS: now). own: what nobody else shares, now (USS)."""

    peak: float
    own: float


def held(pid: int) -> Held:
    """Of one process; its children are not counted. Zeros for one that has ended."""
    try:
        process = psutil.Process(pid)
        if sys.platform.startswith("linux"):
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                peak = peak_of(status.read())
        else:
            known = process.memory_info()
            peak = getattr(known, "peak_wset", known.rss) / 1e6
        return Held(peak, process.memory_full_info().uss / 1e6)
    except (psutil.Error, OSError, KeyError):
        return Held(0.0, 0.0)


def peak_of(status: str) -> float:
    """The peak that Linux's /proc/PID/status tells, in MB; program files count PROGRAM_MB at most.

    Linux maps pages of a file beside those that are touched, as many as its page cache happens to hold in one piece: on
    one machine 410 MB at the end of a notebook, and 500 to 650 just after PyTorch was installed. It drops them when
    memory is scarce, so they say nothing about what a notebook needs.
    """
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    peak, files = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssFile"))
    return peak - max(0.0, files - PROGRAM_MB)


@functools.cache
def import_torch() -> tuple[str, Held]:
    """The version and build of PyTorch here, and what a fresh Python holds that has imported it."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    said = subprocess.run([sys.executable, "-c", IMPORT], cwd=root, check=True, capture_output=True, text=True).stdout
    version, peak, own = said.split()
    return version, Held(float(peak), float(own))
