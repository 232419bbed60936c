"""Click the two eyes in a photo, for ``photos.align(photo, eyes=picker.eyes)``, where the detector found none."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from latentlib import photos

SHOWN = 800  # pixels: the longer side of the photo in the browser
Eyes = tuple[tuple[float, float], tuple[float, float]]


class EyePicker(anywidget.AnyWidget):
    """A photo in which one clicks the two eyes: with the mouse, a finger, or arrow keys and Enter.

    photo: anything that ``photos.read`` accepts
    on_done: called with the eyes after the second click; an error it raises becomes a sentence above the photo, and
        the learner clicks again
    on_cancel: called by the button "Leave it", which is there only when this is given
    takes_focus: whether the photo takes the keyboard's focus when it comes onto the page

    eyes: ((x, y), (x, y)) in pixels of the upright photo, the one further left first; None until both are set
    """

    _esm = Path(__file__).with_name("eye_picker.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("eye_picker.css").read_text(encoding="utf-8")

    status = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool(False).tag(sync=True)
    can_cancel = traitlets.Bool(False).tag(sync=True)
    takes_focus = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        photo: Any,
        on_done: Callable[[Eyes], object] | None = None,
        on_cancel: Callable[[], object] | None = None,
        takes_focus: bool = False,
    ):
        self.photo = photos.read(photo)  # (h, w, 3) uint8, upright
        self.eyes: Eyes | None = None
        self.on_done, self.on_cancel = on_done, on_cancel
        super().__init__(can_cancel=on_cancel is not None, takes_focus=takes_focus)
        self.on_msg(self._heard)

    def pick(self, first: tuple[float, float], second: tuple[float, float]) -> None:
        """Set both eyes, in pixels of the photo, as two clicks do; order does not matter."""
        eyes = tuple(sorted((float(x), float(y)) for x, y in (first, second)))
        try:
            photos.align(self.photo, eyes=eyes)  # raises when these cannot be two eyes
            self.eyes = eyes
            if self.on_done is not None:
                self.on_done(eyes)
        except Exception as error:  # the caller's own function may raise anything, and it would show nowhere
            self.eyes = None
            self._say(f"{error}.", failed=True)
            self.send({"kind": "restart"})
        else:
            self._say("Both eyes are set.")

    def _heard(self, _: Any, content: dict, buffers: list) -> None:
        kind = content.get("kind")
        if kind == "show":
            self.send({"kind": "photo"}, [_jpeg(self.photo)])
        elif kind == "eyes":
            height, width = self.photo.shape[:2]
            self.pick(*((x * width, y * height) for x, y in content["eyes"]))
        elif kind == "again":
            self.eyes = None
            self._say("")
        elif kind == "cancel" and self.on_cancel is not None:
            self.on_cancel()

    def _say(self, sentence: str, failed: bool = False) -> None:
        with self.hold_sync():
            self.status, self.failed = sentence, failed

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A photo in which to click the two eyes"


def _jpeg(photo: np.ndarray) -> bytes:
    image = Image.fromarray(photo)
    image.thumbnail((SHOWN, SHOWN))
    buffer = io.BytesIO()
    image.save(buffer, format="jpeg", quality=85)
    return buffer.getvalue()
