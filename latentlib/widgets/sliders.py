"""Sliders above a picture that is drawn again at each move, and a film to play."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from latentlib.plots import figure_png, to_png
from latentlib.widgets.base import CourseWidget, page, spoken


class PictureSlider(CourseWidget):
    """What ``picture_slider`` gives: values has what the sliders say, picture the PNG, set() moves sliders."""

    _esm = page("sliders")

    def __init__(self, render: Callable[..., Any], alt: str, width: int | None, controls: dict[str, dict[str, Any]]):
        self.render, self.alt, self.controls = render, alt, controls
        self.values = {name: control["start"] for name, control in controls.items()}
        self.picture = self._drawn(self.values)
        super().__init__(controls=[_described(control) for control in controls.values()], width=width)

    def set(self, **values: Any) -> None:
        """Move sliders from Python, by name: ``view.set(share=0.3)``. Raises ValueError for what is not there."""
        if unknown := values.keys() - self.controls.keys():
            raise ValueError(f"there is no slider {sorted(unknown)}; there are: {', '.join(self.controls)}")
        self.take({name: self._position(name, value) for name, value in values.items()}, [])
        self.tell()

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        values = {**self.values, **{name: self._value(name, value) for name, value in values.items()}}
        self.picture = self._drawn(values)
        self.values = values

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        said = ", ".join(f"{name} {spoken(value)}" for name, value in self.values.items())
        positions = {name: self._position(name, value) for name, value in self.values.items()}
        return {"values": positions, "said": f"{self.alt} {said}".strip()}, {"picture": self.picture}

    def still(self) -> bytes:
        return self.picture

    def _drawn(self, values: dict[str, Any]) -> bytes:
        drawn = self.render(**values)
        return drawn if isinstance(drawn, bytes) else figure_png(drawn) if hasattr(drawn, "savefig") else to_png(drawn)

    def _value(self, name: str, position: Any) -> Any:
        """What a position of a slider means."""
        control = self.controls[name]
        if control["kind"] == "list":
            return control["options"][int(position)]
        return bool(position) if control["kind"] == "box" else float(position) if control["digits"] else int(position)

    def _position(self, name: str, value: Any) -> Any:
        control = self.controls[name]
        return control["options"].index(value) if control["kind"] == "list" else value

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"Sliders above a picture: {', '.join(self.controls)}"


class Player(CourseWidget):
    """What ``player`` gives: a film whose frames all lie in the page. frames: their PNG bytes."""

    _esm = page("sliders")

    def __init__(self, frames: list[bytes], interval: int, width: int | None, alt: str):
        self.frames = frames
        frame = _control("frame", list(range(1, len(frames) + 1)))
        super().__init__(controls=[_described(frame)], frames=frames, interval=interval, width=width, alt=alt)

    def still(self) -> bytes:
        return self.frames[-1]

    def __repr__(self) -> str:
        return f"A film of {len(self.frames)} pictures"


def picture_slider(
    render: Callable[..., Any], width: int | None = None, alt: str = "", **controls: Any
) -> PictureSlider:
    """Sliders above a picture that is drawn again at each move; end a cell with it.

    render: called with the sliders' values by name; gives pictures (n, c, h, w) in [0, 1], a figure, or PNG bytes
    width: of the picture on the page in pixels; None takes its own
    controls: name=(low, high), (low, high, start) or (low, high, start, step) for a slider of whole numbers or of
        decimal ones; name=[...] for a slider over a list; name=True or False for a box to tick. For names with
        spaces: ``picture_slider(draw, **{"number 1": (-2.0, 2.0, 0.0)})``

    Errors of the first drawing are raised, later ones are said below the picture, which stays. ``render`` may be
    called while a cell runs: let it draw random numbers from a generator of its own.
    """
    if not controls:
        raise ValueError("picture_slider needs at least one slider, such as number=(-2.0, 2.0, 0.0)")
    return PictureSlider(render, alt, width, {name: _control(name, spec) for name, spec in controls.items()})


def player(frames: Sequence[Any], interval: int = 120, width: int | None = None, alt: str = "") -> Player:
    """A film to play, pause and step through, also without a kernel.

    frames: pictures (c, h, w) in [0, 1] or PNG bytes, drawn beforehand; interval: milliseconds between two;
        width: of the picture on the page in pixels; None takes its own
    """
    if not len(frames):
        raise ValueError("a film needs at least one frame")
    return Player([frame if isinstance(frame, bytes) else to_png(frame) for frame in frames], interval, width, alt)


def _described(control: dict[str, Any]) -> dict[str, Any]:
    """What the page needs to know of a control; its options may be anything."""
    return {key: value for key, value in control.items() if key not in ("options", "start")}


def _control(name: str, spec: Any) -> dict[str, Any]:
    control = {"name": name, "label": name.replace("_", " "), "kind": "range"}
    if isinstance(spec, bool):
        return control | {"kind": "box", "start": spec}
    if isinstance(spec, list) and spec:
        texts = [spoken(option) for option in spec]
        control |= {"kind": "list", "options": spec, "texts": texts, "start": spec[0]}
        return control | {"low": 0, "high": len(spec) - 1, "step": 1}
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
    return control | {"low": low, "high": high, "step": step, "start": start, "digits": 0 if whole else 2}
