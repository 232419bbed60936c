"""The checks of lesson 07, the family."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlib.exercises.checks import Wrong, exercise


def people(seed: int, count: int = 12) -> Tensor:
    """Crisp pictures of nobody, (count, 3, 16, 16): each has its own tone and its own patches of dark and bright."""
    numbers = torch.Generator().manual_seed(seed)
    patches = torch.rand(count, 3, 8, 8, generator=numbers).repeat_interleave(2, 2).repeat_interleave(2, 3)
    return (0.15 + 0.7 * patches).clamp(0, 1)


def patchwork(first: Tensor, second: Tensor) -> Tensor:
    """Children as crisp as their parents: squares from either."""
    dice = torch.rand(len(first), 1, 8, 8, generator=torch.Generator().manual_seed(3)) < 0.5
    return torch.where(dice.repeat_interleave(2, 2).repeat_interleave(2, 3), first, second)


@exercise(
    "07-blend",
    "Mix two codes",
    why="One line makes every child in this lesson; what it is worth is decided by how the parents' codes were found.",
)
def _(blend):
    numbers = torch.Generator().manual_seed(7)
    first, second = torch.randn(2, 10, 6, generator=numbers)
    for share, wanted, text in (
        (0.0, first, "share 0 should give the first parent"),
        (1.0, second, "share 1 should give the second parent"),
        (0.25, 0.75 * first + 0.25 * second, "share 0.25 should be a quarter of the way to the second parent"),
    ):
        got = blend(first, second, share)
        if got.shape != first.shape:
            return f"two codes (10, 6) should give one of the same shape; yours gives {tuple(got.shape)}."
        if not torch.allclose(got, wanted, atol=1e-5):
            apart = (second - first).norm()
            return f"{text}; yours is {(got - wanted).norm():.2f} away from it (the parents are {apart:.2f} apart)."
    return None


@exercise(
    "07-ghost",
    "A mixer that passes and is no child",
    why="So “between its parents” is a test that a cross-fade passes: whoever reports it alone has shown nothing.",
)
def _(mixer):
    first, second = people(1), people(2)
    got = mixer(first, second)
    if got.shape != first.shape:
        return f"pictures {tuple(first.shape)} should give as many of the same size; yours gives {tuple(got.shape)}."
    to_first, to_second = ((got - side).flatten(1).norm(dim=1) for side in (first, second))
    apart = (first - second).flatten(1).norm(dim=1)
    failed = torch.maximum(to_first, to_second) >= 0.95 * apart
    if failed.any():
        one = int(failed.nonzero()[0])
        return Wrong(
            f"couple {one + 1}: a picture between its parents is nearer to both than they are to each other; "
            f"yours is as far from one of them.",
            torch.stack([first[one], got[one].clamp(0, 1), second[one]]),
            ("first", "yours", "second"),
        )
    if detail(got).mean() > 0.9 * (detail(first) + detail(second)).mean() / 2:
        return "it passes, but it is as crisp as its parents: that is no ghost. The simplest average will do."
    return None


@exercise(
    "07-test",
    "A test that rejects the ghost",
    why="A test is worth as much as what it rejects; this one is why detail stands beside likeness in the table.",
)
def _(is_ghost):
    first, second = people(3), people(4)
    cases = (
        ("average pictures are ghosts", (first + second) / 2, True),
        (
            "pictures made of squares from either parent are as crisp as they are: no ghosts",
            patchwork(first, second),
            False,
        ),
        ("the first parents themselves are no ghosts", first, False),
        ("a mixture of 30 and 70 % is a ghost as well", first.lerp(second, 0.3), True),
        ("darker photos are no ghosts: their detail is less because the parents' is", None, False),
    )
    for text, pictures, wanted in cases:
        a, b = (first, second) if pictures is not None else (0.5 * first, 0.5 * second)
        pictures = patchwork(a, b) if pictures is None else pictures
        got = torch.as_tensor(is_ghost(pictures, a, b))
        if got.shape != (len(first),) or got.dtype != torch.bool:
            return f"12 couples need 12 answers, a bool tensor (12,); yours is {got.dtype}, {tuple(got.shape)}."
        wrong = got != wanted
        if wrong.float().mean() > 0.1:
            one = int(wrong.nonzero()[0])
            return Wrong(
                f"{text}; yours says otherwise for {int(wrong.sum())} of {len(wrong)} couples.",
                torch.stack([a[one], pictures[one], b[one]]),
                ("first", "child", "second"),
            )
    return None


@exercise(
    "07-fraud",
    "One child in three tints",
    why="Some early programs gave every couple the same child in another skin tone. Divide the tone out, and it shows.",
)
def _(fraud):
    first, second = people(5), people(6)
    honest = patchwork(first, second)
    tints = torch.tensor([[1.0, 0.9, 0.8], [0.8, 0.65, 0.5], [0.5, 0.4, 0.3]]).repeat(4, 1)[:, :, None, None]
    steps = torch.linspace(0.4, 1.0, 12)[:, None, None, None]
    cases = (
        ("twelve different children are no fraud", honest, False),
        ("the same child in three tints is a fraud", first[:1] * tints, True),
        ("the same child twelve times is a fraud", first[:1].expand(12, -1, -1, -1).clone(), True),
        ("the same child, each time with more contrast, is a fraud", 0.3 - 0.3 * steps + first[:1] * steps, True),
        ("different children of one skin tone are no fraud", honest.mean(1, keepdim=True).expand(-1, 3, -1, -1), False),
    )
    for text, children, wanted in cases:
        got = fraud(children)
        if bool(got) != wanted:
            return Wrong(f"{text}; yours says {bool(got)}.", children[:6].clamp(0, 1), ("",) * 6)
    return None


def detail(pictures: Tensor) -> Tensor:
    across, down = pictures.diff(dim=3).abs().flatten(1), pictures.diff(dim=2).abs().flatten(1)
    return torch.cat([across, down], 1).mean(1)
