"""How long a Python takes to import torch and each module of latentlib, beside ``import torch`` alone.

The aim: at most 0.25 s beyond torch's own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import latentlib
from benchmarks.rows import Row, turn_by_turn


def importing(names: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", f"import {names}"], check=True)


def run(rounds: int = 3) -> list[Row]:
    """Seconds, from the start of the process to its end."""
    acts = [importing(f"torch, latentlib.{name}") for name in latentlib.__all__]
    torch, *taken = turn_by_turn(rounds, importing("torch"), *acts)
    return [
        Row(f"import latentlib.{name}: s (peer: torch alone)", seconds, torch)
        for name, seconds in zip(latentlib.__all__, taken, strict=True)
    ]
