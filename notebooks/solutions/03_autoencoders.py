"""The exercises of lesson 03 and their solutions; tools/solutions.py reads this file."""

import torch

from latentlib.exercises import check


# %% 03-step
def one_step(model, optimizer, images, targets, loss):
    """Learn a little from a batch (n, ...); gives the loss before the step."""
    returned = model(images)
    value = loss(returned, targets)  #: value = ...
    optimizer.zero_grad()  # forget the slopes of the last step
    value.backward()  # which way should each weight move?  #: ...
    optimizer.step()  # move all of them a little
    return value


check("03-step", one_step)


# %% 03-sample
def draw(mean, log_variance):
    """One code from each cloud: (n, d) and (n, d) -> (n, d)."""
    dice = torch.randn_like(mean)  # bell curves with mean 0 and standard deviation 1
    spread = torch.exp(0.5 * log_variance)  #: spread = ...
    return mean + spread * dice  #: return ...


check("03-sample", draw)


# %% 03-kl
def kl(mean, log_variance):
    """How far the clouds are from a standard Gaussian: (n, d) and (n, d) -> one number."""
    variance = log_variance.exp()
    each = 0.5 * (mean**2 + variance - 1 - log_variance)  # (n, d)  #: each = ...  # (n, d)
    return each.sum() / len(mean)  #: return ...


check("03-kl", kl)
