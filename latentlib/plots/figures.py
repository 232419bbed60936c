"""Plots, all in one style, drawn by matplotlib; ``show`` and ``live`` put them onto the page."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from latentlib.models.autoencoder import check_batch
from latentlib.plots.images import TEXT, publish, text_font, to_png, to_uint8, with_palette
from latentlib.plots.style import LABEL_COLOURS, PALETTE, THINGS, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTLY = {"displayModeBar": False}  # its buttons would cover the title, and one of them uploads the plot


# --- figures


@styled()
def figure(
    width: float = 7.0, height: float = 4.0, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure of ``width`` × ``height`` inches and its axes, like ``plt.subplots``; hand it to ``show``.

    A laptop shows 9 inches without scrolling.
    options: passed to ``Figure.subplots`` (sharex, width_ratios, subplot_kw ...).
    """
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height))
    return made, made.subplots(rows, columns, **options)


@styled()
def figure_png(fig: Figure) -> bytes:
    """A matplotlib figure as PNG bytes, such as ``widgets.picture_slider`` takes from the function that draws."""
    buffer = io.BytesIO()
    fig.savefig(buffer)
    return with_palette(Image.open(buffer))


def show(fig: Figure) -> None:
    """Publish a matplotlib figure as one PNG, and close the figure."""
    publish(figure_png(fig))
    if "matplotlib.pyplot" in sys.modules:  # a figure made by pyplot would else be shown a second time
        sys.modules["matplotlib.pyplot"].close(fig)


def live() -> Callable[[Figure | Tensor], None]:
    """A place on the page whose picture is replaced at each call: ``draw = plots.live(); draw(fig or pictures)``.

    Tag the cell ``nbval-ignore-output``. What was drawn last stays in the saved notebook.
    """
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    handle.display({"text/plain": TEXT}, raw=True)  # what can be replaced

    def draw(drawn: Figure | Tensor) -> None:
        png = to_png(drawn) if isinstance(drawn, Tensor) else figure_png(drawn)
        handle.update({"image/png": base64.b64encode(png).decode("ascii"), "text/plain": TEXT}, raw=True)

    return draw


# --- codes


@styled()
def draw_codes(ax: Axes, codes: Tensor, labels: Tensor, title: str, names: Sequence[str] | None = None) -> None:
    """Draw 2-D codes into ``ax``: one colour for each class, and its name (or number) at the class's middle.

    codes: (n, 2); labels: (n,) whole numbers; names: one for each class
    """
    points, classes = _points(codes, labels, 2)
    size = min(max(12000 / len(points), 5.0), 40.0)  # many points are small, few are large
    ax.scatter(*points.T, s=size, c=[_shade(k) for k in classes], alpha=0.65, linewidths=0)
    for k in np.unique(classes):
        name_at(ax, np.median(points[classes == k], axis=0), names[k] if names else str(k), _shade(k))
    ax.set_aspect("equal", adjustable="datalim")  # so that near on the page is near in the code
    ax.set(xticks=[], yticks=[])  # the numbers of such a plot say nothing, only near and far do
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title(title)


@styled()
def scatter_3d(codes: Tensor, labels: Tensor, title: str = "") -> None:
    """Show 3-D codes as a plot that the mouse turns (plotly), with a still picture for a saved notebook.

    codes: (n, 3), a thousand at most, for the notebook saves them; labels: (n,) whole numbers
    Tag the cell ``nbval-ignore-output``: the saved plot holds the points, which differ a little between machines.
    """
    points, classes = _points(codes, labels, 3)
    groups = {int(k): np.round(points[classes == k], 3) for k in np.unique(classes)}
    fig, ax = figure(6.4, 5.0, subplot_kw={"projection": "3d"})
    for k, group in groups.items():
        ax.scatter(*group.T, s=10, color=_shade(k), depthshade=True, linewidths=0)
        name_at(ax, np.median(group, axis=0), str(k), _shade(k))
    ax.set_title(title)
    publish(figure_png(fig), **_turnable(groups, title))


