"""space: walks end where they should, and measures agree with scikit-learn where it has the same one."""

import math

import numpy as np
import pytest
import torch

from latentlib import space


@pytest.fixture
def codes():
    return torch.randn(300, 6, generator=torch.Generator().manual_seed(1)) * torch.arange(1.0, 7.0)


# ------------------------------------------------------------------------------------------------------------- walking


def test_lerp_by_number_and_by_row():
    a, b = torch.zeros(3), torch.tensor([1.0, 2.0, 4.0])
    assert torch.equal(space.lerp(a, b, 0.5), b / 2)
    rows = space.lerp(torch.zeros(3, 3), torch.stack([b, b, b]), torch.tensor([0.0, 1.0, 2.0]))
    assert torch.equal(rows, torch.stack([a, b, 2 * b]))


def test_slerp_turns_evenly_and_lengths_go_evenly(codes):
    a, b = torch.nn.functional.normalize(codes[:2], dim=1)
    walk = space.slerp(a, b, torch.linspace(0, 1, 9))
    torch.testing.assert_close(walk.norm(dim=1), torch.ones(9))
    torch.testing.assert_close(walk[[0, -1]], torch.stack([a, b]))
    turns = (walk[1:] * walk[:-1]).sum(1)
    torch.testing.assert_close(turns, turns[:1].expand(8))
    middle = space.slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), 0.5)
    torch.testing.assert_close(middle, torch.full((2,), 2 * math.sqrt(0.5)))


def test_slerp_at_angles_of_zero_and_pi(codes):
    for b in (codes[0], 2 * codes[0], codes[0] * (1 + 1e-7)):
        torch.testing.assert_close(space.slerp(codes[0], b, 0.25), space.lerp(codes[0], b, 0.25))
    zero = torch.zeros(6)
    torch.testing.assert_close(space.slerp(zero, codes[0], 0.5), codes[0] / 2)
    assert torch.equal(space.slerp(zero, zero, 0.5), zero)
    assert space.slerp(codes, -codes, 0.5).isfinite().all()
    for angle in (1e-4, math.pi - 1e-4):  # and there is no jump near them
        b = torch.tensor([math.cos(angle), math.sin(angle), 0.0])
        half = torch.tensor([math.cos(angle / 2), math.sin(angle / 2), 0.0])
        torch.testing.assert_close(space.slerp(torch.eye(3)[0], b, 0.5), half, atol=2e-4, rtol=0)


