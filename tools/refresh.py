"""Run notebooks and store them as they are committed: `python -m tools.refresh [NOTEBOOK ...]` (all without a name).

Sets the badges, the set-up cell and (when missing) the parameters cell; runs the notebook from top to bottom; gives
each picture the alt text that stands in its cell's metadata ("alt": a text, or a list with one for each picture); drops
what differs from run to run (timings, widget states, kernel versions); says which rules it still breaks.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import nbformat

from tools.badges import apply
from tools.course import ROOT, lessons, setting, solutions
from tools.memory import ABOVE_IMPORT_MB
from tools.rules import METADATA, pictures, problems, wanted_alt
from tools.run import BUDGET_SECONDS, execute, use_data


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep what a reader sees and nothing that differs from run to run. In place."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        # An id from the text stays the same as long as the text does, wherever the cell stands.
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        kept = ("tags", "jupyter", "alt")
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in kept if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
            describe(cell)
    return notebook


def describe(cell: nbformat.NotebookNode) -> None:
    """Copy the alt texts of a cell's metadata to its pictures, in place."""
    shown = pictures(cell)
    for output, alt in zip(shown, wanted_alt(cell) or [None] * len(shown), strict=True):
        for kind in filter(lambda kind: kind.startswith("image/"), output.data):
            known = output.metadata.setdefault(kind, nbformat.NotebookNode())
            known.pop("alt", None)
            known.update({"alt": alt} if alt else {})


def _merged(outputs: list) -> list:
    """Neighbouring pieces of the same stream as one, with the last state of a line that was rewritten by \\r."""
    merged: list = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # no use without its state
        if output.output_type == "stream":
            output.text = re.sub(r"^.*\r(?!\n)", "", output.text, flags=re.M)
    return merged


def refresh(path: Path) -> bool:
    """Run and store one notebook; True when it ran and breaks no rule."""
    path = path.resolve()
    name = path.relative_to(ROOT).as_posix()
    for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)])
    notebook = nbformat.read(path, as_version=4)
    apply(notebook, name, setting("slug"), setting("revision"))
    result = execute(notebook, path.parent, path.stem)
    if result.error:
        print(f"{name}: not stored; {result.error}")
        return False
    path.write_text(nbformat.writes(clean(notebook)).rstrip("\n") + "\n", encoding="utf-8", newline="\n")
    found = problems(path)
    if result.above > ABOVE_IMPORT_MB:
        found.append(f"{result.above:.0f} MB above import torch; at most {ABOVE_IMPORT_MB:.0f} are allowed")
    if result.seconds > BUDGET_SECONDS:
        found.append(f"{result.seconds:.0f} s; at most {BUDGET_SECONDS} are allowed (is the machine busy?)")
    print(f"{name}: {result.seconds:.1f} s, {path.stat().st_size / 1e6:.2f} MB, {result.above:.0f} MB of memory")
    for problem in found:
        print(f"  {problem}")
    return not found


def main(arguments: list[str]) -> int:
    if not use_data():
        print("LATENTLIB_DATA is not set; committed outputs are those with MNIST, which is downloaded if need be.")
    paths = [Path(argument) for argument in arguments] or [*lessons(), *solutions()]
    results = [refresh(path) for path in paths]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
