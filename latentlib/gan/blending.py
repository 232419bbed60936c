"""Two codes -> children: average, crossover by layer, siblings, and one blend with all sliders.

Codes have one w for each layer, (…, num_ws, w_dim), as ``generator.draw`` takes them; leading axes are couples. A
share says how much comes from ``b``: 0 gives parent a, 1 parent b. A child is a weighted blend of two pictures' codes,
not a prediction of a real child.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from latentlib.space import lerp

SOFTNESS = 0.5  # of a sibling's layers: 0 takes each layer whole from one parent, large values the same mix for all


def average(a: Tensor, b: Tensor, share: float | Tensor = 0.5) -> Tensor:
    """The child on the straight line between its parents: (…, w_dim) or (…, num_ws, w_dim) -> the same shape.

    share: how much comes from b, from 0 (gives a) to 1 (gives b); or one share for each layer, (num_ws,)
    """
    _check_parents(a, b)
    return lerp(a, b, _check_share(share, "share"))


def crossover(a: Tensor, b: Tensor, layers: int | Tensor) -> Tensor:
    """The child that has whole layers from either parent: (…, num_ws, w_dim) -> the same shape.

    layers: how many layers come from a, counted from the coarsest (pose, shape): 0 gives b, num_ws gives a; or a bool
    mask (num_ws,), True where the layer comes from a
    """
    _check_parents(a, b, layers=True)
    return torch.where(_from_a(layers, a)[:, None], a, b)


def siblings(a: Tensor, b: Tensor, count: int = 4, seed: int = 0, dominance: float | Tensor = 0.5) -> Tensor:
    """Children who draw for each layer which parent gives most of it: (…, num_ws, w_dim) -> (…, count, num_ws, w_dim).

    seed: the same seed gives the same children, and child k is the same whatever the count
    dominance: b's share, on average over children and layers, from 0 to 1; or one for each layer, (num_ws,)

    A layer's share is decided along a random direction: the parent who lies further along it gives more. So nothing
    depends on who is called a: with the parents swapped and dominance 1 − d the same seed gives the same children.
    """
    _check_parents(a, b, layers=True)
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}")
    dominance = _check_share(dominance, "dominance")
    # The layer's lead is a standard normal number. With this offset its softened share is the dominance on average.
    wanted = [NormalDist().inv_cdf(d) if 0 < d < 1 else math.copysign(math.inf, d - 0.5) for d in dominance.flatten()]
    offset = torch.tensor(wanted).reshape(dominance.shape).expand(a.shape[-2]) * math.sqrt(1 + SOFTNESS**2)
    lead = torch.stack([_lead(a, b, seed, child) for child in range(count)], dim=-2)  # (…, count, num_ws)
    tilt = torch.erf((lead + offset.to(lead)) / (SOFTNESS * math.sqrt(2))) / 2  # share of b, less a half
    tilt = tilt.to(a.dtype)[..., None]
    return a.unsqueeze(-3) * (0.5 - tilt) + b.unsqueeze(-3) * (0.5 + tilt)  # swapping the parents changes no bit


def blend(
    a: Tensor,  # (…, num_ws, w_dim)
    b: Tensor,  # (…, num_ws, w_dim)
    share: float = 0.5,  # b's share, 0 to 1
    crossover: int | Tensor | None = None,  # layers from a, as in crossover; None: all layers are mixed alike
    sibling: int | None = None,  # seed of a sibling; None: nothing is drawn
) -> Tensor:
    """One child from all sliders -> (…, num_ws, w_dim). Whatever the others say, share 0 gives a and share 1 gives b.

    With a crossover, share 0.5 is that crossover; further out, the layers of one parent give way to the other's. With
    a sibling, the share is its dominance; with both, most layers come from the parent whom the crossover names.
    """
    _check_parents(a, b, layers=True)
    shares = _check_share(share, "share")
    if crossover is not None:
        shares = torch.where(_from_a(crossover, a), max(0.0, 2 * share - 1), min(1.0, 2 * share))  # (num_ws,)
    if sibling is None:
        return average(a, b, shares)
    return siblings(a, b, 1, sibling, (shares + share) / 2).squeeze(-3)


def per_layer(w: Tensor, num_ws: int) -> Tensor:
    """The same w for every layer: (…, w_dim) -> (…, num_ws, w_dim), ready for crossover and siblings."""
    return w.unsqueeze(-2).repeat(*[1] * (w.dim() - 1), num_ws, 1)


def _lead(a: Tensor, b: Tensor, seed: int, child: int) -> Tensor:
    """How far b is ahead of a along a random direction for each layer: (…, num_ws), standard normal over seeds."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + child) % 2**32)
    directions = torch.randn(a.shape[-2:], generator=generator).to(a.device)  # (num_ws, w_dim)
    way = (b - a).float()
    return (way * directions).sum(-1) / way.norm(dim=-1).clamp(min=1e-12)


def _from_a(layers: int | Tensor, a: Tensor) -> Tensor:
    num_ws = a.shape[-2]
    if isinstance(layers, Tensor):
        if layers.dtype != torch.bool or layers.shape != (num_ws,):
            raise ValueError(f"a mask must be bool and ({num_ws},), got {layers.dtype}, {tuple(layers.shape)}")
        return layers.to(a.device)
    if not 0 <= layers <= num_ws:
        raise ValueError(f"layers must be from 0 to {num_ws}, the number of layers; got {layers}")
    return torch.arange(num_ws, device=a.device) < layers


def _check_parents(a: Tensor, b: Tensor, layers: bool = False) -> None:
    if a.shape != b.shape or a.dim() < 1:
        raise ValueError(f"both parents must have codes of the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if layers and a.dim() < 2:
        got = tuple(a.shape)
        raise ValueError(f"codes must be (num_ws, w_dim), got {got}; use per_layer(w, generator.num_ws)")


def _check_share(share: float | Tensor, name: str) -> Tensor:
    share = torch.as_tensor(share, dtype=torch.float64 if not isinstance(share, Tensor) else None)
    if not bool(((share >= 0) & (share <= 1)).all()):
        raise ValueError(f"{name} must be from 0 (parent a) to 1 (parent b), got {share.tolist()}")
    return share
