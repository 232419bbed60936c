"""latentlib: the helper package of the course "What is latent space?".

One room for each kind of thing. Importing the package opens no room, so that it costs nothing; a room opens at its
first use: ``latentlib.space.lerp`` works after ``import latentlib``, as ``from latentlib import space`` does.
"""

from latentlib import before_torch
from latentlib._lazy import attach

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = attach(
    __name__,
    rooms=(
        "bootstrap",
        "claims",
        "datasets",
        "device",
        "download",
        "exercises",
        "folders",
        "foreign",
        "gan",
        "metrics",
        "models",
        "photos",
        "plots",
        "space",
        "training",
        "weights",
        "widgets",
    ),
)

before_torch.set_variables()
