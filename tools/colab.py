"""Colab, imitated on this machine: Python 3.13 and the versions of constraints-colab.txt, in build/colab.

    python -m tools.colab [NOTEBOOK ...]      each notebook alone in an empty folder, fetched by its own set-up cell
    python -m tools.colab --tests [TEST ...]  the unit tests, the widgets' Python side among them, with these versions
    python -m tools.colab --remove            delete the environment (6 GB), which is kept until then

What is imitated: Python, packages, the module google.colab, and that the course comes from a git server. What is not:
Colab's page and its JavaScript, its GPU, its network. Exit status 77: left out here, with a sentence that says why.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from tools import clone, pythons
from tools.badges import tagged
from tools.course import ROOT, lessons, setting
from tools.install import python_of
from tools.memory import BUDGET_MB
from tools.run_course import PROBE, QUESTION, Result, table, tidy

VERSION = "3.13"
VERSIONS = ROOT / "constraints-colab.txt"
HOME = ROOT / "build" / "colab"
NEEDED_GB = 8
LEFT_OUT = 77  # the exit status that test runners take for "skipped"
# On Colab too, but with versions that were not read; the first three run the notebooks.
BESIDE = ("nbclient", "nbformat", "psutil", "safetensors", "pillow")
STUB = '''"""Enough of Colab's module for the set-up cell."""
managers = 0


def enable_custom_widget_manager():
    global managers
    managers += 1
