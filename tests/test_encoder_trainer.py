"""The encoder's trainer: what it learns from, that it learns, and that a new generator is noticed."""

import copy

import pytest
import torch

from tiny_encoder import TINY, networks, photos, tiny
from training.faces import encoder_trainer
from training.runs import Stop

pytestmark = pytest.mark.usefixtures("one_thread")


# ----------------------------------------------------------------------------------------------- what it learns from


def test_codes_cover_w_and_more():
    generator, _ = networks()
    torch.manual_seed(0)
    plain = {**TINY, "style_mixing": 0.0, "layer_spread": 0.0, "spread": [1.0, 1.0]}
    codes = encoder_trainer.draw_codes(generator, 400, plain)
    assert codes.shape == (400, generator.num_ws, 8)
    assert torch.allclose(codes, codes[:, :1].expand_as(codes), atol=1e-6)
    usual = (codes - generator.w_avg).square().mean().item()
    mixed = encoder_trainer.draw_codes(generator, 400, {**plain, "style_mixing": 1.0})
    assert not torch.allclose(mixed[:, 0], mixed[:, -1])
    for i in range(1, generator.num_ws):  # a change of w, and only one
        changed = (mixed[:, i] != mixed[:, i - 1]).any(dim=1)
        assert 0 < changed.float().mean() < 0.6
    wide = encoder_trainer.draw_codes(generator, 400, {**plain, "spread": [2.0, 2.0]})
    assert (wide - generator.w_avg).square().mean().item() == pytest.approx(4 * usual, rel=0.2)
    loose = encoder_trainer.draw_codes(generator, 400, {**plain, "layer_spread": 0.5})
    assert (loose[:, 0] - loose[:, 1]).square().mean() > 0.05 * usual


def test_disturbed_pictures_are_nearly_the_same_and_not_moved():
    torch.manual_seed(0)
    grid = torch.linspace(-0.8, 0.8, 16)
    images = (grid[:, None] + grid[None]).div(2).expand(64, 3, 16, 16)
    disturbed = encoder_trainer.disturb(images, TINY)
    change = (disturbed - images).square().mean(dim=(1, 2, 3)).sqrt()
    assert change.min() > 0
    assert change.max() < 0.1
    still = {**TINY, "blur": 0.0, "noise": 0.0, "colour": 0.0}
    assert torch.allclose(encoder_trainer.disturb(images, still), images, atol=1e-6)


def test_the_metric_tells_what_a_small_step_does_to_the_picture():
    generator, _ = networks()
    recipe = {**TINY, "whitened": 0.0, "probes": 4096, "spread": [1.0, 1.0], "layer_spread": 0.0}
    metric = encoder_trainer.picture_metric(generator, recipe)
    torch.manual_seed(1)
    ws = encoder_trainer.draw_codes(generator, 512, recipe)
    for layer in (0, 3, generator.num_ws - 1):
        step = torch.zeros_like(ws)
        step[:, layer] = torch.randn(512, 8) * 1e-2
        before, after = (generator.synthesis(code, noise=None) for code in (ws, ws + step))
        seen = (after - before).square().mean()
        said = torch.einsum("ni,ij,nj->n", step[:, layer], metric[layer], step[:, layer]).mean()
        assert said.item() == pytest.approx(seen.item(), rel=0.35)


def test_the_metric_never_forgets_a_direction():
    generator, _ = networks()
    for layer in encoder_trainer.picture_metric(generator, TINY):
        assert torch.linalg.eigvalsh(layer).min() > 0


def test_whitened_distances_from_the_mean_are_one_on_average():
    generator, _ = networks()
    torch.manual_seed(1)
    away = generator.mapping(torch.randn(2000, 8)) - generator.w_avg
    length = torch.einsum("ni,ij,nj->n", away, encoder_trainer.whitening(generator), away).mean()
    assert length.item() == pytest.approx(1.0, rel=0.1)


# ----------------------------------------------------------------------------------------------------------- learning


def test_codes_of_photos_are_kept_near():
    near, far = tiny(photos=1.0, length=1.0), tiny(photos=1.0, length=0.0)
    for _ in range(30):
        kept, free = near.step()["length"], far.step()["length"]
    assert kept < 0.7 * free


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_it_learns(share):
    trainer = tiny(photos=share, learning_rate=3e-3)
    found = [{k: float(v) for k, v in trainer.step().items()} for _ in range(60)]

    def mean(name, part):
        return sum(losses[name] for losses in part) / len(part)

    for name in ("code",) * (share < 1) + ("picture", "features"):
        assert mean(name, found[-10:]) < 0.8 * mean(name, found[:10]), name
    assert trainer.images_seen == 60 * 8
    assert not torch.equal(trainer.ema.head4.weight, trainer.encoder.head4.weight)


def test_only_the_encoder_learns():
    trainer = tiny()
    before = copy.deepcopy([trainer.generator.state_dict(), trainer.discriminator.state_dict()])
    trainer.step()
    for network, state in zip((trainer.generator, trainer.discriminator), before, strict=True):
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert torch.equal(trainer.encoder.w_avg, trainer.generator.w_avg)


def test_it_begins_with_what_the_discriminator_sees():
    trainer = tiny()
    assert torch.equal(trainer.encoder.b16.conv0.weight, trainer.discriminator.b16.conv0.weight)
    assert torch.equal(trainer.encoder(torch.randn(1, 3, 16, 16))[0, 2], trainer.generator.w_avg)


def test_photos_without_photos():
    with pytest.raises(Stop, match="choose --no-photos"):
        encoder_trainer.Trainer(dict(TINY), *networks(), "first", None)


class Apart:
    """In place of the measure of identity, which knows 64 × 64 pictures only: how far the means of two pictures are."""

    def distance(self, a, b):
        return (a.mean((1, 2, 3)) - b.mean((1, 2, 3))).abs()


def test_a_measure_of_identity_alone_brings_photos_and_drawings_nearer():
    nothing_else = dict.fromkeys(("code", "picture", "features", "length"), 0.0)
    trainer, people, left = tiny(identity=1.0, **nothing_else), photos().float() / 255, []
    trainer.identity = Apart()
    for _ in range(60):
        with torch.no_grad():
            drawn = trainer.generator.synthesis(trainer.encoder(people * 2 - 1), noise=None) / 2 + 0.5
        left.append(trainer.identity.distance(drawn, people).mean().item())
        assert "identity" in trainer.step()
    assert left[-1] < left[0] / 2
    assert "identity" not in tiny().step()


def test_another_generator_is_noticed():
    old = tiny()
    for _ in range(3):
        old.step()
    new = tiny(seed=5, checksum="second")
    assert not new.restore(old.state())
    assert (new.images_seen, new.since, new.metric) == (24, 0, None)
    assert torch.equal(new.encoder.w_avg, new.generator.w_avg)
    assert not torch.equal(new.encoder.w_avg, old.encoder.w_avg)
    assert torch.equal(new.encoder.head4.weight, old.ema.head4.weight)
    assert torch.equal(new.ema.head4.weight, old.ema.head4.weight)
    assert new.optimizer.state_dict()["state"] == {}
    new.step()
    assert (new.images_seen, new.since) == (32, 8)
    assert new.state()["generator"] == "second"
