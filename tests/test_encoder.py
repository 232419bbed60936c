"""The encoder: shapes, where it starts, what it can learn, and what it says when it gets the wrong thing."""

import pytest
import torch

from latentlib import weights
from latentlib.models.encoder import LEVELS, Encoder
from latentlib.models.stylegan2 import CHANNELS, Discriminator

SMALL = {4: 8, 8: 8, 16: 6, 32: 4}


def woken(encoder, seed=0):
    """The same encoder with heads that answer something."""
    generator = torch.Generator().manual_seed(seed)
    for size in encoder.levels:
        head = getattr(encoder, f"head{size}")
        torch.nn.init.normal_(head.weight, std=0.1, generator=generator)
    return encoder


@pytest.mark.parametrize(("resolution", "num_ws", "w_dim"), [(8, 4, 5), (16, 6, 7), (32, 8, 12)])
def test_shapes_at_any_size(resolution, num_ws, w_dim):
    encoder = Encoder(resolution, num_ws, w_dim, SMALL)
    assert encoder(torch.randn(3, 3, resolution, resolution)).shape == (3, num_ws, w_dim)
    assert encoder.settings == {"resolution": resolution, "num_ws": num_ws, "w_dim": w_dim, "channels": SMALL}
    again = Encoder(**encoder.settings)
    again.load_state_dict(encoder.state_dict())


def test_it_starts_at_the_mean_w():
    encoder = Encoder(16, 6, 7, SMALL)
    encoder.w_avg.copy_(torch.arange(7.0))
    codes = encoder(torch.randn(4, 3, 16, 16))
    assert torch.equal(codes, torch.arange(7.0).expand(4, 6, 7))
    assert "w_avg" in encoder.state_dict()
    assert "w_avg" not in dict(encoder.named_parameters())


def test_the_course_s_size_fits_into_its_file(tmp_path):
    encoder = Encoder()
    parameters = sum(p.numel() for p in encoder.parameters())
    assert parameters <= 2.9e6
    settings = {"network": encoder.settings}
    path = weights.save_weights("faces-64-encoder", encoder, settings, tmp_path, keep_float32=("w_avg",))
    assert path.stat().st_size <= 6e6
    loaded = weights.load("faces-64-encoder", folder=tmp_path)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    assert loaded(image).shape == (2, 10, 256)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_gradients_reach_every_weight_and_the_picture():
    torch.manual_seed(0)
    encoder = woken(Encoder(32, 8, 6, SMALL))
    image = torch.randn(4, 3, 32, 32, requires_grad=True)
    encoder(image).square().sum().backward()
    assert image.grad.abs().sum() > 0
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_coarse_layers_look_at_coarse_features_only():
    torch.manual_seed(0)
    encoder = woken(Encoder(32, 8, 6, SMALL))
    image = torch.randn(1, 3, 32, 32)
    before = encoder(image)
    with torch.no_grad():
        encoder.read16.linear.bias += 1.0
    changed = (encoder(image) != before).flatten(2).any(dim=2)[0]
    assert changed.tolist() == [False] * 3 + [True] * 5  # layers that draw at 4 × 4 and 8 × 8 do not see it
    with torch.no_grad():
        encoder.read4.linear.bias += 1.0
    assert (encoder(image) != before).flatten(2).any(dim=2)[0].all()


def test_the_place_in_the_picture_matters():
    torch.manual_seed(0)
    encoder = woken(Encoder(32, 8, 6, SMALL))
    image = torch.full((1, 3, 32, 32), -0.5)
    image[..., :16] = 0.5
    assert not torch.allclose(encoder(image), encoder(image.flip(3)), atol=1e-3)


def test_the_trunk_takes_a_discriminator_s_weights():
    encoder, discriminator = Encoder(32, 8, 6, SMALL), Discriminator(32, SMALL)
    shared = {key: value for key, value in discriminator.state_dict().items() if key in encoder.state_dict()}
    missing, unexpected = encoder.load_state_dict(shared, strict=False)
    assert unexpected == []
    assert all(key == "w_avg" or key.startswith(("read", "head")) for key in missing)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 16, 16), r"images must be \(n, 3, 16, 16\) .* got \(3, 16, 16\); add a batch axis"),
        ((2, 1, 16, 16), r"got \(2, 1, 16, 16\)"),
        ((2, 3, 32, 32), r"got \(2, 3, 32, 32\)"),
    ],
)
def test_wrong_pictures_get_a_sentence(shape, message):
    with pytest.raises(ValueError, match=message):
        Encoder(16, 6, 7, SMALL)(torch.zeros(shape))


def test_wrong_resolution_gets_a_sentence():
    with pytest.raises(ValueError, match="power of two from 8 up, got 24"):
        Encoder(24, 6, 7, SMALL)


def test_levels_are_sizes_of_features():
    assert set(LEVELS) < set(CHANNELS)
    assert list(LEVELS) == sorted(LEVELS)
