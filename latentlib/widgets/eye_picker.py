"""Click the two eyes in a photo, for ``photos.align(photo, eyes=picker.eyes)``, where no face was found."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from latentlib import photos
from latentlib.plots.images import png_of, text_font
from latentlib.widgets.base import CourseWidget, page

SHOWN = 800  # pixels: the longer side of the photo in the browser
Eyes = tuple[tuple[float, float], tuple[float, float]]


class EyePicker(CourseWidget):
    """A photo in which one clicks the two eyes: with the mouse, a finger, or arrow keys and Enter.

    photo: anything that ``photos.read`` accepts; it is never part of what a notebook saves
    eyes: ((x, y), (x, y)) in pixels of the upright photo, the one further left first; None until both are set
    """

    _esm = page("eyes", "eye_picker")

    def __init__(self, photo: Any):
        self.photo = photos.read(photo)  # (h, w, 3) uint8, upright
        self.eyes: Eyes | None = None
        self._shown = jpeg_of(self.photo)
        super().__init__()

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        self.eyes = None
        self.eyes = checked_eyes(self.photo, values["eyes"]) if values["eyes"] else None

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {"line": "Both eyes are set." if self.eyes else ""}, {"photo": self._shown}

    def private(self, pictures: dict[str, bytes]) -> dict[str, bytes]:
        return {}

    def still(self) -> bytes:
        sheet = Image.new("RGB", (480, 120), "#eeeeee")
        text = "Here you click the two eyes in your photo.\nThe notebook does not keep it."
        ImageDraw.Draw(sheet).text((240, 60), text, "black", text_font(16), "mm", align="center")
        return png_of(sheet)

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A photo in which to click the two eyes"


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
