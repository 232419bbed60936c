"""A map of codes to point at, and to draw on: a drawing's code moves on the map, and the decoder draws it again."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlib.claims import spoken
from latentlib.plots import LABEL_COLOURS, draw_codes, figure, figure_png, to_png, to_uint8
from latentlib.widgets.base import CourseWidget, page

SIDE = 224  # pixels of the decoded picture


class LatentMap(CourseWidget):
    """A map of codes: point at it, and the decoder draws what belongs to the place.

    codes: (n, d), d 2 or more; the map shows the first two numbers, sliders move all when there are more
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
        if codes.dim() != 2 or codes.shape[1] < 2 or labels.shape != codes.shape[:1]:
            got = f"{tuple(codes.shape)} and {tuple(labels.shape)}"
            raise ValueError(f"codes must be (n, 2) or with more numbers, labels (n,); got {got}")
        self.codes, self.decode, self.encode = codes.detach(), decode, encode
        self.classes = labels.detach().cpu().long()
        self.names = [str(name) for name in names or range(int(self.classes.max()) + 1)]
        places = self.codes.cpu().double()  # Apple's GPUs know no double precision
        low, high = places.aminmax(dim=0)
        room = ((high - low) * 0.05).clamp(min=1e-6)
        self.low, self.high = low - room, high + room
        self.shares = (places - self.low) / (self.high - self.low)  # 0 to 1 on the map
        pad, there = {}, self.classes.unique().tolist()
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
            # Where the names stand: class, and the median of its codes as shares of the map.
            middles=[(k, *self.shares[self.classes == k][:, :2].median(0).values.tolist()) for k in there],
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
        fig, (chart, side) = figure(6.4, 3.9, 1, 2, width_ratios=(3, 2))
        draw_codes(chart, self.codes[:, :2], self.classes, "", self.names)
        chart.plot(*self.code[:2], "o", markersize=14, markeredgewidth=3, markeredgecolor="black", fillstyle="none")
        side.imshow(to_uint8(self.drawn)[0])
        side.set_title(self.said, fontsize=10, weight="normal")
        side.axis("off")
        return figure_png(fig)

    def _code_of(self, picture: Tensor) -> list[float]:
        return self.encode(picture.to(self.codes.device).float())[0].tolist()

    def _move(self, code: Sequence[float]) -> None:
        place = torch.tensor([list(code)], dtype=self.codes.dtype, device=self.codes.device)
        drawn = self.decode(place)
        nearest = int((self.codes - place).square().sum(1).argmin())
        said = f"x {spoken(code[0])}, y {spoken(code[1])}" if len(code) == 2 else ", ".join(map(spoken, code))
        self.said = f"{said}, nearest: {self.names[int(self.classes[nearest])]}"
        self.code, self.drawn = [float(number) for number in code], drawn

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A map of codes to point at" + ("" if self.encode is None else ", and a pad to draw on")
