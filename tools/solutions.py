"""Exercises and solutions from one source: `python -m tools.solutions`.

The source is `notebooks/solutions/NN_name.py`: imports first, then a part for each exercise, which begins with
`# %% KEY` and ends with `check("KEY", answer)`. A line that the learner shall write ends with `#:` and what stands
there before: `return a * (1 - t) + b * t  #: return ...`. A line with nothing after `#:` is left out.

The command writes the exercise into the lesson's cell that is tagged `exercise` and holds `check("KEY"`, the folded
solution between `<!-- solution KEY -->` and `<!-- /solution -->` of the lesson, and the notebook of solutions. What it
has changed must then be run: `make refresh NOTEBOOK=...`.
"""

import re
import sys
from pathlib import Path

import nbformat

from tools.badges import apply
from tools.course import ROOT, lessons

PART = re.compile(r"^# %% (\S+)\n", re.M)
BLANK = re.compile(r"^( *)(.*?) *#:[ ]?(.*)\n", re.M)  # indent, solution, what the learner finds
FOLDED = re.compile(r"(<!-- solution (\S+) -->)(.*?)(<!-- /solution -->)", re.S)


def source(lesson: Path) -> Path:
    return lesson.parent / "solutions" / f"{lesson.stem}.py"


def parts(text: str) -> tuple[str, dict[str, str]]:
    """The imports of a source, and its exercises by key, both as written."""
    head, *rest = PART.split(text)
    head = re.sub(r'\A""".*?"""\n', "", head, flags=re.S)
    return head.strip(), dict(zip(rest[::2], (part.strip() for part in rest[1::2]), strict=True))


def solved(part: str) -> str:
    """An exercise with its solution, without the marks."""
    return BLANK.sub(r"\1\2\n", f"{part}\n").rstrip()


def stub(part: str) -> str:
    """An exercise as the learner finds it."""
    return BLANK.sub(lambda line: f"{line[1]}{line[3]}\n" if line[3] else "", f"{part}\n").rstrip()


def folded(part: str) -> str:
    return f"\n<details><summary>Solution</summary>\n\n```python\n{solved(part)}\n```\n\n</details>\n"


def fill(notebook: nbformat.NotebookNode, exercises: dict[str, str]) -> list[str]:
    """Write exercises and folded solutions into a lesson, in place; gives a sentence for each that has no place."""
    asked, shown = set(), set()
    for cell in notebook.cells:
        for key in exercises if "exercise" in cell.metadata.get("tags", []) else ():
            if f'check("{key}"' in cell.source:
                cell.source = stub(exercises[key])
                asked.add(key)
        if cell.cell_type == "markdown":
            shown.update(key for _, key, _, _ in FOLDED.findall(cell.source))
            cell.source = FOLDED.sub(
                lambda m: m[1] + folded(exercises[m[2]]) + m[4] if m[2] in exercises else m[0], cell.source
            )
    return [
        f'{key}: the source, a cell tagged "exercise" that holds check("{key}", and the place '
        f"<!-- solution {key} --> ... <!-- /solution --> belong together"
        for key in sorted((set(exercises) ^ shown) | (set(exercises) - asked))
    ]


def answers(lesson: Path, head: str, exercises: dict[str, str]) -> nbformat.NotebookNode:
    """The notebook of solutions, not yet run."""
    v4 = nbformat.v4
    title = nbformat.read(lesson, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    opening = f"# Solutions of {title}\n\nTry first: [the lesson](../{lesson.name}) has hints.\n\n"
    cells = [v4.new_markdown_cell(opening, id="title"), v4.new_code_cell(head, id="imports")]
    for key, part in exercises.items():
        cells += [v4.new_markdown_cell(f"## {key}", id=key), v4.new_code_cell(solved(part), id=f"{key}-solved")]
    return apply(v4.new_notebook(cells=cells), f"notebooks/solutions/{lesson.name}")


def made(lesson: Path) -> tuple[list[str], dict[Path, nbformat.NotebookNode]]:
    """What the source makes: a sentence for each exercise without a place, and the notebooks that are not so yet."""
    head, exercises = parts(source(lesson).read_text(encoding="utf-8"))
    notebook = nbformat.read(lesson, as_version=4)
    missing = fill(notebook, exercises)
    both = {lesson: notebook, source(lesson).with_suffix(".ipynb"): answers(lesson, head, exercises)}
    return missing, {path: made for path, made in both.items() if texts(path) != [cell.source for cell in made.cells]}


def texts(path: Path) -> list[str] | None:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells] if path.is_file() else None


def main() -> int:
    status = 0
    for lesson in lessons():
        missing, differing = made(lesson)
        for path, notebook in differing.items():
            nbformat.write(notebook, path)
            print(f"{path.relative_to(ROOT)}: changed; run it with make refresh")
        print("".join(f"{sentence}\n" for sentence in missing), end="")
        status |= bool(missing)
    return status


if __name__ == "__main__":
    sys.exit(main())
