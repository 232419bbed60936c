"""The face trainer: replicas stay equal, a killed run goes on, and what breaks stops it with a sentence."""

import copy
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

import processes
from training import runs
from training.faces import networks as face_networks
from training.faces import train as train_faces
from training.faces import trainer as face_trainer

TINY = {
    **face_trainer.RECIPE,
    "batch": 8,
    "images": 200,
    "channels": {4: 8, 8: 8, 16: 8},
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "growth": {8: 24},
    "fade": 16,
    "r1_every": 2,
    "path_length_from": 32,
    "path_length_every": 2,
    "augment_images": 400,
}


def photos(count=32, seed=0):
    """Pictures with something to learn: bright discs on dark grounds."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.linspace(-1, 1, 16)
    distance = (grid[:, None] ** 2 + grid[None] ** 2).sqrt()
    radius = torch.rand(count, 1, 1, 1, generator=generator) * 0.5 + 0.3
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    return ((distance < radius) * colour * 255).byte()


def tiny(**changes):
    return face_trainer.Trainer({**copy.deepcopy(TINY), **changes}, photos(), torch.device("cpu"))


def weights(trainer):
    networks = (trainer.generator, trainer.discriminator, trainer.ema)
    return torch.cat([p.detach().flatten() for net in networks for p in net.parameters()])


def test_a_step_changes_both_networks_and_the_average():
    trainer = tiny()
    before = {
        name: copy.deepcopy(getattr(trainer, name).state_dict()) for name in ("generator", "discriminator", "ema")
    }
    trainer.step()
    for name, state in before.items():
        after = getattr(trainer, name).state_dict()
        assert any(not torch.equal(state[key], after[key]) for key in state), name
    assert all(p.requires_grad for p in trainer.discriminator.parameters())


def test_resolution_grows_and_the_discriminator_fades_in():
    trainer = tiny()
    seen = []
    for _ in range(6):
        seen.append((trainer.resolution, trainer.fade))
        trainer.step()
    assert [resolution for resolution, _ in seen] == [8, 8, 8, 16, 16, 16]
    assert seen[0][1] == 1
    assert 0 < seen[3][1] < seen[4][1] < 1
    assert trainer.fade == 1
    assert trainer.samples().shape == (64, 3, 16, 16)


def test_growing_begins_where_the_small_picture_was():
    """At the first step of a new resolution the generator draws the enlarged picture of before."""
    trainer = tiny()
    w = trainer.generator.mapping(torch.randn(2, 8))
    small = trainer.generator.synthesis(w, noise=None, resolution=8)
    large = trainer.generator.synthesis(w, noise=None)
    assert torch.allclose(large, torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear"), atol=1e-5)


def test_generator_and_discriminator_learn():
    """A trained discriminator tells photos from the samples of a fresh generator."""
    trainer = tiny(growth={}, learning_rate=1e-2)
    with torch.no_grad():
        real = photos(64, seed=1).float() / 127.5 - 1
        fake = trainer.generator(torch.randn(64, 8))
    for _ in range(25):
        trainer.step()
    with torch.no_grad():
        assert (trainer.discriminator(real) > trainer.discriminator(fake).median()).float().mean() > 0.9


def test_augmentation_keeps_what_it_should():
    torch.manual_seed(0)
    image = torch.rand(64, 3, 16, 16) * 2 - 1
    assert face_networks.augment(image, 0.0) is image
    changed = (face_networks.augment(image, 0.3) != image).flatten(1).any(dim=1).float().mean()
    assert 0.5 < changed < 1  # each of five changes with probability 0.3 leaves 17 % as they were
    image.requires_grad_()
    face_networks.augment(image, 1.0).sum().backward()
    assert image.grad.abs().sum() > 0


def test_augmentation_follows_the_discriminator():
    trainer = tiny()
    sure, unsure = torch.ones(8), torch.tensor([1.0, -1.0]).repeat(4)
    for number in range(8):
        trainer._adapt(sure, number)
    raised = trainer.augment_p
    assert raised == pytest.approx(2 * 4 * 8 / 400)
    for number in range(4):
        trainer._adapt(unsure, number)
    assert trainer.augment_p < raised


def test_path_length_regularisation_evens_the_steps_in_w():
    """Taught by it alone, a generator's path lengths lie closer together, for their mean."""
    trainer = tiny(growth={}, path_length_from=0)

    def lengths():
        z = torch.randn(2, 64, 8)
        return trainer.g(*z, torch.full((64,), trainer.generator.num_ws), 16, True)[1]

    def spread():
        torch.manual_seed(1)
        found = lengths().detach()
        return found.std() / found.mean()

    before = spread()
    for number in range(30):
        torch.manual_seed(100 + number)
        trainer.g_optimizer.zero_grad()
        trainer._path_length(lengths()).backward()
        trainer.g_optimizer.step()
    assert spread() < before


