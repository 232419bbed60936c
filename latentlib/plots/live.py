"""A loss curve that is drawn while a model learns."""

from __future__ import annotations

import io
import time
from typing import Any

from latentlib.plots.images import checked_alt, png_bundle
from latentlib.plots.style import colour, styled


class LiveCurve:
    """A curve of the loss that grows while ``fit`` runs: ``fit(model, images, on_epoch=LiveCurve(alt="..."))``.

    While the cell runs, one image widget gets new bytes, so that nothing flickers or jumps. When the cell ends, also
    by an interrupt, the same output becomes one ordinary picture with alt text, which is what the notebook saves.

    alt: what the curve shows, a sentence without measured numbers
    title: stands above the curve
    log: logarithmic loss axis
    every: least seconds between two drawings; drawing takes at most about a seventh of the time
    xlabel: what one number of the history stands for
    """

    def __init__(self, alt: str, title: str = "", log: bool = False, every: float = 0.25, xlabel: str = "epoch"):
        self.alt = checked_alt(alt)
        self.title, self.log, self.every, self.xlabel = title, log, every, xlabel
        self.png: bytes = b""  # what was drawn last
        self._losses: tuple[list[float], list[float]] = ([], [])
        self._next, self._handle, self._widget = 0.0, None, None

    def __call__(self, epoch: int, history: Any, model: Any = None) -> None:
        """Take in the history after an epoch; draw when the last drawing is long enough ago."""
        self._losses = (
            [float(loss) for loss in history.train_loss],
            [float(loss) for loss in history.validation_loss or ()],
        )
        now = time.perf_counter()
        if now < self._next:
            return
        self._draw()
        if self._handle is None:
            self._open()  # takes long the first time, which says nothing about the next drawings
            self._next = time.perf_counter() + self.every
            return
        self._widget.value = self.png
        done = time.perf_counter()
        self._next = done + max(self.every, 6 * (done - now))

    def finish(self, *_: Any) -> None:
        """Leave the static picture; called by itself when the cell ends."""
        if self._handle is None:
            return
        self._draw()
        data, metadata = png_bundle(self.png, self.alt)
        self._handle.update(data, metadata=metadata, raw=True)
        self._widget.close()
        _shell().events.unregister("post_run_cell", self.finish)
        self._handle = self._widget = None

    def _open(self) -> None:
        if _shell() is None:  # a plain script has no page to draw on
            return
        import ipywidgets
        from IPython.display import DisplayHandle

        self._widget = ipywidgets.Image(value=self.png, format="png", layout={"display": "block"})
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        self._handle = DisplayHandle()
        self._handle.display(
            {"application/vnd.jupyter.widget-view+json": view, "text/plain": self.alt}, metadata={}, raw=True
        )
        _shell().events.register("post_run_cell", self.finish)

    @styled()
    def _draw(self) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.5, 3.2), layout="none")  # a layout that is computed would double the time
        ax = figure.add_axes((0.11, 0.16, 0.87, 0.72))
        for losses, name in zip(self._losses, ("training", "validation"), strict=True):
            if losses:
                marker = "o" if len(losses) < 3 else None
                ax.plot(range(1, len(losses) + 1), losses, color=colour(name), label=name, marker=marker)
        if self.log:
            ax.set_yscale("log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel=self.xlabel, ylabel="loss")
        ax.set_title(self.title)
        ax.legend()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        self.png = buffer.getvalue()


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()
