"""The exercises of lesson 00 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 00-walk
def walk(code, direction, amounts):
    """Codes on a straight line through a code: (d,), (d,), (k,) -> (k, d); amount 0 is the code."""
    return code + amounts[:, None] * direction  #: return ...


check("00-walk", walk)


# %% 00-random
def draw_like(data, n):
    """n random rows; each number has its mean and spread in the data: (m, d), n -> (n, d)."""
    mean, spread = data.mean(dim=0), data.std(dim=0)  # (d,), (d,)
    return mean + spread * torch.randn(n, data.shape[1]).to(data)  #: return ...


check("00-random", draw_like)


# %% 00-search
def most_alike(codes, query):
    """The position of the code nearest to a query: (n, d), (d,) -> a whole number."""
    distances = (codes - query).norm(dim=1)  # (n,)  #: distances = ...  # (n,)
    return distances.argmin()  #: return ...


check("00-search", most_alike)
