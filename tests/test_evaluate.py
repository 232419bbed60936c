"""Measures say what is known of small examples, and every part runs, on generated people instead of LFW's."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos, weights
from latentlib.datasets import portraits
from latentlib.gan.inversion import random_z
from training import evaluate, lfw
from training.faces import blind_test

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def people():
    """24 people who do not exist, two photos of each: the second is a little darker."""
    generator = weights.load("faces-64", "cpu")
    drawn = generator.draw(generator.truncate(generator.mapping(random_z(generator, 24, seed=3)), 0.7))
    images = (torch.stack([drawn, drawn * 0.9], 1).flatten(0, 1) * 255).round().byte()
    return lfw.Faces(images, torch.arange(24).repeat_interleave(2))


@pytest.fixture
def generated(people, monkeypatch, tmp_path):
    """LFW as every part sees it."""
    file = tmp_path / "lfw" / "Grace_Hopper" / "0.jpg"
    file.parent.mkdir(parents=True)
    photo = photos.read(portraits.photo("hopper"))
    Image.fromarray(photo).save(file, quality=95)
    eyes = lfw.in_the_middle(photos.read(file))[:2].tolist()
    labels = [
        {"place": 0, "eyes": eyes, "drawn": "at random", "groups": ["glasses"]},
        {"place": 0, "eyes": (np.array(eyes) + 99).tolist(), "drawn": "as hard", "groups": []},
    ]
    monkeypatch.setattr(evaluate, "LABELS", tmp_path / "labels.json")
    evaluate.LABELS.write_text(json.dumps({"labels": labels * 20}))
    large = people._replace(images=people.images.repeat_interleave(2, 2).repeat_interleave(2, 3))
    monkeypatch.setattr(lfw, "load", lambda split="train", device="cpu", size=64: large if size == 128 else people)
    monkeypatch.setattr(lfw, "everything", lambda: (people, torch.tensor([0, 1] * 24)))
    monkeypatch.setattr(lfw, "counts", lambda: {"used": 24, "no face": 24})
    monkeypatch.setattr(lfw, "folder", lambda: tmp_path / "lfw")


def told(part):
    result, text = evaluate.PARTS[part][0](evaluate.Asked(CPU, quick=True))
    assert text.startswith(("|", "24 people"))
    return result


def test_faces(generated):
    result = told("faces")
    assert min(result["face"].values()) > 0.8
    assert 0 < result["nearest"]["samples"]["least"] < 0.3
    assert result["nearest"]["photos"]["median"] < 2e-3  # these photos are among those of the training
    assert result["inversion"]["W+ inversion of 4 unseen people"]["psnr_mean"] > 8


def test_encoder(generated):
    result = told("encoder")
    assert result["generated_faces"]["psnr_mean"] > result["generated_faces"]["psnr_of_the_mean_face"] + 5
    assert result["likeness"]["identity"]["photo"] == 1
    assert result["likeness"]["identity"]["encoded"] > 0.8


def test_identity(generated):
    result = told("identity")
    assert result["held_out"] == {
        "people": 24, "photos": 48, "pairs_of_one_person": 24, "pairs_of_different_people": 20000,
    }  # fmt: skip
    assert result["auc"]["edges, discriminants (shipped)"] == 1
    assert result["shipped_range"] == [1, 1]


def test_bias(generated):
    counts = told("bias")["counts"]
    assert counts["people"] == 24
    assert counts["most_photos_of_one_person"] == 2
    assert counts["people_with_one_photo"] == 0
    assert sum(band["photos"] for band in counts["by_cheek_brightness"]) == 48
    for kind in ("photos", "samples_at_1.0", "samples_at_0.8"):
        assert sum(band[f"share_of_{kind}"] for band in counts["by_cheek_brightness"]) == pytest.approx(1)


def test_kinship(generated):
    result = told("kinship")
    assert result["couples"] == 4
    table = result["table"]
    assert (
        table["detail, beside the parents'"]["sharpened cross-fade"]
        > table["detail, beside the parents'"]["cross-fade"]
    )
    nearer = table["nearer to own than to other couples"]
    assert nearer["another couple's child"] < 0.7 < nearer["cross-fade"]
    assert result["parents"]["codes"]["psnr_mean"] > 12


def test_nvidia(generated):
    result = told("nvidia")
    assert result["likeness"]["as the mapping gives them"]["psnr_mean"] > 22
    assert {size: set(of) for size, of in result["seconds"].items()} == {"64": {"picture", "step"}}


def test_landmarks(generated):
    result = told("landmarks")
    assert result["face"] == result["believable"] == 1
    assert result["labelled"]["glasses"] == {"photos": 2, "found": 2}
    assert result["labelled"]["drawn as hard"] == {"photos": 0, "found": 0}


def test_furniture():
    result = told("furniture")
    assert result["closer"]["autoencoder, 64 numbers"]["squared_error"] == pytest.approx(5.4, abs=1)
    assert result["regressor"]["turn"] > 0.9
    assert result["closer"]["colour-blind, 8 numbers"]["colour_r2"] < 0.4


def test_digits():
    try:
        result = told("digits")
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no MNIST here: {error}")
    assert result["rows"][-1]["autoencoder"] == pytest.approx(2.3, abs=0.3)
    assert result["rows"][0]["pca"] == pytest.approx(43.6, abs=3)
    assert result["vae"]["divergence"] == pytest.approx(7.4, abs=0.5)


# ------------------------------------------------------------------------------------------------------------ the parts


def test_a_copy_is_seen_also_mirrored():
    train = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert evaluate.nearest_distance(train[:2].flip(3), train)["median"] < 2e-3
    assert evaluate.nearest_distance(255 - train, train)["least"] > 0.2


def test_couples_are_people_with_two_photos_and_pairs_are_of_one_person_or_of_two(people):
    mixed, others = evaluate.draw_couples(people, 4)
    assert mixed.shape == (4, 2, 3, 64, 64)
    torch.testing.assert_close(mixed * 0.9, others, atol=0.01, rtol=0)
    assert torch.equal(evaluate.draw_couples(people, 13)[0, 12], mixed[0])  # 24 people: from the start again
    same, different = evaluate.draw_pairs(people.people)
    assert (people.people[same[:, 0]] == people.people[same[:, 1]]).all()
    assert (people.people[different[:, 0]] != people.people[different[:, 1]]).all()
    assert evaluate.first_photos(people, 3) == [0, 2, 4]


def test_one_tone_and_cheeks(people):
    pictures = people.images[:4].float() / 255
    torch.testing.assert_close(
        evaluate.one_tone(pictures), evaluate.one_tone(pictures * 0.5 + 0.2), atol=1e-4, rtol=1e-4
    )
    assert evaluate.cheeks(torch.full((1, 3, 64, 64), 51, dtype=torch.uint8)).item() == pytest.approx(0.2)


def test_cards_hold_a_table_for_every_part(tmp_path):
    for name, (_, file, card, marks) in evaluate.PARTS.items():
        shutil.copy(weights.WEIGHTS / card, tmp_path)
        evaluate.put_between(tmp_path / card, marks, evaluate.table("a | b", [(1, 2)]))
        assert "| a | b |\n|---|---|\n| 1 | 2 |" in (tmp_path / card).read_text(encoding="utf-8"), name
        shipped = json.loads((weights.WEIGHTS / file).read_text(encoding="utf-8"))
        assert shipped["command"] == f"python -m training.evaluate {name}"


def test_the_command_writes_a_json_and_a_table(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("<!-- evaluation of x: begin -->\nold\n<!-- evaluation of x: end -->")
    monkeypatch.setattr(evaluate, "PARTS", {"x": (lambda asked: ({"a": 1}, "new"), "x.json", "README.md", "x")})
    evaluate.main(["x", "--folder", str(tmp_path), "--device", "cpu"])
    assert json.loads((tmp_path / "x.json").read_text()) == {"command": "python -m training.evaluate x", "a": 1}
    assert "\nnew\n" in (tmp_path / "README.md").read_text()
    with pytest.raises(SystemExit):
        evaluate.main(["y"])


def test_the_blind_test_counts_what_a_person_said(people, monkeypatch):
    monkeypatch.setattr(lfw, "load", lambda *_, **__: lfw.Faces(people.images.repeat(5, 1, 1, 1), torch.arange(240)))
    test = blind_test.TESTS["face"]
    shown = blind_test.pictures(weights.load("faces-64", "cpu"), test)
    assert shown.shape == (100, 3, 36, 36)
    truth = blind_test.key(test)
    assert sum(truth) == 50
    labels = ["photo" if of else "skin" for of in truth]
    assert blind_test.counted(labels, truth) == {"photos": 1, "samples": 0, "flaws": {"skin": 50}}
    assert blind_test.sheets(shown)[0].size == (5 * 200, 4 * 216)
    assert blind_test.pictures(weights.load("faces-64", "cpu"), blind_test.COUNT).shape == (400, 3, 64, 64)
    shares = {"women among photos": 0.5, "women among samples": 0, "under 40 among photos": 0.5}
    assert blind_test.who(["wy", "mo", "my", "mo"], [True, True, False, False]) == shares | {
        "under 40 among samples": 0.5
    }
