"""Furniture: chairs and tables, ray-cast in torch from known factors, so that claims about codes can be tested.

A piece of furniture is a handful of boxes, which `latentlib.datasets.raycast` draws. The same factors give the same
pixels on every machine.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from latentlib.datasets import raycast
from latentlib.device import pick_device, thread_map

FACTORS = ("kind", "width", "depth", "height", "leg", "back", "arms", "turn", "tilt", "red", "green", "blue")

# From lowest to highest, in metres, degrees and parts of full intensity; kind and arms are 0 or 1.
_CHAIR = {"width": (0.42, 0.62), "depth": (0.40, 0.56), "height": (0.36, 0.50), "back": (0.28, 0.50), "arms": (0, 1)}
_TABLE = {"width": (0.60, 0.92), "depth": (0.44, 0.64), "height": (0.44, 0.76), "back": (0.0, 0.0), "arms": (0, 0)}
_BOTH = {"leg": (0.032, 0.075), "turn": (-60.0, 60.0), "tilt": (12.0, 30.0)}
_COLOUR = {"red": (0.08, 0.95), "green": (0.08, 0.95), "blue": (0.08, 0.95)}
KIND_RANGES = ({"kind": (0, 0), **_CHAIR, **_BOTH, **_COLOUR}, {"kind": (1, 1), **_TABLE, **_BOTH, **_COLOUR})
RANGES = {
    name: (min(kind[name][0] for kind in KIND_RANGES), max(kind[name][1] for kind in KIND_RANGES)) for name in FACTORS
}

PAINTS = {
    "red": (0.76, 0.22, 0.20),
    "orange": (0.88, 0.48, 0.18),
    "yellow": (0.89, 0.72, 0.24),
    "green": (0.33, 0.58, 0.32),
    "teal": (0.16, 0.54, 0.54),
    "blue": (0.20, 0.40, 0.72),
    "navy": (0.17, 0.22, 0.40),
    "purple": (0.50, 0.30, 0.60),
    "pink": (0.86, 0.50, 0.58),
    "grey": (0.45, 0.47, 0.50),
    "brown": (0.48, 0.31, 0.20),
    "sky blue": (0.48, 0.70, 0.84),
}


class Furniture(NamedTuple):
    """Rendered furniture: images (n, 3, size, size) float32 in [0, 1] and the factors (n, 12) they were made from."""

    images: Tensor
    factors: Tensor


def column(name: str) -> int:
    """The column of a factor in a table of factors; raises ValueError with the known names otherwise."""
    if name not in FACTORS:
        raise ValueError(f'unknown factor "{name}"; the factors are {", ".join(FACTORS)}')
    return FACTORS.index(name)


def sample_factors(n: int, seed: int = 0, kind: int | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Factors of n random pieces of furniture, (n, 12) float32, columns as in FACTORS.

    Each factor is spread evenly over its range in KIND_RANGES: kind 0 chair or 1 table (half each, or only the one
    asked for); width, depth, height (of the seat or the table top), leg (thickness) and back (height above the seat)
    in metres; arms 0 or 1; turn in degrees, 0 faces the viewer; tilt of the camera in degrees above the horizontal;
    red, green, blue in 0 to 1: one of twelve paints with a random shift. Tables have neither back nor arms: both are 0.
    The same n, seed and kind give the same factors.
    """
    if kind not in (None, 0, 1):
        raise ValueError(f"kind must be 0 (chair), 1 (table) or None (both), got {kind!r}")
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(n, len(FACTORS), generator=generator)
    paint = torch.randint(len(PAINTS), (n,), generator=generator)
    low, high = torch.tensor([[of[name] for name in FACTORS] for of in KIND_RANGES]).unbind(2)  # (2, 12)
    which = (random[:, 0] < 0.5).long() if kind is None else torch.full((n,), kind)
    factors = low[which] + (high - low)[which] * random
    factors[:, column("arms")] = ((which == 0) & (random[:, column("arms")] < 0.5)).float()
    shift = (random[:, column("red") :] - 0.5) * 0.3
    factors[:, column("red") :] = (torch.tensor(list(PAINTS.values()))[paint] + shift).clamp(*_COLOUR["red"])
    return factors.to(pick_device(device))


def load(n: int, seed: int = 0, size: int = 64, kind: int | None = None, device="cpu") -> Furniture:
    """n random pieces of furniture: the arguments are those of `sample_factors` and `render`."""
    factors = sample_factors(n, seed, kind, device)
    return Furniture(render(factors, size), factors)


