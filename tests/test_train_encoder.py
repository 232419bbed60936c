"""The encoder's trainer: it learns, a stopped run goes on as if nothing had been, and a new generator is noticed."""

import copy
import json
import signal
import time
from pathlib import Path

import pytest
import torch

import processes
import train_encoder
from latentlib.checkpoints import load_face_encoder, load_weights, save_weights
from latentlib.models.stylegan import Discriminator, Generator
from runs import Stop, read_checkpoint

CHANNELS = {4: 8, 8: 8, 16: 8}
TINY = {**train_encoder.RECIPE, "batch": 8, "probes": 64, "ramp": 16, "ema_half_life": 100}
pytestmark = pytest.mark.usefixtures("one_thread")


def networks(seed=0):
    torch.manual_seed(seed)
    generator, discriminator = Generator(16, 8, 8, 2, CHANNELS), Discriminator(16, CHANNELS)
    generator.measure_w(500)
    return generator.requires_grad_(False), discriminator.requires_grad_(False)


def photos(count=16, seed=1):
    """Pictures that the tiny generator can draw."""
    z = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return networks()[0](z, noise=None).clamp(-1, 1).add(1).mul(127.5).byte()


def tiny(seed=0, checksum="first", **changes):
    return train_encoder.Trainer({**copy.deepcopy(TINY), **changes}, *networks(seed), checksum, photos())


def weights(trainer):
    return torch.cat([p.detach().flatten() for net in (trainer.encoder, trainer.ema) for p in net.parameters()])


def shipped(folder, seed=0):
    """A folder with the weights of a tiny generator and discriminator."""
    generator, discriminator = networks(seed)
    statistics = ("w_mean", "w_covariance")
    save_weights("faces-64", generator, {"network": generator.settings}, folder, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings}, folder)
    return folder


# ----------------------------------------------------------------------------------------------- what it learns from


def test_codes_cover_w_and_more():
    generator, _ = networks()
    torch.manual_seed(0)
    plain = {**TINY, "style_mixing": 0.0, "layer_spread": 0.0, "spread": [1.0, 1.0]}
    codes = train_encoder.draw_codes(generator, 400, plain)
    assert codes.shape == (400, generator.num_ws, 8)
    assert torch.allclose(codes, codes[:, :1].expand_as(codes), atol=1e-6)
    usual = (codes - generator.w_mean).square().mean().item()
    mixed = train_encoder.draw_codes(generator, 400, {**plain, "style_mixing": 1.0})
    assert not torch.allclose(mixed[:, 0], mixed[:, -1])
    for i in range(1, generator.num_ws):  # a change of w, and only one
        changed = (mixed[:, i] != mixed[:, i - 1]).any(dim=1)
        assert 0 < changed.float().mean() < 0.6
    wide = train_encoder.draw_codes(generator, 400, {**plain, "spread": [2.0, 2.0]})
    assert (wide - generator.w_mean).square().mean().item() == pytest.approx(4 * usual, rel=0.2)
    loose = train_encoder.draw_codes(generator, 400, {**plain, "layer_spread": 0.5})
    assert (loose[:, 0] - loose[:, 1]).square().mean() > 0.05 * usual


def test_disturbed_pictures_are_nearly_the_same_and_not_moved():
    torch.manual_seed(0)
    grid = torch.linspace(-0.8, 0.8, 16)
    images = (grid[:, None] + grid[None]).div(2).expand(64, 3, 16, 16)
    disturbed = train_encoder.disturb(images, TINY)
    change = (disturbed - images).square().mean(dim=(1, 2, 3)).sqrt()
    assert change.min() > 0
    assert change.max() < 0.1
    still = {**TINY, "blur": 0.0, "noise": 0.0, "colour": 0.0}
    assert torch.allclose(train_encoder.disturb(images, still), images, atol=1e-6)


