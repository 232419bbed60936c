"""Where the numbers are computed: choose a device, seed it, share its cores."""

import contextlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device to compute on: CUDA when there is one, else Apple's MPS, else the CPU.

    name: "auto", or a device that must be used: "cpu", "cuda", "cuda:1", "mps".
    Raises ValueError with one sentence when that device is unknown or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'unknown device "{name}"; use "auto", "cpu", "cuda" or "mps"') from error
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        raise ValueError(
            f'device "{name}" was asked for, but PyTorch sees no such thing here; use device="auto" '
            "(on Colab: Runtime, Change runtime type, GPU)"
        )
    return device


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices), so that a run can be repeated on the same machine."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries such as UMAP still read the global generator
    torch.manual_seed(seed)


@contextlib.contextmanager
def single_thread(when: bool = True) -> Iterator[None]:
    """Inside the block operations take one core each: where they are so short that more would wait than work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if when else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def thread_map(device: torch.device | str, rows: int) -> Iterator[tuple[Callable, int]]:
    """``with thread_map(device, rows) as (each, parts):`` a ``map`` whose calls run side by side, and for how many.

    For thousands of short operations, as when a network draws two pictures: cores that share every operation wait for
    each other more than they work, so each takes rows of its own, ``tensor.chunk(parts)``. A GPU takes all as one part.
    """
    threads = torch.get_num_threads()
    parts = min(threads, rows) if torch.device(device).type == "cpu" else 1
    if parts <= 1:
        yield map, 1
        return
    try:
        with ThreadPoolExecutor(parts, initializer=torch.set_num_threads, initargs=(threads // parts,)) as pool:
            yield pool.map, parts
    finally:
        torch.set_num_threads(threads)  # what one thread sets is also what PyTorch gives to threads that come later
