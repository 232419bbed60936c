"""What one does in a latent space (walk, mix, find neighbours and directions) and how one measures it.

Codes are tensors (n, d) on any device, in any floating type; answers come back on the same device.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EXACT = 2048  # numbers in a code up to which a principal component analysis is solved exactly

# --- walking


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The point a share ``t`` of the way on the straight line from ``a`` to ``b``.

    a, b: (d,) or (n, d); t: a number, or (n,), one for each row -> (d,) or (n, d). t outside [0, 1] goes beyond.
    """
    a, b, t = _pair(a, b, t)
    return a * (1 - t) + b * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The point a share ``t`` of the way on the arc from ``a`` to ``b`` (Shoemake 1985); lengths go evenly.

    Shapes as in ``lerp``. Equal directions give the straight line, and so do opposite ones, which have
    no arc of their own.
    """
    a, b, t = _pair(a, b, t)
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    u = torch.where(length_a > 0, a / length_a, b / length_b).nan_to_num()  # zeros take the other's direction
    v = torch.where(length_b > 0, b / length_b, u)
    u, v = torch.broadcast_tensors(u, v)
    cosine = (u * v).sum(-1, keepdim=True)
    across = v - cosine * u  # the part of v at a right angle to u
    sine = across.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, cosine)  # exact near 0 and π, where acos is not
    direction = torch.cos(t * angle) * u + torch.sin(t * angle) * across / sine.clamp(min=1e-6)
    return direction * (length_a * (1 - t) + length_b * t)


def _pair(a: Tensor, b: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    if a.shape[-1:] != b.shape[-1:] or a.dim() == 0:
        raise ValueError(f"both ends must have codes of the same size, got {tuple(a.shape)} and {tuple(b.shape)}")
    return a, b, torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)


def path(points: Tensor, steps: int) -> Tensor:
    """A straight walk through all points, evenly divided: (k, ...) -> (steps, ...), both ends included.

    points: (k, d) codes, or (k, c, h, w) pictures, whose path is the cross-fade
    """
    if points.dim() < 2 or len(points) < 2 or steps < 2:
        raise ValueError(f"a path needs 2 points (k, d) and 2 steps or more; got {tuple(points.shape)}, {steps}")
    flat = points.flatten(1)
    place = torch.linspace(0, len(points) - 1, steps, device=points.device, dtype=points.dtype)
    leg = place.floor().long().clamp(max=len(points) - 2)
    return lerp(flat[leg], flat[leg + 1], place - leg).unflatten(1, points.shape[1:])


def affine_map(sources: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
    """The affine map that takes three points to three others: from a plane to the codes, or back.

    sources: (3, p), not on one line; targets: (3, q) -> a function (n, p) -> (n, q); with p > 2, points beside the
    plane of the sources are first dropped onto it.
    """
    edges = (sources[1:] - sources[0]).cpu().double()  # (2, p)
    if len(sources) != 3 or torch.linalg.matrix_rank(edges, rtol=1e-6) < 2:
        raise ValueError(f"sources must be three points (3, p), not on one line; got {tuple(sources.shape)}")
    matrix = torch.linalg.pinv(edges).to(targets) @ (targets[1:] - targets[0])  # (p, q)
    return lambda points: (points - sources[0]).to(targets) @ matrix + targets[0]


# --- neighbours


def neighbours(codes: Tensor, queries: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The ``k`` codes nearest to each query: distances (m, k), nearest first, and their positions (m, k).

    codes: (n, d) or (n, ...), e.g. pictures; queries: (m, ...) of the same size
    """
    codes, queries = _flat(codes, "codes"), _flat(queries, "queries")
    if not 0 < k <= len(codes):
        raise ValueError(f"k must be from 1 to {len(codes)}, the number of codes to choose from; got {k}")
    distances = torch.cdist(queries, codes, compute_mode="donot_use_mm_for_euclid_dist")  # exact far from zero, too
    return tuple(distances.topk(k, largest=False))


def _flat(codes: Tensor, name: str) -> Tensor:
    if codes.dim() < 2 or codes.numel() == 0:
        raise ValueError(f"{name} must be (n, d), got {tuple(codes.shape)}; add a batch axis with {name}[None]")
    return codes.detach().flatten(1).float()


# --- directions


class Principal(NamedTuple):
    """A principal component analysis: what ``principal_directions`` gives."""

    mean: Tensor  # (d,)
    directions: Tensor  # (k, d), of length 1, the one of largest variance first
    variances: Tensor  # (k,)


