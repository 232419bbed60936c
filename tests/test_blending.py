"""Children lie between their parents, at the ends they are their parents, and nobody is preferred for being first."""

from __future__ import annotations

import pytest
import torch

from latentlib.gan.blending import blend, draw_sibling
from latentlib.space import lerp


@pytest.fixture
def parents():
    return torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))  # two parents, 6 layers, 8 numbers


def share_of(child, a, b):
    """How far along the way from a to b each layer lies."""
    return ((child - a) * (b - a)).sum(-1) / (b - a).square().sum(-1)


def test_crossover_takes_whole_layers(parents):
    a, b = parents
    child = blend(a, b, crossover=2)
    assert torch.equal(child[:2], a[:2])
    assert torch.equal(child[2:], b[2:])
    assert torch.equal(blend(a, b, crossover=0), b)
    assert torch.equal(blend(a, b, crossover=6), a)


def siblings(a, b, count, **options):
    return torch.stack([draw_sibling(a, b, seed, **options) for seed in range(count)])


def test_siblings_differ_repeat_and_lie_between(parents):
    a, b = parents
    four = siblings(a, b, 4)
    assert four.shape == (4, 6, 8)
    assert torch.equal(four, siblings(a, b, 4))
    assert not torch.equal(four[0], four[1])
    share = share_of(four, a, b)
    assert (share > -1e-5).all()
    assert (share < 1 + 1e-5).all()


@pytest.mark.parametrize("dominance", [0.0, 0.2, 0.5, 1.0])
def test_dominance_is_the_mean_share_and_swapping_parents_turns_it_round(parents, dominance):
    a, b = parents
    many = siblings(a, b, 400, dominance=dominance)
    assert share_of(many, a, b).mean().item() == pytest.approx(dominance, abs=0.03)
    torch.testing.assert_close(siblings(b, a, 5, dominance=1 - dominance), many[:5])


@pytest.mark.parametrize("options", [{}, {"crossover": 2}, {"sibling": 7}, {"crossover": 4, "sibling": 7}])
def test_a_blend_ends_at_its_parents(parents, options):
    a, b = parents
    torch.testing.assert_close(blend(a, b, 0.0, **options), a)
    torch.testing.assert_close(blend(a, b, 1.0, **options), b)
    shares = torch.stack([share_of(blend(a, b, k / 8, **options), a, b).mean() for k in range(9)])
    assert (shares.diff() > 0).all()


def test_a_blend_is_made_of_the_others(parents):
    a, b = parents
    torch.testing.assert_close(blend(a, b, 0.3), lerp(a, b, 0.3))
    torch.testing.assert_close(blend(a, b, 0.3, sibling=5), draw_sibling(a, b, 5, 0.3))


def test_couples_stand_in_leading_axes(parents):
    couples = parents.unsqueeze(1).repeat(1, 3, 1, 1)  # (2, 3, 6, 8)
    assert torch.equal(draw_sibling(*couples, 4)[1], draw_sibling(*parents, 4))
