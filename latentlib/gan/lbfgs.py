"""L-BFGS (Nocedal 1980) for many small problems at once: every row of a tensor walks downhill by itself.

For searches in which one evaluation is dear and exact, as when a picture is drawn from a code: the remembered curvature
saves most of the steps that Adam would take. ``torch.optim.LBFGS`` knows one problem (`make bench NAMES=inversion` sets
both side by side), and the first of torch.optim's optimizers loads PyTorch's compiler, 160 MB. All in float32: the
curvature is a difference of gradients, which bfloat16 would round away.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

MEMORY = 100  # steps remembered


class State(NamedTuple):
    """Where each row stands: the best position so far, and what the function says there."""

    position: Tensor  # (rows, numbers)
    loss: Tensor  # (rows,)
    gradient: Tensor  # (rows, numbers)
    pictures: Tensor  # (rows, …), what was drawn there


def batched_lbfgs(
    evaluate: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]],  # positions -> loss, gradient, pictures
    position: Tensor,  # (rows, numbers) where to start
    first_step: float,  # root mean square of the first step's numbers
) -> Iterator[State]:
    """Where each row stands, after the start and after each step, until no row gets better.

    A step that makes its row worse is taken back and tried at a third of the length.
    """
    now = State(position, *evaluate(position))
    if not torch.isfinite(now.loss).all():
        raise ValueError("the generator draws values that are no numbers; are its weights whole?")
    memory = deque(maxlen=MEMORY)  # (step, change of the gradient, 1 / their product), a row that learned nothing has 0
    scale = first_step * math.sqrt(position.shape[1]) / (now.gradient.norm(dim=1, keepdim=True) + 1e-20)
    share = torch.ones_like(scale)  # of the full step that is tried next
    yield now
    while (still := share > 1e-4).any():
        step = (_direction(now.gradient, memory, scale) * share).where(still, 0.0)
        tried = State(now.position + step, *evaluate(now.position + step))
        better = still & (tried.loss < now.loss)[:, None]
        change = tried.gradient - now.gradient
        product, square = (step * change).sum(1, keepdim=True), change.square().sum(1, keepdim=True)
        useful = better & (product > 1e-8 * square.sqrt() * step.norm(dim=1, keepdim=True))
        scale = torch.where(useful, product / square, scale)
        memory.append((step, change, torch.where(useful, 1 / product, 0.0)))
        share = torch.where(better, 1.0, torch.where(still, share * 0.3, share))
        pairs = zip(tried, now, strict=True)
        now = State(*(new.where(better.view(-1, *[1] * (new.dim() - 1)), old) for new, old in pairs))
        yield now


def _direction(gradient: Tensor, memory: deque, scale: Tensor) -> Tensor:
    """(rows, numbers) -> minus the inverse Hessian times the gradient, by the two loops of Nocedal's paper."""
    shares, rest = [], -gradient
    for step, change, weight in reversed(memory):
        shares.append(weight * (step * rest).sum(1, keepdim=True))
        rest = torch.addcmul(rest, shares[-1], change, value=-1)
    rest = rest * scale
    for (step, change, weight), share in zip(memory, reversed(shares), strict=True):
        rest = torch.addcmul(rest, share - weight * (change * rest).sum(1, keepdim=True), step)
    return rest