def test_the_metric_tells_what_a_small_step_does_to_the_picture():
    generator, _ = networks()
    recipe = {**TINY, "whitened": 0.0, "probes": 4096, "spread": [1.0, 1.0], "layer_spread": 0.0}
    metric = train_encoder.picture_metric(generator, recipe)
    torch.manual_seed(1)
    ws = train_encoder.draw_codes(generator, 512, recipe)
    for layer in (0, 3, generator.num_ws - 1):
        step = torch.zeros_like(ws)
        step[:, layer] = torch.randn(512, 8) * 1e-2
        before, after = (generator.synthesis(code, noise=None) for code in (ws, ws + step))
        seen = (after - before).square().mean()
        said = torch.einsum("ni,ij,nj->n", step[:, layer], metric[layer], step[:, layer]).mean()
        assert said.item() == pytest.approx(seen.item(), rel=0.35)


def test_the_metric_never_forgets_a_direction():
    generator, _ = networks()
    for layer in train_encoder.picture_metric(generator, TINY):
        assert torch.linalg.eigvalsh(layer).min() > 0


def test_usual_codes_have_length_one():
    generator, _ = networks()
    torch.manual_seed(1)
    away = generator.mapping(torch.randn(2000, 8)) - generator.w_mean
    length = torch.einsum("ni,ij,nj->n", away, train_encoder.whitening(generator), away).mean()
    assert length.item() == pytest.approx(1.0, rel=0.1)


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
    assert torch.equal(trainer.encoder.w_mean, trainer.generator.w_mean)


def test_it_begins_with_what_the_discriminator_sees():
    trainer = tiny()
    assert torch.equal(trainer.encoder.b16.conv0.weight, trainer.discriminator.b16.conv0.weight)
    assert torch.equal(trainer.encoder(torch.randn(1, 3, 16, 16))[0, 2], trainer.generator.w_mean)


def test_photos_without_photos():
    with pytest.raises(Stop, match="choose --no-photos"):
        train_encoder.Trainer(dict(TINY), *networks(), "first", None)


# ------------------------------------------------------------------------------------------------- stopping, going on


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


def test_another_generator_is_noticed():
    old = tiny()
    for _ in range(3):
        old.step()
    new = tiny(seed=5, checksum="second")
    assert not new.restore(old.state())
    assert (new.images_seen, new.since, new.metric) == (24, 0, None)
    assert torch.equal(new.encoder.w_mean, new.generator.w_mean)
    assert not torch.equal(new.encoder.w_mean, old.encoder.w_mean)
    assert torch.equal(new.encoder.head4.weight, old.ema.head4.weight)
    assert torch.equal(new.ema.head4.weight, old.ema.head4.weight)
    assert new.optimizer.state_dict()["state"] == {}
    new.step()
    assert (new.images_seen, new.since) == (32, 8)
    assert new.state()["generator"] == "second"


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


# ---------------------------------------------------------------------------------------- weights in and out, measures


def test_export_and_warm_start(tmp_path):
    trainer = tiny()
    for _ in range(4):
        trainer.step()
    path = train_encoder.export(trainer.state(), tmp_path)
    assert path.name == "faces-64-encoder.safetensors"
    encoder = load_face_encoder(folder=tmp_path)
    image = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(encoder(image), trainer.ema(image), atol=0.02)
    assert torch.equal(encoder.w_mean, trainer.generator.w_mean)  # kept whole
    settings = load_weights("faces-64-encoder", tmp_path)[1]
    assert settings["recipe"] == json.loads(json.dumps(trainer.recipe))
    assert (settings["generator"], settings["images_seen"], settings["since"]) == ("first", 32, 32)
    assert settings["trained_on"] == "samples and LFW"
    other = tiny(seed=5, checksum="second")
    train_encoder.warm_start(other, tmp_path)
    assert (other.images_seen, other.since) == (32, 0)
    assert torch.allclose(other.encoder.head4.weight, trainer.ema.head4.weight, atol=1e-3)
    assert torch.equal(other.encoder.w_mean, other.generator.w_mean)
    generator = Generator(16, 8, 5, 2, CHANNELS)
    smaller = train_encoder.Trainer(dict(TINY), generator, networks()[1], "third", photos())
    with pytest.raises(Stop, match="another size"):
        train_encoder.warm_start(smaller, tmp_path)


