"""What notebook 08 says of NVIDIA's sizes was measured on the whole of a couple's way; here with small networks."""

from __future__ import annotations

import json
import sys

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
