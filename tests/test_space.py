"""space: walks end where they should, and measures agree with scikit-learn where it has the same one."""

import math

import numpy as np
import pytest
import torch

from latentlib import metrics, space


@pytest.fixture
def codes():
    return torch.randn(300, 6, generator=torch.Generator().manual_seed(1)) * torch.arange(1.0, 7.0)


@pytest.fixture
def labels(codes):
    return (codes[:, 5] > 0).long() + 2 * (codes[:, 4] > 0).long()


class TestWalks:
    def test_lerp_by_number_and_by_row(self):
        a, b = torch.zeros(3), torch.tensor([1.0, 2.0, 4.0])
        assert torch.equal(space.lerp(a, b, 0.5), b / 2)
        assert space.lerp(a, b, torch.linspace(0, 1, 5)).shape == (5, 3)
        rows = space.lerp(torch.zeros(2, 3), torch.stack([b, b]), torch.tensor([0.0, 1.0]))
        assert torch.equal(rows, torch.stack([a, b]))

    def test_slerp_quarter_turn(self):
        middle = space.slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
        torch.testing.assert_close(middle, torch.full((2,), math.sqrt(0.5)))

    def test_slerp_stays_on_the_sphere_and_turns_evenly(self, codes):
        a, b = torch.nn.functional.normalize(codes[:2], dim=1)
        walk = space.slerp(a, b, torch.linspace(0, 1, 9))
        torch.testing.assert_close(walk.norm(dim=1), torch.ones(9))
        torch.testing.assert_close(walk[[0, -1]], torch.stack([a, b]))
        turns = (walk[1:] * walk[:-1]).sum(1)
        torch.testing.assert_close(turns, turns[:1].expand(8))

    def test_slerp_at_angle_zero_is_lerp(self, codes):
        a = codes[0]
        for b in (a, 2 * a, a * (1 + 1e-7)):
            torch.testing.assert_close(space.slerp(a, b, 0.25), space.lerp(a, b, 0.25))

    def test_slerp_at_angle_pi(self, codes):
        a = torch.nn.functional.normalize(codes, dim=1)
        walk = torch.stack([space.slerp(a, -a, t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)])
        torch.testing.assert_close(walk.norm(dim=2), torch.ones(5, len(a)))
        torch.testing.assert_close(walk[4], -a, atol=1e-6, rtol=0)
        torch.testing.assert_close((walk[2] * a).sum(1), torch.zeros(len(a)), atol=1e-6, rtol=0)

    def test_slerp_near_pi_and_near_zero_has_no_jump(self):
        a = torch.tensor([1.0, 0.0, 0.0])
        for angle in (1e-4, math.pi - 1e-4):
            b = torch.tensor([math.cos(angle), math.sin(angle), 0.0])
            half = torch.tensor([math.cos(angle / 2), math.sin(angle / 2), 0.0])
            torch.testing.assert_close(space.slerp(a, b, 0.5), half, atol=2e-4, rtol=0)

    def test_slerp_of_zeros_is_finite(self):
        zero, b = torch.zeros(3), torch.tensor([0.0, 2.0, 0.0])
        assert torch.equal(space.slerp(zero, zero, 0.5), zero)
        torch.testing.assert_close(space.slerp(zero, b, 0.5), b / 2)
        torch.testing.assert_close(space.slerp(b, zero, 0.5), b / 2)

    def test_slerp_lengths_go_evenly(self):
        middle = space.slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), 0.5)
        assert middle.norm().item() == pytest.approx(2.0)

    def test_path_passes_through_every_point(self, codes):
        for step in (space.lerp, space.slerp):
            walk = space.path(codes[:4], 10, step)
            torch.testing.assert_close(walk[::3], codes[:4])

    def test_path_of_pictures_is_the_cross_fade(self):
        pictures = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
        walk = space.path(pictures, 5)
        assert walk.shape == (5, 1, 2, 2)
        assert walk[:, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]

    def test_bad_walks_say_what_is_wrong(self):
        with pytest.raises(ValueError, match="same size"):
            space.lerp(torch.zeros(3), torch.zeros(4), 0.5)
        with pytest.raises(ValueError, match="use lerp"):
            space.slerp(torch.ones(2, 1), torch.ones(2, 1), 0.5)
        with pytest.raises(ValueError, match="k at least 2"):
            space.path(torch.zeros(1, 3), 5)

    def test_analogy(self):
        chair_with_arms, chair, table = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
        assert space.analogy(chair_with_arms, chair, table).tolist() == [0, 1, 1]

    def test_affine_map_there_and_back(self, codes):
        plane = torch.tensor([[0.4, 0.5], [0.45, 0.45], [0.6, 0.75]])
        to_codes, to_plane = space.affine_map(plane, codes[:3]), space.affine_map(codes[:3], plane)
        torch.testing.assert_close(to_codes(plane), codes[:3], atol=1e-4, rtol=0)
        spot = torch.tensor([[0.5, 0.6], [0.1, 0.9]])
        torch.testing.assert_close(to_plane(to_codes(spot)), spot, atol=1e-4, rtol=0)
        middle = to_codes(plane[:2].mean(0, keepdim=True))
        torch.testing.assert_close(middle, codes[:2].mean(0, keepdim=True), atol=1e-4, rtol=0)

    def test_affine_map_wants_a_plane(self, codes):
        with pytest.raises(ValueError, match="on one line"):
            space.affine_map(torch.tensor([[0.0, 0], [1, 1], [2, 2]]), codes[:3])
        with pytest.raises(ValueError, match=r"\(3, p\)"):
            space.affine_map(torch.zeros(2, 2), codes[:3])


