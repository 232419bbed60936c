"""From two aligned photos to their tuned child, beside pivotal tuning of each parent alone.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_tuning``. The aim on 2 cores: at most 5 s for the child
of the shipped network. The peer tunes a copy for each of the two portraits by itself, as the paper does, with as many
steps. In a row the ratio is peer / value, so that more is better; the errors are those of the parents.
"""

from __future__ import annotations

import torch

from benchmarks.rows import Row
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.device import Stopwatch, pick_device
from latentlib.gan import tuning


def run(steps: int = tuning.STEPS) -> list[Row]:
    """Seconds from the photos to the child, and the squared error of the parents."""
    device = pick_device()
    names = ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    generator, encoder, discriminator = (weights.load(name, device) for name in names)
    photos = portraits.load(device=device).images
    options = {"discriminator": discriminator, "progress": False}
    tuning.tune(generator, generator.w_avg.expand(2, -1), photos, steps=2, **options)  # wakes up threads and kernels
    with Stopwatch(device) as ours:
        pivots = tuning.pivots(generator, photos, encoder, progress=False)
        tuned = tuning.tune(generator, pivots.codes, photos, steps=steps, **options)
        with torch.no_grad():
            tuned.generator.draw(pivots.codes.mean(0, keepdim=True))
    with Stopwatch(device) as theirs:
        alone = [tuning.pivotal(generator, photo[None], steps=2 * steps, **options) for photo in photos]
    error, peer = tuned.errors.mean().item(), torch.cat([one.errors for one in alone]).mean().item()
    return [
        Row("two photos to a tuned child: s (peer: each parent alone)", ours.seconds, theirs.seconds,
            theirs.seconds / ours.seconds),
        Row("two photos to a tuned child: error of the parents ×1000", 1e3 * error, 1e3 * peer, peer / error),
    ]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.3f} {row.peer:8.3f} {row.ratio:6.1f}×")
