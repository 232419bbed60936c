"""The exercises of lesson 01 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 01-identify
def own_codes(codes):
    """The share of codes, with two decimals, that no other picture has: (n, d) -> a number."""
    rounded = codes.mul(100).round()  #: rounded = ...
    _, which, sharing = torch.unique(rounded, dim=0, return_inverse=True, return_counts=True)
    return (sharing[which] == 1).float().mean().item()  #: return ...


check("01-identify", own_codes)


# %% 01-compress
def compress(pictures, mean, components, k):
    """The first k amounts of each picture: (n, d), (d,), (many, d) -> (n, k)."""
    return (pictures - mean) @ components[:k].T  #: return ...


def expand(codes, mean, components):
    """The pictures that belong to codes (n, k) -> (n, d)."""
    return mean + codes @ components[: codes.shape[1]]  #: return ...


check("01-compress", (compress, expand))


# %% 01-triplets
def alike_share(anchors, alikes, others):
    """How often the alike is nearer to its anchor than the other: three (n, ...) -> a share."""
    near = (anchors - alikes).flatten(1).norm(dim=1)  # (n,)  #: near = ...
    far = (anchors - others).flatten(1).norm(dim=1)  # (n,)  #: far = ...
    return ((near < far).float() + (near == far).float() / 2).mean().item()  #: return ...


check("01-triplets", alike_share)


# %% 01-bits
def spend(variances, budget):
    """Whole bits for each number of a code: (d,), a budget -> a list of d that adds up to it."""
    bits = [0] * len(variances)
    error = [float(variance) for variance in variances]  # with 0 bits a number is not there at all
    for _ in range(budget):
        most = error.index(max(error))  # where a bit helps most  #: most = ...
        bits[most] += 1
        error[most] /= 4  #: error[most] = ...
    return bits


check("01-bits", spend)


# %% 01-fool
def fool(pictures):
    """The same digits to a person, strangers to PCA: (n, 1, 28, 28) -> (n, 1, 28, 28)."""
    return torch.roll(pictures, shifts=(2, 2), dims=(-2, -1))  #: return ...


check("01-fool", fool)
