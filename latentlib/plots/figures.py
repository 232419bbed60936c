"""Plots with alt text, all in one style. Every matplotlib figure of the course leaves through ``show``."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentlib.plots.images import checked_alt, publish, to_uint8, with_palette
from latentlib.plots.style import LABEL_COLOURS, PALETTE, THINGS, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 9.0  # inches; the most that a laptop shows without scrolling
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
def draw_codes(
    ax: Axes,
    codes: Tensor,
    labels: Tensor | None = None,
    names: Sequence[str] | None = None,
    values: Tensor | None = None,
    title: str | None = None,
    size: float | None = None,
) -> None:
    """Draw 2-D codes into ``ax``: one colour for each class with its name at the class's middle, or a colour scale.

    codes: (n, 2); labels: (n,) whole numbers; names: the name of each class, else its number
    values: (n,) numbers shown by a colour scale, instead of labels
    size: area of a point; None makes many points small and few points large
    """
    points = _points(codes, 2)
    size = min(max(12000 / len(points), 5.0), 40.0) if size is None else size
    if labels is not None and values is not None:
        raise ValueError("give labels (classes) or values (a colour scale), not both")
    if labels is not None:
        classes, colours, names = _classes(labels, names, len(points))
        ax.scatter(*points.T, s=size, c=[colours[k] for k in classes.tolist()], alpha=0.65, linewidths=0)
        for k in np.unique(classes):
            name_at(ax, np.median(points[classes == k], axis=0), names[k], colours[k])
    else:
        shade = PALETTE["blue"] if values is None else _array(values)
        drawn = ax.scatter(
            *points.T, s=size, c=shade, cmap=None if values is None else "viridis", alpha=0.75, linewidths=0
        )
        if values is not None:
            ax.figure.colorbar(drawn, ax=ax)
    ax.set_aspect("equal", adjustable="datalim")  # so that near on the page is near in the code
    _bare(ax, title)


@styled()
def scatter_codes(
    codes: Tensor,
    labels: Tensor | None = None,
    *,
    alt: str,
    names: Sequence[str] | None = None,
    values: Tensor | None = None,
    title: str | None = None,
    size: float | None = None,
) -> None:
    """Show 2-D codes as points, as ``draw_codes`` draws them: (n, 2), coloured by labels or values."""
    fig, ax = figure(6.4, 5.2)
    draw_codes(ax, codes, labels, names, values, title, size)
    show(fig, alt)


@styled()
def picture_scatter(
    codes: Tensor, images: Tensor, alt: str, most: int = 250, size: int = 26, title: str | None = None
) -> None:
    """Show 2-D codes as small pictures: (n, 2) and (n, c, h, w); at most ``most`` of them, ``size`` pixels wide."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    points = _points(codes, 2)
    if len(points) != len(images):
        raise ValueError(f"{len(points)} codes for {len(images)} pictures; give one each")
    points, pixels = points[:most], to_uint8(images[:most])
    fig, ax = figure(7.5, 6.0)
    ax.scatter(*points.T, s=0)  # sets the limits
    for point, picture in zip(points, pixels, strict=True):
        small = OffsetImage(picture, zoom=size * 72 / 96 / picture.shape[1], interpolation="antialiased")
        ax.add_artist(AnnotationBbox(small, point, frameon=False, pad=0))
    _bare(ax, title)
    show(fig, alt)


@styled()
def scatter_3d(
    codes: Tensor,
    labels: Tensor | None = None,
    *,
    alt: str,
    names: Sequence[str] | None = None,
    title: str | None = None,
    most: int = 1000,
) -> None:
    """Show 3-D codes twice: as a plot that the mouse turns (plotly), and as the static picture beside it.

    codes: (n, 3); of more than ``most`` points an even selection is shown; labels, names: as in ``draw_codes``
    Tag the cell ``nbval-ignore-output``: the saved plot holds the points, which differ a little between machines.
    """
    from IPython.core.interactiveshell import InteractiveShell

    alt, points = checked_alt(alt), _points(codes, 3)
    classes, colours, names = _classes(torch.zeros(len(points)) if labels is None else labels, names, len(points))
    keep = np.linspace(0, len(points) - 1, min(most, 1000, len(points))).round().astype(int)
    points, classes = points[keep], classes[keep]
    groups = {int(k): np.round(points[classes == k], 3) for k in np.unique(classes)}
    if InteractiveShell.initialized():
        _turnable(groups, colours, names, title, alt, legend=labels is not None)

    fig, ax = figure(6.4, 5.0, subplot_kw={"projection": "3d"})
    for k, group in groups.items():
        ax.scatter(*group.T, s=10, color=colours[k], label=names[k], depthshade=True, linewidths=0)
    if labels is not None:
        for k, group in groups.items():
            name_at(ax, np.median(group, axis=0), names[k], colours[k])
    ax.set_title(title or "")
    show(fig, alt)


