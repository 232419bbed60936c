"""What must be true of a notebook as it is committed. Used by tests/test_notebooks.py and by make refresh."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import nbformat

from tools.badges import MARKED, badges, setup_cell, template
from tools.course import ROOT, setting

LONGEST_CELL = 25  # lines
BIGGEST = 1.5e6  # bytes
TAGS = {"setup", "parameters", "exercise", "nbval-ignore-output"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def problems(path: Path, root: Path = ROOT) -> list[str]:
    """One sentence for each rule that the notebook breaks; an empty list when all is well."""
    if path.stat().st_size > BIGGEST:
        found = [f"{path.stat().st_size / 1e6:.2f} MB; at most {BIGGEST / 1e6} MB are allowed"]
    else:
        found = []
    text = path.read_text(encoding="utf-8")
    try:
        ids = [cell.get("id") for cell in json.loads(text)["cells"]]  # nbformat would mend them silently
        if len(set(ids)) != len(ids):
            return [*found, "two cells have the same id; run make refresh"]
        nbformat.validate(json.loads(text))
    except (nbformat.ValidationError, json.JSONDecodeError, KeyError) as error:
        return [*found, f"not a valid notebook: {str(error).splitlines()[0]}"]
    notebook = nbformat.reads(text, as_version=4)
    found += _of_the_whole(notebook) + _of_the_opening(notebook, path, root)
    for number, cell in enumerate(notebook.cells):
        found += [f"cell {number}: {problem}" for problem in _of_a_cell(cell)]
    return found


def _of_the_whole(notebook) -> list[str]:
    found = []
    if notebook.metadata != METADATA:
        found.append(f"metadata must be the kernel's name only, not {sorted(notebook.metadata)}; run make refresh")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("cells were not run once, in order, from top to bottom; run make refresh")
    if not any(cell.outputs for cell in code):
        found.append("no outputs; run make refresh")
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^# .+$", re.sub(r"^```.*?^```", "", markdown, flags=re.S | re.M), re.M)
    if len(headings) != 1 or not notebook.cells[0].source.startswith("# "):
        found.append(f"needs one '# ' heading, in the first cell; found {len(headings)}")
    return found


def _of_the_opening(notebook, path: Path, root: Path) -> list[str]:
    slug, revision = setting("slug", root), setting("revision", root)
    opening, found = notebook.cells[0].source, []
    marks = MARKED.findall(opening)
    if len(marks) != 1 or badges(path.relative_to(root).as_posix(), slug, revision) not in opening:
        found.append("the first cell needs the badges of pyproject.toml's slug; run make badges")
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells[1:3]]
    if len(tags) < 2 or "setup" not in tags[0] or "parameters" not in tags[1]:
        return [*found, "the second cell must be tagged setup, the third parameters"]
    if notebook.cells[1].source != setup_cell(slug, revision):
        found.append("the set-up cell differs from tools/setup_cell.py; run make badges")
    parameters = notebook.cells[2].source
    if not parameters.startswith(template("parameters")):
        found.append("the parameters cell does not begin with tools/parameters_cell.py")
    if any(not isinstance(line, ast.Assign) for line in ast.parse(parameters).body):
        found.append("the parameters cell holds more than assignments")
    return found


def _of_a_cell(cell) -> list[str]:
    found = []
    if len(cell.source.splitlines()) > LONGEST_CELL and cell.cell_type == "code":
        found.append(f"{len(cell.source.splitlines())} lines; at most {LONGEST_CELL} are allowed")
    if cell.cell_type == "code" and not cell.source.strip():
        found.append("is empty")
    if unknown := set(cell.metadata.get("tags", [])) - TAGS:
        found.append(f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}")
    if rest := set(cell.metadata) - {"tags", "jupyter"}:
        found.append(f"metadata {', '.join(sorted(rest))} does not belong in a committed notebook; run make refresh")
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            found.append(f"stored error {output.ename}: {output.evalue}")
        if output.output_type == "stream" and output.name == "stderr":
            found.append(f"stored warning or message on stderr: {output.text.strip()[:80]}")
        pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        if pictures and len(output.metadata.get(pictures[0], {}).get("alt", "")) < 15:
            found.append("a picture without alt text; show it with latentlib.plots")
    return found
