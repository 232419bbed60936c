"""What a generator's codes look like from inside: where they usually lie, and along which axes to search."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlib.models.stylegan2 import SLOPE, Generator


def random_z(generator: Generator, count: int, seed: int) -> Tensor:
    """(count, z_dim), the same for the same seed."""
    # Not the seed itself: a network that was made under it has these very numbers among its first weights.
    numbers = torch.Generator().manual_seed(seed + 1)
    return torch.randn(count, generator.z_dim, generator=numbers).to(generator.w_avg.device)


@torch.no_grad()
def p_norm(generator: Generator, seed: int = 0, samples: int = 10_000) -> Callable[[Tensor], Tensor]:
    """A measure of how unusual codes are: (n, num_ws, w_dim) -> (n,), near 1 for codes of the mapping.

    Before the mapping's last leaky ReLU codes are spread nearly like a Gaussian; there it is the squared Mahalanobis
    distance divided by w_dim, mean over the layers (the P_N space of arXiv 2012.09036).
    """
    x = F.leaky_relu(generator.mapping(random_z(generator, samples, seed)), 1 / SLOPE)
    mean = x.mean(0)
    variance, axes = torch.linalg.eigh(torch.cov(x.T).cpu().double())
    variance = variance.clamp(min=1e-4 * variance[-1].item())  # directions that hardly vary must not rule
    whiten = (axes / variance.sqrt()).to(x)  # (w_dim, w_dim)
    return lambda w_plus: ((F.leaky_relu(w_plus, 1 / SLOPE) - mean) @ whiten).square().mean(dim=(1, 2))


def preconditioner(generator: Generator, same_w: bool = False, looks: int = 4) -> Tensor:
    """Axes along which a picture changes about equally fast: (num_ws, w_dim, w_dim), each row a change of a layer's w;
    with ``same_w`` (1, w_dim, w_dim), changes of the w of all layers.

    Searching w as it is walks slowly: what an affine layer hardly reads gets small gradients, and so do fine layers,
    which change few colours. So the metric of a layer is what its affine weights make of a change, times how much the
    picture answers to that layer at the mean face (measured with random ``looks``). Its inverse root gives the axes.
    """
    synthesis, num_ws, w_dim = generator.synthesis, generator.num_ws, generator.w_dim
    reads = torch.zeros(num_ws, w_dim, w_dim, dtype=torch.float64)
    layer = 0
    for resolution in synthesis.resolutions:
        block = getattr(synthesis, f"b{resolution}")
        parts = [block.conv1, block.torgb] if block.first else [block.conv0, block.conv1, block.torgb]
        for place, part in enumerate(parts, start=layer):
            weight = (part.affine.weight * part.affine.weight_gain).detach().cpu().double()
            reads[place] += weight.T @ weight
        layer += len(parts) - 1  # a block's torgb shares its w with the next block's first convolution
    reads = reads / reads.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-2 * torch.eye(w_dim, dtype=torch.float64)
    w_plus = generator.w_avg.repeat(1, num_ws, 1).requires_grad_()
    drawn = synthesis(w_plus, noise=None)
    numbers = torch.Generator().manual_seed(0)
    answer = torch.zeros(num_ws, dtype=torch.float64)
    for _ in range(looks):
        look = torch.randn(drawn.shape, generator=numbers).to(drawn)
        (slope,) = torch.autograd.grad(drawn, w_plus, look, retain_graph=True)
        answer += (slope[0].cpu().double()[:, None] @ _inverse_root(reads)).square().mean((1, 2))
    if not torch.isfinite(answer).all():
        raise ValueError("the generator draws values that are no numbers; are its weights whole?")
    pace = answer.clamp(min=1e-12 * answer.max().item()) ** -0.25  # the root of the root mean square answer, inverted
    metric = reads * ((pace / pace.mean()) ** -2)[:, None, None]
    return _inverse_root(metric.mean(0, keepdim=True) if same_w else metric).to(generator.w_avg)


def _inverse_root(matrix: Tensor) -> Tensor:
    strength, vectors = torch.linalg.eigh(matrix)
    return (vectors * strength[:, None] ** -0.5) @ vectors.mT
