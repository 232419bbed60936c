"""Drawings of an idea rather than of data: the bottleneck, a map of decoded pictures, dots with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from latentlib.plots.figures import figure, name_at, shades_of, show
from latentlib.plots.images import decoded_sheet, to_uint8
from latentlib.plots.style import LABEL_COLOURS, PALETTE, colour, styled


@styled()
def bottleneck(picture: Tensor, code: Tensor, returned: Tensor, alt: str) -> None:
    """Draw encoder, code and decoder as a funnel and its mirror, with a real picture before and after.

    picture, returned: (c, h, w) in [0, 1]; code: (d,), written out when it has at most six numbers
    """
    fig, ax = figure(9.0, 3.2)
    for left, image in ((0.0, picture), (8.0, returned)):
        ax.imshow(to_uint8(image[None])[0], extent=(left, left + 2, 0, 2), aspect="auto", zorder=2)
        ax.add_patch(_box(left, 0, 2, 2, "#555555"))
    for x, high, low in ((2.3, 1.0, 0.35), (6.0, 0.35, 1.0)):
        corners = [(x, 1 - high), (x, 1 + high), (x + 1.7, 1 + low), (x + 1.7, 1 - low)]
        ax.fill(*zip(*corners, strict=True), color=PALETTE["blue" if x < 5 else "green"], alpha=0.25, linewidth=0)
    numbers = [f"{value:.1f}".replace("-", "−") for value in code.tolist()] if len(code) <= 6 else ["…"]
    ax.add_patch(_box(4.3, 0.3, 1.4, 1.4, PALETTE["black"]))
    ax.text(5.0, 1.0, "\n".join(numbers), ha="center", va="center", fontsize=15, family="monospace")
    pixels, size = "×".join(map(str, picture.shape[-2:])), picture.numel()
    plural = "number" if len(code) == 1 else "numbers"
    for x, word in ((1.0, "picture"), (3.15, "encoder"), (5.0, "code"), (6.85, "decoder"), (9.0, "picture again")):
        ax.text(x, 2.25, word, ha="center", fontsize=13, weight="bold")
    for x, word in ((1.0, f"{pixels}: {size:,} numbers"), (5.0, f"{len(code)} {plural}"), (9.0, f"{size:,} numbers")):
        ax.text(x, -0.35, word, ha="center", fontsize=11)
    for x, word in ((3.15, "squeezes"), (6.85, "draws")):
        ax.text(x, 1.0, word, ha="center", va="center", fontsize=12)
    ax.set(xlim=(-0.1, 10.1), ylim=(-0.6, 2.6))
    ax.set_aspect("equal")
    ax.axis("off")
    show(fig, alt)


def _box(x: float, y: float, width: float, height: float, edge: str):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor=edge, linewidth=1.5, zorder=3)


@styled()
def decoded_map(
    decode: Callable[[Tensor], Tensor],
    codes: Tensor,
    labels: Tensor,
    low: Sequence[float],
    high: Sequence[float],
    *,
    alt: str,
    steps: int = 16,
    title: str | None = None,
) -> None:
    """Show the codes and, on the same axes beside them, what the decoder draws at each place of a grid.

    decode: (n, 2) -> (n, c, h, w); codes: (n, 2), labels: (n,); low, high: the corners (x, y) of the part that is shown
    """
    (x0, y0), (x1, y1) = (tuple(map(float, corner)) for corner in (low, high))
    sheet = decoded_sheet(decode, (x0, y0), (x1, y1), steps, codes.device)
    points, classes = codes.detach().cpu().numpy(), labels.cpu().numpy().astype(int)
    inside = ((points >= (x0, y0)) & (points <= (x1, y1))).all(1)
    fig, axes = figure(9.0, 5.4, 1, 2, sharex=True, sharey=True)
    shades = np.array(LABEL_COLOURS)
    axes[0].scatter(*points[inside].T, s=9, c=shades[classes[inside] % len(shades)], alpha=0.7, linewidths=0)
    axes[1].imshow(sheet, extent=(x0, x1, y0, y1), aspect="auto", interpolation="antialiased")
    for k in np.unique(classes[inside]):
        name_at(axes[0], np.median(points[inside & (classes == k)], axis=0), str(k), shades[k % len(shades)])
    for ax in axes:
        ax.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="first number of the code")
        ax.set_aspect("equal")
    axes[0].set_ylabel("second number of the code")
    axes[0].set_title(title or "")
    axes[1].set_title("What the decoder draws there")
    show(fig, alt)


@styled()
def dots(
    values: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    alt: str,
    xlabel: str,
    mark: tuple[str, float] | None = None,
) -> None:
    """Show numbers that carry an uncertainty as dots with their intervals: group -> name -> (value, half the interval).

    mark: (name, value) of a dashed line, such as blind guessing. Every group needs the same names in the same order.
    """
    names = list(next(iter(values.values())))
    if any(list(group) != names for group in values.values()):
        raise ValueError(f"every group needs the same names in the same order: {', '.join(names)}")
    fig, ax = figure(7.4, 1.5 + 0.32 * len(names) * len(values))
    shades = shades_of(names)
    row, ticks = 0.0, []
    for group in values.values():
        start = row
        for name, (value, half) in group.items():
            label = name if group is next(iter(values.values())) else None
            ax.errorbar(value, row, xerr=half, fmt="o", color=shades[name], capsize=3, label=label)
            place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": 10}
            ax.annotate(f"{value:.2f}".replace("-", "−"), (value + half, row), **place)
            row += 1
        ticks.append((start + row - 1) / 2)
        row += 0.8
    ax.set_yticks(ticks, list(values))
    ax.invert_yaxis()
    ax.margins(x=0.12, y=0.08)
    if mark is not None:
        ax.axvline(mark[1], color="black", linestyle="--", linewidth=1.2, label=mark[0])
    ax.set_xlabel(xlabel)
    fig.legend(loc="outside upper left", ncols=2)
    show(fig, alt)


@styled()
def signed(images: Tensor) -> Tensor:
    """Pictures of numbers that may be negative as colour: white at 0, blue below, vermillion above, one scale for all.

    images: (n, 1, h, w) of any range -> (n, 3, h, w) in [0, 1]
    """
    from matplotlib.colors import to_rgb

    share = images.detach() / images.abs().max().clamp(min=1e-12)  # -1 to 1
    # What is taken away from white.
    above, below = (1 - images.new_tensor(to_rgb(colour(name)))[:, None, None] for name in ("vermillion", "blue"))
    return 1 - share.clamp(min=0) * above - (-share).clamp(min=0) * below
