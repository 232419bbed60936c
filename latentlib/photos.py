"""A photo, from a file to an aligned face: the only reader of photos, for training, for LFW and for a learner's own.

file or array ── read ──> pixels ── find_faces ──> six points a face ── align ──> (3, size, size), as the generator's
"""

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from latentlib import weights

MOST_BYTES = 60 * 10**6  # of a file
MOST_PIXELS = 50 * 10**6  # a phone's 48 megapixels, and a little more
WORKING_SIDE = 1600  # pixels: larger files are made smaller when they are read; a face is aligned in far smaller ones
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]  # of photos; PIL also knows some that start programs
PngImagePlugin.MAX_TEXT_CHUNK = MOST_BYTES  # a colour profile or a history of edits above 1 MB is no damage
_T = Image.Transpose
TURNS = {2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE}  # for EXIF's orientation
TURNS |= {6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90}

LEAST_SCORE = 0.65  # of a face, by the detector's own reckoning; folds in a sleeve get 0.5 to 0.6
NEAR = 0.5  # guesses whose middles are nearer than this many sides of their boxes are of one face
DETECTOR_SIDE = 128  # pixels of what the detector sees
LARGE_ENOUGH = 0.36  # a face that fills less of the detector's picture is looked at again from near

# FFHQ's framing, for this detector's points: on photos of LFW its eyes lie 5 to 6 % further apart and a little lower
# than those of OpenCV's cascades, with which the generator began.
EYE_RULER = 3.78  # sides of the square for the distance of the eyes (FFHQ with other landmarks: 4)
MOUTH_RULER = 0.9 * EYE_RULER  # and for the distance from the eyes to the mouth
LOWER = 0.06  # the square's middle is this much of the way from the eyes to the mouth (FFHQ: 0.1)
EYES_TO_MOUTH = 1.1  # in distances of the eyes, the median of LFW: for faces of which only the eyes are known
# Where the eyes of a face that looks into the camera come to stand, as fractions of the aligned picture's side.
EYES = tuple((0.5 + half / EYE_RULER, 0.5 - LOWER * EYES_TO_MOUTH / EYE_RULER) for half in (-0.5, 0.5))  # x, y

TOO_LARGE = "This {} has more than {}; make the photo smaller and try again."
NO_PICTURE = "This file is no picture that can be read here; choose a JPEG or PNG photo."
FROM_A_PHONE = (
    "This is a HEIC photo or an AVIF picture, which only some programs can read; share it as JPEG "
    "(on an iPhone: Settings, Camera, Formats, Most Compatible), or choose a screenshot of it."
)


class PhotoError(ValueError):
    """A file or array is not taken as a photo; the message is the sentence to show."""


class NoFaceError(ValueError):
    """No face was found in a photo; the message says what to do."""


class Face(NamedTuple):
    """points: (6, 2) in pixels of the photo: the eye on its left, the other eye, nose, mouth, the two ears. side: of
    the face's box, in pixels. score: 0 to 1, how sure the detector is."""

    points: np.ndarray
    side: float
    score: float


class Window(NamedTuple):
    """A square of a photo that may be turned. Points of a plane are complex numbers here: x + iy."""

    middle: complex  # in pixels of the photo
    turn: complex  # its upper side, from left to right: as long as the square is wide


# ------------------------------------------------------------------------------------------------------------ reading


def read(source) -> np.ndarray:
    """A photo as (height, width, 3) uint8 in sRGB, upright; of a file no side is longer than WORKING_SIDE.

    source: a path, the bytes of a file, or an array or tensor (h, w) or (h, w, 3 or 4) of uint8 or of floats in [0, 1].
    A file is shown as a browser shows it: turned as its EXIF says, its colour profile applied, what is transparent on
    white, of moving ones the first picture. Its size is looked at before anything is decoded.
    Raises PhotoError with one sentence when it is no picture, damaged or too large.
    """
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return np.array(_on_white(_of_array(source)))
    if not isinstance(source, (bytes, bytearray, memoryview)):
        try:
            with open(Path(source), "rb") as file:
                source = file.read(MOST_BYTES + 1)
        except (OSError, TypeError) as error:
            raise PhotoError(f"This is no photo that can be opened ({error}); choose a JPEG or PNG file.") from error
    if len(source) > MOST_BYTES:
        raise PhotoError(TOO_LARGE.format("file", f"{MOST_BYTES // 10**6} MB"))
    try:
        return np.array(_decoded(bytes(source)))
    except Image.DecompressionBombError as error:
        raise PhotoError(TOO_LARGE.format("picture", f"{MOST_PIXELS // 10**6} million pixels")) from error
    except UnidentifiedImageError as error:
        phones = bytes(source[4:8]) == b"ftyp" and re.search(b"hei|hev|mif|msf|avif|avis", source[8:40])
        raise PhotoError(FROM_A_PHONE if phones else NO_PICTURE) from error
    except Exception as error:  # a damaged file can raise anything
        what = str(error) or type(error).__name__
        raise PhotoError(f"This picture is damaged ({what}); choose another file.") from error


