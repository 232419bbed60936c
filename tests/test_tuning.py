"""Tuning draws the photos from their codes, in a copy, the same each time, and keeps the best when it is stopped."""

from __future__ import annotations

import copy

import pytest
import torch

from latentlib import weights
from latentlib.datasets import portraits
from latentlib.gan import tuning
from latentlib.gan.inversion import invert, mahalanobis_p
from latentlib.gan.tuning import orthogonal, pivots, texture, tune
from latentlib.metrics import feature_distance, perceptual_features, psnr
from latentlib.models.stylegan2 import Discriminator, Generator

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 16, 8: 16, 16: 8}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = Generator(16, 12, 10, 2, CHANNELS).eval().requires_grad_(False)
    network.compute_w_avg(2000)
    return network


@pytest.fixture(scope="module")
def couple():
    """Two pictures that the generator cannot draw."""
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def codes(generator, couple):
    return invert(generator, couple, "w", steps=20, progress=False).codes


@pytest.fixture
def run(generator, codes, couple):
    def run(codes=codes, images=couple, **options):
        return tune(generator, codes, images, **{"steps": 30, "progress": False} | options)

    return run


def test_pivots_without_an_encoder_begin_at_the_mean_face(generator, couple, monkeypatch):
    monkeypatch.setattr("latentlib.gan.tuning.SEARCHED", 4)  # below half of the generator's 16 nothing can be searched
    torch.testing.assert_close(
        pivots(generator, couple, None, steps=0, progress=False).codes, generator.w_avg.expand(2, generator.num_ws, -1)
    )


def error(network, codes, couple):
    return (network.draw(codes) - couple).square().mean((1, 2, 3))


def test_one_copy_draws_both_pictures_far_closer(run, generator, codes, couple):
    before = copy.deepcopy(generator.state_dict())
    found = run()
    assert (error(found, codes, couple) < 0.7 * error(generator, codes, couple)).all()
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    changed = {name for name, value in found.state_dict().items() if not torch.equal(before[name], value)}
    assert changed == {f"synthesis.b{r}.conv{k}.weight" for r in (8, 16) for k in (0, 1)}
    assert not any(p.requires_grad or p.grad is not None for p in found.parameters())


def test_the_same_call_gives_the_same_copy(run, codes):
    assert torch.equal(run(steps=4).draw(codes), run(steps=4).draw(codes))


@pytest.fixture
def discriminator():
    torch.manual_seed(1)
    return Discriminator(16, CHANNELS).eval().requires_grad_(False)


def test_the_discriminator_s_distance_joins_the_loss(run, codes, couple, discriminator, monkeypatch):
    monkeypatch.setattr(tuning, "PERCEPTUAL_WEIGHT", 10.0)
    plain, seen = run(), run(discriminator=discriminator)
    shown = (couple, seen.draw(codes), plain.draw(codes))
    features = [perceptual_features(discriminator, images) for images in shown]
    far = [feature_distance(features[0], other).mean() for other in features[1:]]
    assert far[0] < far[1]


def test_the_child_s_features_vary_as_those_of_the_photos(run, codes, couple, discriminator, monkeypatch):
    far = []
    for weight in (0.0, 10.0):
        monkeypatch.setattr(tuning, "TEXTURE_WEIGHT", weight)
        child = run(discriminator=discriminator).draw(codes.mean(0, keepdim=True))
        spreads = zip(texture(discriminator, child), texture(discriminator, couple), strict=True)
        far.append(sum((a - b).square().sum() for a, b in spreads))
    assert far[1] < 0.5 * far[0]


def test_the_texture_of_a_large_picture_is_that_of_its_tiles(discriminator):
    large = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    tiles = torch.cat([large[:, :, y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)])
    flat = large.mean((2, 3), keepdim=True).expand_as(large)
    torch.testing.assert_close(texture(discriminator, large), texture(discriminator, tiles))
    assert texture(discriminator, large)[0].mean() > texture(discriminator, flat)[0].mean()


def test_stop_and_interrupt_give_the_best_so_far(run, codes, couple, monkeypatch, capsys):
    asked = []
    stopped = run(stop=lambda: len(asked) == 3 or asked.append(1))
    assert len(asked) == 3
    assert error(stopped, codes, couple).mean() < error(run(stop=lambda: True), codes, couple).mean()

    def pressed(self, rate):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning.Muon, "step", pressed)
    run()
    assert "0 of 30" in capsys.readouterr().out


def test_blocks_one_after_the_other_draw_what_the_network_draws(generator, codes):
    x, rgb = generator.synthesis.draw_blocks(codes, [4])
    _, rgb = generator.synthesis.draw_blocks(codes, [8, 16], x, rgb)
    torch.testing.assert_close(rgb, generator.synthesis(codes, noise=None))


def test_an_orthogonal_step_is_equally_long_in_all_directions():
    for shape in ((6, 10), (10, 6)):
        strengths = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert 0.6 < strengths.min() < strengths.max() < 1.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": torch.zeros(1, 10)},
        {"images": torch.full((2, 3, 16, 16), 2.0)},
    ],
)
def test_what_cannot_work_is_refused(run, wrong):
    with pytest.raises(ValueError, match="must"):
        run(**wrong)


def test_broken_weights_are_said(generator, codes, couple):
    broken = copy.deepcopy(generator)
    broken.synthesis.b16.torgb.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="numbers"):
        tune(broken, codes, couple, steps=2, progress=False)


def test_two_photos_come_near_with_codes_as_usual_as_the_mapping_s():
    names = ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    generator, encoder, discriminator = (weights.load(name, "cpu") for name in names)
    photos = portraits.load().images
    found = pivots(generator, photos, encoder, progress=False)
    tuned = tune(generator, found.codes, photos, discriminator=discriminator, steps=20, progress=False)
    assert mahalanobis_p(generator)(found.codes).max() < 1.5
    assert (psnr(tuned.draw(found.codes), photos) > psnr(found.images, photos) + 2).all()