def render(factors: Tensor, size: int = 64) -> Tensor:
    """Pictures of furniture: factors (n, 12), see `sample_factors` -> (n, 3, size, size) float32 in [0, 1].

    size: side of the picture in pixels, a multiple of 8. Pixels are whole multiples of 1/255, and a picture does not
    depend on the others in its batch. Factors beyond their ranges are drawn as far as the view allows.
    Raises ValueError when the factors have another shape or are not finite, or the size does not fit.
    """
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS) or not bool(torch.isfinite(factors).all()):
        got = f"{tuple(factors.shape)}; make them with sample_factors, or add a batch axis with factors[None]"
        raise ValueError(f"factors must be (n, {len(FACTORS)}) finite numbers, got {got}")
    if size < 8 or size % 8:
        raise ValueError(f"size must be a positive multiple of 8 pixels, got {size}")
    factors, images = factors.float(), torch.empty(len(factors), 3, size, size, device=factors.device)
    # As many pictures at once as the cache likes, and as each core may keep memory for; a GPU wants more.
    chunk = max(1, (16 if factors.device.type == "cpu" else 1024) * 64 * 64 // (size * size))
    # Pieces alike in parts and height together: what none of them has, and where none of them stands, costs nothing.
    order = (factors[:, column("arms")] - factors[:, column("kind")] + factors[:, column("height")] / 2).argsort()

    @torch.no_grad()
    def draw(which: Tensor) -> None:
        part = factors[which]
        turn, tilt, paint = part[:, column("turn")], part[:, column("tilt")], part[:, column("red") :]
        images[which] = raycast.draw(_boxes(part), _PAINTED, paint, turn, tilt, size, _CASTERS)

    with thread_map(factors.device, -(-len(factors) // chunk)) as (each, _):
        list(each(draw, order.split(chunk) if len(order) else ()))
    return images


_PAINTED = (True, False, False, False, False, False, True, True, True, False, False)  # of the boxes below; else wood
_CASTERS = (0, 6, 7, 8)  # seat, panel of the back and armrests cast shadows on other parts


def _boxes(factors: Tensor) -> Tensor:
    """The eleven boxes of each piece, (n, 11, 2, 3): lowest and highest x (right), y (up), z (front) in metres.

    0 seat or table top, 1 its frame, 2 to 5 legs, 6 panel of the back, 7 and 8 armrests, 9 and 10 their posts.
    A part that a piece does not have lies inside out, so that no ray meets it.
    """
    f = dict(zip(FACTORS, factors.unbind(1), strict=True))
    table, arms = f["kind"] >= 0.5, (f["arms"] >= 0.5) & (f["kind"] < 0.5)
    x, z, y, leg = f["width"] * 0.5, f["depth"] * 0.5, f["height"], f["leg"]
    under = y - torch.where(table, 0.04, 0.06)  # below the cushion, or the board
    inner = torch.where(table, 0.03, 0.0)  # a table's legs stand in a little
    frame = under - torch.where(table, 0.07, 0.035)
    xo, zo = x - inner, z - inner
    top = y + f["back"]
    rear = torch.where(table, under, top - 0.02)
    open_back = y + f["back"] * 0.34
    arm = y + 0.2
    zero = torch.zeros_like(x)
    # Surfaces of two parts never lie in one plane where both show: some parts stand 4 to 12 mm in or out.
    parts = [
        (-x, under, -z, x, y, z),
        (-xo + 0.008, frame, -zo + 0.008, xo - 0.008, under, zo - 0.008),
        (-xo, zero, zo - leg, leg - xo, under, zo),
        (xo - leg, zero, zo - leg, xo, under, zo),
        (-xo, zero, -zo, leg - xo, rear, leg - zo),
        (xo - leg, zero, -zo, xo, rear, leg - zo),
        (0.004 - x, open_back, 0.004 - z, x - 0.004, top, leg - z - 0.004),
        (-x - 0.012, arm - 0.035, leg - z, -x + 0.055, arm, z),
        (x - 0.055, arm - 0.035, leg - z, x + 0.012, arm, z),
        (-x, under, z - leg - 0.02, leg - x, arm - 0.035, z - 0.02),
        (x - leg, under, z - leg - 0.02, x, arm - 0.035, z - 0.02),
    ]
    boxes = torch.stack([torch.stack(part, dim=1) for part in parts], dim=1).unflatten(2, (2, 3))
    there = torch.stack([table | ~table] * 6 + [~table] + [arms] * 4, dim=1)
    nowhere = torch.tensor([[raycast.FAR] * 3, [-raycast.FAR] * 3], device=factors.device)
    return torch.where(there[:, :, None, None], boxes, nowhere)
