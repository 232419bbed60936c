"""The exercises of lesson 06 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 06-find
def find(draw, wanted, start, steps=150):
    """Codes that draw the wanted pictures: start (d,), wanted (n, ...) -> codes (n, d)."""
    code = start.repeat(len(wanted), 1).requires_grad_()
    optimizer = torch.optim.Adam([code], lr=0.05)
    for _ in range(steps):
        error = (draw(code) - wanted).square().flatten(1).mean(1).sum()  #: error = ...
        optimizer.zero_grad()  #:
        error.backward()  #:
        optimizer.step()  #:
    return code.detach()


check("06-find", find)


# %% 06-gained
def gained(found, true, mean):
    """How much of the way from the mean to the true code is done: 1 all, 0 none: (n, d) -> (n,)."""
    left = (found - true).norm(dim=1)  #: left = ...
    way = (mean - true).norm(dim=1)  #: way = ...
    return 1 - left / way


check("06-gained", gained)


# %% 06-upside
def understands(upright, upside_down, needed=3.0):
    """Whether a method's fit is better for photos than for the same photos upside down.

    upright, upside_down: (n,) in dB, of the same n photos -> True when the mean lead is ``needed``
    dB or more, and when it is there in at least nine of ten photos.
    """
    lead = upright - upside_down  #: lead = ...
    return bool(lead.mean() >= needed and (lead > 0).float().mean() >= 0.9)  #: return ...


check("06-upside", understands)


# %% 06-best
def best_of(codes, errors):
    """Of several searches the best code of each picture: (k, n, d), (k, n) -> (n, d)."""
    best = errors.argmin(0)  # (n,), which search  #: best = ...
    return codes[best, torch.arange(codes.shape[1])]  #: return ...


check("06-best", best_of)


# %% 06-unusual
def unusual(codes, sample):
    """Squared Mahalanobis distance, divided by d, from a cloud: (n, d), (many, d) -> (n,)."""
    mean, covariance = sample.mean(0), torch.cov(sample.T)  #: mean, covariance = ...
    away = codes - mean  # (n, d)
    return (away @ torch.linalg.inv(covariance) * away).sum(1) / codes.shape[1]  #: return ...


check("06-unusual", unusual)
