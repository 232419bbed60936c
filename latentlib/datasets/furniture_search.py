"""The furniture nearest to a picture: a search for the factors whose drawing comes closest to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentlib import space
from latentlib.datasets import furniture
from latentlib.datasets.furniture import FACTORS, KIND_RANGES, Furniture, column

SIZE = 32  # pixels: distances are taken of small pictures, which is four times as fast
ROUNDS = 3  # steps of each search; more lead hardly nearer
MOVED = [i for i, name in enumerate(FACTORS) if name not in ("kind", "arms")]  # these two are there or not, and stay
DAMPING = 0.3  # of the least squares, in squared units of a picture's distance


@torch.no_grad()
def nearest(pictures: Tensor, pile: Furniture, read: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The furniture nearest to each picture, by search: its factors (n, 12) and its distance (n,).

    pictures: (n, 3, 64, 64) in [0, 1]; pile: furniture of size 32 among which the search begins
    read: pictures -> a guess at their factors (n, 12)

    Gauss-Newton from four places (the nearest chair, armchair and table of the pile, and the guess), of which the best
    counts. The distance is the root of the squared differences of all pixels of the pictures at 32 × 32.
    """
    if pictures.dim() != 4 or pictures.shape[1:] != (3, 64, 64):
        raise ValueError(f"pictures must be (n, 3, 64, 64), got {tuple(pictures.shape)}")
    small = avg_pool2d(pictures, 2)
    factors = torch.stack(list(starts(pictures, small, pile, read)))  # (starts, n, 12), all searched side by side
    count, rows = len(factors), torch.arange(len(pictures), device=pictures.device)
    wanted, factors = small.flatten(1).repeat(count, 1), factors.flatten(0, 1)
    for i in range(ROUNDS):
        factors, distance = improve(wanted, factors, nudge=0.2 * 0.75**i)
    distance, best = distance.unflatten(0, (count, -1)).min(0)
    return factors.unflatten(0, (count, -1))[best, rows], distance


def limits(kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest of each factor for pieces of these kinds: (n,) -> (n, 12) twice."""
    table = torch.tensor([[kind[name] for name in FACTORS] for kind in KIND_RANGES], device=kinds.device)
    return table[kinds.long()].unbind(2)  # (2, 12, 2) -> (n, 12), (n, 12)


def starts(pictures: Tensor, small: Tensor, pile: Furniture, read: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Four guesses (n, 12): the nearest chair, armchair and table of the pile, and what ``read`` says."""
    kind, arms = column("kind"), column("arms")
    for wanted in ((0, 0), (0, 1), (1, 0)):
        same = (pile.factors[:, kind] == wanted[0]) & (pile.factors[:, arms] == wanted[1])
        if same.any():
            _, near = space.neighbours(pile.images[same], small)
            yield pile.factors[same][near[:, 0]]
    guess = read(pictures).clone()
    guess[:, [kind, arms]] = guess[:, [kind, arms]].clamp(0, 1).round()
    low, high = limits(guess[:, kind])
    yield guess.clamp(low, high)


def improve(wanted: Tensor, factors: Tensor, nudge: float) -> tuple[Tensor, Tensor]:
    """Factors (n, 12) whose drawings are no farther from the wanted (n, 3·32·32), and how far they are (n,)."""
    low, high = limits(factors[:, column("kind")])
    span = torch.where(factors + nudge * (high - low) > high, low - high, high - low)
    one_each = torch.eye(len(FACTORS), device=factors.device)[MOVED]  # (10, 12)
    nudges = torch.cat([torch.zeros_like(one_each[:1]), nudge * one_each])  # (11, 12)
    drawn = draw(factors[:, None] + nudges * span[:, None])  # (n, 11, 3072)
    change, missing = (drawn[:, 1:] - drawn[:, :1]) / nudge, wanted[:, None] - drawn[:, :1]
    squares = change @ change.mT + DAMPING * (one_each @ one_each.T)  # (n, 10, 10)
    step = torch.linalg.solve(squares.cpu(), (change @ missing.mT).cpu()).squeeze(2).to(factors.device) @ one_each
    sizes = torch.tensor([0, 0.3, 1], device=factors.device)[:, None]  # no step, a careful one, a full one
    tried = (factors[:, None] + sizes * (step * span)[:, None]).clamp(low[:, None], high[:, None])
    distances = torch.cat([missing, draw(tried[:, 1:]) - wanted[:, None]], 1).norm(dim=2)  # (n, 3)
    best = distances.argmin(1)
    return tried[torch.arange(len(best), device=best.device), best], distances.amin(1)


def draw(factors: Tensor) -> Tensor:
    """Factors (n, m, 12) -> their pictures, 32 × 32, each in a row: (n, m, 3072)."""
    pictures = furniture.render(factors.flatten(0, 1), size=SIZE)
    return pictures.flatten(1).unflatten(0, factors.shape[:2])
