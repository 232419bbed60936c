"""A flow: a network that leads noise to codes along nearly straight lines (flow matching, Lipman et al. 2023)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

LATENT_DIM = 32  # numbers in a code
WIDTH, LAYERS = 256, 3  # numbers in a hidden layer; hidden layers
FREQUENCIES = 8  # of the sines and cosines that stand for t


class Flow(nn.Module):
    """Says in which direction a code lies: flow(x (n, LATENT_DIM), t (n, 1), kind (n, 1)) -> the same as x."""

    def __init__(self):
        super().__init__()
        widths = [LATENT_DIM + 2 * FREQUENCIES + 1, *[WIDTH] * LAYERS]
        hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*hidden, nn.Linear(WIDTH, LATENT_DIM))

    def forward(self, x: Tensor, t: Tensor, kind: Tensor) -> Tensor:
        angles = t * 2.0 ** torch.arange(FREQUENCIES, device=t.device) * torch.pi / 2  # (n, 8)
        return self.net(torch.cat([x, angles.sin(), angles.cos(), kind], dim=1))


def loss(network: Callable[[Tensor, Tensor], Tensor], noise: Tensor, code: Tensor, t: Tensor) -> Tensor:
    """Mean squared error of network(x, t) at the points a share t (n, 1) of the way from noise to code, (n, d) each."""
    return (network((1 - t) * noise + t * code, t) - (code - noise)).square().mean()


@torch.no_grad()
def draw(network: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int = 20) -> Tensor:
    """Noise (n, d) led to codes (n, d) by Euler's method in that many steps."""
    x = noise
    for k in range(steps):
        x = x + network(x, torch.full((len(x), 1), k / steps, device=x.device)) / steps
    return x
