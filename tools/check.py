"""Everything that `make test` checks: `python -m tools.check`, or only some files: `python -m tools.check PATH ...`.

Style, unit and browser tests with coverage, and every notebook cell by cell under nbval: with MNIST when LATENTLIB_DATA
names a folder that has it, and once more as on a badly set up hub, without data, network, a home, or the right to write
into the course's folder, on the digits that scikit-learn brings along.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import jupyter_page
from tools.course import ROOT, copy, lessons, solutions
from tools.run import ABOVE_IMPORT_MB, use_data

PYTEST = ["pytest", "-q", "-n", "2", "--dist", "loadfile"]
COVERAGE = ["--cov=latentlib", "--cov-report=term-missing:skip-covered", "--cov-fail-under=90"]  # per cent of lines
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with=tests/nbval_sanitize.cfg", "-pno:cacheprovider"]
NBVAL += ["--nbval-cell-timeout=300", f"--above-import-mb={ABOVE_IMPORT_MB}"]  # seconds, MB


def step(name: str, *commands: list, root: Path = ROOT, **environment: str) -> str:
    """Run commands with this Python; gives a line for the summary.

    Elsewhere than in the course's folder, the superuser runs them without a superuser's rights.
    """
    bound = [] if root == ROOT or os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    print(f"\n=== {name}", flush=True)
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"} | environment
    start = time.perf_counter()
    commands = [[*bound, sys.executable, "-m", *map(str, command)] for command in commands]
    codes = [subprocess.run(command, cwd=root, env=settings).returncode for command in commands]
    return f"{'FAILED' if any(codes) else 'ok    '}  {name:64} {time.perf_counter() - start:6.0f} s"


def notebooks(paths: list[Path], name: str, root: Path = ROOT, **environment: str) -> str:
    return step(f"notebooks {name}", [*PYTEST, *NBVAL, *paths], root=root, LATENTLIB_OFFLINE="1", **environment)


def on_a_bad_hub(paths: list[Path]) -> str:
    """Linux: in a copy whose folders may not be written, with a HOME that is not there."""
    with tempfile.TemporaryDirectory() as name:
        if not shutil.which("setpriv") or not (ROOT / ".git").exists():
            return notebooks(paths, "on the bundled digits, no network", LATENTLIB_CACHE=name, LATENTLIB_DATA="")
        course = copy(Path(name) / "course")
        for folder in [course, *(path for path in course.rglob("*") if path.is_dir())]:
            folder.chmod(0o555)
        there = [course / path.relative_to(ROOT) if path.is_relative_to(ROOT) else path for path in paths]
        bare = {"HOME": f"{course}/nobody", "PYTHONPATH": str(course), "JUPYTER_RUNTIME_DIR": f"{name}/runtime"}
        return notebooks(there, "on the bundled digits, offline and read-only", course, LATENTLIB_DATA="", **bare)


def run_all(paths: list[Path]) -> list[str]:
    """The summary of the steps that the paths ask for (all without paths), and of what was left out."""
    books = [path for path in paths if path.suffix == ".ipynb"] if paths else [*lessons(), *solutions()]
    tests = [path for path in paths if path not in books]
    steps = [] if paths else [step("style", ["ruff", "check"], ["ruff", "format", "--check"])]
    if tests or not paths:
        steps.append(step("unit and browser tests", [*PYTEST, *(tests or [*COVERAGE, "tests"])]))
        if jupyter_page.chromium() is None and not jupyter_page.required():
            steps.append("left out: the browser tests: no Chromium was found on this machine (Chrome or Edge would do)")
    if books and use_data():
        steps.append(notebooks(books, "with MNIST"))
    elif books:
        steps.append("left out: the notebooks with MNIST: LATENTLIB_DATA does not name a folder that has it")
    if books:
        steps.append(on_a_bad_hub(books))
    return steps


def main(arguments: list[str]) -> int:
    steps = run_all([Path(argument).resolve() for argument in arguments])
    failed = any(line.startswith("FAILED") for line in steps)
    print("\n=== summary", *steps, "FAILED" if failed else "all passed", sep="\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
