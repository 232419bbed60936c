"""A network that looks at a picture and names numbers: sizes, turn, colour. Its code keeps what the numbers need."""

from collections.abc import Sequence

import torch
from torch import nn

from latentlib.models.autoencoder import check_batch, conv_encoder, dense


class Regressor(nn.Module):
    """Convolutional regression: picture → code → numbers. Nothing forces the code to keep what no number asks for.

    Pictures are (n, 3, size, size) in [0, 1], codes (n, latent_dim), numbers (n, len(names)) in their own units.
    """

    def __init__(
        self,
        names: Sequence[str],  # what is read, in the order of the output's columns
        latent_dim: int = 128,  # numbers in the layer that everything has to pass
        size: int = 64,  # height and width: a power of two
        width: int = 16,  # channels after the first level; each further level has twice as many
    ):
        super().__init__()
        self.names, self.latent_dim, self.shape = tuple(names), latent_dim, (3, size, size)
        self.encoder = conv_encoder(latent_dim, 3, size, width)
        self.head = nn.Sequential(nn.GELU(), *dense([latent_dim, 128, len(self.names)]))
        self.register_buffer("mean", torch.zeros(len(self.names)))  # of the numbers: the head gives plain scores
        self.register_buffer("spread", torch.ones(len(self.names)))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        check_batch("images", images, self.shape)
        return self.encoder(images)  # (n, 3, size, size) -> (n, latent_dim)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.encode(images)).float() * self.spread + self.mean  # (n, len(names))
