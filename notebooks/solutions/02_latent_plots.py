"""The exercises of lesson 02 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.datasets import furniture
from latentlib.exercises import check


# %% 02-turn
def same_turn(first, others):
    """Factors (n, 12) of the other chairs, but each turned as the first chair: two (n, 12)."""
    alike = others.clone()
    turn = furniture.column("turn")
    alike[:, turn] = first[:, turn]  #: ...
    return alike


check("02-turn", same_turn)


# %% 02-r2
def held_out_r2(codes, values, fit, test):
    """R² of a straight-line fit: codes (n, d), values (n,), rows to fit, rows to test."""
    table = torch.cat([codes, torch.ones(len(codes), 1)], dim=1)  # (n, d + 1): one for the offset
    weights = torch.linalg.lstsq(table[fit], values[fit, None]).solution  #: weights = ...
    wrong = (values[test] - (table[test] @ weights)[:, 0]).square().sum()  #: wrong = ...
    total = (values[test] - values[test].mean()).square().sum()  # what guessing the mean leaves
    return (1 - wrong / total).item()


check("02-r2", held_out_r2)


# %% 02-kept
def neighbours_kept(codes, page, k=5):
    """The share of each code's k nearest that are also its k nearest on the page."""

    def nearest(points):
        far = torch.cdist(points, points)  # (n, n)
        far.fill_diagonal_(torch.inf)  #: ...  # nobody is their own neighbour
        return far.topk(k, largest=False).indices  # (n, k)

    true, seen = nearest(codes), nearest(page)
    both = (true[:, :, None] == seen[:, None, :]).any(dim=2)  # (n, k)  #: both = ...
    return both.float().mean().item()


check("02-kept", neighbours_kept)


# %% 02-forget
def forget(codes, directions):
    """Codes (n, d) with no part left along the directions (f, d), and nothing else changed."""
    basis = torch.linalg.qr(directions.T).Q  # (d, f), at right angles, length 1  #: basis = ...
    return codes - codes @ basis @ basis.T  #: return ...


check("02-forget", forget)


# %% 02-lie
def lie(codes, labels):
    """A page (n, 2) on which each label has an island, whatever the codes say: (n, d), (n,)."""
    angle = labels * 2 * torch.pi / (labels.max() + 1)  #: angle = ...
    islands = torch.stack([angle.cos(), angle.sin()], dim=1)
    return islands + 0.05 * torch.randn(len(labels), 2)  #: return ...


check("02-lie", lie)
