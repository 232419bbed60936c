"""Run the whole course: `python -m tools.run [NOTEBOOK ...] [NAME=VALUE ...]`, or make run PARAMS="fast=true seed=1".

Writes each executed notebook into build; prints seconds, the peak of memory, how much of it is above `import torch`,
and the kernel's own memory (USS). A notebook that fails names the cell and the error; the others still run; the exit
status is then 1.
"""

from __future__ import annotations

import ast
import logging
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from tools.badges import tagged
from tools.course import ROOT, lessons
from tools.memory import ABOVE_IMPORT_MB, held, import_torch

BUILD = ROOT / "build"
BUDGET_SECONDS = 60
# Newer kernels warn that they talk over TCP without encryption: on one machine, and nothing that a learner can change.
QUIET = ["--IPKernelApp.log_level=ERROR"]


@dataclass
class Result:
    """One notebook's run. peak and own are in MB."""

    name: str
    seconds: float = 0.0
    peak: float = 0.0
    own: float = 0.0
    error: str = ""

    @property
    def above(self) -> float:
        """What the notebook held at its peak above what `import torch` takes, in MB."""
        return self.peak - import_torch()[1].peak

    @property
    def fits(self) -> bool:
        return not self.error and self.seconds <= BUDGET_SECONDS and self.above <= ABOVE_IMPORT_MB


def execute(notebook: nbformat.NotebookNode, folder: Path, name: str = "") -> Result:
    """Run every cell in a fresh kernel that starts in `folder`, in place, and watch its memory."""
    result = Result(name)
    bar = tqdm(total=len(notebook.cells), desc=name, unit="cell", leave=False)

    def look(cell, cell_index, **_):
        known = held(client.km.provisioner.pid)
        result.peak, result.own = max(result.peak, known.peak), max(result.own, known.own)
        bar.update(cell_index + 1 - bar.n)

    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        extra_arguments=QUIET,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=look,
    )
    start = time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as error:
        result.error = where(notebook) or f"{error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that died, a cell that never ended: the other notebooks go on
        result.error = f"{type(error).__name__}: {str(error).strip() or 'the kernel died'}"
    finally:
        bar.close()
    result.seconds = time.perf_counter() - start
    return result


def where(notebook: nbformat.NotebookNode) -> str:
    """Which cell failed and how, or nothing."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number}: {output.ename}: {output.evalue}"
    return ""


def known_parameters(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """What the notebook's parameters cell sets."""
    cells = tagged(notebook, "parameters")
    body = ast.parse(cells[0].source).body if cells else []
    assigned = [line for line in body if isinstance(line, ast.Assign)]
    return {target.id: ast.literal_eval(line.value) for line in assigned for target in line.targets}


def checked_parameters(arguments: list[str], known: dict[str, object]) -> dict[str, str]:
    """name=value pairs as text, which settings.parameters understands. ValueError for what no notebook has or means."""
    from latentlib import settings

    pairs = [argument.partition("=")[::2] for argument in arguments]
    if wrong := [argument for argument in arguments if "=" not in argument]:
        raise ValueError(f"{wrong[0]!r} is neither a notebook nor name=value")
    if unknown := {name for name, _ in pairs} - set(known):
        raise ValueError(f"there is no parameter {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if pairs:
        settings.parameters(**known | dict(pairs))
    return dict(pairs)


def run(path: Path, parameters: dict[str, str], build: Path) -> Result:
    """Execute one notebook with these parameters into `build`."""
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        place = notebook.cells.index(tagged(notebook, "parameters")[0]) + 1
        notebook.cells.insert(place, nbformat.v4.new_code_cell(lines, metadata={"tags": ["injected-parameters"]}))
    result = execute(notebook, path.parent, path.stem)
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, build / path.name)
    return result


def table(results: list[Result]) -> str:
    """Notebook, seconds and memory beside their budgets, as text."""
    version, torch = import_torch()
    lines = [
        f"PyTorch {version}, Python {platform.python_version()}, {platform.system()}; import torch: peak "
        f"{torch.peak / 1e3:.2f} GB, own {torch.own / 1e3:.2f} GB",
        f"{'notebook':24} {'seconds':>8} {'peak':>8} {'above import':>13} {'own (USS)':>10}",
        f"{'budget':24} {BUDGET_SECONDS:8d} {'':>8} {ABOVE_IMPORT_MB / 1e3:10.2f} GB",
    ]
    for result in results:
        verdict = "FAILED" if result.error else "fits" if result.fits else "OVER"
        lines.append(
            f"{result.name:24} {result.seconds:8.1f} {result.peak / 1e3:5.2f} GB {result.above / 1e3:10.2f} GB "
            f"{result.own / 1e3:7.2f} GB   {verdict}{f'  {result.error}' if result.error else ''}"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments if argument.endswith(".ipynb")] or lessons()
    try:
        known = known_parameters(nbformat.read(paths[0], as_version=4))
        parameters = checked_parameters([item for item in arguments if not item.endswith(".ipynb")], known)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"run: {error}")
        return 2
    if folder := os.environ.get("LATENTLIB_DATA"):  # kernels start in the notebooks' folder
        os.environ["LATENTLIB_DATA"] = str(Path(folder).expanduser().resolve())
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    BUILD.mkdir(exist_ok=True)
    results = []
    for path in paths:
        results.append(run(path, parameters, BUILD))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(results)}\n\nThe executed notebooks lie in {BUILD}.")
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
