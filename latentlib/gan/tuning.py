"""From codes that nearly draw photos to a copy of the generator that does: pivotal tuning, of one person or of two.

    usual codes of the photos ─> copy the synthesis network ─> draw ─> compare ─> gradient to the weights ─> step ─> …

The best of the usual codes leaves something of a photo out, and going further away for it spoils what lies between two
codes. So the codes stay where they are, as pivots, and a copy of the network learns to draw the photos there (Roich et
al. 2021, arXiv 2106.05744). Tuned on both parents at once, one copy draws both, and their child from the codes' mean.

What it has of the paper: frozen codes, an error of pixels and of features. What it has not: LPIPS (the features are the
discriminator's), and the locality regularisation, which holds the copy to the original at random codes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentlib.device import synchronize, thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.inversion import Inversion, PictureError, Point, check_count, check_images, check_number, invert
from latentlib.models.stylegan2 import Discriminator, Generator

STEPS = 150
LEARNING_RATE = 3e-3  # of Adam; the weights have unit variance
PERCEPTUAL_WEIGHT = 0.1
PIVOT_STEPS = 80
PIVOT_P_NORM_WEIGHT = 0.003  # keeps the codes of photos about as usual as those of the mapping


@dataclass
class Tuning:
    """What ``tune`` made."""

    generator: Generator  # the tuned copy: generator.draw(codes) are the images
    codes: Tensor  # (n, num_ws, w_dim), as they were given
    images: Tensor  # (n, 3, r, r) in [0, 1], what the copy draws
    errors: Tensor  # (n,) mean squared error of the pixels
    history: list[Point]  # one for each step, the start included
    seconds: float
    steps: int  # finished steps; in each the copy draws once and the gradient goes back once
    interrupted: bool  # True when someone pressed stop, or ``stop`` said so


def pivots(
    generator: Generator,
    images: Tensor,  # (n, 3, r, r) in [0, 1]
    encoder: nn.Module | None = None,  # where the search starts; None: at the mean face
    **options,  # as those of inversion.invert
) -> Inversion:
    """Codes from which to tune: found by a short search that keeps them among usual ones."""
    options = {"steps": PIVOT_STEPS, "p_norm_weight": PIVOT_P_NORM_WEIGHT} | options
    return invert(generator, images, "p-norm" if encoder is None else "hybrid", encoder=encoder, **options)


def tune(
    generator: Generator,  # is left as it is
    codes: Tensor,  # (n, num_ws, w_dim) or (n, w_dim), such as pivots(...).codes
    images: Tensor,  # (n, 3, r, r) in [0, 1], what they shall draw; two for a couple
    *,
    discriminator: Discriminator | None = None,  # when given, its perceptual distance joins the squared error
    perceptual_weight: float = PERCEPTUAL_WEIGHT,  # of that distance
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    penalty: Callable[[nn.Module], Tensor] | None = None,  # of the copy, a scalar that joins the loss
    stop: Callable[[], bool] | None = None,  # asked before each step; True ends the tuning with the best so far
    progress: bool = True,  # show a bar
) -> Tuning:
    """Tune one copy of the synthesis network until it draws all the images from their codes.

    Nothing is drawn by lot: the same input gives the same copy on the same machine. An interrupt (the stop button,
    Ctrl-C) and ``stop`` give the best weights so far. Raises ValueError with one sentence for what cannot be used.
    """
    check_images(generator, images)
    codes = _checked_codes(generator, codes, len(images))
    check_count("steps", steps, 1)
    check_number("learning_rate", learning_rate, above_0=True)
    check_number("perceptual_weight", perceptual_weight)
    device, began = generator.w_avg.device, time.perf_counter()
    images = images.detach().to(device, torch.float32)
    # Gradients of weights are faster with plain memory.
    tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    weights = [p for name, p in tuned.synthesis.named_parameters() if not name.endswith("noise_strength")]  # not in use
    for weight in weights:
        weight.requires_grad_(True)
    optimizer = torch.optim.Adam(weights, lr=learning_rate, fused=device.type in ("cpu", "cuda"))
    best = _Best(weights, images)
    history, interrupted = [], False

    def look(codes: Tensor, error: PictureError) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        drawn = tuned.synthesis(codes, noise=None) / 2 + 0.5
        loss = error(drawn).sum()
        return drawn.detach(), loss.detach(), torch.autograd.grad(loss, weights)

    shown = progress_bar(steps, steps, "step") if progress else nullcontext()
    try:
        with shown as bar, torch.enable_grad(), thread_map(device, len(images)) as (each, parts):
            errors = [PictureError(part, discriminator, perceptual_weight) for part in images.chunk(parts)]
            for step in range(steps + 1):
                drawn, losses, slopes = zip(*each(look, codes.chunk(parts), errors), strict=True)
                losses, slopes = list(losses), list(slopes)
                if penalty is not None:
                    losses.append(penalty(tuned))
                    slopes.append(torch.autograd.grad(losses[-1], weights, materialize_grads=True))
                best.look(sum(losses).item(), torch.cat(drawn))
                history.append(Point(step, time.perf_counter() - began, best.errors.mean().item()))
                if bar is not None and step:
                    bar.update()
                interrupted = step < steps and stop is not None and stop()
                if step == steps or interrupted:
                    break
                for weight, *shares in zip(weights, *slopes, strict=True):
                    weight.grad = sum(shares)
                optimizer.step()
    except KeyboardInterrupt:
        if not history:
            raise  # nothing was drawn yet
        interrupted = True
        print(f"Stopped after {history[-1].step} of {steps} steps; the copy keeps its best weights so far.")
    best.restore(weights)
    tuned.requires_grad_(False)
    synchronize(device)
    return Tuning(
        generator=tuned,
        codes=codes,
        images=best.pictures,
        errors=best.errors,
        history=history,
        seconds=time.perf_counter() - began,
        steps=history[-1].step,
        interrupted=interrupted,
    )


def pivotal(
    generator: Generator,  # is left as it is
    images: Tensor,  # (n, 3, r, r) in [0, 1]
    *,
    steps: int = 200,  # half of them search, half tune
    **options,  # as those of tune
) -> Tuning:
    """As the paper does it: one w for each picture, found from the mean w, then a copy that draws them all."""
    found = invert(generator, images, "w", steps=max(1, steps // 2), progress=options.get("progress", True))
    tuned = tune(generator, found.codes, images, steps=max(1, steps - steps // 2), **options)
    tuned.steps += found.steps
    tuned.seconds += found.seconds
    return tuned


class _Best:
    """The weights with the least loss so far, and what they draw."""

    def __init__(self, weights: list[Tensor], images: Tensor):
        self.wanted, self.loss = images, torch.inf
        self.weights = [weight.detach().clone() for weight in weights]
        self.live = weights
        self.pictures = self.errors = None

    def look(self, loss: float, drawn: Tensor) -> None:
        """Keep the weights as they are now when their loss is the least; ValueError when the first is no number."""
        if self.pictures is None and not loss < torch.inf:
            raise ValueError("the generator draws values that are no numbers; are its weights whole?")
        if not loss < self.loss:
            return
        self.loss, self.pictures = loss, drawn.detach().clamp(0, 1)
        self.errors = (self.pictures - self.wanted).square().flatten(1).mean(1)
        for kept, weight in zip(self.weights, self.live, strict=True):
            kept.copy_(weight.detach())

    def restore(self, weights: list[Tensor]) -> None:
        for kept, weight in zip(self.weights, weights, strict=True):
            weight.data, weight.grad = kept, None


def _checked_codes(generator: Generator, codes: Tensor, count: int) -> Tensor:
    layers, w_dim = generator.num_ws, generator.w_dim
    if not isinstance(codes, Tensor) or codes.shape not in ((count, layers, w_dim), (count, w_dim)):
        got = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
        raise ValueError(f"codes must be ({count}, {layers}, {w_dim}) or ({count}, {w_dim}), one an image; got {got}")
    if not torch.isfinite(codes).all():
        raise ValueError("codes hold values that are not finite numbers")
    codes = codes.detach().to(generator.w_avg.device, torch.float32)
    return codes[:, None].repeat(1, layers, 1) if codes.dim() == 2 else codes
