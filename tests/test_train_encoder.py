"""The encoder's run: a stopped one goes on as if nothing had been, what breaks stops it, and weights go out and in."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch

import processes
from latentlib.models.stylegan2 import Generator
from latentlib.weights import checksum, load, read_weights
from tiny_encoder import CHANNELS, TINY, networks, photos, shipped, tiny, weights
from training.faces import encoder_trainer, train_encoder
from training.runs import Stop, read_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_restored_run_is_the_same_run(tmp_path):
    whole = tiny()
    for _ in range(6):
        whole.step()
    first = tiny()
    for _ in range(3):
        first.step()
    train_encoder.keep(first, tmp_path / "checkpoint.pt")
    second = tiny()
    second.step()  # whatever it was before
    assert second.restore(read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu")))
    for _ in range(3):
        second.step()
    assert torch.equal(weights(whole), weights(second))
    assert second.images_seen == second.since == 48


def test_a_broken_weight_stops_and_keeps_the_last_good_state(tmp_path):
    trainer = tiny()
    trainer.step()
    path = tmp_path / "checkpoint.pt"
    train_encoder.keep(trainer, path)
    good = path.read_bytes()
    with torch.no_grad():
        trainer.encoder.head4.bias[0] = float("nan")
    with pytest.raises(Stop, match="no longer a number after 8 images; the last good state is"):
        train_encoder.keep(trainer, path)
    with pytest.raises(Stop, match="no longer a number"):
        train_encoder.train(trainer, path, images=24)
    assert path.read_bytes() == good


def test_export_and_warm_start(tmp_path):
    trainer = tiny()
    for _ in range(4):
        trainer.step()
    path = train_encoder.export(trainer.state(), tmp_path)
    assert path.name == "faces-64-encoder.safetensors"
    encoder = load("faces-64-encoder", folder=tmp_path)
    image = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(encoder(image), trainer.ema(image), atol=0.02)
    assert torch.equal(encoder.w_avg, trainer.generator.w_avg)  # kept whole
    settings = read_weights("faces-64-encoder", tmp_path)[1]
    assert settings["recipe"] == json.loads(json.dumps(trainer.recipe))
    assert (settings["generator"], settings["images_seen"], settings["since"]) == ("first", 32, 32)
    assert settings["trained_on"] == "samples and LFW"
    other = tiny(seed=5, checksum="second")
    train_encoder.warm_start(other, tmp_path)
    assert (other.images_seen, other.since) == (32, 0)
    assert torch.allclose(other.encoder.head4.weight, trainer.ema.head4.weight, atol=1e-3)
    assert torch.equal(other.encoder.w_avg, other.generator.w_avg)
    generator = Generator(16, 8, 5, 2, CHANNELS)
    smaller = encoder_trainer.Trainer(dict(TINY), generator, networks()[1], "third", photos())
    with pytest.raises(Stop, match="another size"):
        train_encoder.warm_start(smaller, tmp_path)


# ------------------------------------------------------------------------------------------------- as whole processes

SCRIPT = """
import torch
torch.set_num_threads(1)
import tiny_encoder
from training.faces import train_encoder
from training import lfw
lfw.load = lambda split: lfw.Faces(tiny_encoder.photos(), torch.zeros(16))
train_encoder.RECIPE = tiny_encoder.TINY
train_encoder.CHECKPOINT_SECONDS = 0
train_encoder.main(["--device", "cpu", "--weights", {weights!r}, *{arguments!r}])
"""


def start(tmp_path, arguments):
    return processes.start(tmp_path, SCRIPT.format(weights=str(tmp_path / "weights"), arguments=arguments))


def test_killed_at_any_moment_it_goes_on_and_notices_a_new_generator(tmp_path, monkeypatch):
    assert train_encoder.CHECKPOINT_SECONDS < 290  # so that a kill costs less than five minutes
    shipped(tmp_path / "weights")
    path = tmp_path / "runs" / "encoder-64" / "checkpoint.pt"
    run = start(tmp_path, [])
    deadline = time.monotonic() + 120
    while not path.exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    run.send_signal(signal.SIGKILL)
    output, _ = run.communicate()
    assert run.returncode == -signal.SIGKILL, output
    kept = torch.load(path, weights_only=True)["images_seen"]
    assert kept >= 8

    run = start(tmp_path, ["--images", str(kept + 16)])
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert f"going on from {kept} images" in output
    assert "changed" not in output
    state = torch.load(path, weights_only=True)
    assert state["images_seen"] == state["since"] == kept + 16

    shipped(tmp_path / "weights", seed=3)
    run = start(tmp_path, ["--images", str(kept + 24), "--photos", "0.25"])
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "the shipped generator has changed" in output
    state = torch.load(path, weights_only=True)
    assert (state["images_seen"], state["since"]) == (kept + 24, 8)
    assert state["recipe"]["photos"] == 0.25
    assert state["generator"] == checksum("faces-64", tmp_path / "weights")

    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path / "runs"))
    train_encoder.main(["--device", "cpu", "--export", str(tmp_path / "out")])
    assert read_weights("faces-64-encoder", tmp_path / "out")[1]["images_seen"] == kept + 24


def test_two_processes_learn_as_one(tmp_path):
    """Different batches, shared gradients, equal weights; --minutes ends both after the same step."""
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    text = f"""
import gc, torch, torch.distributed as dist
torch.set_num_threads(1)
import tiny_encoder
from training.faces import train_encoder
from pathlib import Path
dist.init_process_group("gloo")
trainer = tiny_encoder.tiny()
for _ in range(3):
    trainer.step()
train_encoder.train(trainer, Path({str(tmp_path / "checkpoint.pt")!r}), minutes=0.002 * (1 + trainer.rank))
mine = torch.cat([tiny_encoder.weights(trainer), torch.tensor([float(trainer.images_seen)])])
both = [torch.empty_like(mine) for _ in range(2)]
dist.all_gather(both, mine)
batch = trainer._batch(0)[1].contiguous()
batches = [torch.empty_like(batch) for _ in range(2)]
dist.all_gather(batches, batch)
assert len(batch) == 4 and not torch.equal(*batches), "both processes saw the same pictures"
assert torch.equal(*both), "the replicas differ"
print("replicas equal", flush=True)
del trainer  # the replicas hold the process group; what is left of it may abort at exit
gc.collect()
dist.destroy_process_group()
"""
    run = processes.start(tmp_path, text, 2)
    output, _ = run.communicate(timeout=170)
    assert run.returncode == 0, output
    assert output.count("replicas equal") == 2


def test_nothing_to_export_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path))
    with pytest.raises(SystemExit, match=r"there is no checkpoint at .* to export"):
        train_encoder.main(["--device", "cpu", "--export", str(tmp_path)])


def test_command_line():
    arguments = train_encoder.parse(["--minutes", "20", "--no-photos", "--warm-start", "data/weights"])
    assert (arguments.minutes, arguments.photos, arguments.warm_start) == (20.0, 0.0, Path("data/weights"))
    assert train_encoder.parse([]).photos is None
