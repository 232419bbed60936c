"""The two portraits: there without a network, aligned like the generator's faces."""

import pytest
import torch

from latentlib import photos, weights
from latentlib.datasets import portraits


def test_both_portraits_are_there_and_aligned():
    found = portraits.load()
    assert found.names == portraits.NAMES
    assert found.images.shape == (2, 3, 64, 64)
    assert found.images.dtype == torch.float32
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert found.images.std() > 0.1


@pytest.mark.parametrize("name", portraits.NAMES)
def test_the_eyes_stand_where_the_generator_has_them(name):
    large = portraits.load(size=256).images[portraits.NAMES.index(name)]
    pixels = large.permute(1, 2, 0).numpy()
    eyes = torch.tensor(photos.find_landmarks(pixels)[0].points[:2])
    assert (eyes / 256 - torch.tensor(photos.EYES)).norm(dim=1).max() < 0.04


def test_the_photo_is_in_full_and_has_a_credit():
    for name in portraits.NAMES:
        assert min(portraits.photo(name).shape[:2]) > 400
        assert name in portraits.credit(name)
        assert "public domain" in portraits.credit(name)


def test_another_name_gets_a_sentence():
    for function in (portraits.photo, portraits.credit):
        with pytest.raises(ValueError, match="there are: Grace Hopper, Eileen Collins"):
            function("Nobody")


def test_the_generator_draws_in_the_course_s_range():
    generator = weights.load("faces-64")
    plain = generator.draw(generator.w_avg[None])
    assert plain.shape == (1, 3, 64, 64)
    assert plain.min() >= 0
    assert plain.max() <= 1
    plus = generator.draw(generator.w_avg.expand(1, generator.num_ws, -1))
    assert torch.equal(plain, plus)
    assert torch.equal(plain, generator.draw(generator.w_avg[None]))
