"""The style-based generator and discriminator do what the paper says."""

import math

import pytest
import torch
import torch.nn.functional as F

from latentlib.models.stylegan2 import (
    CHANNELS,
    Discriminator,
    Generator,
    SynthesisLayer,
    minibatch_deviation,
    modulated_convolution,
    upsample,
)

SMALL = {4: 16, 8: 16, 16: 8, 32: 8}


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(32, z_dim=24, w_dim=20, mapping_layers=2, channels=SMALL)


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_shapes_at_any_power_of_two(resolution):
    channels = {4: 8, 8: 8, 16: 8, 32: 4, 64: 4}
    generator = Generator(resolution, 12, 10, 2, channels)
    picture = generator(torch.randn(3, 12))
    assert picture.shape == (3, 3, resolution, resolution)
    assert generator.num_ws == 2 * int(math.log2(resolution)) - 2
    assert Discriminator(resolution, channels)(picture).shape == (3,)


def test_default_network_keeps_to_its_budget():
    from torch.utils.flop_counter import FlopCounterMode

    generator = Generator()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(torch.randn(1, generator.z_dim))
    assert counter.get_total_flops() / 2 < 0.75e9
    assert sum(p.numel() for p in generator.parameters()) * 2 < 12e6  # bytes in half precision
    assert sum(p.numel() for p in Discriminator().parameters()) * 2 < 12e6
    assert generator.settings["channels"] == CHANNELS


def test_w_and_the_same_w_plus_draw_the_same_picture(generator):
    w = generator.mapping(torch.randn(2, 24))
    w_plus = w[:, None].repeat(1, generator.num_ws, 1)
    assert torch.equal(generator.synthesis(w, noise=None), generator.synthesis(w_plus, noise=None))
    w_plus[:, -1] += 1  # only the last torgb
    assert not torch.equal(generator.synthesis(w, noise=None), generator.synthesis(w_plus, noise=None))


def test_gradient_reaches_w_every_layer_and_the_noise(generator):
    for layer in generator.modules():
        if isinstance(layer, SynthesisLayer):
            torch.nn.init.constant_(layer.noise_strength, 0.5)
    w_plus = generator.mapping(torch.randn(2, 24))[:, None].repeat(1, generator.num_ws, 1).detach().requires_grad_()
    noise = [torch.randn(1, 1, r, r, requires_grad=True) for r in (4, 8, 8, 16, 16, 32, 32)]
    generator.synthesis(w_plus, noise=noise).square().sum().backward()
    assert (w_plus.grad.flatten(2).norm(dim=2) > 0).all()
    assert all(map_.grad.norm() > 0 for map_ in noise)
    assert generator.mapping.fc0.weight.grad is None  # w was detached


def test_gradient_reaches_z_and_every_weight(generator):
    z = torch.randn(4, 24, requires_grad=True)
    generator(z).square().sum().backward()
    assert z.grad.norm() > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in generator.parameters())


