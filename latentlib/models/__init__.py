"""Plain ``nn.Module`` networks, each file read in one sitting."""

from latentlib.models import autoencoder, vae

__all__ = ["autoencoder", "vae"]  # what a lesson builds itself: `from latentlib import models`, `models.vae.VAE(2)`
