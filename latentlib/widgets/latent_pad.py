"""A pad to draw on: the picture's code moves on the map, the decoder draws again; or move the code, and watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from latentlib.plots.images import checked_alt
from latentlib.plots.style import LABEL_COLOURS
from latentlib.widgets.words import error_line, spoken

MOST_POINTS = 2000  # on the map


class LatentPad(anywidget.AnyWidget):
    """Three things side by side: a picture to draw, its code as a point on a map and as sliders, and what the decoder
    makes of the code. Draw with mouse, finger or keys, and the code follows; drag the point or a slider, and the
    decoder's picture follows.

    samples: (n, 1, h, w) in [0, 1], grey, pictures to begin with; the first one is shown, a button takes the next
    encode: (1, 1, h, w) -> (1, d); decode: (1, d) -> (1, 1, h, w), both on the device of the samples
    labels: (n,) whole numbers, one colour for each class; alt: what the pad shows, a sentence
    d may be 1 to 6; the map shows the first two numbers. Pads of up to 8×8 pixels are toggled, larger ones drawn on.
    """

    _esm = Path(__file__).with_name("latent_pad.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("latent_pad.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)  # h, w
    samples = traitlets.Bytes().tag(sync=True)  # (n, h, w) of bytes: 0 paper, 255 ink
    points = traitlets.Bytes().tag(sync=True)  # the first two numbers of each code, float32
    classes = traitlets.Bytes().tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    low = traitlets.List(traitlets.Float()).tag(sync=True)  # (d,) the ends of the sliders and of the map
    high = traitlets.List(traitlets.Float()).tag(sync=True)
    code = traitlets.List(traitlets.Float()).tag(sync=True)  # (d,) where the code is now
    drawn = traitlets.Bytes().tag(sync=True)  # (h, w) what the decoder draws

    def __init__(
        self,
        samples: Tensor,
        encode: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], Tensor],
        alt: str,
        labels: Tensor | None = None,
    ):
        if samples.dim() != 4 or samples.shape[1] != 1 or not len(samples):
            raise ValueError(f"samples must be grey pictures (n, 1, h, w), got {tuple(samples.shape)}")
        if labels is not None and labels.shape != samples.shape[:1]:
            raise ValueError(f"labels must be ({len(samples)},), one for each picture; got {tuple(labels.shape)}")
        self.encode, self.decode, self.device = encode, decode, samples.device
        samples = samples.detach()[:MOST_POINTS]
        with torch.no_grad():
            codes = encode(samples).detach().cpu().float()  # (n, d)
        if codes.dim() != 2 or not 1 <= codes.shape[1] <= 6:
            raise ValueError(f"encode must give codes (n, d) with d from 1 to 6, got {tuple(codes.shape)}")
        low, high = codes.amin(0), codes.amax(0)
        room = ((high - low) * 0.05).clamp(min=1e-3)
        flat = torch.cat([codes, torch.zeros(len(codes), 1)], dim=1)[:, :2]  # a code of one number lies on a line
        classes = torch.zeros(len(codes)) if labels is None else labels[:MOST_POINTS].cpu()
        super().__init__(
            alt=checked_alt(alt),
            size=list(samples.shape[2:]),
            samples=_bytes(samples[:64]),
            points=flat.numpy().astype("<f4").tobytes(),
            classes=classes.numpy().astype(np.uint8).tobytes(),
            colours=LABEL_COLOURS,
            low=(low - room).tolist(),
            high=(high + room).tolist(),
        )
        self.draw(samples[0])  # errors of the first picture are raised, later ones are said below the pad
        self.on_msg(self._answer)

    def draw(self, picture: Tensor) -> None:
        """Show a picture (1, h, w) on the pad's map, as drawing it does: its code, and what the decoder makes of it."""
        with torch.no_grad():
            self.move(self.encode(picture[None].to(self.device).float())[0].tolist())

    def move(self, code: Sequence[float]) -> None:
        """Move the code (d,), as dragging the point does, and let the decoder draw."""
        with torch.no_grad():
            place = torch.tensor([list(code)], dtype=torch.float32, device=self.device)
            drawn = _bytes(self.decode(place))
        with self.hold_sync():
            self.code, self.drawn = [float(number) for number in code], drawn

    def _answer(self, _: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        failed = ""
        try:
            if content["kind"] == "picture":
                pixels = np.frombuffer(bytes(buffers[0]), np.uint8).copy()
                self.draw(torch.from_numpy(pixels).view(1, *self.size).float() / 255)
            else:
                self.move(content["code"])
        except Exception as error:  # the networks may raise anything, and a callback's errors show nowhere
            failed = f"That did not work. {error_line(error)}."
        said = failed or "code " + ", ".join(spoken(number) for number in self.code)
        answer = {"number": content.get("number", 0), "code": self.code, "said": said, "failed": bool(failed)}
        self.send(answer, [self.drawn])

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"A pad to draw on: {self.alt}"


def _bytes(pictures: Tensor) -> bytes:
    return (pictures.detach().clamp(0, 1) * 255).round().byte().cpu().contiguous().numpy().tobytes()
