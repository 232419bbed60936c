"""What the exercises of lesson 04, on interpolation, ask of an answer."""

import math

import torch

from latentlib import space
from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["04-halfway"] = Sentence(
    "Walk from one code to another, and the decoder draws what lies between the two.",
    verdict="half true",
    why="It does between chairs that are turned alike. Turned far apart, halfway is no better than an average chair.",
)


@exercise("04-lerp", "Walk straight", why="The same line mixes codes, pictures, sounds and the weights of networks.")
def _(lerp):
    a, b = torch.linspace(-3, 4, 60).view(2, 6, 5).sin() * 3
    each = torch.tensor([[0.0], [1.0], [0.5], [0.5], [0.2], [0.9]])
    cases = [(a[:1, :2], b[:1, :2], t) for t in (0.0, 1.0, 0.5, 0.25, 0.9)] + [(a, b, 0.3), (a, b, each)]
    same_as(lambda start, end, t: start + t * (end - start), lerp, [*cases, (a, 5 * a, each), (a[:1], b[:1], each)])


@exercise("04-interval", "How sure is a mean?", why="A mean of a few pairs can be an accident; its interval tells.")
def _(interval):
    def by_formula(samples):  # (12, 200): the two ends, on average over the samples
        half = 1.96 * samples.std(1) / 200**0.5
        return torch.stack([samples.mean(1) - half, samples.mean(1) + half]).mean(1)

    def yours(samples):
        return torch.stack([interval(sample) for sample in samples]).mean(0)

    samples = torch.randn(12, 200) * 3 - 1
    same_as(by_formula, yours, [(samples,)], 0.025, what="the interval, on average over the rows,")
    spikes = 8 * torch.eye(8)
    same_as(lambda spike: 3, lambda spike: interval(spike)[1], [(spikes[0],), (spikes[7],)], 0.1, "the upper end")


@exercise("04-slerp", "Walk along an arc", why="Dividing by a sine is dividing by zero one day; yours survives it.")
def _(slerp):
    def reference(start, end, t):
        return space.slerp(start, end, t[:, 0] if isinstance(t, torch.Tensor) else t)

    one, other = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, -2.0]])
    a, b = torch.linspace(0.3, 40, 128).view(2, 8, 8).sin() * torch.tensor([[[1.0]], [[2.5]]])
    cases = [(one, one, 0.5), (one, 2 * one, 0.5), (torch.cat([one, one]), torch.cat([one, other]), 0.5), (a, a, 0.5)]
    cases += [(one, other, t) for t in (0.0, 0.2, 0.5, 0.9, 1.0)] + [(a, b, torch.linspace(0, 1, 8)[:, None])]
    for angle in (0.5, 0.06, 0.004):  # the straight line between is shorter than the arc, by angle² / 8
        cases.append((torch.tensor([[1.0, 0.0]]), torch.tensor([[math.cos(angle), math.sin(angle)]]), 0.5))
    same_as(reference, slerp, cases)
