"""What the exercises of lesson 02, on plots of a latent space, ask of an answer."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlib.exercises.checks import exercise


@exercise(
    "02-turn",
    "A third meaning of alike",
    why="Alike is a choice: kind, colour or turn each give another ranking of the same codes.",
)
def _(same_turn):
    from latentlib.datasets import furniture

    first, others = (furniture.sample_factors(40, seed=seed, kind=0) for seed in (71, 72))
    before = others.clone()
    alike, turn = same_turn(first, others), furniture.column("turn")
    if not torch.equal(others, before):
        return "the other chairs were changed themselves; work on a copy, or they are no longer others."
    if tuple(alike.shape) != tuple(first.shape):
        return f"factors should stay {tuple(first.shape)}; yours are {tuple(alike.shape)}."
    row = int((alike[:, turn] - first[:, turn]).abs().argmax())
    if not torch.equal(alike[:, turn], first[:, turn]):
        asked, got = first[row, turn], alike[row, turn]
        return f"chair {row} should be turned by {asked:.0f}° as the first one; yours is turned by {got:.0f}°."
    for name in furniture.FACTORS:
        column = furniture.column(name)
        if name != "turn" and not torch.equal(alike[:, column], before[:, column]):
            return f"only the turn should come from the first chairs; in yours the {name} does, too."
    return None


@exercise(
    "02-r2",
    "R² on pictures that the fit has not seen",
    why="A fit with 60 numbers explains 70 pictures of pure noise; only unseen ones tell what a code knows.",
)
def _(held_out_r2):
    chance = torch.Generator().manual_seed(11)
    codes = torch.randn(200, 60, generator=chance)
    exact = codes @ torch.randn(60, generator=chance) + 3
    noise = torch.randn(200, generator=chance)
    rows = torch.randperm(200, generator=chance)
    fit, test = rows[:90], rows[90:]
    got = float(held_out_r2(codes, exact, fit, test))
    if abs(got - 1) > 0.01:
        return f"a value that is a straight-line function of the code should give 1; yours gives {got:.2f}."
    for offset in (0, 100):
        got = float(held_out_r2(codes, noise + offset, fit, test))
        if got > 0.1:
            where = " around 100" if offset else ""
            return (
                f"values of noise{where} say nothing about the code, so that 0 or less is right; yours gives {got:.2f}."
            )
    half = exact / exact.std() + 0.7 * noise
    expected, got = _r2(codes, half, fit, test), float(held_out_r2(codes, half, fit, test))
    if abs(got - expected) > 0.01:
        return f"a value that the code half knows should give {expected:.2f}; yours gives {got:.2f}."
    return None


def _r2(codes: Tensor, values: Tensor, fit: Tensor, test: Tensor) -> float:
    table = torch.cat([codes, torch.ones(len(codes), 1)], dim=1)
    guess = table[test] @ torch.linalg.lstsq(table[fit], values[fit, None]).solution
    return (
        1 - (values[test] - guess[:, 0]).square().sum() / (values[test] - values[test].mean()).square().sum()
    ).item()


@exercise(
    "02-kept",
    "How many neighbours are true",
    why="Whoever flattens many numbers gives something up; this says how much, for each plot you ever see.",
)
def _(neighbours_kept):
    chance = torch.Generator().manual_seed(5)
    codes = torch.randn(120, 8, generator=chance)
    shuffled = codes[torch.randperm(120, generator=chance)]
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0]])
    swapped = torch.tensor([[0.0], [1.0], [15.0], [7.0], [3.0]])
    cases = [
        ("a page that is the codes themselves keeps all neighbours", (codes, codes, 5), 1.0, 1e-6),
        ("five points at 0, 1, 3, 7, 15, on the page at 0, 1, 15, 7, 3, with k = 1", (line, swapped, 1), 0.4, 1e-6),
        ("a page in random order keeps 5 of 119 by chance", (codes, shuffled, 5), 5 / 119, 0.03),
        ("the first two of eight numbers", (codes, codes[:, :2], 10), _kept(codes, codes[:, :2], 10), 1e-6),
    ]
    for text, (high, page, k), expected, close in cases:
        got = float(neighbours_kept(high.clone(), page.clone(), k))
        if abs(got - expected) > close:
            return f"{text}: expected {expected:.2f}, yours gives {got:.2f}."
    return None


def _kept(codes: Tensor, page: Tensor, k: int) -> float:
    near = [torch.cdist(x, x).fill_diagonal_(torch.inf).topk(k, largest=False).indices for x in (codes, page)]
    return (near[0][:, :, None] == near[1][:, None]).any(2).float().mean().item()


@exercise(
    "02-forget",
    "Make a code forget",
    why="What is subtracted cannot be read by a straight line any more; a bent reader may still find some of it.",
)
def _(forget):
    chance = torch.Generator().manual_seed(13)
    codes = torch.randn(300, 12, generator=chance)
    directions = torch.randn(3, 12, generator=chance)
    directions[1] = directions[0] + 0.3 * directions[1]  # not at right angles
    left = forget(codes.clone(), directions.clone())
    if tuple(left.shape) != tuple(codes.shape):
        return f"codes should stay {tuple(codes.shape)}; yours are {tuple(left.shape)}."
    rest = (left @ directions.T).abs().max().item()
    if rest > 1e-3:
        return f"along the directions nothing should be left, in any code; in yours up to {rest:.2f} is."
    across = torch.linalg.qr(directions.T, mode="complete").Q[:, 3:]  # (12, 9): at right angles to all three
    changed = ((left - codes) @ across).abs().max().item()
    if changed > 1e-3:
        return f"at right angles to the directions nothing should change; yours changes codes there by {changed:.2f}."
    return None


@exercise(
    "02-lie",
    "A plot that lies",
    why="If the labels helped to draw a plot, its islands prove nothing; ask how a plot was made before you read it.",
)
def _(lie):
    from latentlib import space

    chance = torch.Generator().manual_seed(17)
    codes, labels = torch.randn(300, 20, generator=chance), torch.arange(300) % 6
    page = lie(codes, labels)
    if tuple(page.shape) != (300, 2):
        return f"300 codes should be placed on a page (300, 2); yours gives {tuple(page.shape)}."
    among, before = space.knn_accuracy(page.float(), labels), space.knn_accuracy(codes, labels)
    if not among > 0.95:
        known = f"codes of pure noise, whose neighbours name one label in six right ({before:.2f})"
        return f"{known}, should fall into islands on your page (above 0.95); yours gives {among:.2f}."
    return None
