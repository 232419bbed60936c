"""From codes that nearly draw photos to a copy of the generator that does: pivotal tuning, of one person or of two.

usual codes of the photos ─> copy the synthesis network ─> draw ─> compare ─> gradient to the weights ─> step ─> …

The best of the usual codes leaves something of a photo out, and going further away for it spoils what lies between two
codes. So the codes stay where they are, as pivots, and a copy of the network learns to draw the photos there (Roich et
al. 2021, arXiv 2106.05744). Tuned on both parents at once, one copy draws both, and their child from the codes' mean.

What it has of the paper: frozen codes, an error of pixels and of features. What it has not: LPIPS (the features are the
discriminator's), and the locality regularisation. It adds that a child's features vary as much as its parents'.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentlib.device import thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.inversion import Inversion, PictureError, check, invert
from latentlib.metrics import perceptual_features
from latentlib.models.autoencoder import check_batch, shrunk
from latentlib.models.stylegan2 import Discriminator, Generator

RATE = 0.1  # of Muon at the start; it falls to 0
PERCEPTUAL_WEIGHT, TEXTURE_WEIGHT = 0.15, 0.05
EVERY = 3  # steps: how often the texture halfway is looked at
SEARCHED = 64  # pixels: larger pictures are searched for at this size or half their own; tuning sees them whole
PIVOT_PSI = 0.75  # pulls the encoder's answer towards the mean face: what is unusual in it need not be searched away


def pivots(
    generator: Generator,
    images: Tensor,  # (n, 3, r, r) in [0, 1]
    encoder: nn.Module | None,  # where the search starts; None: at the mean face
    steps: int = 40,
    progress: bool = True,
) -> Inversion:
    """Codes from which to tune: found by a short search that keeps them among usual ones."""

    def near(x: Tensor) -> Tensor:
        return generator.truncate(encoder(x), PIVOT_PSI)

    images, start = shrunk(images, max(SEARCHED, generator.resolution // 2)), near if encoder else None
    return invert(generator, images, "p-norm", steps=steps, encoder=start, p_norm_weight=0.003, progress=progress)


def tune(
    generator: Generator,  # is left as it is
    codes: Tensor,  # (n, num_ws, w_dim), such as pivots(...).codes
    images: Tensor,  # (n, 3, r, r) in [0, 1], what they shall draw; two for a couple
    *,
    discriminator: Discriminator | None = None,  # its perceptual distance and texture join the squared error
    steps: int = 50,  # in each the copy draws once and the gradient goes back once
    stop: Callable[[], bool] | None = None,  # asked before each step; True ends the tuning with the best so far
    progress: bool = True,  # show a bar
) -> Generator:
    """A copy whose synthesis network was tuned on all the images at once, until it draws them from their codes.

    Nothing is drawn by lot: the same input gives the same copy on the same machine. An interrupt (the stop button,
    Ctrl-C) and ``stop`` give the best weights so far. Raises ValueError with one sentence for what cannot be used.
    """
    check(generator, images)
    check_batch("codes", codes, (generator.num_ws, generator.w_dim))
    if len(codes) != len(images):
        raise ValueError(f"each image needs one code: got {len(codes)} codes and {len(images)} images")
    device = generator.w_avg.device
    images, codes = (tensor.detach().to(device, torch.float32) for tensor in (images, codes))
    # Gradients of weights are faster with plain memory.
    tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    # The coarse blocks place the face, which the codes do well enough. Of the others the kernels are tuned.
    coarse = [4] if images.shape[-1] < 32 else [4, 8]
    fine = [r for r in tuned.synthesis.resolutions if r not in coarse and r <= images.shape[-1]]
    blocks = [getattr(tuned.synthesis, f"b{r}") for r in fine]
    weights = [layer.weight.requires_grad_(True) for block in blocks for layer in (block.conv0, block.conv1)]
    muon = Muon(weights)
    halfway = codes.mean(0, keepdim=True)
    wanted = texture(discriminator, images) if discriminator is not None and len(images) > 1 else None
    least, best, step = torch.inf, [p.detach().clone() for p in weights], 0

    def look(codes: Tensor, begun: tuple, error: PictureError) -> tuple[Tensor, tuple[Tensor, ...]]:
        _, rgb = tuned.synthesis.draw_blocks(codes, fine, *begun)
        loss = error(rgb / 2 + 0.5).sum()
        return loss.detach(), torch.autograd.grad(loss, weights)

    def look_halfway() -> tuple[Tensor, ...]:
        rgb = tuned.synthesis.draw_blocks(halfway, fine, *tuned.synthesis.draw_blocks(halfway, coarse))[1]
        spreads = zip(texture(discriminator, rgb / 2 + 0.5), wanted, strict=True)
        loss = torch.stack([(a - b).square().sum() / b.square().sum() for a, b in spreads]).mean()
        return torch.autograd.grad(EVERY * TEXTURE_WEIGHT * loss, weights)

    bar = progress_bar(steps, steps, "step", progress)
    try:
        with bar, torch.enable_grad(), thread_map(device, len(images)) as (each, parts):
            errors = [PictureError(part, discriminator, PERCEPTUAL_WEIGHT) for part in images.chunk(parts)]
            begun = [tuned.synthesis.draw_blocks(part, coarse) for part in codes.chunk(parts)]  # stays as it is
            for step in range(steps + 1):
                losses, slopes = zip(*each(look, codes.chunk(parts), begun, errors), strict=True)
                loss = sum(losses).item()
                if step == 0 and not loss < torch.inf:
                    raise ValueError("the generator draws values that are no numbers; are its weights whole?")
                if loss < least:
                    least = loss
                    torch._foreach_copy_(best, [p.detach() for p in weights])
                bar.update(step > 0)
                if step == steps or (stop is not None and stop()):
                    break
                if wanted is not None and step % EVERY == EVERY - 1:
                    slopes = (*slopes, look_halfway())
                for weight, *shares in zip(weights, *slopes, strict=True):
                    weight.grad = sum(shares)
                muon.step(RATE * (1 + math.cos(math.pi * step / (steps + 1))) / 2)
    except KeyboardInterrupt:
        if least == torch.inf:
            raise  # nothing was drawn yet
        print(f"Stopped after {step} of {steps} steps; the copy keeps its best weights so far.")
    for weight, kept in zip(weights, best, strict=True):
        weight.data, weight.grad = kept, None
    return tuned.requires_grad_(False)


def texture(discriminator: Discriminator, images: Tensor) -> list[Tensor]:
    """How each channel of features varies in tiles of pictures (n, 3, r, r): (channels,) a layer; Gatys et al. 2015."""
    side = min(discriminator.resolution, images.shape[-1])
    tiles = images.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return [level.transpose(0, 1).flatten(1).std(1) for level in perceptual_features(discriminator, tiles)]


class Muon:
    """Momentum whose step is made orthogonal: equally long in all directions of a matrix (Jordan et al., 2024).

    torch.optim.Muon takes matrices only; here a convolution's kernel counts as one, (out, in · height · width). Where
    gradients pull mostly in a few directions, it needs a third of Adam's steps. (And the first of torch.optim's
    optimizers loads PyTorch's compiler: 160 MB that a class on a hub has not.)
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


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1, by five Newton-Schulz steps."""
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = wide @ wide.T
        wide = 3.4445 * wide + (2.0315 * square @ square - 4.7750 * square) @ wide
    return wide if len(matrix) <= matrix.shape[1] else wide.T
