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
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentlib.device import synchronize, thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.inversion import Inversion, PictureError, Step, check_count, check_images, check_number, invert
from latentlib.models.stylegan2 import Discriminator, Generator

STEPS = 60
MUON_RATE, ADAM_RATE = 0.05, 3e-3  # of convolutions, and of all other weights, at the start; they fall to 0
COARSE = (4, 8)  # resolutions that stay as they are: they place the face, which the codes do well enough
PERCEPTUAL_WEIGHT = 0.15
PIVOT_STEPS = 40
PIVOT_P_NORM_WEIGHT = 0.003  # keeps the codes of photos about as usual as those of the mapping
PIVOT_PSI = 0.75  # pulls the encoder's answer towards the mean face: what is unusual in it need not be searched away


@dataclass
class Tuning:
    """What ``tune`` made."""

    generator: Generator  # the tuned copy: generator.draw(codes) are the images
    codes: Tensor  # (n, num_ws, w_dim), as they were given
    images: Tensor  # (n, 3, r, r) in [0, 1], what the copy draws
    errors: Tensor  # (n,) mean squared error of the pixels
    history: list[Step]  # one for each step, the start included
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
    if encoder is None:
        return invert(generator, images, "p-norm", **options)
    return invert(generator, images, "hybrid", encoder=lambda x: generator.truncate(encoder(x), PIVOT_PSI), **options)


