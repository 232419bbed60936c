"""Copies of a generator, each tuned in a thread on the photos of a couple; the latest ones are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from latentlib.widgets.base import sentence

MOST = 6  # copies that are kept, a few megabytes each
DRAWN = 1e-4  # squared error below which a picture counts as drawn by its code: nothing is left to tune
Couple = frozenset[str]  # two names: who stands first does not matter to a copy


class TuningJobs:
    """One tuning at a time, in a thread of its own; the couple wanted last counts.

    tune: codes (2, num_ws, w_dim), pictures (2, 3, r, r), stop= -> a generator, or something that has one; None: never
    ready: what was tuned already, two names -> a generator
    changed: called under the lock when a copy has come, or what is said has changed

    said, busy: what it is at, and whether a copy is being tuned
    """

    def __init__(
        self, tune: Callable | None, ready: Mapping | None, lock: threading.RLock, changed: Callable[[], None]
    ):
        self.tune, self.lock, self.changed = tune, lock, changed
        self.kept = {frozenset(names): copy for names, copy in (ready or {}).items()}  # the latest last
        self.said, self.busy = "", False
        self._stop = threading.Event()
        self._wanted: Couple | None = None
        self._thread = ThreadPoolExecutor(1)

    def want(self, couple: Couple, generator: torch.nn.Module, codes: Tensor, pictures: Tensor) -> None:
        """A couple is shown: tune on its pictures, unless there is a copy, or the generator draws them already."""
        if self.busy and self._wanted == couple:
            return
        self._stop.set()  # another couple's copy is no longer wanted
        self._wanted, self.busy, self.said = couple, False, ""
        if couple in self.kept:
            self.kept[couple] = self.kept.pop(couple)
            self.said = "Drawn by a copy of the generator that was tuned on both photos."
        elif self.tune is not None:
            with torch.no_grad():
                far = (generator.draw(codes) - pictures).square().flatten(1).mean(1)
            if (far < DRAWN).all():
                return
            self.said, self.busy = "A sketch: a copy of the generator is learning both photos …", True
            self._stop = threading.Event()
            self._thread.submit(self._learn, couple, codes, pictures, self._stop)

    def _learn(self, couple: Couple, codes: Tensor, pictures: Tensor, stop: threading.Event) -> None:
        began, copy, error = time.perf_counter(), None, None
        try:
            if couple == self._wanted:
                copy = self.tune(codes, pictures, stop=stop.is_set)
        except Exception as raised:  # in a thread nobody else would see it
            error = raised
        with self.lock:
            if stop is not self._stop or couple != self._wanted:
                return
            if error is None:
                self.kept[couple] = getattr(copy, "generator", copy)
                while len(self.kept) > MOST:
                    del self.kept[next(iter(self.kept))]
            how = "stopped after" if stop.is_set() else "tuned in"
            done = f"Drawn by a copy of the generator, {how} {time.perf_counter() - began:.0f} s."
            self.said, self.busy = done if error is None else sentence(error), False
            self.changed()

    def stop(self) -> None:
        """End the tuning; its best copy so far is used."""
        self._stop.set()

    def close(self) -> None:
        """Let the thread and the copies go."""
        self._stop.set()
        self._wanted, self.tune = None, None
        self.kept.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)
