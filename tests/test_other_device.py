"""Does everything stay on the device it was put on? Tried without a GPU, on a device that is only pretended.

PyTorch's fake tensors have a shape, a type and a device, but no numbers, and they refuse what a GPU would refuse: an
operation on tensors of two devices. So the paths for a GPU are walked here on any machine. What this cannot tell: the
numbers, the speed, and bfloat16 on a GPU.
"""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from latentlib import space
from latentlib.gan import blending, inversion
from latentlib.gan.lbfgs import batched_lbfgs
from latentlib.models.encoder import Encoder
from latentlib.models.stylegan2 import Discriminator, Generator
from training.faces import train_encoder
from training.faces.networks import augment
from training.faces.trainer import RECIPE, Trainer

fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
# No GPU, but a device of its own; gradients run on it, as they do not on a faked "cuda".
OTHER = torch.device("lazy", 0)
CHANNELS = {4: 8, 8: 8, 16: 8}
TINY = {
    **RECIPE, "channels": CHANNELS, "growth": {8: 12}, "fade": 8, "z_dim": 8, "w_dim": 8, "mapping_layers": 2,
    "batch": 4, "r1_every": 2, "path_length_every": 3, "path_length_from": 0,
}  # fmt: skip


class NoDoubles(TorchDispatchMode):
    """Refuses double precision beside the CPU: Apple's GPUs have none."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for part in made if isinstance(made, (tuple, list)) else [made]:
            assert not isinstance(part, torch.Tensor) or part.device.type == "cpu" or part.dtype != torch.float64
        return made


@pytest.fixture
def pretending(monkeypatch):
    """Tensors without numbers, on the CPU or on OTHER; a number that is asked for is 0.5, and yes."""

    def to(module: nn.Module, device=None, **_) -> nn.Module:
        for part in module.modules():
            for name, p in part._parameters.items():
                if p is not None and device is not None:
                    part._parameters[name] = nn.Parameter(p.detach().to(device), p.requires_grad)
            for name, buffer in part._buffers.items():
                if buffer is not None and device is not None:
                    part._buffers[name] = buffer.to(device)
        return module

    monkeypatch.setattr(nn.Module, "to", to)  # PyTorch's own puts the numbers into the old tensors: there are none
    monkeypatch.setattr(torch.Tensor, "item", lambda _: 0.5)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda _: True)
    monkeypatch.setattr(fake_tensor.FakeTensorMode, "__deepcopy__", lambda mode, _: mode, raising=False)
    with fake_tensor.FakeTensorMode():
        yield


def test_the_pretended_device_refuses_a_mixture(pretending):
    here, there = torch.ones(2, requires_grad=True), torch.ones(2, device=OTHER, requires_grad=True)
    (slope,) = torch.autograd.grad(there.square().sum(), there)
    assert slope.device == OTHER
    with pytest.raises(RuntimeError, match="device"):
        here + there


def test_the_face_trainer_stays_on_its_device(pretending):
    """Every kind of step: growing, fading in, R1, path lengths, augmentation and its controller."""
    trainer = Trainer(TINY, torch.zeros(8, 3, 16, 16, dtype=torch.uint8), OTHER)
    trainer.augment_p = 0.5
    for _ in range(6):
        losses = trainer.step()
        assert {loss.device for loss in losses.values()} == {OTHER}
    assert trainer.samples().device == OTHER
    assert trainer.images_seen == 24
    moments = trainer.g_optimizer.state_dict()["state"].values()
    assert {moment["exp_avg"].device for moment in moments} == {OTHER}


def test_the_face_trainer_would_be_caught(pretending, monkeypatch):
    """The test above can fail: a number left on the CPU is found."""
    from training.faces import trainer as face_trainer

    monkeypatch.setattr(face_trainer, "augment", lambda image, p: augment(image, p) * torch.ones(1, 1, 1, 1, 1)[0])
    trainer = Trainer(TINY, torch.zeros(8, 3, 16, 16, dtype=torch.uint8), OTHER)
    with pytest.raises(RuntimeError, match="device"):
        trainer.step()


@pytest.fixture
def networks(pretending):
    generator = Generator(16, 8, 8, 2, CHANNELS).to(OTHER)
    return generator, Discriminator(16, CHANNELS).to(OTHER), Encoder(16, generator.num_ws, 8).to(OTHER)


def test_the_networks_stay_on_their_device(networks):
    generator, discriminator, encoder = networks
    z = torch.zeros(4, 8, device=OTHER)
    for noise in (None, "fixed"):
        picture = generator(z, psi=0.7, noise=noise)
        assert picture.device == OTHER
    assert discriminator(picture).device == OTHER
    assert {level.device for level in discriminator.features(picture)} == {OTHER}
    assert encoder(picture).device == OTHER
    assert generator.draw(encoder(picture)).device == OTHER


def test_a_search_for_codes_stays_on_its_device(networks):
    generator, _, encoder = networks
    images = torch.zeros(2, 3, 16, 16, device=OTHER)
    start = encoder(images)

    def evaluate(point):
        point = point.detach().requires_grad_()
        drawn = generator.synthesis(point.unflatten(1, (-1, 8)), noise=None)
        error = (drawn - images).square().flatten(1).mean(1)
        return error.detach(), torch.autograd.grad(error.sum(), point)[0], drawn.detach()

    for _, state in zip(range(4), batched_lbfgs(evaluate, start.flatten(1), 0.1), strict=False):
        assert {x.device for x in state} == {OTHER}
    assert inversion.random_z(generator, 3, seed=0).device == OTHER


def test_the_encoder_trainer_stays_on_its_device(networks):
    generator, discriminator, _ = networks
    photos = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
    recipe = train_encoder.RECIPE | {"identity": 0.0, "batch": 8, "probes": 64}
    trainer = train_encoder.Trainer(recipe, generator, discriminator, "checksum", photos)
    for _ in range(2):
        assert {loss.device for loss in trainer.step().values()} == {OTHER}
    assert trainer.metric.device == OTHER


def test_the_family_stays_on_its_device(networks):
    generator = networks[0]
    a, b = torch.zeros(2, generator.num_ws, 8, device=OTHER)
    with NoDoubles():
        for sibling in (None, 3):
            assert blending.blend(a, b, share=0.3, crossover=2, sibling=sibling).device == OTHER


def test_small_decompositions_are_solved_in_float64_on_the_cpu(pretending, monkeypatch):
    """Apple's GPUs have neither float64 nor eigh: nothing but the CPU may be asked, and the answer goes back."""
    asked = []

    def record(solve, matrix, **options):
        asked.append((matrix.device.type, matrix.dtype))
        return solve(matrix, **options)

    for name in ("eigh", "svd", "svdvals", "pinv"):
        monkeypatch.setattr(torch.linalg, name, functools.partial(record, getattr(torch.linalg, name)))
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda _: False)  # no value is the same for all codes
    codes = torch.ones(40, 6, device=OTHER)
    assert space.linear_direction(codes, torch.ones(len(codes), device=OTHER)).device == OTHER
    assert asked == [("cpu", torch.float64)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_the_face_trainer_on_a_gpu():
    """The same steps with numbers: they stay finite, the networks learn, and the CPU can go on from there."""
    recipe = {**TINY, "path_length_from": 8}
    photos = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    trainer = Trainer(recipe, photos, torch.device("cuda"))
    before = trainer.generator.mapping.fc0.weight.clone()
    for _ in range(8):
        assert all(torch.isfinite(loss) for loss in trainer.step().values())
    assert trainer.finite()
    assert not torch.equal(before, trainer.generator.mapping.fc0.weight)
    other = Trainer(recipe, photos, torch.device("cpu"))
    other.restore(trainer.state())
    assert torch.equal(other.ema.mapping.fc0.weight, trainer.ema.mapping.fc0.weight.cpu())
    assert torch.isfinite(other.step()["g"])