def _turnable(groups: dict[int, np.ndarray], title: str) -> dict[str, dict]:
    import plotly.graph_objects as go

    plot = go.Figure(layout={"width": 640, "height": 460, "template": "none", "title": title or None})
    plot.update_layout(margin={"l": 0, "r": 0, "t": 40, "b": 10}, legend={"itemsizing": "constant"})
    plot.update_scenes(camera={"eye": {"x": 1.5, "y": 1.5, "z": 1.1}})
    for k, group in groups.items():
        x, y, z = group.T.tolist()
        plot.add_scatter3d(x=x, y=y, z=z, mode="markers", name=str(k), marker={"size": 3, "color": _shade(k)})
        x, y, z = np.median(group, axis=0).round(3)[:, None].tolist()  # the name also stands where its points are
        plot.add_scatter3d(x=x, y=y, z=z, mode="text", text=str(k), textfont={"size": 18}, showlegend=False)
    if "google.colab" in sys.modules:  # Colab draws no plotly data by itself
        plot.show(renderer="colab", config=PLOTLY)
        return {}
    return {"application/vnd.plotly.v1+json": {**plot.to_plotly_json(), "config": PLOTLY}}


@torch.no_grad()
def space_map(
    decode: Callable[[Tensor], Tensor], codes: Tensor, labels: Tensor, side: int = 360, steps: int = 12
) -> Tensor:
    """One frame of a film of a space: where codes lie, and what is drawn there: (2, 3, side, side) in [0, 1], in 20 ms.

    decode: (n, 2) -> (n, 1 or 3, h, w); codes: (n, 2); labels: (n,) whole numbers, one colour and name each
    Both show the square around the codes that holds 98 in 100 of them along each axis; x to the right, y upwards.
    """
    points, classes = _points(codes, labels, 2)
    low, high = np.quantile(points, (0.01, 0.99), axis=0)
    middle, reach = (low + high) / 2, max((high - low).max() / 2 * 1.08, 1e-6)
    places = (1 + (points - middle) / reach * (1, -1)) / 2 * side  # pixels
    named = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(named)
    for (x, y), k in zip(places, classes, strict=True):
        pen.rectangle((x - 1, y - 1, x + 1, y + 1), _shade(k))
    how = {"font": text_font(round(side / 16)), "anchor": "mm", "stroke_width": 3, "stroke_fill": "white"}
    for k in np.unique(classes):
        pen.text(tuple(np.median(places[classes == k], axis=0)), str(k), _shade(k), **how)
    cells = ((torch.arange(steps) + 0.5) / steps * 2 - 1) * reach
    down, right = torch.meshgrid(middle[1] - cells, middle[0] + cells, indexing="ij")
    drawn = decode(torch.stack([right, down], dim=2).flatten(0, 1).to(codes))  # the middles of steps × steps cells
    h, w = drawn.shape[2:]
    drawn = to_uint8(drawn).reshape(steps, steps, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(steps * h, steps * w, 3)
    sheet = Image.fromarray(drawn).resize((side, side), Image.Resampling.BOX)
    return torch.from_numpy(np.stack([np.array(named), np.array(sheet)])).permute(0, 3, 1, 2) / 255


# --- numbers


@styled()
def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    log: bool = False,
    mark: tuple[str, float] | None = None,
) -> None:
    """Show curves over the same ``x``, each with its name at its right end, as error against size.

    series: name -> values; a name known to ``colour`` has its colour
    log: logarithmic x axis; mark: (name, value) of a dashed line
    """
    fig, ax = figure(7.0, 4.0)
    for name, shade in shades_of(series).items():
        values = [float(value) for value in series[name]]
        ax.plot(x, values, marker="o", color=shade)
        ax.annotate(name, (x[-1], values[-1]), (8, 0), "data", "offset points", color=shade, weight="bold", va="center")
    if mark is not None:
        ax.axhline(mark[1], color="black", linestyle="--", linewidth=1.2)
        ax.annotate(mark[0], (x[0], mark[1]), (0, 4), textcoords="offset points")
    if log:
        ax.set_xscale("log")
        ax.set_xticks(list(x), [f"{value:g}" for value in x])
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    show(fig)


