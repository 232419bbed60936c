"""From two aligned photos to their tuned child, beside the way of version 0.2: twice the search, Adam on all weights.

The aim: at most half of that way's time, at no loss. Errors are those of the parents; the child's detail is set beside
that of the photos.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from benchmarks.rows import Row, turn_by_turn
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.device import pick_device, thread_map
from latentlib.gan import tuning
from latentlib.gan.inversion import PictureError
from latentlib.metrics import detail, perceptual_distance


def by_adam(generator, codes: Tensor, images: Tensor, discriminator, steps: int = 150, rate: float = 3e-3):
    """A copy tuned by Adam on all weights of the synthesis network, as version 0.2 did."""
    tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format)
    learning = [p for name, p in tuned.synthesis.named_parameters() if not name.endswith("noise_strength")]
    for weight in learning:
        weight.requires_grad_(True)
    optimizer = torch.optim.Adam(learning, lr=rate, fused=images.device.type in ("cpu", "cuda"))

    def look(part: Tensor, error: PictureError) -> tuple[Tensor, ...]:
        return torch.autograd.grad(error(tuned.synthesis(part, noise=None) / 2 + 0.5).sum(), learning)

    with thread_map(images.device, len(images)) as (each, parts):
        errors = [PictureError(part, discriminator, 0.1) for part in images.chunk(parts)]
        for _ in range(steps):
            slopes = list(each(look, codes.chunk(parts), errors))
            for weight, *shares in zip(learning, *slopes, strict=True):
                weight.grad = sum(shares)
            optimizer.step()
    return tuned.requires_grad_(False)


def run(rounds: int = 3) -> list[Row]:
    """Seconds from the photos to the child, and what came out."""
    device = pick_device()
    names = ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    generator, encoder, discriminator = (weights.load(name, device) for name in names)
    photos = portraits.load(device=device).images
    came = {}

    def ours() -> None:
        codes = tuning.pivots(generator, photos, encoder, progress=False).codes
        tuned = tuning.tune(generator, codes, photos, discriminator=discriminator, progress=False).generator
        came["ours"] = tuned.draw(torch.cat([codes, codes.mean(0, keepdim=True)]))

    def before() -> None:
        codes = tuning.pivots(generator, photos, encoder, progress=False, steps=80).codes
        tuned = by_adam(generator, codes, photos, discriminator)
        came["before"] = tuned.draw(torch.cat([codes, codes.mean(0, keepdim=True)]))

    rows = [Row("two photos to a tuned child: s (peer: as in 0.2)", *turn_by_turn(rounds, ours, before))]
    told = {}
    with torch.no_grad():
        for kind, drawn in came.items():
            error = (drawn[:2] - photos).square().mean().item()
            far = perceptual_distance(discriminator, drawn[:2], photos).mean().item()
            told[kind] = (1e3 * error, 1e3 * far, (detail(photos).mean() / detail(drawn[2:])).item())
    names = ("squared error of the parents ×1000", "perceptual distance ×1000", "photos' detail / the child's")
    for name, ours_is, before_was in zip(names, told["ours"], told["before"], strict=True):
        rows.append(Row(f"tuned child, {name} (peer: as in 0.2)", ours_is, before_was))
    return rows
