"""Choose a photo, and click the two eyes where no face is found, for ``photos.align(picker.photo, picker.eyes)``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from latentlib import photos
from latentlib.widgets.base import CourseWidget, Worker, jpeg_of, page

SHOWN = 800  # pixels: the longer side of the photo in the browser


class PhotoWidget(CourseWidget):
    """A photo comes from the page in pieces; where no face is found in it, its two eyes are clicked there.

    photo: (h, w, 3) uint8, upright, or None until it is there. It is never part of what a notebook saves
    eyes: what ``photos.align`` takes: a face's six landmarks (6, 2), or the two places that were clicked, in pixels of
        the photo, the one further left first; None until they are known
    worker: what it says stands below. A subclass has admit(note, …), called when the eyes are known
    """

    photo: np.ndarray | None = None
    eyes: np.ndarray | tuple[tuple[float, float], ...] | None = None
    picking = False  # are the eyes to be clicked?

    def __init__(self, **fixed: Any):
        self.worker = Worker(self.lock, self.tell)
        self._arriving, self._where = ("", bytearray()), {}  # the file's key and bytes; what the page says beside
        super().__init__(**fixed)

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        if "piece" in values:
            self._receive(buffers[0], **values["piece"])
        elif "leave" in values:
            self.picking = False
        elif "eyes" in values and self.picking:  # an empty list when they are begun again
            self.eyes, self.worker.line = None, ""
            if values["eyes"]:
                height, width = self.photo.shape[:2]
                self._found(tuple(sorted((x * width, y * height) for x, y in values["eyes"])), "")

    def _receive(self, content: Any, key: str, at: int, size: int, **where: Any) -> None:
        if at == 0:
            self._arriving = (key, bytearray())
        if key == self._arriving[0]:  # else another photo was chosen meanwhile
            self._arriving[1].extend(content)
            if len(self._arriving[1]) >= size:
                whole, self._arriving = bytes(self._arriving[1]), ("", bytearray())
                self.upload(whole, **where)

    def upload(self, content: bytes, **where: Any) -> None:
        """Take the bytes of a photo's file; raises ``photos.PhotoError``, and keeps what it had, when it is none."""
        self.photo, self.eyes, self._where = photos.read(content), None, where
        try:
            face, note = photos.find_landmarks(self.photo)
        except photos.NoFaceError:
            self.picking = True
            told = "No face was found in this photo. Click the two eyes in it, or choose another photo."
            self.worker.line, self.worker.kind = told, ""
        else:
            self.picking = False
            self._found(face.points, note)

    def _found(self, eyes: Any, note: str) -> None:
        photos.align(self.photo, eyes=eyes)  # raises ValueError when they cannot be a pair of eyes
        self.eyes = eyes
        self.admit(note, **self._where)

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        content = {"line": self.worker.line, "kind": self.worker.kind, "picking": self.picking}
        return content, {"photo": jpeg_of(Image.fromarray(self.photo), SHOWN)} if self.picking else {}


class EyePicker(PhotoWidget):
    """A photo of one's own. Where no face is found one clicks the two eyes, with the mouse, a finger or the keyboard.

    photo: anything that ``photos.read`` accepts, to click its eyes; None: it is chosen on the page
    """

    _esm = page("eyes", "eye_picker")
    saved = False

    def __init__(self, photo: Any = None):
        if photo is not None:
            self.photo, self.picking = photos.read(photo), True
        super().__init__(most=0 if self.picking else photos.MOST_BYTES)

    def admit(self, note: str) -> None:
        known = "Both eyes are set" if self.picking else "A face was found in your photo"
        self.worker.line = f"{known}; go on with the next cell. {note}".strip()

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A photo to choose, or to click its two eyes; the notebook does not keep it"
