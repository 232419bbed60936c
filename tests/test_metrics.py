"""metrics: known values, and simple opponents that no table may hide."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from latentlib import metrics
from latentlib.models.stylegan2 import Discriminator, Generator


class Pixels(nn.Module):
    """Knows people by their pixels; blind to what a sharpening adds."""

    def embed(self, images):
        return F.normalize(F.avg_pool2d(images, 4).flatten(1) - 0.5, dim=1)


@pytest.fixture
def couples():
    """12 couples of noise: crisp, and everybody different."""
    return torch.rand(2, 12, 3, 16, 16, generator=torch.Generator().manual_seed(4)).unbind(0)


def test_psnr_and_detail():
    a = torch.zeros(2, 3, 4, 4)
    assert metrics.psnr(a, a + 0.1).tolist() == pytest.approx([20, 20], abs=1e-4)
    assert metrics.psnr(a, a).tolist() == [math.inf, math.inf]
    step = torch.zeros(1, 3, 4, 4)
    step[..., 2:] = 1
    assert metrics.detail(step).item() == pytest.approx(4 / 24)  # 4 of the 24 neighbours differ, by 1
    with pytest.raises(ValueError, match="same shape"):
        metrics.psnr(a, a[:1])


def test_sharpening_gives_back_what_a_blur_takes():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    assert torch.equal(metrics.sharpened(images, 0), images)
    blurred = F.avg_pool2d(images, 3, stride=1)  # of the inner pixels
    inner = metrics.sharpened(images, 0.5)[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, 1.5 * images[..., 1:-1, 1:-1] - 0.5 * blurred)
    assert (metrics.detail(metrics.sharpened(images)) > 1.2 * metrics.detail(images)).all()
    assert torch.equal(metrics.sharpened(torch.ones(1, 3, 4, 4)), torch.ones(1, 3, 4, 4))


def test_the_perceptual_distance_of_features():
    torch.manual_seed(0)
    discriminator = Discriminator(16, {4: 8, 8: 8, 16: 8}).eval().requires_grad_(False)
    a = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    pictures = (a, (a + 0.05 * a.flip(3)) / 1.05, a.flip(3))
    features = [metrics.perceptual_features(discriminator, x) for x in pictures]
    same, near, far = (metrics.feature_distance(features[0], other) for other in features)
    assert same.tolist() == [0, 0, 0]
    assert (near > 0).all()
    assert (near < far).all()
    assert (far < 4).all()
    assert all(torch.allclose(level.norm(dim=1), torch.ones(())) for level in features[0])


def test_shares_of_comparisons():
    alikes = torch.tensor([[1.0, 0], [1, 0], [3, 0], [2, 0]])
    others = torch.tensor([[2.0, 0], [0, 3], [1, 0], [0, 2]])
    assert metrics.triplet_accuracy(torch.zeros(4, 2), alikes, others) == (2 + 0.5) / 4
    assert metrics.auc(torch.tensor([1.0, 2]), torch.tensor([2.0, 3])) == (3 + 0.5) / 4
    with pytest.raises(ValueError, match="same shape"):
        metrics.triplet_accuracy(alikes, alikes[:1], others)


def test_couples_are_the_same_for_the_same_seed():
    torch.manual_seed(0)
    generator = Generator(16, 8, 8, 2, {4: 8, 8: 8, 16: 8}).eval().requires_grad_(False)
    couples = metrics.draw_couples(generator, 5, seed=2)
    assert couples.shape == (5, 2, generator.num_ws, 8)
    assert torch.equal(couples, metrics.draw_couples(generator, 5, seed=2))
    assert not torch.equal(couples, metrics.draw_couples(generator, 5, seed=3))
    assert torch.equal(couples[:, :, 0], couples[:, :, -1])  # a w, the same for all layers


def test_a_judge_of_one_face_knows_cross_fades_and_is_fooled_by_sharpening():
    torch.manual_seed(2)
    discriminator = Discriminator(16, {4: 8, 8: 8, 16: 8}).eval().requires_grad_(False)
    numbers = torch.Generator().manual_seed(7)
    known, new = (torch.rand(200, 3, 16, 16, generator=numbers).round() for _ in range(2))
    judge = metrics.teach_one_face(discriminator, known)
    mixed = metrics.baselines(new, new.roll(3, 0))
    assert (judge(new) > 0).float().mean() > 0.9
    assert (judge(mixed["cross-fade"]) < 0).float().mean() > 0.9
    assert torch.allclose(judge(new[:3]), judge(new)[:3], atol=1e-4)  # each picture by itself
    assert torch.equal(metrics.teach_one_face(discriminator, known)(new), judge(new))


def crisp(images):
    return metrics.detail(images) - 0.29


def test_the_table_of_children_whose_answers_are_known(couples):
    first, second = couples
    fades = metrics.baselines(first, second)
    assert torch.equal(fades["cross-fade"], (first + second) / 2)
    kinds = fades | {"first parent": first, "another's": first.roll(1, 0), "grey": torch.full_like(first, 0.6)}
    table = metrics.evaluate(kinds, first, second, Pixels(), crisp)
    assert all(list(row) == list(kinds) for row in table.values())
    assert table["between its parents"]["cross-fade"] == 1
    assert table["between its parents"]["first parent"] == 0  # as near to the second as that one is to the first
    assert table["own parents nearest"]["cross-fade"] == 1
    assert table["own parents nearest"]["another's"] == 0
    assert table["nearer to own than to other couples"]["cross-fade"] == pytest.approx(1, abs=0.01)
    assert table["nearer to own than to other couples"]["grey"] == pytest.approx(0.5, abs=0.15)
    assert table["could be taken for each parent"]["cross-fade"] == 1
    assert table["could be taken for each parent"]["another's"] < 0.2
    assert table["could be taken for each parent"]["first parent"] < 0.4
    assert table["detail, beside the parents'"]["first parent"] == pytest.approx(1, abs=0.03)
    assert table["detail, beside the parents'"]["grey"] == 0
    assert table["one face"] == {
        "cross-fade": 0, "sharpened cross-fade": 1, "first parent": 1, "another's": 1, "grey": 0
    }  # fmt: skip
    # Not one measure is left for a child that is no better than a sharpened cross-fade.
    assert metrics.uninformative(table, "sharpened cross-fade") == list(table)
    assert "one face" in metrics.uninformative(table, "first parent")
    better = {"one face": {"child": 1.0, "cross-fade": 0.3, "sharpened cross-fade": 0.94}}
    assert metrics.uninformative(better, "child") == []


def test_likeness_may_be_asked_of_other_photos(couples):
    first, second = couples
    kinds = metrics.baselines(first, second)
    other = metrics.evaluate(kinds, first, second, Pixels(), crisp, others=(first.flip(0), second.flip(0)))
    same = metrics.evaluate(kinds, first, second, Pixels(), crisp)
    assert other["own parents nearest"]["cross-fade"] < 0.3
    assert other["one face"] == same["one face"]
    assert other["detail, beside the parents'"] == same["detail, beside the parents'"]
