"""How long a fresh Python takes to import each room of latentlib, beside ``import torch`` alone.

Run by ``make bench`` or alone: ``python benchmarks/bench_import.py``. The aim: at most 0.25 s beyond torch's own.
"""

from __future__ import annotations

import pkgutil
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

ROUNDS = 7
ALLOWED = 0.25  # seconds beyond torch


class Row(NamedTuple):
    """One line of the table: seconds of the room, seconds of torch alone, and room / torch."""

    name: str
    value: float
    peer: float
    ratio: float


def rooms() -> list[str]:
    """Every module of latentlib, the package itself first."""
    import latentlib

    return ["latentlib", *(found.name for found in pkgutil.walk_packages(latentlib.__path__, "latentlib."))]


def run(rounds: int = ROUNDS) -> list[Row]:
    """Median seconds from the start of a process to its end, rooms and torch taken turn by turn."""
    times: dict[str, list[float]] = {name: [] for name in ("torch", *rooms())}
    for turn in range(rounds + 1):
        for name, taken in times.items():
            start = time.perf_counter()
            # Rooms import torch too, so what a room costs is the difference to torch alone.
            subprocess.run([sys.executable, "-c", f"import torch; import {name}"], check=True)
            if turn:  # the first turn only fills the disk cache
                taken.append(time.perf_counter() - start)
    torch_alone = statistics.median(times.pop("torch"))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [
        Row(f"import {name}: s (peer: torch alone)", m, torch_alone, m / torch_alone) for name, m in medians.items()
    ]


if __name__ == "__main__":
    late = 0
    for row in run():
        beyond = row.value - row.peer
        late += beyond > ALLOWED
        mark = "  more than allowed" if beyond > ALLOWED else ""
        print(f"{row.name:60} {row.value:6.2f} {row.peer:6.2f} {beyond:+6.2f} s{mark}")
    sys.exit(1 if late else 0)
