"""Labeled Faces in the Wild: 13 thousand news photos, aligned like any photo, and split by person."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from latentlib import photos
from latentlib.device import pick_device
from latentlib.settings import cache_folder, data_folder, offline

CACHE_NAME = "lfw-aligned-64-v2.npz"
ALWAYS_TRAINED = 50  # a person with more photos than this stays in training
HELD_OUT_EVERY = 20  # of the others, one person in this many is never seen in training
NEAR_MEDIAN = 22  # pixels: LFW's photos are roughly aligned, so an eye further off is a mistake or another person's
KINDS = ("used", "no face", "another place", "profile")  # what became of a photo; only those used are loaded


class Faces(NamedTuple):
    """images: (n, 3, 64, 64) uint8; people: (n,) int64, one number for each person."""

    images: torch.Tensor
    people: torch.Tensor


def folder() -> Path | None:
    """The folder of LFW's photos (one folder for each person) when it is on this machine, else None."""
    homes = [
        data_folder(),
        cache_folder(),
        Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")).expanduser(),
    ]
    for home in homes:
        place = None if home is None else Path(home) / "lfw_home" / "lfw_funneled"
        if place is not None and place.is_dir() and any(place.iterdir()):
            return place
    return None


def load(split: str = "train", device: str | torch.device = "cpu") -> Faces:
    """LFW's photos, aligned, at 64 × 64; the first call aligns all 13 thousand (minutes), later ones are quick.

    Photos without believable landmarks and strong profiles are left out; ``counts`` says how many.
    split: "train", "held_out" (people never seen in training) or "all".
    Raises RuntimeError with one sentence when LFW is neither here nor to be had.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f'split must be "train", "held_out" or "all", got {split!r}')
    stored = _stored()
    people = torch.from_numpy(stored["people"])
    keep = torch.from_numpy(stored["kinds"] == 0)
    if split != "all":
        keep &= torch.isin(people, held_out_people(people)) == (split == "held_out")
    device = pick_device(device)
    return Faces(torch.from_numpy(stored["images"])[keep].to(device), people[keep].to(device))


def everything() -> tuple[Faces, torch.Tensor]:
    """All photos, those left out too, and of each the number of its kind in KINDS: (n,) uint8."""
    stored = _stored()
    images, people, kinds = (torch.from_numpy(stored[key]) for key in ("images", "people", "kinds"))
    return Faces(images, people), kinds


def counts() -> dict[str, int]:
    """How many photos are used, and how many are left out for which reason."""
    kinds = everything()[1]
    return {kind: int((kinds == number).sum()) for number, kind in enumerate(KINDS)}


def held_out_people(people: torch.Tensor) -> torch.Tensor:
    """The numbers of the people who are never seen in training: one in 20 of those with at most 50 photos."""
    numbers, photos_of_each = people.unique(return_counts=True)  # sorted
    chance = torch.rand(len(numbers), generator=torch.Generator().manual_seed(0))
    return numbers[(chance < 1 / HELD_OUT_EVERY) & (photos_of_each <= ALWAYS_TRAINED)]


def _stored() -> dict[str, np.ndarray]:
    cache = Path(cache_folder()) / CACHE_NAME
    if not cache.exists():
        _write_cache(folder() or _download(), cache)
    with np.load(cache) as stored:
        return {key: stored[key] for key in ("images", "people", "kinds")}


def _download() -> Path:
    if offline():
        raise RuntimeError("LFW is not on this machine and LATENTLIB_OFFLINE forbids the network; set LATENTLIB_DATA")
    from sklearn.datasets import fetch_lfw_people

    try:
        # scikit-learn keeps a copy of what it returns: ask for little (one person has 500 photos; a tenth of the size).
        fetch_lfw_people(data_home=str(cache_folder()), min_faces_per_person=500, resize=0.1)
    except Exception as error:
        raise RuntimeError(f"LFW could not be downloaded ({error}); the course's own weights need no LFW") from error
    return folder()


def _align(path: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Landmarks (6, 2) of the person whom a photo means, and the aligned picture (3, 64, 64) uint8."""
    torch.set_num_threads(1)
    photo = photos.read(path)
    centre = np.array([photo.shape[1], photo.shape[0]]) / 2
    # The person meant stands in the middle of an LFW photo; another face may be larger.
    faces = sorted(photos.find_faces(photo), key=lambda face: np.linalg.norm(face.points[:4].mean(0) - centre))
    if not faces:
        return None, None
    points = faces[0].points
    return points, photos.cut(photo, photos.window_of(points), 64).transpose(2, 0, 1)


def _write_cache(home: Path, cache: Path) -> None:
    """Align every photo once, and note which are to be left out, and why."""
    from concurrent.futures import ProcessPoolExecutor

    from tqdm.auto import tqdm

    paths = sorted(str(path) for path in home.glob("*/*.jpg"))
    names = sorted({Path(path).parent.name for path in paths})
    number = {name: index for index, name in enumerate(names)}
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(tqdm(pool.map(_align, paths, chunksize=32), total=len(paths), desc="aligning"))
    median = np.median([points[:2] for points, _ in found if points is not None], axis=0)
    images, kinds = np.zeros((len(paths), 3, 64, 64), np.uint8), np.zeros(len(paths), np.uint8)
    for index, (points, image) in enumerate(found):
        if points is None:
            kinds[index] = KINDS.index("no face")
        elif np.abs(points[:2] - median).max() >= NEAR_MEDIAN:
            kinds[index] = KINDS.index("another place")
        elif photos.turned_away(points):
            kinds[index] = KINDS.index("profile")
        if image is not None:
            images[index] = image
    people = np.array([number[Path(path).parent.name] for path in paths], np.int64)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".npz", delete=False) as file:
        np.savez(file, images=images, people=people, kinds=kinds)
    os.replace(file.name, cache)
    print(f"{len(paths)} photos of {len(names)} people; {(kinds > 0).mean():.1%} are left out")
