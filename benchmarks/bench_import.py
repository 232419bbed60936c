"""How long a Python takes to import torch and all that latentlib offers, beside ``import torch`` alone."""

import subprocess
import sys
from collections.abc import Callable

import latentlib
from benchmarks.rows import Row, turn_by_turn


def importing(*names: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", f"import {', '.join(names)}"], check=True)


def run(rounds: int = 3) -> list[Row]:
    """Seconds, from the start of the process to its end."""
    everything = [f"latentlib.{name}" for name in latentlib.__all__]
    taken = turn_by_turn(rounds, importing("torch", *everything), importing("torch"))
    return [Row("import torch and all of latentlib: s (peer: torch alone)", *taken)]
