"""Furniture pictures a second: whole batches beside the same pictures drawn one by one by the same code.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_furniture``.

In a row the ratio is value / peer, so that more is better.
"""

from __future__ import annotations

import statistics

import torch

from benchmarks.rows import Row
from latentlib.datasets import furniture
from latentlib.device import Stopwatch, pick_device

ROUNDS, BATCH, ONE_BY_ONE = 7, 384, 24


def run() -> list[Row]:
    """Pictures a second of `furniture.render` at two sizes; on the GPU too where there is one."""
    devices = {"cpu", pick_device("auto").type}
    return [_row(size, torch.device(device)) for device in sorted(devices) for size in (64, 32)]


def _row(size: int, device: torch.device) -> Row:
    factors = furniture.sample_factors(BATCH if device.type == "cpu" else 16 * BATCH, device=device)
    furniture.render(factors, size)
    batch, single = [], []
    for _ in range(ROUNDS):  # turn by turn, so that a busy moment hits both
        with Stopwatch(device) as watch:
            furniture.render(factors, size)
        batch.append(len(factors) / watch.seconds)
        with Stopwatch(device) as watch:
            for i in range(ONE_BY_ONE):
                furniture.render(factors[i : i + 1], size)
        single.append(ONE_BY_ONE / watch.seconds)
    value, peer = statistics.median(batch), statistics.median(single)
    return Row(f"furniture {size}×{size} on {device.type}: pictures/s (peer: one by one)", value, peer, value / peer)


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.0f} {row.peer:8.0f} {row.ratio:6.1f}×")