def _decoded(content: bytes) -> Image.Image:
    """Made smaller first, so that whatever follows costs little; then upright, 8 bits, RGB on white, sRGB."""
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    image.draft(None, (WORKING_SIDE, WORKING_SIDE))  # a JPEG is decoded in about this size
    image.load()
    try:
        turn = TURNS.get(image.getexif().get(0x0112))  # only this: the rest of the EXIF may be odd
    except Exception:  # or all of it
        turn = None
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # grey, of 16 bits
        image = image.point(lambda level: level / 256).convert("L")
    elif image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    image = image.reduce(max(1, max(image.size) // WORKING_SIDE))
    image.thumbnail((WORKING_SIDE, WORKING_SIDE))
    if profile:
        image = _in_srgb(image, profile)
    image = _on_white(image)
    return image if turn is None else image.transpose(turn)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The same colours in sRGB; a profile that cannot be used changes nothing."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        return ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, ImportError):
        return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _of_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype.kind == "f" and pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = (pixels * 255).round().astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,), (4,)):
        wanted = "(height, width, 3), bytes or numbers from 0 to 1"
        raise PhotoError(f"An array is a photo when it is {wanted}; this one is {pixels.shape} of {pixels.dtype}.")
    return Image.fromarray(pixels)


# ------------------------------------------------------------------------------------------------- finding landmarks


def find_faces(photo: np.ndarray) -> list[Face]:
    """All faces of a photo (h, w, 3) uint8, the largest first.

    The whole photo is searched; when no face is large enough in it, its parts are, and then theirs. A face that is
    small in what was searched is looked at once more from near, with its eyes level.
    """
    height, width = photo.shape[:2]
    middle, side = complex(width, height) / 2, max(height, width)
    for parts in (1, 2, 4):
        step = side / parts / 2  # neighbours overlap by half
        reach = range(1 - parts, parts)
        windows = [Window(middle + complex(x, y) * step, complex(side / parts)) for y in reach for x in reach]
        faces = _detect(photo, windows)
        seen = [face if face.side > LARGE_ENOUGH * side / parts else _look_again(photo, face) for face in faces]
        if any(seen):
            break
    return sorted(filter(None, seen), key=lambda face: -face.side)


def find_landmarks(source) -> tuple[Face, str]:
    """The largest face of a photo, and a note for people that is empty when there was only one.

    source: what ``read`` takes. Raises NoFaceError, with what to do, when there is no face.
    """
    photo = read(source)
    faces = find_faces(photo)
    if not faces:
        raise NoFaceError(
            "no face was found in this photo; use a photo in which a face looks into the camera, or click the two "
            "eyes: picker = EyePicker(photo), then align(photo, eyes=picker.eyes)"
        )
    return faces[0], f"{len(faces)} faces were found; the largest is used" if len(faces) > 1 else ""


@lru_cache(maxsize=1)
def _detector():
    return weights.load("face-landmarks", "cpu")


@torch.no_grad()
def _detect(photo: np.ndarray, windows: list[Window]) -> list[Face]:
    """Faces in square windows of the photo. The detector makes several guesses at a face: their mean, by score."""
    pictures = np.stack([_cut(photo, window, DETECTOR_SIDE, "constant") for window in windows])
    scores, guesses = _detector()(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1)
    found = []  # (score, side, middle and six points as complex numbers)
    for window, score, guess in zip(windows, scores, guesses, strict=True):
        for sure, pairs in zip(score.tolist(), guess.numpy(), strict=True):
            if sure > LEAST_SCORE:
                places = _on_photo(pairs[[0, *range(2, 8)]], window, DETECTOR_SIDE)
                found.append((sure, pairs[1].mean() * abs(window.turn) / DETECTOR_SIDE, places))
    faces = []
    while found:
        best = max(found, key=lambda guess: guess[0])
        one = [guess for guess in found if abs(guess[2][0] - best[2][0]) < NEAR * max(guess[1], best[1])]
        found = [guess for guess in found if not any(guess is other for other in one)]
        share = np.array([sure for sure, _, _ in one]) / sum(sure for sure, _, _ in one)
        side, places = share @ [side for _, side, _ in one], share @ np.stack([places for _, _, places in one])
        faces.append(Face(np.stack([places[1:].real, places[1:].imag], 1), float(side), best[0]))
    return faces


def _look_again(photo: np.ndarray, face: Face) -> Face | None:
    """The same face, seen from near with its eyes level: its points are found more exactly. None: it was no face."""
    left, right, _, mouth = (complex(*point) for point in face.points[:4])
    if abs(right - left) < 1:
        return None
    middle = (left + right) / 2 + 0.25 * (mouth - (left + right) / 2)
    turn = (right - left) / abs(right - left) * 2 * face.side
    nearer = [f for f in _detect(photo, [Window(middle, turn)]) if abs(complex(*f.points[2]) - middle) < face.side / 2]
    return max(nearer, key=lambda other: other.score, default=None)


