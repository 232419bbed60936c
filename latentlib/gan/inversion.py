"""From a picture back to its code: search the code from which the generator draws it, or ask an encoder, or both.

    start (the mean face, or an encoder's guess) ─> draw ─> compare ─> gradient to the code ─> step ─> draw ─> …

All methods share one loop. They differ in what is searched: z, one w, or one w for each layer (W+). The generator stays
as it is; ``tuning`` goes on from the codes and changes a copy of it. Pictures here are (n, 3, r, r) in [0, 1].
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlib.device import synchronize, thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.lbfgs import Evaluation, State, batched_lbfgs
from latentlib.gan.w_space import p_norm, preconditioner, random_z
from latentlib.metrics import feature_distance, perceptual_features
from latentlib.models.stylegan2 import Discriminator, Generator

METHODS = ("z", "w", "w+", "p-norm", "encoder", "hybrid")
STEPS = {"z": 150, "w": 150, "w+": 200, "p-norm": 200, "encoder": 0, "hybrid": 120}
STARTS = 64  # random faces of which the most similar one is the start in z, which has no mean face
LEARNING_RATE = 0.1  # how far the first step moves the numbers of a code; later ones follow from the curvature
PERCEPTUAL_WEIGHT = 0.02
P_NORM_WEIGHT = 1e-3  # with it the codes of photos are about as usual as those of the mapping


class Point(NamedTuple):
    """One point of a curve of error against time."""

    step: int
    seconds: float
    error: float  # squared error of the best codes so far, mean over the pictures


@dataclass
class Inversion:
    """What ``invert`` found."""

    codes: Tensor  # (n, num_ws, w_dim), whatever the method; generator.draw(codes) are the images
    images: Tensor  # (n, 3, r, r) in [0, 1], what the codes draw
    errors: Tensor  # (n,) mean squared error of the pixels
    method: str
    generator: nn.Module  # the one that was given, which draws the images from the codes
    history: list[Point]  # one for each step, the start included
    snapshots: Tensor  # (k, n, 3, r, r) in [0, 1], evenly spaced over the steps, the first and the last included
    snapshot_steps: list[int]  # the k steps at which they were taken
    seconds: float
    steps: int  # finished steps; in each the generator draws once and the gradient goes back once
    interrupted: bool  # True when someone pressed stop
    z: Tensor | None = None  # (n, z_dim) of length √z_dim, for the method "z"


def invert(
    generator: Generator,  # is left as it is
    images: Tensor,  # (n, 3, r, r) in [0, 1], r the generator's resolution; on any device
    method: str = "hybrid",  # one of METHODS
    *,
    steps: int | None = None,  # None: STEPS of the method
    encoder: nn.Module | None = None,  # images in [-1, 1] -> (n, num_ws, w_dim), for "encoder" and "hybrid"
    discriminator: Discriminator | None = None,  # when given, its perceptual distance joins the squared error
    perceptual_weight: float | None = None,  # of that distance; None: PERCEPTUAL_WEIGHT
    learning_rate: float | None = None,  # length of the first step, as a root mean square; None: LEARNING_RATE
    p_norm_weight: float | None = None,  # of how unusual codes are; None: P_NORM_WEIGHT for "p-norm", else 0
    seed: int = 0,  # of the start in z and of the sampled codes of "p-norm"
    tolerance: float | None = None,  # a picture whose squared error is this small is done
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
    steps = _steps(method, steps, encoder)
    check_images(generator, images)
    _check_networks(encoder, discriminator, method, perceptual_weight)
    check_number("learning_rate", learning_rate, above_0=True)
    check_number("p_norm_weight", p_norm_weight)
    check_number("perceptual_weight", perceptual_weight)
    check_number("tolerance", tolerance)
    check_count("snapshots", snapshots)
    if perceptual_weight is None:
        perceptual_weight = PERCEPTUAL_WEIGHT
    if p_norm_weight is None:
        p_norm_weight = P_NORM_WEIGHT if method == "p-norm" else 0.0
    first_step = LEARNING_RATE if learning_rate is None else learning_rate
    device = generator.w_avg.device
    images = images.detach().to(device, torch.float32)
    recorder = _Recorder(steps, keep_pictures=snapshots > 0)
    bar = progress_bar(steps, steps, "step") if progress and steps else nullcontext()
    cores = thread_map(device, len(images))
    with _held(generator, discriminator), bar as recorder.bar, cores as (each, parts):
        errors = [PictureError(part, discriminator, perceptual_weight) for part in images.chunk(parts)]
        unusual = p_norm(generator, seed) if p_norm_weight else None
        start = _start(generator, images, method, encoder, seed)
        # What keeps codes usual bends the valley along other axes, for which w as it is serves better.
        space = _ZSpace(generator, start) if method == "z" else _WSpace(generator, start, plain=unusual is not None)
        evaluate = _Evaluate(generator, images, space, errors, each, unusual, p_norm_weight)
        walk = batched_lbfgs(evaluate, space.start, first_step, tolerance=tolerance)
        point = recorder.search(walk, space.start, steps)
        with torch.no_grad():
            codes = space.codes(point).contiguous()
    synchronize(device)
    places = torch.linspace(0, max(len(recorder.way) - 1, 0), snapshots).round().long().tolist()
    way = [recorder.way[place].float() for place in places[:-1]] + [recorder.pictures][:snapshots]
    return Inversion(
        codes=codes,
        images=recorder.pictures,
        errors=recorder.errors,
        method=method,
        generator=generator,
        history=recorder.history,
        snapshots=torch.stack(way) if way else images.new_empty(0, *images.shape),
        snapshot_steps=[recorder.history[place].step for place in places],
        seconds=time.perf_counter() - recorder.began,
        steps=recorder.steps,
        interrupted=recorder.interrupted,
        z=F.normalize(point, dim=1) * math.sqrt(generator.z_dim) if method == "z" else None,
    )


# ------------------------------------------------------------------------------------------------- what is made small


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


@dataclass
class _Evaluate:
    """What the search asks at each of its points: (n, numbers) -> loss, its gradient, squared errors, pictures."""

    generator: Generator
    images: Tensor  # (n, 3, r, r) in [0, 1]
    space: _ZSpace | _WSpace
    errors: list[PictureError]  # of each core's share of the images
    each: Callable  # a map over those shares
    unusual: Callable[[Tensor], Tensor] | None  # codes -> (n,), joins the loss with its weight
    p_norm_weight: float

    def __call__(self, point: Tensor) -> Evaluation:
        point = point.detach().requires_grad_()
        codes = self.space.codes(point)
        looks = self.each(self._look, codes.detach().chunk(len(self.errors)), self.errors)
        loss, slope, drawn = (torch.cat(part) for part in zip(*looks, strict=True))
        total = (codes * slope).sum()  # whose gradient is that of the loss
        if self.unusual is not None:
            price = self.p_norm_weight * self.unusual(codes)
            loss, total = loss + price.detach(), total + price.sum()
        (gradient,) = torch.autograd.grad(total, point)
        return Evaluation(loss, gradient, (drawn - self.images).square().flatten(1).mean(1), drawn)

    def _look(self, codes: Tensor, error: PictureError) -> tuple[Tensor, Tensor, Tensor]:
        """(n, num_ws, w_dim) -> loss (n,), its gradient by the codes, pictures."""
        codes.requires_grad_()
        drawn = self.generator.synthesis(codes, noise=None) / 2 + 0.5
        loss = error(drawn)
        (slope,) = torch.autograd.grad(loss.sum(), codes)
        return loss.detach(), slope, drawn.detach().clamp(0, 1)


# -------------------------------------------------------------------------------------------------- what is searched


class _ZSpace:
    """Points are z, (n, z_dim)."""

    def __init__(self, generator: Generator, start: Tensor):
        self.generator, self.start = generator, start

    def codes(self, point: Tensor) -> Tensor:
        """(n, z_dim) -> (n, num_ws, w_dim)"""
        return self.generator.mapping(point)[:, None].expand(-1, self.generator.num_ws, -1)


class _WSpace:
    """Points say how far w, or the w of each layer, lies from where it began: (n, w_dim) or (n, num_ws · w_dim).

    centre: (n, 1, w_dim) for one w, (n, num_ws, w_dim) for W+; plain: along the numbers of w, not along better axes
    """

    def __init__(self, generator: Generator, centre: Tensor, plain: bool):
        self.generator, self.centre = generator, centre
        self.start = torch.zeros_like(centre).flatten(1)
        self.axes = None if plain else preconditioner(generator, same_w=centre.shape[1] == 1)  # (…, w_dim, w_dim)

    def codes(self, point: Tensor) -> Tensor:
        """(n, w_dim) or (n, num_ws · w_dim) -> (n, num_ws, w_dim)"""
        moved = point.view(self.centre.shape)
        if self.axes is not None:
            moved = torch.einsum("nla,lab->nlb", moved, self.axes)
        return (self.centre + moved).expand(-1, self.generator.num_ws, -1)


# -------------------------------------------------------------------------------------------- the way, written down


class _Recorder:
    """Runs a search with a progress bar, and writes down how it went."""

    def __init__(self, planned: int, keep_pictures: bool):
        self.planned, self.keep_pictures = planned, keep_pictures
        self.bar = None
        self.pictures = self.errors = None  # of the best points so far
        self.history: list[Point] = []
        self.way: list[Tensor] = []  # the pictures after each step, in half precision
        self.steps, self.interrupted = 0, False
        self.began = time.perf_counter()

    def search(self, walk: Iterator[State], start: Tensor, steps: int) -> Tensor:
        """The best points after that many steps, or fewer when nothing is left to do or someone pressed stop."""
        point = start
        try:
            for taken, state in enumerate(walk):
                point, self.pictures, self.errors, self.steps = state.point, state.pictures, state.error, taken
                self.history.append(Point(self.steps, time.perf_counter() - self.began, state.error.mean().item()))
                if self.keep_pictures:
                    self.way.append(state.pictures.half())
                if self.bar is not None and taken:
                    self.bar.update()
                if taken == steps or state.done:
                    break
        except KeyboardInterrupt:
            if self.pictures is None:
                raise  # nothing was drawn yet
            self.interrupted = True
            print(f"Stopped after {self.steps} of {self.planned} steps; each picture keeps its best code so far.")
        return point


# ------------------------------------------------------------------------------------------------------ where to start


@torch.no_grad()
def _start(generator: Generator, images: Tensor, method: str, encoder: nn.Module | None, seed: int) -> Tensor:
    """Where the search begins: (n, z_dim), (n, 1, w_dim) for one w, or (n, num_ws, w_dim)."""
    n, num_ws = len(images), generator.num_ws
    if method == "z":
        z = random_z(generator, STARTS, seed)
        drawn = torch.cat([generator.draw(generator.mapping(part)) for part in z.split(8)])
        far = torch.stack([(drawn - image).square().flatten(1).mean(1) for image in images])  # (n, STARTS)
        return z[far.argmin(1)]
    if method == "w":
        return generator.w_avg.repeat(n, 1, 1)
    if encoder is None or method not in ("encoder", "hybrid"):
        return generator.w_avg.repeat(n, num_ws, 1)
    w_plus = encoder(images * 2 - 1)
    expected = (n, num_ws, generator.w_dim)
    if tuple(w_plus.shape) != expected or not torch.isfinite(w_plus).all():
        raise ValueError(
            f"the encoder must give finite codes {expected}, got {tuple(w_plus.shape)}; was it made for this generator?"
        )
    return w_plus.to(images)


@contextmanager
def _held(*networks: nn.Module | None):
    """Inside the block the weights get no gradients; afterwards as before."""
    learning = [p for network in networks if network is not None for p in network.parameters() if p.requires_grad]
    try:
        for p in learning:
            p.requires_grad_(False)
        yield
    finally:
        for p in learning:
            p.requires_grad_(True)


# --------------------------------------------------------------------------------------------------- what can go wrong


def _steps(method: str, steps: int | None, encoder: nn.Module | None) -> int:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if steps is not None:
        check_count("steps", steps, 1)
    if method == "encoder":
        return 0
    if method == "hybrid" and encoder is None:
        steps = STEPS["w+"] if steps is None else steps
        print(f"No encoder was given: the search starts at the mean face and takes {steps} steps.")
    return STEPS[method] if steps is None else steps


def check_images(generator: nn.Module, images: Tensor) -> None:
    """Raises ValueError, with one sentence, for images that are not (n, 3, r, r) numbers in [0, 1]."""
    size = generator.resolution
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1:] != (3, size, size) or not len(images):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        hint = "; add a batch axis with images[None]" if got == (3, size, size) else ""
        raise ValueError(f"images must be a tensor (n, 3, {size}, {size}), got {got}{hint}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point numbers in [0, 1], got {images.dtype}; divide bytes by 255")
    if not torch.isfinite(images).all():
        raise ValueError("images hold values that are not finite numbers")
    low, high = images.min().item(), images.max().item()
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(f"images must lie in [0, 1], got {low:.3g} to {high:.3g}; from [-1, 1] use images / 2 + 0.5")


def _check_networks(encoder, discriminator, method: str, perceptual_weight: float | None) -> None:
    if method == "encoder" and encoder is None:
        raise ValueError('method "encoder" needs encoder=, for example weights.load("faces-64-encoder")')
    if perceptual_weight and discriminator is None:
        raise ValueError("perceptual_weight needs discriminator=, whose features are compared")


def check_number(name: str, value: float | None, above_0: bool = False) -> None:
    """Raises ValueError for a number that is not finite, or below 0, or not above it; None stands for a usual one."""
    if value is not None and not (0 < value < math.inf if above_0 else 0 <= value < math.inf):
        raise ValueError(f"{name} must be a number {'above 0' if above_0 else 'from 0 up'}, got {value!r}")


def check_count(name: str, value: int, least: int = 0) -> None:
    """Raises ValueError for what is no whole number, or below the least."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
