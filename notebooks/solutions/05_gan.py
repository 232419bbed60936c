"""The exercises of lesson 05 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 05-judge
def photo_wins(photos, samples):
    """How often a photo's answer is above a sample's, over all pairs; a tie counts half."""
    higher = photos[:, None] > samples[None]  # (n, m)  #: higher = ...
    equal = photos[:, None] == samples[None]  #: equal = ...
    return (higher.float() + equal.float() / 2).mean().item()


check("05-judge", photo_wins)


# %% 05-mix
def mix(shape, colour, first, layers=10):
    """The first layers from one w, the others from another: two (n, d) -> (n, layers, d)."""
    codes = colour[:, None].repeat(1, layers, 1)  #: codes = ...
    codes[:, :first] = shape[:, None]  #:
    return codes


check("05-mix", mix)


# %% 05-widest
def widest(codes):
    """The direction of length 1 in which codes vary most: (n, d) -> (d,)."""
    centred = codes - codes.mean(0)  #: centred = ...
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # (d,), smallest first; (d, d), in columns
    return vectors[:, -1]  #: return ...


check("05-widest", widest)


# %% 05-pull
def pull(w, mean, psi):
    """Truncation of codes (n, d), or (n, layers, d), towards a mean (d,)."""
    return mean + psi * (w - mean)  #: return ...


check("05-pull", pull)


# %% 05-without
def without(direction, other):
    """What is left of a direction when nothing may go along another: (d,), (d,) -> (d,)."""
    along = (direction @ other) / (other @ other)  #: along = ...
    return direction - along * other  #: return ...


check("05-without", without)
