"""Photos on their way from the browser, in pieces: kept in memory, let go when they are whole or given up."""

from __future__ import annotations

import time
from typing import Any

from latentlib.photos import MOST_BYTES, PhotoError, too_large

ABANDONED = 120  # seconds after which a photo whose pieces stopped coming is let go


class Uploads:
    """key -> a photo that is still arriving, at most one for each side."""

    def __init__(self):
        self.arriving: dict[str, _Upload] = {}

    def begin(self, key: str, side: str, size: int) -> tuple[str, bytes] | None:
        """A photo of so many bytes is announced; one for the same side before it is dropped. As ``take``."""
        self.arriving = {other: upload for other, upload in self.arriving.items() if upload.side != side}
        self.arriving[key] = _Upload(side, size)
        return self.take(key, b"")

    def take(self, key: str, piece: Any) -> tuple[str, bytes] | None:
        """A piece has come: (side, content) when the photo is whole, else None.

        Raises PhotoError, and drops the photo, when it is too large or longer than was said.
        """
        if key not in self.arriving:
            return None
        upload = self.arriving[key]
        upload.content.extend(piece)
        upload.touched = time.monotonic()
        size, come = upload.size, len(upload.content)
        if come < size <= MOST_BYTES:
            return None
        del self.arriving[key]
        if come != size or size > MOST_BYTES:
            raise PhotoError(too_large(max(size, come)))
        return upload.side, bytes(upload.content)

    def forget_all(self) -> None:
        self.arriving.clear()

    def forget_abandoned(self) -> None:
        """A page that was closed in the middle of an upload must not leave its photo here."""
        latest = time.monotonic() - ABANDONED
        self.arriving = {key: upload for key, upload in self.arriving.items() if upload.touched > latest}


class _Upload:
    def __init__(self, side: str, size: int):
        self.side, self.size, self.content, self.touched = side, size, bytearray(), time.monotonic()
