"""What is done with a style-based generator: pictures to codes, a copy tuned on photos, codes to children."""

from latentlib.gan import blending, inversion, tuning
