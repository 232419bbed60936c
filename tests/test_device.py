"""Choosing a device, seeding, measuring, and where data lives. A GPU is played where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from latentlib import datasets, device, settings
from training import runs


@pytest.fixture
def machine(monkeypatch):
    """A function that plays a machine with these accelerators."""

    def play(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return play


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (1, True, "cuda")]
)
def test_auto_takes_the_best_there_is(machine, cuda, mps, expected):
    machine(cuda, mps)
    assert device.pick_device() == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cuda", "PyTorch sees no NVIDIA GPU here"),
        ("mps", "not a Mac with Apple silicon"),
        ("meta", 'device "meta" is not supported'),
        ("quantum", 'unknown device "quantum"'),
    ],
)
def test_a_device_that_is_not_there_is_named(machine, name, sentence):
    machine()
    with pytest.raises(ValueError, match=sentence):
        device.pick_device(name)


def test_a_named_device_is_taken_and_its_number_checked(machine):
    machine(cuda=2)
    assert device.pick_device("cpu") == torch.device("cpu")
    assert device.pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"this machine has 2 GPU\(s\)"):
        device.pick_device("cuda:2")


def test_the_same_seed_gives_the_same_numbers_everywhere():
    def draw():
        device.seed_everything(7)
        return random.random(), np.random.rand(), torch.rand(3).tolist()  # noqa: NPY002 (the learner may use it)

    first = draw()
    assert first == draw()
    device.seed_everything(8)
    assert first[2] != torch.rand(3).tolist()


def test_autocast_computes_in_bfloat16_only_where_that_is_fast(machine, monkeypatch):
    a = torch.ones(4, 4)
    monkeypatch.setattr(device, "_cpu_has_bfloat16", lambda: True)
    with device.autocast("cpu"):
        assert (a @ a).dtype == torch.bfloat16
    with device.autocast("cpu", enabled=False):
        assert (a @ a).dtype == torch.float32
    monkeypatch.setattr(device, "_cpu_has_bfloat16", lambda: False)
    with device.autocast("cpu"):
        assert (a @ a).dtype == torch.float32
    machine(mps=True)
    assert isinstance(device.autocast("mps"), contextlib.nullcontext)


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), None), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, capability, dtype):
    """Colab's T4 has capability 7.5, and is_bf16_supported() says yes to it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: types.SimpleNamespace(kind=kind, dtype=dtype))
    found = device.autocast("cuda:0")
    assert (None if isinstance(found, contextlib.nullcontext) else found.dtype) == dtype


def test_an_older_pytorch_that_cannot_tell_gets_full_precision(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert device._cpu_has_bfloat16() is False


def test_synchronize_waits_for_the_device_that_was_asked(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda which: waited.append(str(which)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    for name in ("cpu", "cuda:0", "mps"):
        device.synchronize(name)
    assert waited == ["cuda:0", "mps"]


def test_a_stopwatch_counts_at_least_what_passed():
    with device.Stopwatch() as watch:
        time.sleep(0.02)
    assert watch.seconds >= 0.02


def test_describe_names_the_machine_in_one_line(monkeypatch):
    line = device.describe("cpu")
    assert "\n" not in line
    assert f"PyTorch {torch.__version__}, cpu (CPU with" in line
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda which: "NVIDIA H100")
    assert device.describe("cuda").endswith("cuda (NVIDIA H100)")


def test_the_data_folder_is_what_the_variable_names(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    assert datasets.data_folder() is None
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path))
    assert datasets.data_folder() == tmp_path.resolve()
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="which is not a folder; correct it or unset it"):
        datasets.data_folder()


def test_a_relative_data_folder_may_be_meant_from_the_clone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTLIB_DATA", "tests")
    assert datasets.data_folder() == folders._CLONE / "tests"


def test_downloads_land_in_the_clone_at_home_or_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "named"))
    assert datasets.cache_folder() == (tmp_path / "named").resolve()
    monkeypatch.delenv("LATENTLIB_CACHE")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(folders, "_CLONE", tmp_path)
    assert datasets.cache_folder() == tmp_path / "data" / "cache"
    assert (tmp_path / "data" / "cache").is_dir()
    monkeypatch.setattr(folders, "_CLONE", tmp_path / "site-packages")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert datasets.cache_folder() == tmp_path / "home" / ".cache" / "latentlib"


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("no", False), ("1", True), ("yes", True)])
def test_offline_is_read_from_the_variable(monkeypatch, value, expected):
    monkeypatch.setenv("LATENTLIB_OFFLINE", value)
    assert datasets.offline() is expected


# --- what must be set before torch is loaded --------------------------------------------------------------------------


