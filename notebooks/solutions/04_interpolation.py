"""The exercises of lesson 04 and their solutions: tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 04-lerp
def lerp(start, end, t):
    """The point at t, from 0 to 1, on the line: (n, d), (n, d), a number or (n, 1) -> (n, d)."""
    return start * (1 - t) + end * t  #: return ...


check("04-lerp", lerp)


# %% 04-interval
def interval(differences):
    """Two ends between which the true mean lies in 95 of 100 cases: (n,) -> (low, high)."""
    n = len(differences)
    means = []
    for _ in range(1000):  # as if we had measured again: n of the n, some twice, some not at all
        chosen = differences[torch.randint(n, (n,))]  #: chosen = ...
        means.append(chosen.mean())
    return torch.stack(means).quantile(0.025), torch.stack(means).quantile(0.975)  #: return ...


check("04-interval", interval)


# %% 04-speed
def speed(decode, start, end, steps):
    """How much the picture changes in each step, the mean being 1: (1, d) twice -> (steps,)."""
    t = torch.linspace(0, 1, steps + 1)[:, None]
    pictures = decode(start * (1 - t) + end * t).flatten(1)  # (steps + 1, pixels)
    change = (pictures[1:] - pictures[:-1]).norm(dim=1)  #: change = ...
    return change / change.mean()  #: return ...


check("04-speed", speed)


# %% 04-slerp
def slerp(start, end, t):
    """The point on the arc: (n, d), (n, d) and a number -> (n, d). Lengths go evenly."""
    lengths = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)  # (n, 1) each
    a, b = start / lengths[0], end / lengths[1]  # directions
    angle = torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1))  # (n, 1)
    arc = torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b  #: arc = ...
    straight = a * (1 - t) + b * t
    direction = torch.where(angle < 0.001, straight, arc / torch.sin(angle))  #: direction = ...
    return direction * (lengths[0] * (1 - t) + lengths[1] * t)


check("04-slerp", slerp)


# %% 04-alone
def direction(codes, wanted, other):
    """What one unit of a factor adds while the other stays: (n, d), (n,), (n,) -> (d,)."""
    table = torch.stack([wanted, other, torch.ones(len(codes))], dim=1)  #: table = ...
    fit = torch.linalg.lstsq(table, codes).solution  # codes ≈ table @ fit
    return fit[0]  #: return ...


check("04-alone", direction)
