"""Everything that `make test` checks: `python -m tools.check`, or only some files: `python -m tools.check PATH ...`.

Style, unit tests with coverage, and every notebook cell by cell under nbval: with MNIST when LATENTLIB_DATA names a
folder that has it, and once more without any data or network on the digits that scikit-learn brings along.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tools import chromium
from tools.course import ROOT, lessons, solutions
from tools.memory import BUDGET_MB

LEAST_COVERAGE = 90  # per cent of latentlib's lines
CELL_TIMEOUT = 300  # seconds
WORKERS = "2"
KINDS = ("passed", "failed", "error", "skipped")


@dataclass
class Step:
    """What one part of the check came to."""

    name: str
    ok: bool
    seconds: float
    counts: dict[str, int]
    note: str = ""


def pytest(name: str, arguments: list[str], **environment: str | None) -> Step:
    """Run pytest, show its output as it comes, and read its closing line."""
    print(f"\n=== {name}", flush=True)
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
    settings = {key: value for key, value in settings.items() if value is not None}
    command = [sys.executable, "-m", "pytest", "-n", WORKERS, "--dist", "loadfile", *arguments]
    start, lines = time.perf_counter(), []
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True, errors="replace") as run:
        for line in run.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    counts = closing_counts(lines)
    note = next((line.strip() for line in lines if "coverage" in line.lower() and "%" in line), "")
    return Step(name, run.returncode == 0, time.perf_counter() - start, counts, note)


def closing_counts(lines: list[str]) -> dict[str, int]:
    """How many tests passed, failed and so on, from pytest's last line."""
    closing = next((line for line in reversed(lines) if re.search(r"\b(passed|failed|error|skipped)", line)), "")
    return {kind: int(match[1]) if (match := re.search(rf"(\d+) {kind}", closing)) else 0 for kind in KINDS}


def style() -> Step:
    print("\n=== style", flush=True)
    start = time.perf_counter()
    parts = (["check"], ["format", "--check"])
    codes = [subprocess.run([sys.executable, "-m", "ruff", *part], cwd=ROOT).returncode for part in parts]
    return Step("style", not any(codes), time.perf_counter() - start, dict.fromkeys(KINDS, 0))


def units(paths: list[Path]) -> Step:
    coverage = ["--cov=latentlib", "--cov-report=term-missing:skip-covered", f"--cov-fail-under={LEAST_COVERAGE}"]
    everything = not paths
    arguments = [*(coverage if everything else []), *map(str, paths or [ROOT / "tests"])]
    return pytest("unit and browser tests", arguments, OMP_NUM_THREADS="1")


def notebooks(paths: list[Path], name: str, **environment: str | None) -> Step:
    arguments = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
    arguments += [f"--nbval-cell-timeout={CELL_TIMEOUT}", f"--peak-memory-mb={BUDGET_MB}", "-p", "no:cacheprovider"]
    # A developer's own guesses must not stand on the cards that are compared.
    variables = {"OMP_NUM_THREADS": "1", "LATENTLIB_GUESSES": "off", **environment}
    return pytest(name, [*arguments, *map(str, paths)], **variables)


def data_folder() -> str | None:
    """LATENTLIB_DATA as an absolute path (kernels start in the notebooks' folder), or None when it is not set."""
    named = os.environ.get("LATENTLIB_DATA", "").strip()
    return str(Path(named).expanduser().resolve()) if named else None


def run_all(paths: list[Path]) -> tuple[list[Step], list[str]]:
    """The steps that the paths ask for (all without paths), and what was left out."""
    books = [path for path in paths if path.suffix == ".ipynb"]
    tests = [path for path in paths if path.suffix == ".py"]
    steps, left_out = [], []
    if not paths:
        steps.append(style())
        if chromium.find() is None and not chromium.required():
            left_out.append(
                "the browser tests: no Chromium was found on this machine (Chrome or Edge would do as well)"
            )
        books = [*lessons(), *solutions()]
    if tests or not paths:
        steps.append(units(tests))
    if books and (folder := data_folder()):
        steps.append(notebooks(books, "notebooks with MNIST", LATENTLIB_DATA=folder, LATENTLIB_OFFLINE="1"))
    elif books:
        left_out.append("the notebooks with MNIST: LATENTLIB_DATA does not name a folder that has it")
    if books:
        with tempfile.TemporaryDirectory() as empty:
            settings = {"LATENTLIB_DATA": None, "LATENTLIB_OFFLINE": "1", "LATENTLIB_CACHE": empty}
            steps.append(notebooks(books, "notebooks on the bundled digits, no network", **settings))
    return steps, left_out


def summary(steps: list[Step], left_out: list[str]) -> int:
    total = {kind: sum(step.counts[kind] for step in steps) for kind in KINDS}
    print("\n=== summary")
    for step in steps:
        counted = ", ".join(f"{count} {kind}" for kind, count in step.counts.items() if count)
        text = "; ".join(part for part in (counted, step.note) if part)
        print(f"{'ok    ' if step.ok else 'FAILED'}  {step.name:45} {step.seconds:6.0f} s  {text}")
    for text in left_out:
        print(f"left out: {text}")
    failed = total["failed"] + total["error"] + sum(not step.ok and not any(step.counts.values()) for step in steps)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped", flush=True)
    return 0 if all(step.ok for step in steps) and total["passed"] else 1


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments]
    for path in paths:
        if not path.is_file() or path.suffix not in (".ipynb", ".py"):
            print(f"check: {path} is no notebook and no test file")
            return 2
    return summary(*run_all(paths))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
