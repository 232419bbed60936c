"""A latent space of two numbers as a pair of pictures, quick enough for a film; and a ruler's test as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentlib.plots.images import decoded_sheet
from latentlib.plots.style import LABEL_COLOURS, PALETTE


@torch.no_grad()
def space_map(
    decode: Callable[[Tensor], Tensor], codes: Tensor, labels: Tensor, side: int = 240, steps: int = 10
) -> Tensor:
    """Where the codes lie, and what the decoder draws at the same places: (2, 3, side, side) in [0, 1], in 20 ms.

    decode: (n, 2) -> (n, 1 or 3, h, w); codes: (n, 2); labels: (n,) whole numbers, one colour each
    side: pixels of each picture; steps: drawings across and up
    Both show the square around the codes that holds 98 in 100 of them along each axis; x to the right, y upwards.
    """
    from matplotlib.colors import to_rgb

    if codes.dim() != 2 or codes.shape[1] != 2 or len(labels) != len(codes):
        raise ValueError(f"a map needs codes (n, 2) and n labels, got {tuple(codes.shape)} and {len(labels)}")
    low, high = codes.float().quantile(0.01, dim=0), codes.float().quantile(0.99, dim=0)
    middle, reach = (low + high) / 2, ((high - low).max() / 2 * 1.08).clamp(min=1e-6)
    place = ((codes - middle) / reach + 1) / 2  # (n, 2), from 0 to 1 inside the square
    inside = ((place > 0.01) & (place < 0.99)).all(1)
    columns, rows = (place[inside] * side).long().cpu().unbind(1)
    colours = torch.tensor([to_rgb(shade) for shade in LABEL_COLOURS])
    colours = colours[labels[inside].cpu().long() % len(LABEL_COLOURS)]  # (n, 3)
    points = torch.ones(side, side, 3)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            points[(side - 1 - rows + down).clamp(0, side - 1), (columns + right).clamp(0, side - 1)] = colours
    sheet = decoded_sheet(decode, middle - reach, middle + reach, steps, codes.device)
    sheet = np.array(Image.fromarray(sheet).resize((side, side), Image.Resampling.BOX))
    return torch.stack([points, torch.from_numpy(sheet) / 255]).permute(0, 3, 1, 2)


def ruler_test(
    shares: Mapping[str, Mapping[str, float]],
    wanted: Mapping[str, tuple[float, float]],
    *,
    alt: str,
    title: str | None = None,
) -> None:
    """Show how rulers do in their test, as a table: ruler -> kind of picture -> share that it calls wrong.

    wanted: kind of picture -> least and greatest share that is right; a share beyond them is marked by a cross and
        a pale vermillion cell. Every ruler needs the same kinds of picture in the same order.
    """
    from latentlib.plots.figures import figure, show

    kinds = list(wanted)
    if any(list(row) != kinds for row in shares.values()):
        raise ValueError(f"every ruler needs the same pictures in the same order: {', '.join(kinds)}")
    fig, ax = figure(9.0, 1.1 + 0.5 * len(shares))
    for y, row in enumerate(shares.values()):
        for x, kind in enumerate(kinds):
            right = wanted[kind][0] <= round(float(row[kind]), 6) <= wanted[kind][1]
            shade = PALETTE["sky" if right else "vermillion"]
            ax.fill([x, x + 0.96, x + 0.96, x], [y, y, y + 0.92, y + 0.92], color=shade, alpha=0.35, linewidth=0)
            text = f"{float(row[kind]):.0%}" + ("" if right else "  ✘")
            ax.text(x + 0.48, y + 0.46, text, ha="center", va="center", fontsize=12)
    ax.set_xticks([x + 0.48 for x in range(len(kinds))], kinds)
    ax.set_yticks([y + 0.46 for y in range(len(shares))], list(shares))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set(xlim=(0, len(kinds)), ylim=(len(shares), 0))
    ax.set_title(title or "")
    show(fig, alt)
