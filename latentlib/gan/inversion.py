"""From a picture back to its code: search the code from which the generator draws it, or ask an encoder, or both.

start (the mean face, or an encoder's guess) ─> draw ─> compare ─> gradient to the code ─> step ─> draw ─> …

All methods share one loop. They differ in what is searched: z, one w, or one w for each layer (W+). The generator stays
as it is; ``tuning`` goes on from the codes and changes a copy of it. Pictures here are (n, 3, r, r) in [0, 1].
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlib.device import synchronize, thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.lbfgs import batched_lbfgs
from latentlib.metrics import feature_distance, perceptual_features
from latentlib.models.stylegan2 import SLOPE, Discriminator, Generator

STEPS = {"z": 150, "w": 150, "w+": 200, "p-norm": 200, "encoder": 0, "hybrid": 120}
METHODS = tuple(STEPS)
STARTS = 64  # random faces of which the most similar one is the start in z, which has no mean face
FIRST_STEP = 0.1  # how far the first step moves the numbers of a code; later ones follow from the curvature
PERCEPTUAL_WEIGHT = 0.02
P_NORM_WEIGHT = 1e-3  # with it the codes of photos are about as usual as those of the mapping


class Step(NamedTuple):
    """One step of a search or a tuning."""

    step: int
    seconds: float
    error: float  # squared error of the best so far, mean over the pictures


@dataclass
class Inversion:
    """What ``invert`` found."""

    codes: Tensor  # (n, num_ws, w_dim), whatever the method; generator.draw(codes) are the images
    images: Tensor  # (n, 3, r, r) in [0, 1], what the codes draw
    errors: Tensor  # (n,) mean squared error of the pixels
    method: str
    generator: nn.Module  # the one that was given, which draws the images from the codes
    history: list[Step]  # one for each step, the start included
    snapshots: Tensor  # (k, n, 3, r, r) in [0, 1], evenly spaced over the steps, the first and the last included
    snapshot_codes: Tensor  # (k, n, num_ws, w_dim)
    snapshot_steps: list[int]  # the k steps at which they were taken
    seconds: float
    steps: int  # finished steps; in each the generator draws once and the gradient goes back once
    interrupted: bool  # True when someone pressed stop
    z: Tensor | None  # (n, z_dim) of length √z_dim, for the method "z"


def invert(
    generator: Generator,  # is left as it is
    images: Tensor,  # (n, 3, r, r) in [0, 1], r the generator's resolution; on any device
    method: str = "hybrid",  # one of METHODS
    *,
    steps: int | None = None,  # None: STEPS of the method
    encoder: nn.Module | None = None,  # images in [-1, 1] -> (n, num_ws, w_dim), for "encoder" and "hybrid"
    discriminator: Discriminator | None = None,  # when given, its perceptual distance joins the squared error
    perceptual_weight: float = PERCEPTUAL_WEIGHT,  # of that distance
    p_norm_weight: float | None = None,  # of how unusual codes are; None: P_NORM_WEIGHT for "p-norm", else 0
    seed: int = 0,  # of the start in z and of the sampled codes of "p-norm"
    snapshots: int = 0,  # how many pictures of the way to keep
    progress: bool = True,  # show a bar
) -> Inversion:
    """Find codes from which the generator draws the images.

    "z": the mapping's input. "w": one w for all layers. "w+": one for each layer; closer to the picture, further from
    the space. "p-norm": w+ that is kept among usual codes (Zhu et al. 2020, arXiv 2012.09036). "encoder": one look, no
    search. "hybrid": a short search in w+ from the encoder's answer. (Pivotal tuning is in ``tuning``.)

    Each picture is searched for on its own and its best code is kept, so that its result does not depend on the others
    of the batch. An interrupt (the stop button, Ctrl-C) gives the best so far.
    Raises ValueError with one sentence for images, numbers or a method that cannot be used.
    """
    steps = _checked_steps(method, steps, encoder)
    check_images(generator, images)
    check_number("perceptual_weight", perceptual_weight)
    if p_norm_weight is None:
        p_norm_weight = P_NORM_WEIGHT if method == "p-norm" else 0.0
    check_number("p_norm_weight", p_norm_weight)
    check_count("snapshots", snapshots)
    device, began = generator.w_avg.device, time.perf_counter()
    images = images.detach().to(device, torch.float32)
    unusual = mahalanobis_p(generator, seed) if p_norm_weight else None
    bar = progress_bar(steps, steps, "step") if progress and steps else nullcontext()
    history, way, now, interrupted = [], [], None, False
    with bar as shown, thread_map(device, len(images)) as (each, parts):
        errors = [PictureError(part, discriminator, perceptual_weight) for part in images.chunk(parts)]
        start = _start(generator, images, method, encoder, seed)
        # What keeps codes usual bends the valley along other axes, for which w as it is serves better.
        position, to_codes = _space(generator, method, start, plain=unusual is not None)

        def look(codes: Tensor, error: PictureError) -> tuple[Tensor, Tensor, Tensor]:
            codes.requires_grad_()
            drawn = generator.synthesis(codes, noise=None) / 2 + 0.5
            loss = error(drawn)
            (slope,) = torch.autograd.grad(loss.sum(), codes)
            return loss.detach(), slope, drawn.detach().clamp(0, 1)

        def evaluate(position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """(n, numbers) -> loss (n,), its gradient (n, numbers), pictures."""
            with torch.enable_grad():
                position = position.detach().requires_grad_()
                codes = to_codes(position)
                loss, slope, drawn = map(torch.cat, zip(*each(look, codes.detach().chunk(parts), errors), strict=True))
                total = (codes * slope).sum()  # whose gradient is that of the loss
                if unusual is not None:
                    price = p_norm_weight * unusual(codes)
                    loss, total = loss + price.detach(), total + price.sum()
                return loss, *torch.autograd.grad(total, position), drawn

        try:
            for step, now in enumerate(batched_lbfgs(evaluate, position, FIRST_STEP)):
                error = (now.pictures - images).square().mean().item()
                history.append(Step(step, time.perf_counter() - began, error))
                way.append(now.position if snapshots else None)
                if shown is not None and step:
                    shown.update()
                if step == steps:
                    break
        except KeyboardInterrupt:
            if now is None:
                raise  # nothing was drawn yet
            interrupted = True
            print(f"Stopped after {history[-1].step} of {steps} steps; each picture keeps its best code so far.")
    places = torch.linspace(0, len(way) - 1, snapshots).round().long().tolist()
    with torch.no_grad():
        codes = to_codes(now.position).contiguous()
        kept = [to_codes(way[place]) for place in places]
        kept = torch.stack(kept) if kept else codes.new_empty(0, *codes.shape)
        pictures = [generator.draw(moment) for moment in kept]
    synchronize(device)
    return Inversion(
        codes=codes,
        images=now.pictures,
        errors=(now.pictures - images).square().flatten(1).mean(1),
        method=method,
        generator=generator,
        history=history,
        snapshots=torch.stack(pictures) if pictures else images.new_empty(0, *images.shape),
        snapshot_codes=kept,
        snapshot_steps=[history[place].step for place in places],
        seconds=time.perf_counter() - began,
        steps=history[-1].step,
        interrupted=interrupted,
        z=F.normalize(now.position, dim=1) * math.sqrt(generator.z_dim) if method == "z" else None,
    )


class PictureError:
    """How far drawn pictures are from the wanted ones: squared error, plus a weighted perceptual distance.

    images: (n, 3, r, r) in [0, 1], the wanted ones; discriminator: None leaves the perceptual distance out
    Called with drawn pictures (n, 3, r, r), which may leave [0, 1], it gives (n,) with gradients.
    """

    def __init__(self, images: Tensor, discriminator: nn.Module | None, perceptual_weight: float):
        # Where a picture is black or white, what is drawn may be even darker or brighter: it is cut off there anyway.
        self.darkest, self.brightest = images.where(images > 0, -torch.inf), images.where(images < 1, torch.inf)
        self.discriminator, self.weight = discriminator, perceptual_weight
        with torch.no_grad():
            self.features = perceptual_features(discriminator, images) if discriminator and perceptual_weight else None

    def __call__(self, drawn: Tensor) -> Tensor:
        error = (drawn - drawn.clamp(self.darkest, self.brightest)).square().flatten(1).mean(1)
        if self.features is None:
            return error
        seen = perceptual_features(self.discriminator, drawn)
        return error + self.weight * feature_distance(seen, self.features)


# ------------------------------------------------------------------------------------- codes: usual, and well searched


def random_z(generator: Generator, count: int, seed: int) -> Tensor:
    """(count, z_dim), the same for the same seed."""
    # Not the seed itself: a network that was made under it has these very numbers among its first weights.
    numbers = torch.Generator().manual_seed(seed + 1)
    return torch.randn(count, generator.z_dim, generator=numbers).to(generator.w_avg.device)


@torch.no_grad()
def mahalanobis_p(generator: Generator, seed: int = 0, samples: int = 10_000) -> Callable[[Tensor], Tensor]:
    """A measure of how unusual codes are: (n, num_ws, w_dim) -> (n,), near 1 for codes of the mapping.

    Before the mapping's last leaky ReLU codes are spread nearly like a Gaussian; there it is the squared Mahalanobis
    distance divided by w_dim, mean over the layers (the P_N space of arXiv 2012.09036).
    """
    x = F.leaky_relu(generator.mapping(random_z(generator, samples, seed)), 1 / SLOPE)
    mean = x.mean(0)
    variance, axes = torch.linalg.eigh(torch.cov(x.T).cpu().double())
    variance = variance.clamp(min=1e-4 * variance[-1].item())  # directions that hardly vary must not rule
    whiten = (axes / variance.sqrt()).to(x)  # (w_dim, w_dim)
    return lambda w_plus: ((F.leaky_relu(w_plus, 1 / SLOPE) - mean) @ whiten).square().mean(dim=(1, 2))


def preconditioner(generator: Generator, same_w: bool = False, looks: int = 4) -> Tensor:
    """Axes along which a picture changes about equally fast: (num_ws, w_dim, w_dim), each row a change of a layer's w;
    with ``same_w`` (1, w_dim, w_dim), changes of the w of all layers.

    Searching w as it is walks slowly: what an affine layer hardly reads gets small gradients, and so do fine layers,
    which change few colours. So the metric of a layer is what its affine weights make of a change, times how much the
    picture answers to that layer at the mean face (measured with random ``looks``). Its inverse root gives the axes.
    """
    synthesis, num_ws, w_dim = generator.synthesis, generator.num_ws, generator.w_dim
    reads = torch.zeros(num_ws, w_dim, w_dim, dtype=torch.float64)
    layer = 0
    for resolution in synthesis.resolutions:
        block = getattr(synthesis, f"b{resolution}")
        parts = [block.conv1, block.torgb] if block.first else [block.conv0, block.conv1, block.torgb]
        for place, part in enumerate(parts, start=layer):
            weight = (part.affine.weight * part.affine.weight_gain).detach().cpu().double()
            reads[place] += weight.T @ weight
        layer += len(parts) - 1  # a block's torgb shares its w with the next block's first convolution
    reads = reads / reads.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-2 * torch.eye(w_dim, dtype=torch.float64)
    numbers = torch.Generator().manual_seed(0)
    answer = torch.zeros(num_ws, dtype=torch.float64)
    with torch.enable_grad():
        w_plus = generator.w_avg.repeat(1, num_ws, 1).requires_grad_()
        drawn = synthesis(w_plus, noise=None)
        for _ in range(looks):
            look = torch.randn(drawn.shape, generator=numbers).to(drawn)
            (slope,) = torch.autograd.grad(drawn, w_plus, look, retain_graph=True)
            answer += (slope[0].cpu().double()[:, None] @ _inverse_root(reads)).square().mean((1, 2))
    if not torch.isfinite(answer).all():
        raise ValueError("the generator draws values that are no numbers; are its weights whole?")
    pace = answer.clamp(min=1e-12 * answer.max().item()) ** -0.25  # the root of the root mean square answer, inverted
    metric = reads * ((pace / pace.mean()) ** -2)[:, None, None]
    return _inverse_root(metric.mean(0, keepdim=True) if same_w else metric).to(generator.w_avg)


def _inverse_root(matrix: Tensor) -> Tensor:
    strength, vectors = torch.linalg.eigh(matrix)
    return (vectors * strength[:, None] ** -0.5) @ vectors.mT


@torch.no_grad()
def _start(generator: Generator, images: Tensor, method: str, encoder: nn.Module | None, seed: int) -> Tensor:
    """Where the search begins: (n, z_dim), (n, 1, w_dim) for one w, or (n, num_ws, w_dim)."""
    n, num_ws = len(images), generator.num_ws
    if method == "z":
        z = random_z(generator, STARTS, seed)
        drawn = torch.cat([generator.draw(generator.mapping(part)) for part in z.split(8)])
        far = torch.stack([(drawn - image).square().flatten(1).mean(1) for image in images])  # (n, STARTS)
        return z[far.argmin(1)]
    if encoder is None or method not in ("encoder", "hybrid"):
        return generator.w_avg.repeat(n, 1 if method == "w" else num_ws, 1)
    w_plus = encoder(images * 2 - 1)
    expected = (n, num_ws, generator.w_dim)
    if tuple(w_plus.shape) != expected or not torch.isfinite(w_plus).all():
        raise ValueError(
            f"the encoder must give finite codes {expected}, got {tuple(w_plus.shape)}; was it made for this generator?"
        )
    return w_plus.to(images)


def _space(generator: Generator, method: str, start: Tensor, plain: bool) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Where the search begins, (n, numbers), and what makes codes (n, num_ws, w_dim) of such positions.

    In w and w+ a position says how far the codes lie from the start, along the numbers of w (plain) or better axes.
    """
    if method == "z":
        return start, lambda z: generator.mapping(z)[:, None].expand(-1, generator.num_ws, -1)
    axes = None if plain else preconditioner(generator, same_w=start.shape[1] == 1)

    def to_codes(position: Tensor) -> Tensor:
        moved = position.view(start.shape)
        if axes is not None:
            moved = torch.einsum("nla,lab->nlb", moved, axes)
        return (start + moved).expand(-1, generator.num_ws, -1)

    return torch.zeros_like(start).flatten(1), to_codes


