"""What one keeps of a family: a card and a film, both marked for machines as made by a trained network."""

import io
import textwrap
from collections.abc import Sequence

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentlib.plots.style import styled

SENTENCE = "A weighted blend, not a prediction of a real child."
TITLE = "A family in latent space"
FRAME, INTERVAL = 320, 80  # pixels: side of the film; milliseconds between two of its pictures
# IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype), as XMP in a file.
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


@styled()
def family_sheet(
    pictures: Sequence[Image.Image], names: Sequence[str], title: str = "", marks: PngInfo | None = None
) -> bytes:
    """Two parents with their child between them and its siblings below, as PNG bytes.

    pictures: the two parents, the child, and its siblings, at least one; names: of the two parents
    """
    from matplotlib.figure import Figure  # only here: the widgets start faster without it

    first, second, child, *siblings = pictures
    fig = Figure(figsize=(7.9, 5.8))
    above, below = fig.subfigures(2, 1, height_ratios=(2.3, 1))
    axes = [*above.subplots(1, 3, width_ratios=(5, 7, 5)), *below.subplots(1, len(siblings))]
    captions = [names[0], "child", names[1], *(f"sibling {k + 1}" for k in range(len(siblings)))]
    for ax, picture, caption in zip(axes, (first, child, second, *siblings), captions, strict=True):
        ax.imshow(picture, interpolation="lanczos")
        ax.set(xticks=[], yticks=[], xlabel=textwrap.fill(caption, 24))
        ax.spines[:].set_visible(False)
    above.suptitle(title, size=16)
    below.supxlabel(SENTENCE, size=12)
    buffer = io.BytesIO()
    fig.savefig(buffer, pil_kwargs={"pnginfo": marks})
    return buffer.getvalue()


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
