"""The memory of a process in MB (10**6 bytes), and what a notebook may hold above `import torch`."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import psutil

ABOVE_IMPORT_MB = 360.0  # a notebook's peak above that of `import torch`, which differs by 0.5 GB from build to build
IMPORT = "import os, torch; from tools.memory import peak; print(peak(os.getpid()))"


def peak(pid: int) -> float:
    """The most since the start (on macOS: now) of one process without its children; 0 for one that has ended."""
    try:
        if sys.platform.startswith("linux"):
            return peak_of(Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace"))
        known = psutil.Process(pid).memory_info()
        return getattr(known, "peak_wset", known.rss) / 1e6
    except (psutil.Error, OSError, KeyError):
        return 0.0


def peak_of(status: str) -> float:
    """The peak in Linux's /proc/PID/status without pages of program files, which say nothing about a notebook's needs:
    they are shared, and how many are mapped differs from day to day (280 or 450 MB after `import torch`)."""
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    most, files = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssFile"))
    return most - files


def own(pid: int) -> float:
    """What this process alone holds now and would give back (USS); 0 for one that has ended."""
    try:
        return psutil.Process(pid).memory_full_info().uss / 1e6
    except psutil.Error:
        return 0.0


@functools.cache
def import_torch() -> float:
    """What a fresh Python has held that imports torch and nothing else."""
    root = Path(__file__).parents[1]
    return float(subprocess.run([sys.executable, "-c", IMPORT], cwd=root, check=True, capture_output=True).stdout)
