"""Plots and pictures with alt text, all in one style; whatever is shown leaves through ``show`` or ``show_images``."""

from latentlib._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    rooms=("diagrams", "figures", "images", "kinship", "live", "space_maps", "style"),
    names={
        "diagrams": ("bottleneck", "decoded_map", "dots", "signed"),
        "figures": (
            "bars",
            "curves",
            "draw_codes",
            "figure",
            "figure_png",
            "grouped_bars",
            "scatter_3d",
            "show",
        ),
        "images": ("film_strip", "publish", "show_images", "to_png", "to_uint8"),
        "kinship": ("KinshipTable", "kinship_map"),
        "live": ("LiveCurve",),
        "space_maps": ("ruler_test", "space_map"),
        "style": ("LABEL_COLOURS", "PALETTE", "colour"),
    },
)
