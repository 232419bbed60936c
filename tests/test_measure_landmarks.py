"""Landmarks are measured as said, the labels are what they claim to be, and the card shows the shipped figures."""

import json
import random
import re

import numpy as np
import pytest
from PIL import Image

from latentlib import photos
from latentlib.weights import WEIGHTS
from training.cards import between
from training.faces import haar, landmark_sheets, measure_landmarks


@pytest.fixture(scope="module")
def hopper():
    """Grace Hopper, US Navy, public domain: (250, 250, 3), framed as LFW's photos are."""
    from matplotlib import cbook

    photo = Image.open(cbook.get_sample_data("grace_hopper.jpg")).convert("RGB")
    return np.asarray(photo.crop((56, 60, 456, 460)).resize((250, 250)))


@pytest.fixture
def tiny_lfw(tmp_path, monkeypatch, hopper):
    """A folder like LFW's with eight photos: seven of one face, the last one without any."""
    folder = tmp_path / "lfw_home" / "lfw_funneled"
    for person in range(8):
        photo = np.roll(hopper, person, axis=1) if person < 7 else np.full_like(hopper, 128)
        (folder / f"Person_{person}").mkdir(parents=True)
        Image.fromarray(photo).save(folder / f"Person_{person}" / f"Person_{person}_0001.jpg", quality=95)
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path))
    return tmp_path


def labels_of(paths, eyes, groups):
    labels = [
        {"place": i, "sum": landmark_sheets.short_sum(path), "drawn": "as hard", "groups": groups, "eyes": eyes}
        for i, path in enumerate(paths)
    ]
    return json.dumps({"labels": labels})


@pytest.mark.parametrize("missing", ["", "OpenCV 5.0.0 has no Haar cascades"])
def test_runs_on_a_tiny_folder(tiny_lfw, monkeypatch, capsys, missing):
    missing = missing or haar.why_not()
    monkeypatch.setattr(haar, "why_not", lambda: missing)
    monkeypatch.setattr(measure_landmarks, "EVERY", 1)
    monkeypatch.setattr(measure_landmarks, "EVERY_SMALL", 4)
    monkeypatch.setattr(measure_landmarks, "PADDED", (2,))
    monkeypatch.setattr(measure_landmarks, "LABELS", tiny_lfw / "labels.json")
    paths = landmark_sheets.listed()
    eyes = photos.find_landmarks(paths[0])[0].points[:2]
    measure_landmarks.LABELS.write_text(labels_of([paths[0], paths[1]], eyes.tolist(), ["hat"]))
    card = tiny_lfw / "README.md"
    card.write_text(f"before\n{measure_landmarks.BEGIN}\nold\n{measure_landmarks.END}\nafter\n")
    monkeypatch.setattr("sys.argv", ["measure", "--output", str(tiny_lfw / "out.json"), "--card", str(card)])
    measure_landmarks.main()
    assert (f"the cascades are left out: {missing}" in capsys.readouterr().out) == bool(missing)
    result = json.loads((tiny_lfw / "out.json").read_text())
    assert list(result["finders"]) == ["course"] + ["cascades"] * (not missing)
    course = result["finders"]["course"]
    assert course["face"] == course["believable"] == 7 / 8
    assert course["eye_position_varies_by_px"][0] == pytest.approx(2, abs=1)  # the photos are moved by 0 to 6 pixels
    assert result["labelled"]["hat"]["course"] == result["labelled"]["all"]["course"] == 2
    assert result["labelled"]["drawn as hard"]["course"] == 2
    assert result["labelled"]["drawn at random"]["photos"] == 0
    assert result["labelled"]["none of these"] == {"photos": 0, **dict.fromkeys(result["finders"], 0)}
    assert result["small_faces"][0]["photos"] == 2
    assert result["small_faces"][0]["second_look"]["found"] == 1
    assert between(card, measure_landmarks.BEGIN, measure_landmarks.END) == measure_landmarks.table(result)


def test_another_photo_than_the_labelled_one_is_noticed(tiny_lfw, monkeypatch):
    paths = landmark_sheets.listed()
    monkeypatch.setattr(measure_landmarks, "LABELS", tiny_lfw / "labels.json")
    measure_landmarks.LABELS.write_text(labels_of(paths[3:4], [[90, 110], [140, 110]], []))
    with pytest.raises(ValueError, match="photo 0 of LFW is not the one that was labelled"):
        measure_landmarks.labelled(paths, False)


def test_eyes_are_found_within_a_quarter_of_their_distance():
    labelled = [[100, 100], [140, 100]]
    assert measure_landmarks.on_the_eyes(np.array([[100, 109], [131, 100]]), labelled)
    assert not measure_landmarks.on_the_eyes(np.array([[100, 100], [140, 111]]), labelled)
    assert not measure_landmarks.on_the_eyes(None, labelled)


