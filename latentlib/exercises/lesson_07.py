"""What the exercises of lesson 07, on the child of two faces, ask of an answer."""

import torch

from latentlib import metrics
from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["07-child"] = Sentence(
    "The point between the codes of two parents is the face of their child.",
    verdict="not shown",
    why="It is a face, but a sharpened cross-fade passes every measure that we tried. Photos of real families could "
    "show it: is the blend nearer to the grown child than that cross-fade is?",
)


@exercise("07-blend", "Mix two codes", why="This one line makes every child in this lesson.")
def _(mix):
    first, second = torch.randn(2, 10, 6)
    shares = (0.0, 1.0, 0.25, -0.5, 2.0, torch.linspace(0, 1, 10))
    cases = [(first, second, share) for share in shares]
    same_as(lambda a, b, share: a + torch.as_tensor(share).reshape(-1, 1) * (b - a), mix, cases)


def faces(count: int = 12) -> torch.Tensor:  # (count, 3, 16, 16)
    patches = torch.rand(count, 3, 8, 8)
    return 0.1 + 0.8 * patches.repeat_interleave(2, 2).repeat_interleave(2, 3)


def patchwork(first, second) -> torch.Tensor:  # as crisp as they are: each square from one of them
    dice = torch.rand(len(first), 1, 8, 8) < 0.5
    return torch.where(dice.repeat_interleave(2, 2).repeat_interleave(2, 3), first, second)


@exercise("07-test", "A test that rejects a cross-fade", why="Cross-fades lose detail. But is detail hard to get?")
def _(is_fade):
    a, b = faces(), faces()
    pale = 0.5 + 0.5 * (a - 0.5)  # the first parents' photos, with less contrast
    half = torch.arange(12) % 3 == 0
    for text, child, first, second, wanted in (
        ("the pixel average of two parents is a cross-fade", (a + b) / 2, a, b, True),
        ("30 % of one parent and 70 % of the other is a cross-fade, too", a.lerp(b, 0.7), a, b, True),
        ("a child as crisp as its parents is none", patchwork(a, b), a, b, False),
        ("in dark photos a crisp child is none", 0.3 * patchwork(a, b), 0.3 * a, 0.3 * b, False),
        ("in dark photos a cross-fade is one", 0.15 * (a + b), 0.3 * a, 0.3 * b, True),
        ("beside one pale parent a cross-fade is one", (pale + b) / 2, pale, b, True),
        ("beside one pale parent a crisp child is none", patchwork(pale, b), pale, b, False),
        ("each couple should get its own answer", torch.where(half[:, None, None, None], a / 2 + b / 2, b), a, b, half),
        ("one couple alone should get one answer", (a[:1] + b[:1]) / 2, a[:1], b[:1], True),
    ):
        got = is_fade(child, first, second)
        assert got.shape == (len(child),), f"{len(child)} couples should get as many answers; yours: {tuple(got.shape)}"
        wrong = int(((got > 0.5) != wanted).sum())
        assert 10 * wrong <= len(child), f"{text}; yours says otherwise for {wrong} of {len(child)}"


@exercise("07-sharpen", "Sharpen", why="Every photo program has this button. It is your opponent now.")
def _(sharpen):
    def inside(function):  # at the border a blur may do as it likes
        return lambda pictures, amount: function(pictures, amount)[..., 1:-1, 1:-1]

    cases = [(0.3 + 0.4 * faces(3), 0.0), (0.3 + 0.4 * faces(3), 1.0), (faces(1), 0.5), (faces(2), 2.0)]
    same_as(inside(metrics.sharpened), inside(sharpen), cases)
