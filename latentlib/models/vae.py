"""A variational autoencoder: each picture becomes a small cloud of codes, so that the space between codes is used too.

Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from latentlib.models.autoencoder import Autoencoder, Coder, check_batch


class VAE(Coder):
    """An autoencoder whose encoder gives a mean and a variance for each number of the code.

    It is built around the plain autoencoder: the encoder has twice as many outputs, the decoder is the same.
    """

    def __init__(
        self,
        latent_dim: int,  # how many numbers stand for a picture
        shape: Sequence[int] = (1, 28, 28),  # channels, height, width
        hidden: Sequence[int] = (512, 128),  # widths of the fully connected layers
    ):
        super().__init__(latent_dim, shape)
        self.encoder = Autoencoder(2 * latent_dim, shape, hidden).encoder
        self.decoder = Autoencoder(latent_dim, shape, hidden).decoder

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.distribution(images)[0]  # the middle of each cloud: (n, latent_dim), as an autoencoder gives

    def distribution(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        check_batch("images", images, self.shape)
        mean, log_variance = self.encoder(images).float().chunk(2, dim=1)  # (n, c, h, w) -> (n, latent_dim) twice
        return mean, log_variance.clamp(-12, 8)  # beyond, exp() would drown the gradient in one bad step

    def sample(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """One code from each cloud, by the reparameterisation trick: so gradients reach mean and variance."""
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.distribution(images)
        logits = self.decoder(self.sample(mean, log_variance)).float()  # decode squeezes them into pictures
        return logits, mean, log_variance


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """How much clouds differ from a standard Gaussian, in nats a picture: (n, d) twice -> a scalar.

    The Kullback-Leibler divergence, summed over the numbers, mean over the pictures (Kingma and Welling, appendix B).
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / len(mean)


def negative_elbo(output: tuple[torch.Tensor, torch.Tensor, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Minus the evidence lower bound in nats a picture, a scalar, for ``fit(vae, images, loss=negative_elbo)``."""
    return sum(elbo_parts(output, images))


def elbo_parts(
    output: tuple[torch.Tensor, torch.Tensor, torch.Tensor],  # what forward gives: logits, mean, log_variance
    images: torch.Tensor,  # (n, c, h, w) in [0, 1]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two scalars in nats, each the mean over the pictures: what the decoder misses, and what the code may cost.

    The first is -log p(picture | code) with a Bernoulli distribution for each pixel, summed over the pixels, taken from
    the logits, so that a pixel that is certain and wrong costs what it should and gives no infinite slope.
    """
    logits, mean, log_variance = output
    missed = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return missed, kl_divergence(mean, log_variance)
