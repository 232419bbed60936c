"""The discriminator on frozen features: it teaches, a stopped run goes on with equal numbers, growing is seamless."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from latentlib.models.stylegan2 import Generator
from training.faces import frechet, projected

pytestmark = pytest.mark.usefixtures("one_thread")


class Stub(nn.Module):
    """Stands for EfficientNet-Lite0: four frozen maps, each of half the size of the one before."""

    channels = (6, 6, 12, 12)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        pairs = zip((3, *self.channels), self.channels, strict=False)
        self.weights = nn.ParameterList([torch.randn(b, a, 3, 3) / a**0.5 / 2 for a, b in pairs]).requires_grad_(False)

    def forward(self, image):
        x = image * 5
        return [x := F.leaky_relu(F.conv2d(x, weight, stride=2, padding=1), 0.2) for weight in self.weights]


def discs(count=4):
    grid = torch.linspace(-1, 1, 16)
    inside = (grid[:, None] ** 2 + grid[None] ** 2).sqrt() < 0.7
    return (inside * torch.linspace(0.6, 1, 3 * count).reshape(count, 3, 1, 1) * 255).byte()


def generator():
    torch.manual_seed(1)
    return Generator(16, z_dim=8, w_dim=8, mapping_layers=2, channels={4: 8, 8: 8, 16: 8})


def tiny(**changes):
    small = {"batch": 8, "width": 16, "side": 32, "heads_alone": 16, "warm_up": 8, "ema_half_life": 40}
    recipe, people = projected.RECIPE | small | changes, torch.tensor([0, 0, 0, 1])
    return projected.Trainer(recipe, generator(), discs(), people, Stub(), torch.device("cpu"))


def test_a_handful_of_pictures_is_learned_once_the_heads_know_something():
    trainer, photos = tiny(learning_rate=1e-2), discs().float() / 127.5 - 1

    def distance():
        with torch.no_grad():
            samples = trainer.generator(torch.randn(32, 8, generator=torch.Generator().manual_seed(2)))
        return (samples[:, None] - photos).square().mean(dim=(2, 3, 4)).min(dim=1).values.mean().item()

    before = distance()
    assert [set(trainer.step()) for _ in range(3)] == [{"d"}, {"d"}, {"d", "g"}]
    assert distance() == before  # the third step's rate is 0: it rises from there
    for _ in range(27):
        trainer.step()
    assert distance() < before / 2


def test_everybody_may_be_shown_equally_often():
    assert tiny().chances.tolist() == [1, 1, 1, 1]
    assert tiny(most_of_a_person=1).chances.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])


def test_a_stopped_run_goes_on_with_equal_numbers_and_lends_its_heads(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLIB_RUNS", str(tmp_path))
    monkeypatch.setattr(projected, "RECIPE", tiny().recipe)
    old = generator().state_dict()  # with a name of version 0.2
    save_file(old | {"w_mean": old.pop("mapping.w_avg") + 1, "w_covariance": torch.eye(8)}, tmp_path / "g.safetensors")

    def run(name, images, start="g.safetensors"):
        asked = ["--run", name, "--warm-start", str(tmp_path / start), "--device", "cpu", "--set", f"images={images}"]
        projected.main(asked, discs(), Stub())
        state = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        parts = ("generator", "ema", "heads")
        return state["images_seen"], torch.cat([state[part][key].flatten() for part in parts for key in state[part]])

    whole = run("whole", 64)
    run("stopped", 32)
    stopped = run("stopped", 64)
    assert whole[0] == stopped[0] == 64
    assert torch.equal(whole[1], stopped[1])
    projected.main(["--run", "whole", "--export", str(tmp_path / "out")])
    assert (tmp_path / "out" / "faces-16.safetensors").exists()
    monkeypatch.setattr(projected.Trainer, "step", lambda self: setattr(self, "images_seen", 8) or {})
    lent = run("lent", 8, "whole/checkpoint.pt")[1]
    heads = sum(value.numel() for value in tiny().heads.state_dict().values())
    assert torch.equal(lent[-heads:], whole[1][-heads:])


def test_the_finest_block_may_learn_alone():
    trainer, w = tiny(rate_below=0, heads_alone=0, warm_up=1), torch.randn(2, 8)
    before = [trainer.generator.synthesis(w, None, resolution) for resolution in (8, 16)]
    for _ in range(3):
        trainer.step()
    after = [trainer.generator.synthesis(w, None, resolution) for resolution in (8, 16)]
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [True, False]


def test_copies_lead_before_the_heads_do():
    trainer = tiny(heads_alone=800, copies=4, learning_rate=1e-2)
    trainer.codes, trainer.photos = torch.randn(4, 6, 8), torch.arange(4)
    photos = discs().float() / 127.5 - 1

    def distance():
        with torch.no_grad():
            return (trainer.generator.synthesis(trainer.codes) - photos).abs().mean().item()

    before = distance()
    losses = [trainer.step() for _ in range(60)]
    assert all(set(loss) == {"d", "g", "far"} for loss in losses)
    assert losses[-1]["far"] < losses[0]["far"] / 2
    assert distance() < before / 2


def test_copies_are_codes_of_the_photos(monkeypatch):
    found = iter(range(9))
    monkeypatch.setattr(projected, "load", lambda name, device: lambda x: x)
    monkeypatch.setattr(
        projected, "pivots", lambda *_, **__: SimpleNamespace(codes=torch.full((2, 6, 8), float(next(found))))
    )
    codes, chosen = projected.copies(generator(), torch.cat([discs()] * 20), 34)
    assert codes.shape == (4, 6, 8)
    assert len(chosen.unique()) == 34


def test_growing_begins_with_the_enlarged_picture():
    small, w = generator(), torch.randn(2, 8)
    large = projected.generator_of(small.state_dict(), 32)
    enlarged = F.interpolate(small.synthesis(w, noise=None), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(large.synthesis(w, noise=None), enlarged, atol=1e-5)


def test_frechet_distance_of_known_clouds():
    points = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    assert frechet.frechet(points, points) == pytest.approx(0, abs=1e-8)
    assert frechet.frechet(points, points + 1) == pytest.approx(4, abs=1e-4)
    twice = float(torch.cov(points.T).trace() + points.mean(0).square().sum())
    assert frechet.frechet(points, points * 2) == pytest.approx(twice, rel=1e-4)


def test_sliced_wasserstein_sees_blur_and_not_paleness():
    images = torch.randint(0, 256, (48, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, :, 20:40] //= 4
    blurred = torch.nn.functional.avg_pool2d(images[24:].float(), 3, 1, 1).byte()
    same, paler = (frechet.sliced_wasserstein(images[:24], other) for other in (images[24:], images[24:] // 2))
    assert frechet.sliced_wasserstein(images[:24], blurred) > 1.5 * same  # measured: 63 and 33
    assert paler < 1.1 * same