# ---------------------------------------------------------------------------------------------------------- aligning


def align(source, eyes=None, size: int = 64) -> torch.Tensor:
    """A photo turned, scaled and cut as the faces were that the generator learned from.

    source: anything that ``read`` accepts.
    eyes: ((x, y), (x, y)) in pixels of the photo that ``read`` gives, in either order, or the six points of a Face;
        they are found when left out.
    size: side of the result in pixels.
    Returns (3, size, size) float32 in [0, 1]; prints one line when several faces were found.
    Raises NoFaceError when no face is found, ValueError when the given eyes cannot be a pair of eyes.
    """
    photo = read(source)
    if eyes is None:
        face, note = find_landmarks(photo)
        if note:
            print(note)
        window = window_of(face.points)
    else:
        window = window_of(_checked(eyes, photo.shape))
    return torch.tensor(cut(photo, window, size)).permute(2, 0, 1).float().div(255)


def window_of(points: np.ndarray) -> Window:
    """The square to cut out: FFHQ's rule (Karras et al. 2019, arXiv 1812.04948, appendix C; ffhq-dataset).

    points: (6, 2) landmarks as in Face, or (2, 2) when only the eyes are known, which are then taken for a face that
    looks into the camera. The square is upright where the eyes are level and the mouth is straight below them, and it
    is as large as the *larger* of two rulers says, so that a turned head, whose eyes are close together, is not
    enlarged.
    """
    left, right = (complex(*point) for point in points[:2])
    eyes, middle = right - left, (left + right) / 2
    down = complex(*points[3]) - middle if len(points) == 6 else EYES_TO_MOUTH * 1j * eyes
    across = eyes - 1j * down
    side = max(EYE_RULER * abs(eyes), MOUTH_RULER * abs(down))
    return Window(middle + LOWER * down, across / abs(across) * side)


def cut(photo: np.ndarray, window: Window, size: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (size, size, 3) uint8. What lies beyond the photo's border is its mirror image."""
    drawn = _cut(photo, window, 4 * size, "symmetric")  # at four times the size, then averaged: an honest small picture
    return np.asarray(Image.fromarray(drawn).reduce(4))


def _cut(photo: np.ndarray, window: Window, size: int, border: str) -> np.ndarray:
    """A window of the photo as (size, size, 3) uint8; border: one of numpy.pad's modes."""
    corners = _on_photo(np.array([[0, 0], [size, 0], [0, size], [size, size]]), window, size)
    low = np.floor([corners.real.min() - 2, corners.imag.min() - 2]).astype(int)
    high = np.ceil([corners.real.max() + 2, corners.imag.max() + 2]).astype(int)
    height, width = photo.shape[:2]
    inside = photo[max(low[1], 0) : max(high[1], 1), max(low[0], 0) : max(high[0], 1)]
    missing = [(max(-low[1], 0), max(high[1] - height, 0)), (max(-low[0], 0), max(high[0] - width, 0)), (0, 0)]
    image = Image.fromarray(np.pad(inside, missing, mode=border))
    step = abs(window.turn) / size  # pixels of the photo for one of the result
    factor = max(1, int(step))
    if factor > 1:
        image = image.reduce(factor)  # averaged first where it is much too fine: no jagged edges
    turn = window.turn / size / factor
    origin = (complex(corners[0]) - complex(*low)) / factor
    transform = (turn.real, -turn.imag, origin.real, turn.imag, turn.real, origin.imag)
    return np.asarray(image.transform((size, size), Image.Transform.AFFINE, transform, Image.Resampling.BILINEAR))


def _on_photo(points: np.ndarray, window: Window, size: int) -> np.ndarray:
    """(n, 2) pixels of a window drawn with this side -> (n,) complex pixels of the photo."""
    return window.middle + (points @ np.array([1, 1j]) / size - (0.5 + 0.5j)) * window.turn


def _checked(eyes, shape) -> np.ndarray:
    try:
        points = np.asarray(eyes, dtype=np.float64)
        points = points if points.shape == (6, 2) else points.reshape(2, 2)
    except (TypeError, ValueError) as error:
        raise ValueError(f"eyes must be ((x, y), (x, y)) in pixels of the photo, got {eyes!r}") from error
    if len(points) == 6:
        return points
    points = points[np.argsort(points[:, 0], kind="stable")]
    height, width = shape[:2]
    inside = ((points >= 0) & (points <= (width, height))).all()
    if not inside or np.linalg.norm(points[1] - points[0]) < 4:
        size = f"{width} × {height} pixels"
        raise ValueError(f"two eyes must lie in the photo of {size} and 4 or more apart, got {eyes!r}")
    return points
