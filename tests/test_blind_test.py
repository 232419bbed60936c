"""Which of a hundred pictures are photographs: the count, the order, and that the card says what was written down."""

from __future__ import annotations

import json

import pytest
import torch

from latentlib.weights import WEIGHTS, checksum
from training import cards
from training.faces import blind_test

KEY = [True, False, False, True]


@pytest.mark.parametrize(
    ("labels", "photos", "samples"),
    [
        (["photo"] * 4, 1, 1),  # who calls everything a photograph
        (["skin"] * 4, 0, 0),  # and nothing
        (["photo", "hair", "hair", "photo"], 1, 0),  # who sees through all samples
        (["ear", "photo", "photo", "ear"], 0, 1),  # and who has it upside down
        (["photo", "photo", "hair", "ear"], 0.5, 0.5),  # who guesses
    ],
)
def test_the_shares_called_photographs(labels, photos, samples):
    found = blind_test.counted(labels, KEY)
    assert (found["photos"], found["samples"]) == (photos, samples)


def test_flaws_are_those_of_samples_alone():
    assert blind_test.counted(["ear", "hair", "hair", "photo"], KEY)["flaws"] == {"hair": 2}


def test_a_label_too_few_is_a_sentence():
    with pytest.raises(ValueError, match="4 pictures need as many labels, got 3"):
        blind_test.counted(["photo"] * 3, KEY)


@pytest.mark.parametrize("test", blind_test.TESTS.values(), ids=blind_test.TESTS)
def test_half_are_photos_in_an_order_that_says_nothing(test):
    key = blind_test.key(test)
    assert sum(key) == blind_test.EACH == len(key) / 2
    assert 10 < sum(key[: blind_test.EACH]) < 40


def test_a_sheet_shows_each_picture_in_its_place():
    images = torch.zeros(21, 3, 36, 36, dtype=torch.uint8)
    images[7] = 200
    first, second = blind_test.sheets(images)
    pitch = blind_test.SIDE + 8, blind_test.SIDE + 24
    middle = 2 * pitch[0] + blind_test.SIDE // 2, 1 * pitch[1] + 16 + blind_test.SIDE // 2
    assert first.getpixel(middle) == (200, 200, 200)
    assert second.size == first.size


def test_the_card_says_what_was_written_down():
    stored = json.loads(blind_test.LABELS.read_text(encoding="utf-8"))
    assert stored["weights"] == checksum("faces-64")[:16], "other weights: draw new sheets, and look again"
    found = {
        test.shown: blind_test.counted(stored[name], blind_test.key(test)) for name, test in blind_test.TESTS.items()
    }
    assert cards.between(WEIGHTS / "README.md", blind_test.BEGIN, blind_test.END) == blind_test.table(found)
