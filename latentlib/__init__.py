"""latentlib: the helper package of the course "What is latent space?".

Importing it costs nothing: a module is loaded at its first use, as ``latentlib.space``.
"""

import importlib

from latentlib import settings

__version__ = "0.3.0"
__all__ = [
    "claims", "datasets", "device", "exercises", "fit", "gan", "metrics", "models", "nvidia", "photos", "plots",
    "settings", "space", "weights", "widgets",
]  # fmt: skip

settings.set_variables()


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"latentlib.{name}")
    raise AttributeError(f"module 'latentlib' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
