"""NVIDIA's StyleGAN2 draws what its published equations say, and is called as the course's generator is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference_stylegan2 as reference
from latentlib import weights
from latentlib.gan import blending, tuning
from latentlib.gan.inversion import invert
from latentlib.metrics import perceptual_distance, psnr
from latentlib.models import stylegan, stylegan2
from latentlib.models.stylegan2 import Discriminator, Generator

SMALL = {4: 16, 8: 16, 16: 8}
STORED = np.load(reference.STORED)


@pytest.fixture(scope="module", params=[64, 256])
def drawn(request):
    """resolution, and a function that draws the reference's settings with the network under test."""
    r = request.param
    size = reference.Z_DIM[r]
    generator = Generator(r, size, size, reference.LAYERS[r], reference.WIDTHS[r], reference.CLAMP[r])
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
    difference = np.abs(reference.thinned(picture, r) - expected).max()
    assert difference < 1e-4 * np.ptp(expected)


def test_the_clamp_cuts_in_the_reference():
    """Else the comparison would not see it: at 64 pixels the limit is low."""
    r = 64
    drawn = [
        reference.synthesis(reference.random_weights(r), reference.settings(r)["w_plus"][0], False, clamp)
        for clamp in (reference.CLAMP[r], 1e9)
    ]
    assert np.abs(drawn[0] - drawn[1]).max() > 0.1


def test_doubling_is_the_sum_of_shifted_pictures():
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = stylegan2.filter_2d().double()
    assert torch.allclose(stylegan2.upsample(x, kernel)[0], torch.from_numpy(reference.doubled(x[0].numpy())))
    inside = stylegan.upsample(x)[..., 2:-2, 2:-2]  # away from the border it is linear interpolation
    assert torch.allclose(stylegan2.upsample(x, kernel)[..., 2:-2, 2:-2], inside)


def test_the_discriminator_is_that_of_the_equations():
    """A block, summed by hand: filter, then every second place; both ways brought to half their variance."""
    torch.manual_seed(0)
    block = stylegan2.DiscriminatorBlock(3, 4, first=True).double()
    picture = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    kernel = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])).double() / 64

    def filtered(x, padding):  # (n, c, h, w): sixteen shifted pictures
        x = F.pad(x, (padding,) * 4)
        side = x.shape[-1] - 3
        return sum(kernel[a, b] * x[..., a : a + side, b : b + side] for a in range(4) for b in range(4))

    def bent(x):
        return torch.where(x < 0, 0.2 * x, x) * 2**0.5

    x = bent(F.conv2d(picture, block.fromrgb.weight / 3**0.5))
    way = bent(F.conv2d(x, block.conv0.weight / 27**0.5, padding=1))
    way = bent(F.conv2d(filtered(way, 2), block.conv1.weight / 27**0.5)[..., ::2, ::2])
    skip = F.conv2d(filtered(x, 1)[..., ::2, ::2], block.skip.weight / 3**0.5)
    found = block.skip(block.fromrgb(picture)) + block.conv1(block.conv0(block.fromrgb(picture)))
    assert torch.allclose(found, (way + skip) * 0.5**0.5)


def test_minibatch_deviation_groups_as_nvidia_does():
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found = stylegan2.minibatch_deviation(x)[:, 3]
    for first in (0, 1):  # 0, 2, 4, 6 and 1, 3, 5, 7
        expected = (x[first::2].var(0, unbiased=False) + 1e-8).sqrt().mean()
        assert torch.allclose(found[first::2], expected.expand(4, 2, 2))


def test_channels_are_those_of_the_official_files():
    assert stylegan2.official_channels(256, base=16384) == {
        **dict.fromkeys((4, 8, 16, 32), 512), 64: 256, 128: 128, 256: 64,
    }  # fmt: skip
    assert list(stylegan2.official_channels(1024).values()) == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in Generator(r, channels=stylegan2.official_channels(r, base)).parameters())
            for r, base in ((256, 16384), (1024, 32768))
        ]
    assert [round(count / 1e6, 2) for count in counts] == [24.77, 30.37]


def test_16_bit_numbers_draw_nearly_the_same():
    """On the CPU by hand: on a GPU the block chooses them itself."""
    torch.manual_seed(0)
    block = stylegan2.SynthesisBlock(8, 8, 12, 16)
    x, rgb, ws = torch.randn(2, 8, 8, 8) * 100, torch.randn(2, 3, 8, 8), torch.randn(2, 3, 12)
    whole = block.conv1(block.conv0(x, ws[:, 0], None), ws[:, 1], None)
    half = block.conv1(block.conv0(x.half(), ws[:, 0], None), ws[:, 1], None)
    assert half.dtype == torch.float16
    assert (half.float() - whole).abs().max() < 0.01 * whole.abs().max()
    assert block(x, rgb, ws, [None, None])[0].dtype == torch.float32
    assert [stylegan2.half_from(256, n) for n in (0, 1, 4)] == [float("inf"), 256, 32]


# --- used as the course's generator is -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    made = Generator(16, 12, 12, 2, SMALL)
    made.compute_w_avg(1000)
    return made.requires_grad_(False)