# --------------------------------------------------------------------------------------------------- what can go wrong


def _checked_steps(method: str, steps: int | None, encoder: nn.Module | None) -> int:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if steps is not None:
        check_count("steps", steps, 1)
    if method == "encoder" and encoder is None:
        raise ValueError('method "encoder" needs encoder=, for example weights.load("faces-64-encoder")')
    if method == "hybrid" and encoder is None:
        steps = STEPS["w+"] if steps is None else steps
        print(f"No encoder was given: the search starts at the mean face and takes {steps} steps.")
    return STEPS[method] if steps is None or method == "encoder" else steps


def check_images(generator: nn.Module, images: Tensor) -> None:
    """Raises ValueError, with one sentence, for images that are not (n, 3, r, r) numbers in [0, 1]."""
    size = generator.resolution
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1:] != (3, size, size) or not len(images):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        hint = "; add a batch axis with images[None]" if got == (3, size, size) else ""
        raise ValueError(f"images must be a tensor (n, 3, {size}, {size}), got {got}{hint}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point numbers in [0, 1], got {images.dtype}; divide bytes by 255")
    low, high = images.min().item(), images.max().item()
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # not numbers fail too
        raise ValueError(f"images must lie in [0, 1], got {low:.3g} to {high:.3g}; from [-1, 1] use images / 2 + 0.5")


def check_number(name: str, value: float) -> None:
    """Raises ValueError for a number that is not finite, or below 0."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number from 0 up, got {value!r}")


def check_count(name: str, value: int, least: int = 0) -> None:
    """Raises ValueError for what is no whole number, or below the least."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
