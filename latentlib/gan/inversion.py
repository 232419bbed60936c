"""From a picture back to its code: search the code from which the generator draws it.

start (the mean face, or an encoder's guess) ─> draw ─> compare ─> gradient to the code ─> step ─> draw ─> …

What is searched is one w, or one w for each layer (W+). The generator stays as it is; ``tuning`` goes on from the codes
and changes a copy of it. Pictures here are (n, 3, r, r) in [0, 1].
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlib.device import thread_map
from latentlib.fit import progress as progress_bar
from latentlib.gan.lbfgs import batched_lbfgs
from latentlib.metrics import feature_distance, perceptual_features, random_z
from latentlib.models.autoencoder import check_batch
from latentlib.models.stylegan2 import SLOPE, Discriminator, Generator

METHODS = ("w", "w+", "p-norm")
FIRST_STEP = 0.1  # how far the first step moves the numbers of a code; later ones follow from the curvature


class Inversion(NamedTuple):
    """What ``invert`` found."""

    codes: Tensor  # (n, num_ws, w_dim), whatever the method; generator.draw(codes) are the images
    images: Tensor  # (n, 3, r, r) in [0, 1], what the codes draw
    snapshots: list[Tensor]  # each (n, 3, r, r) in [0, 1]; evenly spaced over the steps, the start and the end included
    snapshot_codes: list[Tensor]  # each (n, num_ws, w_dim)


def invert(
    generator: Generator,  # is left as it is
    images: Tensor,  # (n, 3, r, r) in [0, 1], r the generator's resolution or half of it; on any device
    method: str = "w+",  # one of METHODS
    *,
    steps: int = 120,  # in each the generator draws once and the gradient goes back once
    encoder: Callable[[Tensor], Tensor] | None = None,  # images in [-1, 1] -> (n, num_ws, w_dim), where to start
    p_norm_weight: float = 1e-3,  # how much "p-norm" minds unusual codes: so much leaves those of photos about usual
    snapshots: int = 0,  # how many pictures of the way to keep
    progress: bool = True,  # show a bar
) -> Inversion:
    """Find codes from which the generator draws the images.

    "w": one w for all layers. "w+": one for each layer; closer to the picture, further from the space. "p-norm": w+
    that is kept among usual codes (Zhu et al. 2020, arXiv 2012.09036). All but "w" start where the encoder says.

    Each picture is searched for on its own and its best code is kept, so that its result does not depend on the others
    of the batch. An interrupt (the stop button, Ctrl-C) gives the best so far.
    Raises ValueError with one sentence for images or a method that cannot be used.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    check(generator, images)
    device = generator.w_avg.device
    images = images.detach().to(device, torch.float32)
    unusual = mahalanobis_p(generator) if method == "p-norm" else None
    way = []
    with progress_bar(steps, steps, "step", progress) as bar, thread_map(device, len(images)) as (each, parts):
        errors = [PictureError(part) for part in images.chunk(parts)]
        start = generator.w_avg.repeat(len(images), 1 if method == "w" else generator.num_ws, 1)
        if encoder is not None and method != "w":
            with torch.no_grad():
                start = encoder(images * 2 - 1).to(start)
        # What keeps codes usual bends the valley along other axes, for which w as it is serves better.
        axes = preconditioner(generator, method == "w", images.shape[-1]) if unusual is None else None

        def to_codes(position: Tensor) -> Tensor:
            """How far from the start, (n, numbers) along the axes -> codes (n, num_ws, w_dim)."""
            moved = position.view(start.shape)
            moved = moved if axes is None else torch.einsum("nla,lab->nlb", moved, axes)
            return (start + moved).expand(-1, generator.num_ws, -1)

        def look(codes: Tensor, error: PictureError) -> tuple[Tensor, Tensor, Tensor]:
            codes.requires_grad_()
            drawn = generator.synthesis(codes, None, images.shape[-1]) / 2 + 0.5
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
            for done, now in enumerate(batched_lbfgs(evaluate, torch.zeros_like(start).flatten(1), FIRST_STEP)):
                way = [*way, now] if snapshots else [now]
                bar.update(done > 0)
                if done == steps:
                    break
        except KeyboardInterrupt:
            if not way:
                raise  # nothing was drawn yet
            print(f"Stopped after {done} of {steps} steps; each picture keeps its best code so far.")
    with torch.no_grad():
        codes = [to_codes(state.position).contiguous() for state in way]
    kept = torch.linspace(0, len(way) - 1, snapshots).round().int().tolist()
    return Inversion(codes[-1], way[-1].pictures, [way[k].pictures for k in kept], [codes[k] for k in kept])


