"""Train the furniture models that the course ships: autoencoders, a space for walks, a colour-blind code, a regressor.

    python -m training.furniture.train                          # train what is not trained yet, ship it, evaluate
    python -m training.furniture.train --only furniture-walk    # one of them
    python -m training.furniture.train --minutes 10             # stop after ten minutes; the same command goes on
    python -m training.furniture.train --evaluate               # only measure the shipped weights

All of them learn from rendered pictures, and are measured on other pictures, rendered from other seeds. Each minute
leaves a checkpoint in LATENTLIB_RUNS (default ~/.cache/latentlib/runs), from which the same command goes on.
The figures go to data/weights/furniture-evaluation.json and furniture.md (see furniture_figures.py).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentlib.datasets import furniture
from latentlib.device import autocast, pick_device
from latentlib.models.autoencoder import ConvAutoencoder
from latentlib.models.regressor import Regressor
from latentlib.models.vae import VAE
from latentlib.weights import WEIGHTS, save_weights
from training.furniture.figures import card, evaluate

SHAPE = ("kind", "width", "depth", "height", "leg", "back", "arms", "turn", "tilt")  # all factors but the colour
BATCH, POOL = 64, 32768
MUON_RATE, ADAM_RATE = 0.01, 0.002


class Recipe(NamedTuple):
    build: Callable[[], nn.Module]
    settings: dict  # what weights.load needs to build it again
    size: int  # of the pictures
    steps: int  # of BATCH pictures
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, images, factors -> a number to make small


def rebuild_error(model: nn.Module, images: Tensor, factors: Tensor) -> Tensor:
    """Squared error summed over the pixels, mean over the pictures."""
    return (model(images).float() - images).square().sum() / len(images)


def walk_error(model: VAE, images: Tensor, factors: Tensor) -> Tensor:
    """A VAE's loss: squared error, in which errors of colour count more than errors of brightness, plus WALK_BETA times
    the cost of the code. With plain squared error the greens were lost: they differ too little from the greys."""
    logits, mean, log_variance = model(images)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / len(images)
    wrong = torch.sigmoid(logits) - images
    colour = wrong - wrong.mean(dim=1, keepdim=True)
    return (wrong.square().sum() + WALK_COLOUR * colour.square().sum()) / len(images) + WALK_BETA * divergence


def reading_error(model: Regressor, images: Tensor, factors: Tensor) -> Tensor:
    """Squared error in units of each factor's spread, so that metres and degrees count alike."""
    wanted = factors[:, [furniture.column(name) for name in model.names]]
    return ((model(images) - wanted) / model.spread).square().mean()


WALK_BETA, WALK_COLOUR = 0.05, 5.0


def autoencoder(latent_dim: int, steps: int) -> Recipe:
    settings = {"latent_dim": latent_dim, "size": 32, "width": 16}
    return Recipe(lambda: ConvAutoencoder(**settings), settings, 32, steps, rebuild_error)


def regressor(names: tuple[str, ...], latent_dim: int, size: int, steps: int) -> Recipe:
    settings = {"names": list(names), "latent_dim": latent_dim, "size": size, "width": 16}
    return Recipe(lambda: Regressor(**settings), settings, size, steps, reading_error)


MEANS = {"latent_dim": 32, "size": 64, "width": 16}
WALK = {"latent_dim": 32, "shape": [3, 64, 64], "conv": True, "width": 16}
RECIPES = {
    **{f"furniture-{n}": autoencoder(n, 1000) for n in (64, 32, 16, 8, 4, 2)},
    "furniture-walk": Recipe(lambda: VAE(**WALK), WALK, 64, 4000, walk_error),
    "furniture-regressor": regressor(furniture.FACTORS, 128, 64, 1000),
    "furniture-colour-blind": regressor(SHAPE, 8, 32, 1000),
}


def means_only(model: VAE) -> ConvAutoencoder:
    """The VAE as a plain autoencoder whose codes are the means: after training nobody needs the variances."""
    plain = ConvAutoencoder(**MEANS)
    weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
    last = max(int(key.split(".")[1]) for key in weights if key.startswith("encoder."))
    for key in (f"encoder.{last}.weight", f"encoder.{last}.bias"):
        weights[key] = weights[key][: MEANS["latent_dim"]]
    plain.load_state_dict(weights)
    return plain.eval()


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal: equally long in all directions of a matrix (Jordan et al., 2024).

    torch.optim.Muon takes matrices only; here a convolution's kernel counts as one, (out, in * height * width). On the
    32×32 autoencoder 200 of these steps reach what 1,600 steps of Adam reach.
    """

    def __init__(self, parameters: list[Tensor], lr: float, momentum: float = 0.9):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                past = self.state[p].setdefault("momentum", torch.zeros_like(p))
                past.mul_(group["momentum"]).add_(p.grad)
                step = orthogonal((p.grad + group["momentum"] * past).reshape(len(p), -1))
                p.add_(step.reshape(p.shape), alpha=-0.2 * group["lr"] * max(step.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1, by five Newton-Schulz steps."""
    wide = matrix.bfloat16() if len(matrix) <= matrix.shape[1] else matrix.bfloat16().T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = wide @ wide.T
        wide = 3.4445 * wide + (2.0315 * square @ square - 4.7750 * square) @ wide
    return (wide if len(matrix) <= matrix.shape[1] else wide.T).float()


