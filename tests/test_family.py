"""Children of two codes: laws that hold for any parents, and measures with known answers."""

import pytest
import torch

from latentlib import metrics
from latentlib.gan.blending import average, blend, crossover, per_layer, share_towards, siblings
from latentlib.metrics import balance, between, diversity
from latentlib.models.stylegan2 import Discriminator, Generator

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


# --- over many couples, beside ghosts


class Pixels:
    """Whom a picture shows, by its pixels: enough of an identity for a test."""

    def embed(self, images):
        return torch.nn.functional.normalize((images - 0.5).flatten(1), dim=1)


def crisp(images, alone):
    """A judge that likes detail, and that is asked about each picture by itself."""
    assert alone, "in a batch the discriminator looks at the differences too"
    return metrics.detail(images)


def test_couples_are_the_same_for_the_same_seed(generator):
    couples = metrics.draw_couples(generator, 5, seed=2)
    assert couples.shape == (5, 2, generator.num_ws, W_DIM)
    assert torch.equal(couples[:3], metrics.draw_couples(generator, 5, seed=2)[:3])
    assert not torch.equal(couples, metrics.draw_couples(generator, 5, seed=3))
    assert torch.equal(couples[:, :, 0], couples[:, :, -1])  # a w, the same for all layers


def no_ghost(images):
    """Averages of noise are duller than noise."""
    return metrics.detail(images) - 0.29


@pytest.fixture
def parents_pictures():
    """12 couples, noise: crisp, and everybody different."""
    return torch.rand(2, 12, 3, 16, 16, generator=torch.Generator().manual_seed(4)).unbind(0)


@pytest.fixture
def table(parents_pictures):
    """The measures of some kinds of children, beside their controls."""
    first, second = parents_pictures
    strangers = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(5))

    def table(child):
        films = {"child": child} | metrics.controls(
            first, second, child, torch.full((3, 16, 16), 0.6), strangers, Pixels()
        )
        seen = {name: metrics.look(film, first, second, Pixels(), crisp, no_ghost) for name, film in films.items()}
        return metrics.kinship_table(seen)

    return table


def patchwork(first, second):
    """A child as crisp as its parents: pixels from either, the second parent's with the probability of the share."""
    dice = torch.rand(first.shape, generator=torch.Generator().manual_seed(6))
    return lambda share: torch.where(dice < share, second, first)


def test_a_crisp_child_of_its_own_parents_passes(table, parents_pictures):
    found = table(patchwork(*parents_pictures))
    assert list(found) == [*metrics.LIKENESS, *metrics.ONE_FACE, *metrics.OTHER]
    for row in found.values():
        assert list(row)[:2] == ["child", "ghost"]
        assert all(isinstance(value, float) for value in row.values())
    assert all(metrics.verdict(found, "child").values())
    assert found["own parents nearest"]["child"] == found["nearer to own than to other couples"]["child"] == 1
    assert found["follows the share"]["child"] == pytest.approx(1)
    assert found["detail, beside the photos'"]["child"] == pytest.approx(1, abs=0.05)
    assert found["one face"]["child"] == 1
    assert found["like a photo, to the discriminator"]["child"] == pytest.approx(0.5, abs=0.2)


def test_the_ghost_passes_every_test_of_likeness_and_so_these_are_struck(table, parents_pictures):
    found = table(patchwork(*parents_pictures))
    assert all(metrics.struck(found[name], "child") for name in ("between its parents", "own parents nearest"))
    assert metrics.struck(found["follows the share"], "child")
    assert not any(metrics.struck(found[name], "child") for name in metrics.ONE_FACE)
    assert found["detail, beside the photos'"]["ghost"] < 0.8
    assert found["one face"]["ghost"] == found["like a photo, to the discriminator"]["ghost"] == 0


def test_who_is_no_kin_fails_the_tests_of_likeness(table, parents_pictures):
    found = table(patchwork(*parents_pictures))
    for kind in ("another couple's child", "the mean face"):
        assert found["own parents nearest"][kind] <= 2 / 12
        assert found["nearer to own than to other couples"][kind] < 0.75
        assert found["follows the share"][kind] < 0.6
        assert found["between its parents"][kind] <= 0.5
    # The nearest stranger was chosen for being like them: that gets him far, but not as far.
    for name in ("own parents nearest", "nearer to own than to other couples", "follows the share"):
        assert found[name]["the nearest stranger"] < found[name]["child"] - 0.1
    assert found["as various as people"]["the mean face"] == pytest.approx(0, abs=1e-5)


def test_a_ghost_is_no_child(table, parents_pictures):
    first, second = parents_pictures
    outcome = metrics.verdict(table(lambda share: first.lerp(second, share)), "child")
    assert outcome == {
        "more than a ghost: detail, beside the photos'": False,
        "more than a ghost: one face": False,
        "likeness close to the ghost's": True,
    }


def test_one_child_in_three_tints_is_found_out(table, parents_pictures):
    first, _ = parents_pictures
    tints = torch.tensor([1.0, 0.8, 0.6]).repeat(4)[:, None, None, None]
    found = table(lambda share: first[:1] * tints)
    assert found["as various in grey"]["child"] == pytest.approx(0, abs=1e-3)
    assert not metrics.verdict(found, "child")["likeness close to the ghost's"]


def test_a_child_that_copies_one_parent_does_not_lie_between(table, parents_pictures):
    first, _ = parents_pictures
    found = table(lambda share: first)
    assert found["between its parents"]["child"] == 0
    assert found["follows the share"]["child"] == 0


def test_likeness_is_measured_against_the_other_pictures_and_detail_beside_the_mixed_ones(parents_pictures):
    first, second = parents_pictures
    film = patchwork(first, second)
    others = first.roll(1, 0), second.roll(1, 0)  # everybody's other photo shows somebody else
    seen = metrics.look(film, first, second, Pixels(), crisp, no_ghost, others)
    assert metrics.parents_found(seen) < 0.3
    assert metrics.detail_kept(seen) == metrics.detail_kept(
        metrics.look(film, first, second, Pixels(), crisp, no_ghost)
    )


def test_a_judge_that_was_shown_ghosts_tells_them_from_faces():
    torch.manual_seed(2)
    discriminator = Discriminator(16, CHANNELS).eval().requires_grad_(False)
    numbers = torch.Generator().manual_seed(7)
    known, new = (torch.rand(200, 3, 16, 16, generator=numbers).round() for _ in range(2))
    judge = metrics.teach_ghosts(discriminator, known)
    assert (judge(new) > 0).float().mean() > 0.9
    assert (judge((new + new.roll(3, 0)) / 2) < 0).float().mean() > 0.9
    assert torch.allclose(judge(new[:3]), judge(new)[:3], atol=1e-4)  # each picture by itself
    assert torch.equal(metrics.teach_ghosts(discriminator, known)(new), judge(new))


def test_looking_refuses_other_shapes(parents_pictures):
    first, second = parents_pictures
    with pytest.raises(ValueError, match="4 couples or more"):
        metrics.look(lambda share: first[:3], first[:3], second[:3], Pixels(), crisp, no_ghost)


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
