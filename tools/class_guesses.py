"""What a class guessed: `python -m tools.class_guesses FOLDER` reads the CSV files that learners saved.

Each file is what the button below a lesson's last table downloads; none holds a name.
Prints how many answered each question, before and after, and draws one histogram for each question.
"""

from __future__ import annotations

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
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
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
        ax.hist([given["before"], given["after"]], bins, label=["before", "after"], color=colours)
        for measured in given["measured"][:1]:
            ax.axvline(measured, color="black", linestyle="--", label="measured")
        ax.set(title=question, ylabel="learners")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    return fig


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__)
        return 2
    answers = read(Path(arguments[0]))
    if not answers:
        print(f"there are no guesses in {arguments[0]}")
        return 1
    for question, rows in sorted(answers.items()):
        print(f"{question}: {len(rows)} before, {sum(bool(row['after']) for row in rows)} after")
    Path("class-guesses.png").write_bytes(plots.figure_png(draw(answers)))
    print("drawn in class-guesses.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
