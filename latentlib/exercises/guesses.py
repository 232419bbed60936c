"""A guess before a figure, how far off it was, the article's sentences, and one table at the end of a lesson.

Guesses live in memory. With the first answered one a small file, ``my-guesses.json``, appears beside the notebook;
delete it to begin anew. ``LATENTLIB_GUESSES`` names another file, or ``off`` for none. No name is kept, and nothing
leaves the machine by itself.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from latentlib import claims
from latentlib.claims import say
from latentlib.exercises import checks

FILE = "my-guesses.json"
VERDICTS = ("true", "half true", "false", "not shown", "a matter of words")
COLUMNS = ("question", "before", "after", "measured", "points")

asked: dict[str, str] = {}  # key -> question, in the order of the notebook
guesses: dict[str, dict[str, Any]] = {}  # key -> guess; once revealed also measured, points; asked again: after
settled: set[str] = set()  # keys of the article's sentences that this run has measured


class Sentence(NamedTuple):
    """What is said about latent spaces, in our words; the verdict; and why, in one sentence without numbers."""

    text: str
    verdict: str
    why: str


SENTENCES: dict[str, Sentence] = {}


def sentence(key: str, text: str, verdict: str, why: str) -> None:
    """Enter one of the article's sentences, as "02-colour"; verdict: one of VERDICTS. For ``lesson_NN.py``."""
    if verdict not in VERDICTS:
        raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}; got {verdict!r}")
    SENTENCES[key] = Sentence(text, verdict, why)


def claim(text: str, passed: Any, settles: str | None = None) -> None:
    """Print a claim that holds, or raise ClaimError; settles: the key of the article's sentence that it decides."""
    claims.claim(text, passed)
    if settles is not None:
        checks.lesson(settles[:2])
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
    checks.lesson(key[:2])
    if key in SENTENCES:
        question, choices = SENTENCES[key].text, VERDICTS[:3]
        say(f"“{question}” True, half true or false?")
    asked[key] = question
    before = guesses.pop(key, {})
    if answer is None or answer is ...:
        what = "one of the choices, or its letter," if choices else "a number"
        return say(f"No guess yet. Write {what} for the dots and run again, or go on.")
    try:
        value = float(answer) if choices is None else _chosen(answer, choices)
        if choices is None and not math.isfinite(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        wanted = "a number, such as 12 or 0.5" if choices is None else " or ".join(map(repr, choices))
        return say(f"{answer!r} is no guess that this question understands; write {wanted}.")
    again = "measured" in before
    guesses[key] = {**before, "after": value} if again else {"question": question, "guess": value}
    _save()
    return say(f"Your answer now: {spoken(value)}." if again else f"Your guess: {spoken(value)}. Run on and see.")


def reveal(key: str, measured: Any, close: float | None = None) -> None:
    """Tell everybody what was measured, and who guessed how far off it was: 2 points for close, 1 for not far.

    measured: the number, or the choice that turned out to be right
    close: the distance up to which a number is close (not far: three times that), as for shares; None judges by ratio:
        close is within a factor of 1.25, not far within a factor of 2
    """
    made = guesses.get(key)
    measured = str(measured) if isinstance(measured, str) else float(measured)
    if made is None:
        return say(f"Measured: {spoken(measured)}.")
    verdicts = ("A surprise! That is what guessing is for.", "Not far.", "Close.")
    if isinstance(made["guess"], str) or isinstance(measured, str):
        points = 2 * (str(made["guess"]) == measured)
    elif close is not None:
        off = abs(made["guess"] - measured)
        points = 2 if off <= close else 1 if off <= 3 * close else 0
    else:
        ratio = made["guess"] / measured if measured else float(made["guess"] == 0)
        ratio = max(ratio, 1 / ratio) if ratio > 0 else math.inf
        points = 2 if ratio <= 1.25 else 1 if ratio <= 2 else 0
    made.update(measured=measured, points=points)
    _save()
    return say(f"Your guess: {spoken(made['guess'])}. Measured: {spoken(measured)}. {verdicts[points]}")


def yours(key: str, name: str = "your guess") -> dict[str, float]:
    """The guess as {name: number}, to be drawn beside the measurement; {} when there is none, or it is a choice."""
    value = guesses.get(key, {}).get("guess")
    return {name: value} if isinstance(value, float) else {}


def spoken(value: Any) -> str:
    """A number as people say it, 1,282 or 13.9 or 0.68; a text as it is."""
    if isinstance(value, str):
        return value
    size = abs(value)
    decimals = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}".replace("-", "−")


def _chosen(answer: Any, choices: Sequence[str]) -> str:
    """The choice that was meant: its text in any case, or its letter; ValueError when none was."""
    said = str(answer).strip().rstrip(").").lower()
    for number, choice in enumerate(choices):
        if said in (choice.lower().rstrip("."), chr(ord("a") + number)):
            return choice
    raise ValueError(f"{answer!r} is none of {', '.join(choices)}")


# --- the table at the end


class Score:
    """The table of a lesson, with a button that downloads the guesses; ``to_csv`` writes them."""

    def __init__(self, number: str):
        self.number, tasks = number, checks.lesson(number)
        self.guesses = {key: made for key, made in guesses.items() if key.startswith(number)}
        self.rows = [
            [question, spoken(made["guess"]), spoken(made["measured"]) if "measured" in made else "–"]
            for key, question in asked.items()
            if key.startswith(number) and key not in SENTENCES
            for made in [guesses.get(key, {"guess": "–"})]
        ]
        states = {True: "solved", False: "tried"}
        self.rows += [
            [f"Exercise: {task.title}", states.get(checks.tried.get(key), "–"), ""] for key, task in tasks.items()
        ]
        self.verdicts = []
        for key, said in SENTENCES.items():
            if key.startswith(number):
                verdict = f"{said.verdict}. {said.why}" if key in settled else "not measured in this run"
                self.verdicts.append([f"“{said.text}”", spoken(guesses.get(key, {}).get("guess", "–")), verdict])

    def to_csv(self, path: str | Path) -> None:
        """Write the guesses of this lesson, without a name: one row each, with the columns COLUMNS."""
        Path(path).write_text(self._csv(), encoding="utf-8", newline="")

    def _csv(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for key, made in self.guesses.items():
            table.writerow([key, made["guess"], *(made.get(name, "") for name in COLUMNS[2:])])
        return text.getvalue()

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], tag: str) -> str:
            style = ' style="text-align:left;vertical-align:top"'
            return "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        html = f"<table><thead>{line(['question', 'your answer', 'measured'], 'th')}</thead><tbody>"
        html += "".join(line(row, "td") for row in (*self.rows, *self.verdicts)) + "</tbody></table>"
        if self.guesses:  # a data address works on Colab too, where the disk vanishes
            data = base64.b64encode(self._csv().encode()).decode()
            name = f"guesses-{self.number}.csv"
            html += f'<p><a download="{name}" href="data:text/csv;base64,{data}">Download my guesses ({name})</a></p>'
        return html

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in (*self.rows, *self.verdicts))


def score(number: str) -> Score:
    """The table that ends a lesson, "01": guesses, exercises, and what became of the article's sentences."""
    return Score(number)


# --- the file


def _file() -> Path | None:
    named = os.environ.get("LATENTLIB_GUESSES", "").strip()
    return None if named.lower() == "off" else Path(named or FILE)


def _save() -> None:
    """Write all guesses; a full or read-only disk is no reason to stop."""
    path = _file()
    if path is None:
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        held = held if isinstance(held, dict) else {}
    except (OSError, ValueError):
        held = {}
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_text(json.dumps({**held, **guesses}, indent=1, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
