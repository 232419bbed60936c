"""Plots and pictures, all in one style; whatever is shown leaves through ``show`` or ``show_images``."""

from latentlib.plots.diagrams import bottleneck, decoded_map, dots, signed
from latentlib.plots.figures import bars, curves, draw_codes, figure, figure_png, grouped_bars, scatter_3d, show
from latentlib.plots.images import film_strip, publish, show_images, to_png, to_uint8
from latentlib.plots.kinship import KinshipTable, kinship_map
from latentlib.plots.live import LiveCurve
from latentlib.plots.space_maps import ruler_test, space_map
from latentlib.plots.style import LABEL_COLOURS, PALETTE, colour
