"""What the exercises of lesson 08, a file that is a program, ask of an answer."""

import collections
import pickle

import torch

from latentlib.exercises import exercise, same_as

ran: list[str] = []  # what an answer that runs the file leaves behind


def note(text: str) -> str:
    ran.append(text)
    return text


class _Asks:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


@exercise(
    "08-names", "What does this file ask for?", why="A scanner of model files does this first; it is no gate yet."
)
def _(asked_for):
    both = _Asks(max, collections.OrderedDict(a=1, b=2))
    things = {  # what is pickled, and what its file asks for
        "a list of numbers and texts": ([1, 2.5, "os.system"], set()),
        "an empty OrderedDict": (collections.OrderedDict(), {"collections.OrderedDict"}),
        "two calls, one within the other": (both, {"builtins.max", "collections.OrderedDict"}),
        "two texts and then a call": (["a", "b", _Asks(note, "ran")], {"latentlib.exercises.lesson_08.note"}),
    }

    def yours(name, protocol):
        ran.clear()
        found = set(asked_for(pickle.dumps(things[name][0], protocol)))
        assert not ran, "your function has run the file; only walk through its instructions"
        return found

    cases = [(name, protocol) for name in things for protocol in (3, 4)]
    same_as(lambda name, _: things[name][1], yours, cases, what="what its file in this protocol asks for")


@exercise(
    "08-gate", "A gate for pickles", why="A list of the forbidden is never complete; a list of the allowed can be."
)
def _(load):
    allowed = {"collections.OrderedDict": collections.OrderedDict, "collections.Counter": collections.Counter}
    good = ([1, "two"], {"weights": collections.OrderedDict(a=1, b=[2, 3.5])}, collections.Counter("gate"))
    cases = [(thing, protocol) for thing in good for protocol in (2, 4, 5)]
    same_as(lambda thing, _: thing, lambda thing, protocol: load(pickle.dumps(thing, protocol), allowed), cases)
    files = {
        "a function of this course": pickle.dumps(_Asks(note, "ran"), 4),
        "posix.system": b"cposix\nsystem\n.",
        "OrderedDict of another module": b"ccollections.abc\nOrderedDict\n.",
        "collections.OrderedDictionary": b"ccollections\nOrderedDictionary\n.",
        "something inside an allowed name": pickle.dumps(collections.OrderedDict.fromkeys, 4),
        "collections.namedtuple": pickle.dumps(collections.namedtuple, 4),
    }
    for what, content in files.items():
        ran.clear()
        try:
            got = load(content, allowed)
        except Exception:
            assert not ran, "a function was run before the file was refused"
        else:
            raise AssertionError(f"a file that asks for {what} should raise an error; yours gives {got!r}")


@exercise("08-double", "Twice as many pixels", why="How a generator doubles decides whether it leaves a checkerboard.")
def _(double):
    taps = torch.tensor([[[1.0, 3, 3, 1]]]) / 4

    def right(row):
        return torch.conv_transpose1d(row[None, None], taps, stride=2, padding=1)

    same_as(right, double, [(torch.ones(4),), (torch.tensor([1.0, 2, 3]),), (torch.randn(9),)])
