"""Run lessons as somebody who works in NumPy does: `python -m tools.answered [NOTEBOOK ...] [NAME=VALUE ...]`.

Each exercise is answered by its solution, but with arrays, lists and float64 in turn. The status is 1 when a check
refuses such an answer, or a later cell of the lesson stumbles over it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat

from tools import run, solutions
from tools.badges import tagged
from tools.course import lessons

ANSWERED = """{answer}

from latentlib.exercises.checks import answers
assert "{key}" in answers, "the check refused the answer to {key}"
"""


def answered(lesson: Path) -> nbformat.NotebookNode:
    """The lesson with its exercises solved in kinds of their own."""
    notebook = nbformat.read(lesson, as_version=4)
    exercises = solutions.parts(solutions.source(lesson).read_text(encoding="utf-8"))[1]
    for cell in tagged(notebook, "exercise"):
        key = re.search(r'check\("([^"]+)"', cell.source)[1]
        answer = re.sub(r'(check\("[^"]+", )(\w+)\)', r"\1in_turn(\2))", solutions.solved(exercises[key]))
        cell.source = "from tests.answers import in_turn\n" + ANSWERED.format(answer=answer, key=key)
    return notebook


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments if argument.endswith(".ipynb")] or lessons()
    folder = run.BUILD / "answered"
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        nbformat.write(answered(path), folder / path.name)
    others = [argument for argument in arguments if not argument.endswith(".ipynb")]
    return run.main([*(str(folder / path.name) for path in paths), *others])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
