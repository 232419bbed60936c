"""What is done with a style-based generator: its codes, pictures to codes, codes to children."""

from latentlib._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, rooms=("blending", "inversion", "lbfgs", "tuning", "w_space"))
