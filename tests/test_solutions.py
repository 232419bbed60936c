"""fast=True runs in every notebook, and after it, in the same kernel, the code of the folded solutions."""

from __future__ import annotations

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.course import NOTEBOOKS, lessons

SOLUTION = re.compile(r"<summary>Solution</summary>(.*?)</details>", re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def folded(notebook: nbformat.NotebookNode) -> list[str]:
    """The code of all solutions, in order."""
    markdown = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [code for solution in SOLUTION.findall(markdown) for code in CODE.findall(solution)]


def with_solutions(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with fast=True and its solutions as cells at the end."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            assert "fast = False" in cell.source
            cell.source = cell.source.replace("fast = False", "fast = True")
    notebook.cells += [nbformat.v4.new_code_cell(code, metadata={"tags": ["solution"]}) for code in folded(notebook)]
    return notebook


def run(notebook: nbformat.NotebookNode, folder) -> None:
    """Offline, on the bundled digits."""
    environment = {key: value for key, value in os.environ.items() if key != "LATENTLIB_DATA"}
    environment |= {"LATENTLIB_OFFLINE": "1", "LATENTLIB_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    environment["LATENTLIB_GUESSES"] = "off"
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}})
    client.execute(env=environment)


WITH_CODE = [path for path in lessons() if folded(nbformat.read(path, as_version=4))]


def test_most_notebooks_have_solutions_in_code():
    assert len(WITH_CODE) >= 5


@pytest.mark.parametrize("path", WITH_CODE, ids=[path.stem for path in WITH_CODE])
def test_the_solutions_of_a_notebook_run(path, tmp_path):
    run(with_solutions(nbformat.read(path, as_version=4)), tmp_path)


def test_a_solution_that_fails_is_noticed(tmp_path):
    text = "<details><summary>Solution</summary>\n\n```python\nprint(number + 1)\nmissing\n```\n\n</details>"
    v4 = nbformat.v4
    parameters = v4.new_code_cell("fast = False\nnumber = 1", metadata={"tags": ["parameters"]})
    notebook = v4.new_notebook(cells=[parameters, v4.new_markdown_cell(text)])
    with pytest.raises(CellExecutionError, match="missing"):
        run(with_solutions(notebook), tmp_path)
    assert notebook.cells[-1].outputs[0].text == "2\n"