def _turnable(
    groups: dict[int, np.ndarray], colours: list[str], names: Sequence[str], title: str | None, alt: str, legend: bool
) -> None:
    import plotly.graph_objects as go
    from IPython.display import display

    clouds = [
        go.Scatter3d(
            x=group[:, 0].tolist(), y=group[:, 1].tolist(), z=group[:, 2].tolist(),
            mode="markers", name=names[k], marker={"size": 3, "color": colours[k]},
        )
        for k, group in groups.items()
    ]  # fmt: skip
    if legend:  # the names also stand where their points are
        middles = np.array([np.median(group, axis=0) for group in groups.values()]).round(3)
        clouds.append(
            go.Scatter3d(
                x=middles[:, 0].tolist(), y=middles[:, 1].tolist(), z=middles[:, 2].tolist(), mode="text",
                text=[names[k] for k in groups], textfont={"size": 18, "color": "black"}, showlegend=False,
            )
        )  # fmt: skip
    layout = go.Layout(
        width=640, height=460, template="none", showlegend=legend, title=title,
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
    title: str | None = None,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
) -> None:
    """Show curves over the same ``x``, each with its name at its right end, as error against size.

    series: name -> values; a name known to ``colour`` has its colour
    log: logarithmic x axis; marks: name -> height of a dashed line, such as a figure from a paper
    """
    fig, ax = figure(7.0, 4.0)
    shades = _shades(series)
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
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title or "")
    show(fig, alt)


@styled()
def bars(
    values: Mapping[str, float],
    *,
    alt: str,
    xlabel: str,
    title: str | None = None,
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
        ax.annotate(
            mark[0],
            (mark[1], 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=11,
        )
    ax.set_xlabel(xlabel)
    ax.set_title(title or "")
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
    for k, (name, shade) in enumerate(_shades(series).items()):
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


def _bare(ax: Axes, title: str | None) -> None:
    """No ticks and no frame: the numbers of such a plot say nothing, only near and far do."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title(title or "")


def _shades(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: that of the thing where it has one, else one that none of the others has."""
    known = {name: colour(name) for name in names if name.lower() in THINGS}
    spare = [PALETTE[k] for k in ("green", "purple", "sky", "black", "orange", "vermillion", "blue")]
    free = cycle([shade for shade in spare if shade not in known.values()])
    return {name: known.get(name) or next(free) for name in names}


def _array(tensor: Tensor) -> np.ndarray:
    return torch.as_tensor(tensor).detach().float().cpu().numpy()


def _points(codes: Tensor, size: int) -> np.ndarray:
    points = _array(codes)
    if points.ndim != 2 or points.shape[1] != size or not len(points):
        raise ValueError(
            f"codes must be (n, {size}), got {points.shape}; project them first, as with space.pca_project"
        )
    return points


def _classes(labels: Tensor, names: Sequence[str] | None, n: int) -> tuple[np.ndarray, list[str], Sequence[str]]:
    classes = _array(labels).astype(int)
    if classes.shape != (n,):
        raise ValueError(f"labels must be ({n},), one for each code; got {classes.shape}")
    most = int(classes.max()) + 1
    if classes.min() < 0 or (names is not None and most > len(names)):
        raise ValueError(f"labels run from {classes.min()} to {most - 1}, but there are {len(names or ())} names")
    colours = [LABEL_COLOURS[k % len(LABEL_COLOURS)] for k in range(most)]
    return classes, colours, names or [str(k) for k in range(most)]
