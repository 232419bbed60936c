"""fit: it learns, repeats itself, stops when asked, and says what is wrong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from latentlib.fit import History, evaluate, fit, one_step, squared_error, where
from latentlib.models.autoencoder import Autoencoder, ConvAutoencoder
from latentlib.models.vae import VAE, negative_elbo

pytestmark = pytest.mark.usefixtures("one_thread")


def pictures(n: int = 96, seed: int = 0) -> torch.Tensor:
    """Bright squares at random places on a dark ground: (n, 1, 12, 12)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(n, 1, 12, 12)
    for image, (y, x) in zip(images, torch.randint(0, 8, (n, 2), generator=generator).tolist(), strict=True):
        image[:, y : y + 4, x : x + 4] = 1
    return images


def model(seed: int = 0) -> Autoencoder:
    torch.manual_seed(seed)
    return Autoencoder(6, shape=(1, 12, 12), hidden=(64,))


def test_it_learns_and_tells_the_loss_of_each_epoch():
    images, learner, seen = pictures(), model(), []
    before = images.clone()
    history = fit(
        learner,
        images,
        epochs=30,
        batch_size=16,
        learning_rate=3e-3,
        validation=pictures(32, seed=1),
        on_epoch=lambda epoch, history, who: seen.append((epoch, len(history.train_loss), who is learner)),
    )
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.validation_loss[-1] < 0.7 * history.validation_loss[0]
    assert len(history.train_loss) == len(history.validation_loss) == 30
    assert history.seconds > 0
    assert not history.interrupted
    assert seen == [(epoch, epoch, True) for epoch in range(1, 31)]
    assert torch.equal(images, before)
    assert not learner.training


def test_the_same_seed_gives_the_same_curve_and_another_seed_another():
    def curve(seed):
        torch.rand(seed + 7)  # what was drawn before must not matter
        return fit(VAE_(), pictures(), loss=negative_elbo, epochs=3, batch_size=32, seed=seed).train_loss

    def VAE_():  # draws noise, which the seed must govern too
        torch.manual_seed(0)
        return VAE(3, shape=(1, 12, 12), hidden=(32,))

    assert curve(0) == curve(0)
    assert curve(0) != curve(1)


def test_a_loss_is_the_mean_over_all_pictures_also_when_the_last_batch_is_small():
    images, learner = pictures(50), model()
    expected = (learner(images) - images).square().flatten(1).sum(1).mean().item()
    history = fit(learner, images, epochs=1, batch_size=16, learning_rate=0.0, validation=images, amp=False)
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-5)
    assert history.validation_loss[0] == pytest.approx(expected, rel=1e-5)
    assert evaluate(learner, images, images, batch_size=7) == pytest.approx(expected, rel=1e-5)
    assert squared_error(learner(images), images).item() == pytest.approx(expected, rel=1e-5)


def test_targets_are_what_is_learned():
    images = pictures()
    history = fit(model(), images, torch.zeros_like(images), epochs=15, learning_rate=1e-2, batch_size=32)
    assert history.train_loss[-1] < 1  # all dark, whatever went in; the squares themselves would cost 16


def test_a_classifier_learns_with_its_own_loss_and_labels():
    images = pictures(200)
    labels = (images[:, 0, :, :6].sum((1, 2)) > 8).long()  # is the square on the left?
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 2))
    held_out = (images[:40], labels[:40])
    history = fit(
        classifier, images[40:], labels[40:], loss=F.cross_entropy, epochs=15, batch_size=32, validation=held_out
    )
    assert (classifier(images[:40]).argmax(1) == labels[:40]).float().mean() > 0.9
    assert history.validation_loss[-1] == pytest.approx(F.cross_entropy(classifier(images[:40]), labels[:40]).item())


def test_an_interrupt_after_an_epoch_keeps_what_was_learned(capsys):
    learner, untouched = model(), model()

    def stop(epoch, *_):
        if epoch == 2:
            raise KeyboardInterrupt

    history = fit(learner, pictures(), epochs=50, batch_size=16, learning_rate=3e-3, on_epoch=stop)
    assert history.interrupted
    assert len(history.train_loss) == 2
    assert "Stopped after 2 of 50 epochs" in capsys.readouterr().out
    assert not learner.training
    images = pictures()
    assert evaluate(learner, images, images) < 0.9 * evaluate(untouched, images, images)


