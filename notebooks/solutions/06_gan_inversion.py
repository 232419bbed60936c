"""The exercises of lesson 06 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 06-search
def search(draw, picture, code, steps):
    """A code from which draw(code) comes near to the picture: as many steps of Adam from a code."""
    code = code.clone().requires_grad_()
    optimizer = torch.optim.Adam([code], lr=0.1)
    for _ in range(steps):
        loss = (draw(code) - picture).square().mean()  #: loss = ...
        optimizer.zero_grad()
        loss.backward()  #: ...  # two lines
        optimizer.step()  #:
    return code.detach()


check("06-search", search)


# %% 06-psnr
def psnr(a, b):
    """Decibels, -10 log10 of the mean squared error: pictures (n, 3, h, w) in [0, 1] -> (n,)."""
    error = (a - b).square().mean(dim=(1, 2, 3))  #: error = ...  # (n,)
    return -10 * error.log10()  #: return ...


check("06-psnr", psnr)


# %% 06-unusual
def unusual(codes, mean, directions, variances):
    """Root mean square of the standard deviations along each direction: (..., d) -> (...)."""
    along = (codes - mean) @ directions.T  # (..., k)
    return (along / variances.sqrt()).square().mean(dim=-1).sqrt()  #: return ...


check("06-unusual", unusual)