def runs_folder() -> Path:
    folder = Path(os.environ.get("LATENTLIB_RUNS") or Path.home() / ".cache" / "latentlib" / "runs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pool(size: int) -> tuple[Tensor, Tensor]:
    """The pictures to learn from, (POOL, 3, size, size) uint8, and their factors; rendered once, then kept."""
    path = runs_folder() / f"furniture-pool-{size}.pt"
    factors = furniture.sample_factors(POOL, seed=1)
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if torch.equal(kept["factors"], factors):
            return kept["images"], factors
    images = torch.cat([(furniture.render(part, size) * 255).round().byte() for part in factors.split(1024)])
    torch.save({"images": images, "factors": factors}, path)
    return images, factors


def train(name: str, device: torch.device, until: float) -> nn.Module | None:
    """Train one model by its recipe, from its last checkpoint on; None when the time was up before it was done."""
    recipe = RECIPES[name]
    images, factors = (table.to(device) for table in pool(recipe.size))
    torch.manual_seed(0)
    model = recipe.build().to(device).to(memory_format=torch.channels_last)
    if isinstance(model, Regressor):
        model.learn_units(factors[:, [furniture.column(n) for n in model.names]])
    steppers = [
        Muon([p for p in model.parameters() if p.ndim > 1], MUON_RATE),
        torch.optim.Adam([p for p in model.parameters() if p.ndim == 1], ADAM_RATE),
    ]
    path, first, spent = runs_folder() / f"{name}.pt", 0, 0.0
    if path.exists():
        kept = torch.load(path, weights_only=True, map_location=device)
        if kept["recipe"] == [recipe.settings, recipe.steps]:
            model.load_state_dict(kept["model"])
            for stepper, state in zip(steppers, kept["steppers"], strict=True):
                stepper.load_state_dict(state)
            first, spent = kept["step"], kept["seconds"]
    saved = start = time.perf_counter()
    total = torch.zeros((), device=device)
    for step in range(first, recipe.steps):
        progress = step / recipe.steps
        for stepper, rate in zip(steppers, (MUON_RATE, ADAM_RATE), strict=True):
            # Up during the first twentieth, then straight down to nothing.
            stepper.param_groups[0]["lr"] = rate * min((progress + 1 / recipe.steps) / 0.05, (1 - progress) / 0.95)
        chosen = torch.randint(POOL, (BATCH,), device=device)
        batch = images[chosen].float().div_(255).to(memory_format=torch.channels_last)
        with autocast(device):
            loss = recipe.loss(model, batch, factors[chosen])
        model.zero_grad()
        loss.backward()
        for stepper in steppers:
            stepper.step()
        total += loss.detach()
        last = step + 1 == recipe.steps
        if (step + 1) % 200 == 0 or last:
            print(f"{name}: step {step + 1} of {recipe.steps}, loss {total.item() / 200:.4g}", flush=True)
            total.zero_()
        if last or time.perf_counter() - saved > 60 or time.time() > until:
            saved = time.perf_counter()
            kept = {"recipe": [recipe.settings, recipe.steps], "step": step + 1, "seconds": spent + saved - start}
            kept |= {"model": model.state_dict(), "steppers": [stepper.state_dict() for stepper in steppers]}
            torch.save(kept, path.with_suffix(".unfinished"))
            os.replace(path.with_suffix(".unfinished"), path)
        if time.time() > until and not last:
            return None
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=RECIPES, help="train this model and no other")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time; the same command goes on")
    parser.add_argument("--evaluate", action="store_true", help="measure the shipped weights without training")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    until, device = time.time() + 60 * arguments.minutes, pick_device(arguments.device)
    for name in [] if arguments.evaluate else [arguments.only] if arguments.only else RECIPES:
        model = train(name, device, until)
        if model is None:
            print(f"{name} is not done; run the same command again to go on")
            return
        settings = {"network": RECIPES[name].settings, "trained_on": "rendered furniture"}
        if isinstance(model, VAE):
            model, settings = means_only(model), {**settings, "network": MEANS, "learned_as": "VAE"}
        save_weights(name, model, settings)
    if arguments.only:
        return
    figures = evaluate(pool)
    (WEIGHTS / "furniture-evaluation.json").write_text(json.dumps(figures, indent=2) + "\n")
    (WEIGHTS / "furniture.md").write_text(card(figures, POOL))
    print(card(figures, POOL))


if __name__ == "__main__":
    main()
