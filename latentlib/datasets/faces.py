"""Faces: read any photo, find its eyes, align it; and LFW, aligned the same way and split by person."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from latentlib.datasets import cache_folder, data_folder, offline

# Where the eyes stand in an aligned picture, as shares of its side: FFHQ's framing, (24, 30.2) and (40, 30.2) of 64.
EYES = ((24 / 64, 30.2 / 64), (40 / 64, 30.2 / 64))
CACHE_NAME = "lfw-aligned-64-v1.npz"
ALWAYS_TRAINED = 50  # a person with more photos than this stays in training
HELD_OUT_EVERY = 20  # of the others, one person in this many is never seen in training


class NoFaceError(ValueError):
    """No face, or no pair of eyes, was found in a photo; the message says what to do."""


class FoundEyes(NamedTuple):
    """Two eye centres in pixels of the photo, the one further left first, and a note about what was chosen."""

    eyes: tuple[tuple[float, float], tuple[float, float]]
    faces: int
    note: str


class Faces(NamedTuple):
    """images: (n, 3, 64, 64) uint8; people: (n,) int64, one number for each person; eyes_found: (n,) bool."""

    images: torch.Tensor
    people: torch.Tensor
    eyes_found: torch.Tensor


# ---------------------------------------------------------------------------------------------------- any photo


def read_photo(source) -> np.ndarray:
    """A photo as (height, width, 3) uint8 RGB, the right way up.

    source: a path, the bytes of a file, an open binary file, a PIL image, or an array (h, w), (h, w, 1..4) of uint8,
    uint16 or floats in [0, 1]. EXIF rotation is applied, transparency is laid on white, 16 bits become 8.
    Raises ValueError with one sentence when it is no picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(source, torch.Tensor):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _to_rgb(source)
    if isinstance(source, Image.Image):
        image = source
    else:
        try:
            image = Image.open(io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source)
            image.load()
        except FileNotFoundError as error:
            raise ValueError(f"there is no photo at {source}; check the path") from error
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"this file cannot be read as a picture ({error}); use a whole JPEG or PNG file"
            ) from error
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _to_rgb(np.asarray(image).astype(np.uint16) if image.mode.startswith("I") else np.asarray(image))
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("P", "PA", "La", "RGBa") else "RGB")
    return _to_rgb(np.asarray(image))


