"""A photo found in the space of faces: ``invert`` beside 1000 steps of the schedule of NVIDIA's projector.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_inversion``. Both search in W+ for the smallest squared
error, noise off, on the same photos: the two portraits of the course, and for the batch of eight their mirror images
and darker versions too. The curves of error against seconds go to build/inversion-curves.png.

The aims on 2 cores: at most 3 s for one photo and 1 s a face in batches of 8, with an error no worse than the peer's.
In a row the ratio is peer / value, so that more is better.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch

from benchmarks.rows import Row
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.device import autocast, pick_device, synchronize
from latentlib.gan.inversion import Point, invert
from latentlib.weights import WeightsError

PROJECTOR_STEPS = 1000
CURVES = Path(__file__).resolve().parents[1] / "build" / "inversion-curves.png"


def projector(generator, images: torch.Tensor, steps: int = PROJECTOR_STEPS) -> list[Point]:
    """Adam as in the projector of StyleGAN2 (Karras et al. 2020, appendix D), in W+ and with the squared error.

    Learning rate 0.1 with a ramp up over the first 5 % and a cosine down over the last 25 %; noise is added to the
    codes in the first three quarters. Arithmetic in bfloat16 where the device is faster with it. The error of each
    point is that of the picture as it was drawn, noise included; the last point is without.
    """
    noise = torch.Generator().manual_seed(0)
    w = generator.mapping(torch.randn(10_000, generator.z_dim, generator=noise).to(images.device))
    spread = (w - generator.w_avg).square().sum(1).mean().sqrt()  # of w around its mean, as the projector measures it
    w_plus = generator.w_avg.repeat(len(images), generator.num_ws, 1).requires_grad_()
    optimizer = torch.optim.Adam([w_plus], betas=(0.9, 0.999))
    history, began = [], time.perf_counter()
    for step in range(steps + 1):
        share = step / steps
        ramp = min(1.0, (1 - share) / 0.25)
        optimizer.param_groups[0]["lr"] = 0.1 * (0.5 - 0.5 * math.cos(math.pi * ramp)) * min(1.0, share / 0.05)
        level = spread * 0.05 * max(0.0, 1 - share / 0.75) ** 2
        shaken = w_plus + level * torch.randn(w_plus.shape, generator=noise).to(w_plus)
        with autocast(images.device, step < steps):
            drawn = generator.synthesis(shaken, noise=None)
        difference = drawn.float() / 2 + 0.5 - images
        optimizer.zero_grad()
        difference.square().flatten(1).mean(1).sum().backward()
        optimizer.step()
        error = (drawn.detach().float() / 2 + 0.5).clamp(0, 1).sub(images).square().mean().item()
        history.append(Point(step, time.perf_counter() - began, error))
    return history


def run(steps: int | None = None, projector_steps: int = PROJECTOR_STEPS, curves: Path | None = CURVES) -> list[Row]:
    """Seconds a face and squared errors, for one photo and for eight; steps: None for the method's own number."""
    device = pick_device()
    generator = weights.load("faces-64", device)
    try:
        encoder = weights.load("faces-64-encoder", device)
    except WeightsError:
        encoder = None  # the search then starts at the mean face
    one = portraits.load().images[:1].to(device)
    both = portraits.load().images.to(device)
    mirrored = torch.cat([both, both.flip(3)])
    rows, drawn = [], {}
    for name, images in (("one photo", one), ("8 photos", torch.cat([mirrored, 0.8 * mirrored]))):
        invert(generator, images, steps=2, encoder=encoder, progress=False)  # wakes up threads and kernels
        found = invert(generator, images, steps=steps, encoder=encoder, progress=False)
        peer = projector(generator, images, projector_steps)
        synchronize(device)
        drawn[name] = (found.history, peer)
        rows += compare(name, len(images), found.history, peer)
    if curves is not None:
        draw_curves(drawn, curves)
    return rows


def compare(name: str, count: int, ours: list[Point], peer: list[Point]) -> list[Row]:
    """Rows for one set of photos: seconds and error at the end, and seconds until the peer's last error is reached."""
    seconds, theirs = ours[-1].seconds / count, peer[-1].seconds / count
    against = f"(peer: {peer[-1].step} steps of the projector)"
    rows = [
        Row(f"{name}, hybrid: s a face {against}", seconds, theirs, theirs / seconds),
        Row(
            f"{name}, hybrid: error ×1000", 1e3 * ours[-1].error, 1e3 * peer[-1].error, peer[-1].error / ours[-1].error
        ),
    ]
    reached = [point.seconds / count for point in ours if point.error <= peer[-1].error]
    first = reached[0] if reached else math.inf
    rows.append(Row(f"{name}, hybrid: s a face until the peer's error is reached", first, theirs, theirs / first))
    return rows


def draw_curves(drawn: dict[str, tuple[list[Point], list[Point]]], path: Path) -> None:
    from matplotlib.figure import Figure

    fig = Figure(figsize=(9, 3.6), layout="constrained")
    for ax, (name, both) in zip(fig.subplots(1, len(drawn), sharey=True), drawn.items(), strict=True):
        for points, label in zip(both, ("invert, hybrid", f"projector, {both[1][-1].step} steps"), strict=True):
            ax.loglog([max(point.seconds, 1e-3) for point in points], [point.error for point in points], label=label)
        ax.set(title=name, xlabel="seconds")
        ax.legend()
    fig.axes[0].set_ylabel("squared error")
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=120)


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.3f} {row.peer:8.3f} {row.ratio:6.1f}×")
    print(f"the curves: {CURVES}")