class PictureError:
    """How far drawn pictures are from the wanted ones: squared error, plus a weighted perceptual distance.

    images: (n, 3, r, r) in [0, 1], the wanted ones; discriminator: None leaves the perceptual distance out
    Called with drawn pictures (n, 3, r, r), which may leave [0, 1], it gives (n,) with gradients.
    """

    def __init__(self, images: Tensor, discriminator: Discriminator | None = None, perceptual_weight: float = 0.0):
        # Where a picture is black or white, what is drawn may be even darker or brighter: it is cut off there anyway.
        self.darkest, self.brightest = images.where(images > 0, -torch.inf), images.where(images < 1, torch.inf)
        self.discriminator, self.weight = discriminator, perceptual_weight
        with torch.no_grad():
            self.features = discriminator and perceptual_features(discriminator, images)

    def __call__(self, drawn: Tensor) -> Tensor:
        error = (drawn - drawn.clamp(self.darkest, self.brightest)).square().flatten(1).mean(1)
        if self.features is None:
            return error
        seen = perceptual_features(self.discriminator, drawn)
        return error + self.weight * feature_distance(seen, self.features)


# ------------------------------------------------------------------------------------- codes: usual, and well searched


@torch.no_grad()
def mahalanobis_p(generator: Generator) -> Callable[[Tensor], Tensor]:
    """A measure of how unusual codes are: (n, num_ws, w_dim) -> (n,), near 1 for codes of the mapping.

    Before the mapping's last leaky ReLU codes are spread nearly like a Gaussian; there it is the squared Mahalanobis
    distance divided by w_dim, mean over the layers (the P_N space of arXiv 2012.09036).
    """
    x = F.leaky_relu(generator.mapping(random_z(generator, 10_000, seed=0)), 1 / SLOPE)
    mean = x.mean(0)
    variance, axes = torch.linalg.eigh(torch.cov(x.T).cpu().double())
    variance = variance.clamp(min=1e-4 * variance[-1].item())  # directions that hardly vary must not rule
    whiten = (axes / variance.sqrt()).to(x)  # (w_dim, w_dim)
    return lambda w_plus: ((F.leaky_relu(w_plus, 1 / SLOPE) - mean) @ whiten).square().mean(dim=(1, 2))


def preconditioner(generator: Generator, same_w: bool = False, size: int | None = None) -> Tensor:
    """Axes along which a picture changes about equally fast: (num_ws, w_dim, w_dim), each row a change of a layer's w;
    with ``same_w`` (1, w_dim, w_dim), changes of the w of all layers. size: of the picture; None: the generator's.

    Searching w as it is walks slowly: what an affine layer hardly reads gets small gradients, and so do fine layers,
    which change few colours. So the metric of a layer is what its affine weights make of a change, times how much the
    picture answers to that layer at the mean face (to four random looks). Its inverse root gives the axes.
    """
    synthesis, num_ws, w_dim = generator.synthesis, generator.num_ws, generator.w_dim
    reads = torch.zeros(num_ws, w_dim, w_dim, dtype=torch.float64)
    layer = 0
    for resolution in [r for r in synthesis.resolutions if r <= (size or r)]:
        block = getattr(synthesis, f"b{resolution}")
        for place, part in enumerate(block.children(), start=layer):
            weight = (part.affine.weight * part.affine.weight_gain).detach().cpu().double()
            reads[min(place, num_ws - 1)] += weight.T @ weight
        layer += block.num_conv  # a block's torgb shares its w with the next block's first convolution
    reads = reads / reads.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-2 * torch.eye(w_dim, dtype=torch.float64)
    numbers = torch.Generator().manual_seed(0)
    answer = torch.zeros(num_ws, dtype=torch.float64)
    with torch.enable_grad():
        w_plus = generator.w_avg.repeat(1, num_ws, 1).requires_grad_()
        drawn = synthesis(w_plus, None, size)
        for _ in range(4):
            look = torch.randn(drawn.shape, generator=numbers).to(drawn)
            (slope,) = torch.autograd.grad(drawn, w_plus, look, retain_graph=True)
            answer += (slope[0].cpu().double()[:, None] @ _inverse_root(reads)).square().mean((1, 2))
    pace = answer.clamp(min=1e-12 * answer.max().item()) ** -0.25  # the root of the root mean square answer, inverted
    metric = reads * ((pace / pace.mean()) ** -2)[:, None, None]
    return _inverse_root(metric.mean(0, keepdim=True) if same_w else metric).to(generator.w_avg)


def _inverse_root(matrix: Tensor) -> Tensor:
    strength, vectors = torch.linalg.eigh(matrix)
    return (vectors * strength[:, None] ** -0.5) @ vectors.mT


def check(generator: Generator, images: Tensor) -> None:
    """Raises ValueError, with one sentence, unless images are (n, 3, r, r) floats in [0, 1]."""
    size = generator.resolution
    check_batch("images", images, (3, size, size) if images.shape[-1] != size // 2 else (3, size // 2, size // 2))
    low, high = images.min().item(), images.max().item()
    if not images.is_floating_point() or not (low >= -1e-3 and high <= 1 + 1e-3):  # not numbers fail too
        raise ValueError(f"images must be floats in [0, 1], got {images.dtype} from {low:.3g} to {high:.3g}")
