"""From a picture straight to the codes that draw it: one forward pass instead of a search.

    picture ── the discriminator's blocks ──> features at 16, 8 and 4 pixels ──> one w for each layer of the generator

Each layer of the generator gets its w from features about as coarse as what it draws (the idea of pSp, Richardson et
al. 2021, made small): the coarse layers from the 4 × 4 features, the finer ones from those and from finer features.
"""

import torch
from torch import nn

from latentlib.models.autoencoder import check_batch, shrunk
from latentlib.models.stylegan2 import SLOPE, Convolution, Trunk, arguments, channels_of

# What is read off the features of each size: channels kept (0: all of them), and numbers made of them.
LEVELS = {4: (0, 192), 8: (16, 128), 16: (8, 96)}


class Reading(nn.Module):
    """Features of one size -> a few numbers; where something is matters, so nothing is averaged over the picture."""

    def __init__(self, channels: int, size: int, kept: int, numbers: int):
        super().__init__()
        self.reduce = Convolution(channels, kept, 1) if kept else nn.Identity()
        inputs = (kept or channels) * size**2
        self.norm = nn.LayerNorm(inputs)
        self.linear = nn.Linear(inputs, numbers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.reduce(x).flatten(1)  # (n, channels, size, size) -> (n, inputs)
        return nn.functional.leaky_relu(self.linear(self.norm(x)), SLOPE)  # (n, numbers)


class Encoder(Trunk):
    """Picture -> w_plus. It predicts how far each layer's w is from the mean w, and at first answers with the mean.

    The trunk is a discriminator's, so that it can begin with what a discriminator has learned to see.
    """

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        num_ws: int = 10,  # layers of the generator that take a w
        w_dim: int = 256,  # numbers in a w
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
    ):
        channels = channels_of(resolution, channels)
        super().__init__(resolution, channels)
        self.settings = arguments(locals())
        self.w_dim = w_dim
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.levels = [size for size in LEVELS if size < resolution]  # 4, 8, 16
        for size in self.levels:
            setattr(self, f"read{size}", Reading(channels[size], size, *LEVELS[size]))
        # Layer 0 draws at 4 × 4, layers 1 and 2 at 8 × 8, layers 3 and 4 at 16 × 16, …
        coarsest = [min(2 ** (2 + (layer + 1) // 2), self.levels[-1]) for layer in range(num_ws)]
        inputs = 0
        for size in self.levels:
            inputs += LEVELS[size][1]
            head = nn.Linear(inputs, coarsest.count(size) * w_dim)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            setattr(self, f"head{size}", head)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 3, resolution, resolution) in [-1, 1], or larger ones, averaged down -> w_plus (n, num_ws, w_dim)."""
        images = shrunk(images, self.resolution)
        check_batch("images", images, (3, self.resolution, self.resolution))
        seen, offsets = [], []
        for size, x in zip(self.levels, reversed(self.features(images)), strict=False):  # from coarse to fine
            seen.append(getattr(self, f"read{size}")(x))
            offset = getattr(self, f"head{size}")(torch.cat(seen, dim=1))
            offsets.append(offset.float().unflatten(1, (-1, self.w_dim)))
        return self.w_avg + torch.cat(offsets, dim=1)
