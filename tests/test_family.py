"""Children of two codes: laws that hold for any parents, and measures with known answers."""

import pytest
import torch

from latentlib import metrics
from latentlib.gan import blending
from latentlib.gan.blending import average, blend, crossover, per_layer, share_towards, siblings
from latentlib.metrics import balance, between, diversity
from latentlib.models.stylegan import Generator

NUM_WS, W_DIM = 6, 20
CHANNELS = {4: 8, 8: 8, 16: 8}


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(16, z_dim=12, w_dim=W_DIM, mapping_layers=2, channels=CHANNELS).eval().requires_grad_(False)


@pytest.fixture
def parents():
    codes = torch.randn(2, NUM_WS, W_DIM, generator=torch.Generator().manual_seed(3))
    return codes[0], codes[1]


def distance(x, y):
    return (x - y).flatten(1).norm(dim=1)


# --- children


def test_average_goes_from_one_parent_to_the_other(parents):
    a, b = parents
    assert torch.equal(average(a, b, 0), a)
    assert torch.equal(average(a, b, 1), b)
    assert torch.allclose(average(a, b, 0.25), a + (b - a) / 4, atol=1e-6)
    assert torch.allclose(average(a, b, 0.3), average(b, a, 0.7), atol=1e-6)
    assert torch.equal(average(a[0], b[0]), average(a, b)[0])  # (w_dim,) is a code too
    couples = torch.stack(parents)
    assert torch.equal(average(couples, couples.flip(0))[0], average(a, b))  # leading axes are couples
    by_layer = average(a, b, torch.tensor([0.0, 1.0, 0.5, 0.0, 1.0, 0.5]))
    assert torch.equal(by_layer[0], a[0])
    assert torch.equal(by_layer[1], b[1])
    assert torch.equal(by_layer[2], average(a, b)[2])


def test_crossover_takes_whole_layers_coarse_ones_from_a(parents):
    a, b = parents
    assert torch.equal(crossover(a, b, 0), b)
    assert torch.equal(crossover(a, b, NUM_WS), a)
    child = crossover(a, b, 2)
    assert torch.equal(child[:2], a[:2])
    assert torch.equal(child[2:], b[2:])
    mask = torch.tensor([True, False, True, False, False, True])
    assert torch.equal(crossover(a, b, mask)[mask], a[mask])
    assert torch.equal(crossover(a, b, mask)[~mask], b[~mask])
    assert torch.equal(crossover(a, b, mask), crossover(b, a, ~mask))
    couples = torch.stack(parents)
    assert torch.equal(crossover(couples, couples.flip(0), 2)[0], child)


