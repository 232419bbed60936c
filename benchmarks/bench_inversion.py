"""A photo found in the space of faces: ``invert`` beside ``torch.optim.LBFGS``.

Both search in W+ for the smallest squared error, noise off, from the encoder's answer, on the same photos: the two
portraits of the course, and for the batch of eight their mirror images and darker versions too.
"""

import time
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.rows import Row
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.device import pick_device, thread_map
from latentlib.gan import inversion
from latentlib.gan.inversion import PictureError, invert


class Step(NamedTuple):
    """Where a search is: seconds since its beginning, the squared error, mean over the pictures."""

    seconds: float
    error: float


def one_by_one(generator, encoder, images: Tensor, draws: int) -> list[Step]:
    """``torch.optim.LBFGS`` with strong Wolfe line searches for each picture by itself, each core a picture at a time,
    from the same start along the same axes; error after so many drawings, mean over the pictures."""

    axes = inversion.preconditioner(generator)

    def search(image: Tensor) -> list[float]:
        error, found = PictureError(image), []
        start = encoder(image * 2 - 1)
        position = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [position], max_iter=draws, max_eval=draws, history_size=100, tolerance_grad=0, tolerance_change=0,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Tensor:
            optimizer.zero_grad()
            codes = start + torch.einsum("nla,lab->nlb", position, axes)
            drawn = generator.synthesis(codes, noise=None) / 2 + 0.5
            loss = error(drawn).sum()
            loss.backward()
            found.append(min([*found[-1:], (drawn.detach().clamp(0, 1) - image).square().mean().item()]))
            return loss

        optimizer.step(closure)
        return found

    began = time.perf_counter()
    with thread_map(images.device, len(images)) as (each, _):
        errors = list(each(search, images.split(1)))
    seconds, last = time.perf_counter() - began, min(map(len, errors))
    return [
        Step(seconds * (k + 1) / last, sum(of[k] for of in errors) / len(errors)) for k in range(last)
    ]  # all drawings take about as long


def run(steps: int = 120) -> list[Row]:
    """Seconds a face until the peer's last error, or our last one where that is larger, is reached."""
    device = pick_device()
    generator, encoder = weights.load("faces-64", device), weights.load("faces-64-encoder", device)
    both = portraits.load(device=device).images
    mirrored, rows = torch.cat([both, both.flip(3)]), []
    for images in (both, torch.cat([mirrored, 0.8 * mirrored])):
        invert(generator, images, steps=2, encoder=encoder, progress=False)  # wakes up threads and kernels
        began = time.perf_counter()
        way = invert(generator, images, steps=steps, encoder=encoder, snapshots=steps + 1, progress=False).snapshots
        seconds = time.perf_counter() - began
        ours = [Step(seconds * k / steps, (now - images).square().mean().item()) for k, now in enumerate(way)]
        theirs = one_by_one(generator, encoder, images, steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        goal = max(ours[-1].error, theirs[-1].error)
        seconds = [next(s.seconds for s in of if s.error <= goal) / len(images) for of in (ours, theirs)]
        rows.append(Row(f"{len(images)} photos to the same error: s a face (peer: torch.optim.LBFGS)", *seconds))
    return rows
