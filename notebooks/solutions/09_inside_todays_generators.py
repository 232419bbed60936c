"""The exercises of lesson 09 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 09-splice
def splice(a, b, column):
    """The columns before this one from code a, the rest from b: two (1, 32, h, w) -> the same."""
    return torch.cat([a[..., :column], b[..., column:]], dim=-1)  #: return ...


check("09-splice", splice)


# %% 09-flow
def flow_loss(network, noise, code, t):
    """Mean squared error of the network's direction at the point a share t of the way to the code."""
    point, wanted = (1 - t) * noise + t * code, code - noise  # on the line, and its direction  #: point, wanted = ..., ...
    return (network(point, t) - wanted).square().mean()


check("09-flow", flow_loss)


# %% 09-draw
@torch.no_grad()
def flow_draw(network, noise, steps):
    """Follow the network from noise (n, d) at t = 0 to codes (n, d) at t = 1."""
    x = noise
    for k in range(steps):
        t = torch.full((len(x), 1), k / steps)
        x = x + network(x, t) / steps  #: x = ...
    return x


check("09-draw", flow_draw)
