"""The tiny autoencoder of FLUX.2's latent space, which today's picture generators work in: picture → code → picture.

It imitates the large one of FLUX.2 (Black Forest Labs) and was trained by Ollin Boer Bohan (taesd, "taef2", MIT
licence), whose weights ``latentlib.weights.load("taef2")`` fetches. The parts have the names of those files.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.models.autoencoder import check_batch

WIDTH = 64  # channels everywhere but at the ends
LATENT_CHANNELS = 32


class ResidualBlock(nn.Module):
    """Three 3×3 convolutions beside the way around them; with ``pool`` a branch of 1×1 convolutions comes first."""

    def __init__(self, pool: bool = False):
        super().__init__()
        self.conv = nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), conv())
        self.pool = None
        if pool:
            wide, back = nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False), nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False)
            self.pool = nn.Sequential(wide, nn.GroupNorm(4, 4 * WIDTH), nn.ReLU(), back)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return F.relu(self.conv(x) + x)


class Bounded(nn.Module):
    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return 3 * torch.tanh(codes / 3)  # within ±3, softly


class TinyAutoencoder(nn.Module):
    """Pictures (n, 3, h, w) in [0, 1], h and w multiples of 8; codes (n, 32, h / 8, w / 8), their spread about 1."""

    def __init__(self):
        super().__init__()
        down = [*halve(), *halve(), *halve(pool=True)]
        up = [*double(pool=True), *double(), *double()]
        self.encoder = nn.Sequential(conv(3), ResidualBlock(), *down, conv(WIDTH, LATENT_CHANNELS))
        self.decoder = nn.Sequential(Bounded(), conv(LATENT_CHANNELS), nn.ReLU(), *up, ResidualBlock(), conv(WIDTH, 3))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) in [0, 1] -> (n, 32, h / 8, w / 8)"""
        check_batch("images", images, (3, *(side // 8 * 8 for side in images.shape[-2:])))
        return self.encoder(images)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(n, 32, h, w) -> (n, 3, 8 h, 8 w) in [0, 1]"""
        check_batch("codes", codes, (LATENT_CHANNELS, *codes.shape[-2:]))
        return self.decoder(codes).clamp(0, 1)


def conv(channels_in: int = WIDTH, channels_out: int = WIDTH, **settings) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, **settings)


def halve(pool: bool = False) -> list[nn.Module]:
    return [conv(stride=2, bias=False), *(ResidualBlock(pool) for _ in range(3))]  # (n, 64, h, w) -> (n, 64, h/2, w/2)


def double(pool: bool = False) -> list[nn.Module]:
    return [*(ResidualBlock(pool) for _ in range(3)), nn.Upsample(scale_factor=2), conv(bias=False)]