def test_siblings_are_the_same_for_the_same_seed_and_do_not_depend_on_their_number(parents):
    a, b = parents
    four = siblings(a, b, 4, seed=7)
    assert four.shape == (4, NUM_WS, W_DIM)
    assert torch.equal(four, siblings(a, b, 4, seed=7))
    assert torch.equal(four[:2], siblings(a, b, 2, seed=7))
    assert torch.equal(four[3], siblings(a, b, 9, seed=7)[3])
    assert not torch.equal(four, siblings(a, b, 4, seed=8))
    assert torch.pdist(siblings(a, b, 20, seed=7).flatten(1)).min() > 0.1  # no twins
    before = torch.random.get_rng_state()
    siblings(a, b, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_siblings_of_a_couple_do_not_depend_on_the_other_couples(parents):
    a, b = parents
    many = siblings(torch.stack([a, b, a]), torch.stack([b, a, a]), 3, seed=1)
    assert many.shape == (3, 3, NUM_WS, W_DIM)
    assert torch.equal(many[0], siblings(a, b, 3, seed=1))
    assert torch.allclose(many[2], a.expand(3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("dominance", [0.0, 0.125, 0.5, 0.75, 1.0])
def test_swapped_parents_with_the_slider_mirrored_have_exactly_the_same_children(parents, dominance):
    a, b = parents
    assert torch.equal(siblings(a, b, 3, 5, dominance), siblings(b, a, 3, 5, 1 - dominance))


def test_swapped_parents_without_the_mirror_have_other_children(parents):
    a, b = parents
    assert (siblings(a, b, 3, 5, 0.25) - siblings(b, a, 3, 5, 0.25)).flatten(1).norm(dim=1).min() > 1


def test_dominance_is_the_share_of_b_on_average_and_never_goes_back(parents):
    a, b = parents
    assert torch.equal(siblings(a, b, 3, dominance=0), a.expand(3, -1, -1))
    assert torch.equal(siblings(a, b, 3, dominance=1), b.expand(3, -1, -1))
    shares = [share_towards(siblings(a, b, 400, 2, d), a, b) for d in (0.1, 0.3, 0.5, 0.9)]  # each (400, num_ws)
    for share, wanted in zip(shares, (0.1, 0.3, 0.5, 0.9), strict=True):
        assert share.mean().item() == pytest.approx(wanted, abs=0.03)
        assert share.min() > -1e-4
        assert share.max() < 1 + 1e-4
    rise = torch.stack(shares).diff(dim=0)
    assert (rise >= -1e-5).all()  # each layer of each child


def test_a_siblings_layer_comes_mostly_from_one_parent(parents):
    a, b = parents
    share = share_towards(siblings(a, b, 400), a, b)
    assert ((share < 0.25) | (share > 0.75)).float().mean() > 0.5  # a straight line would have a quarter on each side
    assert (share > 0.5).float().mean().item() == pytest.approx(0.5, abs=0.05)
    together = torch.corrcoef(share.T) - torch.eye(NUM_WS)
    assert together.abs().max() < 0.2  # each layer is drawn for itself


def test_blend_has_all_sliders(parents):
    a, b = parents
    assert torch.equal(blend(a, b, 0.3), average(a, b, 0.3))
    assert torch.equal(blend(a, b, crossover=2), crossover(a, b, 2))
    assert torch.equal(blend(a, b, 0.3, sibling=5), siblings(a, b, 1, 5, 0.3)[0])
    mask = torch.tensor([True, False, True, False, False, True])
    for how in ({}, {"crossover": 2}, {"crossover": mask}, {"sibling": 4}, {"crossover": 2, "sibling": 4}):
        assert torch.equal(blend(a, b, 0, **how), a)
        assert torch.equal(blend(a, b, 1, **how), b)
        shares = torch.stack([share_towards(blend(a, b, t / 8, **how), a, b) for t in range(9)])
        assert (shares.diff(dim=0) >= -1e-5).all()  # no layer ever goes back towards a
        couples = torch.stack(parents)
        together = blend(couples, couples.flip(0), 0.375, **how)
        assert torch.allclose(together[0], blend(a, b, 0.375, **how), atol=1e-6)


def test_a_blend_with_parents_and_sliders_swapped_is_the_same(parents):
    a, b = parents
    mask = torch.arange(NUM_WS) < 2
    for sibling in (None, 4):
        child, mirrored = blend(a, b, 0.375, mask, sibling), blend(b, a, 0.625, ~mask, sibling)
        assert torch.allclose(child, mirrored, atol=1e-6)


def test_siblings_of_a_crossover_differ_and_lean_to_its_parents(parents):
    a, b = parents
    share = torch.stack([share_towards(blend(a, b, 0.5, 2, seed), a, b) for seed in range(300)])
    assert share[:, :2].mean().item() == pytest.approx(0.25, abs=0.04)
    assert share[:, 2:].mean().item() == pytest.approx(0.75, abs=0.04)
    assert share.std(dim=0).min() > 0.1


def test_a_parent_with_itself_has_itself(parents):
    a, _ = parents
    for child in (average(a, a, 0.3), crossover(a, a, 3), siblings(a, a, 1)[0], blend(a, a, 0.4, 2, 1)):
        assert torch.allclose(child, a, atol=1e-6)


def test_per_layer():
    w = torch.randn(2, 3, 5)
    codes = per_layer(w, 4)
    assert codes.shape == (2, 3, 4, 5)
    assert torch.equal(codes[:, :, 2], w)
    assert per_layer(w[0, 0], 4).shape == (4, 5)


def test_half_precision_and_gradients(parents):
    a, b = parents
    assert siblings(a.half(), b.half(), 2).dtype == torch.float16
    a.requires_grad_()
    siblings(a, b, 2).sum().backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda a, b: average(a, b[:2]), "same shape"),
        (lambda a, b: average(a, b, 1.2), "share must be from 0"),
        (lambda a, b: average(a, b, float("nan")), "share must be from 0"),
        (lambda a, b: siblings(a, b, dominance=-0.1), "dominance must be from 0"),
        (lambda a, b: siblings(a, b, 0), "count must be 1 or more"),
        (lambda a, b: siblings(a[0], b[0]), "use per_layer"),
        (lambda a, b: crossover(a, b, NUM_WS + 1), "layers must be from 0 to 6"),
        (lambda a, b: crossover(a, b, torch.ones(NUM_WS)), "a mask must be bool"),
        (lambda a, b: crossover(a, b, torch.ones(2, dtype=torch.bool)), r"\(6,\)"),
        (lambda a, b: blend(a, b, 2.0), "share must be from 0"),
        (lambda a, b: diversity(a[:1], distance), "2 or more"),
    ],
)
def test_errors_say_what_to_do(parents, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(*parents)


# --- whom is the child like?


def test_share_towards():
    a, b = torch.tensor([0.0, 0.0]), torch.tensor([2.0, 0.0])
    points = torch.tensor([[0.0, 5.0], [1.0, -1.0], [2.0, 0.0], [4.0, 0.0]])
    assert share_towards(points, a, b).tolist() == [0, 0.5, 1, 2]
    assert share_towards(points, a, a).tolist() == [0.5] * 4


def test_balance_and_between():
    a, b = torch.tensor([[0.0, 0.0]]).expand(5, 2), torch.tensor([[4.0, 0.0]]).expand(5, 2)
    child = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 9.0], [4.0, 0.0], [5.0, 0.0]])
    assert balance(child, a, b, distance).tolist() == pytest.approx([0, 0.25, 0.5, 1, 5 / 6])
    assert between(child, a, b, distance).tolist() == [False, True, False, False, False]
    assert balance(a, a, a, distance).tolist() == [0.5] * 5


