"""Two portraits in the public domain that other libraries bring along: nothing to download, nobody to ask."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from latentlib import photos
from latentlib.device import pick_device

NAMES = ("Grace Hopper", "Eileen Collins")
CREDITS = {
    "Grace Hopper": "Grace Hopper, computer scientist and rear admiral, 1984: a photo of the US Navy in the public "
    "domain, from matplotlib's sample data.",
    "Eileen Collins": "Eileen Collins, astronaut, first woman to command a Space Shuttle: a photo of NASA in the "
    "public domain, from scikit-image's sample data.",
}


class Portraits(NamedTuple):
    """names: one for each picture; images: (2, 3, size, size) float32 in [0, 1], aligned as the generator's faces."""

    names: tuple[str, ...]
    images: torch.Tensor


def photo(name: str) -> np.ndarray:
    """The whole photo as (height, width, 3) uint8. Raises ValueError for a name that is not in NAMES."""
    if name == "Grace Hopper":
        from matplotlib.cbook import get_sample_data

        with get_sample_data("grace_hopper.jpg") as file:
            return photos.read(file)
    if name == "Eileen Collins":
        from skimage.data import astronaut

        return photos.read(astronaut())
    raise ValueError(f"there is no portrait of {name!r}; there are: {', '.join(NAMES)}")


def load(size: int = 64, device: str | torch.device = "cpu") -> Portraits:
    """Both portraits, aligned by photos.align."""
    return Portraits(
        NAMES, torch.stack([photos.align(photo(name), size=size) for name in NAMES]).to(pick_device(device))
    )


def credit(name: str) -> str:
    """Whose photo it is, and why it may be shown: one sentence."""
    if name not in CREDITS:
        raise ValueError(f"there is no portrait of {name!r}; there are: {', '.join(NAMES)}")
    return CREDITS[name]
