"""Photos of phones and large drawings: what ``photos.read`` takes beside PIL decoding all of it and converting to RGB.

The aim: one second for 40 megapixels with transparency.
"""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image, ImageOps

from benchmarks.rows import Row, turn_by_turn
from latentlib import photos

EXIF_ORIENTATION, QUARTER_TURN = 0x0112, 6


def large_photo(kind: str, megapixels: float) -> bytes:
    """A file of so many million pixels, 4 by 3: "JPEG", lying on its side by EXIF, or "PNG" with transparency."""
    unit = round((megapixels * 1e6 / 12) ** 0.5)
    across, down = np.arange(4 * unit)[None, :, None], np.arange(3 * unit)[:, None, None]
    noise = np.random.default_rng(0).integers(0, 30, (3 * unit, 1, 4 if kind == "PNG" else 3))
    pixels = ((across // 40 + down // 40) % 200 + noise).astype(np.uint8)
    exif, file = Image.Exif(), io.BytesIO()
    exif[EXIF_ORIENTATION] = QUARTER_TURN
    options = {"compress_level": 1} if kind == "PNG" else {"quality": 90, "exif": exif}
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def plainly(content: bytes) -> np.ndarray:
    """As most programs do it: decode everything, then convert."""
    return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


def run(rounds: int = 3) -> list[Row]:
    """Seconds for each kind of file."""
    rows = []
    for kind, megapixels in {"JPEG": 48, "PNG": 40}.items():
        read, plain = (functools.partial(way, large_photo(kind, megapixels)) for way in (photos.read, plainly))
        ours, theirs = turn_by_turn(rounds, read, plain)
        rows.append(Row(f"read a {megapixels:g}-megapixel {kind}: s (peer: PIL)", ours, theirs))
    return rows
