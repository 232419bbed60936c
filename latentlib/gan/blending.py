"""Two codes -> children: a sibling, and one blend with all sliders. Their average is ``space.lerp``.

Codes have one w for each layer, (…, num_ws, w_dim), as ``generator.draw`` takes them; leading axes are couples. A
share says how much comes from ``b``: 0 gives parent a, 1 parent b. A child is a weighted blend of two pictures' codes,
not a prediction of a real child.
"""

import math

import torch
from torch import Tensor

from latentlib.space import lerp

SOFTNESS = 0.5  # of a sibling's layers: 0 takes each layer whole from one parent, large values the same mix for all


def draw_sibling(a: Tensor, b: Tensor, seed: int, dominance: float | Tensor = 0.5) -> Tensor:
    """A child who draws for each layer which parent gives most of it; the same seed gives the same child.

    dominance: b's share, on average over seeds and layers; or one for each layer, (num_ws,)

    A layer's share is decided along a random direction: the parent who lies further along it gives more. So nothing
    depends on who is called a: with the parents swapped and dominance 1 − d the same seed gives the same child.
    """
    dominance = torch.as_tensor(dominance, dtype=torch.float64)
    # How far b is ahead is a standard normal number. With this offset its softened share is the dominance on average.
    offset = torch.special.ndtri(dominance) * math.sqrt(1 + SOFTNESS**2)
    generator = torch.Generator().manual_seed(seed * 1_000_003 % 2**32)
    directions = torch.randn(a.shape[-2:], generator=generator).to(a.device)  # (num_ws, w_dim)
    way = (b - a).float()
    lead = (way * directions).sum(-1) / way.norm(dim=-1).clamp(min=1e-12)  # (…, num_ws)
    tilt = torch.erf((lead + offset.to(lead)) / (SOFTNESS * math.sqrt(2))) / 2  # share of b, less a half
    tilt = tilt.to(a.dtype)[..., None]
    return a * (0.5 - tilt) + b * (0.5 + tilt)  # swapping the parents changes no bit


def blend(
    a: Tensor,  # (…, num_ws, w_dim)
    b: Tensor,  # (…, num_ws, w_dim)
    share: float = 0.5,  # b's share, 0 to 1
    crossover: int | None = None,  # so many whole layers from a, the coarsest (pose, shape); None: all are mixed alike
    sibling: int | None = None,  # seed of a sibling; None: nothing is drawn
) -> Tensor:
    """One child from all sliders -> (…, num_ws, w_dim). Whatever the others say, share 0 gives a and share 1 gives b.

    With a crossover, share 0.5 is that crossover; further out, the layers of one parent give way to the other's. With
    a sibling, the share is its dominance; with both, most layers come from the parent whom the crossover names.
    """
    shares = torch.as_tensor(share, dtype=torch.float64)
    if crossover is not None:
        from_a = torch.arange(a.shape[-2]) < crossover
        shares = torch.where(from_a, max(0.0, 2 * share - 1), min(1.0, 2 * share))  # (num_ws,)
    if sibling is None:
        return lerp(a, b, shares)
    return draw_sibling(a, b, sibling, (shares + share) / 2)


def per_layer(w: Tensor, num_ws: int) -> Tensor:
    """The same w for every layer: (…, w_dim) -> (…, num_ws, w_dim)."""
    return w.unsqueeze(-2).repeat(*[1] * (w.dim() - 1), num_ws, 1)