'''
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
try:
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
finally:
    nbformat.write(notebook, sys.argv[1])
"""
PACKAGES = """
import importlib.metadata, json
print(json.dumps({p.metadata["Name"]: p.version for p in importlib.metadata.distributions() if p.metadata["Name"]}))
"""


class Unavailable(Exception):
    """One sentence on why the imitation cannot be made here."""


def environment() -> Path:
    """The Python of the imitation, which is made or renewed when need be. Raises Unavailable."""
    folder, mark = HOME / "venv", HOME / "stamp"
    wanted = hashlib.sha256("\0".join([VERSIONS.read_text(encoding="utf-8"), *BESIDE]).encode()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return python_of(folder)
    shutil.rmtree(HOME, ignore_errors=True)
    python = pythons.find(VERSION)
    if python is None:
        raise Unavailable(f"no Python {VERSION} was found on this machine")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        raise Unavailable(f"it needs {NEEDED_GB} GB of disk, and {free:.1f} GB are free")
    HOME.mkdir(parents=True)
    print(f"Making Colab's environment in {HOME} ...", flush=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip_install(python_of(folder), "-r", VERSIONS, *BESIDE)
    mark.write_text(wanted)
    return python_of(folder)


def pip_install(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Unavailable("pip could not install Colab's packages: " + done.stderr.strip()[-500:])


def packages(python: Path) -> dict[str, str]:
    """Name and version of all that is installed."""
    return json.loads(subprocess.run([python, "-c", PACKAGES], check=True, capture_output=True, text=True).stdout)


def settings(folder: Path, server: str) -> dict[str, str]:
    """The environment variables of a fresh Colab machine, whose IPython has imported google.colab at its start."""
    stub = folder / "stub" / "google" / "colab"
    startup = folder / "ipython" / "profile_default" / "startup"
    for made in (stub, startup):
        made.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "output.py").write_text(STUB, encoding="utf-8")
    (startup / "00-colab.py").write_text("import google.colab\n", encoding="utf-8")
    dropped = ("LATENTLIB_", "PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_", "MPLBACKEND")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    data = os.environ.get("LATENTLIB_DATA", "").strip()
    return {
        **kept,
        **({"LATENTLIB_DATA": str(Path(data).expanduser().resolve())} if data else {}),
        "LATENTLIB_OFFLINE": "1",
        "LATENTLIB_CACHE": str(folder / "cache"),
        "LATENTLIB_REPOSITORY": server,
        "PYTHONPATH": str(folder / "stub"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
    }


def run(path: Path, python: Path, server: str, kept: Path | None = None) -> Result:
    """Run one notebook alone in an empty folder and say what went wrong there, if anything did."""
    result = Result(path)
    before = packages(python)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION, metadata={"tags": [PROBE]}))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        alone = Path(folder) / "content" / path.name
        alone.parent.mkdir()
        nbformat.write(notebook, alone)
        start = time.perf_counter()
        done = subprocess.run(
            [python, "-c", RUN, alone],
            cwd=alone.parent,
            env=settings(Path(folder), server),
            capture_output=True,
            text=True,
        )
        result.seconds = time.perf_counter() - start
        result.notebook = tidy(nbformat.read(alone, as_version=4))
    result.peak_mb = result.notebook.metadata.pop("peak_mb", 0.0)
    if done.returncode:
        result.error = error_in(result.notebook) or (done.stderr.strip().splitlines() or ["it stopped"])[-1]
    else:
        result.error = "; ".join([*wrong_set_up(result.notebook), *changed(before, packages(python))])
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        nbformat.write(result.notebook, kept / path.name)
    return result


def error_in(notebook: nbformat.NotebookNode) -> str:
    """Which cell failed and how, or nothing."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number}: {output.ename}: {output.evalue}"
    return ""


def wrong_set_up(notebook: nbformat.NotebookNode) -> list[str]:
    """What the set-up cell should have said in one line and did not."""
    said = "".join(output.get("text", "") for output in tagged(notebook, "setup")[0].outputs)
    folder = setting("slug").split("/")[-1]
    wanted = rf"Ready: fetched the course into the folder {re.escape(folder)}(; installed .+)?; switched on .+\n"
    return [] if re.fullmatch(wanted, said) else [f"the set-up cell said {said!r}"]


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The packages of Colab that the notebook replaced or removed; what it added is no harm."""
    return [
        f"{name} {version} became {after.get(name, 'nothing')}"
        for name, version in before.items()
        if after.get(name) != version
    ]


def run_notebooks(python: Path, paths: list[Path]) -> int:
    """Run these notebooks, print the table, and keep them with their outputs in build/colab/notebooks."""
    results = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = clone.serve(Path(folder))
        for path in paths:
            results.append(run(path, python, server, HOME / "notebooks"))
            print(table(results[-1:]).partition("\n")[2], flush=True)
    failed = [result for result in results if result.error or result.peak_mb > BUDGET_MB]
    print(f"\nColab, imitated\n{table(results)}\n{len(results) - len(failed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


def run_tests(python: Path, arguments: list[str]) -> int:
    """Run the unit tests with Colab's versions; what only the tests need is added, and changes none of them."""
    before = packages(python)
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(line for line in lines if not line.startswith("-e")), encoding="utf-8")
        pip_install(python, "-c", VERSIONS, "-r", wanted)
    if wrong := changed(before, packages(python)):
        raise Unavailable("the packages for the tests do not fit Colab's: " + "; ".join(wrong))
    without_browser = [f"--ignore={path}" for path in (ROOT / "tests").glob("test_browser*.py")]
    command = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    return subprocess.run([*command, *(arguments or [*without_browser, "tests"])], cwd=ROOT, env=variables).returncode


def main(arguments: list[str]) -> int:
    if arguments == ["--remove"]:
        shutil.rmtree(HOME, ignore_errors=True)
        return 0
    tests = arguments[:1] == ["--tests"]
    paths = [Path(argument).resolve() for argument in arguments[tests:]]
    if lost := [path for path in paths if not path.is_file()]:
        print(f"colab: there is no {lost[0]}")
        return 2
    try:
        python = environment()
        return run_tests(python, [*map(str, paths)]) if tests else run_notebooks(python, paths or lessons())
    except Unavailable as reason:
        print(f"left out: Colab, imitated: {reason}", flush=True)
        return LEFT_OUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
