"""From two aligned photos to their tuned child, beside the way of version 0.2: twice the search, Adam on all weights.

The aim: at most half of that way's time, at no loss: the parents' error, and the child's detail beside the photos'.
"""

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


def side_by_side(size: int, rounds: int) -> list[Row]:
    device, came = pick_device(), {}
    encoder, discriminator = (weights.load(f"faces-64-{name}", device) for name in ("encoder", "discriminator"))
    generators = {"ours": weights.load(f"faces-{size}", device), "0.2": weights.load("faces-64", device)}
    photos = {way: portraits.load(of.resolution, device).images for way, of in generators.items()}

    def child(way: str, steps: int) -> None:
        codes = tuning.pivots(generators[way], photos[way], encoder, steps, progress=False).codes
        asked = generators[way], codes, photos[way]
        if way == "ours":
            tuned = tuning.tune(*asked, discriminator=discriminator, progress=False)
        else:
            tuned = by_adam(*asked, discriminator)
        came[way] = tuned.draw(torch.cat([codes, codes.mean(0, keepdim=True)]))

    seconds = turn_by_turn(rounds, lambda: child("ours", 40), lambda: child("0.2", 80))
    errors = [1e3 * (drawn[:2] - photos[way]).square().mean().item() for way, drawn in came.items()]
    crisp = [(detail(photos[way]).mean() / detail(drawn[2:])).item() for way, drawn in came.items()]
    return [
        Row(f"two photos to a tuned child of {size} px: s (peer: 64 px, as in 0.2)", *seconds),
        Row("  squared error of the parents ×1000", *errors),
        Row("  the photos' detail / the child's", *crisp),
    ]


def run(rounds: int = 3) -> list[Row]:
    return side_by_side(64, rounds) + side_by_side(128, rounds)
