"""Plain ``nn.Module`` networks, each file read in one sitting."""

from latentlib.models import autoencoder, vae  # what a lesson builds itself: `models.vae.VAE(2)`
