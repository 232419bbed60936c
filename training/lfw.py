"""Labeled Faces in the Wild: 13 thousand news photos, aligned like any photo, and split by person."""

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from latentlib import photos, settings
from latentlib.device import pick_device

CACHE_NAME = "lfw-aligned-64-v2.npz"
PHOTOS = 13_233  # in a whole copy
ALWAYS_TRAINED = 50  # a person with more photos than this stays in training
HELD_OUT_EVERY = 20  # of the others, one person in this many is never seen in training
TURNED = 0.45  # a nose further to a side than this, in distances of the eyes: a profile
NEAR_MEDIAN = 22  # pixels: LFW's photos are roughly aligned, so an eye further off is a mistake or another person's
KINDS = ("used", "no face", "another place", "profile", "damaged")  # what became of a photo; only those used are loaded


class Faces(NamedTuple):
    """images: (n, 3, 64, 64) uint8; people: (n,) int64, one number for each person."""

    images: torch.Tensor
    people: torch.Tensor


def folder() -> Path | None:
    """The folder of LFW's photos (one folder for each person) when it is on this machine, else None."""
    home = Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")).expanduser()
    homes = [place / "lfw_home" / "lfw_funneled" for place in (*settings.places(), home)]
    return next((place for place in homes if any(place.glob("*/*.jpg"))), None)


def load(split: str = "train", device: str | torch.device = "cpu", size: int = 64) -> Faces:
    """LFW's photos, aligned; the first call aligns all 13 thousand (minutes), later ones are quick at 64 × 64 pixels.

    Photos without believable landmarks, strong profiles and damaged files are left out; ``counts`` says how many.
    split: "train", "held_out" (people never seen in training) or "all". size: of the pictures, other than 64 cut anew.
    Raises RuntimeError with one sentence when LFW is neither here nor to be had.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f'split must be "train", "held_out" or "all", got {split!r}')
    stored = _stored()
    people = torch.from_numpy(stored["people"])
    keep = torch.from_numpy(stored["kinds"] == 0)
    if split != "all":
        keep &= torch.isin(people, held_out_people(people)) == (split == "held_out")
    device, images = pick_device(device), torch.from_numpy(stored["images"])[keep]
    if size != 64:
        paths = compress(sorted(folder().glob("*/*.jpg")), keep)
        with ProcessPoolExecutor() as pool:
            found = pool.map(partial(align, size=size), paths, chunksize=32)
            images = torch.from_numpy(np.stack([image for _, image in found]))
    return Faces(images.to(device), people[keep].to(device))


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
    cache = settings.find(CACHE_NAME)
    if cache is None:
        return _aligned(folder() or _download())
    with np.load(cache) as stored:
        return {key: stored[key] for key in ("images", "people", "kinds")}


def _download() -> Path:
    if settings.offline():
        raise RuntimeError("LFW is not on this machine and LATENTLIB_OFFLINE forbids the network; set LATENTLIB_DATA")
    from sklearn.datasets import fetch_lfw_people

    try:
        # scikit-learn keeps a copy of what it returns: ask for little (one person has 500 photos; a tenth of the size).
        fetch_lfw_people(data_home=str(settings.cache_folder()), min_faces_per_person=500, resize=0.1)
    except Exception as error:
        raise RuntimeError(f"LFW could not be downloaded ({error}); the course's own weights need no LFW") from error
    return folder()


def in_the_middle(photo: np.ndarray) -> np.ndarray | None:
    """The six points of the face nearest the middle of a photo: the person that LFW means; another may be larger."""
    middle = np.array([photo.shape[1], photo.shape[0]]) / 2
    points = [face.points for face in photos.find_faces(photo)]
    return min(points, key=lambda six: np.linalg.norm(six[:4].mean(0) - middle), default=None)


def align(path: Path, size: int = 64) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Landmarks (6, 2) of the person whom a photo means, and the aligned picture; only a picture: it is damaged."""
    torch.set_num_threads(1)
    try:
        photo = photos.read(path)
    except photos.PhotoError:
        return None, np.zeros((3, size, size), np.uint8)
    points = in_the_middle(photo)
    if points is None:
        return None, None
    return points, photos.cut(photo, photos.window_of(points), size).transpose(2, 0, 1)


def turned_away(points: np.ndarray) -> bool:
    """Whether a face with these six landmarks is seen from the side: its nose is far from between its eyes."""
    left, right, nose = points[:3]
    eyes = right - left
    return bool(abs((nose - (left + right) / 2) @ eyes) > TURNED * (eyes @ eyes))


@lru_cache(maxsize=1)
def _aligned(home: Path) -> dict[str, np.ndarray]:
    """Every photo aligned, and which are to be left out, and why; kept in the cache when the copy is whole."""
    from tqdm.auto import tqdm

    paths = sorted(home.glob("*/*.jpg"))
    names, people = np.unique([path.parent.name for path in paths], return_inverse=True)
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(tqdm(pool.map(align, paths, chunksize=32), total=len(paths), desc="aligning"))
    median = np.median([points[:2] for points, _ in found if points is not None], axis=0)
    images, kinds = np.zeros((len(paths), 3, 64, 64), np.uint8), np.zeros(len(paths), np.uint8)
    for index, (points, image) in enumerate(found):
        if image is not None:
            images[index] = image
        if points is None:
            kinds[index] = KINDS.index("no face" if image is None else "damaged")
        elif np.abs(points[:2] - median).max() >= NEAR_MEDIAN:
            kinds[index] = KINDS.index("another place")
        elif turned_away(points):
            kinds[index] = KINDS.index("profile")
    print(f"{len(paths)} photos of {len(names)} people; {(kinds > 0).mean():.1%} are left out")
    aligned = {"images": images, "people": people.astype(np.int64), "kinds": kinds}
    damaged = [path.name for path, kind in zip(paths, kinds, strict=True) if KINDS[kind] == "damaged"]
    if damaged or len(paths) < PHOTOS:
        print(f"Not kept for the next time: {home} has {len(paths)} of {PHOTOS} photos, damaged {damaged or 'none'}")
        return aligned
    cache = settings.cache_folder() / CACHE_NAME
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".npz", delete=False) as file:
        np.savez(file, **aligned)
    os.replace(file.name, cache)
    return aligned
