"""StyleGAN2 draws what its published equations say, and the shipped networks what they drew in version 0.2."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import reference_stylegan2 as reference
from latentlib import weights
from latentlib.models import stylegan2
from latentlib.models.stylegan2 import Discriminator, Generator, minibatch_deviation

SMALL = {4: 16, 8: 16, 16: 8}
STORED = np.load(reference.STORED)
GOLDEN = Path(__file__).with_name("golden_faces.png")


@pytest.fixture(params=["bilinear", "fir"])
def generator(request):
    torch.manual_seed(0)
    made = Generator(16, 12, 10, 2, SMALL, request.param)
    made.compute_w_avg(1000)
    for layer in made.modules():
        if isinstance(layer, stylegan2.SynthesisLayer):
            torch.nn.init.constant_(layer.noise_strength, 0.5)
    return made


# --- the shipped networks


@pytest.fixture(scope="module")
def golden():
    """Rows of four faces, as the weights drew them when they came: faces-64, its layers mixed, both of stylegan2-64."""
    grid = torch.from_numpy(np.array(Image.open(GOLDEN))) / 255
    return grid.reshape(4, 64, 4, 64, 3).permute(0, 2, 4, 1, 3)  # (row, face, 3, 64, 64)


@pytest.mark.parametrize(("name", "row"), [("faces-64", 0), ("stylegan2-64", 2)])
def test_shipped_generators_draw_what_they_drew(golden, name, row):
    network = weights.load(name, "cpu")
    z = torch.randn(4, 256, generator=torch.Generator().manual_seed(2026))
    w = network.truncate(network.mapping(z), 0.7)
    assert (network.draw(w) - golden[row]).abs().max() <= 1 / 255
    half = torch.arange(network.num_ws)[:, None] < network.num_ws // 2
    mixed = torch.where(half, w[:, None], w.roll(1, 0)[:, None])
    drawn = (network.synthesis(mixed, "fixed") / 2 + 0.5).clamp(0, 1)
    assert (drawn - golden[row + 1]).abs().max() <= 1 / 255


def test_the_shipped_discriminator_and_encoder_answer_what_they_answered(golden):
    faces = golden[0] * 2 - 1  # the rounding to 8 bits moves the answers a little
    judge = weights.load("faces-64-discriminator", "cpu")
    assert judge(faces).tolist() == pytest.approx([-1.637, -1.768, -1.320, -1.068], abs=0.05)
    alone = torch.cat([judge(face) for face in faces.split(1)])
    assert alone.tolist() == pytest.approx([-8.275, -8.454, -8.321, -7.897], abs=0.05)
    features = [level.mean().item() for level in judge.features(faces)]
    assert features == pytest.approx([0.2427, 0.2097, 0.3166, 0.0432], abs=2e-3)
    codes = weights.load("faces-64-encoder", "cpu")(faces)
    assert codes[:, 9, -1].tolist() == pytest.approx([0.975, 0.749, 0.376, 0.657], abs=0.02)


# --- the published equations


@pytest.fixture(scope="module", params=[64, 256])
def drawn(request):
    """resolution, and a network with the reference's numbers."""
    r = request.param
    size = reference.Z_DIM[r]
    settings = {"resample": "fir", "conv_clamp": reference.CLAMP[r]}
    generator = Generator(r, size, size, reference.LAYERS[r], reference.WIDTHS[r], **settings)
    state = {name: torch.from_numpy(value) for name, value in reference.random_weights(r).items()}
    generator.load_state_dict(state)  # NVIDIA's names, all of them and no other
    return r, generator.requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("w", None),
        ("w", "fixed"),
        ("truncation 0.5", None),
        ("truncation 0.5", "fixed"),
        ("w_plus", None),
        ("style mixing", "fixed"),
    ],
)
def test_the_picture_is_that_of_the_equations(drawn, name, noise):
    r, generator = drawn
    key = f"{r} {name}" if name in ("w_plus", "style mixing") else f"{r} {name}, noise {noise or 'off'}"
    z, w_plus = (torch.from_numpy(codes) for codes in reference.random_codes(r))
    first, second = generator.mapping(z)
    half = generator.num_ws // 2
    codes = {
        "w": first[None],
        "truncation 0.5": generator.truncate(first[None], 0.5),
        "w_plus": w_plus,
        "style mixing": torch.stack([first] * half + [second] * (generator.num_ws - half))[None],
    }[name]
    picture = generator.synthesis(codes, noise)[0].numpy()
    expected = STORED[key]
    assert np.abs(reference.thinned(picture, r) - expected).max() < 1e-4 * np.ptp(expected)


