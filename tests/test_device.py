"""Choosing a device, seeding, and what cores do side by side. A GPU is played where there is none."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from latentlib import device


@pytest.fixture
def machine(monkeypatch):
    """A function that plays a machine with these accelerators."""

    def play(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return play


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (1, True, "cuda")]
)
def test_auto_takes_the_best_there_is(machine, cuda, mps, best):
    machine(cuda, mps)
    assert device.pick_device() == torch.device(best)


@pytest.mark.parametrize("name", ["cuda", "cuda:2", "mps", "meta", "quantum"])
def test_a_device_that_is_not_there_is_named(machine, name):
    machine(cuda=2 if name == "cuda:2" else 0)
    with pytest.raises(ValueError, match=name):
        device.pick_device(name)


def test_a_named_device_is_taken(machine):
    machine(cuda=2, mps=True)
    for name in ("cpu", "cuda:1", "mps"):
        assert device.pick_device(name) == torch.device(name)


def test_the_same_seed_gives_the_same_numbers_everywhere():
    def draw(seed):
        device.seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 (the learner may use it)

    assert draw(7) == draw(7)
    assert not set(draw(7)) & set(draw(8))


def test_every_function_with_a_device_takes_auto():
    from latentlib.datasets import digits, furniture, glyphs, portraits

    best = device.pick_device()
    pieces = furniture.load(2, size=8, device="auto")
    found = [*pieces, *glyphs.load(3, device="auto")]
    found += [digits.load("bundled", "auto").test_images, portraits.load(16, "auto").images]
    assert {part.device.type for part in found} == {best.type}


def test_each_thread_takes_a_share_of_the_rows(three_threads):
    rows = torch.arange(5.0)
    with device.thread_map("cpu", len(rows)) as (each, parts):
        assert parts == 3
        shares = list(each(lambda part: (part * 2, threading.get_ident(), torch.get_num_threads()), rows.chunk(parts)))
    doubled, threads, counts = zip(*shares, strict=True)
    assert torch.equal(torch.cat(doubled), rows * 2)
    assert threading.get_ident() not in threads
    assert counts == (1, 1, 1)


@pytest.mark.parametrize(("name", "rows"), [("cpu", 1), ("cuda", 100)])
def test_one_row_and_a_gpu_start_no_thread(three_threads, name, rows):
    with device.thread_map(name, rows) as (each, parts):
        assert list(each(lambda _: threading.get_ident(), range(parts))) == [threading.get_ident()]


def test_later_threads_may_use_all_cores_again_even_after_an_error(three_threads):
    with pytest.raises(ZeroDivisionError), device.thread_map("cpu", 3) as (each, _):
        list(each(lambda x: 1 / x, [1, 0, 2]))
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), device.single_thread():
        1 / (torch.get_num_threads() - 1)
    with device.single_thread(False):
        assert torch.get_num_threads() == 3
