"""Choose a photo, and click the two eyes where no face is found, for ``photos.align(picker.photo, picker.eyes)``."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from latentlib import photos
from latentlib.widgets.base import CourseWidget, page

MOST_BYTES = 60 * 10**6  # of a photo that the page cannot make smaller
ABANDONED = 120  # seconds after which a photo whose pieces stopped coming is let go
SHOWN = 800  # pixels: the longer side of the photo in the browser
Eyes = tuple[tuple[float, float], tuple[float, float]]


class Arrival:
    """A photo's file on its way from the page, in pieces."""

    def __init__(self):
        self.key, self.held, self.touched = "", bytearray(), 0.0

    def forget_abandoned(self) -> None:  # a page that was closed in the middle leaves no photo here
        if time.monotonic() > self.touched + ABANDONED:
            self.key, self.held = "", bytearray()

    def add(self, content: Any, key: str, at: int, size: int, **_: Any) -> bytes | None:
        """The whole file, when this was its last piece."""
        if at == 0:
            self.key, self.held = key, bytearray()
        if key != self.key:  # another photo was chosen meanwhile
            return None
        self.held.extend(content)
        self.touched, whole = time.monotonic(), bytes(self.held)
        if len(whole) < min(size, MOST_BYTES):
            return None
        self.key, self.held = "", bytearray()
        return whole


class EyePicker(CourseWidget):
    """A photo of one's own. Where no face is found one clicks the two eyes, with the mouse, a finger or the keyboard.

    photo: anything that ``photos.read`` accepts, to click its eyes; None: it is chosen on the page. Then (h, w, 3)
        uint8, upright, or None until it is there. It is never part of what a notebook saves
    eyes: what ``photos.align`` takes: a face's six landmarks (6, 2), or the two places that were clicked, in pixels of
        the photo, the one further left first; None until they are known
    """

    _esm = page("eyes", "eye_picker")

    def __init__(self, photo: Any = None):
        self.photo: np.ndarray | None = None if photo is None else photos.read(photo)
        self.eyes: np.ndarray | Eyes | None = None
        self.line, self._picking, self._arriving = "", photo is not None, Arrival()
        super().__init__(most=0 if self._picking else MOST_BYTES)

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        self._arriving.forget_abandoned()
        if "piece" in values:
            whole = self._arriving.add(buffers[0], **values["piece"])
            if whole is not None:
                self.upload(whole)
        elif "eyes" in values:
            self.line, self.eyes = "", None
            if values["eyes"]:
                self.eyes, self.line = checked_eyes(self.photo, values["eyes"]), "Both eyes are set."

    def upload(self, content: bytes) -> None:
        """Take the bytes of a photo's file; raises ``photos.PhotoError``, and keeps what it had, when it is none."""
        photo = photos.read(content)
        try:
            face, note = photos.find_landmarks(photo)
            eyes, line = face.points, f"A face was found in your photo; go on with the next cell. {note}".strip()
        except photos.NoFaceError:
            eyes = None
            line = "No face was found in this photo. Click the two eyes in it above, or choose another photo."
        self.photo, self.eyes, self.line, self._picking = photo, eyes, line, eyes is None

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        shown = {"photo": jpeg_of(self.photo)} if self._picking else {}
        return {"line": self.line, "picking": self._picking}, shown

    def private(self, pictures: dict[str, bytes]) -> dict[str, bytes]:
        return {}

    def still(self) -> bytes:
        return b""  # the notebook does not keep the photo

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A photo to choose, or to click its two eyes; the notebook does not keep it"


def jpeg_of(photo: np.ndarray) -> bytes:
    """A photo (h, w, 3) uint8 for the page."""
    image, buffer = Image.fromarray(photo), io.BytesIO()
    image.thumbnail((SHOWN, SHOWN))
    image.save(buffer, "jpeg", quality=85)
    return buffer.getvalue()


def checked_eyes(photo: np.ndarray, shares: Sequence[Sequence[float]]) -> Eyes:
    """Two places in shares of the photo's width and height -> in pixels, the left one first.

    Raises ValueError when they cannot be a pair of eyes.
    """
    height, width = photo.shape[:2]
    eyes = tuple(sorted((x * width, y * height) for x, y in shares))
    photos.align(photo, eyes=eyes)
    return eyes
