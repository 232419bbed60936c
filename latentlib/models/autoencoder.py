"""Two autoencoders: picture → a few numbers → picture. What the few numbers keep is the subject of the course."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class Autoencoder(nn.Module):
    """Fully connected autoencoder: every pixel speaks to every number of the code.

    Pictures are (n, *shape) float in [0, 1], codes (n, latent_dim) float without bounds.
    Deep autoencoders for digits: Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural
    Networks", Science 313, 2006.
    """

    def __init__(
        self,
        latent_dim: int,  # how many numbers stand for a picture
        shape: Sequence[int] = (1, 28, 28),  # channels, height, width
        hidden: Sequence[int] = (512, 128),  # widths from picture to code; the decoder mirrors them
    ):
        super().__init__()
        self.latent_dim, self.shape = latent_dim, tuple(shape)
        widths = [math.prod(self.shape), *hidden]
        self.encoder = nn.Sequential(
            nn.Flatten(),
            *dense(widths),
            nn.Linear(widths[-1], latent_dim),
        )
        self.decoder = nn.Sequential(
            *dense([latent_dim, *reversed(hidden)]),
            nn.Linear(hidden[0] if hidden else latent_dim, widths[0]),
            nn.Unflatten(1, self.shape),
        )

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        check_images(images, self.shape)
        return self.encoder(images)  # (n, c, h, w) -> (n, latent_dim)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        check_codes(codes, self.latent_dim)
        return torch.sigmoid(self.decoder(codes).float())  # (n, latent_dim) -> (n, c, h, w)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(images))


class ConvAutoencoder(nn.Module):
    """Convolutional autoencoder for square pictures, cheap enough for a CPU (64×64 colour: 0.02 GMAC a picture).

    Each level of the encoder halves the picture and doubles the channels; the decoder goes back up by nearest
    neighbours and a convolution, which leaves no checkerboard (Odena et al., "Deconvolution and Checkerboard
    Artifacts", Distill 2016). Pictures are (n, channels, size, size) in [0, 1], codes (n, latent_dim).
    """

    def __init__(
        self,
        latent_dim: int,  # how many numbers stand for a picture
        channels: int = 3,  # 3 for colour, 1 for grey
        size: int = 64,  # height and width: 64, 32, 28, or any number that can be halved at least once
        width: int = 16,  # channels after the first level; each further level has twice as many
    ):
        super().__init__()
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        small, levels = size, 0
        while small % 2 == 0 and small > 4:
            small, levels = small // 2, levels + 1
        if levels == 0:
            raise ValueError(f"size must be even and above 4, got {size}; 64, 32 and 28 work well")
        widths = [width * 2**level for level in range(levels)]
        bottom = (widths[-1], small, small)
        self.encoder = nn.Sequential(
            *(layer for pair in pairwise([channels, *widths]) for layer in down(*pair)),  # halves at each level
            nn.Flatten(),
            nn.Linear(math.prod(bottom), latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, math.prod(bottom)),
            nn.ReLU(),
            nn.Unflatten(1, bottom),
            *(layer for pair in pairwise(reversed(widths)) for layer in up(*pair)),  # doubles at each level
            nn.Conv2d(widths[0], 4 * channels, kernel_size=3, padding=1),
            nn.PixelShuffle(
                2
            ),  # (n, 4c, size/2, size/2) -> (n, c, size, size): the last doubling, at a quarter of the cost
        )

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        check_images(images, self.shape)
        return self.encoder(images)  # (n, c, size, size) -> (n, latent_dim)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        check_codes(codes, self.latent_dim)
        return torch.sigmoid(self.decoder(codes).float())  # (n, latent_dim) -> (n, c, size, size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(images))


def dense(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers from each width to the next, each followed by a nonlinearity."""
    return [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.GELU())]


def down(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel_size=4, stride=2, padding=1), nn.ReLU()]  # (n, a, s, s) -> (n, b, s/2, s/2)


def up(a: int, b: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(a, b, kernel_size=3, padding=1), nn.ReLU()]


def check_images(images: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError with one sentence unless ``images`` is a batch of pictures of ``shape``."""
    if images.ndim != len(shape) + 1 or tuple(images.shape[1:]) != shape:
        hint = "; add a batch axis with images[None]" if tuple(images.shape) == shape else ""
        expected = ", ".join(map(str, shape))
        raise ValueError(f"images must be (n, {expected}), got {tuple(images.shape)}{hint}")


def check_codes(codes: torch.Tensor, latent_dim: int) -> None:
    """Raise ValueError with one sentence unless ``codes`` is a batch of codes of ``latent_dim`` numbers."""
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        hint = "; add a batch axis with codes[None]" if tuple(codes.shape) == (latent_dim,) else ""
        raise ValueError(f"codes must be (n, {latent_dim}), got {tuple(codes.shape)}{hint}")
