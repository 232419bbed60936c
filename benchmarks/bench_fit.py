"""One MNIST epoch in ``fit`` beside a plain DataLoader loop, and beside the floor of stepping on one fixed batch.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_fit``. Same model, batch size, optimiser and number of
steps for all; the peers take turns, and each figure is the median of the rounds. It needs MNIST (LATENTLIB_DATA, or the
cache). The aims: 0.9 of the floor, 4 times the plain loop, at the same test loss.

In a row the ratio is peer / value, so that more is better.
"""

from __future__ import annotations

import contextlib
import io
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.rows import LeftOut, Row
from latentlib.datasets import digits
from latentlib.device import Stopwatch, autocast, pick_device
from latentlib.fit import evaluate, fit, squared_error
from latentlib.models.autoencoder import Autoencoder
from latentlib.settings import cache_folder, data_folder

ROUNDS = 5
BATCH, RATE = 256, 1e-3


def new_model(device: torch.device) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(30).to(device)


def plain_loop(device: torch.device) -> Autoencoder:
    """The loop that most tutorials write: torchvision's MNIST, a DataLoader, full precision, Adam as it comes."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import MNIST
    from torchvision.transforms import ToTensor

    given = data_folder()
    root: Path = given if given and (given / "MNIST").is_dir() else cache_folder()
    model = new_model(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for batch, _ in DataLoader(MNIST(root, transform=ToTensor()), batch_size=BATCH, shuffle=True):
        batch = batch.to(device)
        loss = squared_error(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def resident(device: torch.device, data: digits.Digits) -> Autoencoder:
    model = new_model(device)
    with contextlib.redirect_stderr(io.StringIO()):  # the progress bar is drawn, but not into the table
        fit(model, data.train_images, epochs=1, batch_size=BATCH, learning_rate=RATE)
    return model


def fixed_batch(device: torch.device, images: torch.Tensor, fast: bool) -> None:
    """As many steps as an epoch has, all on one batch: no data is moved, so that nothing but the step is left.

    fast: the step of ``fit`` (bfloat16, fused Adam); else the step of the plain loop.
    """
    model = new_model(device)
    batch = images[:BATCH].contiguous()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fast)
    for _ in range(-(-len(images) // BATCH)):
        with autocast(device, fast):
            output = model(batch)
        loss = squared_error(output.float(), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def run(rounds: int = ROUNDS) -> list[Row]:
    """Seconds of an epoch, and test losses after it; raises LeftOut where there is no MNIST."""
    device = pick_device()
    try:
        data = digits.load("mnist", device)
    except (RuntimeError, FileNotFoundError) as error:
        raise LeftOut(str(error)) from error
    arms: dict[str, Callable[[], Autoencoder | None]] = {
        "loop": lambda: plain_loop(device),
        "fit": lambda: resident(device, data),
        "fast floor": lambda: fixed_batch(device, data.train_images, True),
        "plain floor": lambda: fixed_batch(device, data.train_images, False),
    }
    few = data.train_images[: 4 * BATCH]
    for fast in (True, False):  # the first steps also wake up threads and kernels
        fixed_batch(device, few, fast)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    losses: dict[str, float] = {}
    for _ in range(rounds):
        for name, arm in arms.items():
            with Stopwatch(device) as watch:
                model = arm()
            seconds[name].append(watch.seconds)
            if model is not None:
                losses[name] = evaluate(model, data.test_images, data.test_images)

    def row(name: str, value: str, peer: str) -> Row:
        ratios = [theirs / ours for ours, theirs in zip(seconds[value], seconds[peer], strict=True)]
        return Row(name, statistics.median(seconds[value]), statistics.median(seconds[peer]), statistics.median(ratios))

    return [
        row("MNIST epoch in fit: s (peer: plain DataLoader loop)", "fit", "loop"),
        row("MNIST epoch in fit: s (peer: its step on one fixed batch)", "fit", "fast floor"),
        row("fit's step on one fixed batch: s an epoch (peer: the plain step)", "fast floor", "plain floor"),
        Row(
            "test loss after the epoch in fit (peer: plain DataLoader loop)",
            losses["fit"],
            losses["loop"],
            losses["loop"] / losses["fit"],
        ),
    ]


if __name__ == "__main__":
    for line in run():
        print(f"{line.name:68} {line.value:8.2f} {line.peer:8.2f} {line.ratio:6.2f}×")
