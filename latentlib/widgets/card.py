"""What one keeps of a family: a card and a film, both marked for machines as made by a trained network."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from latentlib.plots.images import text_font, to_uint8
from latentlib.widgets.base import png_of

SENTENCE = "A weighted blend, not a prediction of a real child."
TITLE = "A family in latent space"
WIDTH, PARENT, CHILD, GAP = 760, 200, 288, 12  # pixels
FRAME = 320  # pixels: side of the film
# IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype), as XMP in a file.
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


def family_sheet(
    parents: Sequence[Tensor], child: Tensor, siblings: Sequence[Tensor], names: Sequence[str], title: str = TITLE
) -> Image.Image:
    """Two parents with their child between them and its siblings below, as a PIL image.

    parents, child, siblings: pictures (3, h, w) in [0, 1], two and one and any number; names: of the two parents
    Raises ValueError for another number of parents or names.
    """
    if len(parents) != 2 or len(names) != 2:
        raise ValueError(f"a family has 2 parents with 2 names, got {len(parents)} and {len(names)}")
    count = len(siblings)
    side = min(140, (WIDTH - 40) // count - GAP) if count else 0
    top = 56 if title else 12
    height = top + CHILD + 30 + (side + 40 if count else 0) + 34
    sheet = Image.new("RGB", (WIDTH, height), "white")
    pen = ImageDraw.Draw(sheet)

    def text(words: str, x: float, y: float, room: float, size: int) -> None:
        words = " ".join(words.split())
        font = next((text_font(k) for k in range(size, 10, -1) if text_font(k).getlength(words) <= room), text_font(10))
        while font.getlength(words) > room and len(words) > 1:
            words = words[:-2].rstrip() + "…"
        pen.text((x, y), words, fill="black", font=font, anchor="ma")

    def place(picture: Tensor, caption: str, side: int, middle: float, top: int, room: float) -> None:
        pixels = Image.fromarray(to_uint8(picture)[0]).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(pixels, (round(middle - side / 2), top))
        text(caption, middle, top + side + 6, room, 15)

    if title:
        text(title, WIDTH / 2, 16, WIDTH - 40, 22)
    for picture, name, away in zip(parents, names, (-1, 1), strict=True):
        middle = WIDTH / 2 + away * (CHILD + PARENT + 2 * GAP) / 2
        place(picture, name, PARENT, middle, top + (CHILD - PARENT) // 2, PARENT + 2 * GAP)
    place(child, "child", CHILD, WIDTH / 2, top, CHILD)
    for k in range(count):
        place(
            siblings[k],
            f"sibling {k + 1}",
            side,
            WIDTH / 2 + (k - (count - 1) / 2) * (side + GAP),
            top + CHILD + 34,
            side,
        )
    text(SENTENCE, WIDTH / 2, height - 28, WIDTH - 40, 16)
    return sheet


def family_card(parents: Sequence[Tensor], child: Tensor, siblings: Sequence[Tensor], names: Sequence[str]) -> bytes:
    """``family_sheet`` as PNG bytes, with its description and the mark for machines inside."""
    described = PngInfo()
    described.add_itxt("Description", f"Family card: {names[0]}, {names[1]}, their child and siblings. {SENTENCE}")
    described.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return png_of(family_sheet(parents, child, siblings, names), optimize=True, pnginfo=described)


def film(frames: Tensor, interval: int = 80) -> bytes:
    """Pictures (n, 3, h, w) in [0, 1] as a film there and back, WebP bytes with the mark for machines inside.

    WebP and not GIF: it holds the mark, and more than 256 colours. interval: milliseconds between two pictures
    """
    pictures = [Image.fromarray(pixels).resize((FRAME, FRAME), Image.Resampling.LANCZOS) for pixels in to_uint8(frames)]
    pictures += pictures[-2:0:-1]
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:], "duration": interval, "loop": 0}
    pictures[0].save(buffer, "webp", quality=85, xmp=XMP, **options)
    return buffer.getvalue()
