"""fit: it learns, repeats itself, stops when asked, and says what is wrong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from latentlib.fit import fit, gan_step, one_step, squared_error
from latentlib.models.autoencoder import Autoencoder, ConvAutoencoder
from latentlib.models.vae import VAE, negative_elbo

pytestmark = pytest.mark.usefixtures("one_thread")


def pictures(n: int = 96, seed: int = 0) -> torch.Tensor:
    """Bright squares at random places on a dark ground: (n, 1, 16, 16)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(n, 1, 16, 16)
    for image, (y, x) in zip(images, torch.randint(0, 8, (n, 2), generator=generator).tolist(), strict=True):
        image[:, y : y + 4, x : x + 4] = 1
    return images


def model(kind=Autoencoder):
    torch.manual_seed(0)
    if kind is ConvAutoencoder:
        return ConvAutoencoder(4, channels=1, size=16, width=4)
    return kind(6, shape=(1, 16, 16), hidden=(64,))


def test_it_learns_and_tells_the_loss_of_each_epoch():
    images, learner = pictures(), model()
    losses = fit(learner, images, epochs=30, batch_size=16, learning_rate=3e-3)
    assert len(losses) == 30
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(images, pictures())
    assert not learner.training


def test_the_same_seed_gives_the_same_curve_and_another_seed_another():
    def curve(seed):  # a VAE draws noise, which the seed must govern, too
        return fit(model(VAE), pictures(), loss=negative_elbo, epochs=3, batch_size=32, seed=seed)

    assert curve(0) == curve(0)
    assert curve(0) != curve(1)


def test_a_loss_is_the_mean_over_all_pictures_also_when_the_last_batch_is_small():
    images, learner = pictures(50), model()
    expected = (learner(images) - images).square().flatten(1).sum(1).mean().item()
    found = fit(learner, images, epochs=1, batch_size=16, learning_rate=0.0)
    assert found == pytest.approx([expected], rel=1e-5)
    assert squared_error(learner(images), images).item() == pytest.approx(expected, rel=1e-5)


def test_a_classifier_learns_other_targets_with_its_own_loss():
    images = pictures(200)
    labels = (images[:, 0, :, :6].sum((1, 2)) > 8).long()  # is the square on the left?
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 2))
    fit(classifier, images[40:], labels[40:], loss=F.cross_entropy, epochs=15, batch_size=32)
    assert (classifier(images[:40]).argmax(1) == labels[:40]).float().mean() > 0.9


def test_an_interrupt_in_the_middle_of_an_epoch_keeps_what_was_learned(capsys):
    learner, calls = model(ConvAutoencoder), []
    before = [p.clone() for p in learner.parameters()]

    def loss(output, target):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return squared_error(output, target)

    assert len(fit(learner, pictures(), epochs=50, batch_size=16, loss=loss)) == 1
    assert "Stopped after 1 of 50 epochs" in capsys.readouterr().out
    assert all(not torch.equal(p, b) for p, b in zip(learner.parameters(), before, strict=True))
    assert not learner.training


def test_a_notebook_shows_a_bar_and_keeps_a_text_in_its_place(monkeypatch):
    from tqdm.notebook import tqdm_notebook

    shown = []
    monkeypatch.setattr("tqdm.auto.tqdm", tqdm_notebook)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    fit(model(), pictures(), epochs=3, batch_size=32)
    assert len(shown) == 1
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert shown[0]["text/plain"] == "  100%|██████████| 3 epochs"


def test_what_cannot_be_learned_is_said():
    broken = pictures()
    broken[3, 0, 0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="nan in epoch 1"):
        fit(model(), broken, epochs=3)
    for images, targets in ((pictures(), pictures()[1:]), (pictures()[:0], None), (torch.rand(4, 1, 28, 28), None)):
        with pytest.raises(ValueError, match="images"):
            fit(model(), images, targets, epochs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_it_learns_on_a_gpu_and_repeats_itself():
    def curve():
        return fit(model(), pictures().cuda(), epochs=10, batch_size=16)

    first = curve()
    assert first[-1] < 0.9 * first[0]
    assert first == curve()


@pytest.mark.parametrize(
    ("model", "rows", "cores"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 4)), 8, 1),  # short: one core
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 4096)), 500, 3),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), 8, 3),  # weights are used once for each pixel
    ],
)
def test_a_short_step_takes_one_core(model, rows, cores, three_threads):
    counted = []

    def loss(output, target):
        counted.append(torch.get_num_threads())
        return output.square().mean()

    before = one_step(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.ones(rows, 1, 4, 4), loss=loss)
    assert loss(model(torch.ones(rows, 1, 4, 4)), None) < before
    assert counted == [cores, 3]


def test_a_gans_step_moves_the_critic_and_then_the_artist():
    artist, critic = nn.Linear(1, 1), nn.Linear(1, 1)
    for network, weight in ((artist, 0.0), (critic, 1.0)):
        nn.init.constant_(network.weight, weight)
        nn.init.zeros_(network.bias)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in (artist, critic)]
    gan_step(artist, critic, torch.tensor([[2.0]]), torch.zeros(1, 1), *optimizers)
    wrong = torch.sigmoid(torch.tensor(-2.0)).item()  # what its answer to the real 2 lacks
    assert critic.weight.item() == pytest.approx(1 + 0.1 * 2 * wrong)
    assert critic.bias.item() == pytest.approx(0.1 * (wrong - 0.5))
    slope = torch.sigmoid(-critic.bias).item() * critic.weight.item()  # of the critic after its step
    assert artist.bias.item() == pytest.approx(0.1 * slope)