def test_a_path_passes_through_every_point(codes):
    torch.testing.assert_close(space.path(codes[:4], 10)[::3], codes[:4])
    walk = space.path(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]), 5)  # pictures: the cross-fade
    assert walk[:, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_an_affine_map_there_and_back(codes):
    plane = torch.tensor([[0.4, 0.5], [0.45, 0.45], [0.6, 0.75]])
    to_codes, to_plane = space.affine_map(plane, codes[:3]), space.affine_map(codes[:3], plane)
    torch.testing.assert_close(to_codes(plane), codes[:3], atol=1e-4, rtol=0)
    spot = torch.tensor([[0.5, 0.6], [0.1, 0.9]])
    torch.testing.assert_close(to_plane(to_codes(spot)), spot, atol=1e-4, rtol=0)


# ---------------------------------------------------------------------------------------------------------- neighbours


def test_the_nearest_ones_nearest_first(codes):
    shifted = codes + 1000  # far from zero, where squares by matrix product lose digits
    right = torch.cdist(shifted[:50].double(), shifted[50:].double()).topk(4, largest=False)
    distances, positions = space.neighbours(shifted[50:], shifted[:50], k=4)
    torch.testing.assert_close(distances.double(), right.values, rtol=1e-4, atol=0)
    assert torch.equal(positions, right.indices)


# ---------------------------------------------------------------------------------------------------------- directions


@pytest.mark.parametrize("offset", [0, 100, 10_000])
@pytest.mark.parametrize("shape", [(300, 6), (50, 80), (90, 80)])
def test_principal_directions_are_the_true_ones_also_far_from_zero(shape, offset, monkeypatch):
    monkeypatch.setattr(space, "EXACT", 60)  # so that small data takes both ways
    generator = torch.Generator().manual_seed(2)
    strong = torch.randn(shape[0], 4, generator=generator) * torch.tensor([9.0, 7, 5, 3])
    x = strong @ torch.randn(4, shape[1], generator=generator) + 0.1 * torch.randn(shape, generator=generator) + offset
    centred = x.double() - x.double().mean(0)
    _, lengths, axes = torch.linalg.svd(centred, full_matrices=False)
    found = space.principal_directions(x, 3)
    torch.testing.assert_close(found.variances.double(), lengths[:3].square() / (shape[0] - 1), rtol=1e-3, atol=0)
    assert ((found.directions.double() * axes[:3]).sum(1).abs() > 0.9999).all()
    assert (found.directions.gather(1, found.directions.abs().argmax(1, keepdim=True)) > 0).all()
    torch.testing.assert_close(
        space.pca_project(x, found).double(), centred @ found.directions.double().T, atol=0.05, rtol=0
    )


def test_digits_plus_100_keep_their_axes():
    """scikit-learn's default solver finds none of them: cosines of 0.05, 0.17 and 0.08."""
    from latentlib.datasets import digits

    x = digits.load("bundled").train_images.flatten(1)
    near, far = space.principal_directions(x, 5), space.principal_directions(x + 100, 5)
    assert ((near.directions * far.directions).sum(1) > 0.999).all()
    torch.testing.assert_close(near.variances, far.variances, rtol=1e-3, atol=0)


def test_a_pca_there_and_back(codes):
    whole = space.principal_directions(codes, 6)
    scores = space.pca_project(codes, whole)
    torch.testing.assert_close(space.pca_reconstruct(scores, whole), codes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores.var(0), whole.variances, atol=1e-3, rtol=1e-4)
    errors = [(space.pca_reconstruct(scores[:, :m], whole) - codes).square().sum().item() for m in range(1, 7)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("offset", [0, 1000])
def test_linear_directions(codes, offset):
    has = (codes[:, 0] > 0).float()
    means = codes[has == 1].mean(0) - codes[has == 0].mean(0)
    torch.testing.assert_close(space.linear_direction(codes + offset, has), means, atol=1e-3, rtol=1e-3)
    values = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    values[:, 1] += values[:, 0]  # the two go together; each is held fixed for the other
    truth = torch.tensor([[1.0, 2, 3], [0, -1, 5]])
    found = space.linear_direction(values @ truth + offset, values)
    torch.testing.assert_close(found, truth, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", [0, 7])
def test_a_probe_as_scikit_learns(codes, seed):
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    targets = torch.stack([codes[:, 0] * 2 + 1, codes[:, 1].square(), codes[:, 2] + 3 * codes[:, 3].sin()], 1)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(seed)).numpy()
    x, y = codes.double().numpy()[order], targets.double().numpy()[order]
    fit = LinearRegression().fit(x[75:], y[75:])
    theirs = r2_score(y[:75], fit.predict(x[:75]), multioutput="raw_values")
    np.testing.assert_allclose(space.probe_r2(codes, targets, seed=seed), theirs, atol=1e-5)
    assert space.probe_r2(codes, targets[:, 0], seed=seed).item() == pytest.approx(1.0, abs=1e-5)


def test_a_probe_does_not_read_what_was_subtracted_from_its_rounding():
    chance = torch.Generator().manual_seed(3)
    values = torch.randn(1000, 2, generator=chance)
    codes = torch.randn(1000, 16, generator=chance) + values @ torch.randn(2, 16, generator=chance)
    basis = torch.linalg.qr(space.linear_direction(codes, values).T).Q  # (16, 2)
    left = codes - codes @ basis @ basis.T
    assert torch.linalg.svdvals(left)[-1] > 0  # something is left there
    assert (space.probe_r2(codes, values) > 0.5).all()
    assert (space.probe_r2(left, values) < 0.1).all()
    assert space.probe_r2(codes, torch.rand(1000, generator=chance)) < 0.1  # nor anything in noise


@pytest.mark.parametrize(
    "call",
    [
        lambda codes: space.lerp(torch.zeros(3), torch.zeros(4), 0.5),
        lambda codes: space.path(torch.zeros(1, 3), 5),
        lambda codes: space.affine_map(torch.tensor([[0.0, 0], [1, 1], [2, 2]]), codes[:3]),
        lambda codes: space.affine_map(torch.zeros(2, 2), codes[:3]),
        lambda codes: space.neighbours(codes, codes[0]),
        lambda codes: space.neighbours(codes, codes, k=301),
        lambda codes: space.principal_directions(codes, 7),
        lambda codes: space.linear_direction(codes, torch.ones(300)),
    ],
)
def test_bad_input_gets_a_sentence(codes, call):
    with pytest.raises(ValueError, match=r"got|need|same|must|line|have"):
        call(codes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_answers_stay_on_the_device(codes):
    on_gpu = codes.cuda()
    assert space.slerp(on_gpu[0], on_gpu[1], torch.linspace(0, 1, 3)).is_cuda
    assert space.probe_r2(on_gpu, on_gpu[:, :2]).is_cuda
    assert space.neighbours(on_gpu, on_gpu, k=2)[1].is_cuda
    there, here = space.principal_directions(on_gpu, 3), space.principal_directions(codes, 3)
    torch.testing.assert_close(there.directions.cpu(), here.directions, atol=1e-3, rtol=0)
