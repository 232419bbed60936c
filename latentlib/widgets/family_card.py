"""The family card: two parents, four children, and what they are not, as one PNG to keep."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from latentlib.plots.images import text_font, to_uint8

CARD_SENTENCE = "A weighted blend, not a prediction of a real child."
TITLE = "A family in latent space"
WIDTH, MARGIN, GAP = 720, 32, 16  # pixels
PARENT, CHILD = 200, 152  # pixels: sides of the pictures


def family_card(parents: Tensor, children: Tensor, names: Sequence[str], lineage: str = "") -> bytes:
    """The card as PNG bytes, with ``card_alt(names)`` inside as its description.

    parents: (2, 3, h, w) in [0, 1]; children: (4, 3, h, w) in [0, 1], or fewer; names: of the two parents
    lineage: a line above the last sentence; of a long one the end is shown, and the description has it all
    Raises ValueError for another number of pictures or names.
    """
    if len(parents) != 2 or len(names) != 2 or not 1 <= len(children) <= 4:
        raise ValueError(
            f"a card has 2 parents, 2 names and 1 to 4 children; "
            f"got {len(parents)} parents, {len(names)} names, {len(children)} children"
        )
    height = 60 + PARENT + 34 + GAP + CHILD + 34 + 50 + (26 if lineage else 0)
    sheet = Image.new("RGB", (WIDTH, height), "white")
    pen = ImageDraw.Draw(sheet)
    middle = WIDTH / 2

    def text(words: str, x: float, y: float, room: float, size: int) -> None:
        words = " ".join(words.split())
        font = next((text_font(k) for k in range(size, 10, -1) if text_font(k).getlength(words) <= room), text_font(10))
        while font.getlength(words) > room and len(words) > 1:
            words = words[:-2].rstrip() + "…"
        pen.text((x, y), words, fill="black", font=font, anchor="ma")

    def place(pictures: Tensor, captions: Sequence[str], side: int, top: int, gap: int) -> None:
        left = (WIDTH - len(captions) * (side + gap) + gap) // 2
        for pixels, caption in zip(to_uint8(pictures), captions, strict=True):
            sheet.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS), (left, top))
            pen.rectangle((left, top, left + side - 1, top + side - 1), outline="#888888")
            text(caption, left + side / 2, top + side + 6, side + gap, 16)
            left += side + gap

    text(TITLE, middle, 18, WIDTH - 2 * MARGIN, 22)
    top = 60
    place(parents, names, PARENT, top, 80)
    top += PARENT + 34 + GAP
    place(children, [f"child {k + 1}" for k in range(len(children))], CHILD, top, GAP)
    if lineage:
        text(lineage if len(lineage) <= 90 else f"… {lineage[-86:]}", middle, top + CHILD + 38, WIDTH - 2 * MARGIN, 16)
    text(CARD_SENTENCE, middle, height - 44, WIDTH - 2 * MARGIN, 18)

    described = PngInfo()
    described.add_itxt("Description", f"{card_alt(names, len(children))} {lineage}".strip())
    buffer = io.BytesIO()
    sheet.save(buffer, format="png", optimize=True, pnginfo=described)
    return buffer.getvalue()


def card_alt(names: Sequence[str], children: int = 4) -> str:
    """What a card shows, as alt text."""
    count = {1: "one child", 2: "two children", 3: "three children", 4: "four children"}[children]
    return f"Family card: {names[0]} and {names[1]}, below them {count} of theirs. {CARD_SENTENCE}"


def save_card(png: bytes, path: str | Path) -> Path:
    """Write a card and give its path; a file that is there stays, and the card gets a number: family_card-2.png.

    Raises OSError when the folder cannot be written to or the disk is full; then nothing is left behind.
    """
    path = Path(path)
    number = 1
    while True:
        candidate = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            file = candidate.open("xb")
        except FileExistsError:
            number += 1
            continue
        try:
            with file:
                file.write(png)
        except OSError:
            candidate.unlink(missing_ok=True)
            raise
        return candidate
