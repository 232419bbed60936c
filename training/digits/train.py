"""Train the digit networks that the course ships, on MNIST: autoencoders of 2, 3, 10 and 30 numbers, a VAE of 2.

python -m training.digits.train                    # train what is not trained yet, and ship it
python -m training.digits.train digits-vae-2       # one of them
python -m training.evaluate digits                 # measure what is shipped, beside PCA

The autoencoders learn by squared error summed over the 784 pixels, mean over the pictures, as in Hinton and
Salakhutdinov (Science 313, 2006); the VAE by its negative ELBO (Kingma and Welling, 2014).
"""

from functools import cache

import torch

from latentlib.datasets import digits
from latentlib.fit import squared_error
from latentlib.models.autoencoder import Autoencoder
from latentlib.models.vae import VAE, negative_elbo
from training import small

BATCH, RATE = 1024, 0.015


@cache
def pictures(device: torch.device) -> torch.Tensor:
    return digits.load("mnist", device).train_images


def shifted(batch: torch.Tensor, share: float) -> torch.Tensor:
    """The last part of the batch moved by up to one pixel each way, in four groups; MNIST's border is empty."""
    kept = round(len(batch) * (1 - share))
    moves = [torch.roll(group, torch.randint(-1, 2, (2,)).tolist(), (2, 3)) for group in batch[kept:].chunk(4)]
    return torch.cat([batch[:kept], *moves])


def recipe(latent_dim: int, hidden: tuple[int, ...], epochs: int, moved: float = 0.0, vae: bool = False):
    """moved: share of the pictures moved by up to a pixel."""
    settings = {"latent_dim": latent_dim, "hidden": list(hidden)}

    def draw(step: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        images = pictures(device)
        epoch, place = divmod(step, len(images) // BATCH)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch)).to(device)
        batch = images[order[place * BATCH : (place + 1) * BATCH]]
        return (shifted(batch, moved) if moved else batch), batch

    return small.Recipe(
        build=lambda: (VAE if vae else Autoencoder)(latent_dim, hidden=hidden),
        settings=settings,
        steps=epochs * (60_000 // BATCH),
        batch=BATCH,
        muon_rate=RATE,
        loss=small.rebuild(negative_elbo if vae else squared_error),
        draw=draw,
    )


RECIPES = {
    # The large code is the only one that learns its pictures by heart.
    "digits-30": recipe(30, (512, 256, 128), 36, moved=0.5),
    "digits-2": recipe(2, (256, 256, 128), 40),
    "digits-3": recipe(3, (256, 256, 128), 40),
    "digits-10": recipe(10, (256, 256, 128), 30),
    "digits-vae-2": recipe(2, (256, 256, 128), 40, vae=True),
}

if __name__ == "__main__":
    small.main(__doc__, RECIPES, "MNIST")
