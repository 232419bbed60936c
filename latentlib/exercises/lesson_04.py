"""The checks of lesson 04, interpolation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentlib.exercises.checks import exercise


@exercise(
    "04-lerp",
    "Walk straight",
    why="The same line mixes codes, pictures, weights and sounds; what it means depends on the space it is drawn in.",
)
def _(lerp):
    torch.manual_seed(4)
    a, b = torch.randn(2, 6, 5)
    for t, wanted, text in (
        (0.0, a, "at 0 the walk stands at its start"),
        (1.0, b, "at 1 the walk stands at its end"),
        (0.5, (a + b) / 2, "at 0.5 it stands in the middle"),
        (0.25, 0.75 * a + 0.25 * b, "at 0.25 it has gone a quarter of the way, and is nearer to its start"),
        (2.0, 2 * b - a, "at 2 it has gone on beyond its end, as far again"),
        (torch.tensor([[0.0], [1.0], [0.5], [0.5], [0.2], [0.9]]), None, "each row may have a t of its own, (n, 1)"),
    ):
        got = lerp(a, b, t)
        wanted = a + t * (b - a) if wanted is None else wanted
        if got.shape != a.shape:
            return f"{text}: codes (6, 5) should stay (6, 5); yours are {tuple(got.shape)}."
        if not torch.allclose(got, wanted, atol=1e-5):
            return f"{text}; yours is {(got - wanted).norm(dim=1).max():.2f} away from there."
    return None


@exercise(
    "04-slerp",
    "Walk along an arc, also when there is none",
    why="Dividing by the sine of an angle is dividing by zero one day; a function for others must survive that day.",
)
def _(slerp):
    torch.manual_seed(9)
    a, b = torch.randn(2, 8, 16)
    lengths = a.norm(dim=1), b.norm(dim=1)
    whole = angle(a, b)
    for t in (0.0, 0.2, 0.5, 1.0):
        got = slerp(a, b, t)
        if got.shape != a.shape:
            return f"codes (8, 16) should stay (8, 16); yours are {tuple(got.shape)}."
        wanted = lengths[0] * (1 - t) + lengths[1] * t
        if (got.norm(dim=1) - wanted).abs().max() > 1e-3:
            return f"at {t} the length should have gone {t:.0%} of the way from one length to the other; yours has not."
        if (angle(a, got) - t * whole).abs().max() > 2e-3:
            off = torch.rad2deg((angle(a, got) - t * whole).abs().max()).item()
            return f"at {t} the direction should have turned by {t:.0%} of the angle; yours is {off:.1f} degrees off."
    for name, end in (("the same code twice", a.clone()), ("codes of one direction", 2 * a)):
        got = slerp(a, end, 0.5)
        if not torch.isfinite(got).all():
            return f"{name}: the angle is 0, and yours gives {got.flatten()[0].item()}: a sine was zero below a stroke."
        if not torch.allclose(got, (a + end) / 2, atol=1e-3):
            return f"{name}: with no angle to turn, halfway is the mean; yours is something else."
    near = a + 1e-5 * torch.randn(8, 16)
    if not torch.allclose(slerp(a, near, 0.5), (a + near) / 2, atol=1e-2):
        return "nearly the same code twice: halfway should be nearly that code; yours is far from it."
    return None


def angle(a: Tensor, b: Tensor) -> Tensor:
    """The angle between codes (n, d) and (n, d), exact also near 0: (n,) in radians."""
    a, b = (x.double() / x.double().norm(dim=1, keepdim=True).clamp(min=1e-12) for x in (a, b))
    return 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1)).float()


@exercise(
    "04-interval",
    "How sure is a mean?",
    why="Two means without intervals are two accidents: eight pairs can say nearly anything.",
)
def _(interval):
    torch.manual_seed(6)
    low, high = (float(end) for end in interval(torch.full((30,), 2.0) + 1e-4 * torch.randn(30)))
    if not (1.99 < low <= high < 2.01):
        return f"30 differences of nearly 2 leave no doubt; yours says {low:.2f} to {high:.2f}."
    for count in (20, 500):
        widths, hits = [], 0
        for _ in range(40):
            sample = 1 + 3 * torch.randn(count)
            low, high = (float(end) for end in interval(sample))
            if not low <= high:
                return f"the lower end comes first; yours are {low:.2f} and {high:.2f}."
            widths.append(high - low)
            hits += low <= 1 <= high
        usual, got = 2 * 1.96 * 3 / math.sqrt(count), sum(widths) / 40
        known = f"{count} differences with standard deviation 3"
        if not 0.7 * usual < got < 1.35 * usual:
            return (
                f"{known}: their mean is known to within about {usual:.2f} from end to end; yours says {got:.2f}. "
                "The mean of many is surer than one of them."
            )
        if hits < 30:
            return f"{known}: of 40 intervals about 38 should hold the true mean; of yours {hits} do."
    return None


@exercise(
    "04-speed",
    "How fast do the pictures change?",
    why="It needs no reader that was told where to look, so it can find a border, or find that there is none.",
)
def _(speed):
    start, end = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])

    def even(codes: Tensor) -> Tensor:
        return codes[:, :1, None, None].expand(-1, 1, 4, 4)

    def jump(codes: Tensor) -> Tensor:
        return (codes[:, :1, None, None] > 0.62).float().expand(-1, 1, 4, 4)

    def back_and_forth(codes: Tensor) -> Tensor:
        return (2 * codes[:, :1, None, None] - 1).abs().expand(-1, 1, 4, 4)

    for name, decode in (
        ("a decoder that draws evenly", even),
        ("the same, ten times as dark", lambda z: 10 * even(z)),
    ):
        got = speed(decode, start, end, 10)
        if tuple(got.shape) != (10,):
            return f"a walk of 10 steps has 10 speeds; yours has the shape {tuple(got.shape)}."
        if (got - 1).abs().max() > 1e-3:
            return f"{name} should have the speed 1 at each step, the mean of the walk; yours begins with {got[0]:.2f}."
    got = speed(jump, start, end, 10)
    if int(got.argmax()) != 6 or abs(got[6].item() - 10) > 1e-2 or (got > 0.01).sum() != 1:
        told = ", ".join(f"{value:.1f}" for value in got.tolist())
        return f"a decoder that jumps at 62 % should have all its speed, 10, at the seventh of 10 steps; yours: {told}."
    got = speed(back_and_forth, start, end, 10)
    if (got - 1).abs().max() > 1e-3:
        return "a picture that pales and darkens again changes all the time: a speed is a length and has no sign."
    return None


@exercise(
    "04-alone",
    "A direction that carries nothing along",
    why="What goes together in the data goes together in a difference of means; holding the rest fixed undoes it.",
)
def _(direction):
    torch.manual_seed(12)
    along = torch.randn(400)
    arms = (along + 0.8 * torch.randn(400) > 0).float()  # heavy pieces have arms more often
    u, v = torch.linalg.qr(torch.randn(12, 2)).Q.T * torch.tensor([[1.0], [3.0]])
    codes = arms[:, None] * u + along[:, None] * v + 0.1 * torch.randn(400, 12) + 5
    got = direction(codes, arms, along)
    if tuple(got.shape) != (12,):
        return f"codes (400, 12) have directions of 12 numbers; yours has the shape {tuple(got.shape)}."
    took, step = (got @ v / v.norm() ** 2).item(), (got @ u / u.norm() ** 2).item()
    if abs(took) > 0.05:
        return (
            f"adding your direction also changes the other factor, by {took:.2f} of a unit: "
            "in these codes the two go together, and yours took both."
        )
    if abs(step - 1) > 0.15:
        return f"your direction should be one whole step of the factor; it is {step:.2f} steps."
    again = direction(codes, 2 * arms, along)
    if not torch.allclose(again, got / 2, atol=1e-3):
        return "measured in units half as large, one unit is half the step; yours does not follow the units."
    return None
