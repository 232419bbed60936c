"""Where the numbers are computed: choose a device, seed it, speed it up."""

from __future__ import annotations

import contextlib
import platform
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
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
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


def autocast(device: torch.device | str, enabled: bool = True) -> contextlib.AbstractContextManager:
    """bfloat16 arithmetic inside a ``with`` block where the device does it fast; else full precision.

    That is: NVIDIA GPUs of compute capability 8.0 or more (A100, L4, RTX 30 and later), and CPUs with AVX-512's
    bfloat16 instructions (without them it takes twice as long as float32). Apple's MPS and older hardware stay in
    float32: so does Colab's T4, of capability 7.5, on which PyTorch only emulates bfloat16.
    """
    device = torch.device(device)
    if device.type == "cuda":
        # is_bf16_supported() counts emulation, too
        fast = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and _cpu_has_bfloat16()
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled and fast else contextlib.nullcontext()


def _cpu_has_bfloat16() -> bool:
    return getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()  # the oldest PyTorch that we support has none


def synchronize(device: torch.device | str) -> None:
    """Wait until the device has finished what it was given; a GPU works on after Python has gone on."""
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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


def describe(device: torch.device | str) -> str:
    """One line about the machine: Python, PyTorch, and the device with its name."""
    device = torch.device(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = "Apple GPU" if device.type == "mps" else f"CPU with {torch.get_num_threads()} threads"
    return f"Python {platform.python_version()}, PyTorch {torch.__version__}, {device.type} ({name})"