def grouped_convolution(x, weight, style, demodulate):
    """The formulation of the original: build each picture's own weights, convolve all in groups."""
    n, c, h, w = x.shape
    own = weight[None] * style[:, None, :, None, None]
    if demodulate:
        own = own * (own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    result = F.conv2d(x.reshape(1, n * c, h, w), own.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
    return result.reshape(n, -1, h, w)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_equals_the_grouped_one(kernel, demodulate):
    torch.manual_seed(0)
    x, style = torch.randn(3, 6, 9, 9).double(), torch.randn(3, 6)
    weight = torch.randn(5, 6, kernel, kernel)
    expected = grouped_convolution(x, weight.double(), style.double(), demodulate)
    ours = modulated_convolution(x, weight.double(), style, demodulate)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_demodulation_keeps_the_variance_whatever_the_style():
    torch.manual_seed(0)
    x = torch.randn(4, 64, 32, 32)
    style = torch.exp(torch.randn(4, 64)) * torch.tensor([0.01, 1.0, 10.0, 100.0])[:, None]
    result = modulated_convolution(x, torch.randn(32, 64, 3, 3), style)[:, :, 1:-1, 1:-1]
    assert torch.allclose(result.std(dim=(1, 2, 3)), torch.ones(4), atol=0.1)
    plain = modulated_convolution(x, torch.randn(32, 64, 3, 3), style, demodulate=False)
    assert plain.std(dim=(1, 2, 3)).max() > 100


def test_upsampling_is_the_paper_s_filter():
    x = torch.randn(1, 1, 6, 6)
    kernel = torch.tensor([1.0, 3, 3, 1]) / 4
    spread = torch.zeros(1, 1, 12, 12)
    spread[:, :, ::2, ::2] = x
    filtered = F.conv2d(F.pad(spread, (2, 1, 2, 1)), torch.outer(kernel, kernel)[None, None])
    assert torch.allclose(upsample(x)[:, :, 2:-2, 2:-2], filtered[:, :, 2:-2, 2:-2], atol=1e-6)


def test_noise_fixed_left_out_and_random(generator):
    for layer in generator.modules():
        if isinstance(layer, SynthesisLayer):
            torch.nn.init.constant_(layer.noise_strength, 0.5)
    w = generator.mapping(torch.randn(2, 24))
    draw = generator.synthesis
    assert torch.equal(draw(w, noise=None), draw(w, noise=None))
    assert torch.equal(draw(w, noise="fixed"), draw(w, noise="fixed"))
    assert not torch.equal(draw(w, noise="fixed"), draw(w, noise=None))
    assert not torch.equal(draw(w), draw(w))
    torch.manual_seed(3)
    first = draw(w)
    torch.manual_seed(3)
    assert torch.equal(first, draw(w))


def test_truncation_pulls_to_the_mean(generator):
    generator.compute_w_avg(500)
    z = torch.randn(4, 24)
    w = generator.mapping(z)
    assert torch.equal(generator.truncate(w, 1.0), w)
    assert torch.allclose(generator.truncate(w, 0.0), generator.w_avg.expand(4, -1))
    half = generator.truncate(w[:, None].repeat(1, generator.num_ws, 1), 0.5)
    assert torch.allclose(half[:, 0], (w + generator.w_avg) / 2, atol=1e-6)
    assert generator.w_covariance.shape == (20, 20)
    assert torch.linalg.eigvalsh(generator.w_covariance).min() > -1e-4


def test_smaller_pictures_on_the_way(generator):
    w = generator.mapping(torch.randn(2, 24))
    assert generator.synthesis(w, resolution=8).shape == (2, 3, 8, 8)


def test_bf16_agrees_with_float32():
    torch.manual_seed(0)
    generator = Generator().eval()
    z = torch.randn(4, generator.z_dim)
    with torch.no_grad():
        exact = generator(z, noise=None)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = generator(z, noise=None)
    assert rough.dtype == torch.float32
    assert (rough - exact).square().mean().sqrt() < 0.02 * exact.std()


def test_discriminator_features_and_second_derivative():
    discriminator = Discriminator(32, SMALL)
    image = torch.randn(4, 3, 32, 32, requires_grad=True)
    assert [f.shape[-1] for f in discriminator.features(image)] == [16, 8, 4]
    (slope,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
    slope.square().sum().backward()
    assert discriminator.b32.conv0.weight.grad.norm() > 0


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_no_group_mixes_photos_and_samples(count):
    """Whatever the samples of a batch are, they say nothing about its photos; a batch of 6 once had a mixed group."""
    judge = Discriminator(8, {4: 8, 8: 4})
    photos, samples = torch.randn(count, 8, 4, 4), torch.randn(2, count, 8, 4, 4)
    one, other = (judge.judge(torch.cat([photos, some]), kinds=2)[:count] for some in samples)
    assert torch.equal(one, other)


def test_minibatch_deviation_sees_a_lack_of_variety():
    alike = torch.ones(4, 2, 3, 3)
    varied = torch.randn(4, 2, 3, 3)
    seen = minibatch_deviation(torch.cat([alike, varied]))
    assert seen.shape == (8, 3, 3, 3)
    assert seen[0, 2].max() < 1e-3
    assert seen[4, 2].min() > 0.3
    assert minibatch_deviation(varied[:3]).shape == (3, 3, 3, 3)  # a batch that four does not divide


@pytest.mark.parametrize(
    ("w", "words"),
    [
        (torch.zeros(20), "add a batch axis"),
        (torch.zeros(2, 21), r"\(n, 20\) or \(n, 8, 20\)"),
        (torch.zeros(2, 7, 20), r"got \(2, 7, 20\)"),
    ],
)
def test_wrong_codes_get_one_sentence(generator, w, words):
    with pytest.raises(ValueError, match=words):
        generator.synthesis(w)


def test_wrong_arguments_get_one_sentence(generator):
    w = torch.zeros(1, 20)
    with pytest.raises(ValueError, match="7 maps"):
        generator.synthesis(w, noise="loud")
    with pytest.raises(ValueError, match="each of 7 layers, got 2"):
        generator.synthesis(w, noise=[torch.zeros(1), torch.zeros(1)])
    with pytest.raises(ValueError, match="power of two"):
        Generator(48)
    with pytest.raises(ValueError, match="missing"):
        Generator(64, channels=SMALL)
