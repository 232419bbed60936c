"""Each trainer learns something small by heart, and goes on after a stop as if it had not been stopped."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from latentlib import weights
from latentlib.fit import squared_error
from latentlib.models.autoencoder import Autoencoder
from latentlib.models.stylegan2 import Discriminator, Generator
from training import lfw, runs, small
from training.digits import train as digits_train
from training.faces import distil, networks, train_encoder, train_identity
from training.faces import train as train_faces
from training.faces import trainer as face_trainer
from training.furniture import train as furniture_train

CPU = torch.device("cpu")
CHANNELS = {4: 8, 8: 8, 16: 8}
FACES = face_trainer.RECIPE | {
    "batch": 8, "images": 64, "channels": CHANNELS, "discriminator_channels": CHANNELS, "z_dim": 8, "w_dim": 8,
    "mapping_layers": 2, "growth": {8: 24}, "fade": 16, "r1_every": 2, "path_length_from": 32, "path_length_every": 2,
}  # fmt: skip
ENCODER = train_encoder.RECIPE | {"batch": 8, "probes": 64, "ramp": 16, "identity": 0.0, "ema_half_life": 100}


def discs(count=32):
    """Pictures with something to learn, (n, 3, 16, 16) uint8: bright discs on dark grounds."""
    numbers = torch.Generator().manual_seed(0)
    grid = torch.linspace(-1, 1, 16)
    distance = (grid[:, None] ** 2 + grid[None] ** 2).sqrt()
    radius = torch.rand(count, 1, 1, 1, generator=numbers) * 0.5 + 0.3
    return ((distance < radius) * torch.rand(count, 3, 1, 1, generator=numbers) * 255).byte()


def tiny_networks(seed=0):
    torch.manual_seed(seed)
    generator, discriminator = Generator(16, 8, 8, 2, CHANNELS), Discriminator(16, CHANNELS)
    generator.compute_w_avg(500)
    return generator.requires_grad_(False), discriminator.requires_grad_(False)


def faces(**changes):
    return face_trainer.Trainer(copy.deepcopy(FACES) | changes, discs(), CPU)


def encoder(digest="first", **changes):
    return train_encoder.Trainer(copy.deepcopy(ENCODER) | changes, *tiny_networks(), digest, discs())


def student(digest="first", **changes):
    return distil.Trainer(distil.RECIPE | {"batch": 8, "images": 400} | changes, tiny_networks()[0], digest)


def autoencoder():
    images = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return small.Trainer(
        small.Recipe(
            build=lambda: Autoencoder(8, hidden=(64,)),
            settings={"latent_dim": 8, "hidden": [64]},
            steps=60,
            batch=16,
            muon_rate=0.02,
            loss=small.rebuild(squared_error),
            draw=lambda step, device: (images, images),
        ),
        CPU,
    )


def weights_of(trainer):
    parts = [getattr(trainer, name) for name in trainer.modules]
    return torch.cat([p.detach().flatten() for part in parts if hasattr(part, "parameters") for p in part.parameters()])


@pytest.mark.parametrize("make", [faces, encoder, student, autoencoder])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(make, tmp_path):
    whole, stopped = make(), make()
    for _ in range(6):
        whole.step()
    for _ in range(3):
        stopped.step()
    path = tmp_path / "run" / "checkpoint.pt"
    runs.save_atomically(stopped.state(), path)
    again = make()
    again.restore(runs.read_checkpoint(path, CPU))
    for _ in range(3):
        again.step()
    assert again.images_seen == whole.images_seen == 6 * whole.recipe["batch"]
    torch.testing.assert_close(weights_of(again), weights_of(whole), atol=1e-6, rtol=1e-5)


def test_the_encoder_learns_a_batch_by_heart():
    trainer = encoder(learning_rate=5e-3)
    batch = trainer._batch()
    trainer._batch = lambda: batch
    seen = [trainer.step()["picture"].item() for _ in range(30)]
    assert seen[-1] < 0.8 * seen[0]


def test_the_student_learns_a_batch_by_heart(monkeypatch):
    trainer = student(learning_rate=1e-2, images=10**6)
    trainer.images_seen = 2000  # the rate has risen by then
    w_plus = distil.codes(trainer.teacher, 8, torch.Generator().manual_seed(0))
    monkeypatch.setattr(distil, "codes", lambda *_: w_plus)
    seen = [trainer.step()["picture"].item() for _ in range(30)]
    assert seen[-1] < 0.6 * seen[0]


def test_an_autoencoder_learns_its_pictures_by_heart():
    trainer = autoencoder()
    seen = [trainer.step()["loss"].item() for _ in range(60)]
    assert seen[-1] < 0.5 * seen[0]


def test_the_discriminator_learns_discs_by_heart():
    trainer = faces(growth={}, learning_rate=1e-2, r1=0.0)
    real = discs().float() / 127.5 - 1
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(trainer.discriminator.parameters(), lr=1e-2)
    for _ in range(30):
        score = trainer.discriminator(torch.cat([real, noise]), 1.0, 2)
        loss = torch.nn.functional.softplus(torch.cat([-score[:32], score[32:]])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_faces_grow_and_average():
    trainer = faces()
    seen = []
    for _ in range(5):
        seen.append((trainer.resolution, round(trainer.fade, 2)))
        trainer.step()
    assert seen == [(8, 1), (8, 1), (8, 1), (16, 0.06), (16, 0.56)]
    assert trainer.samples().shape == (64, 3, 16, 16)
    assert not torch.equal(weights_of(trainer), weights_of(faces()))


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_no_group_mixes_photos_and_samples(count):
    """Whatever the samples of a batch are, they say nothing about its photos."""
    judge = networks.GrowingDiscriminator(Discriminator(8, {4: 8, 8: 4}), ())
    photos, samples = torch.randn(count, 3, 8, 8), torch.randn(2, count, 3, 8, 8)
    one, other = (judge(torch.cat([photos, some]), kinds=2)[:count] for some in samples)
    assert torch.allclose(one, other, atol=1e-5)


def test_the_rate_falls_to_nothing():
    trainer = faces(decay_from=32)
    rates = []
    for trainer.images_seen in (0, 32, 48, 64):
        rates.append(trainer.learning_rate)
    assert rates == pytest.approx([2e-3, 2e-3, 1e-3, 0])


def test_augmentation_leaves_the_pictures_alone_at_0_and_changes_them_at_1():
    images = discs().float() / 127.5 - 1
    assert networks.augment(images, 0.0) is images
    torch.manual_seed(0)
    assert (networks.augment(images, 1.0) != images).flatten(1).any(1).all()


def test_faces_can_be_shipped_and_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path / "runs"))
    tiny = [f"{name}={value}".replace("'", '"') for name, value in FACES.items() if name not in ("seed", "decay_from")]
    tiny = [re.sub(r"(\d+):", r'"\1":', setting) for setting in tiny]
    train_faces.main(["--device", "cpu", "--set", *tiny], images=discs())
    assert sorted(p.name for p in (tmp_path / "runs" / "faces-64").iterdir()) == [
        "checkpoint.pt", "samples-00000064.png", "samples.png",
    ]  # fmt: skip
    train_faces.main(["--device", "cpu", "--export", str(tmp_path / "shipped")])
    generator = weights.load("faces-64", "cpu", tmp_path / "shipped")
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    ema = runs.read_checkpoint(tmp_path / "runs" / "faces-64" / "checkpoint.pt", CPU)["ema"]
    trained = Generator(16, 8, 8, 2, CHANNELS)
    trained.load_state_dict(ema)
    turned = z @ train_faces.random_turn(8).T
    torch.testing.assert_close(generator.mapping(z), trained.mapping(turned), atol=0.02, rtol=0.02)
    train_faces.main(
        ["--device", "cpu", "--run", "second", "--warm-start", str(tmp_path / "shipped"), "--set", "images=72"],
        images=discs(),
    )
    assert runs.read_checkpoint(tmp_path / "runs" / "second" / "checkpoint.pt", CPU)["images_seen"] == 72


def test_an_encoder_of_another_generator_keeps_its_weights_alone():
    first = encoder()
    first.step()
    second = encoder("second")
    second.restore(first.state())
    assert second.images_seen == 8
    assert second.since == 0
    for ours, theirs in zip(second.encoder.parameters(), first.ema.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_student_of_another_teacher_does_not_go_on():
    with pytest.raises(runs.Stop):
        student("second").restore(student().state())


def test_the_identity_measure_tells_people_apart():
    numbers = torch.Generator().manual_seed(0)
    looks = torch.rand(12, 3, 64, 64, generator=numbers)
    people = torch.arange(12).repeat_interleave(4)
    images = (looks[people] + 0.2 * torch.rand(48, 3, 64, 64, generator=numbers)).div(1.2).mul(255).byte()
    identity, made = train_identity.fit(lfw.Faces(images, people))
    distance = torch.cdist(*[identity.embed(images.float() / 255)] * 2)
    same = people[:, None] == people
    assert made["people"] == 12
    assert distance[same].mean() < 0.2 * distance[~same].mean()


def test_the_measure_of_identity_takes_no_options_and_says_so(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_identity", "--export", "elsewhere"])
    with pytest.raises(SystemExit):
        train_identity.main()


def test_recipes_of_digits_and_furniture_build_what_is_shipped():
    for name, recipe in (digits_train.RECIPES | furniture_train.RECIPES).items():
        model = recipe.build()
        shipped, settings = recipe.ship(model)
        known = weights.load(name, "cpu").state_dict()
        assert {key: value.shape for key, value in shipped.state_dict().items()} == {
            k: v.shape for k, v in known.items()
        }
        assert settings.get("network", recipe.settings) == weights.read_weights(name)[1]["network"], name


# ------------------------------------------------------------------------------------------------- what runs share


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    trainer = autoencoder()
    path = tmp_path / "checkpoint.pt"
    runs.go_on(trainer, path, images=32)
    trainer.model.decoder[0].weight.data.fill_(math.nan)
    with pytest.raises(runs.Stop):
        runs.go_on(trainer, path, images=64)
    assert runs.read_checkpoint(path, CPU)["images_seen"] == 32


def test_a_damaged_checkpoint_and_a_full_disk_are_said(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(runs.Stop):
        runs.read_checkpoint(path, CPU)
    with pytest.raises(runs.Stop):
        runs.save_atomically({}, path / "below a file")
    assert path.read_bytes() == b"no checkpoint"


def test_a_recipe_takes_known_names_and_json():
    assert runs.changed(FACES, ["r1=0.5", 'growth={"8": 3}']) == FACES | {"r1": 0.5, "growth": {8: 3}}
    for wrong in ("nothing=1", "r1=often"):
        with pytest.raises(runs.Stop):
            runs.changed(FACES, [wrong])


RUN = """
import test_training as small
from training import runs
from training.faces import train
runs.CHECKPOINT_SECONDS = 0

