"""Checks that answer a learner: not answered yet; wrong, and where; right, and why it matters."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from latentlib.claims import say
from latentlib.exercises import record


class NotAnswered(AssertionError):
    """Raised in strict mode when an exercise is as it was."""


class WrongAnswer(AssertionError):
    """Raised in strict mode when an answer is wrong."""


class Wrong(NamedTuple):
    """What a check gives for a wrong answer when it has a picture to show with the sentence."""

    text: str  # what was expected, and the case that fails
    pictures: Tensor  # (n, c, h, w) in [0, 1]
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise: its key and title, the function that looks at an answer, and why a right one matters."""

    key: str
    title: str
    look: Callable[[Any], str | Wrong | None]
    why: str


EXERCISES: dict[str, Exercise] = {}
_strict: list[bool] = []


def exercise(key: str, title: str, why: str) -> Callable:
    """Register the function below as the check of an exercise (in ``latentlib/exercises/lesson_NN.py``):

        @exercise("01-compress", "Squeeze a picture", why="So a code is a list of shadows on directions.")
        def _(compress):
            pictures = torch.rand(5, 7)                 # fresh inputs, never the lesson's own
            got = compress(pictures, 3)
            if got.shape != (5, 3):
                return f"5 pictures and k = 3 should give codes (5, 3); yours gives {tuple(got.shape)}."

    It gets the learner's answer and gives None when it is right, else a sentence that says what was expected and the
    case that fails, or ``Wrong(sentence, pictures)``. It may raise when the answer does: the learner is told with what.
    """

    def register(look: Callable[[Any], str | Wrong | None]) -> Callable:
        EXERCISES[key] = Exercise(key, title, look, why)
        return look

    return register


def check(key: str, answer: Any) -> None:
    """Look at an answer and say, in plain text, what is right or wrong with it; never raises but in strict mode.

    key: two digits of the lesson and a word, "01-compress"; answer: the learner's function or value
    """
    known = lesson(key[:2])
    if key not in known:
        return _say(f"There is no exercise {key!r}; lesson {key[:2]} has {', '.join(known) or 'none'}.", WrongAnswer)
    task = known[key]
    record.right.discard(key)
    if blank(answer):
        return _say(f"… {task.title}: not answered yet.", NotAnswered)
    try:
        fault = task.look(answer)
    except NotImplementedError:
        return _say(f"… {task.title}: not answered yet.", NotAnswered)
    except Exception as error:  # whatever a learner's code may do
        what = " ".join(str(error).split())
        fault = f"your code stopped with {type(error).__name__}: {what}" if what else f"{type(error).__name__}"
    record.solved[key] = fault is None or record.solved.get(key, False)
    record.save()
    if fault is None:
        record.right.add(key)
        return say(f"✔ {task.title}: right. {task.why}")
    text = fault.text if isinstance(fault, Wrong) else str(fault)
    if isinstance(fault, Wrong) and not _strict:
        from latentlib import plots

        plots.show_images(fault.pictures, alt=f"The case that fails: {text}", titles=list(fault.titles) or None)
    return _say(f"✘ {task.title}: not yet. {text[:1].upper()}{text[1:]}", WrongAnswer)


def solved(key: str) -> bool:
    """Whether the answer that was looked at last is right, so that a lesson can go on with it:

    ``step = one_step if solved("03-loop") else training.one_step``
    """
    return key in record.right


@contextmanager
def strict() -> Iterator[None]:
    """Inside this block ``check`` raises NotAnswered or WrongAnswer with the sentence it would print. For tests."""
    _strict.append(True)
    try:
        yield
    finally:
        _strict.pop()


def lesson(number: str) -> dict[str, Exercise]:
    """The exercises of a lesson: "01" -> {key: exercise}, in their order; empty when it has none."""
    try:
        importlib.import_module(f"latentlib.exercises.lesson_{number}")
    except ModuleNotFoundError as error:
        if error.name != f"latentlib.exercises.lesson_{number}":
            raise
    return {key: task for key, task in EXERCISES.items() if key.startswith(f"{number}-")}


def blank(answer: Any) -> bool:
    """Whether an answer still has its blanks: it is None or ..., holds one, or is code in which ... stands."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, (tuple, list, dict)):
        return any(blank(part) for part in (answer.values() if isinstance(answer, dict) else answer))
    if not (inspect.isfunction(answer) or inspect.isclass(answer)):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):  # a lambda within a call, or a class of a notebook on older Pythons
        return inspect.isfunction(answer) and ... in answer.__code__.co_consts
    # x[..., 0] is an index and no blank.
    indices = [node for part in ast.walk(tree) if isinstance(part, ast.Subscript) for node in ast.walk(part.slice)]
    dots = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value is ...]
    return any(all(node is not index for index in indices) for node in dots)


def _say(text: str, kind: type[AssertionError]) -> None:
    if _strict:
        raise kind(text)
    say(text)
