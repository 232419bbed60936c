"""From a picture back to its code: search the code from which the generator draws it, or ask an encoder, or both.

    start (the mean face, or an encoder's guess) ─> draw ─> compare ─> gradient to the code ─> step ─> draw ─> …

All methods share one loop. They differ in what is searched: z, one w, one w for each layer (W+),
or after that the generator's weights (pivotal tuning). Pictures here are (n, 3, r, r) in [0, 1].
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlib.device import synchronize
from latentlib.gan.lbfgs import Evaluation, State, adam, batched_lbfgs
from latentlib.gan.w_space import p_norm, preconditioner, random_z
from latentlib.metrics import perceptual_distance
from latentlib.models.stylegan import Discriminator, Generator
from latentlib.training import progress as progress_bar

METHODS = ("z", "w", "w+", "p-norm", "encoder", "hybrid", "pivotal")
STEPS = {"z": 150, "w": 150, "w+": 200, "p-norm": 200, "encoder": 0, "hybrid": 120, "pivotal": 200}
STARTS = 64  # random faces of which the most similar one is the start in z, which has no mean face
LEARNING_RATE = 0.1  # how far the first step moves the numbers of a code; later ones follow from the curvature
TUNING_RATE = 3e-3  # learning rate of Adam on the generator's weights, which have unit variance
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
    generator: nn.Module  # the one that draws the images: a tuned copy for "pivotal", else the one given
    history: list[Point]  # one for each step, the start included
    snapshots: Tensor  # (k, n, 3, r, r) in [0, 1], evenly spaced over the steps, the first and the last included
    snapshot_steps: list[int]  # the k steps at which they were taken
    seconds: float
    steps: int  # finished steps; in each the generator draws once and the gradient goes back once
    interrupted: bool  # True when someone pressed stop
    z: Tensor | None = None  # (n, z_dim) of length √z_dim, for the method "z"


def invert(
    generator: Generator,  # is left as it is, also by "pivotal"
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
    search. "hybrid": a short search in w+ from the encoder's answer. "pivotal": a search in w, then a copy of the
    generator is tuned until it draws the images from those codes (Roich et al. 2021, arXiv 2106.05744).

    Each picture is searched for on its own and its best code is kept, so that its result does not depend on the others
    of the batch; only "pivotal" tunes one copy for all. An interrupt (the stop button, Ctrl-C) gives the best so far.
    Raises ValueError with one sentence for images, numbers or a method that cannot be used.
    """
    steps = _steps(method, steps, encoder)
    _check(generator, images, encoder, discriminator, method, perceptual_weight)
    _check_numbers(learning_rate, p_norm_weight, perceptual_weight, tolerance, snapshots)
    if perceptual_weight is None:
        perceptual_weight = PERCEPTUAL_WEIGHT if discriminator is not None else 0.0
    if p_norm_weight is None:
        p_norm_weight = P_NORM_WEIGHT if method == "p-norm" else 0.0
    device = generator.w_mean.device
    images = images.detach().to(device, torch.float32)
    first_step = LEARNING_RATE if learning_rate is None else learning_rate
    n, num_ws, w_dim = len(images), generator.num_ws, generator.w_dim

    # Where a picture is black or white, what is drawn may be even darker or brighter: it is cut off there anyway.
    darkest, brightest = images.where(images > 0, -torch.inf), images.where(images < 1, torch.inf)

    def compare(network: nn.Module, w_plus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the codes draw: (n,) to be made small, (n,) squared error, (n, 3, r, r) pictures."""
        drawn = network.synthesis(w_plus, noise=None) / 2 + 0.5
        loss = (drawn - drawn.clamp(darkest, brightest)).square().flatten(1).mean(1)
        if perceptual_weight:
            loss = loss + perceptual_weight * perceptual_distance(discriminator, drawn, images)
        drawn = drawn.detach().clamp(0, 1)
        return loss, (drawn - images).square().flatten(1).mean(1), drawn

    def of_codes(point: Tensor) -> Evaluation:  # (n, numbers in a code)
        point = point.detach().requires_grad_()
        w_plus = unfold(point)
        loss, error, drawn = compare(generator, w_plus)
        if p_norm_weight:
            loss = loss + p_norm_weight * unusual(w_plus)
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        return Evaluation(loss.detach(), gradient, error, drawn)

    def unfold(point: Tensor) -> Tensor:
        """The codes (n, num_ws, w_dim) of what is searched: (n, z_dim), or how far w is from its start, along axes."""
        if method == "z":
            return generator.mapping(point)[:, None].expand(-1, num_ws, -1)
        moved = torch.einsum("nla,lab->nlb", point.unflatten(1, (-1, w_dim)), axes)  # (n, 1 or num_ws, w_dim)
        return (start + moved).expand(n, num_ws, w_dim)

    recorder = _Recorder(steps, keep_pictures=snapshots > 0)
    bar = progress_bar(steps, steps, "step") if progress and steps else nullcontext()
    with _held(generator, discriminator), bar as recorder.bar:
        if p_norm_weight:
            unusual = p_norm(generator, seed)
        start = _start(generator, images, method, encoder, seed)
        if method == "z":
            here = start
        else:
            here = torch.zeros_like(start).flatten(1)
            # What keeps codes usual bends the valley along other axes, for which w as it is serves better.
            plain = torch.eye(w_dim, device=device).expand(start.shape[1], -1, -1)
            axes = plain if p_norm_weight else preconditioner(generator, same_w=start.shape[1] == 1)
        walk = batched_lbfgs(of_codes, here, first_step, tolerance=tolerance)
        code = recorder.search(walk, here, steps // 2 if method == "pivotal" else steps)
        with torch.no_grad():
            codes = unfold(code).contiguous()
        if method == "pivotal" and not recorder.interrupted:
            generator = tuned = copy.deepcopy(generator).to(memory_format=torch.contiguous_format)
            weights = list(tuned.synthesis.requires_grad_(True).parameters())

            def of_weights(point: Tensor) -> Evaluation:  # (1, numbers in all weights)
                nn.utils.vector_to_parameters(point[0], weights)
                loss, error, drawn = compare(tuned, codes)
                slopes = torch.autograd.grad(loss.sum(), weights, allow_unused=True)  # noise maps are not in use
                flat = [torch.zeros_like(p) if s is None else s for p, s in zip(weights, slopes, strict=True)]
                return Evaluation(loss.detach().sum()[None], torch.cat([s.flatten() for s in flat])[None], error, drawn)

            start = nn.utils.parameters_to_vector(weights).detach()[None]
            walk = adam(of_weights, start, TUNING_RATE, tolerance)
            point = recorder.search(walk, start, steps - steps // 2)
            nn.utils.vector_to_parameters(point[0], weights)
            for weight in weights:
                weight.data = weight.data.clone()  # each its own memory again
            tuned.requires_grad_(False)
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
        z=F.normalize(code, dim=1) * math.sqrt(generator.z_dim) if method == "z" else None,
    )


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
        point, before = start, self.steps
        try:
            for taken, state in enumerate(walk):
                point, self.pictures, self.errors, self.steps = state.point, state.pictures, state.error, before + taken
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
    if method in ("w", "pivotal"):
        return generator.w_mean.repeat(n, 1, 1)
    if encoder is None or method not in ("encoder", "hybrid"):
        return generator.w_mean.repeat(n, num_ws, 1)
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
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"steps must be a whole number from 1 up, got {steps!r}")
    if method == "encoder":
        return 0
    if method == "hybrid" and encoder is None:
        steps = STEPS["w+"] if steps is None else steps
        print(f"No encoder was given: the search starts at the mean face and takes {steps} steps.")
    return STEPS[method] if steps is None else steps


def _check(generator, images, encoder, discriminator, method: str, perceptual_weight: float | None) -> None:
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
    if method == "encoder" and encoder is None:
        raise ValueError('method "encoder" needs encoder=, for example weights.load_face_encoder()')
    if perceptual_weight and discriminator is None:
        raise ValueError("perceptual_weight needs discriminator=, whose features are compared")


def _check_numbers(learning_rate, p_norm_weight, perceptual_weight, tolerance, snapshots) -> None:
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a number above 0, got {learning_rate!r}")
    named = {"p_norm_weight": p_norm_weight, "perceptual_weight": perceptual_weight, "tolerance": tolerance}
    for name, value in named.items():
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number from 0 up, got {value!r}")
    if isinstance(snapshots, bool) or not isinstance(snapshots, int) or snapshots < 0:
        raise ValueError(f"snapshots must be a whole number from 0 up, got {snapshots!r}")