def test_diversity_is_the_mean_over_all_pairs():
    assert diversity(torch.tensor([[0.0], [1.0], [3.0]]), distance) == pytest.approx((1 + 3 + 2) / 3)
    assert diversity(torch.ones(4, 2), distance) == 0


# --- over many couples


class Pixels:
    """Whom a picture shows, by its pixels: enough of an identity for a test."""

    def embed(self, images):
        return torch.nn.functional.normalize((images - images.mean(0)).flatten(1), dim=1)


def bright(images):
    return images.mean(dim=(1, 2, 3))


def test_couples_are_the_same_for_the_same_seed(generator):
    couples = metrics.draw_couples(generator, 5, seed=2)
    assert couples.shape == (5, 2, generator.num_ws, W_DIM)
    assert torch.equal(couples[:3], metrics.draw_couples(generator, 5, seed=2)[:3])
    assert not torch.equal(couples, metrics.draw_couples(generator, 5, seed=3))
    assert torch.equal(couples[:, :, 0], couples[:, :, -1])  # a w, the same for all layers


@pytest.fixture
def judged(generator, one_thread):
    couples = metrics.draw_couples(generator, 12, truncation=1.0)

    def judge(mix=average, **options):
        return metrics.judge(generator, Pixels(), bright, couples, mix, siblings=siblings, **options)

    return judge


def test_children_of_the_average_are_their_parents_children(judged):
    result = judged(has_face=lambda images: bright(images) > 0)
    assert result["itself"].children < 1e-6 < result["itself"].control
    assert result["mirror"].children < 1e-6 < result["mirror"].control
    for name in ("between", "nearer", "parents found", "slider", "rises", "swap"):
        assert result[name].children > result[name].control, name
    assert result["parents found"].control == pytest.approx(1 / 12)
    assert result["diversity"].children > 0
    assert 0 < result["siblings"].children < result["siblings"].control
    assert result["detail"].children > result["detail"].control
    assert result["face"].children == result["face"].control == 1
    assert all(measure.means and measure.control_means for measure in result.values())


def test_siblings_are_judged_the_same_way(judged):
    result = judged(blending.draw_sibling(3))
    assert result["itself"].children < 1e-5 < result["itself"].control
    assert result["mirror"].children < 1e-6 < result["mirror"].control
    assert result["slider"].children > 0.8 > result["slider"].control
    assert "face" not in result


def test_a_mix_that_ignores_its_parents_is_found_out(judged):
    same = torch.randn(6, W_DIM, generator=torch.Generator().manual_seed(0))
    result = judged(lambda a, b, share: same.expand_as(a).clone())
    assert result["itself"].children > 0.01
    assert result["diversity"].children < 1e-4 < result["diversity"].control
    assert result["diversity without tone"].children < 1e-4
    assert result["parents found"].children <= 1 / 12 + 1e-6
    assert result["rises"].children == 0
    assert result["swap"].children == 0


def test_a_mix_that_only_copies_one_parent_is_found_out(judged):
    result = judged(lambda a, b, share: a)
    assert result["between"].children == 0
    assert result["off balance"].children == pytest.approx(0.5, abs=1e-4)
    assert result["rises"].children == 0
    assert result["mirror"].children > 0.001


def test_judging_refuses_other_shapes(generator):
    with pytest.raises(ValueError, match="n at least 4"):
        metrics.judge(generator, Pixels(), bright, torch.zeros(3, 2, 6, W_DIM))


def test_rank_correlation():
    values = torch.tensor([[0.1, 0.2, 0.5, 3.0], [4.0, 3.0, 2.0, 1.0], [1.0, 3.0, 2.0, 4.0]])
    assert metrics.rank_correlation(values).tolist() == pytest.approx([1, -1, 0.8])


def test_without_tone_leaves_neither_light_nor_contrast():
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = metrics.without_tone(picture)
    assert plain.shape == (2, 1, 8, 8)
    assert torch.allclose(plain, metrics.without_tone(picture * 0.5 + 0.2), atol=1e-4)
    assert plain.mean(dim=(1, 2, 3)).abs().max() < 1e-5
    assert torch.isfinite(metrics.without_tone(torch.zeros(1, 3, 8, 8))).all()


def test_detail():
    step = torch.zeros(1, 3, 4, 4)
    step[..., 2:] = 1
    assert metrics.detail(step).item() == pytest.approx(4 / 24)  # 4 of the 24 neighbours differ, by 1
    assert metrics.detail((step + step.flip(3)) / 2).item() == pytest.approx(0)


def test_softness_lies_between_a_hard_crossover_and_one_mix_for_all():
    assert 0 < blending.SOFTNESS < 2
