"""What one keeps of a family: a card and a film, both marked for machines as made by a trained network."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from latentlib.plots.images import png_of, text_font

SENTENCE = "A weighted blend, not a prediction of a real child."
TITLE = "A family in latent space"
WIDTH, PARENT, CHILD, GAP = 760, 200, 288, 12  # pixels
FRAME, INTERVAL = 320, 80  # pixels: side of the film; milliseconds between two of its pictures
# IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype), as XMP in a file.
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


def family_sheet(pictures: Sequence[Image.Image], names: Sequence[str], title: str = "") -> Image.Image:
    """Two parents with their child between them and its siblings below.

    pictures: the two parents, the child, and its siblings, at least one; names: of the two parents
    """
    count = len(pictures) - 3
    side = min(140, (WIDTH - 40) // count - GAP)
    top = 56 if title else 12
    height = top + CHILD + side + 104
    sheet = Image.new("RGB", (WIDTH, height), "white")
    pen = ImageDraw.Draw(sheet)

    def text(words: str, x: float, y: float, room: float, size: int) -> None:
        font = next((text_font(k) for k in range(size, 10, -1) if text_font(k).getlength(words) <= room), text_font(10))
        pen.text((x, y), words, fill="black", font=font, anchor="ma")

    def place(picture: Image.Image, caption: str, side: int, middle: float, top: int, room: float) -> None:
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (round(middle - side / 2), top))
        text(caption, middle, top + side + 6, room, 15)

    text(title, WIDTH / 2, 16, WIDTH - 40, 22)
    for picture, name, away in zip(pictures, names, (-1, 1), strict=False):
        middle = WIDTH / 2 + away * (CHILD + PARENT + 2 * GAP) / 2
        place(picture, name, PARENT, middle, top + (CHILD - PARENT) // 2, PARENT + 2 * GAP)
    place(pictures[2], "child", CHILD, WIDTH / 2, top, CHILD)
    for k, picture in enumerate(pictures[3:]):
        middle = WIDTH / 2 + (k - (count - 1) / 2) * (side + GAP)
        place(picture, f"sibling {k + 1}", side, middle, top + CHILD + 34, side)
    text(SENTENCE, WIDTH / 2, height - 28, WIDTH - 40, 16)
    return sheet


def family_card(pictures: Sequence[Image.Image], names: Sequence[str]) -> bytes:
    """``family_sheet`` as PNG bytes, with its description and the mark for machines inside."""
    described = PngInfo()
    described.add_itxt("Description", f"Family card: {names[0]}, {names[1]}, their child and siblings. {SENTENCE}")
    described.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return png_of(family_sheet(pictures, names, TITLE), optimize=True, pnginfo=described)


def film(frames: Sequence[Image.Image]) -> bytes:
    """A film there and back, WebP bytes with the mark for machines inside: GIF holds no mark, and only 256 colours."""
    pictures = [frame.resize((FRAME, FRAME), Image.Resampling.LANCZOS) for frame in frames]
    pictures += pictures[-2:0:-1]
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:], "duration": INTERVAL, "loop": 0}
    pictures[0].save(buffer, "webp", quality=85, xmp=XMP, **options)
    return buffer.getvalue()