def tune(
    generator: Generator,  # is left as it is
    codes: Tensor,  # (n, num_ws, w_dim) or (n, w_dim), such as pivots(...).codes
    images: Tensor,  # (n, 3, r, r) in [0, 1], what they shall draw; two for a couple
    *,
    discriminator: Discriminator | None = None,  # when given, its perceptual distance joins the squared error
    perceptual_weight: float = PERCEPTUAL_WEIGHT,  # of that distance
    steps: int = STEPS,
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
    check_number("perceptual_weight", perceptual_weight)
    device, began = generator.w_avg.device, time.perf_counter()
    images = images.detach().to(device, torch.float32)
    # Gradients of weights are faster with plain memory.
    tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    coarse = [r for r in COARSE if r < generator.resolution // 2]
    fine = [r for r in tuned.synthesis.resolutions if r not in coarse]
    blocks = [getattr(tuned.synthesis, f"b{r}") for r in fine]
    named = [pair for block in blocks for pair in block.named_parameters()]
    weights = [p.requires_grad_(True) for name, p in named if not name.endswith("noise_strength")]  # not in use
    kernels, others = ([p for p in weights if (p.dim() == 4 and p.shape[-1] > 1) is kind] for kind in (True, False))
    muon, adam = Muon(kernels), Adam(others, betas=(0.9, 0.95))
    least, best, pictures = torch.inf, [p.detach().clone() for p in weights], images
    history, interrupted = [], False

    def look(codes: Tensor, begun: tuple, error: PictureError) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        _, rgb = draw_blocks(tuned.synthesis, codes, fine, *begun)
        loss = error(rgb / 2 + 0.5).sum()
        return rgb.detach() / 2 + 0.5, loss.detach(), torch.autograd.grad(loss, weights)

    shown = progress_bar(steps, steps, "step") if progress else nullcontext()
    try:
        with shown as bar, torch.enable_grad(), thread_map(device, len(images)) as (each, parts):
            errors = [PictureError(part, discriminator, perceptual_weight) for part in images.chunk(parts)]
            begun = [draw_blocks(tuned.synthesis, part, coarse) for part in codes.chunk(parts)]  # stays as it is
            for step in range(steps + 1):
                drawn, losses, slopes = zip(*each(look, codes.chunk(parts), begun, errors), strict=True)
                loss = sum(losses).item()
                if not history and not loss < torch.inf:
                    raise ValueError("the generator draws values that are no numbers; are its weights whole?")
                if loss < least:
                    least, pictures = loss, torch.cat(drawn).clamp(0, 1)
                    torch._foreach_copy_(best, [p.detach() for p in weights])
                error = (pictures - images).square().mean().item()
                history.append(Step(step, time.perf_counter() - began, error))
                if bar is not None and step:
                    bar.update()
                interrupted = step < steps and stop is not None and stop()
                if step == steps or interrupted:
                    break
                for weight, *shares in zip(weights, *slopes, strict=True):
                    weight.grad = sum(shares)
                share = (1 + math.cos(math.pi * step / (steps + 1))) / 2
                muon.step(share * MUON_RATE)
                adam.step(share * ADAM_RATE)
    except KeyboardInterrupt:
        if not history:
            raise  # nothing was drawn yet
        interrupted = True
        print(f"Stopped after {history[-1].step} of {steps} steps; the copy keeps its best weights so far.")
    for weight, kept in zip(weights, best, strict=True):
        weight.data, weight.grad = kept, None
    tuned.requires_grad_(False)
    synchronize(device)
    return Tuning(
        generator=tuned,
        codes=codes,
        images=pictures,
        errors=(pictures - images).square().flatten(1).mean(1),
        history=history,
        seconds=time.perf_counter() - began,
        steps=history[-1].step,
        interrupted=interrupted,
    )


def draw_blocks(synthesis: nn.Module, codes: Tensor, resolutions: list[int], x=None, rgb=None):
    """(features, picture) after some of the blocks, noise off; x, rgb: those of the blocks before."""
    for r in resolutions:
        block, layer = (
            getattr(synthesis, f"b{r}"),
            max(0, 2 * int(math.log2(r)) - 5),
        )  # the first w that the block reads
        x, rgb = block(x, rgb, codes[:, layer : layer + block.num_conv + 1], [None] * block.num_conv)
    return x, rgb


class Muon:
    """Momentum whose step is made orthogonal: equally long in all directions of a matrix (Jordan et al., 2024).

    torch.optim.Muon takes matrices only; here a convolution's kernel counts as one, (out, in · height · width). Where
    gradients pull mostly in a few directions, it needs a third of Adam's steps. (Neither this nor ``Adam`` below is
    one of torch.optim's, since the first of these loads PyTorch's compiler: 160 MB that a class on a hub has not.)
    """

    def __init__(self, parameters: list[Tensor], momentum: float = 0.9):
        self.parameters, self.momentum = parameters, momentum
        self.past = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for p, past in zip(self.parameters, self.past, strict=True):
            past.mul_(self.momentum).add_(p.grad)
            step = orthogonal((p.grad + self.momentum * past).reshape(len(p), -1))
            p.add_(step.reshape(p.shape), alpha=-0.2 * rate * max(step.shape) ** 0.5)


class Adam:
    """Kingma and Ba 2015, as torch.optim has it."""

    def __init__(self, parameters: list[Tensor], betas: tuple[float, float]):
        self.parameters, self.betas, self.steps = parameters, betas, 0
        self.mean, self.square = ([torch.zeros_like(p) for p in parameters] for _ in range(2))

    @torch.no_grad()
    def step(self, rate: float) -> None:
        self.steps += 1
        b1, b2 = self.betas
        for p, mean, square in zip(self.parameters, self.mean, self.square, strict=True):
            mean.lerp_(p.grad, 1 - b1)
            square.mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
            size = (square / (1 - b2**self.steps)).sqrt_().add_(1e-8)
            p.addcdiv_(mean, size, value=-rate / (1 - b1**self.steps))


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1, by five Newton-Schulz steps."""
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = wide @ wide.T
        wide = 3.4445 * wide + (2.0315 * square @ square - 4.7750 * square) @ wide
    return wide if len(matrix) <= matrix.shape[1] else wide.T


def _checked_codes(generator: Generator, codes: Tensor, count: int) -> Tensor:
    layers, w_dim = generator.num_ws, generator.w_dim
    if not isinstance(codes, Tensor) or codes.shape not in ((count, layers, w_dim), (count, w_dim)):
        got = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
        raise ValueError(f"codes must be ({count}, {layers}, {w_dim}) or ({count}, {w_dim}), one an image; got {got}")
    if not torch.isfinite(codes).all():
        raise ValueError("codes hold values that are not finite numbers")
    codes = codes.detach().to(generator.w_avg.device, torch.float32)
    return codes[:, None].repeat(1, layers, 1) if codes.dim() == 2 else codes