def test_the_discriminator_is_that_of_the_equations():
    """A block, summed by hand: of four pixels the mean; both ways brought to half their variance."""
    torch.manual_seed(0)
    block = stylegan2.DiscriminatorBlock(3, 4, reads_rgb=True).double()
    picture = torch.randn(2, 3, 8, 8, dtype=torch.float64)

    def bent(x):
        return torch.where(x < 0, 0.2 * x, x) * 2**0.5

    def halved(x):
        return sum(x[..., a::2, b::2] for a in (0, 1) for b in (0, 1)) / 4

    x = bent(F.conv2d(picture, block.fromrgb.weight / 3**0.5))
    way = bent(F.conv2d(x, block.conv0.weight / 27**0.5, padding=1))
    way = bent(F.conv2d(halved(way), block.conv1.weight / 27**0.5, padding=1))
    skip = F.conv2d(halved(x), block.skip.weight / 3**0.5)
    assert torch.allclose(block(block.fromrgb(picture)), (way + skip) * 0.5**0.5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_modulated_convolutions_equal_grouped_ones(kernel):
    """The formulation of the original: build each picture's own weights, convolve all in groups."""
    torch.manual_seed(0)
    x, w = torch.randn(3, 6, 9, 9), torch.randn(3, 7)
    layer = (
        stylegan2.ToRGB(6, 7, None) if kernel == 1 else stylegan2.SynthesisLayer(6, 5, 7, 9, False, "bilinear", None)
    )
    style = layer.affine(w) / (6**0.5 if kernel == 1 else 1)
    own = layer.weight[None] * style[:, None, :, None, None]
    if kernel == 3:
        own = own * (own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    expected = F.conv2d(x.reshape(1, 18, 9, 9), own.flatten(0, 1), padding=kernel // 2, groups=3).reshape(3, -1, 9, 9)
    if kernel == 1:
        assert torch.allclose(layer(x, w), expected, atol=1e-4)
    else:
        bent = torch.where(expected < 0, 0.2 * expected, expected) * 2**0.5
        assert torch.allclose(layer(x, w, None), bent, atol=1e-4)


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (8, [[0, 2, 4, 6], [1, 3, 5, 7]]),
        (3, [[0, 1, 2]]),
        (6, [[0, 2, 4], [1, 3, 5]]),
        (5, [[0], [1], [2], [3], [4]]),
        (1, [[0]]),
    ],
)
def test_minibatch_deviation_groups_as_nvidia_does(count, groups):
    x = torch.randn(count, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found = minibatch_deviation(x)[:, 3]
    for members in groups:
        expected = (x[members].var(0, unbiased=False) + 1e-8).sqrt().mean()
        assert torch.allclose(found[members], expected.expand(len(members), 2, 2))


# --- how it is used


def test_w_and_the_same_w_plus_draw_the_same_picture(generator):
    w = generator.mapping(torch.randn(2, 12))
    w_plus = w[:, None].repeat(1, generator.num_ws, 1)
    assert generator.num_ws == 2 * int(math.log2(16)) - 2
    assert torch.equal(generator.draw(w), generator.draw(w_plus))
    assert 0 <= generator.draw(w).min() < generator.draw(w).max() <= 1
    assert generator.synthesis(w, resolution=8).shape == (2, 3, 8, 8)
    w_plus[:, -1] += 1  # only the last torgb
    assert not torch.equal(generator.draw(w), generator.draw(w_plus))


def test_noise_fixed_and_left_out(generator):
    w, draw = generator.mapping(torch.randn(2, 12)), generator.synthesis
    assert torch.equal(draw(w, "fixed"), draw(w, "fixed"))
    assert not torch.equal(draw(w, "fixed"), draw(w, None))
    assert torch.equal(draw(w), draw(w, None))


def test_truncation_pulls_to_the_mean(generator):
    w = generator.mapping(torch.randn(4000, 12))
    assert (w.mean(0) - generator.w_avg).abs().max() < 0.1
    assert torch.equal(generator.truncate(w, 1), w)
    assert torch.allclose(generator.truncate(w, 0), generator.w_avg.expand(4000, -1))
    assert torch.allclose(generator.truncate(w[:, None], 0.5)[:, 0], (w + generator.w_avg) / 2, atol=1e-6)


def test_gradients_reach_every_weight_and_all_that_is_searched(generator):
    z = torch.randn(4, 12, requires_grad=True)
    picture = generator(z, noise="fixed")
    judge = Discriminator(16, SMALL)
    judge(picture).sum().backward()
    for parameter in [z, *generator.parameters(), *judge.parameters()]:
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0
    image = torch.randn(4, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(judge(image).sum(), image, create_graph=True)
    judge.zero_grad()
    slope.square().sum().backward()  # R1 needs the second derivative
    assert judge.b16.conv0.weight.grad.norm() > 0


def test_bf16_agrees_with_float32():
    torch.manual_seed(0)
    generator, z = Generator().eval(), torch.randn(4, 256)
    with torch.no_grad():
        exact = generator(z, noise=None)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = generator(z, noise=None)
    assert rough.dtype == torch.float32
    assert (rough - exact).square().mean().sqrt() < 0.02 * exact.std()


def test_sizes_of_the_course_s_and_of_the_official_networks():
    from torch.utils.flop_counter import FlopCounterMode

    generator = Generator()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(torch.randn(1, generator.z_dim))
    assert counter.get_total_flops() / 2 < 0.75e9
    coarse = dict.fromkeys((4, 8, 16, 32), 512)
    channels = [{**coarse, 64: 256, 128: 128, 256: 64}, {**coarse, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}]
    with torch.device("meta"):
        official = [Generator(max(c), 512, 512, 8, c, "fir") for c in channels]
    assert [round(sum(p.numel() for p in network.parameters()) / 1e6, 2) for network in official] == [24.77, 30.37]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g: g.synthesis(torch.zeros(10)),
        lambda g: g.synthesis(torch.zeros(2, 11)),
        lambda g: g.synthesis(torch.zeros(2, 5, 10)),
        lambda g: g.synthesis(torch.zeros(1, 10), "loud"),
        lambda g: Generator(128),  # whose channels nobody has told
        lambda g: Discriminator(48),
    ],
)
def test_wrong_arguments_are_refused(generator, wrong):
    with pytest.raises(ValueError, match=r"w must be|noise must be|resolution must be"):
        wrong(generator)
