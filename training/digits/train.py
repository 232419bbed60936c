"""Train the digit networks that the course ships, on MNIST: autoencoders of 2, 3, 10 and 30 numbers, a VAE of 2.

    python -m training.digits.train                    # train what is not trained yet, ship it, evaluate
    python -m training.digits.train digits-vae-2       # one of them
    python -m training.digits.train --evaluate         # only measure the shipped weights, beside PCA

The autoencoders learn by squared error summed over the 784 pixels, mean over the pictures, as in Hinton and
Salakhutdinov (Science 313, 2006); the VAE by its negative ELBO (Kingma and Welling, 2014).
Interrupt it at any time: each epoch leaves a checkpoint in LATENTLIB_RUNS (default ~/.cache/latentlib/runs), from which
the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import torch

from latentlib import weights
from latentlib.datasets import digits
from latentlib.device import autocast, pick_device
from latentlib.fit import full_precision, squared_error
from latentlib.models.autoencoder import Autoencoder
from latentlib.models.vae import VAE, elbo_parts, negative_elbo


class Recipe(NamedTuple):
    latent_dim: int
    hidden: tuple[int, ...]  # widths from picture to code
    epochs: int
    shifted: float = 0.0  # share of the pictures moved by up to a pixel
    vae: bool = False

    def network(self) -> Autoencoder | VAE:
        return (VAE if self.vae else Autoencoder)(self.latent_dim, hidden=self.hidden)


RECIPES = {
    # The large code is the only one that learns its pictures by heart.
    "digits-30": Recipe(30, (512, 256, 128), 36, shifted=0.5),
    "digits-2": Recipe(2, (256, 256, 128), 40),
    "digits-3": Recipe(3, (256, 256, 128), 40),
    "digits-10": Recipe(10, (256, 256, 128), 30),
    "digits-vae-2": Recipe(2, (256, 256, 128), 40, vae=True),
}
BATCH, MUON_RATE, ADAM_RATE = 1024, 0.015, 0.002


def runs_folder() -> Path:
    folder = Path(os.environ.get("LATENTLIB_RUNS") or Path.home() / ".cache" / "latentlib" / "runs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def optimizers(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, Adam for the biases: steps of equal size in all directions of a matrix.

    A deep autoencoder is the classical case in which plain gradient steps crawl (Martens 2010); here Muon (Jordan et
    al., 2024) reaches in 3 epochs what Adam reaches in 20.
    """
    if not hasattr(torch.optim, "Muon"):
        raise SystemExit(f"this script needs PyTorch 2.9 or newer for torch.optim.Muon, this is {torch.__version__}")
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=MUON_RATE, momentum=0.9, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.Adam(rest, lr=ADAM_RATE)]


def rate_at(progress: float) -> float:
    """Share of the full learning rate: up during the first twentieth, then straight down to nothing."""
    return min(progress / 0.05, (1 - progress) / 0.95)


def shifted(batch: torch.Tensor, share: float) -> torch.Tensor:
    """The last part of the batch moved by up to one pixel each way, in four groups; MNIST's border is empty."""
    kept = round(len(batch) * (1 - share))
    moves = [torch.roll(group, torch.randint(-1, 2, (2,)).tolist(), (2, 3)) for group in batch[kept:].chunk(4)]
    return torch.cat([batch[:kept], *moves])


@torch.no_grad()
def test_loss(model: Autoencoder | VAE, images: torch.Tensor) -> float:
    """The mean loss over the pictures, in full precision: squared error, or for a VAE nats (one drawn code each)."""
    torch.manual_seed(0)
    loss = negative_elbo if isinstance(model, VAE) else squared_error
    return sum(loss(model(x), x).item() * len(x) for x in images.split(2000)) / len(images)


