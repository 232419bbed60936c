"""The study of groups of photos measures what it says: known brightness, known groups, known correlations."""

import numpy as np
import pytest
import torch

from latentlib.models.identity import Identity
from latentlib.models.stylegan2 import Generator
from training import lfw
from training.faces import measure_bias


def photos(brightness):
    """Pictures whose face has the given brightness, on a background of another."""
    images = torch.full((len(brightness), 3, 64, 64), 255, dtype=torch.uint8)
    for image, value in zip(images, brightness, strict=True):
        image[:, 10:60, 12:52] = round(255 * value)
    return images


def test_cheeks_are_measured_and_not_the_background():
    images = photos([0.2, 0.6])
    images[0, :, :, 32:] = round(255 * 0.8)  # lit from one side
    bright, uneven = measure_bias.cheeks(images)
    assert bright.tolist() == pytest.approx([0.5, 0.6], abs=0.01)
    assert uneven.tolist() == pytest.approx([0.6, 0.0], abs=0.01)


def test_thirds_are_in_order_and_hold_everybody_once():
    values = torch.tensor([0.5, 0.1, 0.9, 0.2, 0.7, 0.8, 0.3])
    low, middle, high = measure_bias.thirds(values)
    assert sorted(torch.cat([low, middle, high]).tolist()) == list(range(7))
    assert values[low].max() < values[middle].min() < values[middle].max() < values[high].min()


def test_rank_correlation_and_its_chance():
    x = np.arange(40.0)
    assert measure_bias.rank_correlation(x, x**3) == pytest.approx({"correlation": 1, "chance": 0})
    assert measure_bias.rank_correlation(x, -x)["correlation"] == pytest.approx(-1)
    unrelated = measure_bias.rank_correlation(x, np.random.default_rng(5).random(40))
    assert abs(unrelated["correlation"]) < 0.4
    assert unrelated["chance"] > 0.01


def test_range_of_a_mean():
    found = measure_bias.mean_with_range(np.array([1.0, 2.0, 3.0] * 30), np.random.default_rng(0))
    assert found["low"] < found["mean"] == 2 < found["high"]
    assert found["high"] - found["low"] == pytest.approx(4 * np.sqrt(2 / 3 / 90), rel=0.15)  # ± 2 standard errors


def test_counts_of_photos_and_people():
    people = torch.tensor([0, 0, 0, 0, 0, 1, 2, 3])
    found = torch.tensor([True] * 4 + [False] * 4)
    data = lfw.Faces(photos([0.1, 0.3, 0.3, 0.3, 0.3, 0.7, 0.7, 0.7]), people)
    result = measure_bias.counts(data, found)
    bands = result["by_cheek_brightness"]
    assert [band["share_of_photos"] for band in bands] == pytest.approx([1 / 8, 4 / 8, 0, 3 / 8, 0])
    assert [band["used"] for band in bands] == [1, 0.75, None, 0, None]
    assert result["most_photos_of_one_person"] == 5
    assert result["people_with_one_photo"] == pytest.approx(3 / 4)
    assert result["people_who_make_up_half_of_the_photos"] == 1


def test_each_person_counts_once():
    held = lfw.Faces(photos([0.5] * 5), torch.tensor([4, 4, 7, 7, 9]))
    assert measure_bias.first_photos(held, 10) == [0, 2, 4]
    assert measure_bias.first_photos(held, 1) == [0]


def test_inversion_by_group_runs_on_a_small_scale(one_thread):
    torch.manual_seed(0)
    generator = Generator(channels={4: 8, 8: 8, 16: 4, 32: 4, 64: 4}).eval().requires_grad_(False)
    identity = Identity(size=5)
    identity.matrix.normal_()
    held = lfw.Faces(photos(np.linspace(0.1, 0.9, 7)), torch.arange(7))
    result = measure_bias.inversion_by_group(generator, identity, held, 6, 2)
    assert result["photos"] == 6
    rows = result["groups"]["cheek brightness"]["thirds"]
    assert [row["photos"] for row in rows] == [2, 2, 2]
    assert rows[0]["to"] < rows[1]["from"] < rows[2]["from"]
    for row in rows:
        assert row["psnr_db"]["low"] <= row["psnr_db"]["mean"] <= row["psnr_db"]["high"]
        assert 0 <= row["identity_distance"]["mean"] <= 2