class TestNeighbours:
    def test_the_nearest_ones_nearest_first(self, codes):
        shifted = codes + 1000  # far from zero, where squares by matrix product lose digits
        right = torch.cdist(shifted[:50].double(), shifted[50:].double()).topk(4, largest=False)
        distances, positions = space.neighbours(shifted[50:], shifted[:50], k=4)
        torch.testing.assert_close(distances.double(), right.values, rtol=1e-4, atol=0)
        assert torch.equal(positions, right.indices)

    def test_distance_to_data_is_zero_on_the_data(self):
        pictures = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        nothing = space.distance_to_data(pictures[:5], pictures)  # of differences of squares, which round
        assert nothing.tolist() == pytest.approx([0] * 5, abs=1e-5)
        beside = pictures[:1] + 0.001
        assert space.distance_to_data(beside, pictures).item() == pytest.approx(0.001 * math.sqrt(192), rel=1e-3)

    def test_accuracy_as_scikit_learn_leaving_one_out(self, codes, labels):
        from sklearn.model_selection import LeaveOneOut, cross_val_score
        from sklearn.neighbors import KNeighborsClassifier

        theirs = cross_val_score(KNeighborsClassifier(5), codes.numpy(), labels.numpy(), cv=LeaveOneOut()).mean()
        assert space.knn_accuracy(codes, labels, k=5) == pytest.approx(theirs, abs=1e-6)

    def test_triplet_accuracy(self):
        anchors = torch.zeros(4, 2)
        alikes = torch.tensor([[1.0, 0], [1, 0], [3, 0], [2, 0]])
        others = torch.tensor([[2.0, 0], [0, 3], [1, 0], [0, 2]])
        assert metrics.triplet_accuracy(anchors, alikes, others) == pytest.approx((2 + 0.5) / 4)

    def test_bad_input_says_what_is_wrong(self, codes, labels):
        with pytest.raises(ValueError, match=r"queries\[None\]"):
            space.neighbours(codes, codes[0])
        with pytest.raises(ValueError, match="queries have 3"):
            space.neighbours(codes, codes[:, :3])
        with pytest.raises(ValueError, match="k must be from 1 to 300"):
            space.neighbours(codes, codes, k=301)
        with pytest.raises(ValueError, match="labels must be"):
            space.knn_accuracy(codes, labels[:3])
        with pytest.raises(ValueError, match="same shape"):
            metrics.triplet_accuracy(codes, codes[:1], codes)


