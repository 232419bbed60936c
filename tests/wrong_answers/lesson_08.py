"""Typical wrong answers to the exercises of lesson 08."""

import pickle
import pickletools

import torch


def _only(name):
    return lambda content: {
        str(argument).replace(" ", ".") for opcode, argument, _ in pickletools.genops(content) if opcode.name == name
    }


def _interpolated(row):
    return torch.nn.functional.interpolate(row[None, None], scale_factor=2, mode="linear")[0, 0]


WRONG = {
    "08-names": [
        _only("GLOBAL"),  # forgets what newer pickles use
        _only("SHORT_BINUNICODE"),  # every text is taken for a name
        lambda content: set(),
        lambda content: {type(pickle.loads(content)).__name__},  # runs it
    ],
    "08-gate": [
        lambda asked, allowed: asked & {"os.system", "builtins.exec", "builtins.eval"},  # a list of the forbidden
        lambda asked, allowed: {name for name in asked if name.split(".")[0] not in ("torch", "collections")},
        lambda asked, allowed: {name for name in asked if not any(name.startswith(good) for good in allowed)},
        lambda asked, allowed: asked,  # lets nothing through
        lambda asked, allowed: set() if asked & allowed else asked,  # one good name is enough
    ],
    "08-double": [
        lambda row: row.repeat_interleave(2),  # squares
        _interpolated,  # right inside, but the border repeats itself
        lambda row: torch.stack([row, torch.zeros_like(row)], 1).flatten(),  # without the filter
        lambda row: torch.cat([row, row]),
    ],
    "08-pure": [
        lambda direction, other: direction - other,
        lambda direction, other: direction - (direction @ other) * other,  # as if it had length 1
        lambda direction, other: direction * (1 - other / other.norm()),
        lambda direction, other: (direction @ other) / (other @ other) * other,  # the part that should go
    ],
}
