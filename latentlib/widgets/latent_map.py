"""A map of codes to point at: the picture that belongs to a place appears beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from latentlib.plots.images import checked_alt, to_png
from latentlib.plots.style import LABEL_COLOURS
from latentlib.widgets.words import error_line, spoken

MOST_POINTS = 4000  # on the map; more only cover each other


class LatentMap(anywidget.AnyWidget):
    """A map of 2-D codes: point at it, and the picture that belongs to the place appears beside it at once.

    Mouse, finger, or the arrow keys once the map has the focus (with Shift in longer steps, Home to the middle).

    codes: (n, 2), the points of the map; of very many an even selection is shown
    decode: a place (1, 2), on the device of the codes -> its picture (1, c, h, w) in [0, 1]
    labels: (n,) whole numbers, one colour for each class; names: the name of each class, else its number
    links: a place (1, 2) -> places (k, 2); a line is drawn from the first of them to each other one, such as from the
        nearest point to the points that are its neighbours elsewhere
    alt: what the map shows, a sentence
    """

    _esm = Path(__file__).with_name("latent_map.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("latent_map.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)
    points = traitlets.Bytes().tag(sync=True)  # x and y of each point as uint16: 0 at the low end of the extent
    classes = traitlets.Bytes().tag(sync=True)  # one byte for each point
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    extent = traitlets.List(traitlets.Float()).tag(sync=True)  # x low, x high, y low, y high
    cursor = traitlets.List(traitlets.Float()).tag(sync=True)  # x, y in the codes' own units
    joined = traitlets.List(traitlets.Float()).tag(sync=True)  # x, y, x, y ... of the places joined by lines
    picture = traitlets.Bytes().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool(False).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    asked = traitlets.List([0.0, 0.0, 0]).tag(sync=True, echo_update=False)  # x, y, number of the question, attempt

    def __init__(
        self,
        codes: Tensor,
        decode: Callable[[Tensor], Tensor],
        alt: str,
        labels: Tensor | None = None,
        names: Sequence[str] | None = None,
        links: Callable[[Tensor], Tensor] | None = None,
    ):
        if codes.dim() != 2 or codes.shape[1] != 2 or not len(codes):
            raise ValueError(
                f"codes must be (n, 2) to make a map, got {tuple(codes.shape)}; project them to 2 numbers first"
            )
        if labels is not None and labels.shape != codes.shape[:1]:
            raise ValueError(f"labels must be ({len(codes)},), one for each code; got {tuple(labels.shape)}")
        keep = torch.linspace(0, len(codes) - 1, min(len(codes), MOST_POINTS)).round().long()
        self.codes, self.decode, self.links = codes.detach()[keep.to(codes.device)], decode, links
        classes = None if labels is None else labels.detach().cpu().long()[keep]
        if classes is not None and names is None:
            names = [str(k) for k in range(int(classes.max()) + 1)]
        if classes is not None and not 0 <= int(classes.min()) <= int(classes.max()) < len(names):
            raise ValueError(f"labels run from {classes.min()} to {classes.max()}, but there are {len(names)} names")
        self._classes = classes
        low, high = self.codes.amin(0).cpu().double(), self.codes.amax(0).cpu().double()
        room = ((high - low) * 0.05).clamp(min=1e-6)
        low, high = low - room, high + room
        placed = ((self.codes.cpu().double() - low) / (high - low) * 65535).round()
        middle = ((low + high) / 2).tolist()
        super().__init__(
            alt=checked_alt(alt),
            points=placed.numpy().astype("<u2").tobytes(),
            classes=b"" if classes is None else classes.numpy().astype(np.uint8).tobytes(),
            names=[] if classes is None else [str(name) for name in names],
            colours=LABEL_COLOURS,
            extent=[low[0].item(), high[0].item(), low[1].item(), high[1].item()],
            cursor=middle,
        )
        self._point(*middle)  # errors of the first picture are raised, later ones are said beside the map
        self._last: list[float] = []  # the question answered last
        self.observe(self._answer, names="asked")

    def point(self, x: float, y: float) -> None:
        """Move the map's cursor to a place and show its picture, as the mouse does."""
        x, y = float(x), float(y)
        with self.hold_sync():
            self.cursor = [x, y]
            self._point(x, y)

    def _answer(self, change: Any) -> None:
        x, y, number = question = change["new"][:3]
        if question == self._last:  # asked once more by a page whose patience ended while this was drawn
            return
        self._last = question
        with self.hold_sync():
            self.cursor = [x, y]
            try:
                self._point(x, y)
            except Exception as error:  # a decoder may raise anything, and a callback's errors show nowhere
                self.failed, self.status = True, f"This place could not be decoded. {error_line(error)}"
            self.answered = int(number)

    def _point(self, x: float, y: float) -> None:
        place = torch.tensor([[x, y]], dtype=self.codes.dtype, device=self.codes.device)
        with torch.no_grad():
            self.picture = to_png(self.decode(place), scale=1)
            self.joined = [] if self.links is None else self.links(place).flatten().tolist()
        text = f"x {spoken(x)}, y {spoken(y)}"
        if self._classes is not None:
            nearest = int((self.codes - place).square().sum(1).argmin())
            text += f", nearest: {self.names[int(self._classes[nearest])]}"
        self.failed, self.status = False, text

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"A map to point at: {self.alt}"
