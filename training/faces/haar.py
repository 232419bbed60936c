"""The finder of eyes that the course had before: OpenCV's Haar cascades. Kept to measure the present one beside it.

OpenCV 4 brings the cascades with it, OpenCV 5 does not; the course needs neither. ``pip install "opencv-python<5"``.
"""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

import numpy as np

NAMES = ("frontalface_alt2", "eye", "eye_tree_eyeglasses")


class Found(NamedTuple):
    """What the cascades see in a photo. eyes: (2, 2) in pixels of the photo, the left one first, or None."""

    face: bool
    eyes: np.ndarray | None


def why_not() -> str:
    """Empty where the cascades are installed, else what is missing."""
    try:
        import cv2
    except ImportError:
        return "OpenCV is not installed"
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    there = all(os.path.isfile(f"{folder}haarcascade_{name}.xml") for name in NAMES)
    return "" if there and hasattr(cv2, "CascadeClassifier") else f"OpenCV {cv2.__version__} has no Haar cascades"


@cache
def _cascade(name: str):
    import cv2

    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")


def find(photo: np.ndarray) -> Found:
    """The face nearest the middle of a photo (h, w, 3) uint8, and its eyes."""
    height, width = photo.shape[:2]
    faces = find_faces(photo)
    if not faces:
        return Found(False, None)
    nearest = min(faces, key=lambda box: np.hypot(box[0] + box[2] / 2 - width / 2, box[1] + box[2] / 2 - height / 2))
    return Found(True, find_eyes(photo, nearest))


def find_faces(photo: np.ndarray) -> list[tuple[float, float, float]]:
    """Frontal faces as (left, top, side) in pixels of the photo."""
    import cv2

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    side = max(grey.shape)
    scale = min(max(side, 256), 400) / side  # similar working sizes, so that any photo is searched the same way
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    boxes = _cascade("frontalface_alt2").detectMultiScale(small, 1.1, 4, minSize=(40, 40))
    return [(float(x / scale), float(y / scale), float(w / scale)) for x, y, w, _ in boxes]


def find_eyes(photo: np.ndarray, face: tuple[float, float, float]) -> np.ndarray | None:
    """The two eyes in a face's box, or None where there is no believable pair."""
    left, top, side = face
    for factor in (1.0, 1.12, 0.9):  # the cascades are fickle: a slightly other size of the box often helps
        other = side * factor
        eyes = _eyes_in_box(photo, left + (side - other) / 2, top + (side - other) / 2, other)
        if eyes is not None:
            return eyes
    return None


def _eyes_in_box(photo: np.ndarray, left: float, top: float, side: float) -> np.ndarray | None:
    import cv2

    scale = 160 / side
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    box = cv2.warpAffine(grey, np.float32([[scale, 0, -left * scale], [0, scale, -top * scale]]), (160, 160))
    for name in ("eye", "eye_tree_eyeglasses"):
        found = _cascade(name).detectMultiScale(box[:104], 1.07, 2, minSize=(22, 22), maxSize=(64, 64))
        centres = [(x + w / 2, y + h / 2, w) for x, y, w, h in found]
        best, least = None, 1.0
        for ax, ay, aw in centres:
            for bx, by, bw in centres:
                if not ax < 80 < bx:
                    continue
                # Where eyes usually are in a face's box; a sum of squares in units of tolerance.
                cost = ((bx - ax - 62) / 26) ** 2 + ((by - ay) / 22) ** 2 + (np.log(aw / bw) / 0.7) ** 2
                cost += (((ax + bx) / 2 - 80) / 18) ** 2 + (((ay + by) / 2 - 62) / 18) ** 2
                if cost < least:
                    best, least = ((ax, ay), (bx, by)), cost
        if best:
            return np.array(best) / scale + (left, top)
    return None