def test_an_interrupt_in_the_middle_of_an_epoch_is_as_clean():
    torch.manual_seed(0)
    learner, calls = ConvAutoencoder(4, channels=1, size=12, width=4), []
    before = [p.clone() for p in learner.parameters()]

    def loss(output, target):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return squared_error(output, target)

    history = fit(learner, pictures(), epochs=5, batch_size=16, loss=loss)
    assert history == History(train_loss=[], validation_loss=[], seconds=0.0, interrupted=True)
    assert all(not torch.equal(p, b) for p, b in zip(learner.parameters(), before, strict=True))
    assert all(p.is_contiguous() for p in learner.parameters())  # as safetensors wants them


def test_convolutions_learn_the_same_in_their_fast_layout():
    def curve(layout):
        torch.manual_seed(0)
        learner = ConvAutoencoder(4, channels=1, size=12, width=4).to(memory_format=layout)
        return fit(learner, pictures(), epochs=8, batch_size=16, learning_rate=3e-3, amp=False).train_loss

    plain = curve(torch.contiguous_format)
    assert plain == pytest.approx(curve(torch.channels_last), rel=1e-3)
    assert plain[-1] < 0.7 * plain[0]


def test_bfloat16_learns_as_well():
    full = fit(model(), pictures(), epochs=20, batch_size=16, amp=False).train_loss[-1]
    assert fit(model(), pictures(), epochs=20, batch_size=16, amp=True).train_loss[-1] == pytest.approx(full, rel=0.1)


def test_a_notebook_shows_a_bar_and_keeps_a_text_in_its_place(monkeypatch):
    from tqdm.notebook import tqdm_notebook

    shown = []
    monkeypatch.setattr("tqdm.auto.tqdm", tqdm_notebook)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    fit(model(), pictures(), epochs=3, batch_size=32)
    assert len(shown) == 1
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert shown[0]["text/plain"].endswith("| 3 epochs")


def test_a_loss_that_is_no_number_is_reported_at_once():
    images = pictures()
    images[3, 0, 0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"loss became nan in epoch 1; try a smaller learning_rate"):
        fit(model(), images, epochs=3)


def test_pictures_and_targets_must_belong_together():
    with pytest.raises(ValueError, match="got 96 images and 95 targets"):
        fit(model(), pictures(), pictures()[1:], epochs=1)
    with pytest.raises(ValueError, match="no pictures to learn from"):
        fit(model(), pictures()[:0], epochs=1)
    with pytest.raises(ValueError, match=r"images must be \(n, 1, 12, 12\)"):
        fit(model(), torch.rand(4, 1, 28, 28), epochs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_it_learns_on_a_gpu_and_repeats_itself():
    def curve():
        return fit(model(), pictures(), epochs=10, batch_size=16, device="cuda", validation=pictures(8, 1)).train_loss

    first = curve()
    assert first[-1] < 0.9 * first[0]
    assert first == curve()


def test_a_model_on_a_gpu_learns_there_though_the_images_lie_on_the_cpu():
    """ "meta" stands for a GPU: it has devices and no numbers."""
    cpu, gpu = torch.device("cpu"), torch.device("meta")
    for model, images, place in ((cpu, cpu, cpu), (gpu, cpu, gpu), (cpu, gpu, gpu), (gpu, gpu, gpu)):
        assert where(torch.nn.Linear(2, 2, device=model), torch.zeros(1, 2, device=images)) == place
    assert where(torch.nn.Flatten(), torch.zeros(1, 2, device=gpu)) == gpu  # a model without weights


def test_every_function_with_a_device_takes_auto():
    from latentlib.datasets import digits, furniture, glyphs, portraits
    from latentlib.device import Stopwatch, describe, pick_device, synchronize

    assert where(torch.nn.Flatten(), glyphs.load(3, device="auto").images) == pick_device()
    pieces = furniture.load(2, size=8, device="auto")
    assert {pieces.images.device, *(part.device for part in furniture.triples(2, device="auto"))} == {pick_device()}
    assert digits.load("bundled", "auto").train_images.device == pick_device()
    assert portraits.load(16, "auto").images.device == pick_device()
    with Stopwatch("auto"):
        synchronize("auto")
    assert pick_device().type in describe("auto")
    model, images = Autoencoder(2, (1, 4, 4), (4,)), torch.rand(4, 1, 4, 4)
    assert fit(model, images, epochs=1, device="auto").train_loss
    assert next(model.parameters()).device == pick_device()


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

    one_step(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.ones(rows, 1, 4, 4), loss=loss)
    assert counted == [cores]
    assert torch.get_num_threads() == 3
