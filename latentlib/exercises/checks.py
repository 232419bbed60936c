"""Checks that answer a learner: not answered yet; wrong, and where; right, and why it matters."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from latentlib.claims import say


class Exercise(NamedTuple):
    """One exercise: its title, the function that looks at an answer, and why a right one matters."""

    title: str
    look: Callable[[Any], None]
    why: str


EXERCISES: dict[str, Exercise] = {}
answers: dict[str, Any] = {}  # key -> the answer that was looked at last, when it is right
tried: dict[str, bool] = {}  # key -> was it ever right?


def exercise(key: str, title: str, why: str) -> Callable:
    """Register the function below as the check of an exercise (in ``latentlib/exercises/lesson_NN.py``):

        @exercise("01-compress", "Squeeze a picture", why="A code is a list of shadows on directions.")
        def _(compress):
            assert compress(pictures, 3).shape == (5, 3), "5 pictures and k = 3 should give codes (5, 3)"
            same_as(reference, compress, cases)

    It gets the learner's answer, and raises AssertionError with one sentence when that is wrong. A function's results
    have become float tensors by then, whether they were tensors, arrays, lists or numbers.
    """

    def register(look: Callable[[Any], None]) -> Callable:
        EXERCISES[key] = Exercise(title, look, why)
        return look

    return register


def same_as(reference: Callable, answer: Callable, cases: Iterable[tuple], tolerance: float = 1e-4) -> None:
    """Raises AssertionError that names the first case, a tuple of arguments, which the answer changes or gets wrong.

    The answer may have one axis of length 1 more or less; numbers may differ by the tolerance, in parts of the largest.
    """
    for case in cases:
        before = copy.deepcopy(case)
        expected, got = tensor(reference(*case)), tensor(answer(*case))
        assert all(map(close, case, before)), "what you were given has changed; clone it first, or do without +="
        if not close(got, expected, tolerance):
            given = ", ".join(_short(argument) for argument in case)
            raise AssertionError(f"given {given}, the answer should be {_short(expected)}; yours is {_short(got)}")


def close(got: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    """Whether two answers are the same numbers, but for rounding and axes of length 1."""
    got, expected = tensor(got), tensor(expected)
    if not isinstance(got, torch.Tensor) or not isinstance(expected, torch.Tensor):
        return got == expected
    if got.squeeze().shape != expected.squeeze().shape:
        return False
    reach = tolerance * max(1.0, expected.abs().max().item() if expected.numel() else 0.0)
    return bool(torch.allclose(got.squeeze(), expected.squeeze(), rtol=0, atol=reach))


def tensor(value: Any) -> Any:
    """float32 tensors from whatever holds numbers: tensors, arrays, lists, numbers; a tuple gives a tuple."""
    if isinstance(value, tuple):
        return tuple(tensor(part) for part in value)
    if isinstance(value, list) and any(isinstance(part, torch.Tensor) for part in value):
        return torch.stack([tensor(part) for part in value])
    if value is None or isinstance(value, (str, dict, set)):
        return value
    try:
        held = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return value
    return held.float()


def _short(value: Any) -> str:
    """A number or a short list as people write it; of anything larger its shape."""
    if isinstance(value, torch.Tensor):
        if value.numel() > 8 or value.dim() > 2:
            return f"numbers of shape {tuple(value.shape)}"
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_short(part) for part in value) + ")"
    if isinstance(value, (int, float)):
        return f"{float(value):.4g}".replace("-", "−")
    return getattr(value, "__name__", str(value))


def check(key: str, answer: Any) -> None:
    """Look at an answer and say what is right or wrong with it; never raises.

    key: two digits of the lesson and a word, "01-compress"; answer: the learner's function or value
    """
    say(judged(key, answer))


def judged(key: str, answer: Any) -> str:
    """What ``check`` says: it begins with … for not answered yet, ✘ for wrong, ✔ for right."""
    known = lesson(key[:2])
    if key not in known:
        return f"There is no exercise {key!r}; lesson {key[:2]} has {', '.join(known) or 'none'}."
    task = known[key]
    answers.pop(key, None)
    if blank(answer):
        return f"… {task.title}: not answered yet."
    try:
        task.look(_wrapped(answer))
    except NotImplementedError:
        return f"… {task.title}: not answered yet."
    except AssertionError as error:
        fault = str(error) or "it is not what was asked for"
    except Exception as error:  # whatever a learner's code may do
        fault = f"your code stopped with {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    else:
        answers[key], tried[key] = answer, True
        return f"✔ {task.title}: right. {task.why}"
    tried.setdefault(key, False)
    return f"✘ {task.title}: not yet. {fault[:1].upper()}{fault[1:]}"


def solved(key: str, otherwise: Any) -> Any:
    """The learner's answer when the one that was looked at last is right, else ``otherwise``, for the lesson to use.

    A function of the learner's comes wrapped: what it gives are float tensors, on the device of its first tensor.
    """
    return _wrapped(answers[key]) if key in answers else otherwise


def _wrapped(answer: Any) -> Any:
    if not callable(answer) or inspect.isclass(answer):
        return tensor(answer)

    @functools.wraps(answer, updated=())
    def call(*arguments, **named):
        got = tensor(answer(*arguments, **named))
        place = next((one.device for one in arguments if isinstance(one, torch.Tensor)), None)
        return got.to(place) if isinstance(got, torch.Tensor) and place is not None else got

    return call


def lesson(number: str) -> dict[str, Exercise]:
    """The exercises of a lesson: "01" -> {key: exercise}, in their order; empty when it has none."""
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
