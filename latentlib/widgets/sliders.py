"""Sliders above a picture that is drawn again at each move, and a film to play.

A saved notebook does not keep a widget, so set a static picture beside each: ``plots.film_strip`` or
``plots.show_images`` for sliders and films, ``plots.decoded_map`` for the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor

from latentlib.plots.images import checked_alt, to_png
from latentlib.widgets.words import error_line, spoken


class Caption(anywidget.AnyWidget):
    """Says a picture and its sliders to a screen reader, and shows why a drawing failed."""

    _esm = Path(__file__).with_name("caption.js").read_text(encoding="utf-8")

    text = traitlets.Unicode().tag(sync=True)  # becomes the picture's alt text
    failed = traitlets.Unicode().tag(sync=True)  # a sentence, or nothing


class PictureSlider(ipywidgets.VBox):
    """Controls above one picture, which is what ``picture_slider`` gives.

    controls: name -> ipywidgets control; image: the ``ipywidgets.Image``; caption: its alt text, and what went wrong
    """

    def __init__(self, render: Callable[..., Tensor | bytes], alt: str, controls: dict[str, Any], width: int | None):
        self.render, self.alt, self.controls = render, checked_alt(alt), controls
        self.image = ipywidgets.Image(value=self._png(), format="png")
        self.image.layout.width = f"{width or _png_width(self.image.value)}px"
        self.image.layout.height = "auto"
        self.image.layout.max_width = "100%"
        self.caption = Caption()
        self._say()
        for name, control in controls.items():
            if control.has_trait("tooltip") and control.tooltip is None:
                control.tooltip = name  # else ipywidgets 8 shows "null"
            control.observe(self.redraw, names="value")
        super().__init__([*controls.values(), self.image, self.caption])
        self.layout.align_items = "flex-start"  # else the picture is stretched to the page's width

    def values(self) -> dict[str, Any]:
        """What the controls say now: name -> value."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, _: Any = None) -> None:
        """Draw the picture again; an error becomes one sentence below the picture, which stays as it was."""
        try:
            self.image.value = self._png()
        # The learner's own function may raise anything, and an error in a callback shows nowhere else.
        except Exception as error:
            self._say(error)
        else:
            self._say()

    def _png(self) -> bytes:
        with torch.no_grad():
            drawn = self.render(**self.values())
        return drawn if isinstance(drawn, bytes) else to_png(drawn)

    def _say(self, error: Exception | None = None) -> None:
        said = ", ".join(f"{name} {spoken(value)}" for name, value in self.values().items())
        with self.caption.hold_sync():
            self.caption.text = f"{self.alt}: {said}"
            self.caption.failed = "" if error is None else f"The picture could not be drawn. {error_line(error)}"

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"Sliders ({', '.join(self.controls)}) above a picture: {self.alt}"


def picture_slider(
    render: Callable[..., Tensor | bytes], alt: str, width: int | None = None, **controls: Any
) -> PictureSlider:
    """Sliders above a picture that is drawn again at each move, by replacing its PNG bytes: nothing flickers.

    render: called with the sliders' values by name; gives pictures (n, c, h, w) in [0, 1], or PNG bytes
    alt: what the picture shows, a sentence
    width: of the picture in pixels; None takes its own
    controls: name=(low, high), (low, high, start) or (low, high, start, step) for a slider of whole numbers or of
        decimal ones; name=[...] for a slider over a list; name=True or False for a box to tick; or any ipywidgets
        control. For names with spaces: ``picture_slider(draw, "...", **{"number 1": (-2.0, 2.0, 0.0)})``

    End a cell with it, and set a static picture beside it, since a saved notebook does not keep it.
    Errors of the first drawing are raised, later ones are said below the picture.
    """
    if not controls:
        raise ValueError("picture_slider needs at least one slider, such as number=(-2.0, 2.0, 0.0)")
    return PictureSlider(render, alt, {name: _control(name, spec) for name, spec in controls.items()}, width)


def player(frames: Sequence[Tensor | bytes], alt: str, interval: int = 120) -> PictureSlider:
    """A film to play, pause and step through: frames (c, h, w) each or PNG bytes, drawn beforehand.

    interval: milliseconds between two frames
    """
    if not len(frames):
        raise ValueError("a film needs at least one frame")
    pngs = [frame if isinstance(frame, bytes) else to_png(frame) for frame in frames]
    last = len(pngs) - 1
    film = picture_slider(lambda frame: pngs[frame], alt, frame=(0, last, 0))
    play = ipywidgets.Play(min=0, max=last, value=0, interval=interval)
    film.play = play
    ipywidgets.jslink((play, "value"), (film.controls["frame"], "value"))
    film.children = (play, *film.children)
    return film


def _control(name: str, spec: Any) -> Any:
    if isinstance(spec, ipywidgets.Widget) and spec.has_trait("value"):
        return spec
    shared = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    wide = ipywidgets.Layout(width="420px", max_width="100%")
    if isinstance(spec, bool):
        return ipywidgets.Checkbox(value=spec, indent=False, description=shared["description"])
    if isinstance(spec, list) and spec:
        return ipywidgets.SelectionSlider(options=spec, value=spec[0], layout=wide, **shared)
    if not isinstance(spec, tuple) or not 2 <= len(spec) <= 4 or not spec[0] <= spec[1]:
        raise ValueError(
            f'slider "{name}" must be (low, high), (low, high, start) or (low, high, start, step), got {spec}'
        )
    low, high, start, step = (*spec, *(None,) * (4 - len(spec)))
    whole = all(isinstance(number, int) for number in spec)
    start = (low if whole else (low + high) / 2) if start is None else start
    step = (1 if whole else (high - low) / 100 or 1.0) if step is None else step
    if not low <= start <= high:
        raise ValueError(f'slider "{name}" starts at {start}, outside {low} to {high}')
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(value=start, min=low, max=high, step=step, layout=wide, **shared)


def _png_width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")  # where every PNG says it
