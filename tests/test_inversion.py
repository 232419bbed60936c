"""A code is found again by every method, the best is kept, and what cannot work is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latentlib import weights
from latentlib.gan import inversion
from latentlib.gan.inversion import METHODS, PictureError, invert, mahalanobis_p, preconditioner, random_z
from latentlib.gan.lbfgs import batched_lbfgs
from latentlib.metrics import psnr
from latentlib.models.stylegan2 import Generator

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 16, 8: 16, 16: 8}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = Generator(16, 12, 10, 2, CHANNELS).eval().requires_grad_(False)
    network.compute_w_avg(2000)
    return network


@pytest.fixture(scope="module")
def codes(generator):
    return generator.mapping(random_z(generator, 3, seed=5))  # (3, w_dim)


@pytest.fixture(scope="module")
def images(generator, codes):
    return generator.draw(codes)


@pytest.fixture(scope="module")
def encoder(generator, codes):
    """Knows the three pictures' codes by heart, but not exactly."""

    class Memory(nn.Module):
        def forward(self, images):
            drawn = generator.draw(codes) * 2 - 1
            nearest = (images[:, None] - drawn).square().flatten(2).sum(2).argmin(1)
            return codes[nearest][:, None].expand(-1, generator.num_ws, -1) + 0.1

    return Memory()


@pytest.fixture
def run(generator, encoder):
    def run(images, method="w+", steps=30, **options):
        return invert(generator, images, method, steps=steps, **{"encoder": encoder, "progress": False} | options)

    return run


def test_a_generated_picture_s_code_is_found_again_in_w(run, generator, codes, images):
    found = run(images, "w", steps=60)
    torch.testing.assert_close(found.codes, codes[:, None].expand(-1, generator.num_ws, -1), atol=1e-3, rtol=0)
    assert psnr(found.images, images).min() > 80


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_the_mean_face_and_tells_how_it_went(method, run, generator, images):
    found = run(images, method, snapshots=4)
    assert found.codes.shape == (3, generator.num_ws, generator.w_dim)
    torch.testing.assert_close(generator.draw(found.codes), found.images, atol=1e-4, rtol=0)
    away = (found.images - images).square().mean((1, 2, 3))
    mean_face = (generator.draw(generator.w_avg.expand(3, -1)) - images).square().mean((1, 2, 3))
    assert (away < 0.25 * mean_face).all()
    assert torch.equal(found.snapshots[-1], found.images)
    torch.testing.assert_close(found.snapshot_codes[-1], found.codes)
    torch.testing.assert_close(generator.draw(found.snapshot_codes[1]), found.snapshots[1], atol=1e-4, rtol=0)
    errors = [(step - images).square().mean().item() for step in found.snapshots]
    assert errors == sorted(errors, reverse=True) or method == "p-norm"


def test_a_picture_is_searched_for_on_its_own(run, images):
    alone, together = run(images[:1], steps=10), run(images, steps=10)
    torch.testing.assert_close(alone.codes[0], together.codes[0], atol=2e-3, rtol=1e-3)


def test_the_same_call_gives_the_same_codes_and_leaves_the_generator_alone(run, generator, images):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    first, second = (run(images, "p-norm", steps=5) for _ in range(2))
    assert torch.equal(first.codes, second.codes)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_p_norm_keeps_codes_usual(run, generator):
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    unusual = mahalanobis_p(generator)
    free, held = run(noise, "w+", encoder=None), run(noise, "p-norm", p_norm_weight=0.01)
    assert unusual(held.codes).mean() < 0.5 * unusual(free.codes).mean()


def test_mahalanobis_p_is_1_for_codes_of_the_mapping_and_more_further_out(generator):
    unusual = mahalanobis_p(generator)
    w = generator.mapping(random_z(generator, 2000, seed=9))[:, None].repeat(1, generator.num_ws, 1)
    assert unusual(w).mean() == pytest.approx(1, abs=0.05)
    assert unusual(generator.w_avg + 2 * (w - generator.w_avg)).mean() > 3


