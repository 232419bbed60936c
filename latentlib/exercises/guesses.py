"""A guess before a figure, how far off it was, the article's sentences, and one table at the end of a lesson.

Guesses stand in the learner's cells and live in memory; the table's button saves them. No name is kept, and nothing
leaves the machine by itself.
"""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from latentlib import claims
from latentlib.claims import say
from latentlib.exercises import checks

VERDICTS = ("true", "half true", "false")  # what one may guess of a sentence; some turn out to be something else
COLUMNS = ("question", "before", "after", "measured", "points")

asked: dict[str, str] = {}  # key -> question, in the order of the notebook
guesses: dict[str, dict[str, Any]] = {}  # key -> before; once revealed also measured, points; asked again: after
settled: set[str] = set()  # keys of the article's sentences that this run has measured


class Sentence(NamedTuple):
    """What is said about latent spaces, in our words; the verdict; and why, in one sentence without numbers."""

    text: str
    verdict: str
    why: str


SENTENCES: dict[str, Sentence] = {}


def sentence(key: str, text: str, verdict: str, why: str) -> None:
    """Enter one of the article's sentences, as "02-colour". For ``lesson_NN.py``."""
    SENTENCES[key] = Sentence(text, verdict, why)


def claim(text: str, passed: Any, settles: str | None = None) -> None:
    """Print a claim that holds, or raise ClaimError; settles: the key of the article's sentence that it decides."""
    claims.claim(text, passed)
    if settles is not None:
        settled.add(settles)
        said = SENTENCES[settles]
        say(f"“{said.text}” {said.verdict.capitalize()}. {said.why}")
        if settles in guesses:
            reveal(settles, said.verdict)


def guess(key: str, question: str = "", answer: Any = ..., choices: Sequence[str] | None = None) -> None:
    """Note what the learner expects, before the figure; an unanswered guess stops nothing.

    Asked again after it was revealed, it is what the learner says afterwards, kept beside the first.

    key: two digits of the lesson and a word, "01-bits"; that of one of the article's sentences brings its question
    answer: a number, or one of the choices (or its letter, a, b, c ...); ... is no answer
    choices: the texts to choose from; None asks for a number
    """
    if key in SENTENCES:
        question, choices = SENTENCES[key].text, VERDICTS
        say(f"“{question}” True, half true or false?")
    asked[key] = question
    before = guesses.pop(key, {})
    if answer is None or answer is ...:
        what = "one of the choices, or its letter," if choices else "a number"
        return say(f"No guess yet. Write {what} for the dots and run again, or go on.")
    value = _chosen(answer, choices) if choices else _number(answer)
    if value is None:
        wanted = " or ".join(map(repr, choices)) if choices else "a number, such as 12 or 0.5"
        return say(f"{answer!r} is no guess that this question understands; write {wanted}.")
    if "measured" in before:
        guesses[key] = {**before, "after": value}
        return say(f"Your answer now: {spoken(value)}.")
    guesses[key] = {"before": value}
    return say(f"Your guess: {spoken(value)}. Run on and see.")


def reveal(key: str, measured: Any) -> None:
    """Tell everybody what was measured, and who guessed how far off it was: 2 points for close, 1 for not far.

    measured: the number, or the choice that turned out to be right. Close is within a factor of 1.25, not far within 2
    """
    made = guesses.get(key)
    measured = measured if isinstance(measured, str) else float(measured)
    if made is None:
        return say(f"Measured: {spoken(measured)}.")
    guessed = made["before"]
    if isinstance(guessed, str) or isinstance(measured, str):
        points = 2 * (guessed == measured)
    else:
        ratio = guessed / measured if measured else float(guessed == 0)
        ratio = max(ratio, 1 / ratio) if ratio > 0 else math.inf
        points = 2 if ratio <= 1.25 else 1 if ratio <= 2 else 0
    made.update(measured=measured, points=points)
    verdict = ("A surprise! That is what guessing is for.", "Not far.", "Close.")[points]
    return say(f"Your guess: {spoken(guessed)}. Measured: {spoken(measured)}. {verdict}")


def yours(key: str) -> dict[str, float]:
    """The guess as {"your guess": number}, to be drawn beside the measurement; {} without one, or for a choice."""
    value = guesses.get(key, {}).get("before")
    return {"your guess": value} if isinstance(value, float) else {}


def spoken(value: Any) -> str:
    """A number as people say it, 1,282 or 13.9 or 0.68; a text as it is."""
    if isinstance(value, str):
        return value
    size = abs(value)
    decimals = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}".replace("-", "−")


def _number(answer: Any) -> float | None:
    try:
        value = float(answer)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _chosen(answer: Any, choices: Sequence[str]) -> str | None:
    """The choice that was meant: its text in any case, or its letter."""
    said = str(answer).strip().rstrip(").").lower()
    letters = zip("abcdefgh", choices, strict=False)
    return next((choice for letter, choice in letters if said in (letter, choice.lower().rstrip("."))), None)


class Score:
    """The table of a lesson, with a button that downloads the guesses."""

    def __init__(self, number: str):
        self.number, tasks = number, checks.lesson(number)
        self.guesses = {key: made for key, made in guesses.items() if key.startswith(number)}
        self.rows = []
        for key, question in asked.items():
            if key.startswith(number) and key not in SENTENCES:
                made = guesses.get(key, {})
                self.rows.append([question, *(spoken(made.get(name, "–")) for name in ("before", "measured"))])
        states = {True: "solved", False: "tried", None: "–"}
        self.rows += [[f"Exercise: {task.title}", states[checks.tried.get(key)], ""] for key, task in tasks.items()]
        for key, said in SENTENCES.items():
            if key.startswith(number):
                verdict = f"{said.verdict}. {said.why}" if key in settled else "not measured in this run"
                self.rows.append([f"“{said.text}”", spoken(guesses.get(key, {}).get("before", "–")), verdict])

    def csv(self) -> str:
        """The guesses of this lesson, without a name: one row each, with the columns COLUMNS."""
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({"question": key, **made} for key, made in self.guesses.items())
        return text.getvalue()

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], tag: str) -> str:
            style = ' style="text-align:left;vertical-align:top"'
            return "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        html = f"<table><thead>{line(['question', 'your answer', 'measured'], 'th')}</thead><tbody>"
        html += "".join(line(row, "td") for row in self.rows) + "</tbody></table>"
        if self.guesses:  # a data address works on Colab too, where the disk vanishes
            data = base64.b64encode(self.csv().encode()).decode()
            name = f"guesses-{self.number}.csv"
            html += f'<p><a download="{name}" href="data:text/csv;base64,{data}">Download my guesses ({name})</a></p>'
        return html

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in self.rows)


def score(number: str) -> Score:
    """The table that ends a lesson, "01": guesses, exercises, and what became of the article's sentences."""
    return Score(number)
