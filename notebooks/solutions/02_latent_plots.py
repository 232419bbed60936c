"""The exercises of lesson 02 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 02-triplets
def alike_share(anchors, alikes, others):
    """How often the alike is nearer to its anchor than the other is: three (n, ...) -> a share."""
    near = (anchors - alikes).flatten(1).norm(dim=1)  # (n,)
    far = (anchors - others).flatten(1).norm(dim=1)  # (n,)  #: far = ...
    return ((near < far).float() + (near == far).float() / 2).mean()  #: return ...


check("02-triplets", alike_share)


# %% 02-forget
def forget(codes, directions):
    """Codes (n, d) with nothing left along the directions (f, d), and nothing else changed."""
    basis = torch.linalg.qr(directions.T).Q  # (d, f): the same plane, at right angles
    return codes - codes @ basis @ basis.T  #: return ...


check("02-forget", forget)


# %% 02-kept
def neighbours_kept(codes, page, k=5):
    """The share of each code's k nearest that are also its k nearest on the page."""

    def nearest(points):
        far = torch.cdist(points, points)  # (n, n)
        far.fill_diagonal_(torch.inf)  #: ...  # nobody is their own neighbour
        return far.topk(k, largest=False).indices  # (n, k)

    true, seen = nearest(codes), nearest(page)
    both = (true[:, :, None] == seen[:, None, :]).any(dim=2)  # (n, k)  #: both = ...
    return both.float().mean()


check("02-kept", neighbours_kept)