def train(name: str, data: digits.Digits, device: torch.device, seed: int = 0) -> Autoencoder | VAE:
    """Train one network by its recipe, going on from its last checkpoint where there is one."""
    recipe = RECIPES[name]
    made_by = [list(recipe.hidden), recipe.epochs, recipe.shifted, seed]
    torch.manual_seed(seed)
    model = recipe.network().to(device)
    steppers = optimizers(model)
    loss = negative_elbo if recipe.vae else squared_error
    images, checkpoint, first = data.train_images, runs_folder() / f"{name}.pt", 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["recipe"] == made_by:
            model.load_state_dict(state["model"])
            for stepper, saved in zip(steppers, state["steppers"], strict=True):
                stepper.load_state_dict(saved)
            first = state["epoch"]
            print(f"{name}: going on after epoch {first} of {recipe.epochs}", flush=True)
    full_rates = [MUON_RATE, ADAM_RATE]
    steps = len(images) // BATCH
    for epoch in range(first, recipe.epochs):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        torch.manual_seed(seed * 1000 + epoch + 1)  # of the shifts and of what a VAE draws
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed * 1000 + epoch)).to(device)
        for step in range(steps):
            for stepper, rate in zip(steppers, full_rates, strict=True):
                progress = (epoch * steps + step + 1) / (recipe.epochs * steps + 1)
                stepper.param_groups[0]["lr"] = rate * rate_at(progress)
                stepper.zero_grad()
            batch = shifted(images[order[step * BATCH : (step + 1) * BATCH]], recipe.shifted)
            with autocast(device):
                output = model(batch)
            value = loss(full_precision(output), batch)
            value.backward()
            for stepper in steppers:
                stepper.step()
            total += value.detach()
        state = {
            "model": model.state_dict(),
            "steppers": [stepper.state_dict() for stepper in steppers],
            "epoch": epoch + 1,
            "recipe": made_by,
        }
        torch.save(state, checkpoint.with_suffix(".unfinished"))
        os.replace(checkpoint.with_suffix(".unfinished"), checkpoint)
        print(
            f"{name}, epoch {epoch + 1}/{recipe.epochs}: training {total.item() / steps:.3f}, "
            f"test {test_loss(model, data.test_images):.3f}, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
    return model


def pca_errors(data: digits.Digits, sizes: list[int]) -> dict[int, float]:
    """Test error of PCA, fitted to the training pictures, with each number of components."""
    images = data.train_images.flatten(1).double()
    mean = images.mean(0)
    _, directions = torch.linalg.eigh((images - mean).T @ (images - mean))
    test = data.test_images.flatten(1).double() - mean
    errors = {}
    for size in sizes:
        kept = directions[:, -size:]  # eigh sorts upwards
        errors[size] = (test - test @ kept @ kept.T).square().sum(1).mean().item()
    return errors


@torch.no_grad()
def evaluate(data: digits.Digits, device: torch.device) -> None:
    """Measure the shipped weights as they are loaded, and write what a notebook may quote."""
    shipped = [name for name in RECIPES if (weights.WEIGHTS / f"{name}.safetensors").is_file()]
    sizes = sorted(RECIPES[name].latent_dim for name in shipped if not RECIPES[name].vae)
    pca, rows = pca_errors(data, sizes), []
    for size in sizes:
        error = test_loss(weights.load(f"digits-{size}", device), data.test_images)
        rows.append({"numbers": size, "autoencoder": round(error, 3), "pca": round(pca[size], 3)})
        print(f"{size:3d} numbers: autoencoder {error:7.3f}, PCA {pca[size]:7.3f}")
    report = {
        "command": "python -m training.digits.train --evaluate",
        "measure": "squared error summed over 784 pixels, mean over MNIST's 10,000 test pictures, shipped weights",
        "hinton_salakhutdinov_30": 3.00,
        "rows": rows,
    }
    if "digits-vae-2" in shipped:
        report["vae"] = evaluate_vae(weights.load("digits-vae-2", device), data.test_images)
    (weights.WEIGHTS / "digits-evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def evaluate_vae(vae: VAE, images: torch.Tensor) -> dict:
    """What a picture costs the VAE, in nats, and the squared error of the picture drawn from its cloud's mean."""
    torch.manual_seed(0)
    parts = sum(torch.stack(elbo_parts(vae(x), x)) * len(x) for x in images.split(2000)) / len(images)
    missed, rent = parts.tolist()
    error = sum(squared_error(vae.decode(vae.encode(x)[0]), x).item() * len(x) for x in images.split(2000))
    report = {"numbers": 2, "missed": missed, "rent": rent, "squared_error": error / len(images)}
    print("VAE, 2 numbers:", ", ".join(f"{name} {value:.2f}" for name, value in report.items()))
    return {name: round(value, 2) for name, value in report.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECIPES)}; none means all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--evaluate", action="store_true", help="only measure the shipped weights")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in RECIPES]:
        parser.error(f"no recipe for {', '.join(unknown)}; there are: {', '.join(RECIPES)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    data = digits.load("mnist", device)
    if not arguments.evaluate:
        for name in arguments.names or RECIPES:
            model = train(name, data, device)
            network = {"latent_dim": RECIPES[name].latent_dim, "hidden": RECIPES[name].hidden}
            weights.save_weights(name, model, {"network": network, "trained_on": "MNIST"})
    evaluate(data, device)


if __name__ == "__main__":
    main()
