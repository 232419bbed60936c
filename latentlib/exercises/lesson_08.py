"""What the exercises of lesson 08, NVIDIA's generator, ask of an answer."""

from __future__ import annotations

import collections
import pickle

import torch

from latentlib.exercises.checks import exercise


class _Asks:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


@exercise(
    "08-names",
    "What does this file ask for?",
    why="A scanner of model files does this first; it is a second look and no gate, since a name can be hidden.",
)
def _(asked_for):
    cases = {
        "a list of numbers": ([1, 2.5, "os.system"], set()),
        "an empty OrderedDict": (collections.OrderedDict(), {"collections.OrderedDict"}),
        "a call of len": (_Asks(len, [1, 2]), {"builtins.len"}),
        "two calls, one within the other": (
            _Asks(max, collections.OrderedDict(a=1, b=2)),
            {"builtins.max", "collections.OrderedDict"},
        ),
    }
    for name, (thing, expected) in cases.items():
        for protocol in (3, 4):
            got = asked_for(pickle.dumps(thing, protocol))
            if set(got) != expected:
                said = ", ".join(sorted(map(str, got))) or "nothing"
                wanted = ", ".join(sorted(expected)) or "nothing"
                return f"{name}, in protocol {protocol}, asks for {wanted}; yours says: {said}."
    return None


@exercise(
    "08-gate",
    "What must be refused?",
    why="A list of the forbidden is never complete; a list of the allowed, name by name, need not be.",
)
def _(refused):
    allowed = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2"}
    cases = [
        (set(), set(), "a file that asks for nothing"),
        (allowed, set(), "a file that asks only for what is on the list"),
        ({"os.system"}, {"os.system"}, "os.system"),
        ({"posix.system"}, {"posix.system"}, "posix.system, which is os.system under its other name"),
        ({"torch.hub.load"}, {"torch.hub.load"}, "torch.hub.load, which fetches a program and runs it"),
        ({"torch._utils._rebuild_tensor_v2.__globals__"}, {"torch._utils._rebuild_tensor_v2.__globals__"},
         "something that an allowed function has inside"),
        (allowed | {"builtins.exec"}, {"builtins.exec"}, "builtins.exec between two allowed names"),
    ]  # fmt: skip
    for asked, expected, what in cases:
        got = set(refused(set(asked), set(allowed)))
        if got < expected:
            return f"{what} gets through your gate; it should be refused."
        if got != expected:
            wanted, said = (", ".join(sorted(map(str, names))) or "nothing" for names in (expected, got))
            return f"{what}: for {wanted} it should be refused; yours says {said}."
    return None


@exercise(
    "08-double",
    "Twice as many pixels",
    why="Every generator has to get from 4 to 1024 pixels; how it doubles decides whether it leaves a checkerboard.",
)
def _(double):
    torch.manual_seed(8)
    got = double(torch.ones(4))
    if tuple(got.shape) != (8,):
        return f"a row of 4 should become one of 8; yours has shape {tuple(got.shape)}."
    if not torch.allclose(got[1:-1], torch.ones(6)):
        return f"inside, a row of ones should stay ones; yours has {got[1:-1].min():.2f} to {got[1:-1].max():.2f}."
    row = torch.randn(5)
    before, after = torch.cat([torch.zeros(1), row[:-1]]), torch.cat([row[1:], torch.zeros(1)])
    expected = torch.stack([0.75 * row + 0.25 * before, 0.75 * row + 0.25 * after], 1).flatten()
    if not torch.allclose(double(row), expected, atol=1e-5):
        return (
            "each number should leave two, three quarters of itself and a quarter of its neighbour on that side, with "
            f"zeros beyond the ends; yours is {(double(row) - expected).abs().max():.2f} away from that."
        )
    return None


@exercise(
    "08-pure",
    "Take one direction out of another",
    why="A direction for age that also turns hair grey and adds glasses has to be cleaned before anybody may use it.",
)
def _(without):
    torch.manual_seed(4)
    direction, other = torch.randn(2, 12)
    got = without(direction, other)
    if got.shape != direction.shape:
        return f"a direction (12,) should stay (12,); yours is {tuple(got.shape)}."
    left = (got @ other / other.norm()).abs().item()
    if left > 1e-4:
        return f"nothing of the other direction should be left; in yours there is {left:.2f} of it."
    if not torch.allclose(got, without(direction, 7 * other), atol=1e-4):
        return "how long the other direction is must not matter; with one seven times as long yours differs."
    turned = torch.zeros(12).index_fill(0, torch.tensor([0]), 1.0)
    if not torch.allclose(without(turned + turned.roll(1), turned.roll(1)), turned, atol=1e-5):
        return "(1, 1, 0 …) without (0, 1, 0 …) is (1, 0, 0 …); yours is something else."
    return None
