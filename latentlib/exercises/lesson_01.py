"""What the exercises of lesson 01, on compression, ask of an answer."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlib.exercises.checks import Wrong, exercise


@exercise(
    "01-identify",
    "Count the codes that are used once",
    why="A number of one's own is cheap: three random mixtures of the pixels have it too, as the next picture shows.",
)
def _(own_codes):
    two_share = torch.tensor([[0.101, 0.2], [0.104, 0.2], [0.5, 0.5], [0.5, 0.9]])
    spread = torch.linspace(0, 1, 51)[:, None].repeat(1, 3)
    cases = [
        (
            "of four codes, (0.101, 0.2) and (0.104, 0.2) are the same with two decimals, so half are used once",
            two_share,
            0.5,
        ),
        ("51 codes that differ by 0.02 are each used once", spread, 1.0),
        ("20 codes that are all the same are never used once", torch.full((20, 3), 0.25), 0.0),
    ]
    for text, codes, expected in cases:
        got = float(own_codes(codes))
        if abs(got - expected) > 1e-6:
            return f"{text}: expected {expected:.2f}, yours gives {got:.2f}."
    return None


@exercise(
    "01-compress",
    "Squeeze and expand",
    why="A code is a list of amounts, and drawing is adding up: later networks replace the sum, not the idea.",
)
def _(functions):
    compress, expand = functions
    chance = torch.Generator().manual_seed(7)
    components = torch.linalg.qr(torch.randn(20, 20, generator=chance)).Q.T[:12]  # (12, 20)
    mean, pictures = torch.rand(20, generator=chance), torch.rand(9, 20, generator=chance)
    codes = compress(pictures, mean, components, 4)
    if tuple(codes.shape) != (9, 4):
        return f"9 pictures and k = 4 should give codes (9, 4); yours gives {tuple(codes.shape)}."
    of_the_mean = compress(mean[None], mean, components, 4).abs().max().item()
    if of_the_mean > 1e-4:
        return (
            f"the average picture should have the code 0, since nothing must be added; yours holds {of_the_mean:.2f}."
        )
    made = mean + torch.tensor([[0.5, -1.0, 2.0, 0.0]]) @ components[:4]
    got = compress(made, mean, components, 4)[0].tolist()
    if max(abs(a - b) for a, b in zip(got, (0.5, -1, 2, 0), strict=True)) > 1e-3:
        found = ", ".join(f"{value:.2f}" for value in got)
        return f"the average plus 0.5, −1, 2 and 0 of the first four components should give those; yours gives {found}."
    back = expand(torch.tensor([[0.5, -1.0, 2.0, 0.0]]), mean, components)
    if tuple(back.shape) != (1, 20) or (back - made).abs().max() > 1e-3:
        return (
            "expand should add 0.5, −1, 2, 0 of the first four components to the average; yours draws another picture."
        )
    short = expand(torch.tensor([[0.5, -1.0]]), mean, components)
    if tuple(short.shape) != (1, 20):
        return f"a code of 2 numbers should also give a picture of 20; yours gives {tuple(short.shape)}."
    return None


@exercise(
    "01-triplets",
    "A ruler for alike, tested first",
    why="A blank code that puts every picture in one place must score one half; test a ruler before you use it.",
)
def _(alike_share):
    chance = torch.Generator().manual_seed(3)
    anchors = torch.rand(400, 1, 4, 4, generator=chance)
    tiny, large = 0.01 * torch.rand(anchors.shape, generator=chance), 3 + torch.rand(anchors.shape, generator=chance)
    half = torch.arange(400).view(-1, 1, 1, 1) < 100
    noise = torch.randn(3, 4000, 5, generator=chance)
    blank = torch.zeros(400, 3)
    swapped = (anchors, anchors + torch.where(half, large, tiny), anchors + torch.where(half, tiny, large))
    tenfold = tuple(10 * part for part in swapped)
    clear = (anchors, anchors + tiny, anchors + large)
    cases = [
        ("the alikes are copies with a little noise and the others are far away", clear, 1.0, 1e-6),
        ("in 100 of 400 triples the alike is the farther one", swapped, 0.75, 1e-6),
        ("the same with all numbers ten times as large", tenfold, 0.75, 1e-6),
        ("codes of noise know nothing", tuple(noise), 0.5, 0.04),
        ("a blank code puts all pictures in one place, so that it knows nothing", (blank, blank, blank), 0.5, 1e-6),
    ]
    for text, triple, expected, close in cases:
        got = float(alike_share(*triple))
        if not abs(got - expected) <= close:
            return f"{text}: expected {expected:.2f}, yours gives {got:.2f}."
    return None


@exercise(
    "01-bits",
    "Spend bits where they help",
    why="Real compressors do this: where there is more to say, finer steps pay, and what hardly varies gets nothing.",
)
def _(spend):
    for variances in (torch.tensor([16.0, 4.0, 1.0]), 50 * 0.9 ** torch.arange(60.0), torch.ones(8)):
        budget = 3 * len(variances)
        bits = [float(value) for value in spend(variances, budget)]
        known = f"variances {', '.join(f'{value:g}' for value in variances[:3].tolist())} … and {budget} bits"
        if len(bits) != len(variances):
            return f"{known}: expected {len(variances)} entries, one for each number; yours has {len(bits)}."
        if any(value < 0 or value != int(value) for value in bits) or sum(bits) != budget:
            return f"{known}: expected whole bits that add up to {budget}; yours add up to {sum(bits):g}."
        best, yours = _error(variances, _greedy(variances, budget)), _error(variances, torch.tensor(bits))
        if yours > 1.02 * best:
            return (
                f"{known}: the error can be brought to {best:.2f}, yours leaves {yours:.2f}. "
                "A bit more quarters the error of its number."
            )
    return None


def _error(variances: Tensor, bits: Tensor) -> float:
    """What is left of the variance when each bit quarters it."""
    return (variances * 0.25**bits).sum().item()


def _greedy(variances: Tensor, budget: int) -> Tensor:
    bits = torch.zeros_like(variances)
    for _ in range(budget):
        bits[(variances * 0.25**bits).argmax()] += 1
    return bits


@exercise(
    "01-fool",
    "Fool PCA",
    why="PCA learned “ink here”, and not “a slanted stroke, wherever it is”: near in pixels is not alike to a person.",
)
def _(fool):
    from latentlib import space
    from latentlib.datasets.digits import load

    digits = load("bundled")
    principal = space.principal_directions(digits.train_images, 30)
    pictures = digits.test_images[:60]

    def error(images: Tensor) -> float:
        returned = space.pca_reconstruct(space.pca_project(images, principal), principal)
        return (returned - images.flatten(1)).square().sum(1).mean().item()

    changed = fool(pictures.clone())
    if changed.shape != pictures.shape:
        return f"pictures (60, 1, 28, 28) should stay (60, 1, 28, 28); yours are {tuple(changed.shape)}."
    moves = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
    apart = torch.stack([(torch.roll(pictures, move, (2, 3)) - changed).abs().amax((1, 2, 3)) for move in moves])
    same = apart.amin(0) < 1e-3  # a move by up to 4 pixels, with all of its ink
    if not same.all():
        bad = int((~same).nonzero()[0])
        both = torch.stack([pictures[bad], changed[bad].clamp(0, 1)])
        return Wrong(
            "a digit should be the same to a person: all of its ink, moved by at most 4 pixels.",
            both,
            ("before", "yours"),
        )
    before, after = error(pictures), error(changed)
    if after < 2 * before:
        return f"PCA with 30 numbers should be wrong at least twice as much: before {before:.1f}, yours {after:.1f}."
    return None
