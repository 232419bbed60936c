"""Checks that answer a learner: not answered yet; wrong, and where; right, and why it matters."""

import ast
import copy
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


def exercise(key: str, title: str, why: str) -> Callable:
    """Register the function below as the check of an exercise (in ``latentlib/exercises/lesson_NN.py``).

    It gets the learner's function, and raises AssertionError with one sentence when that is wrong. The results have
    become float tensors by then, whether they were tensors, arrays, lists or numbers.
    """

    def register(look: Callable[[Any], None]) -> Callable:
        EXERCISES[key] = Exercise(title, look, why)
        return look

    return register


def same_as(
    reference: Callable, answer: Callable, cases: Iterable[tuple], tolerance: float = 1e-4, what: str = "the answer"
) -> None:
    """Raises AssertionError that names the first case, a tuple of arguments, which the answer changes or gets wrong.

    The answer may have one axis of length 1 more or less; numbers may differ by the tolerance, in parts of the largest.
    what: the sentence's name for that which both functions give
    """
    for case in cases:
        before = copy.deepcopy(case)
        expected, got = tensor(reference(*case)), tensor(answer(*case))
        assert all(map(close, case, before)), "what you were given has changed; clone it first, or do without +="
        if not close(got, expected, tolerance):
            given = ", ".join(map(_short, case))
            if _large(expected) and _large(got) and got.squeeze().shape == expected.squeeze().shape:
                got = got.reshape(expected.shape)
                place = torch.unravel_index((got - expected).abs().nan_to_num(torch.inf).argmax(), got.shape)
                what, expected, got = f"number {[int(k) for k in place]} of {what}", expected[place], got[place]
            raise AssertionError(f"given {given}, {what} should be {_short(expected)}; yours is {_short(got)}")


def drawn_like(means: torch.Tensor, spreads: torch.Tensor, rows: torch.Tensor, count: int) -> None:
    """Raises AssertionError unless so many rows were drawn, each number by itself, with its mean and spread (d,)."""
    shape = (count, len(means))
    assert rows.shape == shape, f"rows and numbers in a row should be {shape}; yours are {tuple(rows.shape)}"
    mean, spread = rows.mean(0), rows.std(0)
    away = torch.maximum((mean - means).abs(), (spread - spreads).abs()) / spreads
    k = away.argmax()
    told = f"number {k + 1} of a row should have mean {_short(means[k])} and standard deviation {_short(spreads[k])}"
    assert away[k] < 0.05, f"{told}; yours has {_short(mean[k])} and {_short(spread[k])}"
    together = torch.corrcoef(rows.T).fill_diagonal_(0).abs().max()
    assert together < 0.05, "each number of a row should be drawn by itself; in yours some rise and fall together"


def slopes_come_through(value: torch.Tensor, *inputs: torch.Tensor) -> None:
    """Raises AssertionError where a value that an answer gave does not lead back to one of its inputs."""
    told = "the numbers are right, but slopes must come through to all inputs; use PyTorch's functions only"
    assert value.requires_grad, told
    slopes = torch.autograd.grad(value.sum(), inputs, allow_unused=True, materialize_grads=True)
    assert all(slope.any() for slope in slopes), told


def close(got: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    """Whether two answers are the same numbers, but for rounding and axes of length 1."""
    got, expected = tensor(got), tensor(expected)
    if not isinstance(got, torch.Tensor) or not isinstance(expected, torch.Tensor):
        return got == expected
    got, expected = got.squeeze(), expected.squeeze()
    reach = tolerance * max(1.0, expected.abs().max().item())
    return got.shape == expected.shape and torch.allclose(got, expected, rtol=0, atol=reach)


def tensor(value: Any) -> Any:
    """A float32 tensor from whatever holds numbers: a tensor, an array, a list, a number; anything else as it is."""
    try:
        if isinstance(value, (tuple, list)) and any(hasattr(part, "shape") for part in value):
            return torch.stack([tensor(part) for part in value])
        return torch.as_tensor(value).float()
    except (TypeError, ValueError, RuntimeError):
        return value


def _large(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (value.numel() > 8 or value.dim() > 2)


def _short(value: Any) -> str:
    """A number or a short list as people write it; of anything larger its shape."""
    if _large(value):
        return f"numbers of shape {tuple(value.shape)}"
    value = value.tolist() if isinstance(value, torch.Tensor) else value
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(_short, value)) + ")"
    if isinstance(value, (int, float)):
        return f"{value + 0.0:.4g}".replace("-", "−")
    return getattr(value, "__name__", str(value))


def check(key: str, answer: Any) -> None:
    """Look at an answer and say what is right or wrong with it; never raises.

    key: two digits of the lesson and a word, "01-compress"; answer: the learner's function
    """
    say(judged(key, answer))


def judged(key: str, answer: Any) -> str:
    """What ``check`` says: it begins with … for not answered yet, ✘ for wrong, ✔ for right."""
    task = EXERCISES[key]
    answers.pop(key, None)
    if blank(answer):
        return f"… {task.title}: not answered yet."
    try:
        with torch.random.fork_rng(devices=[]):  # the same numbers in each run; the lesson's own go on as without it
            torch.default_generator.manual_seed(0)
            task.look(_wrapped(answer))
    except AssertionError as error:
        fault = str(error) or "it is not what was asked for"
    except Exception as error:  # whatever a learner's code may do
        fault = f"your code stopped with {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    else:
        answers[key] = answer
        return f"✔ {task.title}: right. {task.why}"
    return f"✘ {task.title}: not yet. {fault[:1].upper()}{fault[1:]}"


def solved(key: str, otherwise: Any) -> Any:
    """The learner's answer when the one that was looked at last is right, else ``otherwise``, for the lesson to use.

    A function of the learner's comes wrapped: what it gives are float tensors, on the device of its first tensor.
    """
    return _wrapped(answers[key]) if key in answers else otherwise


def _wrapped(answer: Callable) -> Callable:
    def call(*arguments, **named):
        got = tensor(answer(*arguments, **named))
        place = next((one.device for one in arguments if isinstance(one, torch.Tensor)), None)
        return got.to(place) if isinstance(got, torch.Tensor) and place is not None else got

    return call


def blank(answer: Any) -> bool:
    """Whether an answer still has its blanks: it is None or ..., or a function in which ... stands."""
    if not inspect.isfunction(answer):
        return answer is None or answer is ...
    try:
        nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(answer)))))
    except (OSError, SyntaxError):  # a lambda within a call
        return ... in answer.__code__.co_consts
    # x[..., 0] is an index and no blank.
    indices = [inner for node in nodes if isinstance(node, ast.Subscript) for inner in ast.walk(node.slice)]
    return any(isinstance(node, ast.Constant) and node.value is ... and node not in indices for node in nodes)
