"""What one keeps of a family: a card and a film, both marked for machines as made by a trained network."""

import io
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from latentlib.plots.images import png_of, text_font

SENTENCE = "A weighted blend, not a prediction of a real child."
TITLE = "A family in latent space"
PARENT, CHILD, GAP = 224, 320, 12  # pixels of the card
WIDE = 2 * PARENT + CHILD + 2 * GAP
FRAME, INTERVAL = 320, 80  # pixels: side of the film; milliseconds between two of its pictures
# IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype), as XMP in a file.
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


def family_sheet(
    pictures: Sequence[Image.Image], names: Sequence[str], title: str = "", marks: PngInfo | None = None
) -> bytes:
    """Two parents with their child between them and its siblings below, as PNG bytes.

    pictures: the two parents, the child, and its siblings, at least one; names: of the two parents
    """
    first, second, child, *siblings = pictures
    small, top = (WIDE + GAP) // len(siblings) - GAP, 40 if title else 0
    upper = top + CHILD  # where the upper row ends, with three lines of a name below
    lower = upper + 70 + small
    sheet = Image.new("RGB", (WIDE, lower + 60), "white")
    pen = ImageDraw.Draw(sheet)

    def put(picture: Image.Image, caption: str, left: int, bottom: int, side: int) -> None:
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (left, bottom - side))
        lines = "\n".join(textwrap.wrap(caption, side // 9, max_lines=3, placeholder="…"))
        pen.text((left + side / 2, bottom + 4), lines, "black", text_font(14), "ma", align="center")

    put(first, names[0], 0, upper, PARENT)
    put(child, "child", PARENT + GAP, upper, CHILD)
    put(second, names[1], WIDE - PARENT, upper, PARENT)
    for k, sibling in enumerate(siblings):
        put(sibling, f"sibling {k + 1}", k * (small + GAP), lower, small)
    pen.text((WIDE / 2, 6), title, "black", text_font(22), "ma")
    pen.text((WIDE / 2, lower + 34), SENTENCE, "black", text_font(16), "ma")
    return png_of(sheet, compress_level=1, pnginfo=marks)


def family_card(pictures: Sequence[Image.Image], names: Sequence[str]) -> bytes:
    """``family_sheet`` with its description and the mark for machines inside."""
    described = PngInfo()
    described.add_itxt("Description", f"Family card: {names[0]}, {names[1]}, their child and siblings. {SENTENCE}")
    described.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return family_sheet(pictures, names, TITLE, described)


def film(frames: Sequence[Image.Image]) -> bytes:
    """A film there and back, WebP bytes with the mark for machines inside: GIF holds no mark, and only 256 colours."""
    pictures = [frame.resize((FRAME, FRAME), Image.Resampling.LANCZOS) for frame in frames]
    pictures += pictures[-2:0:-1]
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:], "duration": INTERVAL, "loop": 0}
    pictures[0].save(buffer, "webp", quality=85, xmp=XMP, **options)
    return buffer.getvalue()
