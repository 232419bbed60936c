"""The encoder's evaluation measures what it says, and the model card shows what was measured."""

import json

import pytest
import torch

from latentlib import weights
from latentlib.weights import read_weights
from tiny_encoder import TINY, networks, photos, tiny
from training import lfw
from training.faces import evaluate_encoder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_reconstructions_of_known_errors():
    generator, _ = networks()
    generator.synthesis.b16.torgb.bias += 100  # what lies outside the range is cut off: it draws white
    white = torch.ones(2, 3, 16, 16)
    off = white.clone()
    off[1] -= 0.2  # 0.1 of the range [0, 1]
    result = evaluate_encoder.reconstruction(lambda part: generator.w_avg.expand(len(part), -1), generator, off)
    assert result["pictures"] == 2
    assert result["psnr_least"] == pytest.approx(20.0, abs=1e-3)
    assert result["psnr_most"] == float("inf")


def test_evaluation_of_an_encoder_that_knows_and_one_that_does_not():
    generator, _ = networks()
    trainer = tiny()
    made = {"generator": "first", "images_seen": 8, "since": 8, "minutes": 1.0, "trained_on": "samples", "recipe": TINY}
    held = photos(4, seed=7)
    result = evaluate_encoder.evaluate(trainer.encoder, made, generator, "first", held)
    for name, count in (("generated_faces", 256), ("held_out_photos", 4)):
        assert result[name]["pictures"] == count
        assert result[name]["psnr_mean"] == pytest.approx(result[name]["psnr_of_the_mean_face"], abs=1e-3)  # untrained
    assert result["trained_on_this_generator"]
    assert "earlier generator" not in evaluate_encoder.card(result)
    assert f"{result['held_out_photos']['psnr_mean']:.1f} dB" in evaluate_encoder.card(result)
    torch.manual_seed(4)
    known = generator.mapping(torch.randn(256, 8))[:, None].repeat(1, generator.num_ws, 1)

    class Knows(torch.nn.Linear):
        def forward(self, images):
            start = next((i for i in range(256) if torch.allclose(images[0], drawn[i], atol=1e-5)), 0)
            return known[start : start + len(images)]

    drawn = generator.synthesis(known, noise=None).clamp(-1, 1)
    result = evaluate_encoder.evaluate(Knows(1, 1), made, generator, "second", None)
    assert result["generated_faces"]["psnr_least"] > 60
    assert "held_out_photos" not in result
    assert not result["trained_on_this_generator"]
    assert "earlier generator" in evaluate_encoder.card(result)


def test_who_is_drawn_is_asked_of_another_photo():
    pictures = torch.rand(8, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).repeat(1, 2, 1, 1, 1)
    held = lfw.Faces((pictures.flatten(0, 1) * 255).byte(), torch.arange(8).repeat_interleave(2))
    identity, discriminator = (weights.load(f"faces-64-{name}", "cpu") for name in ("identity", "discriminator"))

    class Copies:
        draw = staticmethod(lambda codes: codes)

    class Forgets:
        draw = staticmethod(torch.ones_like)

    told = evaluate_encoder.likeness(lambda part: part / 2 + 0.5, Copies(), identity, discriminator, held)
    assert told["people"] == 8
    assert all(told[judge] == {"encoded": 1.0, "photo": 1.0} for judge in evaluate_encoder.JUDGES)
    told = evaluate_encoder.likeness(lambda part: part, Forgets(), identity, discriminator, held)
    assert all(told[judge]["encoded"] == pytest.approx(0.5) for judge in evaluate_encoder.JUDGES)  # all alike


def test_what_is_stored_belongs_to_what_is_shipped():
    stored = json.loads((evaluate_encoder.WEIGHTS / "faces-64-encoder.json").read_text())
    settings = read_weights("faces-64-encoder")[1]
    assert stored["made"]["images_seen"] == settings["images_seen"]
    assert stored["trained_on_this_generator"] == (settings["generator"] == stored["generator"])
    card = (evaluate_encoder.WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert evaluate_encoder.card(stored) in card
    photos = stored["held_out_photos"]
    assert photos["psnr_mean"] > photos["psnr_of_the_mean_face"]
