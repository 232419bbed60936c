"""The evaluation measures what it says: each measure on pictures of which the answer is known."""

import argparse
import json

import numpy as np
import pytest
import torch

from latentlib import photos
from latentlib.models.stylegan2 import Generator
from training import cards, lfw
from training.faces import evaluate as evaluate_faces
from training.faces import measures as face_measures


def smooth(count, seed, bright=0.5):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * bright
    return (torch.nn.functional.interpolate(coarse, size=64, mode="bilinear") * 255).byte()


def test_wasserstein_distance_grows_with_the_difference():
    generator = torch.Generator().manual_seed(0)
    real, same, noisy = smooth(32, 1), smooth(32, 2), smooth(32, 3)
    noisy = (noisy.float() + 40 * torch.randn(noisy.shape, generator=generator)).clamp(0, 255).byte()
    near = face_measures.sliced_wasserstein(real, same, generator)
    far = face_measures.sliced_wasserstein(real, noisy, generator)
    assert set(near) == {64, 32, 16}
    assert far[64] > 3 * near[64]
    grainy = face_measures.with_grain(real, 30.0)
    assert 25 < (grainy.float() - real.float()).std() < 35
    assert torch.equal(grainy, face_measures.with_grain(real, 30.0))
    assert face_measures.sliced_wasserstein(real, grainy, generator)[64] > 2 * near[64]
    draws = face_measures.wasserstein_draws([(real, same), (same, real)])
    assert draws["mean"] == pytest.approx(np.mean([draws[size] for size in ("64", "32", "16")]))


def test_a_copied_photo_is_found_mirrored_or_not():
    train = smooth(20, 4)
    queries = torch.cat([train[3:4], train[5:6].flip(3), smooth(1, 99)])
    distance = face_measures.nearest_distance(queries, train)
    assert distance[:2].max() < 1e-3
    assert distance[2] > 0.01


def test_detectors_see_a_face_and_no_face():
    from matplotlib import cbook

    hopper = photos.align(cbook.get_sample_data("grace_hopper.jpg"))
    picture = (hopper.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    assert face_measures.has_face(picture)
    assert not face_measures.has_face(np.roll(picture, 12, axis=1))  # a face, but in another place
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for other in (noise, picture[::-1].copy(), np.full_like(picture, 128)):
        assert not face_measures.has_face(other)


def test_inversion_finds_a_generated_picture_again():
    torch.manual_seed(0)
    generator = Generator(8, 6, 5, 2, {4: 8, 8: 8}).eval().requires_grad_(False)
    generator.compute_w_avg(500)
    with torch.no_grad():
        w = generator.mapping(torch.randn(2, 6))
        target = generator.synthesis(w, noise=None)
        start = generator.synthesis(generator.w_avg.expand(2, -1), noise=None)
    for space in ("W", "W+"):
        code = face_measures.invert(generator, target, space, steps=60)
        assert code.shape == ((2, 5) if space == "W" else (2, generator.num_ws, 5))
        found = generator.synthesis(code, noise=None)
        assert (found - target).square().mean() < 0.05 * (start - target).square().mean()


def test_each_person_is_chosen_once():
    held = lfw.Faces(torch.zeros(6, 3, 64, 64, dtype=torch.uint8), torch.tensor([4, 4, 7, 7, 9, 9]))
    assert face_measures.chosen_photos(held) == [0, 2, 4]
    assert face_measures.chosen_photos(held, 1) == [0]


def test_other_weights_keep_only_what_does_not_depend_on_them(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"weights": "old", "real": {"a": 1}, "nearest": {"b": 2}}))
    assert evaluate_faces.read_result(path, "old")["nearest"] == {"b": 2}
    assert evaluate_faces.read_result(path, "new") == {"weights": "new", "real": {"a": 1}}
    assert evaluate_faces.read_result(tmp_path / "none.json", "new") == {"weights": "new"}


def test_the_shipped_table_is_the_shipped_measurement():
    """The model card shows what evaluate_faces.py wrote about the weights beside it, or says that it was not run."""
    folder = evaluate_faces.WEIGHTS
    shown = cards.between(folder / "README.md", evaluate_faces.BEGIN, evaluate_faces.END)
    measured = folder / "faces-64-evaluation.json"
    if not measured.exists():
        assert shown.startswith("**Not measured yet.**")
        assert "|" not in shown  # no table that nothing earned
        return
    result = json.loads(measured.read_text(encoding="utf-8"))
    checksums = json.loads((folder / "checksums.json").read_text())
    assert result["weights"] == checksums["faces-64.safetensors"]["sha256"]
    assert evaluate_faces.table(result) == shown


def test_parts_run_on_a_small_scale():
    torch.manual_seed(0)
    generator = Generator(channels={4: 8, 8: 8, 16: 4, 32: 4, 64: 4}).eval().requires_grad_(False)
    train = lfw.Faces(smooth(16, 1), torch.arange(16))
    held = lfw.Faces(smooth(4, 2), torch.arange(4))
    options = argparse.Namespace(samples=2, steps=2)
    device = torch.device("cpu")
    for part in ("inversion-w", "inversion-w-plus"):
        inverted = evaluate_faces.PARTS[part](generator, train, held, device, options)
        assert inverted["people"] == [0, 1, 2, 3]
        assert inverted["psnr_least"] <= inverted["psnr_mean"] <= inverted["psnr_most"]
    swd = evaluate_faces.measure_wasserstein(generator, train, held, device, options)
    assert swd["pictures"] == 4


def test_the_command_measures_a_part_and_writes_it(tmp_path, monkeypatch):
    photos_64 = smooth(4, 1)
    monkeypatch.setattr(evaluate_faces.lfw, "load", lambda split: photos_64)
    monkeypatch.setattr(evaluate_faces, "WEIGHTS", tmp_path)
    monkeypatch.setattr(evaluate_faces, "PARTS", {"cost": lambda generator, *rest: {"z": generator.z_dim}})
    monkeypatch.setattr(evaluate_faces, "table", lambda result: "a table")
    monkeypatch.setattr(evaluate_faces, "put_between", lambda *where: None)
    monkeypatch.setattr("sys.argv", ["evaluate", "--part", "cost", "--device", "cpu"])
    evaluate_faces.main()
    result = json.loads((tmp_path / "faces-64-evaluation.json").read_text(encoding="utf-8"))
    assert result["cost"] == {"z": 256}
    assert result["weights"] == evaluate_faces.checksum("faces-64")
    assert result["made"]["images_seen"] > 0
