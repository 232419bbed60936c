"""Sliders above a picture that is drawn again at each move, and a film to play."""

from collections.abc import Callable, Sequence
from typing import Any

from latentlib.claims import spoken
from latentlib.plots import to_png
from latentlib.widgets.base import CourseWidget, page


class PictureSlider(CourseWidget):
    """Sliders above a picture that is drawn again at each move; end a cell with it.

    render: called with the sliders' values by name; gives pictures (n, c, h, w) in [0, 1] or PNG bytes
    width: of the picture on the page in pixels; None takes its own
    controls: name=(low, high) or (low, high, start) for a slider of whole numbers or of decimal ones; name=[...] for a
        slider over a list. For names with spaces: ``picture_slider(draw, **{"number 1": (-2.0, 2.0, 0.0)})``

    Errors of the first drawing are raised, later ones are said below the picture, which stays. ``render`` may be
    called while a cell runs: let it draw random numbers from a generator of its own.

    values: what the sliders say; picture: PNG bytes
    """

    _esm = page("sliders")

    def __init__(self, render: Callable[..., Any], width: int | None = None, **controls: Any):
        self.render, self.width, self.specs = render, width, controls
        self.controls = {name: _described(name, spec) for name, spec in controls.items()}
        self.positions = {}
        self.take({name: control["start"] for name, control in self.controls.items()}, [])
        super().__init__(controls=list(self.controls.values()), width=width)

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        positions = {**self.positions, **values}
        meant = {}
        for name, spec in self.specs.items():
            number = (float if self.controls[name]["digits"] else int)(positions[name])
            meant[name] = spec[number] if isinstance(spec, list) else number
        drawn = self.render(**meant)
        if not isinstance(drawn, bytes):  # a single picture is drawn as wide as it is shown
            drawn = to_png(drawn, self.width if drawn.shape[:-3].numel() == 1 else None)
        self.positions, self.values, self.picture = positions, meant, drawn

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        said = ", ".join(f"{name} {spoken(value)}" for name, value in self.values.items())
        return {"values": self.positions, "said": said}, {"picture": self.picture}

    def still(self) -> bytes:
        return self.picture

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"Sliders above a picture: {', '.join(self.specs)}"


class Player(CourseWidget):
    """A film to play, pause and step through, also without a kernel.

    frames: PNG bytes, as ``plots.to_png`` draws them; interval: milliseconds between two
    """

    _esm = page("sliders")

    def __init__(self, frames: Sequence[bytes], interval: int = 120):
        self.frames = list(frames)
        steps = _described("frame", list(range(1, len(frames) + 1)))
        super().__init__(controls=[steps], frames=self.frames, interval=interval)

    def still(self) -> bytes:
        return self.frames[-1]

    def __repr__(self) -> str:
        return f"A film of {len(self.frames)} pictures"


def _described(name: str, spec: list | tuple) -> dict[str, Any]:
    """What the page needs to know of a slider."""
    control = {"name": name, "label": name.replace("_", " ")}
    if isinstance(spec, list) and spec:
        control["texts"], spec = [spoken(option) for option in spec], (0, len(spec) - 1)
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or not spec[0] <= spec[-1] <= spec[1]:
        raise ValueError(f'slider "{name}" must be [...], (low, high) or (low, high, start between them), got {spec}')
    whole = all(isinstance(number, int) for number in spec)
    low, high = spec[:2]
    start = spec[2] if len(spec) == 3 else low if whole else (low + high) / 2
    step = 1 if whole else (high - low) / 100 or 1.0
    return {**control, "low": low, "high": high, "step": step, "start": start, "digits": 0 if whole else 2}
