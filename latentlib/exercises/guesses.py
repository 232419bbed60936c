"""A guess before a figure, how far off it was, the article's sentences, and one table at the end of a lesson.

Guesses stand in the learner's cells and live in memory; the table's button saves them. No name is kept, and nothing
leaves the machine by itself.
"""

import base64
import csv
import io
import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from latentlib import claims
from latentlib.claims import say, spoken
from latentlib.exercises import checks

VERDICTS = ("true", "half true", "false")  # what one may guess of a sentence; some turn out to be something else
COLUMNS = ("question", "before", "after", "measured")

asked: dict[str, str] = {}  # key -> question, in the order of the notebook
guesses: dict[str, dict[str, Any]] = {}  # key -> before; once revealed also measured; asked again: after
settled: set[str] = set()  # keys of the article's sentences that this run has measured


class Sentence(NamedTuple):
    """What the article says, in our words; the verdict; and why, in one sentence without numbers."""

    text: str
    verdict: str
    why: str


SENTENCES: dict[str, Sentence] = {}  # "02-colour" -> one of the article's sentences; ``lesson_NN.py`` enters them


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
    before = guesses.get(key, {})
    if answer is None or answer is ...:
        what = "one of the choices, or its letter," if choices else "a number"
        return say(f"No guess yet. Write {what} for the dots and run again, or go on.")
    value = _understood(answer, choices)
    if value is None:
        wanted = " or ".join(map(repr, choices)) if choices else "a number, such as 12 or 0.5"
        return say(f"{answer!r} is no guess that this question understands; write {wanted}.")
    if "measured" in before:
        guesses[key] = {**before, "after": value}
        return say(f"Your answer now: {spoken(value)}.")
    guesses[key] = {"before": value}
    return say(f"Your guess: {spoken(value)}. Run on and see.")


def reveal(key: str, measured: Any) -> None:
    """Tell everybody what was measured, and who guessed how far off it was.

    measured: the number, or the choice that turned out to be right. Close is within a factor of 1.25, not far within 2
    """
    measured = measured if isinstance(measured, str) else float(measured)
    if key not in guesses:
        return say(f"Measured: {spoken(measured)}.")
    guesses[key]["measured"], guessed = measured, guesses[key]["before"]
    if isinstance(measured, str) or min(guessed, measured) <= 0:
        factor = 1.0 if guessed == measured else math.inf
    else:
        factor = max(guessed / measured, measured / guessed)
    verdict = "Close." if factor <= 1.25 else "Not far." if factor <= 2 else "A surprise! That is what guessing is for."
    return say(f"Your guess: {spoken(guessed)}. Measured: {spoken(measured)}. {verdict}")


def yours(key: str) -> dict[str, float]:
    """A guessed number as {"your guess": number}, to be drawn beside the measurement; {} without a guess."""
    return {"your guess": guesses[key]["before"]} if key in guesses else {}


def _understood(answer: Any, choices: Sequence[str] | None) -> str | float | None:
    """The number, or the choice that was meant: its text in any case, or its letter. None: it is neither."""
    if choices:
        said = str(answer).strip().rstrip(").").lower()
        letters = zip("abcdefgh", choices, strict=False)
        return next((choice for letter, choice in letters if said in (letter, choice.lower().rstrip("."))), None)
    try:
        value = float(answer)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


class Score:
    """The table that ends a lesson, "01": guesses, exercises, what became of the article's sentences; and a download.

    rows: three texts each: the question, the learner's answer, what was measured
    """

    def __init__(self, number: str):
        self.number = number
        self.guesses = {key: made for key, made in guesses.items() if key.startswith(number)}

        def answer(key: str, when: str = "before") -> str:
            return spoken(self.guesses.get(key, {}).get(when, "–"))

        keys = [key for key in asked if key.startswith(number) and key not in SENTENCES]
        self.rows = [(asked[key], answer(key), answer(key, "measured")) for key in keys]
        for key, task in checks.EXERCISES.items():
            if key.startswith(number):
                self.rows.append((f"Exercise: {task.title}", "solved" if key in checks.answers else "–", ""))
        for key, said in SENTENCES.items():
            if key.startswith(number):
                verdict = f"{said.verdict}. {said.why}" if key in settled else "not measured in this run"
                self.rows.append((f"“{said.text}”", answer(key), verdict))

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