def _to_rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or min(pixels.shape[:2]) < 2:
        raise ValueError(f"a photo must be (height, width, 1 to 4 channels), got {pixels.shape}")
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.float32) / 257).round().astype(np.uint8)
    elif pixels.dtype != np.uint8:
        pixels = (np.nan_to_num(pixels.astype(np.float32)).clip(0, 1) * 255).round().astype(np.uint8)
    if pixels.shape[2] in (2, 4):  # the last channel is opacity
        opacity = pixels[:, :, -1:].astype(np.float32) / 255
        pixels = (pixels[:, :, :-1] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _cascade(name: str):
    """One of the detectors that OpenCV bundles; loaded once."""
    if name not in _cascades:
        import cv2

        if not hasattr(cv2, "CascadeClassifier"):
            raise ImportError('this OpenCV has no face detector; install "opencv-python-headless<5"')
        _cascades[name] = cv2.CascadeClassifier(cv2.data.haarcascades + f"haarcascade_{name}.xml")
    return _cascades[name]


_cascades: dict = {}


def find_faces(photo: np.ndarray) -> list[tuple[float, float, float]]:
    """Frontal faces as (left, top, side) in pixels of the photo, the largest first. photo: uint8 RGB array."""
    import cv2

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    side = max(grey.shape)
    scale = min(max(side, 256), 400) / side  # similar working sizes, so that any photo is searched the same way
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    boxes = _cascade("frontalface_alt2").detectMultiScale(small, 1.1, 4, minSize=(40, 40))
    found = [(float(x / scale), float(y / scale), float(w / scale)) for x, y, w, _ in boxes]
    return sorted(found, key=lambda box: -box[2])


def find_eyes_in_face(photo: np.ndarray, face: tuple[float, float, float]):
    """The two eye centres inside a face box in pixels of the photo, or None when there is no believable pair."""
    left, top, side = face
    for factor in (1.0, 1.12, 0.9):  # the detector is fickle: a slightly other size of the box often helps
        other = side * factor
        eyes = _eyes_in_box(photo, left + (side - other) / 2, top + (side - other) / 2, other)
        if eyes is not None:
            return eyes
    return None


def _eyes_in_box(photo: np.ndarray, left: float, top: float, side: float):
    import cv2

    scale = 160 / side
    to_box = np.float32([[scale, 0, -left * scale], [0, scale, -top * scale]])
    smaller, factor = _reduced(photo, side / 320)
    box = cv2.warpAffine(cv2.cvtColor(smaller, cv2.COLOR_RGB2GRAY), _after(to_box, factor), (160, 160))
    for name in ("eye", "eye_tree_eyeglasses"):
        found = _cascade(name).detectMultiScale(box[:104], 1.07, 2, minSize=(22, 22), maxSize=(64, 64))
        centres = [(x + w / 2, y + h / 2, w) for x, y, w, h in found]
        best, least = None, 1.0
        for ax, ay, aw in centres:
            for bx, by, bw in centres:
                if not ax < 80 < bx:
                    continue
                # Where eyes usually are in a face detector's box; a sum of squares in units of tolerance.
                cost = ((bx - ax - 62) / 26) ** 2 + ((by - ay) / 22) ** 2 + (np.log(aw / bw) / 0.7) ** 2
                cost += (((ax + bx) / 2 - 80) / 18) ** 2 + (((ay + by) / 2 - 62) / 18) ** 2
                if cost < least:
                    best, least = ((ax, ay), (bx, by)), cost
        if best:
            return tuple((float(left + x / scale), float(top + y / scale)) for x, y in best)
    return None


def find_eyes(source) -> FoundEyes:
    """The eyes of the largest face in a photo.

    Raises NoFaceError, with what to do, when there is no face or it has no visible pair of eyes.
    """
    photo = read_photo(source)
    faces = find_faces(photo)
    remedy = (
        "use a photo in which one face looks into the camera, or click the two eyes: "
        "picker = latentlib.eye_picker.EyePicker(photo), then align(photo, eyes=picker.eyes)"
    )
    if not faces:
        raise NoFaceError(f"no face was found in this photo; {remedy}")
    eyes = find_eyes_in_face(photo, faces[0])
    if eyes is None:
        raise NoFaceError(f"a face was found in this photo, but not both of its eyes; {remedy}")
    note = f"{len(faces)} faces were found; the largest is used" if len(faces) > 1 else ""
    return FoundEyes(eyes, len(faces), note)


def align(source, eyes=None, size: int = 64) -> torch.Tensor:
    """A photo turned, scaled and cut so that the eyes stand where the face generator expects them.

    source: anything that read_photo accepts.
    eyes: ((x, y), (x, y)) in pixels of the upright photo, in either order; found by the detector when left out.
    size: side of the result in pixels.
    Returns (3, size, size) float32 in [0, 1]; prints one line when several faces were found.
    Raises NoFaceError when no eyes are found, ValueError when the given ones cannot be a pair of eyes.
    """
    photo = read_photo(source)
    if eyes is None:
        found = find_eyes(photo)
        eyes = found.eyes
        if found.note:
            print(found.note)
    aligned = _align_pixels(photo, _checked_eyes(eyes, photo.shape), size)
    return torch.from_numpy(aligned).permute(2, 0, 1).float().div(255)


def _checked_eyes(eyes, shape) -> np.ndarray:
    try:
        points = np.asarray(eyes, dtype=np.float64).reshape(2, 2)
    except (TypeError, ValueError) as error:
        raise ValueError(f"eyes must be ((x, y), (x, y)) in pixels of the photo, got {eyes!r}") from error
    points = points[np.argsort(points[:, 0], kind="stable")]
    height, width = shape[:2]
    if not np.isfinite(points).all() or (points < 0).any() or (points > (width, height)).any():
        raise ValueError(f"eyes {eyes!r} lie outside this photo of {width} × {height} pixels")
    if np.linalg.norm(points[1] - points[0]) < 4:
        raise ValueError(f"the two eyes {eyes!r} are less than 4 pixels apart; click the middle of each eye once")
    return points


def _reduced(photo: np.ndarray, factor: float) -> tuple[np.ndarray, float]:
    """The photo made smaller by averaging, when it is more than twice as fine as needed: no jagged edges."""
    import cv2

    if factor < 1:
        return photo, 1.0
    height, width = photo.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA), factor


def _after(transform: np.ndarray, factor: float) -> np.ndarray:
    """The same transform for a photo that _reduced has made smaller by ``factor``."""
    if factor < 1:
        return transform
    return np.float32(
        [[*(transform[0, :2] * factor), transform[0, 2]], [*(transform[1, :2] * factor), transform[1, 2]]]
    )


