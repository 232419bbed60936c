import pytest
import torch

from latentlib.datasets import glyphs


def test_prototypes_are_ten_different_black_and_white_pictures():
    assert glyphs.PROTOTYPES.shape == (10, 1, 5, 5)
    assert set(glyphs.PROTOTYPES.unique().tolist()) == {0.0, 1.0}
    apart = torch.cdist(glyphs.PROTOTYPES.flatten(1), glyphs.PROTOTYPES.flatten(1), p=1)
    assert apart[~torch.eye(10, dtype=bool)].min() >= 2


def test_load_gives_pixels_of_0_and_1_and_as_many_of_each_digit():
    images, labels = glyphs.load(1000, seed=3)
    assert images.shape == (1000, 1, 5, 5)
    assert images.dtype == torch.float32
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [100] * 10
    assert (labels[:-1] <= labels[1:]).float().mean() < 0.8  # in random order


def test_the_same_seed_gives_the_same_glyphs_and_another_seed_gives_others():
    one, two, other = glyphs.load(200, seed=1), glyphs.load(200, seed=1), glyphs.load(200, seed=2)
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.labels, two.labels)
    assert not torch.equal(one.images, other.images)


def test_each_glyph_is_a_moved_prototype_with_at_most_two_pixels_flipped():
    images, labels = glyphs.load(3000)
    moved = glyphs._shifted()[:, labels]  # (3, n, 1, 5, 5)
    flips = (moved != images).flatten(2).sum(2).amin(0)
    assert flips.bincount().numel() == 3
    share = flips.bincount() / len(flips)
    assert torch.allclose(share, torch.tensor([0.3, 0.4, 0.3]), atol=0.04)


def test_a_shift_loses_no_ink_and_some_glyphs_are_shifted():
    moved = glyphs._shifted()
    ink = moved.flatten(2).sum(2)
    assert (ink == ink[1]).all()
    assert torch.equal(moved[1], glyphs.PROTOTYPES)
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[2], moved[1])


def test_ink_is_added_and_taken_away():
    images, labels = glyphs.load(3000)
    ink = images.flatten(1).sum(1) - glyphs.PROTOTYPES[labels].flatten(1).sum(1)
    assert ink.min() < 0 < ink.max()


def test_empty_and_wrong_numbers():
    assert glyphs.load(0).images.shape == (0, 1, 5, 5)
    with pytest.raises(ValueError, match="n must be 0 or more"):
        glyphs.load(-1)
