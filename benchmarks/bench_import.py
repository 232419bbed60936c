"""How long a Python that has torch takes to import each module of latentlib, beside ``import torch`` itself.

One process imports torch; for each module a copy of it, which knows nothing of the others, imports that. The aim: at
most 0.25 s beyond torch's own.
"""

from __future__ import annotations

import json
import os
import pkgutil
import statistics
import subprocess
import sys

import latentlib
from benchmarks.rows import LeftOut, Row

TIMED = """
import importlib, json, os, sys, time
start = time.perf_counter()
import torch
taken = {"torch": time.perf_counter() - start}
for module in sys.argv[1:]:
    reader, writer = os.pipe()
    if not os.fork():
        start = time.perf_counter()
        importlib.import_module(module)
        os.write(writer, str(time.perf_counter() - start).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        taken[module] = float(answer.read())
    os.wait()
print(json.dumps(taken))
"""


def run(rounds: int = 3) -> list[Row]:
    """The median of a few rounds for each module; a first round fills the disk cache."""
    if not hasattr(os, "fork"):
        raise LeftOut("a process cannot be copied on this system")
    names = ["latentlib", *(found.name for found in pkgutil.walk_packages(latentlib.__path__, "latentlib."))]
    command = [sys.executable, "-c", TIMED, *names]
    seen = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds + 1)][1:]
    median = {name: statistics.median(taken[name] for taken in seen) for name in ("torch", *names)}
    rows = [
        Row(f"import {name}: s (peer: torch alone)", median["torch"] + median[name], median["torch"]) for name in names
    ]
    return sorted(rows, key=lambda row: -row.value)