def test_it_is_called_as_the_course_s_generator(generator):
    w = generator.mapping(torch.randn(2, 12))
    assert generator.draw(w).shape == (2, 3, 16, 16)
    w_plus = w[:, None].repeat(1, generator.num_ws, 1)
    assert torch.equal(generator.synthesis(w, None), generator.synthesis(w_plus, None))
    assert torch.allclose(generator.truncate(w, 0.0), generator.w_avg.expand(2, -1))
    assert generator.synthesis(w, None, resolution=8).shape == (2, 3, 8, 8)
    with pytest.raises(ValueError, match="add a batch axis"):
        generator.synthesis(w[0])
    with pytest.raises(ValueError, match='noise must be "random"'):
        generator.synthesis(w, "const")
    with pytest.raises(ValueError, match=r"channels must name .* \[16\] missing"):
        Generator(16, channels={4: 4, 8: 4})


@pytest.mark.parametrize("method", ["z", "w", "w+", "p-norm"])
def test_every_search_works_unchanged(generator, method):
    discriminator = Discriminator(16, SMALL)
    aim = generator.draw(generator.mapping(torch.randn(2, 12, generator=torch.Generator().manual_seed(5))))
    found = invert(generator, aim, method, steps=30, discriminator=discriminator, progress=False)
    start = invert(generator, aim, "w", steps=1, progress=False).errors
    assert (found.errors < start).all()
    child = blending.blend(*found.codes, sibling=1)
    assert found.generator.draw(child[None]).shape == (1, 3, 16, 16)
    assert perceptual_distance(discriminator, aim, aim).max() == 0


def test_tuning_works_unchanged_and_leaves_the_generator(generator):
    before = generator.state_dict()["synthesis.b16.conv1.weight"].clone()
    photos = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = tuning.pivots(generator, photos, steps=10, progress=False)
    tuned = tuning.tune(
        generator, found.codes, photos, discriminator=Discriminator(16, SMALL), steps=10, progress=False
    )
    assert (tuned.errors < found.errors).all()
    assert torch.equal(before, generator.synthesis.b16.conv1.weight)
    assert torch.allclose(tuned.generator.draw(found.codes), tuned.images, atol=1e-5)


@pytest.mark.parametrize("half_resolutions", [0, 2])
def test_gradients_reach_every_weight(half_resolutions):
    torch.manual_seed(0)
    made = Generator(16, 12, 12, 2, SMALL, half_resolutions=half_resolutions)
    judge = Discriminator(16, SMALL, half_resolutions=half_resolutions)
    judge(made(torch.randn(4, 12))).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in made.parameters())
    assert all(p.grad is not None for p in judge.parameters())


# --- the stand-in ----------------------------------------------------------------------------------------------------


def test_the_stand_in_draws_what_its_teacher_draws():
    """The mean face is the rival; where faces-64 was trained anew since, only that the stand-in's faces differ."""
    standin = weights.load_stylegan2(device="cpu").generator
    assert isinstance(standin, Generator)
    z = torch.randn(16, standin.z_dim, generator=torch.Generator().manual_seed(77))
    w = standin.mapping(z)
    assert (w - standin.w_avg).norm(dim=1).mean() > 1
    drawn = standin.draw(w)
    assert psnr(drawn, drawn.roll(1, 0)).mean() < 15
    if weights.read_weights("stylegan2-64")[1]["teacher"] != weights.checksum("faces-64"):
        pytest.skip("it learned from another generator than faces-64; run python -m training.faces.distil again")
    course = weights.load("faces-64", "cpu")
    assert torch.allclose(w, course.mapping(z), atol=0.05)
    likeness = psnr(drawn, course.draw(w))
    mean_face = psnr(course.draw(course.w_avg[None]).expand(16, -1, -1, -1), course.draw(w))
    assert likeness.mean() > 23
    assert (likeness > mean_face).all()


def test_the_stand_in_fits_into_nvidia_s_file_and_comes_back(tmp_path, monkeypatch):
    from training.faces.nvidia_pickle import file_of

    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    standin = weights.load_stylegan2(device="cpu").generator
    path = tmp_path / "stand-in.pkl"
    path.write_bytes(file_of(standin, Discriminator(64, dict.fromkeys((4, 8, 16, 32, 64), 4))))
    again = weights.load_stylegan2(path).generator
    w = standin.w_avg[None]
    assert torch.equal(standin.draw(w), again.draw(w))


@pytest.mark.parametrize(("resolution", "layers"), [(256, 14), (512, 16), (1024, 18)])
def test_a_file_of_each_official_size_becomes_networks(resolution, layers, tmp_path, monkeypatch):
    """NVIDIA's layout and depth; only the channels are few, so that the file is small."""
    from training.faces.nvidia_pickle import file_of

    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    channels = stylegan2.official_channels(resolution, base=4 * resolution, most=8)
    generator, discriminator = Generator(resolution, channels=channels), Discriminator(resolution, channels)
    path = tmp_path / "ffhq.pkl"
    path.write_bytes(file_of(generator, discriminator))
    again, judge = weights.load_stylegan2(path, "cpu")
    assert (again.resolution, again.num_ws, again.w_dim) == (resolution, layers, 512)
    w = torch.randn(1, layers, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        picture = generator.draw(w)
        assert picture.std() > 0.05, "a flat picture proves nothing"
        assert torch.allclose(
            again.draw(w), picture, atol=1e-5
        )  # loaded for channels last, which adds in another order
        assert torch.allclose(judge(picture), discriminator(picture), atol=1e-4)
