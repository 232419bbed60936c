"""What the exercises of lesson 00, the start, ask of an answer."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlib.exercises.checks import Wrong, exercise


@exercise("00-walk", "Walk along a direction", why="Sliders, strips and films of a latent space are all this one line.")
def _(walk):
    code, direction = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, -2.0])
    amounts = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    got = walk(code, direction, amounts)
    if tuple(got.shape) != (4, 3):
        return f"4 amounts and a code of 3 numbers should give codes (4, 3); yours gives {tuple(got.shape)}."
    if not torch.allclose(got[1], code):
        return f"with the amount 0 the code should stay (1, 2, 3); yours becomes {_listed(got[1])}."
    if not torch.allclose(got[3], torch.tensor([1.0, 4.0, -1.0])):
        return f"(1, 2, 3) plus 2 times (0, 1, −2) is (1, 4, −1); yours gives {_listed(got[3])}."
    if not torch.allclose(got[0], torch.tensor([1.0, 1.0, 5.0])):
        return f"(1, 2, 3) minus (0, 1, −2) is (1, 1, 5); yours gives {_listed(got[0])}."
    return None


def _listed(code: Tensor) -> str:
    return "(" + ", ".join(f"{value:g}" for value in code.tolist()).replace("-", "−") + ")"


@exercise(
    "00-search",
    "Find the most alike",
    why="A search by picture, by song or by sentence is this, among a billion codes.",
)
def _(most_alike):
    far_but_longer = torch.tensor([[1.0, 1.0], [10.0, 10.0], [1.2, -1.0], [0.0, 0.0]])
    cases = [
        ("of (1, 1), (10, 10), (1.2, −1) and (0, 0), nearest to (1.2, 1) is number 0", far_but_longer, [1.2, 1.0], 0),
        (
            "of (1, 1), (10, 10), (1.2, −1) and (0, 0), nearest to (0.1, −0.2) is number 3",
            far_but_longer,
            [0.1, -0.2],
            3,
        ),
        ("of (1, 1), (10, 10), (1.2, −1) and (0, 0), nearest to (8, 7) is number 1", far_but_longer, [8.0, 7.0], 1),
        ("of (1, 1), (10, 10), (1.2, −1) and (0, 0), nearest to (11, −9) is number 2", far_but_longer, [11.0, -9.0], 2),
    ]
    for text, codes, query, expected in cases:
        got = most_alike(codes, torch.tensor(query))
        if int(got) != expected:
            return f"{text}; yours says {int(got)}."
    return None


@exercise(
    "00-halfway",
    "Somebody in between",
    why="The average of two codes is drawn as one thing; the average of two pictures shows two things at once.",
)
def _(halfway):
    a, b = torch.tensor([3.0, 3.0]), torch.tensor([12.0, 10.0])
    got, right = halfway(_dot, a, b), _dot(torch.tensor([[7.5, 6.5]]))
    if got.dim() == 3:
        got = got[None]
    if tuple(got.shape) != (1, 1, 16, 16):
        return f"one picture (1, 1, 16, 16) was expected; yours is {tuple(got.shape)}."
    if (got - right).abs().max() > 1e-4:
        text = "a decoder that draws a dot at the place that its code names should draw one dot, halfway."
        return Wrong(text, torch.cat([right, got.clamp(0, 1)]), ("expected", "yours"))
    return None


def _dot(codes: Tensor) -> Tensor:
    """A decoder: a soft dot at the place (x, y) that the code names; (n, 2) -> (n, 1, 16, 16)."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    apart = (x - codes[:, 0, None, None]).square() + (y - codes[:, 1, None, None]).square()
    return torch.exp(-apart / 4)[:, None]


@exercise(
    "00-edge", "Too far", why="A latent space has no fence, but it has an edge: beyond it the decoder has seen nothing."
)
def _(too_far):
    chance = torch.Generator().manual_seed(23)
    codes = 5 + torch.randn(4000, 6, generator=chance)
    cases = [
        ("the middle of the codes", torch.full((6,), 5.0), False),
        ("a code three standard deviations off in one number", torch.tensor([8.0, 5, 5, 5, 5, 5]), False),
        ("a code six standard deviations off in one number", torch.tensor([5.0, 5, 11, 5, 5, 5]), True),
        ("the code 0, while all codes lie around 5", torch.zeros(6), True),
        ("a code two and a half standard deviations off in every number", torch.full((6,), 7.5), True),
    ]
    for text, code, expected in cases:
        got = bool(too_far(codes, code))
        if got != expected:
            return f"{text}: expected {expected}, yours says {got}."
    return None
