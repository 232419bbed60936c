"""Photos of phones and large drawings: what ``photos.read`` takes beside PIL decoding all of it and converting to RGB.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_photos``. The aim: one second for 40 megapixels with
transparency. How much memory each takes is tested in ``tests/test_photos.py``.

In a row the ratio is value / peer, so that less is better.
"""

from __future__ import annotations

import io
import statistics
import time

import numpy as np
from PIL import Image, ImageOps

from benchmarks.rows import Row
from latentlib import photos

ROUNDS = 3
EXIF_ORIENTATION, QUARTER_TURN = 0x0112, 6


def large_photo(kind: str, megapixels: int) -> bytes:
    """A file of so many million pixels, 4 by 3: "JPEG", lying on its side by EXIF, or "PNG" with transparency."""
    unit = round((megapixels * 1e6 / 12) ** 0.5)
    across, down = np.arange(4 * unit)[None, :, None], np.arange(3 * unit)[:, None, None]
    noise = np.random.default_rng(0).integers(0, 30, (3 * unit, 1, 4 if kind == "PNG" else 3))
    pixels = ((across // 40 + down // 40) % 200 + noise).astype(np.uint8)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = QUARTER_TURN
    file = io.BytesIO()
    options = {"compress_level": 1} if kind == "PNG" else {"quality": 90, "exif": exif}
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def plainly(content: bytes) -> np.ndarray:
    """As most programs do it: decode everything, then convert."""
    return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


def run(sizes: dict[str, int] | None = None, rounds: int = ROUNDS) -> list[Row]:
    """Seconds for each kind of file; sizes: its megapixels."""
    rows = []
    for kind, megapixels in (sizes or {"JPEG": 48, "PNG": 40}).items():
        content = large_photo(kind, megapixels)
        ours, theirs = [], []
        for _ in range(rounds):  # turn by turn, so that a busy moment hits both
            for read, taken in ((photos.read, ours), (plainly, theirs)):
                started = time.perf_counter()
                read(content)
                taken.append(time.perf_counter() - started)
        what = "rotated by EXIF" if kind == "JPEG" else "with transparency"
        value, peer = statistics.median(ours), statistics.median(theirs)
        rows.append(Row(f"read a {megapixels}-megapixel {kind} {what}: s (peer: PIL)", value, peer, value / peer))
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.2f} {row.peer:8.2f} {row.ratio:6.2f}×")
