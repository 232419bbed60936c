"""The score card of a notebook, or of the course, as a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from latentlib.exercises import record
from latentlib.exercises.checks import lesson
from latentlib.exercises.guesses import spoken

LESSONS = ("00", "01", "02", "03", "04", "05", "06", "07", "08")


class Table:
    """A table that JupyterLab, Colab and VS Code show as HTML without JavaScript, and a terminal as text."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]], title: str, note: str = ""):
        self.heads, self.rows, self.title, self.note = heads, rows, title, note

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], tag: str) -> str:
            style = ' style="text-align:left;vertical-align:top"'
            return "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(line(row, "td") for row in self.rows)
        table = f"<table><thead>{line(self.heads, 'th')}</thead><tbody>{body}</tbody></table>" if self.rows else ""
        return f"<p><b>{escape(self.title)}</b></p>{table}" + (f"<p>{escape(self.note)}</p>" if self.note else "")

    def __repr__(self) -> str:
        rows = [" | ".join(cells) for cells in (self.heads, *self.rows)] if self.rows else []
        return "\n".join([self.title, *rows, *([self.note] if self.note else [])])


def show(table: Table) -> None:
    from IPython.display import display

    display(table)


def score(number: str | None = None) -> None:
    """Show the card of a lesson, "01", or without a number that of the whole course."""
    held = record.everything()
    show(_of_a_lesson(number, held) if number else _of_the_course(held))


def _of_a_lesson(number: str, held: dict[str, dict[str, Any]]) -> Table:
    rows, points, most = [], 0, 0
    questions = {key: text for key, text in record.asked.items() if key.startswith(f"{number}-")}
    for key, question in questions.items():
        made = held["guesses"].get(key, {})
        points, most = points + made.get("points", 0), most + 2 * ("points" in made)
        marks = f"{made['points']} of 2" if "points" in made else "–"
        rows.append([question, _said(made, "guess"), _said(made, "measured"), marks])
    for key, task in lesson(number).items():
        state = {True: "solved", False: "tried"}.get(held["solved"].get(key), "not yet")
        rows.append([f"Exercise: {task.title}", "", "", state])
    solved = sum(held["solved"].get(key) is True for key in lesson(number))
    note = f"{points} of {most} points for guesses, {solved} of {len(lesson(number))} exercises solved."
    return Table(["question", "your guess", "measured", "result"], rows, f"Your card for lesson {number}", note)


def _of_the_course(held: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for number in LESSONS:
        made = [made for key, made in held["guesses"].items() if key.startswith(f"{number}-") and "points" in made]
        tasks = lesson(number)
        solved = sum(held["solved"].get(key) is True for key in tasks)
        points = f"{sum(one['points'] for one in made)} of {2 * len(made)}" if made else "–"
        rows.append([number, str(len(made)), points, f"{solved} of {len(tasks)}"])
    heads = ["lesson", "guesses made", "points", "exercises solved"]
    return Table(heads, rows, "Your card for the course", f"Kept in {record.FILE}; delete it to begin anew.")


def _said(made: dict[str, Any], what: str) -> str:
    return spoken(made[what]) if what in made else "–"
