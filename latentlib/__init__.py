"""latentlib: the helper package of the course "What is latent space?".

One room for each thing a learner does. Importing the package imports no room, so that it costs nothing;
write ``from latentlib import space`` or ``from latentlib.datasets import furniture`` for the room you need.
"""

from latentlib import before_torch

__version__ = "0.1.0"

before_torch.set_variables()
