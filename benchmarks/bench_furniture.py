"""Furniture drawn as a batch beside the same pictures drawn one by one by the same code."""

from __future__ import annotations

from benchmarks.rows import Row, turn_by_turn
from latentlib.datasets import furniture
from latentlib.device import pick_device, synchronize

BATCH, FEW = 384, 24


def run(rounds: int = 7) -> list[Row]:
    """Milliseconds a picture of `furniture.render` at two sizes."""
    device = pick_device()
    factors, rows = furniture.sample_factors(BATCH, device=device), []

    def draw(chosen, size: int) -> None:
        for part in chosen:
            furniture.render(part, size)
        synchronize(device)

    for size in (64, 32):
        batch, single = turn_by_turn(
            rounds,
            lambda size=size: draw([factors], size),
            lambda size=size: draw(factors[:FEW].split(1), size),
        )
        name = f"furniture {size}×{size} on {device.type}: ms a picture (peer: one by one)"
        rows.append(Row(name, 1000 * batch / BATCH, 1000 * single / FEW))
    return rows
