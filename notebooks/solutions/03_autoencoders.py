"""The exercises of lesson 03 and their solutions: tools/solutions.py reads this file."""

import torch
from torch import nn

from latentlib.exercises import check


# %% 03-loop
def one_step(network, optimizer, batch):
    """Learn a little from a batch (n, ...); gives the loss before the step."""
    returned = network(batch)
    loss = (returned - batch).square().sum() / len(batch)  #: loss = ...
    optimizer.zero_grad()  # forget the last step's slopes
    loss.backward()  # which way should each weight move?  #: ...
    optimizer.step()  # move all of them a little  #:
    return loss


check("03-loop", one_step)


# %% 03-ruler
def ruler(pictures, machine):
    """How badly the machine repeats each picture, whatever its ink: (n, 1, 28, 28) -> (n,)."""
    darkest = pictures.amax(dim=(1, 2, 3), keepdim=True).clamp(min=0.001)
    full = pictures / darkest  # now the darkest pixel of each picture is 1
    missed = (machine(full) - full).flatten(1).norm(dim=1)  #: missed = ...
    ink = full.flatten(1).norm(dim=1).clamp(min=0.001)  # a blank sheet has none
    return missed / ink  #: return ...


check("03-ruler", ruler)


# %% 03-cloud
def draw(mean, log_variance):
    """One code from each cloud: (n, d) and (n, d) -> (n, d)."""
    dice = torch.randn_like(mean)  # the bell curve with mean 0 and standard deviation 1
    spread = torch.exp(0.5 * log_variance)  #: spread = ...
    return mean + spread * dice  #: return ...


check("03-cloud", draw)


# %% 03-straight
def straight(latent_dim):
    """An autoencoder for pictures (n, 1, 28, 28) that only adds and scales."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, latent_dim),  #: ...,
        nn.Linear(latent_dim, 784),  #:
        nn.Unflatten(1, (1, 28, 28)),
    )


check("03-straight", straight)


# %% 03-one-number
PLACES = 2 ** torch.arange(25)  # 1, 2, 4, 8 ... as whole numbers


def pack(pictures):
    """One number for each picture of 25 black (0) or white (1) pixels: (n, 1, 5, 5) -> (n,)."""
    return (pictures.flatten(1).long() * PLACES).sum(dim=1)  #: return ...


def unpack(codes):
    """The pictures again: (n,) -> (n, 1, 5, 5)."""
    pixels = codes[:, None] // PLACES % 2  #: pixels = ...
    return pixels.float().view(-1, 1, 5, 5)


check("03-one-number", (pack, unpack))
