"""Pictures made of pixels: tensors to PNG bytes and onto the page, with alt text.

Drawn by PIL, which takes a tenth of the time of a matplotlib figure. Pictures that are themselves the lesson in pixels
(digits, glyphs) are enlarged to crisp squares; faces and furniture smoothly, by Lanczos, as a screen would.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from latentlib.device import pick_device

PAGE_WIDTH = 900  # pixels: what a laptop shows without scrolling
GAP = 4  # white pixels between two pictures
SMALL = 48  # pixels: narrower pictures are shown by their pixels
LARGE = 50_000  # bytes: a stored picture beyond this gets a palette


def publish(png: bytes, alt: str) -> None:
    """Publish a PNG with its alt text, as plain text and in the metadata from which the HTML export takes it."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    data, metadata = png_bundle(png, checked_alt(alt))
    if InteractiveShell.initialized():
        display(data, metadata=metadata, raw=True)
    else:  # a plain script: nothing can show a picture
        print(f"[picture: {data['text/plain']}]")


def png_bundle(png: bytes, alt: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The data and the metadata of a notebook output: a PNG and its alt text."""
    data = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": alt}
    return data, {"image/png": {"alt": alt}}


def checked_alt(alt: str) -> str:
    """The alt text on one line; raises ValueError when it says nothing."""
    alt = " ".join(str(alt).split())
    if not alt:
        raise ValueError('alt is empty; say in a sentence what the picture shows: alt="Ten digits and their copies"')
    return alt


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures in [0, 1] as bytes, clamped: (n, 1 or 3, h, w), (1 or 3, h, w) or (h, w) -> (n, h, w, 3) uint8."""
    images = torch.as_tensor(images)
    if images.dim() == 2:
        images = images[None, None]
    elif images.dim() == 3:
        images = images[None]
    if images.dim() != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"pictures must be (n, 1, h, w) or (n, 3, h, w) with at least one picture, got {tuple(images.shape)}"
        )
    pixels = torch.nan_to_num(images.detach().float()).clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).cpu().numpy()


def to_png(
    images: Tensor,
    scale: float | None = None,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    pixels: bool | None = None,
) -> bytes:
    """Pictures in a grid as PNG bytes; a few milliseconds, fit for a slider.

    images: (n, 1 or 3, h, w) in [0, 1]
    scale: how many times to enlarge; None chooses what fits the page
    columns: pictures in a row; None puts up to ten in a row
    titles: a caption under each picture; rows: a label at the left of each row
    pixels: True shows each pixel as a square, False enlarges smoothly; None shows squares of pictures below 48 pixels
        that are enlarged a whole number of times
    """
    buffer = io.BytesIO()
    _grid(to_uint8(images), scale, columns, titles, rows, pixels=pixels).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def show_images(
    images: Tensor,
    alt: str,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    rows: Sequence[str] | None = None,
    scale: float | None = None,
    gap: int = GAP,
) -> None:
    """Show pictures in a grid, as ``to_png`` draws it, with alt text; gap: white pixels between them."""
    checked_alt(alt)
    sheet = _grid(to_uint8(images), scale, columns, titles, rows, gap)
    png = _png(sheet)
    publish(png if len(png) <= LARGE else with_palette(sheet), alt)


def with_palette(sheet: Image.Image) -> bytes:
    """A PNG of 256 well-chosen colours, which is smaller and looks the same. A notebook has little room."""
    return _png(sheet.convert("RGB").quantize(256, dither=Image.Dither.NONE))


