"""How long a fresh Python takes to import each room of latentlib, beside ``import torch`` in the same process.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_import``. The aim: at most 0.25 s beyond torch's own.

A row: seconds of torch and the room, seconds of torch alone, and their ratio (1 is the least).
"""

from __future__ import annotations

import json
import pkgutil
import statistics
import subprocess
import sys

from benchmarks.rows import Row

ROUNDS = 3
ALLOWED = 0.25  # seconds beyond torch

TIMED = """
import json, time
start = time.perf_counter()
import torch
between = time.perf_counter()
import {room}
print(json.dumps([between - start, time.perf_counter() - between]))
"""


def rooms() -> list[str]:
    """Every module of latentlib, the package itself first."""
    import latentlib

    return ["latentlib", *(found.name for found in pkgutil.walk_packages(latentlib.__path__, "latentlib."))]


def run(rounds: int = ROUNDS) -> list[Row]:
    """The median of a few fresh processes for each room, taken turn by turn; the first turn fills the disk cache."""
    times: dict[str, list[list[float]]] = {name: [] for name in rooms()}
    for turn in range(rounds + 1):
        for name, taken in times.items():
            if turn == 0 and name != "latentlib.widgets":  # it imports most others
                continue
            command = [sys.executable, "-c", TIMED.format(room=name)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            if turn:
                taken.append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for name, taken in times.items():
        torch_alone, beyond = (statistics.median(column) for column in zip(*taken, strict=True))
        whole = torch_alone + beyond
        rows.append(Row(f"import {name}: s (peer: torch alone)", whole, torch_alone, whole / torch_alone))
    return rows


if __name__ == "__main__":
    late = 0
    for row in run():
        beyond = row.value - row.peer
        late += beyond > ALLOWED
        mark = "  more than allowed" if beyond > ALLOWED else ""
        print(f"{row.name:60} {row.value:6.2f} {row.peer:6.2f} {beyond:+6.2f} s{mark}")
    sys.exit(1 if late else 0)
