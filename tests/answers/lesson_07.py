"""Right and wrong answers to the exercises of lesson 07."""

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, conv2d, pad

from tests.answers import wrappers

# --- 07-blend


def mix(first, second, share):
    share = torch.as_tensor(share).reshape(-1, 1)
    return first + share * (second - first)


def mix_in_loop(first, second, share):
    shares = [float(share)] * len(first) if np.ndim(share) == 0 else [float(s) for s in share]
    return [
        [(1 - s) * x + s * y for x, y in zip(a, b, strict=True)] for s, a, b in zip(shares, first, second, strict=True)
    ]


def mix_by_numpy(first, second, share):
    share = np.asarray(share, dtype=np.float64).reshape(-1, 1)
    return np.asarray(first) * (1 - share) + np.asarray(second) * share


# --- 07-test


def detail(pictures):
    across, down = pictures.diff(dim=3).abs().flatten(1), pictures.diff(dim=2).abs().flatten(1)
    return torch.cat([across, down], 1).mean(1)


def is_fade(children, first, second):
    return detail(children) < 0.9 * (detail(first) + detail(second)) / 2


def by_the_line(children, first, second):
    """Where on the line between both parents is the picture nearest to the child, and is that the child?"""
    way, off = (second - first).flatten(1), (children - first).flatten(1)
    share = (off * way).sum(1) / way.square().sum(1)
    rest = (off - share[:, None] * way).norm(dim=1) / way.norm(dim=1)
    return (rest < 0.1) & (share > 0.15) & (share < 0.85)


def by_numpy(children, first, second):
    children, first, second = (np.asarray(x, dtype=np.float64) for x in (children, first, second))
    rough = [np.abs(np.diff(x)).mean((1, 2, 3)) for x in (children, first, second)]
    return rough[0] < 0.43 * (rough[1] + rough[2])


def by_loop(children, first, second):
    return [bool(is_fade(c[None], a[None], b[None])) for c, a, b in zip(children, first, second, strict=True)]


def by_spread(children, first, second):
    def spread(x):
        return x.flatten(1).var(dim=1)

    return spread(children) < 0.8 * (spread(first) + spread(second)) / 2


# --- 07-sharpen


def sharpen(pictures, amount):
    blurred = avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    return (pictures + amount * (pictures - blurred)).clamp(0, 1)


def by_kernel(pictures, amount):
    kernel = torch.full((3, 1, 3, 3), -amount / 9)
    kernel[:, :, 1, 1] += 1 + amount
    return conv2d(pad(pictures, (1, 1, 1, 1), mode="reflect"), kernel, groups=3).clamp(0, 1)


def by_lerp(pictures, amount):
    blurred = avg_pool2d(pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.lerp(blurred, pictures, 1 + amount).clip(0, 1)


def sharpen_by_numpy(pictures, amount):
    x = np.asarray(pictures, dtype=np.float64)
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = x.shape[2:]
    blurred = sum(wide[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    return np.clip(x + amount * (x - blurred), 0, 1)


def blurred(pictures, size=3):
    return avg_pool2d(pictures, size, stride=1, padding=size // 2, count_include_pad=False)


RIGHT = {
    "07-blend": [
        mix,
        lambda first, second, share: (
            (1 - torch.as_tensor(share).reshape(-1, 1)) * first + torch.as_tensor(share).reshape(-1, 1) * second
        ),
        lambda first, second, share: torch.lerp(first, second, torch.as_tensor(share).reshape(-1, 1).expand_as(first)),
        mix_in_loop,
        mix_by_numpy,
        *wrappers(mix),
    ],
    "07-test": [is_fade, by_the_line, by_numpy, by_loop, by_spread, *wrappers(is_fade)],
    "07-sharpen": [sharpen, by_kernel, by_lerp, sharpen_by_numpy, *wrappers(sharpen)],
}
WRONG = {
    "07-blend": [
        lambda first, second, share: mix(second, first, share),
        lambda first, second, share: mix(first, second, torch.as_tensor(share).clamp(0, 1)),
        lambda first, second, share: mix(first, second, torch.as_tensor(share).clamp(min=0)),
        lambda first, second, share: mix(first, second, torch.as_tensor(share).float().mean()),  # one for all layers
        lambda first, second, share: mix(first, second, torch.as_tensor(share).flip(-1) if np.ndim(share) else share),
        lambda first, second, share: first + torch.as_tensor(share).reshape(-1, 1) * second,
        lambda first, second, share: (first + second) / 2,
        lambda first, second, share: torch.where(torch.as_tensor(share).reshape(-1, 1) < 0.5, first, second),
        lambda first, second, share: first + torch.as_tensor(share).abs().reshape(-1, 1) * (second - first),
        lambda first, second, share: mix(first[:1], second[:1], share).expand_as(first),  # the first layer for all
        lambda first, second, share: mix(first, second, torch.as_tensor(share) ** 2),
    ],
    "07-test": [
        lambda c, a, b: is_fade(c, a, b).float().mean().gt(0.5).expand(len(c)),  # one answer for all
        lambda c, a, b: detail(c) < 0.9 * detail(a),  # the first parent only
        lambda c, a, b: detail(c) < 0.9 * detail(b),
        lambda c, a, b: detail(c) < 0.9 * torch.minimum(detail(a), detail(b)),
        lambda c, a, b: detail(c) < 0.9 * torch.maximum(detail(a), detail(b)),
        lambda c, a, b: detail(c) < 0.2,  # in dark photos everything is soft
        lambda c, a, b: detail(c) < 0.6 * (detail(a) + detail(b)) / 2,
        lambda c, a, b: ~is_fade(c, a, b),
        lambda c, a, b: (c - (a + b) / 2).flatten(1).norm(dim=1) < 0.01,  # the average only
        lambda c, a, b: (
            torch.minimum((c - a).flatten(1).norm(dim=1), (c - b).flatten(1).norm(dim=1))
            < 0.95 * (a - b).flatten(1).norm(dim=1)
        ),  # is it between its parents?
        lambda c, a, b: torch.zeros(len(c)),
        lambda c, a, b: is_fade(c, a, b)[0],
    ],
    "07-sharpen": [
        lambda x, amount: x + amount * (x - blurred(x)),  # beyond black and white
        lambda x, amount: (x - amount * (x - blurred(x))).clamp(0, 1),  # it blurs
        lambda x, amount: (amount * (x - blurred(x))).clamp(0, 1),
        lambda x, amount: (x + (x - blurred(x))).clamp(0, 1),  # always once
        lambda x, amount: (x + amount * (x - blurred(x, 5))).clamp(0, 1),
        lambda x, amount: (x + amount * (x - x.mean((2, 3), keepdim=True))).clamp(0, 1),  # contrast
        lambda x, amount: (x + amount * (x - 0.5)).clamp(0, 1),
        lambda x, amount: (blurred(x) + amount * (x - blurred(x))).clamp(0, 1),
        lambda x, amount: (x * (1 + amount)).clamp(0, 1),
        lambda x, amount: (x + amount * (x - blurred(x)).abs()).clamp(0, 1),
        lambda x, amount: ((x + amount * (x - blurred(x))) / (1 + amount)).clamp(0, 1),
    ],
}
