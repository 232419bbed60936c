"""A map of codes to point at, and to draw on: a drawing's code moves on the map, and the decoder draws it again."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from latentlib.plots.images import png_of, text_font, to_png, to_uint8
from latentlib.plots.style import LABEL_COLOURS
from latentlib.widgets.base import CourseWidget, page, spoken

MOST_NUMBERS = 6  # of a code; beyond two they are sliders
SIDE = 224  # pixels of the decoded picture
STILL = 360  # pixels of the map in the still picture


class LatentMap(CourseWidget):
    """A map of codes: point at it, and the decoder draws what belongs to the place.

    codes: (n, d) with d from 2 to 6; the map shows the first two numbers, sliders move all when there are more
    decode: (1, d), on the device of the codes -> a picture (1, 1 or 3, h, w) in [0, 1]
    labels: (n,) whole numbers, a colour for each class; names: of the classes, else their numbers
    encode: a grey picture (1, 1, h, w) -> its code (1, d); with it there is a pad to draw on
    pictures: (n, 1, h, w), what the pad begins with and a button takes next; None: an empty one

    code, said: where the cursor is, and in words. Errors of the first picture are raised, later ones are said.
    """

    _esm = page("latent_map")

    def __init__(
        self,
        codes: Tensor,
        decode: Callable[[Tensor], Tensor],
        labels: Tensor,
        names: Sequence[str] | None = None,
        encode: Callable[[Tensor], Tensor] | None = None,
        pictures: Tensor | None = None,
        alt: str = "",
    ):
        if codes.dim() != 2 or not 2 <= codes.shape[1] <= MOST_NUMBERS or not len(codes):
            shape = tuple(codes.shape)
            raise ValueError(f"codes must be (n, d) with d from 2 to {MOST_NUMBERS}, got {shape}; project them")
        self.codes, self.decode, self.encode = codes.detach(), decode, encode
        self.classes = labels.detach().cpu().long()
        classes = self.classes.flatten().tolist() or [0]
        self.names = [str(name) for name in names or range(max(classes) + 1)]
        if labels.shape != codes.shape[:1] or not 0 <= min(classes) <= max(classes) < len(self.names):
            got = f"{tuple(labels.shape)} from {min(classes)} to {max(classes)}"
            raise ValueError(f"labels must be ({len(codes)},), below the number of names, {len(self.names)}; got {got}")
        low, high = self.codes.double().aminmax(dim=0)
        room = ((high - low) * 0.05).clamp(min=1e-6)
        self.low, self.high = low - room, high + room
        self.shares = ((self.codes.double() - self.low) / (self.high - self.low)).cpu()  # 0 to 1 on the map
        pad = {}
        with torch.no_grad():
            self._move(((self.low + self.high) / 2).tolist())
            if encode is not None:
                samples = torch.zeros_like(self.drawn[:, :1]) if pictures is None else pictures[:200].detach()
                self._move(self._code_of(samples[:1]))
                inks = (samples.clamp(0, 1) * 255).round().byte().cpu().numpy().tobytes()
                pad = {"size": list(samples.shape[-2:]), "samples": inks}
        super().__init__(
            alt=alt,
            points=(self.shares[:, :2] * 65535).round().numpy().astype("<u2").tobytes(),
            classes=self.classes.numpy().astype(np.uint8).tobytes(),
            names=self.names,
            colours=LABEL_COLOURS,
            low=self.low.tolist(),
            high=self.high.tolist(),
            middles=self._middles(),
            **pad,
        )

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        if "drawing" in values:
            pixels = torch.from_numpy(np.frombuffer(bytes(buffers[0]), np.uint8).copy())
            self._move(self._code_of(pixels.view(1, 1, *self.start["size"]).float() / 255))
        else:
            self._move(values["code"])

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {"code": self.code, "said": self.said}, {"drawn": to_png(self.drawn, SIDE)}

    def still(self) -> bytes:
        """The map with its cursor, and the picture beside it."""
        drawn = Image.fromarray(to_uint8(self.drawn)[0])
        drawn = drawn.resize((SIDE, round(SIDE * drawn.height / drawn.width)), Image.Resampling.NEAREST)
        sheet = Image.new("RGB", (STILL + 20 + SIDE, STILL), "white")
        pen = ImageDraw.Draw(sheet)
        for (x, y), k in zip(self.shares[:, :2].tolist(), self.classes.tolist(), strict=True):
            x, y = x * STILL, (1 - y) * STILL
            pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=LABEL_COLOURS[k % len(LABEL_COLOURS)])
        for k, x, y in self._middles():
            place, colour = (x * STILL, (1 - y) * STILL), LABEL_COLOURS[k % len(LABEL_COLOURS)]
            pen.text(place, self.names[k], colour, text_font(16), "mm", stroke_width=3, stroke_fill="white")
        x, y = ((torch.tensor(self.code).double() - self.low.cpu()) / (self.high - self.low).cpu()).tolist()[:2]
        x, y = x * STILL, (1 - y) * STILL
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline="black", width=3)
        pen.rectangle((0, 0, STILL - 1, STILL - 1), outline="#888888")
        sheet.paste(drawn, (STILL + 20, 0))
        pen.text((STILL + 20, drawn.height + 8), self.said, "black", text_font(13))
        return png_of(sheet)

    def _code_of(self, picture: Tensor) -> list[float]:
        return self.encode(picture.to(self.codes.device).float())[0].tolist()

    def _move(self, code: Sequence[float]) -> None:
        place = torch.tensor([list(code)], dtype=self.codes.dtype, device=self.codes.device)
        drawn = self.decode(place)
        nearest = int((self.codes - place).square().sum(1).argmin())
        said = f"x {spoken(code[0])}, y {spoken(code[1])}" if len(code) == 2 else ", ".join(map(spoken, code))
        self.said = f"{said}, nearest: {self.names[int(self.classes[nearest])]}"
        self.code, self.drawn = [float(number) for number in code], drawn

    def _middles(self) -> list[tuple[int, float, float]]:
        """Where the names stand: class, and the median of its codes as shares of the map."""
        there = self.classes.unique().tolist()
        return [(k, *self.shares[self.classes == k][:, :2].median(0).values.tolist()) for k in there]

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A map of codes to point at" + ("" if self.encode is None else ", and a pad to draw on")
