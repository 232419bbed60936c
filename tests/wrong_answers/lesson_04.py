"""Typical wrong answers to the exercises of lesson 04; each must be told why."""

import torch
from torch.nn.functional import cosine_similarity


def naive_slerp(a, b, t):  # dies at angle 0
    angle = torch.acos(cosine_similarity(a, b, dim=1))[:, None]
    lengths = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    mixed = torch.sin((1 - t) * angle) * a / lengths[0] + torch.sin(t * angle) * b / lengths[1]
    return mixed / torch.sin(angle) * (lengths[0] * (1 - t) + lengths[1] * t)


def rescaled_lerp(a, b, t):  # the right arc at another pace
    mixed = a * (1 - t) + b * t
    lengths = a.norm(dim=1, keepdim=True) * (1 - t) + b.norm(dim=1, keepdim=True) * t
    return mixed / mixed.norm(dim=1, keepdim=True) * lengths


def nothing_for_nan(a, b, t):
    return naive_slerp(a, b, t).nan_to_num()


def pictures(decode, start, end, steps):
    t = torch.linspace(0, 1, steps + 1)[:, None]
    return decode(start * (1 - t) + end * t).flatten(1)


def absolute_speed(decode, start, end, steps):
    return pictures(decode, start, end, steps).diff(dim=0).norm(dim=1)


def speed_of_the_code(decode, start, end, steps):
    return torch.ones(steps)


def signed_speed(decode, start, end, steps):
    change = pictures(decode, start, end, steps).diff(dim=0).mean(dim=1)
    return change / change.mean()


def from_the_start(decode, start, end, steps):
    walk = pictures(decode, start, end, steps)
    change = (walk[1:] - walk[:1]).norm(dim=1)
    return change / change.mean()


def two_means(codes, wanted, other):
    return codes[wanted > 0.5].mean(0) - codes[wanted <= 0.5].mean(0)


def no_middle(codes, wanted, other):
    return torch.linalg.lstsq(torch.stack([wanted, other], dim=1), codes).solution[0]


def the_other(codes, wanted, other):
    table = torch.stack([wanted, other, torch.ones(len(codes))], dim=1)
    return torch.linalg.lstsq(table, codes).solution[1]


def read_not_written(codes, wanted, other):  # how the code tells the factor, not how the factor moves the code
    return torch.linalg.lstsq(codes - codes.mean(0), (wanted - wanted.mean())[:, None]).solution[:, 0]


WRONG = {
    "04-lerp": [
        lambda a, b, t: a * t + b * (1 - t),
        lambda a, b, t: a + t * b,
        lambda a, b, t: (a + b) / 2,
        lambda a, b, t: torch.lerp(a, b, min(float(torch.as_tensor(t).max()), 1.0)),
        lambda a, b, t: a + (b - a) * torch.as_tensor(t).clamp(0, 1),
    ],
    "04-interval": [
        lambda x: (x.mean() - 2 * x.std(), x.mean() + 2 * x.std()),
        lambda x: (x.min(), x.max()),
        lambda x: (x.quantile(0.025), x.quantile(0.975)),
        lambda x: (x.mean(), x.mean()),
        lambda x: (x.mean() + 2 * x.std() / len(x) ** 0.5, x.mean() - 2 * x.std() / len(x) ** 0.5),
    ],
    "04-speed": [absolute_speed, speed_of_the_code, signed_speed, from_the_start],
    "04-slerp": [naive_slerp, rescaled_lerp, nothing_for_nan, lambda a, b, t: a * (1 - t) + b * t],
    "04-alone": [two_means, no_middle, the_other, read_not_written],
}
