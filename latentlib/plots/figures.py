"""Plots with alt text, all in one style. Every matplotlib figure of the course leaves through ``show``."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from latentlib.plots.images import checked_alt, publish, with_palette
from latentlib.plots.style import LABEL_COLOURS, PALETTE, THINGS, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 9.0  # inches; the most that a laptop shows without scrolling
MOST_TURNED = 1000  # points in a plot to turn: it is saved in the notebook
PLOTLY = {"displayModeBar": False}  # its buttons would cover the title, and one of them uploads the plot


@styled()
def figure(
    width: float = 7.0, height: float = 4.0, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure of ``width`` × ``height`` inches and its axes, like ``plt.subplots``; hand it to ``show``.

    options: passed to ``Figure.subplots`` (sharex, width_ratios, subplot_kw ...).
    """
    from matplotlib.figure import Figure

    if width > WIDEST:
        raise ValueError(f"a figure {width} inches wide does not fit a laptop; keep width at most {WIDEST}")
    made = Figure(figsize=(width, height))
    return made, made.subplots(rows, columns, **options)


@styled()
def figure_png(fig: Figure) -> bytes:
    """A matplotlib figure as PNG bytes, such as ``widgets.picture_slider`` takes from the function that draws."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return with_palette(Image.open(buffer))


@styled()
def show(fig: Figure, alt: str) -> None:
    """Publish a matplotlib figure as one PNG that carries its alt text, and close the figure.

    alt: a sentence or two that says what the figure shows, for who cannot see it; without measured numbers,
        since it is also the output's plain text, which must be the same on every machine.
    Raises ValueError when ``alt`` is empty.
    """
    alt = checked_alt(alt)
    publish(figure_png(fig), alt)
    if "matplotlib.pyplot" in sys.modules:  # a figure made by pyplot would else be shown a second time
        sys.modules["matplotlib.pyplot"].close(fig)


@styled()
def draw_codes(ax: Axes, codes: Tensor, labels: Tensor, title: str | None = None) -> None:
    """Draw 2-D codes into ``ax``: one colour for each class, and its number at the class's middle.

    codes: (n, 2); labels: (n,) whole numbers
    """
    points, classes = _points(codes, labels, 2)
    size = min(max(12000 / len(points), 5.0), 40.0)  # many points are small, few are large
    ax.scatter(*points.T, s=size, c=[_shade(k) for k in classes], alpha=0.65, linewidths=0)
    for k in np.unique(classes):
        name_at(ax, np.median(points[classes == k], axis=0), str(k), _shade(k))
    ax.set_aspect("equal", adjustable="datalim")  # so that near on the page is near in the code
    ax.set(xticks=[], yticks=[])  # the numbers of such a plot say nothing, only near and far do
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title(title or "")


@styled()
def scatter_3d(codes: Tensor, labels: Tensor, *, alt: str, title: str | None = None) -> None:
    """Show 3-D codes twice: as a plot that the mouse turns (plotly), and as the static picture beside it.

    codes: (n, 3); of more than MOST_TURNED points an even selection is shown; labels: (n,) whole numbers
    Tag the cell ``nbval-ignore-output``: the saved plot holds the points, which differ a little between machines.
    """
    from IPython.core.interactiveshell import InteractiveShell

    alt, (points, classes) = checked_alt(alt), _points(codes, labels, 3)
    keep = np.linspace(0, len(points) - 1, min(MOST_TURNED, len(points))).round().astype(int)
    points, classes = points[keep], classes[keep]
    groups = {int(k): np.round(points[classes == k], 3) for k in np.unique(classes)}
    if InteractiveShell.initialized():
        _turnable(groups, title, alt)
    fig, ax = figure(6.4, 5.0, subplot_kw={"projection": "3d"})
    for k, group in groups.items():
        ax.scatter(*group.T, s=10, color=_shade(k), depthshade=True, linewidths=0)
    for k, group in groups.items():
        name_at(ax, np.median(group, axis=0), str(k), _shade(k))
    ax.set_title(title or "")
    show(fig, alt)


def _turnable(groups: dict[int, np.ndarray], title: str | None, alt: str) -> None:
    import plotly.graph_objects as go
    from IPython.display import display

    clouds = [
        go.Scatter3d(
            x=group[:, 0].tolist(), y=group[:, 1].tolist(), z=group[:, 2].tolist(),
            mode="markers", name=str(k), marker={"size": 3, "color": _shade(k)},
        )
        for k, group in groups.items()
    ]  # fmt: skip
    middles = np.array([np.median(group, axis=0) for group in groups.values()]).round(3)
    clouds.append(  # the names also stand where their points are
        go.Scatter3d(
            x=middles[:, 0].tolist(), y=middles[:, 1].tolist(), z=middles[:, 2].tolist(), mode="text",
            text=[str(k) for k in groups], textfont={"size": 18, "color": "black"}, showlegend=False,
        )
    )  # fmt: skip
    layout = go.Layout(
        width=640, height=460, template="none", showlegend=True, title=title,
        margin={"l": 0, "r": 0, "t": 40 if title else 0, "b": 10}, legend={"itemsizing": "constant"},
        scene={"camera": {"eye": {"x": 1.5, "y": 1.5, "z": 1.1}}},
    )  # fmt: skip
    plot = go.Figure(clouds, layout)
    if "google.colab" in sys.modules:  # Colab draws no plotly data by itself
        plot.show(renderer="colab", config=PLOTLY)
        return
    drawing = {**plot.to_plotly_json(), "config": PLOTLY}
    display({"application/vnd.plotly.v1+json": drawing, "text/plain": f"(a plot to turn) {alt}"}, raw=True)


@styled()
def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    alt: str,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
) -> None:
    """Show curves over the same ``x``, each with its name at its right end, as error against size.

    series: name -> values; a name known to ``colour`` has its colour
    log: logarithmic x axis; marks: name -> height of a dashed line, such as a figure from a paper
    """
    fig, ax = figure(7.0, 4.0)
    shades = shades_of(series)
    for name, values in series.items():
        ax.plot(x, [float(v) for v in values], marker="o", color=shades[name])
        ax.annotate(
            name, (x[-1], float(values[-1])), xytext=(8, 0), textcoords="offset points", va="center",
            color=shades[name], weight="bold",
        )  # fmt: skip
    for name, height in (marks or {}).items():
        ax.axhline(height, color="black", linestyle="--", linewidth=1.2)
        end = max((0, -1), key=lambda i: min(abs(float(v[i]) - height) for v in series.values()))  # away from curves
        ax.annotate(name, (x[end], height), (0, 4), textcoords="offset points", ha="right" if end else "left")
    if log:
        ax.set_xscale("log")
        ax.set_xticks(list(x), [f"{value:g}" for value in x])
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    show(fig, alt)


@styled()
def bars(
    values: Mapping[str, float],
    *,
    alt: str,
    xlabel: str,
    mark: tuple[str, float] | None = None,
    digits: int = 2,
) -> None:
    """Show numbers as horizontal bars with the number at the end; mark: (name, value) of a dashed line."""
    fig, ax = figure(7.0, 0.9 + 0.45 * len(values))
    names, numbers = list(values), [float(v) for v in values.values()]
    shades = [colour(name) if name.lower() in THINGS else PALETTE["blue"] for name in names]
    drawn = ax.barh(names, numbers, color=shades, height=0.65)
    ax.bar_label(drawn, fmt=f"%.{digits}f", padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    if mark is not None:
        ax.axvline(mark[1], color="black", linestyle="--", linewidth=1.2)
        place = {"xycoords": ("data", "axes fraction"), "xytext": (3, 2), "textcoords": "offset points"}
        ax.annotate(mark[0], (mark[1], 1), fontsize=11, **place)
    ax.set_xlabel(xlabel)
    show(fig, alt)


@styled()
def grouped_bars(
    values: Mapping[str, Mapping[str, float]], *, alt: str, xlabel: str, mark: tuple[str, float] | None = None
) -> None:
    """Show one group of horizontal bars for each name, with the same series in each: group -> series -> number."""
    series = list(next(iter(values.values())))
    if any(list(group) != series for group in values.values()):
        raise ValueError(f"every group needs the same series in the same order: {', '.join(series)}")
    fig, ax = figure(7.4, 1.2 + len(values) * (0.27 * len(series) + 0.1))
    middles, step = np.arange(len(values)), 0.82 / len(series)
    for k, (name, shade) in enumerate(shades_of(series).items()):
        numbers = [float(group[name]) for group in values.values()]
        places = middles + (k - (len(series) - 1) / 2) * step
        ax.bar_label(ax.barh(places, numbers, height=step * 0.9, color=shade, label=name), fmt="%.2f", padding=3)
    ax.set_yticks(middles, list(values))
    ax.invert_yaxis()
    ax.margins(x=0.1)
    if mark is not None:
        ax.axvline(mark[1], color="black", linestyle="--", linewidth=1.2, label=mark[0])
    ax.set_xlabel(xlabel)
    fig.legend(loc="outside upper left", ncols=2)
    show(fig, alt)


def name_at(ax: Axes, place: Sequence[float], text: str, edge: str) -> None:
    """Write a class's name over its points: place (2,), or (3,) in a 3-D plot; edge: the colour of its frame."""
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": edge, "alpha": 0.9}
    ax.text(*place, text, ha="center", va="center", fontsize=11, weight="bold", bbox=box, zorder=99)


def shades_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: that of the thing where it has one, else one that none of the others has."""
    known = {name: colour(name) for name in names if name.lower() in THINGS}
    spare = [PALETTE[k] for k in ("green", "purple", "sky", "black", "orange", "vermillion", "blue")]
    free = cycle([shade for shade in spare if shade not in known.values()])
    return {name: known.get(name) or next(free) for name in names}


def _points(codes: Tensor, labels: Tensor, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, size) and their classes (n,) as arrays; raises ValueError when they are something else."""
    points, classes = codes.detach().float().cpu().numpy(), labels.cpu().numpy().astype(int)
    if points.ndim != 2 or points.shape[1] != size or not len(points):
        raise ValueError(
            f"codes must be (n, {size}), got {points.shape}; project them first, as with space.pca_project"
        )
    if classes.shape != (len(points),):
        raise ValueError(f"labels must be ({len(points)},), one for each code; got {classes.shape}")
    return points, classes


def _shade(label: int) -> str:
    return LABEL_COLOURS[label % len(LABEL_COLOURS)]