def test_psnr_of_known_errors():
    white = torch.ones(2, 3, 8, 8)
    off = white.clone()
    off[1] -= 0.2  # 0.1 of the range [0, 1]
    assert train_encoder.psnr(off, white)[1].item() == pytest.approx(20.0, abs=1e-3)
    assert train_encoder.psnr(white * 3, white)[0] == float("inf")  # what lies outside the range is cut off


def test_evaluation_of_an_encoder_that_knows_and_one_that_does_not():
    generator, _ = networks()
    trainer = tiny()
    made = {"generator": "first", "images_seen": 8, "since": 8, "minutes": 1.0, "trained_on": "samples", "recipe": TINY}
    held = photos(4, seed=7)
    result = train_encoder.evaluate(trainer.encoder, made, generator, "first", held)
    for name, count in (("generated_faces", 256), ("held_out_photos", 4)):
        assert result[name]["pictures"] == count
        assert result[name]["psnr_mean"] == pytest.approx(result[name]["psnr_of_the_mean_face"], abs=1e-3)  # untrained
    assert result["trained_on_this_generator"]
    assert "earlier generator" not in train_encoder.card(result)
    assert f"{result['held_out_photos']['psnr_mean']:.1f} dB" in train_encoder.card(result)
    torch.manual_seed(4)
    known = generator.mapping(torch.randn(256, 8))[:, None].repeat(1, generator.num_ws, 1)

    class Knows(torch.nn.Linear):
        def forward(self, images):
            start = next((i for i in range(256) if torch.allclose(images[0], drawn[i], atol=1e-5)), 0)
            return known[start : start + len(images)]

    drawn = generator.synthesis(known, noise=None).clamp(-1, 1)
    result = train_encoder.evaluate(Knows(1, 1), made, generator, "second", None)
    assert result["generated_faces"]["psnr_least"] > 60
    assert "held_out_photos" not in result
    assert not result["trained_on_this_generator"]
    assert "earlier generator" in train_encoder.card(result)


def test_what_is_stored_belongs_to_what_is_shipped():
    stored = json.loads((train_encoder.WEIGHTS / "faces-64-encoder.json").read_text())
    settings = load_weights("faces-64-encoder")[1]
    assert stored["made"]["images_seen"] == settings["images_seen"]
    assert stored["trained_on_this_generator"] == (settings["generator"] == stored["generator"])
    card = (train_encoder.WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert train_encoder.card(stored) in card
    photos = stored["held_out_photos"]
    assert photos["psnr_mean"] > photos["psnr_of_the_mean_face"]


# ------------------------------------------------------------------------------------------------- as whole processes

SCRIPT = """
import torch
torch.set_num_threads(1)
import test_train_encoder as here, train_encoder
from latentlib.datasets import faces
faces.load = lambda split: faces.Faces(here.photos(), torch.zeros(16), torch.ones(16))
train_encoder.RECIPE = here.TINY
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
    assert state["generator"] == train_encoder.generator_checksum(tmp_path / "weights")

    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path / "runs"))
    train_encoder.main(["--device", "cpu", "--export", str(tmp_path / "out")])
    assert load_weights("faces-64-encoder", tmp_path / "out")[1]["images_seen"] == kept + 24


def test_two_processes_learn_as_one(tmp_path):
    """Different batches, shared gradients, equal weights; --minutes ends both after the same step."""
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    text = f"""
import torch, torch.distributed as dist
torch.set_num_threads(1)
import test_train_encoder as here
from pathlib import Path
dist.init_process_group("gloo")
trainer = here.tiny()
for _ in range(3):
    trainer.step()
here.train_encoder.train(trainer, Path({str(tmp_path / "checkpoint.pt")!r}), minutes=0.002 * (1 + trainer.rank))
mine = torch.cat([here.weights(trainer), torch.tensor([float(trainer.images_seen)])])
both = [torch.empty_like(mine) for _ in range(2)]
dist.all_gather(both, mine)
batch = trainer._batch(0)[1].contiguous()
batches = [torch.empty_like(batch) for _ in range(2)]
dist.all_gather(batches, batch)
assert len(batch) == 4 and not torch.equal(*batches), "both processes saw the same pictures"
assert torch.equal(*both), "the replicas differ"
print("replicas equal", trainer.images_seen)
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
