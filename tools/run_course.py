"""Run the whole course: `python -m tools.run_course [NOTEBOOK ...] [NAME=VALUE ...]`, or make run PARAMS="fast=True".

Writes the executed notebooks, a page for each and a gallery (build/index.html), and prints seconds and peak memory
beside the budget. A notebook that fails names the cell and the error; the others still run; the exit status is then 1.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from tools import gallery
from tools.badges import tagged
from tools.course import NOTEBOOKS, ROOT, lessons
from tools.memory import BUDGET_MB, KernelWatch

BUILD = ROOT / "build"
BUDGET_SECONDS = 60
# Newer kernels warn that they talk over TCP without encryption: on one machine, and nothing that a learner can change.
QUIET = ["--IPKernelApp.log_level=ERROR"]
PROBE = "peak-memory"  # tag of a last cell that asks the kernel itself and is taken out again
QUESTION = f"""
import sys
try:
    if sys.platform.startswith("linux"):  # ru_maxrss would count the process that started the kernel, too
        sys.path.append({str(ROOT)!r})
        from tools.memory import peak_of
        print(peak_of(open("/proc/self/status").read()))
    else:
        from resource import RUSAGE_SELF, getrusage
        print(getrusage(RUSAGE_SELF).ru_maxrss / 1e6)
except ImportError:  # Windows: what was seen from outside has to do
    print(0)
"""


@dataclass
class Result:
    """One notebook's run."""

    path: Path
    seconds: float = 0.0
    peak_mb: float = 0.0
    error: str = ""
    output: Path | None = None
    notebook: nbformat.NotebookNode | None = field(default=None, repr=False)

    @property
    def fits(self) -> bool:
        return not self.error and self.seconds <= BUDGET_SECONDS and self.peak_mb <= BUDGET_MB


def parameters_of(arguments: list[str]) -> dict[str, object]:
    """name=value pairs as Python values; what is no Python literal is taken as text. ValueError for another shape."""
    found = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{argument!r} is not name=value")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def known_parameters(notebook: nbformat.NotebookNode) -> set[str]:
    """The names that the notebook's parameters cell sets."""
    cells = tagged(notebook, "parameters")
    body = ast.parse(cells[0].source).body if cells else []
    return {target.id for line in body if isinstance(line, ast.Assign) for target in line.targets}


def run(path: Path, parameters: dict[str, object], build: Path) -> Result:
    """Execute one notebook into `build`, watch its kernel's memory, and say where it failed if it did."""
    result = Result(path, output=build / path.name)
    notebook = nbformat.read(path, as_version=4)
    wanted = {name: value for name, value in parameters.items() if name in known_parameters(notebook)}
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION, metadata={"tags": [PROBE]}))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, KernelWatch() as watch:
        probed = Path(folder) / path.name
        nbformat.write(notebook, probed)
        try:
            papermill.execute_notebook(
                str(probed),
                str(result.output),
                parameters=wanted,
                cwd=str(path.parent),
                kernel_name="python3",
                language="python",
                extra_arguments=QUIET,
                progress_bar={"desc": path.stem, "leave": False},
            )
        except PapermillExecutionError as error:
            result.error = f"cell {error.cell_index} (In [{error.exec_count}]): {error.ename}: {error.evalue}"
        except Exception as error:  # a kernel that died, a cell that never ended: the other notebooks go on
            result.error = f"{type(error).__name__}: {str(error).strip() or 'the kernel died'}"
    result.seconds = time.perf_counter() - start
    result.peak_mb = watch.peak_mb
    if result.output.is_file():
        result.notebook = tidy(nbformat.read(result.output, as_version=4))
        result.peak_mb = max(result.peak_mb, result.notebook.metadata.pop("peak_mb", 0.0))
        nbformat.write(result.notebook, result.output)
    return result


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out the probe (its answer goes to metadata.peak_mb), papermill's notes and the widgets' states."""
    for cell in tagged(notebook, PROBE):
        for output in cell.outputs:
            if output.output_type == "stream":
                notebook.metadata["peak_mb"] = float(output.text)
        notebook.cells.remove(cell)
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
    return notebook


def table(results: list[Result]) -> str:
    """Notebook, seconds and peak memory beside their budgets, as text."""
    lines = [f"{'notebook':24} {'seconds':>9} {'budget':>8} {'peak memory':>13} {'budget':>9}"]
    for result in results:
        verdict = "FAILED" if result.error else "fits" if result.fits else "OVER"
        lines.append(
            f"{result.path.stem:24} {result.seconds:7.1f} s {BUDGET_SECONDS:6d} s "
            f"{result.peak_mb / 1000:10.2f} GB {BUDGET_MB / 1000:6.1f} GB   {verdict}"
        )
        if result.error:
            lines.append(f"    {result.error}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments if argument.endswith(".ipynb")] or lessons()
    try:
        parameters = parameters_of([argument for argument in arguments if not argument.endswith(".ipynb")])
        known = set().union(*(known_parameters(nbformat.read(path, as_version=4)) for path in paths))
    except (ValueError, OSError) as error:
        print(f"run: {error}")
        return 2
    if unknown := set(parameters) - known:
        print(f"run: no notebook has the parameter {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        return 2
    if not paths:
        print(f"run: no notebooks in {NOTEBOOKS}")
        return 2
    os.environ["LATENTLIB_GUESSES"] = "off"
    if folder := os.environ.get("LATENTLIB_DATA"):  # kernels start in the notebooks' folder
        os.environ["LATENTLIB_DATA"] = str(Path(folder).expanduser().resolve())
    logging.getLogger("papermill").setLevel(logging.ERROR)
    BUILD.mkdir(exist_ok=True)
    results = []
    for path in paths:
        results.append(run(path, parameters, BUILD))
        print(table(results[-1:]).partition("\n")[2], flush=True)
    page = gallery.write(results, BUILD, parameters)
    print(f"\n{table(results)}\n\nGallery: {page}")
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