def _png(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def film_strip(
    images: Tensor, alt: str, captions: Sequence[str] | None = None, rows: Sequence[str] | None = None
) -> None:
    """Show a walk as a strip, left to right: (n, c, h, w), or (r, n, c, h, w) for r strips that belong together."""
    images = torch.as_tensor(images)
    if images.dim() == 4:
        images = images[None]
    if images.dim() != 5:
        raise ValueError(f"a strip must be (n, c, h, w), several (r, n, c, h, w); got {tuple(images.shape)}")
    columns = images.shape[1]
    if captions is not None and len(captions) == columns:
        captions = [""] * (columns * (len(images) - 1)) + list(captions)
    show_images(images.flatten(0, 1), alt, titles=captions, columns=columns, rows=rows, gap=2)


@torch.no_grad()
def decoded_sheet(
    decode: Callable[[Tensor], Tensor],
    low: Sequence[float],
    high: Sequence[float],
    steps: int,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """What a decoder of 2-D codes draws in the middles of steps × steps cells: (steps · h, steps · w, 3) uint8.

    decode: (n, 2) codes -> (n, 1 or 3, h, w); low, high: the corners (x, y); x grows to the right, y upwards
    """
    middles = (torch.arange(steps, device=pick_device(device)) + 0.5) / steps
    across, up = (a + middles * (b - a) for a, b in zip(low, high, strict=True))
    drawn = to_uint8(decode(torch.stack([across.repeat(steps), up.flip(0).repeat_interleave(steps)], dim=1)))
    h, w = drawn.shape[1:3]
    return drawn.reshape(steps, steps, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(steps * h, steps * w, 3)


def _grid(
    images: np.ndarray,
    scale: float | None,
    columns: int | None,
    titles: Sequence[str] | None,
    rows: Sequence[str] | None,
    gap: int = GAP,
    pixels: bool | None = None,
) -> Image.Image:
    n, h, w, _ = images.shape
    columns = min(n, 10) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if titles is not None and len(titles) != n:
        raise ValueError(f"{len(titles)} titles for {n} pictures; give one each")
    count = math.ceil(n / columns)
    if rows is not None and len(rows) != count:
        raise ValueError(f"{len(rows)} row labels for {count} rows; give one each")

    font = text_font(14)
    margin = max(math.ceil(font.getlength(text)) for text in rows) + 10 if rows else 0
    if scale is None:
        scale = _fitting_scale(w, (PAGE_WIDTH - margin) / columns - gap)
    if scale <= 0:
        raise ValueError(f"scale must be positive, got {scale}")
    wide, high = max(1, round(w * scale)), max(1, round(h * scale))
    titled = titles is not None and any(titles)
    # A row without captions takes no room for them.
    captions = [22 if titled and any(titles[r * columns : (r + 1) * columns]) else 0 for r in range(count)]
    tops = [r * (high + gap) + sum(captions[:r]) for r in range(count)]
    size = (margin + columns * (wide + gap) - gap, tops[-1] + high + captions[-1])
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    squares = w < SMALL and float(scale).is_integer() if pixels is None else pixels
    how = Image.Resampling.NEAREST if squares else Image.Resampling.LANCZOS
    for i in range(n):
        left, top = margin + i % columns * (wide + gap), tops[i // columns]
        picture = Image.fromarray(images[i])
        sheet.paste(picture if scale == 1 else picture.resize((wide, high), how), (left, top))
        if titled and titles[i]:
            text = _fitting_font(titles[i], wide + gap)
            pen.text((left + wide / 2, top + high + 3), titles[i], fill="black", font=text, anchor="ma")
    for r, text in enumerate(rows or ()):
        pen.text((margin - 8, tops[r] + high / 2), text, fill="black", font=font, anchor="rm")
    return sheet


def _fitting_scale(width: int, room: float) -> float:
    """Enlarge small pictures by a whole number, so that pixels stay square; larger ones smoothly to at most 128 px."""
    if width < SMALL:
        return max(1, int(min(room, max(112, 2 * width)) // width))
    return max(min(room, max(128, width)) / width, 0.25)


def text_font(size: int) -> ImageFont.FreeTypeFont:
    """The type of all words in pictures, in pixels; matplotlib brings it."""
    if size not in _FONTS:
        import matplotlib  # imported only here, so that the widgets start faster

        _FONTS[size] = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)
    return _FONTS[size]


def _fitting_font(text: str, room: float) -> ImageFont.FreeTypeFont:
    return next(
        (text_font(size) for size in (14, 13, 12, 11, 10) if text_font(size).getlength(text) <= room), text_font(9)
    )


_FONTS: dict[int, ImageFont.FreeTypeFont] = {}
