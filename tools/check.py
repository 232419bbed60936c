"""Everything that `make test` checks: `python -m tools.check`, or only some files: `python -m tools.check PATH ...`.

Style, unit and browser tests with coverage, and every notebook cell by cell under nbval: with MNIST when LATENTLIB_DATA
names a folder that has it, and once more without any data or network on the digits that scikit-learn brings along.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tools import chromium
from tools.course import ROOT, lessons, solutions
from tools.memory import ABOVE_IMPORT_MB

LEAST_COVERAGE = 90  # per cent of latentlib's lines
CELL_TIMEOUT = 300  # seconds
PYTEST = ["pytest", "-q", "-n", "2", "--dist", "loadfile"]
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]


class Step(NamedTuple):
    """What one part of the check came to; closing: pytest's last line."""

    name: str
    ok: bool
    seconds: float
    closing: str = ""


def step(name: str, *commands: list, **environment: str | None) -> Step:
    """Run commands with this Python and show what they print as it comes. None takes a variable away."""
    print(f"\n=== {name}", flush=True)
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
    settings = {key: value for key, value in settings.items() if value is not None}
    start, ok, line = time.perf_counter(), True, ""
    for arguments in commands:
        command = [sys.executable, "-m", *map(str, arguments)]
        with subprocess.Popen(
            command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as run:
            for line in run.stdout:
                print(line, end="", flush=True)
        ok = ok and run.returncode == 0
    return Step(name, ok, time.perf_counter() - start, line.strip(" =\n") if re.search(r" in \d", line) else "")


def style() -> Step:
    return step("style", ["ruff", "check"], ["ruff", "format", "--check"])


def units(paths: list[Path]) -> Step:
    coverage = ["--cov=latentlib", "--cov-report=term-missing:skip-covered", f"--cov-fail-under={LEAST_COVERAGE}"]
    arguments = [*PYTEST, *(paths or [*coverage, "tests"])]
    return step("unit and browser tests", arguments, OMP_NUM_THREADS="1")


def notebooks(paths: list[Path], name: str, **environment: str | None) -> Step:
    arguments = [*PYTEST, "-p", "no:cacheprovider", *NBVAL, f"--nbval-cell-timeout={CELL_TIMEOUT}"]
    arguments += [f"--above-import-mb={ABOVE_IMPORT_MB}", *paths]
    # A developer's own guesses must not stand on the cards that are compared.
    return step(name, arguments, OMP_NUM_THREADS="1", LATENTLIB_GUESSES="off", LATENTLIB_OFFLINE="1", **environment)


def run_all(paths: list[Path]) -> tuple[list[Step], list[str]]:
    """The steps that the paths ask for (all without paths), and what was left out."""
    books = [path for path in paths if path.suffix == ".ipynb"] if paths else [*lessons(), *solutions()]
    tests = [path for path in paths if path not in books]
    steps = [] if paths else [style()]
    left_out = []
    if tests or not paths:
        steps.append(units(tests))
        if chromium.find() is None and not chromium.required():
            left_out.append("the browser tests: no Chromium was found on this machine (Chrome or Edge would do, too)")
    named = os.environ.get("LATENTLIB_DATA", "").strip()
    if books and named:
        folder = str(Path(named).expanduser().resolve())  # kernels start in the notebooks' folder
        steps.append(notebooks(books, "notebooks with MNIST", LATENTLIB_DATA=folder))
    elif books:
        left_out.append("the notebooks with MNIST: LATENTLIB_DATA does not name a folder that has it")
    if books:
        with tempfile.TemporaryDirectory() as empty:
            name = "notebooks on the bundled digits, no network"
            steps.append(notebooks(books, name, LATENTLIB_DATA=None, LATENTLIB_CACHE=empty))
    return steps, left_out


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments]
    if lost := [path for path in paths if not path.exists()]:
        print(f"check: there is no {lost[0]}")
        return 2
    steps, left_out = run_all(paths)
    print("\n=== summary")
    for name, ok, seconds, closing in steps:
        print(f"{'ok    ' if ok else 'FAILED'}  {name:45} {seconds:6.0f} s  {closing}")
    for text in left_out:
        print(f"left out: {text}")
    print("all passed" if all(step.ok for step in steps) else "FAILED", flush=True)
    return 0 if all(step.ok for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
