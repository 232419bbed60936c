"""Train the furniture models that the course ships: autoencoders, a space for walks, a colour-blind code, a regressor.

python -m training.furniture.train                     # train what is not trained yet, and ship it
python -m training.furniture.train furniture-walk      # one of them
python -m training.evaluate furniture                  # measure what is shipped

All of them learn from rendered pictures, and are measured on other pictures, rendered from other seeds.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from latentlib.datasets import furniture
from latentlib.models.autoencoder import Coder, ConvAutoencoder
from latentlib.models.regressor import Regressor
from latentlib.models.vae import VAE
from training import runs, small

SHAPE = ("kind", "width", "depth", "height", "leg", "back", "arms", "turn", "tilt")  # all factors but the colour
BATCH, POOL, RATE = 64, 32768, 0.01
WALK_BETA, WALK_COLOUR = 0.05, 5.0
MEANS = {"latent_dim": 32, "size": 64, "width": 16}


class ConvVAE(VAE):
    """A VAE with the layers of the autoencoder as which it is shipped."""

    def __init__(self, latent_dim: int, size: int, width: int):
        Coder.__init__(self, latent_dim, (3, size, size))
        self.encoder = ConvAutoencoder(2 * latent_dim, 3, size, width).encoder
        self.decoder = ConvAutoencoder(latent_dim, 3, size, width).decoder


@cache
def pool(size: int) -> tuple[Tensor, Tensor]:
    """The pictures to learn from, (POOL, 3, size, size) uint8, and their factors; rendered once, then kept."""
    path = runs.runs_folder() / f"furniture-pool-{size}.pt"
    factors = furniture.sample_factors(POOL, seed=1)
    kept = runs.read_checkpoint(path, torch.device("cpu"))
    if kept is None or not torch.equal(kept["factors"], factors):
        images = torch.cat([(furniture.render(part, size) * 255).round().byte() for part in factors.split(1024)])
        kept = {"images": images, "factors": factors}
        runs.save_atomically(kept, path)
    return kept["images"], factors


def draw_from(size: int) -> Callable[[int, torch.device], tuple[Tensor, Tensor]]:
    def draw(step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        images, factors = pool(size)
        chosen = torch.randint(len(images), (BATCH,))
        batch = images[chosen].to(device).float().div_(255).to(memory_format=torch.channels_last)
        return batch, factors[chosen].to(device)

    return draw


def walk_error(model: VAE, images: Tensor, factors: Tensor) -> Tensor:
    """A VAE's loss: squared error, in which errors of colour count more than errors of brightness, plus WALK_BETA times
    the cost of the code. With plain squared error the greens were lost: they differ too little from the greys."""
    logits, mean, log_variance = (part.float() for part in model(images))
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / len(images)
    wrong = torch.sigmoid(logits) - images
    colour = wrong - wrong.mean(dim=1, keepdim=True)
    return (wrong.square().sum() + WALK_COLOUR * colour.square().sum()) / len(images) + WALK_BETA * divergence


def reading_error(model: Regressor, images: Tensor, factors: Tensor) -> Tensor:
    """Squared error in units of each factor's spread, so that metres and degrees count alike."""
    wanted = factors[:, [furniture.column(name) for name in model.names]]
    return ((model(images) - wanted) / model.spread).square().mean()


def means_only(model: VAE) -> tuple[ConvAutoencoder, dict]:
    """The VAE as a plain autoencoder whose codes are the means: after training nobody needs the variances."""
    plain = ConvAutoencoder(**MEANS)
    weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
    last = max(int(key.split(".")[1]) for key in weights if key.startswith("encoder."))
    for key in (f"encoder.{last}.weight", f"encoder.{last}.bias"):
        weights[key] = weights[key][: MEANS["latent_dim"]]
    plain.load_state_dict(weights)
    return plain.eval(), {"network": MEANS, "learned_as": "VAE"}


def autoencoder(latent_dim: int, steps: int = 1000) -> small.Recipe:
    settings = {"latent_dim": latent_dim, "size": 32, "width": 16}
    loss = small.rebuild(lambda output, images: (output - images).square().sum() / len(images))
    return small.Recipe(lambda: ConvAutoencoder(**settings), settings, steps, BATCH, RATE, loss, draw_from(32))


def regressor(names: tuple[str, ...], latent_dim: int, size: int, steps: int = 1000) -> small.Recipe:
    settings = {"names": list(names), "latent_dim": latent_dim, "size": size, "width": 16}

    def build() -> Regressor:
        model = Regressor(**settings)
        numbers = furniture.sample_factors(POOL, seed=1)[:, [furniture.column(n) for n in names]]
        model.mean.copy_(numbers.mean(0))
        model.spread.copy_(numbers.std(0))
        return model

    return small.Recipe(build, settings, steps, BATCH, RATE, reading_error, draw_from(size))


RECIPES = {
    **{f"furniture-{n}": autoencoder(n) for n in (64, 32, 16, 8, 4, 2)},
    "furniture-walk": small.Recipe(
        lambda: ConvVAE(**MEANS), MEANS, 4000, BATCH, RATE, walk_error, draw_from(64), means_only
    ),
    "furniture-regressor": regressor(furniture.FACTORS, 128, 64),
    "furniture-colour-blind": regressor(SHAPE, 8, 32),
}

if __name__ == "__main__":
    small.main(__doc__, RECIPES, "rendered furniture")
