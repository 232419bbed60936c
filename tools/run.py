"""Run the whole course: `python -m tools.run [NOTEBOOK ...] [NAME=VALUE ...]`, or make run PARAMS="fast=true seed=1".

Writes each executed notebook into build; prints seconds, the peak of memory, how much of it is above `import torch`,
and the kernel's own memory (USS). A notebook that fails names the cell and the error; the others still run; the exit
status is then 1.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tools.badges import tagged
from tools.course import ROOT, lessons
from tools.memory import ABOVE_IMPORT_MB, import_torch, own, peak

BUILD = ROOT / "build"
BUDGET_SECONDS = 60
DEFAULTS = {"fast": False, "seed": 0, "device": "auto", "dataset": "auto"}
# Newer kernels warn that they talk over TCP without encryption: on one machine, and nothing that a learner can change.
QUIET = ["--IPKernelApp.log_level=ERROR"]


@dataclass
class Result:
    """One notebook's run; peak, and the most after a cell that was its own (USS), in MB."""

    name: str
    seconds: float = 0.0
    peak: float = 0.0
    own: float = 0.0
    error: str = ""

    @property
    def verdict(self) -> str:
        fits = self.seconds <= BUDGET_SECONDS and self.peak - import_torch() <= ABOVE_IMPORT_MB
        return f"FAILED  {self.error}" if self.error else "fits" if fits else "OVER"


def execute(notebook: nbformat.NotebookNode, folder: Path, name: str) -> Result:
    """Run every cell in a fresh kernel that starts in `folder`, in place, and watch its memory."""
    result = Result(name)

    def look(cell, cell_index, execute_reply):
        kernel = client.km.provisioner.pid
        result.peak, result.own = max(result.peak, peak(kernel)), max(result.own, own(kernel))
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
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        lines = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())])
        place = notebook.cells.index(tagged(notebook, "parameters")[0]) + 1
        notebook.cells.insert(place, nbformat.v4.new_code_cell(lines, metadata={"tags": ["injected-parameters"]}))
    result = execute(notebook, path.parent, path.stem)
    notebook.metadata.pop("widgets", None)
    BUILD.mkdir(exist_ok=True)
    nbformat.write(notebook, BUILD / path.name)
    return result


def header() -> str:
    """The machine, and what stands above the rows: the budgets, too."""
    machine = f"PyTorch {importlib.metadata.version('torch')}, Python {platform.python_version()}, {platform.system()}"
    return (
        f"{machine}; import torch: peak {import_torch() / 1e3:.2f} GB\n"
        f"{'notebook':28} {'seconds':>8} {'peak':>8} {'above import':>13} {'own':>8}\n"
        f"{'budget':28} {BUDGET_SECONDS:8d} {'':>8} {ABOVE_IMPORT_MB / 1e3:10.2f} GB"
    )


def row(result: Result) -> str:
    """Seconds, memory in GB, and whether that fits the budgets."""
    peak, above, own = (size / 1e3 for size in (result.peak, result.peak - import_torch(), result.own))
    return f"{result.name:28} {result.seconds:8.1f} {peak:5.2f} GB {above:10.2f} GB {own:5.2f} GB   {result.verdict}"


def use_data() -> bool:
    """Whether LATENTLIB_DATA is set; then from anywhere, since kernels start in the notebooks' folder."""
    if folder := os.environ.get("LATENTLIB_DATA", "").strip():
        os.environ["LATENTLIB_DATA"] = str(Path(folder).expanduser().resolve())
    return bool(folder)


def main(arguments: list[str]) -> int:
    from latentlib import settings  # not above: Colab's imitation has a course of its own

    paths = [Path(argument).resolve() for argument in arguments if argument.endswith(".ipynb")] or lessons()
    parameters = dict(argument.partition("=")[::2] for argument in arguments if not argument.endswith(".ipynb"))
    if unknown := parameters.keys() - DEFAULTS.keys():
        print(f"run: there is no parameter {', '.join(sorted(unknown))}; there are {', '.join(DEFAULTS)}")
        return 2
    try:
        settings.parameters(**DEFAULTS | parameters)
    except ValueError as error:
        print(f"run: {error}")
        return 2
    use_data()
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    print(header(), flush=True)
    failed = False
    for path in paths:
        result = run(path, parameters)
        failed |= bool(result.error)
        print(row(result), flush=True)
    print(f"The executed notebooks lie in {BUILD}.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
