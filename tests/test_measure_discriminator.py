"""What the discriminator's answer is worth: shares of pairs, pictures alone, skin and background."""

from __future__ import annotations

import json

import pytest
import torch

from latentlib.metrics import judged_alone
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import WEIGHTS, checksum
from training.faces import measure_discriminator as lesson

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 8, 8: 8, 16: 4, 32: 4, 64: 4}


def test_a_picture_is_asked_alone():
    torch.manual_seed(0)
    discriminator = Discriminator(64, CHANNELS).eval().requires_grad_(False)
    pictures = torch.rand(4, 3, 64, 64)
    alone = judged_alone(discriminator, pictures[:1])
    assert torch.allclose(judged_alone(discriminator, pictures)[:1], alone)
    assert not torch.allclose(discriminator(pictures * 2 - 1)[:1], alone)  # what a batch would say


def test_skin_and_background_of_painted_pictures():
    shades = torch.arange(20, 220, 10)
    pictures = torch.full((20, 3, 64, 64), 100, dtype=torch.uint8)
    pictures[:, :, 34:43] = shades[:, None, None, None].byte()
    pictures[:, :, :20] = shades[:, None, None, None].byte()
    assert lesson.skin_and_background(pictures) == pytest.approx(1, abs=1e-3)
    pictures[:, :, :20] = shades.flip(0)[:, None, None, None].byte()
    assert lesson.skin_and_background(pictures) == pytest.approx(-1, abs=1e-3)


def test_every_number_is_measured(monkeypatch):
    monkeypatch.setattr(lesson, "SAMPLES", 8)
    torch.manual_seed(1)
    generator, discriminator = Generator(64, 12, 16, 2, CHANNELS), Discriminator(64, CHANNELS)
    photos = torch.randint(0, 256, (6, 3, 64, 64), dtype=torch.uint8)
    told = lesson.measure(generator, discriminator, photos, photos)
    shares = [value for key, value in told.items() if "above" in key]
    assert len(shares) == 5
    assert all(0 <= share <= 1 for share in shares)
    assert told["noise_alone"] != told["the_same_noise_beside_three_photos"]


def test_the_shipped_numbers_are_of_the_shipped_weights():
    told = json.loads((WEIGHTS / lesson.FILE).read_text(encoding="utf-8"))
    assert told["weights"] == [checksum(name)[:16] for name in ("faces-64", "faces-64-discriminator")]
