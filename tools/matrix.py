"""The course on other Pythons: `python -m tools.matrix [ENVIRONMENT ...]`, with .venv's Python.

For one environment after another (all without a name): a fresh clone sets itself up as a learner's does, its unit tests
and one notebook run, and it is deleted, since each takes 7 GB. The environments:

    3.10  3.11  3.12  3.13    that Python, with the newest versions that fit the ranges of requirements.txt
    lowest                    the oldest Python, with the lowest versions that the ranges allow

With --only-set-up nothing is run; with --keep the clones stay in build/matrix.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tools import clone, pythons
from tools.course import ROOT
from tools.install import python_of

HOME = ROOT / "build" / "matrix"
LOWEST = "lowest"
ENVIRONMENTS = (*pythons.SUPPORTED, LOWEST)
OLDEST_PYTHON = pythons.SUPPORTED[0]
NEEDED_GB = 10
NOTEBOOK = "notebooks/01_compression.ipynb"


class Outcome(NamedTuple):
    """What one environment came to."""

    name: str
    verdict: str  # "passed", "FAILED" or "left out"
    note: str
    seconds: float


def lowest_versions(python: Path, course: Path) -> str:
    """Exact versions, the lowest that each range of requirements.txt allows, for this Python. Needs uv."""
    uv = shutil.which("uv") or fetched_uv()
    wanted = course / "wanted.txt"
    lines = (course / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted.write_text("\n".join(line for line in lines if not line.startswith("-e")), encoding="utf-8")
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--resolution", "lowest-direct"]
    command += ["--python", str(python), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True)
    wanted.unlink()
    if done.returncode:
        raise RuntimeError(f"uv found no versions: {done.stderr.strip()[-400:]}")
    return done.stdout


def fetched_uv() -> str:
    folder = HOME / "uv"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "uv"]
    subprocess.run(command, check=True)
    return str(folder / "bin" / ("uv.exe" if os.name == "nt" else "uv"))


def prepare(name: str, python: Path, course: Path) -> None:
    """Make a fresh clone whose set-up takes the versions that the environment is about, and set it up."""
    clone.copy(course)
    constraints = course / "constraints.txt"
    constraints.unlink()  # without it the newest versions are taken
    if name == LOWEST:
        found = lowest_versions(python, course)
        constraints.write_text(f"# Tested with Python {OLDEST_PYTHON}\n{found}", encoding="utf-8")
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    if subprocess.run([python, "-m", "tools.setup"], cwd=course, env=variables).returncode:
        raise RuntimeError("it could not be set up")


def run(course: Path) -> None:
    """The unit tests and one notebook in this clone. Raises RuntimeError when one fails."""
    tests = [str(path) for path in sorted((course / "tests").glob("test_*.py")) if "browser" not in path.name]
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clone.git("init", "--quiet", cwd=course)  # the tests of the set-up cell serve the clone by git
    command = [python_of(course / ".venv"), "-m", "tools.check", *tests, NOTEBOOK]
    if subprocess.run(command, cwd=course, env=variables).returncode:
        raise RuntimeError("tests failed, see above")


def try_one(name: str, only_set_up: bool, keep: bool) -> Outcome:
    """Build, test and remove one environment."""
    start = time.perf_counter()
    version = OLDEST_PYTHON if name == LOWEST else name
    python = pythons.find(version)
    if python is None:
        return Outcome(name, "left out", f"no Python {version} was found on this machine", 0.0)
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        return Outcome(name, "left out", f"it needs {NEEDED_GB} GB of disk, and {free:.1f} GB are free", 0.0)
    course = HOME / re.sub(r"\W", "-", name)
    shutil.rmtree(course, ignore_errors=True)
    print(f"\n=== {name}: Python {version} ({python})", flush=True)
    verdict, note = "passed", ""
    try:
        prepare(name, python, course)
        if not only_set_up:
            run(course)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        verdict, note = "FAILED", str(error)
    finally:
        if not keep:
            shutil.rmtree(course, ignore_errors=True)
    return Outcome(name, verdict, note, time.perf_counter() - start)


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if not argument.startswith("--")] or list(ENVIRONMENTS)
    if unknown := set(names) - set(ENVIRONMENTS) | set(arguments) - set(names) - {"--keep", "--only-set-up"}:
        print(f"matrix: there is no {', '.join(sorted(unknown))}; there are {', '.join(ENVIRONMENTS)}")
        return 2
    HOME.mkdir(parents=True, exist_ok=True)
    outcomes = [try_one(name, "--only-set-up" in arguments, "--keep" in arguments) for name in names]
    print("\n=== matrix")
    for outcome in outcomes:
        print(f"{outcome.verdict:8}  {outcome.name:8} {outcome.seconds:6.0f} s  {outcome.note}")
    counts = {verdict: sum(outcome.verdict == verdict for outcome in outcomes) for verdict in ("passed", "FAILED")}
    print(f"{counts['passed']} passed, {counts['FAILED']} failed, {len(outcomes) - sum(counts.values())} skipped")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
