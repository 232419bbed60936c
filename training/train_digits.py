"""Train the digit autoencoders that the course ships, on MNIST: codes of 2, 3, 10 and 30 numbers.

    python training/train_digits.py                    # train what is not trained yet, ship it, evaluate
    python training/train_digits.py --code-size 30     # one of them
    python training/train_digits.py --evaluate         # only measure the shipped weights, beside PCA

Squared error summed over the 784 pixels, mean over the pictures, as in Hinton and Salakhutdinov (Science 313, 2006).
Interrupt it at any time: each epoch leaves a checkpoint in LATENTLIB_RUNS (default ~/.cache/latentlib/runs), from which
the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch

from latentlib.datasets import digits
from latentlib.device import autocast, pick_device
from latentlib.models.autoencoder import Autoencoder

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
RECIPES = {  # code size -> widths from picture to code, epochs, share of the pictures shifted by a pixel
    30: ((512, 256, 128), 36, 0.5),  # the large code is the only one that learns its pictures by heart
    2: ((256, 256, 128), 40, 0.0),
    3: ((256, 256, 128), 40, 0.0),
    10: ((256, 256, 128), 30, 0.0),
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


def squared_error(model: torch.nn.Module, images: torch.Tensor) -> float:
    """Summed over the pixels, mean over the pictures, in full precision."""
    with torch.no_grad():
        return sum((model(x) - x).square().sum(dtype=torch.float64).item() for x in images.split(2000)) / len(images)


def train(code_size: int, data: digits.Digits, device: torch.device, seed: int = 0) -> Autoencoder:
    """Train one autoencoder by its recipe, going on from its last checkpoint where there is one."""
    hidden, epochs, share = RECIPES[code_size]
    recipe = [list(hidden), epochs, share, seed]
    torch.manual_seed(seed)
    model = Autoencoder(code_size, hidden=hidden).to(device)
    steppers = optimizers(model)
    images, checkpoint, first = data.train_images, runs_folder() / f"digits-{code_size}.pt", 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["recipe"] == recipe:
            model.load_state_dict(state["model"])
            for stepper, saved in zip(steppers, state["steppers"], strict=True):
                stepper.load_state_dict(saved)
            first = state["epoch"]
            print(f"{code_size} numbers: going on after epoch {first} of {epochs}", flush=True)
    full_rates = [MUON_RATE, ADAM_RATE]
    steps = len(images) // BATCH
    for epoch in range(first, epochs):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed * 1000 + epoch)).to(device)
        for step in range(steps):
            for stepper, rate in zip(steppers, full_rates, strict=True):
                stepper.param_groups[0]["lr"] = rate * rate_at((epoch * steps + step + 1) / (epochs * steps + 1))
                stepper.zero_grad()
            batch = shifted(images[order[step * BATCH : (step + 1) * BATCH]], share)
            with autocast(device):
                output = model(batch)
            loss = (output.float() - batch).square().sum() / len(batch)
            loss.backward()
            for stepper in steppers:
                stepper.step()
            total += loss.detach()
        state = {
            "model": model.state_dict(),
            "steppers": [stepper.state_dict() for stepper in steppers],
            "epoch": epoch + 1,
            "recipe": recipe,
        }
        torch.save(state, checkpoint.with_suffix(".unfinished"))
        os.replace(checkpoint.with_suffix(".unfinished"), checkpoint)
        print(
            f"{code_size} numbers, epoch {epoch + 1}/{epochs}: training {total.item() / steps:.3f}, "
            f"test {squared_error(model, data.test_images):.3f}, {time.perf_counter() - started:.0f} s",
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


def evaluate(data: digits.Digits, device: torch.device) -> None:
    """Measure the shipped weights as they are loaded, and write what a notebook may quote."""
    from latentlib.checkpoints import load_digit_autoencoder

    sizes = sorted(size for size in RECIPES if (WEIGHTS / f"digits-{size}.safetensors").is_file())
    pca, rows = pca_errors(data, sizes), []
    for size in sizes:
        error = squared_error(load_digit_autoencoder(size, device), data.test_images)
        rows.append({"numbers": size, "autoencoder": round(error, 3), "pca": round(pca[size], 3)})
        print(f"{size:3d} numbers: autoencoder {error:7.3f}, PCA {pca[size]:7.3f}")
    report = {
        "command": "python training/train_digits.py --evaluate",
        "measure": "squared error summed over 784 pixels, mean over MNIST's 10,000 test pictures, shipped weights",
        "hinton_salakhutdinov_30": 3.00,
        "rows": rows,
    }
    (WEIGHTS / "digits-evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--code-size", type=int, nargs="*", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--evaluate", action="store_true", help="only measure the shipped weights")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    data = digits.load("mnist", device)
    if not arguments.evaluate:
        for size in arguments.code_size:
            model = train(size, data, device)
            from latentlib.checkpoints import save_digit_autoencoder

            save_digit_autoencoder(model)
    evaluate(data, device)


if __name__ == "__main__":
    main()
