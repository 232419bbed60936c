"""The look that all pictures share: colours that everybody can tell apart, type that a projector shows."""

from __future__ import annotations

# Okabe and Ito, "Color Universal Design" (2008): eight colours that people with any colour vision tell apart.
PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
# One colour for each class 0 ... 9: the palette without its yellow (too pale for small points), and three more.
LABEL_COLOURS = [
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8A8A8A", "#B5A800", "#7A3E9D",
]  # fmt: skip
# The same thing has the same colour in every notebook.
THINGS = {
    "pca": "orange",
    "autoencoder": "blue",
    "vae": "green",
    "your run": "sky",
    "denoising autoencoder": "purple",
    "pixels": "vermillion",
    "cross-fade": "vermillion",
    "latent path": "blue",
    "latent space": "blue",
    "classifier": "purple",
    "training": "blue",
    "validation": "vermillion",
    "test": "vermillion",
    "chair": "blue",
    "table": "vermillion",
    "t-sne": "green",
    "umap": "purple",
    "hinton": "black",
    "chance": "black",
}


def style() -> None:
    """Set the course's look for every matplotlib figure made from now on; importing this room calls it."""
    import matplotlib
    from cycler import cycler

    colours = [PALETTE[name] for name in ("blue", "orange", "green", "vermillion", "purple", "sky", "black")]
    matplotlib.rcParams.update(
        {
            "figure.figsize": (7.0, 4.0),
            "figure.dpi": 96,
            "savefig.dpi": 96,
            "figure.facecolor": "white",  # stays readable in a dark theme: a figure is a sheet of paper
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=colours),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 13,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "font.size": 12,
            "lines.linewidth": 2.2,
            "lines.markersize": 6,
            "image.interpolation": "nearest",
            "image.cmap": "gray",
        }
    )


def colour(name: str) -> str:
    """The colour of a thing ("pca", "autoencoder", "cross-fade", ...) or of a palette name ("blue"), as "#rrggbb"."""
    key = name.lower()
    if key not in THINGS and key not in PALETTE:
        raise ValueError(f'no colour is set for "{name}"; known: {", ".join([*THINGS, *PALETTE])}')
    return PALETTE[THINGS.get(key, key)]
