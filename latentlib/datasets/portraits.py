"""Two portraits in the public domain that other libraries bring along: nothing to download, nobody to ask."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from latentlib import photos
from latentlib.device import pick_device

NAMES = ("Grace Hopper", "Eileen Collins")


class Portraits(NamedTuple):
    """names: one for each picture; images: (2, 3, size, size) float32 in [0, 1], aligned as the generator's faces."""

    names: tuple[str, ...]
    images: torch.Tensor


def photo(name: str) -> np.ndarray:
    """The whole photo of "hopper" or "collins", (height, width, 3) uint8; ValueError for other names."""
    surname = name.lower().split(" ")[-1]
    if surname == "hopper":
        from matplotlib.cbook import get_sample_data

        return photos.read(get_sample_data("grace_hopper.jpg", asfileobj=False))
    if surname == "collins":
        # Its file is read where it lies: importing scikit-image would take 50 MB.
        (folder,) = importlib.util.find_spec("skimage").submodule_search_locations
        return photos.read(Path(folder, "data", "astronaut.png"))
    raise ValueError(f'there is no portrait of {name!r}; there are "hopper" and "collins"')


def load(size: int = 64, device: str | torch.device = "cpu") -> Portraits:
    """Both portraits, aligned by photos.align."""
    aligned = [photos.align(photo(name), size=size) for name in NAMES]
    return Portraits(NAMES, torch.stack(aligned).to(pick_device(device)))
