"""One MNIST epoch in ``fit`` beside a plain DataLoader loop.

Same model, batch size, optimiser and number of steps for both. It needs MNIST (LATENTLIB_DATA, or the cache).
The aim: 4 times the plain loop, at the same test loss.
"""

from __future__ import annotations

import contextlib
import io

import torch

from benchmarks.rows import LeftOut, Row, turn_by_turn
from latentlib.datasets import digits
from latentlib.device import pick_device, synchronize
from latentlib.fit import fit, squared_error
from latentlib.models.autoencoder import Autoencoder
from latentlib.settings import cache_folder, data_folder

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
    root = given if given and (given / "MNIST").is_dir() else cache_folder()
    model = new_model(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for batch, _ in DataLoader(MNIST(root, transform=ToTensor()), batch_size=BATCH, shuffle=True):
        batch = batch.to(device)
        loss = squared_error(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def run(rounds: int = 5) -> list[Row]:
    """Seconds of an epoch, and test losses after it; raises LeftOut where there is no MNIST."""
    device = pick_device()
    try:
        data = digits.load("mnist", device)
    except (RuntimeError, OSError) as error:
        raise LeftOut(str(error)) from error
    models = {}

    def ours() -> None:
        models["fit"] = new_model(device)
        with contextlib.redirect_stderr(io.StringIO()):  # the progress bar is drawn, but not into the table
            fit(models["fit"], data.train_images, epochs=1, batch_size=BATCH, learning_rate=RATE)
        synchronize(device)

    def loop() -> None:
        models["loop"] = plain_loop(device)
        synchronize(device)

    seconds = turn_by_turn(rounds, ours, loop)
    with torch.no_grad():
        losses = [squared_error(models[name](data.test_images), data.test_images).item() for name in ("fit", "loop")]
    return [
        Row("MNIST epoch in fit: s (peer: plain DataLoader loop)", *seconds),
        Row("test loss after the epoch in fit (peer: plain DataLoader loop)", *losses),
    ]
