"""A guess before a figure, and how far off it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from latentlib.claims import say
from latentlib.exercises import record

BLANK = "No guess yet. Write {what} for the dots and run again, or go on."


def guess(key: str, question: str, answer: Any = ..., choices: Sequence[str] | None = None) -> None:
    """Note what the learner expects, before the figure; an unanswered guess stops nothing.

    key: two digits of the lesson and a word, "01-bits"
    question: a sentence that can be answered by a number, or by one of the choices
    answer: the learner's: a number, or one of the choices (or its letter, a, b, c ...); ... is no answer
    choices: the texts to choose from; None asks for a number
    """
    record.asked[key] = question
    record.guesses.pop(key, None)
    if answer is None or answer is ...:
        say(BLANK.format(what="one of the choices, or its letter," if choices else "a number"))
        return
    try:
        value = float(answer) if choices is None else chosen(answer, choices)
        if choices is None and not math.isfinite(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        wanted = "a number, such as 12 or 0.5" if choices is None else " or ".join(map(repr, choices))
        say(f"{answer!r} is no guess that this question understands; write {wanted}.")
        return
    record.guesses[key] = {"question": question, "guess": value}
    record.save()
    say(f"Your guess: {spoken(value)}. Run on and see.")


def reveal(key: str, measured: Any, close: float | None = None) -> None:
    """Say how far off the guess was: 2 points when it was close, 1 when it was not far, 0 otherwise.

    measured: the number, or the choice that turned out to be right
    close: the distance up to which a number is close (not far: three times that); None is a tenth of what was measured
    """
    made = record.guesses.get(key)
    if made is None:
        say("You made no guess here. The next one is waiting.")
        return
    if isinstance(made["guess"], str):
        right = made["guess"] == str(measured)
        verdict, points = ("That is right.", 2) if right else ("A surprise! That is what guessing is for.", 0)
        measured = str(measured)
    else:
        measured = float(measured)
        off, close = abs(made["guess"] - measured), abs(measured) / 10 if close is None else close
        points = 2 if off <= close else 1 if off <= 3 * close else 0
        verdict = ("A surprise! That is what guessing is for.", "Not far.", "Close.")[points]
    made.update(measured=measured, points=points)
    record.save()
    say(f"Your guess: {spoken(made['guess'])}. Measured: {spoken(measured)}. {verdict}")


def yours(key: str, name: str = "your guess") -> dict[str, float]:
    """The guess as {name: number}, to be drawn beside the measurement; {} when there is none, or it is a choice."""
    value = record.guesses.get(key, {}).get("guess")
    return {name: value} if isinstance(value, float) else {}


def chosen(answer: Any, choices: Sequence[str]) -> str:
    """The choice that was meant: its text in any case, or its letter; ValueError when none was."""
    said = str(answer).strip().rstrip(").").lower()
    for number, choice in enumerate(choices):
        if said in (choice.lower().rstrip("."), chr(ord("a") + number)):
            return choice
    raise ValueError(f"{answer!r} is none of {', '.join(choices)}")


def spoken(value: Any) -> str:
    """A number as people say it, 1,282 or 13.9 or 0.68; a text as it is."""
    if isinstance(value, str):
        return value
    size = abs(value)
    decimals = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}".replace("-", "−")
