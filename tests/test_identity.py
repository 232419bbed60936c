"""The measure of whom a face looks like: its laws, its fit, and what is shipped."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.functional import gaussian_blur

from latentlib import weights
from latentlib.metrics import auc, draw_couples
from latentlib.models.identity import Identity
from latentlib.settings import cache_folder
from latentlib.weights import WEIGHTS
from training import lfw
from training.faces import train_identity


@pytest.fixture
def identity():
    torch.manual_seed(0)
    network = Identity(size=20)
    network.matrix.normal_()
    return network


@pytest.fixture
def pictures():
    coarse = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, 64, mode="bilinear")


def test_codes_have_length_one_and_distances_keep_to_their_range(identity, pictures):
    codes = identity.embed(pictures)
    assert codes.shape == (6, 20)
    assert codes.norm(dim=1).tolist() == pytest.approx([1] * 6)
    a, b = pictures[:3], pictures[3:]
    assert identity.distance(a, b).shape == (3,)
    assert torch.allclose(identity.distance(a, b), identity.distance(b, a))
    assert identity.distance(a, a).abs().max() < 1e-5
    assert (identity.distance(a, b) > 0.01).all()
    assert torch.allclose(identity.distance(a, b), 1 - (codes[:3] * codes[3:]).sum(1), atol=1e-6)
    assert torch.allclose(identity.embed(pictures[2:3]), codes[2:3], atol=1e-5)  # neighbours do not matter


def test_light_colour_and_mirroring_do_not_matter_and_blur_matters_little(identity, pictures):
    apart = identity.distance(pictures[:3], pictures[3:])
    assert identity.distance(pictures, pictures * 0.6 + 0.2).max() < 0.02
    grey = (pictures * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert identity.distance(pictures, grey).max() < 1e-4
    assert identity.distance(pictures, pictures.flip(3)).max() < 1e-4
    soft = gaussian_blur(pictures, 7, 1.0)
    assert identity.distance(pictures, soft).max() < apart.min() / 4


def test_edges_see_which_way_a_step_faces():
    network = Identity()
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32:] = 1  # dark on the left, light on the right: the step faces right, direction 0
    cells = network.edges(picture).view(network.directions, -1)
    assert cells.mean(1).argmax() == 0
    assert network.edges(picture.flip(3)).view(network.directions, -1).mean(1).argmax() == network.directions // 2
    down = network.edges(picture.transpose(2, 3)).view(network.directions, -1)
    assert down.mean(1).argmax() == network.directions // 4
    assert torch.isfinite(network.embed(torch.zeros(1, 3, 64, 64))).all()  # nothing to see: no number is lost


def test_gradients_reach_the_picture(identity, pictures):
    picture = pictures[:1].requires_grad_()
    identity.distance(picture, pictures[1:2].detach()).sum().backward()
    assert torch.isfinite(picture.grad).all()
    assert picture.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(3, 64, 64), (2, 1, 64, 64), (2, 3, 32, 32)])
def test_other_shapes_are_refused(identity, shape):
    with pytest.raises(ValueError, match=r"images must be \(n, 3, 64, 64\)"):
        identity.embed(torch.zeros(shape))


# --- its measure and its fit


def test_auc_has_known_answers():
    assert auc(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 1
    assert auc(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])) == 0
    assert auc(torch.tensor([1.0, 3.0]), torch.tensor([2.0])) == 0.5
    assert auc(torch.ones(3), torch.ones(2)) == 0.5
    assert auc(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([2.0, 3.0])) == pytest.approx((2 + 1.5 + 1.5) / 6)
    with pytest.raises(ValueError, match="both kinds"):
        auc(torch.ones(0), torch.ones(2))


def album(people: int, photos: int, seed: int = 0) -> lfw.Faces:
    """Invented people: a pattern each, whose photos differ in light and in which of four masks they wear."""
    random = torch.Generator().manual_seed(seed)
    patterns = F.interpolate(torch.rand(people, 3, 8, 8, generator=random), 64, mode="bilinear")
    masks = F.interpolate(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(99)), 64, mode="bilinear")
    count = people * photos
    worn = masks[torch.randint(4, (count,), generator=random)]
    light = torch.rand(count, 1, 1, 1, generator=random) * 0.5 + 0.5
    images = ((0.4 * patterns.repeat_interleave(photos, 0) + 0.6 * worn) * light * 255).byte()
    number = torch.arange(people).repeat_interleave(photos)
    return lfw.Faces(images, number)


def test_only_people_with_two_photos_and_no_person_on_both_sides():
    data = album(5, 3)
    kept = train_identity.with_two_photos(lfw.Faces(*(part[2:10] for part in data)))  # 1, 3, 3, 1 photos
    assert kept.people.tolist() == [1] * 3 + [2] * 3
    fitted, aside = train_identity.split_by_person(album(40, 2))
    assert len(fitted.people) + len(aside.people) == 80
    assert not set(fitted.people.tolist()) & set(aside.people.tolist())
    assert len(aside.people) > 0


def test_pairs_are_what_they_are_called():
    people = torch.tensor([0] * 9 + [1] * 2 + [2])
    same, different = train_identity.draw_pairs(people)
    assert len(same) == train_identity.PAIRS_A_PERSON + 1
    assert (people[same[:, 0]] == people[same[:, 1]]).all()
    assert (same[:, 0] != same[:, 1]).all()
    assert len({tuple(pair) for pair in same.tolist()}) == len(same)
    assert (people[different[:, 0]] != people[different[:, 1]]).all()
    assert torch.equal(train_identity.draw_pairs(people)[1], different)


def test_fitting_finds_what_belongs_to_people(one_thread):
    data, others = album(60, 5), album(12, 5, seed=9)
    network = Identity(size=12)
    codes = train_identity.both_ways(network.edges, data.images)
    network.mean, network.matrix = train_identity.fit_matrix(codes, data.people, 12, 50)
    pairs = train_identity.draw_pairs(others.people)
    fitted = train_identity.measure_shipped(network, others)
    unfitted = train_identity.auc_of(train_identity.both_ways(network.edges, others.images) - network.mean, pairs)
    assert fitted > max(unfitted + 0.05, 0.9)


def test_range_holds_the_measure_and_narrows_with_more_people(one_thread):
    network = Identity(size=12)
    network.matrix.normal_(generator=torch.Generator().manual_seed(0))
    widths = []
    for people in (6, 40):
        data = album(people, 4, seed=9)
        low, high = train_identity.range_over_people(network, data, 100)
        assert low <= train_identity.measure_shipped(network, data) <= high
        widths.append(high - low)
    assert widths[1] < widths[0]


# --- what is shipped


@pytest.fixture(scope="module")
def shipped():
    return weights.load("faces-64-identity")


@pytest.fixture(scope="module")
def stored():
    return json.loads((WEIGHTS / "faces-64-identity.json").read_text(encoding="utf-8"))


def test_shipped_file_is_small_and_beats_pixels(stored):
    assert (WEIGHTS / "faces-64-identity.safetensors").stat().st_size <= 1e6
    found = stored["auc"]
    shipped = found["edges, discriminants (shipped)"]
    assert shipped > 0.8
    assert all(shipped > other for name, other in found.items() if "shipped" not in name)
    assert stored["held_out"]["pairs_of_one_person"] > 100


@torch.no_grad()
def test_a_face_changed_a_little_is_nearer_than_another_face(shipped):
    generator = weights.load("faces-64")
    codes = draw_couples(generator, 16, seed=5)
    a, b = generator.draw(codes[:, 0]), generator.draw(codes[:, 1])
    for changed in (
        generator.draw(codes[:, 0] + 0.15 * (codes[:, 1] - codes[:, 0])),  # a step towards the other
        a * 0.7 + 0.1,  # other light
        a.roll(1, dims=3),  # a pixel to the side
        gaussian_blur(a, 7, 0.8),  # less sharp
    ):
        near, far = shipped.distance(a, changed), shipped.distance(a, b)
        assert (near < far).float().mean() >= 15 / 16
        assert near.mean() < far.mean() / 2


def test_stored_auc_is_what_the_shipped_weights_give(shipped, stored):
    if not (Path(cache_folder()) / lfw.CACHE_NAME).exists():
        pytest.skip("the aligned photos of LFW are not on this machine")
    found = train_identity.measure_shipped(shipped, lfw.load("held_out"))
    assert found == pytest.approx(stored["auc"]["edges, discriminants (shipped)"], abs=0.001)
