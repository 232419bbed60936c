"""Glyphs: the ten digits as 5×5 black-and-white pictures with variation, small enough to be squeezed to 3 numbers."""

from typing import NamedTuple

import torch
from torch import Tensor

from latentlib.device import pick_device

_DRAWN = """
.##.. ..#.. .##.. ###.. #.#.. ####. .##.. ####. .##.. .###.
#..#. .##.. #..#. ...#. #.#.. #.... #.... ...#. #..#. #..#.
#..#. ..#.. ..#.. .##.. ####. ###.. ###.. ..#.. .##.. .###.
#..#. ..#.. .#... ...#. ..#.. ...#. #..#. .#... #..#. ...#.
.##.. .###. ####. ###.. ..#.. ###.. .##.. .#... .##.. .##..
"""
_ROWS = [line.split() for line in _DRAWN.split("\n") if line]
PROTOTYPES = torch.tensor([[[[float(c == "#") for c in row[d]] for row in _ROWS]] for d in range(10)])  # (10, 1, 5, 5)


class Glyphs(NamedTuple):
    """images (n, 1, 5, 5) float32, each pixel 0 or 1; labels (n,) int64, the digit."""

    images: Tensor
    labels: Tensor


def load(n: int = 4000, seed: int = 0, device: torch.device | str = "cpu") -> Glyphs:
    """n glyphs, as many of each digit as the number allows, in random order.

    A glyph is a prototype moved one column to the left or right where it fits (no ink leaves the picture), in which up
    to two pixels have been flipped: none in 30 of 100 glyphs, one in 40, two in 30; a flip takes ink away or adds some.
    The same n and seed give the same glyphs.
    """
    device, generator = pick_device(device), torch.Generator().manual_seed(seed)
    labels = torch.arange(n)[torch.randperm(n, generator=generator)] % 10
    images = _shifted()[torch.randint(3, (n,), generator=generator), labels]
    flips = (torch.rand(n, generator=generator)[:, None] < torch.tensor([0.7, 0.3])).sum(1)  # 0, 1 or 2
    order = torch.rand(n, 25, generator=generator).argsort(1).argsort(1)  # a random rank for each pixel
    flipped = (order < flips[:, None]).reshape(n, 1, 5, 5)
    return Glyphs(torch.where(flipped, 1 - images, images).to(device), labels.to(device))


def _shifted() -> Tensor:
    """The prototypes moved by -1, 0 and 1 columns, (3, 10, 1, 5, 5); one that does not fit stays where it is."""
    moved = []
    for step, edge in ((-1, 0), (0, None), (1, 4)):
        fits = torch.ones(10) if edge is None else 1 - PROTOTYPES[..., edge].amax((1, 2))
        moved.append(torch.where(fits[:, None, None, None] > 0, PROTOTYPES.roll(step, 3), PROTOTYPES))
    return torch.stack(moved)
