"""Pictures made of pixels: tensors to PNG bytes and onto the page.

Drawn by PIL, which takes a tenth of the time of a matplotlib figure. Pictures that are themselves the lesson in pixels
(digits, glyphs) are enlarged to crisp squares; faces and furniture smoothly, by Lanczos, as a screen would.
"""

import base64
import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAGE_WIDTH = 900  # pixels: what a laptop shows without scrolling
GAP = 4  # white pixels between two pictures
SMALL = 48  # pixels: narrower pictures are shown by their pixels
TEXT = "[picture]"  # the plain text of every picture; what it shows stands in the cell's metadata, as "alt"


def publish(png: bytes, **livelier: dict) -> None:
    """Put a PNG on the page; without a page, as in a script, nothing happens.

    livelier: the same by MIME type, for programs that can show more than a still picture
    """
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    if InteractiveShell.initialized():
        display({"image/png": base64.b64encode(png).decode("ascii"), "text/plain": TEXT, **livelier}, raw=True)


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures in [0, 1] as bytes, clamped: (n, 1 or 3, h, w), (1 or 3, h, w) or (h, w) -> (n, h, w, 3) uint8."""
    images = torch.as_tensor(images)
    images = images[(None,) * max(0, 4 - images.dim())] if images.dim() >= 2 else images
    if images.dim() != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"pictures must be (n, 1, h, w) or (n, 3, h, w) with at least one picture, got {tuple(images.shape)}"
        )
    pixels = torch.nan_to_num(images.detach().float()).clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).cpu().numpy()


def to_png(
    images: Tensor,
    width: float | None = None,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
) -> bytes:
    """Pictures in a grid as PNG bytes; a few milliseconds, fit for a slider. Arguments as in ``show_images``."""
    return png_of(_sheet(images, width, columns, titles, None), compress_level=1)


def show_images(
    images: Tensor,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    rows: Sequence[str] | None = None,
    width: float | None = None,
) -> None:
    """Show pictures in a grid.

    images: (n, 1 or 3, h, w) in [0, 1]; or (r, n, 1 or 3, h, w), r rows that belong together
    titles: a caption under each picture, or for r rows one under each column; rows: a label at the left of each row
    columns: pictures in a row; None puts up to ten in a row
    width: of a picture on the page, in pixels; None chooses what fits. Pictures below 48 pixels show crisp squares
    """
    publish(with_palette(_sheet(images, width, columns, titles, rows)))


def with_palette(sheet: Image.Image) -> bytes:
    """A PNG of 256 well-chosen colours, which is smaller and looks the same. A notebook has little room."""
    thirds = sheet.convert("RGB").point(lambda level: round(level / 3) * 3)  # far fewer colours to choose from
    return png_of(thirds.quantize(256, dither=Image.Dither.NONE), optimize=True)


def png_of(sheet: Image.Image, **options) -> bytes:
    """A picture as PNG bytes; options: as Pillow's ``save`` has them."""
    buffer = io.BytesIO()
    sheet.save(buffer, format="png", **options)
    return buffer.getvalue()


def _sheet(images, width, columns, titles, rows) -> Image.Image:
    """Pictures, captions and labels on white, as ``show_images`` says."""
    images = torch.as_tensor(images)
    if images.dim() == 5:
        columns = images.shape[1]
        if titles is not None and len(titles) == columns:
            titles = [""] * (columns * (len(images) - 1)) + list(titles)
        images = images.flatten(0, 1)
    pictures = to_uint8(images)
    n, h, w, _ = pictures.shape
    columns = min(n, 10) if columns is None else columns
    count = math.ceil(n / columns)
    for given, wanted, what in ((titles, n, "titles"), (rows, count, "row labels")):
        if given is not None and len(given) != wanted:
            raise ValueError(f"{len(given)} {what} for {wanted}; give one each")
    margin = max(math.ceil(text_font(14).getlength(text)) for text in rows) + 10 if rows else 0
    scale = (width / w) if width else _fitting_scale(w, (PAGE_WIDTH - margin) / columns - GAP)
    scale = max(1, round(scale)) if w < SMALL and scale >= 1 else scale  # whole squares
    wide, high = max(1, round(w * scale)), max(1, round(h * scale))
    # A row without captions takes no room for them.
    captions = [22 if titles and any(titles[r * columns : (r + 1) * columns]) else 0 for r in range(count)]
    tops = [r * (high + GAP) + sum(captions[:r]) for r in range(count)]
    sheet = Image.new("RGB", (margin + columns * (wide + GAP) - GAP, tops[-1] + high + captions[-1]), "white")
    pen = ImageDraw.Draw(sheet)
    how = Image.Resampling.NEAREST if w < SMALL and scale >= 1 else Image.Resampling.LANCZOS
    for i in range(n):
        left, top = margin + i % columns * (wide + GAP), tops[i // columns]
        sheet.paste(Image.fromarray(pictures[i]).resize((wide, high), how), (left, top))
        if titles and titles[i]:
            font = _fitting_font(titles[i], wide + GAP)
            pen.text((left + wide / 2, top + high + 3), titles[i], fill="black", font=font, anchor="ma")
    for r, text in enumerate(rows or ()):
        pen.text((margin - 8, tops[r] + high / 2), text, fill="black", font=text_font(14), anchor="rm")
    return sheet


def _fitting_scale(width: int, room: float) -> float:
    """Enlarge small pictures by a whole number, so that pixels stay square; larger ones smoothly to at most 160 px."""
    if width < SMALL:
        return max(1, int(min(room, max(112, 2 * width)) // width))
    return max(min(room, max(160, width)) / width, 0.25)


@cache
def text_font(size: int) -> ImageFont.FreeTypeFont:
    """The type of all words in pictures, in pixels; matplotlib brings it."""
    import matplotlib  # imported only here, so that the widgets start faster

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)


def _fitting_font(text: str, room: float) -> ImageFont.FreeTypeFont:
    return next((text_font(size) for size in range(14, 9, -1) if text_font(size).getlength(text) <= room), text_font(9))