def principal_directions(codes: Tensor, k: int) -> Principal:
    """The ``k`` directions in which codes (n, d) vary most, by principal component analysis (PCA).

    The largest entry of each direction is positive, so that every machine gives the same signs. Of codes of more than
    EXACT numbers the directions are found by the randomised method (Halko, Martinsson and Tropp 2011), seeded.
    """
    codes, device = _flat(codes, "codes").cpu(), codes.device
    if not 0 < k <= min(codes.shape):
        raise ValueError(f"k must be from 1 to {min(codes.shape)}, the smaller of codes and their numbers; got {k}")
    # Centred before anything is squared: far from zero float32 would round off what the codes differ in.
    mean = codes.mean(0, dtype=torch.float64).float()
    if codes.shape[1] <= EXACT:
        parts = (part - mean for part in codes.split(4096))
        covariance = sum((part.T @ part).double() for part in parts) / max(1, len(codes) - 1)
        variances, axes = (found.flip(-1)[..., :k] for found in torch.linalg.eigh(covariance))
        directions = axes.T
    else:
        from sklearn.decomposition import PCA

        pca = PCA(k, copy=False, svd_solver="randomized", random_state=0).fit((codes - mean).numpy())
        directions, variances = torch.from_numpy(pca.components_), torch.from_numpy(pca.explained_variance_)
    signs = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    return Principal(*(part.to(device, torch.float32) for part in (mean, directions * signs, variances)))


def pca_project(codes: Tensor, principal: Principal) -> Tensor:
    """Codes (n, d) as their coordinates along the principal directions (n, k)."""
    return (_flat(codes, "codes") - principal.mean) @ principal.directions.T


def pca_reconstruct(scores: Tensor, principal: Principal) -> Tensor:
    """Coordinates (n, m) along the first m principal directions back to codes (n, d); m at most k."""
    return scores @ principal.directions[: scores.shape[1]] + principal.mean


def linear_direction(codes: Tensor, values: Tensor) -> Tensor:
    """How a code changes, on average, when a value grows by 1: the linear fit of the codes by the values.

    codes: (n, d); values: (n,) -> (d,); or (n, f) -> (f, d), each direction with the other values held fixed.
    For a value that is 0 or 1 it is the difference of the two means: ``codes + linear_direction(codes, has_arms)``.
    """
    codes = _flat(codes, "codes")
    table = values.detach().cpu().double().reshape(len(values), -1)
    table = table - table.mean(0)
    if (table.abs().amax(0) == 0).any():
        raise ValueError("a value is the same for all codes, so no direction can be found for it; leave it out")
    fit = torch.linalg.pinv(table) @ (codes - codes.mean(0)).cpu().double()  # (f, d)
    return fit.to(codes)[0 if values.dim() == 1 else slice(None)]


def probe_r2(codes: Tensor, targets: Tensor, seed: int = 0) -> Tensor:
    """How much of each target a linear map reads off the codes: R² on codes held out from the fit (1 all, 0 nothing).

    codes: (n, d); targets: (n, t) -> (t,), or (n,) -> a tensor of one number. A quarter, chosen at random by ``seed``,
    is held out. Directions in which the codes hardly differ, by no more than float32 rounds, are left out of the fit:
    what was subtracted from a code leaves a rounding error of 1e-7 behind, from which an exact fit would read it again.
    """
    codes = _flat(codes, "codes")
    table = targets.detach().float().reshape(len(targets), -1)
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    cut = max(2, round(len(codes) / 4))
    # A small problem in which precision counts: solved in float64 on the CPU, whatever the codes' device.
    x, y = codes.cpu().double()[order], table.cpu().double()[order]
    mean_x, mean_y = x[cut:].mean(0), y[cut:].mean(0)
    rounding = max(codes.shape) * torch.finfo(codes.dtype).eps  # as numpy.linalg.matrix_rank has it
    weights = torch.linalg.lstsq(x[cut:] - mean_x, y[cut:] - mean_y, rcond=rounding, driver="gelsd").solution
    wrong = (y[:cut] - mean_y - (x[:cut] - mean_x) @ weights).square().sum(0)
    total = (y[:cut] - y[:cut].mean(0)).square().sum(0)
    r2 = torch.where(total > 0, 1 - wrong / total.clamp(min=1e-300), (wrong == 0).double())
    return r2.float().to(codes.device).reshape(targets.shape[1:])
