"""How long a Python that has torch takes to import each room of latentlib, beside ``import torch`` itself.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_import``. The aim: at most 0.25 s beyond torch's own.

A row: seconds of torch and the room, seconds of torch alone, and their ratio (1 is the least).
"""

from __future__ import annotations

import json
import os
import pkgutil
import statistics
import subprocess
import sys

from benchmarks.rows import LeftOut, Row

ROUNDS = 3
ALLOWED = 0.25  # seconds beyond torch

# One process imports torch; for each room a copy of it, which knows nothing of the other rooms, imports that.
TIMED = """
import importlib, json, os, sys, time
start = time.perf_counter()
import torch
taken = {"torch": time.perf_counter() - start}
for room in sys.argv[1:]:
    reader, writer = os.pipe()
    if not os.fork():
        start = time.perf_counter()
        importlib.import_module(room)
        os.write(writer, str(time.perf_counter() - start).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        taken[room] = float(answer.read())
    os.wait()
print(json.dumps(taken))
"""


def rooms() -> list[str]:
    """Every module of latentlib, the package itself first."""
    import latentlib

    return ["latentlib", *(found.name for found in pkgutil.walk_packages(latentlib.__path__, "latentlib."))]


def run(rounds: int = ROUNDS) -> list[Row]:
    """The median of a few rounds for each room; a first round fills the disk cache."""
    if not hasattr(os, "fork"):
        raise LeftOut("a process cannot be copied on this system")
    names, rows = rooms(), []
    seen = [
        json.loads(subprocess.run([sys.executable, "-c", TIMED, *names], check=True, capture_output=True).stdout)
        for _ in range(rounds + 1)
    ][1:]
    torch_alone = statistics.median(taken["torch"] for taken in seen)
    for name in names:
        whole = torch_alone + statistics.median(taken[name] for taken in seen)
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
