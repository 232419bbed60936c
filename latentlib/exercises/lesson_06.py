"""What the exercises of lesson 06, on finding the code of a picture, ask of an answer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentlib.exercises.checks import exercise


def _chance(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(600 + number)


def _painter(number: int) -> Callable[[Tensor], Tensor]:
    """A small generator: codes (n, 5) -> pictures (n, 3, 4, 4), bent a little, and not the same for any two codes."""
    first = torch.randn(5, 24, generator=_chance(number)) / 2
    second = torch.randn(24, 48, generator=_chance(number + 1)) / 5
    return lambda codes: (torch.tanh(codes @ first) @ second).reshape(-1, 3, 4, 4)


@exercise(
    "06-find",
    "Write the search",
    why="It is the training loop of notebook 03 with one change: the network stands still, and the code learns.",
)
def _(find):
    for number in (1, 3):
        draw, start = _painter(number), torch.zeros(5)
        true = torch.randn(4, 5, generator=_chance(number + 20)) * 0.7
        wanted = draw(true)
        codes = find(draw, wanted, start, steps=300)
        if not isinstance(codes, Tensor) or tuple(codes.shape) != (4, 5):
            return f"4 pictures should give codes (4, 5); got {tuple(getattr(codes, 'shape', ()))}."
        if codes.requires_grad:
            return "the codes that come back should be detached: the search is over."
        if start.abs().max() > 0:
            return "the start was changed; search in a copy of it (repeat makes one)."
        before = (draw(start[None]) - wanted).square().flatten(1).mean(1)
        after = (draw(codes) - wanted).square().flatten(1).mean(1)
        worst = (after / before).max().item()
        if not worst < 0.1:
            return (
                "after 300 steps on four pictures of a small network the squared error should be a tenth of the "
                f"start's or less, for each; in the worst picture {100 * worst:.0f} % of it is left."
            )
        alone = find(draw, wanted[:1], start, steps=300)
        if not torch.allclose(alone, codes[:1], atol=0.05):
            return "a picture searched alone should get the same code as beside others: add their errors up."
    return None


@exercise(
    "06-gained",
    "What the search has gained",
    why="The control is not to search at all. Without it every code near the middle looks found.",
)
def _(gained):
    mean = torch.tensor([1.0, 1.0, 0.0])
    true = mean + torch.tensor([[4.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    cases = [
        ("codes found exactly", true, [1.0, 1.0, 1.0]),
        ("codes left at the mean", mean.expand(3, 3), [0.0, 0.0, 0.0]),
        ("codes halfway", (true + mean) / 2, [0.5, 0.5, 0.5]),
        ("codes twice as far as the true ones on the other side", 2 * mean - true, [-1.0, -1.0, -1.0]),
    ]
    for text, found, expected in cases:
        got = gained(found, true, mean)
        if tuple(got.shape) != (3,):
            return f"three codes should give three numbers; got {tuple(got.shape)}."
        if not torch.allclose(got, torch.tensor(expected), atol=1e-4):
            shown = ", ".join(f"{value:.2f}" for value in got.tolist())
            return f"{text} should give {expected[0]:g} for each; yours gives {shown}."
    return None


@exercise(
    "06-upside",
    "Does a fit show understanding?",
    why="The matched warning has everything that a photo has, and is no face: so only the lead over it counts.",
)
def _(understands):
    upright = torch.tensor([25.0, 28.0, 22.0, 30.0, 26.0, 24.0, 27.0, 29.0, 23.0, 26.0])
    cases = [
        ("upside down 5 dB worse in every photo", upright - 5, True),
        ("upside down 1 dB worse in every photo", upright - 1, False),
        ("upside down 5 dB better in every photo", upright + 5, False),
        ("30 dB worse in two photos, 1 dB better in eight", upright + torch.tensor([-30.0] * 2 + [1.0] * 8), False),
        ("5 dB worse in nine photos of ten", upright - torch.tensor([5.0] * 9 + [-1.0]), True),
    ]
    for text, upside_down, expected in cases:
        got = understands(upright, upside_down)
        if bool(got) is not expected:
            return f"{text}: the answer should be {expected}, yours is {bool(got)}."
    if understands(upright, upright - 5, needed=6.0):
        return "5 dB are not enough when 6 are needed; use the argument."
    return None


@exercise(
    "06-best",
    "Start elsewhere, keep the best",
    why="A search that only goes downhill ends in the valley it began in; several starts are the oldest cure.",
)
def _(best_of):
    for k, n, d in ((3, 5, 4), (5, 3, 2)):
        codes, errors = torch.randn(k, n, d, generator=_chance(40 + k)), torch.rand(k, n, generator=_chance(50 + k))
        got = best_of(codes, errors)
        if tuple(got.shape) != (n, d):
            return f"{k} searches for {n} codes of {d} numbers should give ({n}, {d}); got {tuple(got.shape)}."
        for picture in range(n):
            which = errors[:, picture].argmin()
            if not torch.equal(got[picture], codes[which, picture]):
                return (
                    f"of {k} searches for picture {picture + 1} number {which + 1} has the smallest error; "
                    "yours gives the code of another. Each picture may have another best search."
                )
    return None


@exercise(
    "06-unusual",
    "How unusual is a code?",
    why="The measure knows that the cloud is long one way and thin another; P-norm is this, in the right coordinates.",
)
def _(unusual):
    turn = torch.linalg.qr(torch.randn(6, 6, generator=_chance(60))).Q
    sizes = torch.tensor([5.0, 2.0, 1.0, 0.5, 0.2, 0.1])
    sample = torch.randn(6000, 6, generator=_chance(61)) * sizes @ turn.T + 3
    middle = sample.mean(0)
    for name, axis in (("longest", 0), ("shortest", 5)):
        code = middle + 2 * sizes[axis] * turn[:, axis]
        got = unusual(code[None], sample)
        if tuple(got.shape) != (1,):
            return f"one code should give one number, (1,); got {tuple(got.shape)}."
        if abs(got.item() - 4 / 6) > 0.1:
            return (
                f"two standard deviations along the {name} of 6 directions should give 4 / 6 = 0.67; "
                f"yours gives {got.item():.2f}."
            )
    own = unusual(sample[:2000], sample).mean().item()
    if abs(own - 1) > 0.1:
        return f"codes of the cloud itself should have 1 on average; yours have {own:.2f}. Divide by how many numbers?"
    return None
