"""The search for the nearest furniture: it finds what was drawn, and is not fooled by what is none."""

from __future__ import annotations

import pytest
import torch

from latentlib import weights
from latentlib.datasets import furniture
from latentlib.datasets.furniture_search import improve, nearest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def world():
    pile = furniture.load(300, seed=1, size=32)
    return pile, weights.load("furniture-regressor")


def test_real_furniture_is_found_again_and_ghosts_are_far(world):
    real = furniture.load(6, seed=2)
    ghosts = (real.images + real.images.flip(0)) / 2
    pictures = torch.cat([real.images, ghosts, torch.ones(1, 3, 64, 64), real.images.mean(0, keepdim=True)])
    factors, distance = nearest(pictures, *world)
    assert factors.shape == (14, 12)
    assert torch.equal(factors[:6, 0], real.factors[:, 0])
    assert distance[:6].max() < 2.5 < distance[6:].min()
    drawn = furniture.render(factors, size=32)
    again = (drawn - torch.nn.functional.avg_pool2d(pictures, 2)).flatten(1).norm(dim=1)
    assert torch.allclose(again, distance, atol=1e-4)


def test_a_round_never_makes_it_worse(world):
    wanted = furniture.load(5, seed=3, size=32)
    factors = furniture.sample_factors(5, seed=4)
    before = (furniture.render(factors, size=32) - wanted.images).flatten(1).norm(dim=1)
    after, distance = improve(wanted.images.flatten(1), factors, nudge=0.2)
    assert (distance <= before + 1e-4).all()
    assert torch.equal(after[:, furniture.column("arms")], factors[:, furniture.column("arms")])


def test_wrong_pictures_get_a_sentence(world):
    with pytest.raises(ValueError, match=r"pictures must be \(n, 3, 64, 64\), got \(2, 3, 32, 32\)"):
        nearest(torch.rand(2, 3, 32, 32), *world)