def test_a_step_with_path_lengths_is_finite():
    trainer = tiny(path_length_from=0, path_length_every=1)
    for _ in range(4):
        losses = trainer.step()
        assert all(torch.isfinite(value) for value in losses.values())
    assert trainer.finite()
    assert 0 < trainer.path_mean < float("inf")


def test_a_restored_run_is_the_same_run(tmp_path):
    """Six steps in one go, or three, a checkpoint, and three more: the same weights, to the last bit."""
    whole = tiny()
    for _ in range(6):
        whole.step()
    first = tiny()
    for _ in range(3):
        first.step()
    runs.save_atomically(first.state(), tmp_path / "checkpoint.pt")
    second = tiny(seed=0)
    for _ in range(5):
        second.step()  # whatever it was before
    second.restore(runs.read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu")))
    for _ in range(3):
        second.step()
    assert torch.equal(weights(whole), weights(second))
    assert second.images_seen == 48
    assert second.recipe["growth"] == {8: 24}


def test_without_noise_the_same_w_is_the_same_picture(tmp_path):
    """A run that began with noise can go on without: the maps are silenced, and stay so."""
    noisy = tiny(noise=True)
    for _ in range(2):
        noisy.step()
    runs.save_atomically(noisy.state(), tmp_path / "checkpoint.pt")
    silent = tiny()
    silent.restore(runs.read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu")))
    silent.step()
    z = torch.randn(2, 8)
    assert not torch.equal(noisy.generator(z), noisy.generator(z))
    for network in (silent.generator, silent.ema):
        assert torch.equal(network(z), network(z, noise=None))


def test_the_recipe_of_a_run_goes_on_and_the_command_line_changes_it():
    assert train_faces.recipe_of(None, train_faces.parse([])) == face_trainer.RECIPE
    arguments = train_faces.parse(["--r1", "0.5", "--growth", '{"8": 5}'])
    assert train_faces.recipe_of({"recipe": TINY}, arguments) == {**TINY, "r1": 0.5, "growth": {8: 5}}
    before_the_choice = {key: value for key, value in TINY.items() if key != "noise"}
    assert train_faces.recipe_of({"recipe": before_the_choice}, train_faces.parse([]))["noise"] is True


def test_recipe_is_in_the_checkpoint(tmp_path):
    trainer = tiny(r1=3.25)
    runs.save_atomically(trainer.state(), tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["recipe"] == {**TINY, "r1": 3.25}


def test_not_a_number_stops_and_keeps_the_last_good_state(tmp_path):
    trainer = tiny()
    trainer.step()
    path = tmp_path / "checkpoint.pt"
    train_faces.keep(trainer, path)
    good = path.read_bytes()
    with torch.no_grad():
        trainer.generator.synthesis.b4.const.fill_(float("nan"))
    with pytest.raises(runs.Stop, match=r"no longer a number .* the last good state is at"):
        train_faces.keep(trainer, path)
    with pytest.raises(runs.Stop, match="loss is no longer a number after 16 images"):
        train_faces.train(trainer, tmp_path)
    assert path.read_bytes() == good


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to write to")
def test_full_disk_stops_and_keeps_the_last_good_state(tmp_path):
    trainer = tiny()
    path = tmp_path / "checkpoint.pt"
    train_faces.keep(trainer, path)
    good = path.read_bytes()
    trainer.step()
    (tmp_path / "checkpoint.unfinished").symlink_to("/dev/full")  # every write says: no space left on device
    with pytest.raises(runs.Stop, match=r"could not be written .* is the disk full"):
        train_faces.keep(trainer, path)
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_damaged_checkpoint_gets_one_sentence(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK no checkpoint")
    with pytest.raises(runs.Stop, match="cannot be read"):
        runs.read_checkpoint(path, torch.device("cpu"))


def test_export_and_warm_start(tmp_path):
    trainer = tiny()
    for _ in range(4):
        trainer.step()
    train_faces.export(trainer.state(), tmp_path)
    from latentlib import weights
    from latentlib.weights import read_weights

    generator = weights.load("faces-64", folder=tmp_path)
    z = torch.randn(4, 8)
    assert torch.allclose(
        generator(z, noise=None), trainer.ema(z @ train_faces.random_turn(8).T, noise=None), atol=0.02
    )
    torch.manual_seed(TINY["seed"])
    z = torch.randn(8, 8)  # the first layer's first weights
    assert torch.cosine_similarity(z, trainer.ema.mapping.fc0.weight).min() > 0.99
    assert torch.cosine_similarity(z, generator.mapping.fc0.weight).mean().abs() < 0.5
    assert generator.w_covariance.diagonal().min() > 0
    assert (tmp_path / "faces-64-samples.png").stat().st_size > 1000
    settings = read_weights("faces-64", tmp_path)[1]
    assert settings["images_seen"] == 32
    assert settings["recipe"]["r1"] == TINY["r1"]
    assert train_faces.shipped_recipe(tmp_path) == trainer.recipe
    other = tiny(seed=5)
    train_faces.warm_start(other, tmp_path)
    assert other.images_seen == 32
    assert other.resolution == 16
    assert torch.allclose(other.ema.synthesis.b8.conv0.weight, trainer.ema.synthesis.b8.conv0.weight, atol=0.01)
    other.step()
    with pytest.raises(runs.Stop, match="another size"):
        train_faces.warm_start(tiny(w_dim=6), tmp_path)


# ------------------------------------------------------------------------------------------------- as whole processes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_ends_its_step_and_keeps_everything(tmp_path, number, monkeypatch):
    trainer = tiny()
    step = trainer.step

    def asked_in_the_third_step():
        if trainer.images_seen == 16:
            signal.raise_signal(number)
        return step()

    monkeypatch.setattr(trainer, "step", asked_in_the_third_step)
    before = signal.getsignal(number)
    train_faces.train(trainer, tmp_path)
    assert signal.getsignal(number) is before
    assert trainer.images_seen == 24
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images_seen"] == 24


TWO = pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")

SCRIPT = """
import os, torch
from pathlib import Path
torch.set_num_threads(1)
import test_train_faces as here
from training.faces import train as train_faces
Path({folder!r}, "pid-" + os.environ.get("RANK", "0")).write_text(str(os.getpid()))
train_faces.RECIPE = {{**here.TINY, "images": 10**6}}
train_faces.CHECKPOINT_SECONDS = 0
train_faces.main(["--device", "cpu", *{arguments!r}], images=here.photos())
"""


def start(tmp_path, arguments=(), count=1):
    return processes.start(tmp_path, SCRIPT.format(folder=str(tmp_path), arguments=list(arguments)), count)


def signal_while_it_trains(tmp_path, run, number, rank=0):
    """Wait for a checkpoint of this run, then send the signal to one of its processes; what it printed."""
    path = tmp_path / "runs" / "faces-64" / "checkpoint.pt"
    begun = time.time()
    deadline = time.monotonic() + 300
    while run.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.stat().st_mtime > begun:
            break
        time.sleep(0.05)
    os.kill(int((tmp_path / f"pid-{rank}").read_text()), number)
    return run.communicate(timeout=300)[0]


def images_kept(tmp_path):
    return torch.load(tmp_path / "runs" / "faces-64" / "checkpoint.pt", weights_only=True)["images_seen"]


def test_killed_at_any_moment_it_goes_on(tmp_path):
    assert train_faces.CHECKPOINT_SECONDS < 290  # so that a kill costs less than five minutes
    run = start(tmp_path)
    output = signal_while_it_trains(tmp_path, run, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL, output
    kept = images_kept(tmp_path)
    assert kept >= 8
    run = start(tmp_path, arguments=["--images", str(kept + 16)])
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert f"going on from {kept} images" in output
    assert images_kept(tmp_path) == kept + 16
    assert (tmp_path / "runs" / "faces-64" / "samples.png").exists()


@TWO
def test_two_processes_stop_together_and_survive_the_death_of_one(tmp_path):
    """Asked to stop, either process takes the other along and nothing is lost; a killed one costs a checkpoint."""
    run = start(tmp_path, count=2)
    output = signal_while_it_trains(tmp_path, run, signal.SIGTERM, rank=1)
    assert run.returncode == 0, output
    stopped = int(re.search(r"stopped as asked after (\d+) images", output)[1])
    assert images_kept(tmp_path) == stopped
    for noise in ("Traceback", "Grad strides", "is deprecated"):
        assert noise not in output
    run = start(tmp_path, count=2)
    output = signal_while_it_trains(tmp_path, run, signal.SIGKILL, rank=1)
    assert run.returncode == 1, output
    assert f"going on from {stopped} images" in output
    assert images_kept(tmp_path) > stopped


@TWO
def test_two_processes_keep_equal_replicas_and_hear_of_trouble(tmp_path):
    """Gradients are averaged by DistributedDataParallel; growth, R1, path length and augmentation included.

    A loss that is no number in the second process and a full disk in the first stop both, with one sentence.
    """
    text = f"""
import gc, torch, torch.distributed as dist
from pathlib import Path
torch.set_num_threads(1)
import test_train_faces as here
from training.faces import train as train_faces
dist.init_process_group("gloo")
trainer = here.tiny(augment_target=-1.0)
for _ in range(7):
    trainer.step()
assert trainer.resolution == 16 and trainer.path_mean > 0 and trainer.augment_p > 0
mine = torch.cat([here.weights(trainer), torch.tensor([trainer.augment_p]), trainer.path_mean[None]])
both = [torch.empty_like(mine) for _ in range(2)]
dist.all_gather(both, mine)
batches = [torch.empty(4, 3, 16, 16) for _ in range(2)]
dist.all_gather(batches, trainer._batch(4))
assert not torch.equal(*batches), "both processes saw the same photos"
assert torch.equal(*both), "the replicas differ"
print("replicas equal", flush=True)

def ends():
    try:
        train_faces.train(trainer, Path({str(tmp_path)!r}))
        return "quietly"
    except train_faces.Stop as reason:
        return str(reason)

step = trainer.step
nan = torch.tensor(float("nan"))
trainer.step = lambda: {{**step(), "g": nan}} if trainer.rank == 1 else step()
print(f"loss {{trainer.rank}} {{trainer.images_seen}} {{ends()}}", flush=True)  # in one piece: two processes write
trainer.step = step
if trainer.rank == 0:
    Path({str(tmp_path)!r}, "checkpoint.unfinished").symlink_to("/dev/full")
train_faces.CHECKPOINT_SECONDS = 0
print(f"disk {{trainer.rank}} {{trainer.images_seen}} {{ends()}}", flush=True)
del trainer, step  # the replicas hold the process group; what is left of it may abort at exit
gc.collect()
dist.destroy_process_group()
"""
    run = processes.start(tmp_path, text, 2)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert output.count("replicas equal") == 2
    assert "loss 0 56 the loss is no longer a number after 64 images" in output
    assert "loss 1 56 quietly" in output
    if Path("/dev/full").exists():
        assert "disk 0 64 the checkpoint could not be written" in output
        assert "disk 1 64 quietly" in output


def test_command_line():
    arguments = train_faces.parse(["--growth", '{"16": 5}', "--warm-start", "data/weights", "--hours", "0.5"])
    assert arguments.growth == {"16": 5}
    assert arguments.warm_start == Path("data/weights")
    assert arguments.hours == 0.5


def test_without_photos_it_ends_with_a_sentence(monkeypatch, tmp_path):
    from training import lfw

    def gone(split):
        raise RuntimeError("LFW is not on this machine")

    monkeypatch.setattr(lfw, "load", gone)
    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path))
    monkeypatch.setattr(runs, "keep_freed_memory", bool)  # these tests share one process
    with pytest.raises(SystemExit, match=r"^LFW is not on this machine$"):
        train_faces.main(["--device", "cpu"])
    with pytest.raises(SystemExit, match=r"no checkpoint at .* to export"):
        train_faces.main(["--device", "cpu", "--export", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^the weights file .* is missing"):
        train_faces.main(["--device", "cpu", "--warm-start", str(tmp_path)])


def test_runs_lie_outside_the_work_tree(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENTLIB_RUNS", raising=False)
    assert processes.ROOT not in runs.runs_folder().parents
    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path))
    assert runs.runs_folder() == tmp_path
