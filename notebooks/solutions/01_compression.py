"""The exercises of lesson 01 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 01-compress
def reconstruct(pictures, mean, components, k):
    """Pictures squeezed to k numbers and drawn again: (n, d), (d,), (many, d) -> (n, d)."""
    codes = (pictures - mean) @ components[:k].T  # (n, k): how much of each pattern  #: codes = ...  # (n, k)
    return mean + codes @ components[:k]  #: return ...  # (n, d)


check("01-compress", reconstruct)


# %% 01-bits
def spend(variances, budget):
    """How many bits each number gets: (d,), a whole number -> d whole numbers that add up to it."""
    bits = torch.zeros(len(variances))
    error = variances.clone()  # without a bit a number is not there at all
    for _ in range(budget):
        most = error.argmax()  # where a bit helps most  #: most = ...
        bits[most] += 1
        error[most] /= 4  #: error[most] = ...
    return bits


check("01-bits", spend)


# %% 01-identify
def own_codes(codes):
    """The share of codes that, with two decimals, no other picture has: (n, d) -> a number."""
    rounded = codes.mul(100).round()  #: rounded = ...
    _, which, sharing = torch.unique(rounded, dim=0, return_inverse=True, return_counts=True)
    return (sharing[which] == 1).float().mean()  #: return ...


check("01-identify", own_codes)
