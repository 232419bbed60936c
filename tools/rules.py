"""What must be true of a notebook as it is committed; `python -m tools.rules [NOTEBOOK ...]` says what is not.

Used by tests/test_notebooks.py and by make refresh. The budgets hold for lessons, not for the notebooks of solutions.
"""

from __future__ import annotations

import ast
import copy
import json
import re
import statistics
import sys
from pathlib import Path

import nbformat

from tools.badges import MARKED, apply, tagged, template
from tools.course import ROOT, lessons, setting, solutions

BIGGEST = 1.5e6  # bytes
MOST = {"cells": 50, "words": 2200, "lines of code": 300, "pictures": 8, "lines of imports": 4}
LONGEST_CELL, MEDIAN_CELL = 18, 7  # lines
EXERCISES = (3, 4)
TAGS = {"setup", "parameters", "exercise", "nbval-ignore-output"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "nbconvert_exporter": "python"},
}
UNSTABLE = re.compile(r" at 0x[0-9a-f]+|<Figure size")
SPOKEN = {"print", "claim", "not_checked", "guess"}  # what they are told is prose, too


def problems(path: Path, root: Path = ROOT) -> list[str]:
    """One sentence for each rule that the notebook breaks; an empty list when all is well."""
    text = path.read_text(encoding="utf-8")
    found = [f"{len(text) / 1e6:.2f} MB; at most {BIGGEST / 1e6} MB are allowed"] if len(text) > BIGGEST else []
    try:
        nbformat.validate(json.loads(text))
    except (nbformat.ValidationError, json.JSONDecodeError) as error:
        return [*found, f"not a valid notebook: {str(error).splitlines()[0]}"]
    notebook = nbformat.reads(text, as_version=4)
    found += _of_the_whole(notebook) + _of_the_opening(notebook, path, root)
    if path.parent.name == "notebooks":
        found += _of_the_budgets(notebook)
    for number, cell in enumerate(notebook.cells):
        found += [f"cell {number}: {problem}" for problem in _of_a_cell(cell)]
    return found


def measures(notebook) -> dict[str, int]:
    """What MOST bounds, of one lesson."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code" and "setup" not in _tags(cell)]
    trees = [tree for source in code if (tree := _parsed(source))]
    imports = [node for tree in trees for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {
        "cells": len(notebook.cells),
        "words": sum(map(prose, notebook.cells)),
        "lines of code": sum(map(_lines, code)),
        "pictures": sum(len(pictures(cell)) for cell in notebook.cells),
        "lines of imports": sum(node.end_lineno - node.lineno + 1 for node in imports),
    }


def prose(cell) -> int:
    """How many words a cell has for people: its Markdown (folds too, code not), or what it prints and claims."""
    if cell.cell_type == "markdown":
        text = re.sub(r"```.*?```|<!--.*?-->|<[^>]+>|\]\([^)]*\)", " ", MARKED.sub(" ", cell.source), flags=re.S)
        return len(re.findall(r"[^\W_][\w'’·.,-]*", text))
    tree = _parsed(cell.source) if cell.cell_type == "code" else None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    spoken = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in SPOKEN]
    strings = {id(node): node.value for call in spoken for node in ast.walk(call) if isinstance(node, ast.Constant)}
    return sum(len(value.split()) for value in strings.values() if isinstance(value, str) and " " in value)


def pictures(cell) -> list:
    """The outputs of a cell that show a picture; a widget's still is one."""
    return [out for out in cell.get("outputs", []) if any(kind.startswith("image/") for kind in out.get("data", {}))]


def wanted_alt(cell) -> list[str] | None:
    """The alt text of each picture of a cell, from the cell's metadata; None when there is not one for each."""
    alt = cell.metadata.get("alt", [])
    alt = [alt] if isinstance(alt, str) else list(alt)
    return alt if len(alt) == len(pictures(cell)) and all(len(text) >= 15 for text in alt) else None


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def _parsed(source: str) -> ast.Module | None:
    """The cell's code; None where it is not plain Python (a magic, an exercise with a hole)."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


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
    found, tags = [], [_tags(cell) for cell in notebook.cells[1:3]]
    if len(tags) < 2 or "setup" not in tags[0] or "parameters" not in tags[1]:
        return ["the second cell must be tagged setup, the third parameters"]
    wanted = copy.deepcopy(notebook)
    apply(wanted, path.relative_to(root).as_posix(), setting("slug", root), setting("revision", root))
    if wanted != notebook:
        found.append("badges or set-up cell are not those of pyproject.toml and tools/setup_cell.py; run make badges")
    parameters = notebook.cells[2].source
    if not parameters.startswith(template("parameters")):
        found.append("the parameters cell does not begin with tools/parameters_cell.py")
    if any(not isinstance(line, ast.Assign) for line in ast.parse(parameters).body):
        found.append("the parameters cell holds more than assignments")
    return found


def _of_the_budgets(notebook) -> list[str]:
    found = [
        f"{count} {name}; at most {MOST[name]} are allowed"
        for name, count in measures(notebook).items()
        if count > MOST[name]
    ]
    lengths = [_lines(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    if statistics.median(lengths) > MEDIAN_CELL:
        found.append(f"the median cell has {statistics.median(lengths):g} lines; at most {MEDIAN_CELL} are allowed")
    exercises = len(tagged(notebook, "exercise"))
    if not EXERCISES[0] <= exercises <= EXERCISES[1]:
        found.append(f"{exercises} exercises; {EXERCISES[0]} or {EXERCISES[1]} are wanted")
    if not any(pictures(cell) for cell in notebook.cells[4:7]):
        found.append("no picture or widget in the three cells after title, set-up, parameters and imports")
    return found


def _of_a_cell(cell) -> list[str]:
    found = []
    if cell.cell_type == "code" and _lines(cell.source) > LONGEST_CELL:
        found.append(f"{_lines(cell.source)} lines; at most {LONGEST_CELL} are allowed")
    if unknown := set(_tags(cell)) - TAGS:
        found.append(f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}")
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            found.append(f"stored error {output.ename}: {output.evalue}")
        if output.output_type == "stream" and output.name == "stderr":
            found.append(f"stored warning or message on stderr: {output.text.strip()[:80]}")
        if UNSTABLE.search(str(output.get("data", {}).get("text/plain", ""))):
            found.append(f"text that differs from run to run: {output.data['text/plain'][:60]!r}")
    shown = [out.metadata.get(kind, {}).get("alt") for out in pictures(cell) for kind in out.data if "image/" in kind]
    if pictures(cell) and wanted_alt(cell) is None:
        found.append(f"{len(shown)} picture(s): the cell's metadata needs an alt text of 15 letters or more for each")
    elif shown != (wanted_alt(cell) or []):
        found.append("alt texts of the pictures differ from the cell's metadata; run make refresh")
    return found


def main(arguments: list[str]) -> int:
    broken = 0
    for path in [Path(argument).resolve() for argument in arguments] or [*lessons(), *solutions()]:
        found = problems(path)
        counted = measures(nbformat.read(path, as_version=4))
        print(f"{path.stem}: " + ", ".join(f"{count:,} {name}" for name, count in counted.items()))
        print("".join(f"  {sentence}\n" for sentence in found), end="")
        broken += bool(found)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