def _align_pixels(photo: np.ndarray, eyes: np.ndarray, size: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (size, size, 3) uint8: the similarity transform that takes the eyes to EYES."""
    import cv2

    fine = 4 * size  # draw at four times the size, then average: an honest small picture
    (ax, ay), (bx, by) = eyes
    targets = np.asarray(EYES) * fine
    # A similarity transform is one complex number times a point plus another complex number.
    turn = complex(*(targets[1] - targets[0])) / complex(bx - ax, by - ay)
    move = complex(*targets[0]) - turn * complex(ax, ay)
    transform = np.float32([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    factor = 0.5 / abs(turn)
    photo = _reduced(photo, factor)[0]
    drawn = cv2.warpAffine(
        photo, _after(transform, factor), (fine, fine), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)


# ---------------------------------------------------------------------------------------------------------- LFW


def lfw_folder() -> Path | None:
    """The folder of LFW's photos (one folder for each person) when it is on this machine, else None."""
    homes = [
        data_folder(),
        cache_folder(),
        Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")).expanduser(),
    ]
    for home in homes:
        folder = None if home is None else Path(home) / "lfw_home" / "lfw_funneled"
        if folder is not None and folder.is_dir() and any(folder.iterdir()):
            return folder
    return None


def _download_lfw() -> Path:
    if offline():
        raise RuntimeError("LFW is not on this machine and LATENTLIB_OFFLINE forbids the network; set LATENTLIB_DATA")
    from sklearn.datasets import fetch_lfw_people

    try:
        # scikit-learn keeps a copy of what it returns: ask for little (one person has 500 photos; a tenth of the size).
        fetch_lfw_people(data_home=str(cache_folder()), min_faces_per_person=500, resize=0.1)
    except Exception as error:
        raise RuntimeError(f"LFW could not be downloaded ({error}); the course's own weights need no LFW") from error
    return lfw_folder()


def load(split: str = "train", device: str | torch.device = "cpu") -> Faces:
    """LFW's photos, aligned, at 64 × 64; the first call aligns all 13 thousand (minutes), later ones are quick.

    split: "train", "held_out" (people never seen in training) or "all".
    Raises RuntimeError with one sentence when LFW is neither here nor to be had.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f'split must be "train", "held_out" or "all", got {split!r}')
    cache = Path(cache_folder()) / CACHE_NAME
    if not cache.exists():
        _write_cache(lfw_folder() or _download_lfw(), cache)
    with np.load(cache) as stored:
        images, people, found = (torch.from_numpy(stored[key]) for key in ("images", "people", "eyes_found"))
    keep = torch.ones(len(people), dtype=torch.bool)
    if split != "all":
        held = held_out_people(people)
        keep = torch.isin(people, held) == (split == "held_out")
    return Faces(images[keep].to(device), people[keep].to(device), found[keep].to(device))


def held_out_people(people: torch.Tensor) -> torch.Tensor:
    """The numbers of the people who are never seen in training: one in 20 of those with at most 50 photos."""
    numbers, photos = people.unique(return_counts=True)  # sorted
    chance = torch.rand(len(numbers), generator=torch.Generator().manual_seed(0))
    return numbers[(chance < 1 / HELD_OUT_EVERY) & (photos <= ALWAYS_TRAINED)]


def _read_and_find(path: str):
    photo = read_photo(path)
    faces = find_faces(photo)
    # The person meant stands in the middle of an LFW photo; another face may be larger.
    centre = np.array([photo.shape[1] / 2, photo.shape[0] / 2])
    faces.sort(key=lambda box: np.hypot(*(np.array([box[0] + box[2] / 2, box[1] + box[2] / 2]) - centre)))
    return photo, (find_eyes_in_face(photo, faces[0]) if faces else None)


def _find_only(path: str):
    return _read_and_find(path)[1]


def _write_cache(folder: Path, cache: Path) -> None:
    """Align every photo once; where no believable eyes are found, the median position of all found eyes is used."""
    from concurrent.futures import ProcessPoolExecutor

    from tqdm.auto import tqdm

    paths = sorted(str(path) for path in folder.glob("*/*.jpg"))
    names = sorted({Path(path).parent.name for path in paths})
    number = {name: index for index, name in enumerate(names)}
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(tqdm(pool.map(_find_only, paths, chunksize=32), total=len(paths), desc="finding eyes"))
    known = np.array([eyes for eyes in found if eyes is not None], dtype=np.float64)  # (k, 2, 2)
    median = np.median(known, axis=0)
    images = np.empty((len(paths), 3, 64, 64), np.uint8)
    believed = np.zeros(len(paths), bool)
    for index, (path, eyes) in enumerate(zip(tqdm(paths, desc="aligning"), found, strict=True)):
        # LFW's photos are roughly aligned already: eyes far from the median are a mistake or another person.
        believed[index] = eyes is not None and np.abs(np.asarray(eyes) - median).max() < 22
        images[index] = _align_pixels(read_photo(path), np.asarray(eyes) if believed[index] else median, 64).transpose(
            2, 0, 1
        )
    people = np.array([number[Path(path).parent.name] for path in paths], np.int64)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".npz", delete=False) as file:
        np.savez(file, images=images, people=people, eyes_found=believed)
    os.replace(file.name, cache)
    print(f"{len(paths)} photos of {len(names)} people; the median transform was used for {1 - believed.mean():.1%}")
