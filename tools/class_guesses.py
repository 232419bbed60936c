"""What a class guessed: `python -m tools.class_guesses FOLDER` reads the CSV files that learners saved.

Each file is what the button below a lesson's last table downloads; none holds a name. Draws a histogram for each
question, with how many answered it before and after, into class-guesses.png.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from latentlib import plots
from latentlib.exercises.guesses import COLUMNS


def read(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Question -> the rows of all learners; a file that is no such table is named and left out."""
    answers = defaultdict(list)
    for path in sorted(folder.glob("*.csv")):
        table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        if tuple(table.fieldnames or ()) != COLUMNS:
            print(f"{path.name}: left out, its first line is not {','.join(COLUMNS)}")
            continue
        for row in table:
            answers[row["question"]].append(row)
    return answers


def draw(answers: dict[str, list[dict[str, str]]]):
    """A figure with one histogram for each question: before in grey, after in blue, what was measured as a line."""
    fig, axes = plots.figure(8.0, 1.0 + 2.2 * len(answers), len(answers), 1, squeeze=False)
    for ax, (question, rows) in zip(axes[:, 0], sorted(answers.items()), strict=True):
        given = {name: [row[name] for row in rows if row[name]] for name in ("before", "after", "measured")}
        try:
            given = {name: [float(text) for text in texts] for name, texts in given.items()}
            numbers = [number for values in given.values() for number in values]
            wide = 0 < 30 * min(numbers) < max(numbers)  # guesses of counts lie factors apart
            bins = (np.geomspace if wide else np.linspace)(min(numbers), max(numbers) * 1.01 + 1e-9, 21)
            ax.set_xscale("log" if wide else "linear")
        except ValueError:  # the answers are choices
            choices = sorted(set().union(*given.values()))
            given = {name: [choices.index(text) for text in texts] for name, texts in given.items()}
            bins = [k - 0.5 for k in range(len(choices) + 1)]
            ax.set_xticks(range(len(choices)), choices)
        colours = ["#8A8A8A", plots.colour("blue")]
        labels = [f"{len(given[name])} {name}" for name in ("before", "after")]
        ax.hist([given["before"], given["after"]], bins, label=labels, color=colours)
        for measured in given["measured"][:1]:
            ax.axvline(measured, color="black", linestyle="--", label="measured")
        ax.set(title=question, ylabel="learners")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    return fig


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not (answers := read(Path(sys.argv[1]))):
        sys.exit(f"there are no guesses in {sys.argv[1]}")
    Path("class-guesses.png").write_bytes(plots.figure_png(draw(answers)))
    print("drawn in class-guesses.png")
