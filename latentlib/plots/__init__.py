"""Plots and pictures, all in one style; whatever is shown leaves through ``show``, ``live`` or ``show_images``.

What a picture shows is said in its cell's metadata, as "alt": a text, or a list with one for each picture.
"""

from latentlib.plots.figures import (
    bars,
    bottleneck,
    curves,
    draw_codes,
    figure,
    figure_png,
    live,
    scatter_3d,
    show,
    signed,
    space_map,
)
from latentlib.plots.images import show_images, to_png, to_uint8
from latentlib.plots.style import LABEL_COLOURS, PALETTE, colour
