"""The most memory that a process and its children have held, in MB (10**6 bytes)."""

from __future__ import annotations

import sys
import threading

import psutil

BUDGET_MB = 1500.0
PROGRAM_MB = 450.0  # program files count this much at most, see peak_of


def held_mb(pid: int) -> float:
    """Peak of the process where the system tells (Linux, Windows), else what it holds now; plus its children's.

    A child with its parent's command line is a fork: what it holds is its parent's, and is not counted again.
    """
    try:
        process = psutil.Process(pid)
        programs = [child for child in process.children(recursive=True) if not _is_fork(child)]
    except psutil.Error:
        return 0.0
    return sum(_one(member) for member in [process, *programs])


def _is_fork(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
        return parent is not None and process.cmdline() == parent.cmdline()
    except psutil.Error:  # it has just ended
        return True


def _one(process: psutil.Process) -> float:
    try:
        if sys.platform == "win32":
            return process.memory_info().peak_wset / 1e6
        if sys.platform.startswith("linux"):
            with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
                return peak_of(status.read())
        return process.memory_info().rss / 1e6
    except (psutil.Error, OSError, KeyError):  # it has just ended
        return 0.0


def peak_of(status: str) -> float:
    """The peak that Linux's /proc/PID/status tells, in MB; program files count PROGRAM_MB at most.

    Linux maps pages of a file beside those that are touched, as many as its page cache happens to hold in one piece: on
    one machine 410 MB at the end of a notebook, and 500 to 650 just after PyTorch was installed. It drops them when
    memory is scarce, so they say nothing about what a notebook needs.
    """
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    peak, files = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssFile"))
    return peak - max(0.0, files - PROGRAM_MB)


class KernelWatch:
    """``with KernelWatch() as watch: ...`` then ``watch.peak_mb``: the largest process that was started inside."""

    def __init__(self, every: float = 0.05):
        self.every, self.peak_mb = every, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> KernelWatch:
        self._others = {child.pid for child in psutil.Process().children()}
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            for child in psutil.Process().children():
                if child.pid not in self._others and not _is_fork(child):
                    self.peak_mb = max(self.peak_mb, held_mb(child.pid))
