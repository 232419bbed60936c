"""What one move of a slider costs in Python: a picture drawn by PIL beside the same one drawn by matplotlib.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_widgets``.

In a row the ratio is peer / value, so that more is better.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.rows import Row

ROUNDS = 40


def run() -> list[Row]:
    """Milliseconds of a slider's callback for a row of ten digits and for one colour picture of 64×64."""
    rows = []
    for name, pictures in (
        ("ten digits", torch.rand(10, 1, 28, 28)),
        ("one 64×64 colour picture", torch.rand(1, 3, 64, 64)),
    ):
        ours, theirs = _callback(pictures), _matplotlib(pictures)
        mine, peer = _interleaved(ours, theirs)
        rows.append(Row(f"slider callback, {name}: ms (peer: matplotlib savefig)", mine, peer, peer / mine))
    return rows


def _callback(pictures: torch.Tensor) -> Callable[[int], None]:
    from latentlib import widgets

    view = widgets.picture_slider(lambda level: pictures * (level / ROUNDS), "Noise", level=(0, ROUNDS))
    slider = view.controls["level"]

    def move(level: int) -> None:
        slider.value = level + 1  # the observer draws and replaces the bytes

    return move


def _matplotlib(pictures: torch.Tensor) -> Callable[[int], bytes]:
    from matplotlib.figure import Figure

    def draw(level: int) -> bytes:
        side_by_side = torch.cat(list(pictures * (level / ROUNDS)), dim=2)  # (c, h, n w): one picture to draw
        fig = Figure(figsize=(9, 1) if len(pictures) > 1 else (2, 2))
        ax = fig.subplots()
        ax.imshow(side_by_side.permute(1, 2, 0).squeeze().numpy(), cmap="gray", vmin=0, vmax=1)
        ax.axis("off")
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png")
        return buffer.getvalue()

    return draw


def _interleaved(*functions: Callable[[int], object]) -> list[float]:
    """The median milliseconds of each, taken turn by turn, so that a busy moment hits all of them."""
    for function in functions:
        function(0)
    times: list[list[float]] = [[] for _ in functions]
    for i in range(1, ROUNDS):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function(i)
            taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.2f} {row.peer:8.2f} {row.ratio:6.1f}×")
