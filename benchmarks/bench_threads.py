"""How long a job takes alone, beside itself, and beside a busy process: with the short spin of latentlib and without.

Run by ``make bench`` with a small training as the job, or alone with a notebook, on a machine that does nothing else:
``python -m benchmarks.bench_threads 01_compression 3`` (a notebook's name, how many rounds). With the word ``short``
behind it the default is measured alone only: beside others it takes an hour. Each run is a fresh process that may use
all cores; the arms take turns, and each figure is the median of the rounds. The aims on two cores: alone at most 1.1
times the default, two at once at most 2.5 times as long as one alone, beside a busy process at most twice as long.

In the first row the ratio is value / peer; in the others it is value / our own time alone. Less is better.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rows import Row
from latentlib.settings import SPIN, WAITING

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
# Batches as in the course: so small that the threads meet some thousand times a second.
TRAINING = """
import torch
from latentlib.models.autoencoder import Autoencoder
from latentlib.fit import fit
torch.manual_seed(0)
fit(Autoencoder(30), torch.rand(20_000, 1, 28, 28), epochs=2, batch_size=256, learning_rate=1e-3)
"""
NOTEBOOK = """
import sys, nbclient, nbformat
notebook = nbformat.read("notebooks/{name}.ipynb", as_version=4)
where = {{"metadata": {{"path": "notebooks"}}}}
nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=where).execute()
"""
DEFAULT = {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}  # what the libraries take when nobody says anything


def start(code: str, default: bool) -> subprocess.Popen:
    """A fresh process, with the variables that latentlib sets or with the libraries' defaults."""
    environment = {name: value for name, value in os.environ.items() if name not in (*WAITING, "OMP_NUM_THREADS")}
    environment |= DEFAULT if default else SPIN
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def seconds(code: str, default: bool, copies: int = 1, busy: bool = False) -> float:
    """Until the last of the copies is done. Raises RuntimeError when one fails."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    begin = time.perf_counter()
    jobs = [start(code, default) for _ in range(copies)]
    try:
        if any(job.wait() for job in jobs):
            raise RuntimeError("the job failed; run it alone to see why")
    finally:
        for process in [*jobs, *([neighbour] if neighbour else [])]:
            process.kill()
            process.wait()
    return time.perf_counter() - begin


def run(notebook: str | None = None, rounds: int = 1, short: bool = False) -> list[Row]:
    """Seconds alone, two at once (the later of the two), and beside a busy process; peer: PyTorch's default waiting.

    short: the default alone only; its other figures are nan
    """
    code = NOTEBOOK.format(name=notebook) if notebook else TRAINING
    arms = {"alone": {}, "two at once": {"copies": 2}, "beside a busy process": {"busy": True}}
    taken: dict[tuple[str, bool], list[float]] = {(name, default): [] for name in arms for default in (False, True)}
    for _ in range(rounds):
        for name, default in taken:
            left_out = short and default and name != "alone"
            taken[name, default].append(float("nan") if left_out else seconds(code, default, **arms[name]))
    median = {arm: statistics.median(times) for arm, times in taken.items()}
    job = notebook or "a small training"
    return [
        Row(
            f"{job}, {name}: s (peer: PyTorch's default waiting)",
            median[name, False],
            median[name, True],
            median[name, False] / (median[name, True] if name == "alone" else median["alone", False]),
        )
        for name in arms
    ]


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "short"]
    rounds = int(words[1]) if words[1:] else ROUNDS
    for row in run(words[0] if words else None, rounds, short="short" in sys.argv):
        print(f"{row.name:72} {row.value:8.1f} {row.peer:8.1f} {row.ratio:6.2f}×")