class TestDirections:
    @pytest.mark.parametrize("shape", [(300, 6), (50, 80), (90, 80)])
    def test_pca_as_scikit_learn(self, shape, monkeypatch):
        from sklearn.decomposition import PCA

        monkeypatch.setattr(space, "EXACT", 60)  # so that small data takes both ways
        generator = torch.Generator().manual_seed(2)
        strong = torch.randn(shape[0], 4, generator=generator) * torch.tensor([9.0, 7, 5, 3])
        x = strong @ torch.randn(4, shape[1], generator=generator) + 0.1 * torch.randn(shape, generator=generator) + 20
        theirs = PCA(3, svd_solver="full").fit(x.double().numpy())
        ours = space.principal_directions(x, 3)
        np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-3)
        np.testing.assert_allclose(
            (ours.directions.double().numpy() * theirs.components_).sum(1).__abs__(), 1, atol=1e-4
        )
        assert (ours.directions.gather(1, ours.directions.abs().argmax(1, keepdim=True)) > 0).all()

    def test_pca_there_and_back(self, codes):
        whole = space.principal_directions(codes, 6)
        scores = space.pca_project(codes, whole)
        torch.testing.assert_close(space.pca_reconstruct(scores, whole), codes, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores.var(0), whole.variances, atol=1e-3, rtol=1e-4)
        errors = [(space.pca_reconstruct(scores[:, :m], whole) - codes).square().sum().item() for m in range(1, 7)]
        assert errors == sorted(errors, reverse=True)

    def test_linear_direction_is_the_difference_of_means(self, codes):
        has = (codes[:, 0] > 0).float()
        expected = codes[has == 1].mean(0) - codes[has == 0].mean(0)
        torch.testing.assert_close(space.linear_direction(codes, has), expected, atol=1e-4, rtol=1e-4)

    def test_linear_direction_holds_other_values_fixed(self):
        values = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        values[:, 1] += values[:, 0]  # the two go together
        truth = torch.tensor([[1.0, 2, 3], [0, -1, 5]])
        torch.testing.assert_close(space.linear_direction(values @ truth, values), truth, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("seed", [0, 7])
    def test_probe_as_scikit_learn(self, codes, seed):
        from sklearn.linear_model import LinearRegression
        from sklearn.metrics import r2_score

        targets = torch.stack([codes[:, 0] * 2 + 1, codes[:, 1].square(), codes[:, 2] + 3 * codes[:, 3].sin()], 1)
        order = torch.randperm(300, generator=torch.Generator().manual_seed(seed)).numpy()
        x, y = codes.double().numpy()[order], targets.double().numpy()[order]
        fit = LinearRegression().fit(x[75:], y[75:])
        theirs = r2_score(y[:75], fit.predict(x[:75]), multioutput="raw_values")
        np.testing.assert_allclose(space.probe_r2(codes, targets, seed=seed), theirs, atol=1e-5)
        assert space.probe_r2(codes, targets[:, 0], seed=seed).item() == pytest.approx(1.0, abs=1e-5)

    def test_probe_does_not_read_what_was_subtracted_from_its_rounding(self):
        chance = torch.Generator().manual_seed(3)
        values = torch.randn(1000, 2, generator=chance)
        codes = torch.randn(1000, 16, generator=chance) + values @ torch.randn(2, 16, generator=chance)
        basis = torch.linalg.qr(space.linear_direction(codes, values).T).Q  # (16, 2)
        left = codes - codes @ basis @ basis.T
        assert torch.linalg.svdvals(left)[-1] > 0  # something is left there
        assert (space.probe_r2(codes, values) > 0.5).all()
        assert (space.probe_r2(left, values) < 0.1).all()

    def test_probe_finds_nothing_in_noise(self, codes):
        noise = torch.rand(300, 2, generator=torch.Generator().manual_seed(5))
        assert (space.probe_r2(codes, noise) < 0.1).all()

    def test_bad_input_says_what_is_wrong(self, codes):
        with pytest.raises(ValueError, match="k must be from 1 to 6"):
            space.principal_directions(codes, 7)
        with pytest.raises(ValueError, match="6\\) or fewer"):
            space.pca_reconstruct(torch.zeros(2, 7), space.principal_directions(codes, 6))
        with pytest.raises(ValueError, match="the same for all codes"):
            space.linear_direction(codes, torch.ones(300))
        with pytest.raises(ValueError, match="values must be"):
            space.linear_direction(codes, torch.ones(3))
        with pytest.raises(ValueError, match="as many targets"):
            space.probe_r2(codes, torch.ones(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_answers_stay_on_the_device(codes, labels):
    on_gpu = codes.cuda()
    assert space.slerp(on_gpu[0], on_gpu[1], torch.linspace(0, 1, 3)).is_cuda
    assert space.probe_r2(on_gpu, on_gpu[:, :2]).is_cuda
    assert space.neighbours(on_gpu, on_gpu, k=2)[1].is_cuda
    assert space.knn_accuracy(on_gpu, labels.cuda()) == pytest.approx(space.knn_accuracy(codes, labels), abs=0.01)
    torch.testing.assert_close(
        space.principal_directions(on_gpu, 3).directions.cpu(),
        space.principal_directions(codes, 3).directions,
        atol=1e-3,
        rtol=0,
    )