def test_believable_means_near_the_median():
    eyes = [np.array([[90.0, 110.0], [140.0, 110.0]]) + off for off in (0, 1, 2, 21, 24)]
    assert measure_landmarks.believable([*eyes, None]).tolist() == [True, True, True, True, False, False]


def test_the_hard_photos_are_chosen_too_and_none_twice():
    points = np.array([[-10, 0], [10, 0], [0, 12], [0, 22], [-18, 4], [18, 4]], float)
    faces = [photos.Face(points, 50, 0.9)] * 60
    faces[7] = photos.Face(points + np.array([[0, 0], [0, 0], [8, 0], [0, 0], [0, 0], [0, 0]]), 50, 0.9)
    faces[8] = photos.Face(points @ np.array([[0.8, 0.6], [-0.6, 0.8]]), 50, 0.9)
    faces[9] = faces[0]._replace(score=0.66)
    faces[10] = None
    chosen = landmark_sheets.choose(faces, at_random=20, hard=4)
    assert len(chosen) == len(set(chosen)) == 24
    assert {7, 8, 9, 10} <= set(chosen)
    assert not {7, 8, 9, 10} <= set(landmark_sheets.choose(faces, at_random=20, hard=0))
    assert landmark_sheets.aside(faces[7]) == pytest.approx(0.4)
    assert landmark_sheets.tilt(faces[8]) == pytest.approx(36.87, abs=0.01)


def test_a_sheet_has_rings_around_the_points(hopper):
    cell = ("12", hopper, [np.array([[100, 100]]), None])
    plain, marked = (np.asarray(landmark_sheets.sheet([one])).astype(int) for one in (("12", hopper, []), cell))
    different = np.argwhere(np.abs(plain - marked).sum(2) > 0)
    assert 8 < len(different) < 80
    assert np.abs(different - 140).max() <= 4  # 1.4 times as large


def test_sheets_are_not_drawn_inside_the_repository(monkeypatch, capsys):
    folder = WEIGHTS / "sheets"
    monkeypatch.setattr("sys.argv", ["sheets", str(folder)])
    with pytest.raises(SystemExit):
        landmark_sheets.main()
    assert "choose a folder outside the repository" in capsys.readouterr().err
    assert not folder.exists()


def test_200_photos_are_labelled_and_nobody_is_named():
    """Places and short checksums only; every label is one that the file explains."""
    content = measure_landmarks.LABELS.read_text(encoding="utf-8")
    stored = json.loads(content)
    labels = stored["labels"]
    assert len(labels) == len({label["place"] for label in labels}) == 200
    assert {label["place"] % landmark_sheets.EVERY for label in labels} == {0}
    assert {group for label in labels for group in label["groups"]} == set(stored["groups"])
    assert {label["eyes_by"] for label in labels} == set(stored["eyes_by"])
    some = random.Random(landmark_sheets.SEED).sample(range(1891), landmark_sheets.AT_RANDOM)
    assert {label["place"] for label in labels if label["drawn"] == "at random"} == {7 * place for place in some}
    for label in labels:
        assert re.fullmatch("[0-9a-f]{12}", label["sum"])
        (ax, ay), (bx, by) = label["eyes"]
        assert 0 < ax < bx < 250
        assert 0 < min(ay, by) <= max(ay, by) < 250
        tilted = abs(np.degrees(np.arctan2(by - ay, bx - ax)))
        assert ("tilted" in label["groups"]) == (tilted >= 10) or abs(tilted - 10) < 0.3
    assert ".jpg" not in content


def test_the_card_shows_the_shipped_figures():
    result = json.loads((WEIGHTS / "face-landmarks.json").read_text(encoding="utf-8"))
    shown = between(WEIGHTS / "README.md", measure_landmarks.BEGIN, measure_landmarks.END)
    assert shown == measure_landmarks.table(result)
    assert result["labelled"]["all"]["photos"] == 200


def test_the_numbers_of_the_alignment_rest_on_what_was_measured():
    """photos.py: eyes 5 to 6 % further apart than the cascades', 1.1 of their distance to the mouth (both on LFW)."""
    result = json.loads((WEIGHTS / "face-landmarks.json").read_text(encoding="utf-8"))
    assert result["eyes_to_mouth"]["median"] == pytest.approx(photos.EYES_TO_MOUTH, abs=0.05)
    assert 4 / result["beside"]["eye_distance_ratio"] == pytest.approx(photos.EYE_RULER, rel=0.02)
