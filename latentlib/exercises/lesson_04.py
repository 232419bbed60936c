"""What the exercises of lesson 04, on interpolation, ask of an answer."""

import torch

from latentlib import space
from latentlib.exercises import close, exercise, same_as, sentence

sentence(
    "04-halfway",
    "Walk from one code to another, and the decoder draws what lies between the two.",
    verdict="half true",
    why="It does between chairs that are turned alike. Turned far apart, halfway is no better than an average chair.",
)


@exercise("04-lerp", "Walk straight", why="The same line mixes codes, pictures, sounds and the weights of networks.")
def _(lerp):
    a, b = torch.linspace(-3, 4, 60).view(2, 6, 5).sin() * 3
    each = torch.tensor([[0.0], [1.0], [0.5], [0.5], [0.2], [0.9]])
    for t, told in ((0.0, "at t = 0 it stands at the start"), (1.0, "at t = 1 it stands at the end")):
        assert close(lerp(a, b, t), b if t else a), f"{told}; yours does not"
    cases = [(a[:1], b[:1], t) for t in (0.5, 0.25, 0.9)] + [(a, b, 0.3), (a, b, each), (a, 5 * a, each)]
    same_as(lambda start, end, t: start + t * (end - start), lerp, [*cases, (a[:1], b[:1], each)])


@exercise("04-interval", "How sure is a mean?", why="A mean of a few pairs can be an accident; its interval tells.")
def _(interval):
    dice, widths, off = torch.Generator().manual_seed(6), [], []
    for _ in range(12):
        sample = torch.randn(200, generator=dice) * 3 - 1
        low, high = (float(end) for end in interval(sample))
        assert low <= high, f"the lower end comes first; yours are {low:.2f} and {high:.2f}"
        usual = 2 * 1.96 * float(sample.std()) / 200**0.5
        widths.append((high - low) / usual)
        off.append(((low + high) / 2 - float(sample.mean())) / usual)
    share, off = sum(widths) / 12, sum(off) / 12
    told = "200 differences with a standard deviation of 3 have a mean that is known to about ±0.42"
    assert abs(share - 1) < 0.07, f"{told}; your intervals are {share:.2f} times as wide as that"
    assert abs(off) < 0.1, f"{told}; your intervals lie {'above' if off > 0 else 'below'} the mean"
    for place in (0, 29):
        spike = torch.zeros(30).index_fill(0, torch.tensor(place), 30.0)
        told = f"difference {place + 1} of 30 is 30, the others are 0: the mean may well be 2.5"
        assert float(interval(spike)[1]) > 2, f"{told}; your interval never draws that one"


@exercise("04-slerp", "Walk along an arc", why="Dividing by a sine is dividing by zero one day; yours survives it.")
def _(slerp):
    a, b = torch.linspace(0.3, 40, 128).view(2, 8, 8).sin() * torch.tensor([[[1.0]], [[2.5]]])
    some = torch.cat([a[:3], b[3:]])
    for name, end in (("the same code twice", a), ("a code and its double", 2 * a), ("some equal, some not", some)):
        got = slerp(a, end, 0.5)
        assert torch.isfinite(got).all(), f"{name}: the angle is 0, and yours gives {got[0, 0]:g}; a sine of 0 divides"
        told = f"{name}: halfway is the mean where the angle is 0, and on the arc elsewhere; yours is not"
        assert close(got, space.slerp(a, end, 0.5)), told
    for t in (0.0, 0.2, 0.5, 0.9, 1.0):
        got = slerp(a, b, t)
        assert got.shape == a.shape, f"codes (8, 8) should stay (8, 8); yours are {tuple(got.shape)}"
        lengths, told = a.norm(dim=1) * (1 - t) + b.norm(dim=1) * t, f"at t = {t:g}, {t:.0%} of the way"
        assert close(got.norm(dim=1), lengths, 1e-3), f"{told}, the length lies between both ends; yours does not"
        assert close(got, space.slerp(a, b, t), 1e-3), f"{told}, it has turned by {t:.0%} of the angle; yours has not"
    across = a.roll(1, dims=1)
    across = across - (across * a).sum(1, keepdim=True) / a.square().sum(1, keepdim=True) * a  # at right angles to a
    across = across / across.norm(dim=1, keepdim=True) * a.norm(dim=1, keepdim=True)
    for angle in (0.5, 0.06, 0.004):  # the straight line between is shorter than the arc, by angle² / 8
        end = a * torch.cos(torch.tensor(angle)) + across * torch.sin(torch.tensor(angle))
        told = f"codes {angle:g} radians apart still have an arc between them; yours leaves it"
        assert close(slerp(a, end, 0.5), space.slerp(a, end, 0.5)), told
    same_as(space.slerp, lambda x, y, t: slerp(x, y, t[:, None]), [(a, b, torch.linspace(0, 1, 8))], 1e-3)