def test_along_the_better_axes_layers_answer_alike(generator):
    axes = preconditioner(generator)
    assert axes.shape == (generator.num_ws, 10, 10)
    assert preconditioner(generator, same_w=True).shape == (1, 10, 10)
    answers = []
    for change in (torch.eye(10).expand_as(axes), axes):
        w_plus = generator.w_avg.repeat(1, generator.num_ws, 1).requires_grad_()
        slopes = []
        for k in range(8):
            probe = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(k))
            (slope,) = torch.autograd.grad((generator.synthesis(w_plus, noise=None) * probe).sum(), w_plus)
            slopes.append(torch.einsum("lb,lab->la", slope[0], change).square().mean(1))
        answers.append(torch.stack(slopes).mean(0))
    assert answers[1].max() / answers[1].min() < 0.7 * answers[0].max() / answers[0].min()


def test_lbfgs_finds_the_bottom_of_two_valleys_side_by_side():
    steep = torch.tensor([1.0, 10.0, 100.0])
    bottoms = torch.tensor([[1.0, 2.0, 3.0], [-4.0, 0.0, 1.0]])

    def evaluate(position):
        away = position - bottoms
        return (steep * away.square()).sum(1), 2 * steep * away, position[:, :, None]

    walk = list(batched_lbfgs(evaluate, torch.zeros(2, 3), first_step=0.1))
    assert len(walk) < 60
    torch.testing.assert_close(walk[-1].position, bottoms, atol=1e-3, rtol=0)
    losses = torch.stack([state.loss for state in walk])
    assert (losses.diff(dim=0) <= 0).all()


def test_black_and_white_may_be_overshot():
    wanted = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert PictureError(wanted)(wanted + torch.tensor([-1.0, 0, 1]).view(1, 3, 1, 1)).item() == 0
    assert PictureError(wanted)(wanted.flip(1)).item() == pytest.approx(2 / 3)


def test_an_interrupt_gives_the_best_so_far(run, images, monkeypatch, capsys):
    walk = batched_lbfgs

    def stopped(*arguments):
        for step, state in enumerate(walk(*arguments)):
            if step == 4:
                raise KeyboardInterrupt
            yield state

    monkeypatch.setattr(inversion, "batched_lbfgs", stopped)
    found = run(images)
    assert found.images.isfinite().all()
    assert "3 of 30" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "closest"},
        {"images": torch.rand(3, 16, 16)},
        {"images": torch.rand(1, 3, 4, 4)},
        {"images": torch.zeros(1, 3, 16, 16, dtype=torch.uint8)},
        {"images": torch.full((1, 3, 16, 16), float("nan"))},
        {"images": torch.full((1, 3, 16, 16), -1.0)},
    ],
)
def test_what_cannot_work_is_refused(run, images, wrong):
    with pytest.raises(ValueError, match="must"):
        run(**{"images": images} | wrong)


def test_a_code_is_found_by_a_picture_of_half_the_size_and_draws_the_whole(generator, codes, images):
    torch.manual_seed(0)
    large = Generator(32, 12, 10, 2, CHANNELS | {32: 4}, num_ws=generator.num_ws).eval().requires_grad_(False)
    large.load_state_dict(generator.state_dict(), strict=False)
    found = invert(large, images, "w", steps=60, progress=False)
    torch.testing.assert_close(found.codes, codes[:, None].expand(-1, generator.num_ws, -1), atol=1e-3, rtol=0)
    assert found.images.shape == images.shape
    torch.testing.assert_close(large.draw(found.codes), large.draw(codes), atol=1e-2, rtol=0)


def test_broken_weights_are_said(images):
    broken = Generator(16, 12, 10, 2, CHANNELS)
    broken.synthesis.b16.torgb.bias.data.fill_(float("nan"))
    for method in ("w", "p-norm"):
        with pytest.raises(ValueError, match="numbers"):
            invert(broken, images, method, steps=2, progress=False)


def test_the_shipped_networks_find_a_face_that_they_drew():
    generator, encoder = (weights.load(name, "cpu") for name in ("faces-64", "faces-64-encoder"))
    face = generator.draw(generator.truncate(generator.mapping(random_z(generator, 1, seed=7)), 0.7))
    found = invert(generator, face, steps=20, encoder=encoder, progress=False)
    asked = psnr(generator.draw(encoder(face * 2 - 1)), face).item()
    assert asked > 18
    assert psnr(found.images, face).item() > asked + 6
