"""One line of the table that `make bench` prints, and the clock behind it."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class LeftOut(Exception):
    """One sentence on why a benchmark cannot run on this machine: that is no failure."""


class Row(NamedTuple):
    """A figure, the same of its peer in the same run, and peer / value: above 1 we are faster, or nearer."""

    name: str
    value: float
    peer: float

    @property
    def ratio(self) -> float:
        return self.peer / self.value


def turn_by_turn(rounds: int, *acts: Callable[[], object]) -> list[float]:
    """Seconds of each act, the median of some rounds after one that does not count; a busy moment hits all of them."""
    taken: list[list[float]] = [[] for _ in acts]
    for number in range(-1, rounds):
        for act, seconds in zip(acts, taken, strict=True):
            began = time.perf_counter()
            act()
            if number >= 0:
                seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in taken]
