"""What notebook 08 says of NVIDIA's sizes was measured on the whole of a couple's way; here with small networks."""

from __future__ import annotations

import torch

from training.faces import measure_stylegan2 as measured


def test_a_couple_is_measured_from_photos_to_children(monkeypatch):
    tune = measured.tuning.tune
    monkeypatch.setattr(measured, "SEARCH_STEPS", 2)
    monkeypatch.setattr(measured.tuning, "tune", lambda *given, **options: tune(*given, steps=2, **options))
    monkeypatch.setattr(measured, "official", lambda size: dict.fromkeys((4, 8, 16, 32, 64), 8))
    found = measured.couple(64, torch.device("cpu"))
    assert list(found) == ["photos", "search", "tuning", "six children", "memory"]
    assert all(value > 0 for value in found.values())
