"""Run notebooks and store them as they are committed: `python -m tools.refresh [NOTEBOOK ...]` (all without a name).

Sets the badges, the set-up and the parameters cell; runs the notebook from top to bottom; gives each picture the alt
text that stands in its cell's metadata ("alt": a text, or a list with one for each picture); drops what differs from
run to run (timings, widget states, kernel versions); says which rules it still breaks.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat

from tools.badges import apply
from tools.course import ROOT, lessons, solutions
from tools.rules import clean, problems
from tools.run import execute, header, row, use_data


def refresh(path: Path) -> bool:
    """Run and store one notebook; True when it ran and breaks no rule."""
    path = path.resolve()
    name = path.relative_to(ROOT).as_posix()
    for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)])
    notebook = apply(nbformat.read(path, as_version=4), name)
    result = execute(notebook, path.parent, path.stem)
    print(row(result))
    if result.error:
        print(f"{name}: not stored")
        return False
    nbformat.write(clean(notebook), path)
    found = problems(path)
    print("".join(f"  {problem}\n" for problem in found), end="")
    return not found and result.verdict == "fits"


def main(arguments: list[str]) -> int:
    if not use_data():
        print("LATENTLIB_DATA is not set; committed outputs are those with MNIST, which is downloaded if need be.")
    paths = [Path(argument) for argument in arguments] or [*lessons(), *solutions()]
    print(header())
    results = [refresh(path) for path in paths]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
