"""The exercises of lesson 04 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 04-lerp
def lerp(start, end, t):
    """The point at t on the straight line: (n, d), (n, d), a number or (n, 1) -> (n, d)."""
    return start * (1 - t) + end * t  #: return ...


check("04-lerp", lerp)


# %% 04-interval
def interval(differences):
    """Two ends that hold the true mean in 95 of 100 cases: (n,) -> (low, high)."""
    n = len(differences)
    means = []
    for _ in range(1000):
        again = differences[torch.randint(n, (n,))]  # (n,)  #: again = ...  # (n,)
        means.append(again.mean())
    means = torch.stack(means)
    return means.quantile(0.025), means.quantile(0.975)  #: return ...


check("04-interval", interval)


# %% 04-slerp
def slerp(start, end, t):
    """The point at t on the arc: (n, d), (n, d), a number or (n, 1) -> (n, d)."""
    first, last = (x.norm(dim=1, keepdim=True) for x in (start, end))  # lengths (n, 1)
    a, b = start / first, end / last  # directions
    angle = torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1))  # (n, 1)
    straight = a * (1 - t) + b * t
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)  #: arc = ...
    direction = torch.where(angle < 0.001, straight, arc)  #: direction = ...
    return direction * (first * (1 - t) + last * t)


check("04-slerp", slerp)
