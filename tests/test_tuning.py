"""Tuning draws the photos from their codes, in a copy, the same each time, and keeps the best when it is stopped."""

from __future__ import annotations

import copy

import pytest
import torch

from latentlib import weights
from latentlib.datasets import portraits
from latentlib.gan.inversion import invert
from latentlib.gan.tuning import pivotal, pivots, tune
from latentlib.gan.w_space import p_norm
from latentlib.metrics import perceptual_distance, psnr
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
def discriminator():
    torch.manual_seed(1)
    return Discriminator(16, CHANNELS).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def couple():
    """Two pictures that the generator cannot draw."""
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def codes(generator, couple):
    return invert(generator, couple, "w", steps=20, progress=False).codes


@pytest.fixture
def run(generator, codes, couple):
    def run(**options):
        return tune(generator, codes, couple, **{"steps": 40, "progress": False} | options)

    return run


def error(network, codes, couple):
    return (network.draw(codes) - couple).square().mean((1, 2, 3))


def test_one_copy_draws_both_pictures_far_closer(run, generator, codes, couple):
    before = copy.deepcopy(generator.state_dict())
    found = run()
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    assert found.generator is not generator
    assert torch.equal(found.codes, codes)
    assert (found.errors < 0.8 * error(generator, codes, couple)).all()
    assert torch.allclose(found.errors, error(found.generator, codes, couple), atol=1e-6)
    assert torch.allclose(found.images, found.generator.draw(codes), atol=1e-4)
    assert [point.step for point in found.history] == list(range(41))
    assert found.steps == 40
    assert not found.interrupted
    for name, value in found.generator.state_dict().items():  # only the synthesis network learns
        if not name.startswith("synthesis"):
            assert torch.equal(before[name], value), name


def test_the_copy_is_whole_and_learns_no_more(run, generator):
    found = run(steps=3)
    assert not any(p.requires_grad or p.grad is not None for p in found.generator.parameters())
    storages = {p.untyped_storage().data_ptr() for p in found.generator.parameters()}
    assert len(storages) == len(list(found.generator.parameters()))
    shared = {p.untyped_storage().data_ptr() for p in generator.parameters()}
    assert not storages & shared


def test_a_generator_that_was_learning_goes_on_learning(generator, codes, couple):
    learner = copy.deepcopy(generator).requires_grad_(True).train()
    with torch.no_grad():  # as in a callback of a widget
        found = tune(learner, codes, couple, steps=2, progress=False)
    assert all(p.requires_grad and p.grad is None for p in learner.parameters())
    assert learner.training
    assert not found.generator.training
    assert found.history[-1].error < found.history[0].error


def test_it_is_adam_on_the_sum_of_both_errors(run, generator, codes, couple):
    copied = copy.deepcopy(generator)
    weights = [p.requires_grad_(True) for n, p in copied.synthesis.named_parameters() if "noise_strength" not in n]
    optimizer = torch.optim.Adam(weights, lr=3e-3)
    for _ in range(3):
        optimizer.zero_grad()
        drawn = copied.synthesis(codes, noise=None) / 2 + 0.5  # no pixel of these pictures is 0 or 1
        (drawn - couple).square().mean((1, 2, 3)).sum().backward()
        optimizer.step()
    assert torch.allclose(run(steps=3).generator.draw(codes), copied.draw(codes), atol=1e-5)


def test_the_same_input_gives_the_same_copy(run):
    first = run(steps=8)
    torch.rand(17)  # what is drawn elsewhere must not matter
    assert torch.equal(first.images, run(steps=8).images)


def test_a_perceptual_weight_buys_perceptual_nearness(run, discriminator, couple):
    plain, seen = run(), run(discriminator=discriminator, perceptual_weight=1.0)

    def far(found):
        return perceptual_distance(discriminator, found.images, couple).sum()

    assert far(seen) < far(plain)
    assert torch.equal(run(discriminator=discriminator, perceptual_weight=0).images, plain.images)
    assert not torch.equal(run(discriminator=discriminator).images, plain.images)


def test_a_penalty_joins_the_loss(run, generator, codes, couple):
    start = [p.clone() for p in generator.synthesis.parameters()]

    def moved(network):
        return sum((p - q).square().sum() for p, q in zip(network.synthesis.parameters(), start, strict=True))

    free, held = run(), run(penalty=lambda network: 100 * moved(network))
    assert moved(held.generator) < 0.1 * moved(free.generator)
    assert held.errors.sum() > free.errors.sum()


