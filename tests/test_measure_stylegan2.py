"""What notebook 08 says of NVIDIA's sizes was measured on the whole of a couple's way; here with small networks."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
import torch
from torch.utils import flop_counter

from training.faces import measure_stylegan2 as measured


def test_a_couple_is_measured_from_the_file_to_the_children(monkeypatch, tmp_path):
    tune, load = measured.tuning.tune, measured.weights.load_stylegan2
    loaded = []
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path))  # main sets it
    monkeypatch.setattr(measured, "SEARCH_STEPS", 2)
    monkeypatch.setattr(measured, "RESULT", tmp_path / "speed.json")
    monkeypatch.setattr(measured.tuning, "tune", lambda *given, **options: tune(*given, steps=3, **options))
    monkeypatch.setattr(measured.weights, "load_stylegan2", lambda *given: loaded.append(load(*given)) or loaded[0])
    monkeypatch.setattr(measured, "official", lambda size: {2**i: 8 for i in range(2, size.bit_length())})
    monkeypatch.setattr(sys, "argv", ["measure", "--couple", "--threads", str(measured.torch.get_num_threads())])
    (tmp_path / "speed.json").write_text('{"seconds": {"256": {"step": 1}}}')
    measured.main()
    known = json.loads((tmp_path / "speed.json").read_text())
    assert known["seconds"]["256"]["step"] == 1, "what the other call measured stays"
    found = known["couple"]
    assert loaded[0].generator.resolution == 256
    assert found["steps"] == 5
    assert len(found["seconds"]) == 5
    assert all(value >= 0 for value in found["seconds"].values())
    assert found["memory"] > 0


class AnyModule(contextlib.nullcontext):
    """Not asked in which module an operation is, which torch cannot tell where the codes are a leaf."""

    parents = ("Global",)


@pytest.mark.parametrize("searching", [True, False])
def test_operations_are_counted_as_a_step_takes_them(monkeypatch, one_thread, searching):  # others are not counted
    monkeypatch.setattr(measured, "official", lambda size: {2**i: 64 for i in range(2, size.bit_length())})
    monkeypatch.setattr(flop_counter, "ModuleTracker", AnyModule)
    generator = measured.generator_of(32, torch.device("cpu"))
    discriminator = measured.Discriminator(32, measured.official(32)).requires_grad_(False)
    photos = torch.rand(2, 3, 32, 32)
    codes = generator.w_avg.repeat(2, generator.num_ws, 1)

    def taken(steps: int) -> int:
        with flop_counter.FlopCounterMode(display=False) as counted:
            options = {"discriminator": discriminator, "steps": steps, "progress": False}
            if searching:
                measured.tuning.pivots(generator, photos, **options)
            else:
                measured.tuning.tune(generator, codes, photos, **options)
        return counted.get_total_flops()

    step = measured.step_operations(32, searching)
    assert step <= taken(3) - taken(2) < 1.03 * step  # a search also asks how unusual its codes are
