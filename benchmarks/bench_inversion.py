"""A photo found in the space of faces: ``invert`` beside ``torch.optim.LBFGS`` and the schedule of NVIDIA's projector.

All search in W+ for the smallest squared error, noise off, on the same photos: the two portraits of the course, and for
the batch of eight their mirror images and darker versions too. The first two start at the encoder's answer.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from benchmarks.rows import Row
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.device import autocast, pick_device, synchronize, thread_map
from latentlib.gan import inversion
from latentlib.gan.inversion import PictureError, Step, invert


def projector(generator, images: Tensor, steps: int = 1000) -> list[Step]:
    """Adam as in the projector of StyleGAN2 (Karras et al. 2020, appendix D), in W+ and with the squared error.

    The rate is 0.1 with a ramp up over the first 5 % and a cosine down over the last 25 %; the codes are shaken by
    noise in the first three quarters.
    """
    noise = torch.Generator().manual_seed(0)
    spread = generator.mapping(inversion.random_z(generator, 10_000, 0)).var(0).sum().sqrt()
    w_plus = generator.w_avg.repeat(len(images), generator.num_ws, 1).requires_grad_()
    optimizer = torch.optim.Adam([w_plus], betas=(0.9, 0.999))
    history, began = [], time.perf_counter()
    for step in range(steps + 1):
        share = step / steps
        ramp = min(1.0, (1 - share) / 0.25)
        optimizer.param_groups[0]["lr"] = 0.1 * (0.5 - 0.5 * math.cos(math.pi * ramp)) * min(1.0, share / 0.05)
        level = spread * 0.05 * max(0.0, 1 - share / 0.75) ** 2
        with autocast(images.device, step < steps):
            drawn = generator.synthesis(w_plus + level * torch.randn(w_plus.shape, generator=noise).to(w_plus), None)
        difference = drawn.float() / 2 + 0.5 - images
        optimizer.zero_grad()
        difference.square().flatten(1).mean(1).sum().backward()
        optimizer.step()
        error = (drawn.detach().float() / 2 + 0.5).clamp(0, 1).sub(images).square().mean().item()
        history.append(Step(step, time.perf_counter() - began, error))
    return history


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
        Step(k, seconds * (k + 1) / last, sum(of[k] for of in errors) / len(errors)) for k in range(last)
    ]  # all drawings take about as long


def run(steps: int = 120, projector_steps: int = 1000) -> list[Row]:
    """Seconds a face until a peer's last error, or our last one where that is larger, is reached."""
    device = pick_device()
    generator, encoder = weights.load("faces-64", device), weights.load("faces-64-encoder", device)
    both = portraits.load(device=device).images
    mirrored, rows = torch.cat([both, both.flip(3)]), []
    for images in (both, torch.cat([mirrored, 0.8 * mirrored])):
        invert(generator, images, steps=2, encoder=encoder, progress=False)  # wakes up threads and kernels
        ours = invert(generator, images, steps=steps, encoder=encoder, progress=False).history
        peers = {
            "torch.optim.LBFGS": one_by_one(generator, encoder, images, steps),
            f"{projector_steps} steps of the projector": projector(generator, images, projector_steps),
        }
        synchronize(device)
        for name, theirs in peers.items():
            goal = max(ours[-1].error, theirs[-1].error)
            seconds = [next(s.seconds for s in of if s.error <= goal) / len(images) for of in (ours, theirs)]
            rows.append(Row(f"{len(images)} photos to the same error: s a face (peer: {name})", *seconds))
    return rows
