"""What must be true of a notebook as it is committed; `python -m tools.rules [NOTEBOOK ...]` says what is not.

Used by tests/test_notebooks.py and by make refresh. The budgets hold for lessons, not for the notebooks of solutions.
"""

import ast
import copy
import re
import statistics
import sys
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from tools.badges import MARKED, apply, tagged
from tools.course import ROOT, lessons, solutions

BIGGEST = 1.5e6  # bytes
LONGEST_CELL = 18  # lines
BUDGETS = {  # of a lesson: at least, at most
    "cells": (1, 50),
    "words": (1, 2200),
    "lines of code": (1, 300),
    "lines in the median cell": (1, 7),
    "lines of imports": (1, 4),
    "exercises": (3, 4),
    "pictures": (1, 8),
    "pictures in the three cells after the imports": (1, 3),
}
TAGS = {"setup", "parameters", "exercise", "nbval-ignore-output"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "nbconvert_exporter": "python"},
}
SPOKEN = {"print", "claim", "not_checked", "guess"}  # what they are told is prose, too


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep what a reader sees and nothing that differs from run to run, and describe the pictures. In place."""
    notebook.metadata = METADATA
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags", "jupyter", "alt") if key in cell.metadata}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # no use without its state
        describe(cell)
    return CoalesceStreamsPreprocessor().preprocess(notebook, {})[0]


def describe(cell: nbformat.NotebookNode) -> None:
    """Copy the alt texts of a cell's metadata to its pictures, in place."""
    for output, alt in zip(pictures(cell), alt_texts(cell), strict=False):
        for kind in filter(lambda kind: kind.startswith("image/"), output.data):
            output.metadata.setdefault(kind, nbformat.NotebookNode())["alt"] = alt


def problems(path: Path, root: Path = ROOT) -> list[str]:
    """One sentence for each rule that the notebook breaks; nbformat.ValidationError for what is no notebook."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    committed = clean(apply(copy.deepcopy(notebook), path.relative_to(root).as_posix(), root))
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^# .+$", re.sub(r"^```.*?^```", "", markdown, flags=re.S | re.M), re.M)
    rules = [
        (len(text) > BIGGEST, f"{len(text) / 1e6:.2f} MB; at most {BIGGEST / 1e6} MB are allowed"),
        (committed != notebook, "badges, set-up, parameters, metadata or alts are not as make refresh leaves them"),
        (counts != [*range(1, len(counts) + 1)], "cells were not run once, in order; run make refresh"),
        (
            len(headings) != 1 or not notebook.cells[0].source.startswith("# "),
            f"needs one '# ' heading, in the first cell; found {len(headings)}",
        ),
        *((broken, f"cell {k}: {what}") for k, cell in enumerate(notebook.cells) for broken, what in _of_a_cell(cell)),
    ]
    for name, count in measures(notebook).items() if path.parent.name == "notebooks" else ():
        least, most = BUDGETS[name]
        rules.append((not least <= count <= most, f"{count:g} {name}; {least} to {most} are allowed"))
    return [sentence for broken, sentence in rules if broken]


def _of_a_cell(cell) -> list[tuple[bool, str]]:
    lines = _lines(cell.source) if cell.cell_type == "code" else 0
    unknown, shown, alts = {*cell.metadata.get("tags", [])} - TAGS, len(pictures(cell)), alt_texts(cell)
    told = "".join(output.text for output in cell.get("outputs", []) if output.get("name") == "stderr")
    return [
        (lines > LONGEST_CELL, f"{lines} lines; at most {LONGEST_CELL} are allowed"),
        (bool(unknown), f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}"),
        (bool(told), f"stored warning or message on stderr: {told.strip()[:80]}"),
        (
            len(alts) != shown or any(len(text) < 15 for text in alts),
            f"{shown} picture(s): the cell's metadata needs an alt text of 15 letters or more for each",
        ),
    ]


def measures(notebook) -> dict[str, float]:
    """What BUDGETS bounds, of one lesson."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    own = [cell.source for cell in code if cell not in tagged(notebook, "setup")]
    imports = [node for source in own for node in _tree(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    shown = [len(pictures(cell)) for cell in notebook.cells]
    return {
        "cells": len(notebook.cells),
        "words": sum(map(prose, notebook.cells)),
        "lines of code": sum(map(_lines, own)),
        "lines in the median cell": statistics.median(_lines(cell.source) for cell in code),
        "lines of imports": sum(node.end_lineno - node.lineno + 1 for node in imports),
        "exercises": len(tagged(notebook, "exercise")),
        "pictures": sum(shown),
        "pictures in the three cells after the imports": sum(shown[4:7]),
    }


def prose(cell) -> int:
    """How many words a cell has for people: its Markdown (folds too, code not), or what it prints and claims."""
    if cell.cell_type != "code":
        text = re.sub(r"```.*?```|<!--.*?-->|<[^>]+>|\]\([^)]*\)", " ", MARKED.sub(" ", cell.source), flags=re.S)
        return len(re.findall(r"[^\W_][\w'’·.,-]*", text))
    calls = [node for node in ast.walk(_tree(cell.source)) if isinstance(node, ast.Call)]
    spoken = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in SPOKEN]
    strings = {id(node): node.value for call in spoken for node in ast.walk(call) if isinstance(node, ast.Constant)}
    return sum(len(value.split()) for value in strings.values() if isinstance(value, str) and " " in value)


def pictures(cell) -> list:
    """The outputs of a cell that show a picture; a widget's still is one."""
    return [out for out in cell.get("outputs", []) if any(kind.startswith("image/") for kind in out.get("data", {}))]


def alt_texts(cell) -> list[str]:
    """The alt texts of a cell's pictures, from the cell's metadata, where one may stand alone."""
    alt = cell.metadata.get("alt", [])
    return [alt] if isinstance(alt, str) else list(alt)


def _lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def _tree(source: str) -> ast.Module:
    """A cell's code, with magics as the calls that they are."""
    return ast.parse(TransformerManager().transform_cell(source))


def main(arguments: list[str]) -> int:
    broken = 0
    for path in [Path(argument).resolve() for argument in arguments] or [*lessons(), *solutions()]:
        found = problems(path)
        counted = measures(nbformat.read(path, as_version=4))
        print(f"{path.stem}: " + ", ".join(f"{count:,g} {name}" for name, count in counted.items()))
        print("".join(f"  {sentence}\n" for sentence in found), end="")
        broken += bool(found)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
