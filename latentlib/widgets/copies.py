"""Copies of a generator, each tuned in a thread on the photos of a couple; the latest ones are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from latentlib.widgets.words import error_line

MOST = 6  # copies that are kept, a few megabytes each
DRAWN = 1e-4  # squared error below which a picture counts as drawn by its code: nothing is left to tune

Tune = Callable[[Tensor, Tensor, Callable[[], bool]], torch.nn.Module]


class Copies:
    """A copy for each couple, tuned when it is wanted; one tuning at a time, and the latest wish counts.

    tune: codes (2, num_ws, w_dim), pictures (2, 3, r, r), stop -> a generator; None: nothing is tuned
    ready: what was tuned already, two names -> a generator
    say: called with a sentence about what the copy is at, and whether one is learning now
    arrived: called when the copy of the couple wanted last is there; it and ``say`` are called under the lock
    """

    def __init__(
        self,
        generator: torch.nn.Module,
        tune: Tune | None,
        ready: Mapping[tuple[str, str], torch.nn.Module] | None,
        say: Callable[[str, bool], None],
        arrived: Callable[[], None],
        lock: threading.RLock,
    ):
        self.generator, self.tune, self.say, self.arrived, self.lock = generator, tune, say, arrived, lock
        self.kept = {couple_of(*names): copy for names, copy in (ready or {}).items()}  # the latest last
        self.pool = ThreadPoolExecutor(1)
        self.job: _Job | None = None  # the tuning that is wanted now

    def of(self, first: str, second: str) -> torch.nn.Module:
        """Who draws for these two: their copy when there is one, else the generator."""
        return self.kept.get(couple_of(first, second), self.generator)

    def want(self, first: str, second: str, codes: Tensor, pictures: Tensor) -> None:
        """Tune a copy for these two, unless there is one; a tuning for others is given up."""
        couple = couple_of(first, second)
        if self.tune is None and not self.kept:
            return
        if self.job is not None:
            if self.job.couple == couple and not self.job.given_up:
                return
            self.job.give_up()
            self.job = None
        if couple in self.kept:
            self.kept[couple] = self.kept.pop(couple)  # the latest last
            self.say("Drawn by a copy of the generator that was tuned on both photos.", False)
            return
        if self.tune is None:
            self.say("", False)
            return
        with torch.no_grad():
            far = (self.generator.draw(codes) - pictures).square().flatten(1).mean(1)
        if (far < DRAWN).all():
            self.say("The generator draws both parents exactly: there is nothing to tune.", False)
            return
        self.job = job = _Job(couple)
        self.say("This is a sketch. A copy of the generator is learning both photos …", True)
        job.future = self.pool.submit(self._learn, job, codes, pictures)

    def _learn(self, job: _Job, codes: Tensor, pictures: Tensor) -> None:
        if job.given_up:
            return
        start = time.perf_counter()
        try:
            copy = self.tune(codes, pictures, job.stop.is_set)
        except Exception as error:  # in a thread nobody else would see it
            with self.lock:
                if job is self.job:
                    self.say(f"The copy could not be tuned. {error_line(error)}", False)
                    self.job = None  # last, since whoever waits stops waiting now
            return
        with self.lock:
            if job.given_up:
                return
            self.kept[job.couple] = copy
            while len(self.kept) > MOST:
                del self.kept[next(iter(self.kept))]
            how = "stopped after" if job.stop.is_set() else "tuned in"
            self.say(f"Drawn by a copy of the generator, {how} {time.perf_counter() - start:.1f} s.", False)
            try:
                self.arrived()
            finally:
                self.job = None

    def stop(self) -> None:
        """End the tuning; its best copy so far is used."""
        if self.job is not None:
            self.job.stop.set()

    def wait(self) -> None:
        """Wait until nothing is tuned."""
        job = self.job
        if job is not None and job.future is not None:
            job.future.result()

    def close(self) -> None:
        """Let the thread and the copies go."""
        with self.lock:
            if self.job is not None:
                self.job.give_up()
            self.tune = self.job = None
            self.kept.clear()
        self.pool.shutdown(wait=False, cancel_futures=True)


class _Job:
    """A copy that is being tuned for a couple."""

    def __init__(self, couple: tuple[str, str]):
        self.couple, self.stop, self.given_up = couple, threading.Event(), False
        self.future: Future | None = None

    def give_up(self) -> None:
        self.given_up = True
        self.stop.set()


def couple_of(first: str, second: str) -> tuple[str, str]:
    """Two names in an order of their own: who stands first does not matter to a copy."""
    return tuple(sorted((first, second)))
