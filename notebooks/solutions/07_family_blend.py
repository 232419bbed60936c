"""The exercises of lesson 07 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib import metrics
from latentlib.exercises import check


# %% 07-blend
def mix(first, second, share):
    """The code at a share of the way from one code (10, 256) to another; share: a number, or ten, one for each layer."""
    share = torch.as_tensor(share).to(first).reshape(-1, 1)  # (1, 1) or (10, 1)
    return first + share * (second - first)  #: return ...


check("07-blend", mix)


# %% 07-test
def is_fade(children, first, second):
    """Pictures (n, 3, h, w) each -> n answers: is the child a cross-fade of its parents, 30 to 70 % of each?"""
    parents = (metrics.detail(first) + metrics.detail(second)) / 2  # (n,)
    return metrics.detail(children) < 0.9 * parents  #: return ...


check("07-test", is_fade)


# %% 07-sharpen
def sharpen(pictures, amount):
    """Pictures (n, 3, h, w) with what a blur takes away added ``amount`` times; still in [0, 1]."""
    blurred = torch.nn.functional.avg_pool2d(
        pictures, 3, stride=1, padding=1, count_include_pad=False
    )
    return (pictures + amount * (pictures - blurred)).clamp(0, 1)  #: return ...


check("07-sharpen", sharpen)
