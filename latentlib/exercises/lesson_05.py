"""What the exercises of lesson 05, on a GAN and its codes, ask of an answer."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlib.exercises.checks import exercise


def _chance(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(500 + number)


@exercise(
    "05-judge",
    "How often the judge is right",
    why="A share of pairs needs no threshold, and half means guessing: it is the area under the ROC curve.",
)
def _(photo_wins):
    cases = [
        ("photos (2, 3) against samples (0, 1): every photo is higher", [2.0, 3.0], [0.0, 1.0], 1.0),
        ("photos (−5, −4) against samples (−9, −8, −7): still every photo", [-5.0, -4.0], [-9.0, -8.0, -7.0], 1.0),
        ("photos (1, 1) against samples (1, 1, 1): all ties, which count half", [1.0, 1.0], [1.0, 1.0, 1.0], 0.5),
        ("photos (0, 4) against samples (1, 2, 3): three of six pairs", [0.0, 4.0], [1.0, 2.0, 3.0], 0.5),
        ("photos (1, 2) against samples (0, 1, 5): three and a half of six", [1.0, 2.0], [0.0, 1.0, 5.0], 3.5 / 6),
    ]  # fmt: skip
    for text, photos, samples, expected in cases:
        got = float(photo_wins(torch.tensor(photos), torch.tensor(samples)))
        if abs(got - expected) > 1e-5:
            return f"{text}: expected {expected:.2f}, yours gives {got:.2f}."
    return None


@exercise(
    "05-mix",
    "Mix two people by layers",
    why="A code with one w for each layer is what W+ means; notebook 06 searches in it, notebook 07 breeds in it.",
)
def _(mix):
    shape, colour = (torch.randn(3, 6, generator=_chance(k)) for k in (1, 2))
    before = shape.clone(), colour.clone()
    for first, layers in ((4, 10), (0, 10), (10, 10), (3, 8)):
        codes = mix(shape, colour, first, layers)
        if tuple(codes.shape) != (3, layers, 6):
            return (
                f"three codes of 6 numbers and {layers} layers should give (3, {layers}, 6); got {tuple(codes.shape)}."
            )
        for layer in range(layers):
            wanted, name = (shape, "shape") if layer < first else (colour, "colour")
            if not torch.allclose(codes[:, layer], wanted):
                return f"with first = {first} layer {layer + 1} should have the w that gives the {name}; yours has not."
    if not (torch.equal(shape, before[0]) and torch.equal(colour, before[1])):
        return "the parents' own codes were changed; work on a copy, as repeat makes one."
    return None


@exercise(
    "05-widest",
    "The direction in which codes vary most",
    why="That is all of GANSpace: no label was used, so nobody knows yet what the direction means.",
)
def _(widest):
    for number, middle in ((3, 0.0), (4, 5.0)):
        axes = torch.linalg.qr(torch.randn(8, 8, generator=_chance(number))).Q
        sizes = torch.tensor([3.0, 1.5, 1.0, 1.0, 0.7, 0.5, 0.3, 0.1])
        codes = torch.randn(4000, 8, generator=_chance(number + 10)) * sizes @ axes.T + middle
        found = widest(codes)
        if tuple(found.shape) != (8,):
            return f"codes of 8 numbers should give a direction (8,); got {tuple(found.shape)}."
        if abs(found.norm().item() - 1) > 1e-3:
            return f"a direction should have length 1; yours has {found.norm():.2f}."
        along = abs((found @ axes[:, 0]).item())
        if along < 0.98:
            where = "around 0" if middle == 0 else "far from 0: take the mean away first"
            return f"in a cloud {where}, yours and the widest should agree (cosine 1); the cosine is {along:.2f}."
    return None


@exercise(
    "05-pull",
    "Truncation",
    why="One line trades variety for safety. What it drops first is what was rare in the photos.",
)
def _(pull):
    mean = torch.randn(5, generator=_chance(5)) + 2
    for shape in ((4, 5), (2, 3, 5)):
        w = torch.randn(shape, generator=_chance(6))
        for psi, expected in ((1.0, w), (0.0, mean.expand(shape)), (0.5, (w + mean) / 2), (-1.0, 2 * mean - w)):
            got = pull(w, mean, psi)
            if tuple(got.shape) != shape or not torch.allclose(got, expected, atol=1e-5):
                wanted = {1.0: "the code itself", 0.0: "the mean", 0.5: "halfway", -1.0: "the opposite of the code"}
                return f"for codes {shape} and ψ = {psi:g} the result should be {wanted[psi]}; yours is something else."
    return None


@exercise(
    "05-without",
    "Take one direction out of another",
    why="It removes what lies along a straight line, and only that: a face still carries along what bends.",
)
def _(without):
    direction, other = torch.randn(7, generator=_chance(7)), torch.randn(7, generator=_chance(8))
    for length in (1.0, 3.0, 0.2):
        scaled = other / other.norm() * length
        left = without(direction, scaled)
        if tuple(left.shape) != (7,):
            return f"two directions of 7 numbers should give (7,); got {tuple(left.shape)}."
        rest = (left @ scaled).item() / length
        if abs(rest) > 1e-3:
            return (
                f"with another direction of length {length:g} nothing may be left along it; a part of {rest:.2f} is. "
                "What must be divided by, when its length is not 1?"
            )
        if not torch.allclose(left, direction - _along(direction, other), atol=1e-4):
            return "what is left should be the direction as it was, in everything at a right angle to the other one."
    return None


def _along(direction: Tensor, other: Tensor) -> Tensor:
    return (direction @ other) / (other @ other) * other
