"""Right and wrong answers to the exercises: RIGHT and WRONG of ``lesson_NN.py``, key -> answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def wrappers(solution: Callable) -> list[Callable]:
    """The same right answer in other kinds: NumPy arrays, lists, float64, on detached copies, with named arguments."""

    def as_array(*arguments):
        return each(solution(*arguments), lambda t: t.detach().cpu().numpy())

    def as_list(*arguments):
        return each(solution(*arguments), lambda t: t.tolist())

    def as_double(*arguments):
        return each(solution(*arguments), lambda t: t.double())

    def as_double_array(*arguments):
        return each(solution(*arguments), lambda t: t.detach().cpu().numpy().astype(np.float64))

    def on_copies(*arguments):
        return solution(*(a.detach().clone() if isinstance(a, torch.Tensor) else a for a in arguments))

    def with_gradient(*arguments):
        return each(solution(*arguments), lambda t: t.float().clone().requires_grad_())

    def not_contiguous(*arguments):
        return each(solution(*arguments), lambda t: torch.stack([t, t], dim=-1)[..., 0])

    return [as_array, as_list, as_double, as_double_array, on_copies, with_gradient, not_contiguous]


def each(value: Any, change: Callable) -> Any:
    """The change done to a tensor, or to each tensor of a tuple; numbers become tensors first."""
    if isinstance(value, tuple):
        return tuple(each(part, change) for part in value)
    if isinstance(value, (bool, int, float)):
        return change(torch.tensor(value))
    return change(value) if isinstance(value, torch.Tensor) else value
