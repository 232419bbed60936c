"""The face generator and its discriminator while they train: style mixing, growing resolution, augmentation."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.models.stylegan2 import Convolution, Discriminator, Generator


def random_photos(images: torch.Tensor, count: int, device: torch.device, chances=None) -> torch.Tensor:
    """Photos out of (n, 3, r, r) uint8, by their chances (n,) or all alike, half of them mirrored, in [-1, 1]."""
    chosen = torch.randint(len(images), (count,)) if chances is None else torch.multinomial(chances, count, True)
    image = images[chosen].to(device).float() / 127.5 - 1
    return torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, image.flip(3), image)


def random_crossovers(count: int, layers: int, share: float, device: torch.device) -> torch.Tensor:
    """Style mixing: (count,) the layer at which each picture changes to another w; the rest never does."""
    crossover = torch.randint(1, layers, (count,), device=device)
    return torch.where(torch.rand(count, device=device) < share, crossover, layers)


def mixed_styles(generator: Generator, z: torch.Tensor, crossover: torch.Tensor) -> torch.Tensor:
    """Two z for each picture (2, n, z_dim) -> codes that change at these layers from one's w to the other's."""
    w, other = generator.mapping(z.flatten(0, 1)).float().chunk(2)
    layer = torch.arange(generator.num_ws, device=w.device)[None, :, None]
    return torch.where(layer < crossover[:, None, None], w[:, None], other[:, None])  # (n, num_ws, w_dim)


def path_lengths(image: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
    """How far a random change of each picture is from its codes: (n,) (StyleGAN2, section 3.2)."""
    noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
    (slope,) = torch.autograd.grad((image * noise).sum(), ws, create_graph=True)
    return slope.square().sum(dim=2).mean(dim=1).sqrt()


class GrowingDiscriminator(nn.Module):
    """Discriminator that can also judge smaller pictures and take to a new resolution gradually (ProGAN)."""

    def __init__(self, full: Discriminator, resolutions):
        super().__init__()
        self.full = full
        channels = full.settings["channels"]
        self.entries = nn.ModuleDict({str(r): Convolution(3, channels[r], 1) for r in resolutions})

    def forward(self, image, fade: float = 1.0, kinds: int = 1):
        """(n, 3, r, r) in [-1, 1] -> (n,), high for photos; fade: weight of the new resolution, the rest is of r / 2.

        kinds: 2 when the batch holds photos and then as many samples, which no group of four may mix.
        """
        r = image.shape[-1]
        image = image.contiguous(memory_format=torch.channels_last)
        finest = getattr(self.full, f"b{self.full.resolution}")
        x = (finest.fromrgb if r == self.full.resolution else self.entries[str(r)])(image)
        while r > 4:
            x = getattr(self.full, f"b{r}")(x)
            r //= 2
            if fade < 1 and r == image.shape[-1] // 2:
                x = torch.lerp(self.entries[str(r)](F.avg_pool2d(image, 2)).to(x.dtype), x, fade)
        return torch.cat([self.full.b4(part) for part in x.chunk(kinds)])


def augment(image: torch.Tensor, p: float) -> torch.Tensor:
    """DiffAugment's colour, shift and cut-out, each done to each picture with probability p (as in ADA)."""
    if p <= 0:
        return image
    n, _, size, _ = image.shape

    def draw(*shape):
        return torch.rand(n, *shape, device=image.device)

    def sometimes(value, otherwise):
        return torch.where(draw(1, 1, 1) < p, value, torch.full_like(value, otherwise))

    image = image + sometimes(draw(1, 1, 1) - 0.5, 0.0)  # brightness
    grey = image.mean(dim=1, keepdim=True)
    image = torch.lerp(grey, image, sometimes(draw(1, 1, 1) * 2, 1.0))  # saturation
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = torch.lerp(mean, image, sometimes(draw(1, 1, 1) + 0.5, 1.0))  # contrast
    reach = size // 8
    shift = (draw(2) * (2 * reach + 1)).long() - reach
    shift = torch.where(draw(1) < p, shift, torch.zeros_like(shift))
    grid = torch.arange(size, device=image.device)
    rows = (grid + shift[:, :1] + reach)[:, None, :, None]
    columns = (grid + shift[:, 1:] + reach)[:, None, None, :]
    padded = F.pad(image, [reach] * 4)
    index = torch.arange(n, device=image.device)[:, None, None, None]
    channel = torch.arange(3, device=image.device)[None, :, None, None]
    image = padded[index, channel, rows, columns]
    centre = draw(2) * size
    inside = ((grid - centre[:, :1]).abs() < size / 4)[:, None, :, None] & ((grid - centre[:, 1:]).abs() < size / 4)[
        :, None, None, :
    ]
    return image * (~(inside & (draw(1, 1, 1) < p))).float()