@styled()
def bars(values: Mapping[str, Any], xlabel: str, mark: tuple[str, float] | None = None, digits: int = 2) -> None:
    """Show numbers as horizontal bars with the number at the end; mark: (name, value) of a dashed line.

    values: name -> number; or group -> name -> number, with the same names in each group
    """
    groups = {name: value if isinstance(value, Mapping) else {"": value} for name, value in values.items()}
    series = list(next(iter(groups.values())))
    fig, ax = figure(7.4, 1.0 + len(groups) * (0.27 * len(series) + 0.2) + 0.3 * (len(series) > 1))
    middles, step = np.arange(len(groups)), 0.82 / len(series)
    known = [colour(name) if name.lower() in THINGS else PALETTE["blue"] for name in groups]
    shades = shades_of(series) if len(series) > 1 else {series[0]: known}
    for k, (name, shade) in enumerate(shades.items()):
        numbers = [float(group[name]) for group in groups.values()]
        places = middles + (k - (len(series) - 1) / 2) * step
        drawn = ax.barh(places, numbers, height=step * 0.9, color=shade, label=name or None)
        ax.bar_label(drawn, fmt=f"%.{digits}f", padding=4)
    ax.set_yticks(middles, list(groups))
    ax.invert_yaxis()
    ax.margins(x=0.12)
    if mark is not None:
        ax.axvline(mark[1], color="black", linestyle="--", linewidth=1.2)
        ax.annotate(mark[0], (mark[1], 1), (3, 2), ("data", "axes fraction"), "offset points", fontsize=11)
    ax.set_xlabel(xlabel)
    if len(series) > 1:
        fig.legend(loc="outside upper left", ncols=2)
    show(fig)


# --- ideas


@styled()
def bottleneck(picture: Tensor, code: Tensor, returned: Tensor) -> None:
    """Draw encoder, code and decoder as a funnel and its mirror, with a real picture before and after.

    picture, returned: (c, h, w) in [0, 1]; code: (d,), drawn as bars
    """
    fig, ax = figure(9.0, 3.2)
    for left, image in ((0, picture), (8, returned)):
        ax.imshow(to_uint8(image)[0], extent=(left, left + 2, 0, 2), interpolation="lanczos")
    ax.fill_between([2.3, 4.0], [0, 0.65], [2, 1.35], color=PALETTE["blue"], alpha=0.25, linewidth=0)
    ax.fill_between([6.0, 7.7], [0.65, 0], [1.35, 2], color=PALETTE["green"], alpha=0.25, linewidth=0)
    numbers = code.detach().float().cpu().numpy()
    lengths = numbers / max(abs(numbers).max(), 1e-9) * 0.62
    ax.barh(np.linspace(1.6, 0.4, len(numbers)), lengths, 1.0 / len(numbers), left=5.0, color=PALETTE["black"])
    sides = [2, 1.4, 2]  # of the frames around picture, code and picture
    ax.bar([1, 5, 9], sides, sides, bottom=[0, 0.3, 0], fill=False, edgecolor=["#555555", "black", "#555555"])
    pixels, size = "×".join(map(str, picture.shape[-2:])), f"{picture.numel():,} numbers"
    for x, word, below in (
        (1.0, "picture", f"{pixels}: {size}"),
        (3.15, "encoder", ""),
        (5.0, "code", f"{len(code)} numbers"),
        (6.85, "decoder", ""),
        (9.0, "picture again", size),
    ):
        ax.text(x, 2.25, word, ha="center", fontsize=13, weight="bold")
        ax.text(x, -0.35, below, ha="center", fontsize=11)
    ax.set(xlim=(-0.1, 10.1), ylim=(-0.6, 2.6))
    ax.set_aspect("equal")
    ax.axis("off")
    show(fig)


def signed(images: Tensor) -> Tensor:
    """Pictures of numbers that may be negative as colour: white at 0, blue below, vermillion above, one scale for all.

    images: (n, 1, h, w) of any range -> (n, 3, h, w) in [0, 1]
    """
    from matplotlib.colors import LinearSegmentedColormap

    shares = images.detach() / images.abs().max().clamp(min=1e-12)  # -1 to 1
    shades = LinearSegmentedColormap.from_list("signed", [PALETTE["blue"], "white", PALETTE["vermillion"]], N=511)
    return torch.from_numpy(shades(shares[:, 0].cpu().numpy() / 2 + 0.5)[..., :3]).permute(0, 3, 1, 2).to(images)


# --- parts


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
    """Codes (n, size) and their classes (n,) as arrays; raises ValueError for codes of another size."""
    check_batch("codes", codes, (size,))
    return codes.detach().float().cpu().numpy(), torch.as_tensor(labels).cpu().numpy().astype(int)


def _shade(label: int) -> str:
    return LABEL_COLOURS[label % len(LABEL_COLOURS)]
