"""Two autoencoders: picture → a few numbers → picture. What the few numbers keep is the subject of the course."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class Coder(nn.Module):
    """What has an ``encoder`` and a ``decoder``: pictures (n, *shape) in [0, 1], codes (n, latent_dim), any floats."""

    def __init__(self, latent_dim: int, shape: Sequence[int]):
        super().__init__()
        self.latent_dim, self.shape = latent_dim, tuple(shape)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        check_batch("images", images, self.shape)
        return self.encoder(images)  # (n, c, h, w) -> (n, latent_dim)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        check_batch("codes", codes, (self.latent_dim,))
        return torch.sigmoid(self.decoder(codes).float())  # (n, latent_dim) -> (n, c, h, w)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(images))


class Autoencoder(Coder):
    """Fully connected autoencoder: every pixel speaks to every number of the code.

    Deep autoencoders for digits: Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural
    Networks", Science 313, 2006.
    """

    def __init__(
        self,
        latent_dim: int,  # how many numbers stand for a picture
        shape: Sequence[int] = (1, 28, 28),  # channels, height, width
        hidden: Sequence[int] = (512, 128),  # widths from picture to code; the decoder mirrors them
    ):
        super().__init__(latent_dim, shape)
        widths = [math.prod(self.shape), *hidden, latent_dim]
        self.encoder = nn.Sequential(nn.Flatten(), *dense(widths))
        self.decoder = nn.Sequential(*dense(widths[::-1]), nn.Unflatten(1, self.shape))


class ConvAutoencoder(Coder):
    """Convolutional autoencoder for square pictures, cheap enough for a CPU (64×64 colour: 0.02 GMAC a picture).

    Each level of the encoder halves the picture and doubles the channels; the decoder goes back up by nearest
    neighbours and a convolution, which leaves no checkerboard (Odena et al., "Deconvolution and Checkerboard
    Artifacts", Distill 2016).
    """

    def __init__(
        self,
        latent_dim: int,  # how many numbers stand for a picture
        channels: int = 3,  # 3 for colour, 1 for grey
        size: int = 64,  # height and width: a power of two, 8 or more
        width: int = 16,  # channels after the first level; each further level has twice as many
    ):
        super().__init__(latent_dim, (channels, size, size))
        self.encoder = conv_encoder(latent_dim, channels, size, width)
        widths = level_widths(size, width)[::-1]
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, widths[0] * 16),
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], 4, 4)),
            *(layer for pair in pairwise(widths) for layer in up(*pair)),  # doubles at each level
            nn.Conv2d(widths[-1], 4 * channels, kernel_size=3, padding=1),
            nn.PixelShuffle(2),  # (n, 4c, size/2, size/2) -> (n, c, size, size): doubled once more, at a quarter's cost
        )


def dense(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers from each width to the next, and between two of them a nonlinearity."""
    return [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.GELU())][:-1]


def conv_encoder(latent_dim: int, channels: int, size: int, width: int) -> nn.Sequential:
    """Halves square pictures down to 4 × 4, then makes numbers of them: (n, channels, size, size) -> (n, latent_dim)"""
    widths = level_widths(size, width)
    levels = [layer for pair in pairwise([channels, *widths]) for layer in down(*pair)]
    return nn.Sequential(*levels, nn.Flatten(), nn.Linear(widths[-1] * 16, latent_dim))


def level_widths(size: int, width: int) -> list[int]:
    return [width * 2**level for level in range(int(math.log2(size)) - 2)]


def down(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel_size=4, stride=2, padding=1), nn.ReLU()]  # (n, a, s, s) -> (n, b, s/2, s/2)


def up(a: int, b: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(a, b, kernel_size=3, padding=1), nn.ReLU()]


def shrunk(images: torch.Tensor, side: int) -> torch.Tensor:
    """Square pictures of twice the side, or three times, … averaged down to it; any others as they are."""
    times = images.shape[-1] // side
    return F.avg_pool2d(images, times) if times > 1 and images.shape[-2:] == (times * side,) * 2 else images


def check_batch(name: str, given: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raises ValueError with one sentence unless what has this name is a batch (n, *shape)."""
    if tuple(given.shape[1:]) != shape:
        hint = f"; add a batch axis with {name}[None]" if tuple(given.shape) == shape else ""
        raise ValueError(f"{name} must be (n, {', '.join(map(str, shape))}), got {tuple(given.shape)}{hint}")
