"""The judges' table with struck rows, and the map of who is like the parents and who is one face."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape

from latentlib.plots.figures import figure, show
from latentlib.plots.style import PALETTE, colour

NO_KIN = ("another couple's child", "the mean face", "the nearest stranger")
Table = Mapping[str, Mapping[str, float]]


class KinshipTable:
    """What ``kinship_table`` gives, as HTML without JavaScript or as text; struck rows are crossed out."""

    def __init__(self, table: Table, struck: Collection[str]):
        self.table, self.struck = table, struck
        self.kinds = list(next(iter(table.values())))

    def _repr_html_(self) -> str:
        style = ' style="text-align:left"'
        head = "".join(f"<th{style}>{escape(text)}</th>" for text in ("measure", *self.kinds))
        lines = []
        for name, row in self.table.items():
            cells = [name, *(f"{row[kind]:.2f}" for kind in self.kinds)]
            marks = ("<s>", "</s>") if name in self.struck else ("", "")
            lines.append("".join(f"<td{style}>{marks[0]}{escape(cell)}{marks[1]}</td>" for cell in cells))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        rows = [[name, *(f"{row[kind]:.2f}" for kind in self.kinds)] for name, row in self.table.items()]
        struck = [f" ({'struck out' if row[0] in self.struck else 'stays'})" for row in rows]
        return "\n".join(" | ".join(row) + end for row, end in zip(rows, struck, strict=True))


def kinship_map(
    table: Table,
    likeness: str,  # name of the row along the horizontal axis
    one_face: str,  # and of that along the vertical axis
    alt: str,
) -> None:
    """Show every kind of children as a dot: to the right is like its parents, up is one face; both is wanted."""
    fig, ax = figure(6.4, 4.2)
    heights = table[one_face]
    middle, line = max(table[likeness].values()) * 0.6, 0.07 * (max(heights.values()) - min(heights.values()))
    free = {True: float("-inf"), False: float("-inf")}  # on each side of the dots: up to where labels stand already
    for kind, x in sorted(table[likeness].items(), key=lambda pair: heights[pair[0]]):
        shade = PALETTE["vermillion"] if kind == "ghost" else "black" if kind in NO_KIN else colour("latent path")
        ax.plot([x], [heights[kind]], "o", color=shade, markersize=9)
        right = x > middle
        y = free[right] = max(heights[kind], free[right] + line)
        side = {"xytext": (-9 if right else 9, 0), "textcoords": "offset points", "ha": "right" if right else "left"}
        ax.annotate(kind, (x, y), va="center", color=shade, weight="bold", **side)
    ax.set(xlabel=f"likeness: {likeness}", ylabel=one_face)
    ax.margins(0.12)
    show(fig, alt)