def build(state, device):
    trainer = small.faces(images={images})
    if state:
        trainer.restore(state)
    return trainer

runs.run(runs.options("", "one").parse_args(["--device", "cpu"]), build, train.export)
"""


def start(folder, images):
    """A run in a process of its own, its checkpoints in folder/runs; what it prints comes in its stdout."""
    (folder / "script.py").write_text(RUN.format(images=images), encoding="utf-8")
    places = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
    own = {"OMP_NUM_THREADS": "1", "LATENTLIB_RUNS": str(folder / "runs"), "PYTHONPATH": places}
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, folder / "script.py"], env=os.environ | own, **how)


def test_a_signal_ends_a_run_with_a_checkpoint_and_the_next_start_goes_on(tmp_path):
    process = start(tmp_path, images=10**9)
    checkpoint = tmp_path / "runs" / "one" / "checkpoint.pt"
    for line in process.stdout:
        if " images, " in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    seen = runs.read_checkpoint(checkpoint, CPU)["images_seen"]
    assert seen >= 8
    process = start(tmp_path, images=seen + 16)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    assert f"going on from {seen} images" in text
    assert runs.read_checkpoint(checkpoint, CPU)["images_seen"] == seen + 16


# --- the machine


def test_autocast_computes_in_bfloat16_only_where_that_is_fast(monkeypatch):
    a = torch.ones(4, 4)
    for has, enabled, dtype in (
        (True, True, torch.bfloat16),
        (True, False, torch.float32),
        (False, True, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has, raising=False)
        with runs.autocast("cpu", enabled):
            assert (a @ a).dtype == dtype
    assert isinstance(runs.autocast("mps"), contextlib.nullcontext)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")  # an older PyTorch cannot tell
    with runs.autocast("cpu"):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), None), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, capability, dtype):
    """Colab's T4 has capability 7.5, and is_bf16_supported() says yes to it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: types.SimpleNamespace(kind=kind, dtype=dtype))
    found = runs.autocast("cuda:0")
    assert (None if isinstance(found, contextlib.nullcontext) else found.dtype) == dtype


def test_the_machine_is_described():
    line = runs.describe(torch.device("cpu"))
    assert line.endswith(f"PyTorch {torch.__version__}, cpu (CPU with {torch.get_num_threads()} threads)")
