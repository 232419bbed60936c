"""Run the whole course: `python -m tools.run [NOTEBOOK ...] [NAME=VALUE ...]`, or make run PARAMS="fast=true seed=1".

Writes each executed notebook into build; prints seconds, the peak of memory (GB are 10**9 bytes), and how much of it is
above `import torch`. A notebook that fails names the cell and the error; the others still run, the exit status is 1.

`python -m tools.run --inplace [NOTEBOOK ...]`, or make refresh, stores them as they are committed, those of solutions
too: sets the badges, the set-up and the parameters cell, gives each picture the alt text that stands in its cell's
metadata ("alt": a text, or a list with one for each picture), drops what differs from run to run (timings, widget
states, kernel versions), says which rules are still broken. A notebook that fails is not stored.
"""

import functools
import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from tools.badges import apply
from tools.course import ROOT, lessons, solutions
from tools.rules import clean, problems

BUILD = ROOT / "build"
BUDGET_SECONDS = 60
ABOVE_IMPORT_MB = 360.0  # a notebook's peak above that of `import torch`, which differs by 0.5 GB from build to build
DEFAULTS = {"fast": False, "seed": 0, "device": "auto", "dataset": "auto"}
# Newer kernels warn that they talk over TCP without encryption: on one machine, and nothing that a learner can change.
QUIET = ["--IPKernelApp.log_level=ERROR"]


def peak(pid: int) -> float:
    """The most MB that a process without its children has held (on macOS: holds now); 0 for one that has ended."""
    try:
        if sys.platform.startswith("linux"):
            return peak_of(Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace"))
        known = psutil.Process(pid).memory_info()
        return getattr(known, "peak_wset", known.rss) / 1e6
    except (psutil.Error, OSError, KeyError):
        return 0.0


def peak_of(status: str) -> float:
    """The peak in Linux's /proc/PID/status without pages of program files, which say nothing about a notebook's needs:
    they are shared, and how many are mapped differs from day to day (280 or 450 MB after `import torch`)."""
    kilobytes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", status, re.M))
    return (int(kilobytes["VmHWM"]) - int(kilobytes["RssFile"])) * 1024 / 1e6


@functools.cache
def import_torch() -> float:
    """What a fresh Python has held that imports torch and nothing else."""
    command = [sys.executable, "-c", "import torch; input('imported\\n')"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as fresh:
        fresh.stdout.readline()
        held = peak(fresh.pid)
        fresh.communicate(b"\n")
    return held


@dataclass
class Result:
    """One notebook's run; the peak in MB."""

    name: str
    seconds: float = 0.0
    peak: float = 0.0
    error: str = ""

    @property
    def verdict(self) -> str:
        fits = self.seconds <= BUDGET_SECONDS and self.peak - import_torch() <= ABOVE_IMPORT_MB
        return f"FAILED  {self.error}" if self.error else "fits" if fits else "OVER"


def execute(notebook: nbformat.NotebookNode, folder: Path, name: str) -> Result:
    """Run every cell in a fresh kernel that starts in `folder`, in place, and watch its memory."""
    result = Result(name)

    def look(cell, cell_index, execute_reply):
        result.peak = max(result.peak, peak(client.km.provisioner.pid))
        if (reply := execute_reply["content"])["status"] == "error":
            result.error = f"cell {cell_index}: {reply['ename']}: {reply['evalue']}"

    place = {"metadata": {"path": str(folder)}}
    options = {"kernel_name": "python3", "extra_arguments": QUIET, "record_timing": False, "on_cell_executed": look}
    client = NotebookClient(notebook, timeout=600, resources=place, **options)
    start = time.perf_counter()
    try:
        client.execute()
    except Exception as error:  # also a kernel that died, a cell that never ended: the other notebooks go on
        result.error = result.error or f"{type(error).__name__}: {str(error).strip() or 'the kernel died'}"
    result.seconds = time.perf_counter() - start
    return result


def run(path: Path, parameters: dict[str, str]) -> Result:
    """Execute one notebook with these parameters into BUILD."""
    from papermill.iorw import load_notebook_node  # not above: Colab's imitation has no papermill
    from papermill.parameterize import parameterize_notebook

    notebook = load_notebook_node(str(path))
    if parameters:
        notebook = parameterize_notebook(notebook, parameters)
    result = execute(notebook, path.parent, path.stem)
    notebook.metadata.pop("widgets", None)
    BUILD.mkdir(exist_ok=True)
    nbformat.write(notebook, BUILD / path.name)
    return result


def refresh(path: Path) -> Result:
    """Run and store one notebook; what it breaks is an error, too."""
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path])
    notebook = apply(nbformat.read(path, as_version=4), path.relative_to(ROOT).as_posix())
    result = execute(notebook, path.parent, path.stem)
    if not result.error:
        nbformat.write(clean(notebook), path)
        result.error = "; ".join(problems(path))
    return result


def header() -> str:
    """The machine, and what stands above the rows: the budgets, too."""
    machine = f"PyTorch {importlib.metadata.version('torch')}, Python {platform.python_version()}, {platform.system()}"
    return (
        f"{machine}; import torch: peak {import_torch() / 1e3:.2f} GB\n"
        f"{'notebook':28} {'seconds':>8} {'peak':>8} {'above import':>13}\n"
        f"{'budget':28} {BUDGET_SECONDS:8d} {'':>8} {ABOVE_IMPORT_MB / 1e3:10.2f} GB"
    )


def row(result: Result) -> str:
    """Seconds, memory in GB, and whether that fits the budgets."""
    most, above = result.peak / 1e3, (result.peak - import_torch()) / 1e3
    return f"{result.name:28} {result.seconds:8.1f} {most:5.2f} GB {above:10.2f} GB   {result.verdict}"


def use_data() -> bool:
    """Whether LATENTLIB_DATA is set; then from anywhere, since kernels start in the notebooks' folder."""
    if folder := os.environ.get("LATENTLIB_DATA", "").strip():
        os.environ["LATENTLIB_DATA"] = str(Path(folder).expanduser().resolve())
    return bool(folder)


def main(arguments: list[str]) -> int:
    from latentlib import settings  # not above: Colab's imitation has a course of its own

    inplace = "--inplace" in arguments
    paths = [Path(argument).resolve() for argument in arguments if argument.endswith(".ipynb")]
    given = [argument for argument in arguments if not argument.endswith(".ipynb") and argument != "--inplace"]
    parameters = dict(argument.partition("=")[::2] for argument in given)
    try:
        if inplace and parameters:
            raise ValueError("what is stored has the parameters that stand in the notebook")
        settings.parameters(**DEFAULTS | parameters)
    except (TypeError, ValueError) as error:
        print(f"run: {error}; there are the parameters {', '.join(DEFAULTS)}")
        return 2
    if not use_data() and inplace:
        print("LATENTLIB_DATA is not set; committed outputs are those with MNIST, which is downloaded if need be.")
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    print(header(), flush=True)
    failed = False
    for path in paths or [*lessons(), *(solutions() if inplace else [])]:
        result = refresh(path) if inplace else run(path, parameters)
        failed |= bool(result.error)
        print(row(result), flush=True)
    if not inplace:
        print(f"The executed notebooks lie in {BUILD}.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
