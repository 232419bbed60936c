"""From two aligned photos to their tuned child, beside the way of version 0.2: twice the search, Adam on all weights.

The aim: at most half of that way's time, at no loss: the parents' error, and the child's detail beside the photos'.
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
from latentlib.metrics import detail


def by_adam(generator, codes: Tensor, images: Tensor, discriminator, steps: int = 150):
    """A copy tuned by Adam on all weights of the synthesis network, as version 0.2 did."""
    tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format)
    learning = [p for name, p in tuned.synthesis.named_parameters() if not name.endswith("noise_strength")]
    optimizer = torch.optim.Adam([p.requires_grad_(True) for p in learning], 3e-3, fused=images.device.type != "mps")

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
    device = pick_device()
    names = ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    generator, encoder, discriminator = (weights.load(name, device) for name in names)
    photos, came = portraits.load(device=device).images, {}

    def child(way: str, steps: int) -> None:
        codes = tuning.pivots(generator, photos, encoder, steps, progress=False).codes
        if way == "ours":
            tuned = tuning.tune(generator, codes, photos, discriminator=discriminator, progress=False).generator
        else:
            tuned = by_adam(generator, codes, photos, discriminator)
        came[way] = tuned.draw(torch.cat([codes, codes.mean(0, keepdim=True)]))

    seconds = turn_by_turn(rounds, lambda: child("ours", 40), lambda: child("0.2", 80))
    errors = [1e3 * (drawn[:2] - photos).square().mean().item() for drawn in came.values()]
    crisp = [(detail(photos).mean() / detail(drawn[2:])).item() for drawn in came.values()]
    return [
        Row("two photos to a tuned child: s (peer: as in 0.2)", *seconds),
        Row("tuned child, squared error of the parents ×1000 (peer: as in 0.2)", *errors),
        Row("tuned child, photos' detail / the child's (peer: as in 0.2)", *crisp),
    ]