def test_cores_that_share_the_pictures_tune_as_one_does(run, discriminator, three_threads):
    options = {"steps": 5, "discriminator": discriminator, "penalty": lambda network: network.synthesis.b4.const.sum()}
    shared = run(**options)
    torch.set_num_threads(1)
    alone = run(**options)
    assert torch.allclose(shared.images, alone.images, atol=1e-3)
    assert [point.error for point in shared.history] == pytest.approx(
        [point.error for point in alone.history], rel=0.01
    )


@pytest.mark.parametrize("looks", [0, 1, 5])
def test_stop_gives_the_best_so_far(run, looks):
    asked = iter(range(100))
    found = run(stop=lambda: next(asked) == looks)
    assert found.interrupted
    assert found.steps == looks
    assert next(asked) == looks + 1  # it is asked once a step
    assert torch.equal(found.images, run(steps=looks).images) if looks else len(found.history) == 1


def test_ctrl_c_gives_the_best_so_far(run, monkeypatch, capsys):
    asked = iter(range(100))

    def stop():
        if next(asked) == 7:
            raise KeyboardInterrupt
        return False

    found = run(stop=stop)
    assert found.interrupted
    assert found.steps == 7
    assert capsys.readouterr().out == "Stopped after 7 of 40 steps; the copy keeps its best weights so far.\n"
    assert torch.allclose(found.generator.draw(found.codes), found.images, atol=1e-4)


def test_an_interrupt_before_anything_was_drawn_is_passed_on(run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(penalty=interrupt)


def test_steps_that_lead_astray_are_left_out(run):
    found = run(learning_rate=3.0, steps=10)
    errors = [point.error for point in found.history]
    assert errors == sorted(errors, reverse=True)
    assert found.errors.mean().item() == pytest.approx(errors[-1])


def test_a_bar_is_shown(run, capfd):
    run(steps=2, progress=True)
    assert "/2 " in capfd.readouterr().err


def test_one_w_for_each_picture_will_do(generator, codes, couple, run):
    assert torch.equal(tune(generator, codes[:, 0], couple, steps=2, progress=False).images, run(steps=2).images)


def test_pivotal_searches_in_w_and_then_tunes(generator, couple, codes):
    found = pivotal(generator, couple, steps=40, progress=False)
    assert torch.equal(found.codes, codes)  # 20 steps in w
    assert found.steps == 40
    assert (found.errors < error(generator, codes, couple)).all()


def test_pivots_are_usual_codes(generator, couple, capsys):
    unusual = p_norm(generator)
    far = invert(generator, couple, "w+", steps=30, progress=False).codes
    near = pivots(generator, couple, steps=30, progress=False).codes
    assert (unusual(near) < unusual(far)).all()
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"codes": torch.zeros(3, 6, 10)}, r"codes must be \(2, 6, 10\) or \(2, 10\), one an image; got \(3, 6, 10\)"),
        ({"codes": torch.full((2, 6, 10), torch.nan)}, "codes hold values that are not finite"),
        ({"codes": None}, "got NoneType"),
        ({"images": torch.zeros(2, 3, 8, 8)}, r"images must be a tensor \(n, 3, 16, 16\)"),
        ({"images": torch.full((2, 3, 16, 16), 2.0)}, r"images must lie in \[0, 1\]"),
        ({"steps": 0}, "steps must be a whole number from 1 up, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"perceptual_weight": -1.0}, "perceptual_weight must be a number from 0 up"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(generator, codes, couple, change, sentence):
    arguments = {"codes": codes, "images": couple, "progress": False} | change
    with pytest.raises(ValueError, match=sentence):
        tune(generator, **arguments)


def test_a_broken_generator_is_reported(generator, codes, couple):
    broken = copy.deepcopy(generator)
    broken.synthesis.b4.const[0] = torch.nan
    with pytest.raises(ValueError, match="no numbers"):
        tune(broken, codes, couple, progress=False)


def test_the_two_portraits_are_drawn_far_closer_at_usual_codes():
    generator = weights.load("faces-64")
    photos = portraits.load().images
    found = pivots(generator, photos, weights.load("faces-64-encoder"), steps=20, progress=False)
    tuned = tune(generator, found.codes, photos, steps=25, progress=False)
    assert p_norm(generator)(found.codes).max() < 1.5
    assert (psnr(tuned.images, photos) > psnr(found.images, photos) + 1).all()
