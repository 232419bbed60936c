"""L-BFGS for many small problems at once: every row of a tensor walks downhill by itself, and tells where it stands.

For searches in which one evaluation is dear and exact, as when a picture is drawn from a code: there the remembered
curvature saves most of the steps that Adam would take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

MEMORY = 100  # steps remembered, each two vectors as long as a row


class Evaluation(NamedTuple):
    """What one drawing tells about each row of points; a row is one picture's code."""

    loss: Tensor  # (rows,) what is made small
    gradient: Tensor  # (rows, numbers)
    error: Tensor  # (rows,) squared error of the picture
    pictures: Tensor  # (rows, 3, r, r) in [0, 1]


class State(NamedTuple):
    """Where the search stands: in each row the best point so far."""

    point: Tensor  # (rows, numbers)
    error: Tensor  # (rows,)
    pictures: Tensor  # (rows, 3, r, r)
    done: bool  # no row can or need get better


def batched_lbfgs(
    evaluate: Callable[[Tensor], Evaluation],
    point: Tensor,  # (rows, numbers) where to start
    first_step: float,  # root mean square of the first step's numbers
    memory: int = MEMORY,  # steps remembered
    tolerance: float | None = None,  # a row whose picture has an error this small stays where it is
) -> Iterator[State]:
    """L-BFGS (Nocedal 1980) on every row by itself: after the start and after each step, where it stands.

    The remembered steps and the changes of the gradient along them tell the curvature, so that steps can be long where
    the valley is flat. A step that makes its row worse is taken back and tried at a third of the length. All in
    float32: the curvature is a difference of gradients, which bfloat16 would round away.
    """
    now = evaluate(point)
    if not torch.isfinite(now.loss).all():
        raise ValueError("the generator draws values that are no numbers; are its weights whole?")
    rows, numbers = point.shape
    curve = _Curvature(point, memory, scale=first_step * math.sqrt(numbers) / (now.gradient.norm(dim=1) + 1e-20))
    share = torch.ones(rows, device=point.device)  # of the full step that is tried next
    while True:
        still = share > 1e-4
        if tolerance is not None:
            still &= now.error > tolerance
        yield State(point, now.error, now.pictures, not still.any().item())
        step = (curve.direction(now.gradient) * share[:, None]).where(still[:, None], 0.0)
        tried = evaluate(point + step)
        better = still & (tried.loss < now.loss)
        curve.remember(step, tried.gradient - now.gradient, better)
        share = torch.where(better, 1.0, torch.where(still, share * 0.3, share))
        point = torch.where(better[:, None], point + step, point)
        now = Evaluation(
            tried.loss.where(better, now.loss),
            tried.gradient.where(better[:, None], now.gradient),
            tried.error.where(better, now.error),
            tried.pictures.where(better[:, None, None, None], now.pictures),
        )


class _Curvature:
    """The inverse Hessian of L-BFGS in its compact form (Byrd, Nocedal and Schnabel 1994, theorem 2.2).

    s are steps, y the changes of the gradient along them. The products s·y and y·y are kept on the CPU in float64,
    where the small triangular systems are solved; the long vectors stay on their device.
    """

    def __init__(self, point: Tensor, memory: int, scale: Tensor):
        rows, numbers = point.shape
        self.s, self.y = point.new_zeros(2, rows, memory, numbers)  # oldest first
        self.sy = torch.zeros(rows, memory, memory, dtype=torch.float64)  # s_i · y_j for i ≤ j
        self.yy = torch.zeros(rows, memory, memory, dtype=torch.float64)
        self.scale = scale  # (rows,) of the inverse Hessian before anything is remembered
        self.count, self.memory = 0, memory

    def remember(self, s: Tensor, y: Tensor, better: Tensor) -> None:
        """s, y: (rows, numbers). Rows that did not get better, or that curve the wrong way, remember nothing."""
        sy, yy = (s * y).sum(1), y.square().sum(1)
        useful = better & (sy > 1e-8 * yy.sqrt() * s.norm(dim=1))
        self.scale = torch.where(useful, sy / yy, self.scale)
        if self.count == self.memory:
            self.s, self.y = self.s.roll(-1, 1), self.y.roll(-1, 1)
            self.sy, self.yy = (x.roll((-1, -1), (1, 2)) for x in (self.sy, self.yy))
            self.count -= 1
        k, self.count = self.count, self.count + 1
        self.s[:, k], self.y[:, k] = s.where(useful[:, None], 0.0), y.where(useful[:, None], 0.0)
        with_s, with_y = self._products(self.y[:, k])
        self.sy[:, : k + 1, k], self.sy[:, k, :k] = with_s, 0.0
        self.sy[:, k, k] += (~useful).cpu()  # an empty pair: any number but 0 keeps the system solvable
        self.yy[:, : k + 1, k] = self.yy[:, k, : k + 1] = with_y

    def _products(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """With every remembered s and y: (rows, numbers) -> (rows, count), (rows, count)."""
        both = (torch.bmm(vector[:, None], x[:, : self.count].mT)[:, 0] for x in (self.s, self.y))
        return tuple(product.cpu().double() for product in both)

    def direction(self, gradient: Tensor) -> Tensor:
        """(rows, numbers) -> minus the inverse Hessian times the gradient."""
        step = -self.scale[:, None] * gradient
        if not self.count:
            return step
        k, scale = self.count, self.scale.cpu().double()[:, None, None]
        with_s, with_y = (product[..., None] for product in self._products(gradient))  # (rows, count, 1)
        upper, yy = self.sy[:, :k, :k], self.yy[:, :k, :k]
        a = torch.linalg.solve_triangular(upper, with_s, upper=True)
        inner = torch.diag_embed(upper.diagonal(dim1=1, dim2=2)) @ a + scale * (yy @ a - with_y)
        b = torch.linalg.solve_triangular(upper.mT, inner, upper=False)
        along_s, along_y = ((share.mT).to(gradient) for share in (-b, scale * a))  # (rows, 1, count)
        return step + (torch.bmm(along_s, self.s[:, :k]) + torch.bmm(along_y, self.y[:, :k]))[:, 0]
