"""The look that all pictures share: colours that everybody can tell apart, type that a projector shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Okabe and Ito, "Color Universal Design" (2008): colours that people with any colour vision tell apart. Their yellow
# is too pale for small points.
PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
}
# One colour for each class 0 ... 9: the palette, and three more.
LABEL_COLOURS = [
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8A8A8A", "#B5A800", "#7A3E9D",
]  # fmt: skip
# The same thing has the same colour in every notebook.
THINGS = {
    "pca": "orange",
    "pixels": "vermillion",
    "latent path": "blue",
    "classifier": "purple",
}
STYLE = Path(__file__).with_name("latentlib.mplstyle")


@contextmanager
def styled() -> Iterator[None]:
    """The course's look inside a ``with styled():`` block, or inside a function after ``@styled()``."""
    from matplotlib import style  # only here: the widgets need colours and no plots

    with style.context(STYLE):
        yield


def colour(name: str) -> str:
    """The colour of a thing ("pca", "pixels", ...) or of a palette name ("blue"), as "#rrggbb"."""
    key = name.lower()
    return PALETTE[THINGS.get(key, key)]