ASK = """
import json, os, sys
import latentlib
assert "torch" not in sys.modules
print(json.dumps({name: os.environ.get(name) for name in %r}))
"""
NAMES = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY", "PYTORCH_ENABLE_MPS_FALLBACK")


def in_a_fresh_process(**settings: str) -> dict[str, str | None]:
    """What the variables are once latentlib is imported and torch is not."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | settings
    done = subprocess.run([sys.executable, "-c", ASK % (NAMES,)], env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_importing_latentlib_settles_what_torch_reads_when_it_is_loaded():
    found = in_a_fresh_process()
    assert found == settings.SPIN | settings.FALLBACK | {"OMP_WAIT_POLICY": None}
    assert found["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7"), ("KMP_BLOCKTIME", "200")]
)
def test_a_learners_own_setting_of_how_threads_wait_stays(name, value):
    nothing_else = dict.fromkeys(settings.WAITING) | {name: value}
    assert in_a_fresh_process(**{name: value}) == nothing_else | settings.FALLBACK


def test_a_learners_own_setting_of_the_fallback_stays():
    assert in_a_fresh_process(PYTORCH_ENABLE_MPS_FALLBACK="0")["PYTORCH_ENABLE_MPS_FALLBACK"] == "0"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's PyTorch has GNU's threads")
def test_gnus_threads_read_the_short_spin():
    """libgomp prints its settings when it is loaded: it has taken the number, and takes the default without it."""
    code = "import {} torch"
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment["OMP_DISPLAY_ENV"] = "VERBOSE"
    said = {}
    for first in ("latentlib,", ""):
        command = [sys.executable, "-c", code.format(first)]
        said[first] = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    if "GOMP_SPINCOUNT" not in said[""]:
        pytest.skip("this PyTorch was built with other threads")
    assert "GOMP_SPINCOUNT = '1000'" in said["latentlib,"]
    assert "GOMP_SPINCOUNT = '1000'" not in said[""]


def test_importing_latentlib_imports_nothing_heavy():
    heavy = ["torch", "numpy", "matplotlib", "sklearn", "umap", "plotly", "ipywidgets", "anywidget", "PIL"]
    code = f"import sys, latentlib, latentlib.bootstrap, latentlib.claims; print(*(set(sys.modules) & set({heavy})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


RESIDENT = """
import re, torch
from pathlib import Path
from training.runs import keep_freed_memory

def resident_mb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

changed = keep_freed_memory() if KEEP else None
torch.ones(1)
before = resident_mb()
many = torch.ones(25_000_000)
del many
print(changed, resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc to look into")
def test_freed_memory_is_kept_only_after_asking():
    kept = {}
    for keep in (False, True):
        command = [sys.executable, "-c", RESIDENT.replace("KEEP", str(keep))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        changed, kept[keep] = done.stdout.split()
    assert float(kept[False]) < 50
    if changed == "False":
        pytest.skip("this C library has no such setting")
    assert float(kept[True]) > 50  # of 100 MB


def test_other_systems_and_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert runs.keep_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace(mallopt=pytest.fail))
    assert runs.keep_freed_memory() is False


# ---------------------------------------------------------------------------------------------------- core by core


def test_each_core_takes_a_share_of_the_rows(three_threads):
    rows = torch.arange(5.0)
    with device.thread_map("cpu", len(rows)) as (each, parts):
        assert parts == 3
        shares = list(each(lambda part: (part * 2, threading.get_ident(), torch.get_num_threads()), rows.chunk(parts)))
    doubled, threads, counts = zip(*shares, strict=True)
    assert torch.equal(torch.cat(doubled), rows * 2)
    assert threading.get_ident() not in threads
    assert counts == (1, 1, 1)


def test_fewer_rows_than_cores_share_them(three_threads):
    torch.set_num_threads(4)
    with device.thread_map("cpu", 2) as (each, parts):
        assert list(each(lambda _: torch.get_num_threads(), range(parts))) == [2, 2]
    with device.thread_map("cpu", 1) as (each, parts):  # nothing to share: no thread is started
        assert list(each(lambda _: threading.get_ident(), range(parts))) == [threading.get_ident()]


def test_a_gpu_takes_all_rows_at_once(three_threads):
    with device.thread_map("cuda", 100) as (each, parts):
        assert list(each(lambda _: threading.get_ident(), range(parts))) == [threading.get_ident()]


def test_later_threads_may_use_all_cores_again_even_after_an_error(three_threads):
    with pytest.raises(ZeroDivisionError), device.thread_map("cpu", 3) as (each, _):
        list(each(lambda x: 1 / x, [1, 0, 2]))
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
