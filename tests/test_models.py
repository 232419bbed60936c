"""The networks other than StyleGAN2: shapes, ranges, known values, and what the shipped ones do on unseen pictures."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from latentlib import weights
from latentlib.datasets import furniture, portraits
from latentlib.models.autoencoder import Autoencoder, ConvAutoencoder
from latentlib.models.encoder import Encoder
from latentlib.models.identity import Identity
from latentlib.models.landmarks import BlazeFace
from latentlib.models.regressor import Regressor
from latentlib.models.stylegan2 import Discriminator
from latentlib.models.tiny_autoencoder import TinyAutoencoder
from latentlib.models.vae import VAE, elbo_parts, kl_divergence, negative_elbo

pytestmark = pytest.mark.usefixtures("one_thread")
MODELS = [
    (lambda: Autoencoder(3), (1, 28, 28)),
    (lambda: Autoencoder(3, shape=(3, 8, 8), hidden=()), (3, 8, 8)),
    (lambda: ConvAutoencoder(3), (3, 64, 64)),
    (lambda: ConvAutoencoder(3, channels=1, size=8), (1, 8, 8)),
    (lambda: VAE(3), (1, 28, 28)),
]


def all_learn(model: nn.Module, result: torch.Tensor) -> bool:
    result.sum().backward()
    return all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


# --- autoencoders


@pytest.mark.parametrize(("make", "shape"), MODELS)
def test_pictures_become_codes_become_pictures(make, shape):
    torch.manual_seed(0)
    model, images = make(), torch.rand(2, *shape)
    codes = model.encode(images)
    assert codes.shape == (2, 3)
    assert torch.equal(codes, model.encode(images))
    decoded = model.decode(10 * codes)
    assert decoded.shape == images.shape
    assert 0 <= decoded.min() < decoded.max() <= 1
    if not isinstance(model, VAE):
        assert torch.equal(model(images), model.decode(codes))
        assert all_learn(model, model(images))
    for wrong in (images[0], images.flatten(1)):
        with pytest.raises(ValueError, match="images must be"):
            model.encode(wrong)
    for wrong in (codes[0], codes[:, :2]):
        with pytest.raises(ValueError, match=r"codes must be \(n, 3\)"):
            model.decode(wrong)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.decode(codes).dtype == torch.float32


def test_the_vae_gives_logits_means_and_variances_and_draws_from_the_cloud_it_names():
    torch.manual_seed(0)
    vae, images = VAE(2), torch.rand(3, 1, 28, 28)
    logits, mean, log_variance = vae(images)
    assert logits.shape == images.shape
    assert torch.equal(mean, vae.encode(images))
    assert torch.equal(log_variance, vae.distribution(images)[1])
    assert all_learn(vae, negative_elbo((logits, mean, log_variance), images))
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -2.0]])
    codes = vae.sample(mean.expand(20_000, 2), log_variance.expand(20_000, 2))
    assert torch.allclose(codes.mean(0), mean[0], atol=0.03)
    assert torch.allclose(codes.var(0).log(), log_variance[0], atol=0.06)


def test_the_elbo_is_in_nats_as_torch_distributions_count_them():
    from torch.distributions import Bernoulli, Normal
    from torch.distributions import kl_divergence as kl

    torch.manual_seed(0)
    images, logits = torch.rand(5, 1, 4, 4).round(), 3 * torch.randn(5, 1, 4, 4)
    mean, log_variance = torch.randn(2, 5, 3)
    missed, divergence = elbo_parts((logits, mean, log_variance), images)
    expected = -Bernoulli(logits=logits).log_prob(images).flatten(1).sum(1).mean()
    assert missed.item() == pytest.approx(expected.item(), rel=1e-5)
    cloud = Normal(mean, (0.5 * log_variance).exp())
    assert divergence.item() == pytest.approx(kl(cloud, Normal(0, 1)).sum(1).mean().item(), rel=1e-5)
    assert divergence == kl_divergence(mean, log_variance)
    assert negative_elbo((logits, mean, log_variance), images).item() == pytest.approx((missed + divergence).item())


def test_a_pixel_that_is_certain_and_wrong_costs_its_logit():
    """After a sigmoid, float32 rounds such a pixel to 1 and torch clamps its cost to 100."""
    logits, images, mean = torch.full((1, 1, 1, 1), 300.0), torch.zeros(1, 1, 1, 1), torch.zeros(1, 2)
    assert elbo_parts((logits, mean, mean), images)[0].item() == pytest.approx(300)


# --- the regressor, and furniture


def test_the_regressor_reads_in_the_units_of_its_numbers():
    torch.manual_seed(0)
    regressor, images = Regressor(("a", "b"), latent_dim=5, size=32, width=4), torch.rand(7, 3, 32, 32)
    numbers = torch.randn(100, 2) * torch.tensor([10.0, 0.1]) + torch.tensor([50.0, 3.0])
    regressor.mean, regressor.spread = numbers.mean(0), numbers.std(0)
    assert regressor.encode(images).shape == (7, 5)
    read = regressor(images)
    assert read.shape == (7, 2)
    assert torch.allclose(read.mean(0), torch.tensor([50.0, 3.0]), atol=10.0)
    assert (read.std(0) < torch.tensor([10.0, 0.1])).all()
    with pytest.raises(ValueError, match="images must be"):
        regressor(torch.rand(7, 3, 64, 64))


@pytest.fixture(scope="module")
def unseen():
    return furniture.load(200, seed=500)


def test_shipped_furniture_models_do_on_unseen_pieces_what_they_are_used_for(unseen):
    small = F.avg_pool2d(unseen.images, 2)
    for name, images, most in [
        ("furniture-2", small, 0.6),
        ("furniture-64", small, 0.6),
        ("furniture-walk", None, 0.3),
    ]:
        images = unseen.images if images is None else images
        error = (weights.load(name, "cpu")(images) - images).square().mean()
        assert error < most * (images.mean(0) - images).square().mean()
    codes = weights.load("furniture-walk", "cpu").encode(unseen.images)
    assert codes.std(0).max() < 1.5  # spread like a standard normal distribution, or not used
    assert (codes.std(0) > 0.5).sum() >= 12  # one for each factor
    read = weights.load("furniture-regressor", "cpu")(unseen.images)
    unexplained = (read - unseen.factors).square().sum(0) / (unseen.factors - unseen.factors.mean(0)).square().sum(0)
    assert (unexplained < 0.35).float().mean() > 0.8
    assert weights.load("furniture-colour-blind", "cpu").encode(small).shape == (200, 8)


# --- faces


def test_the_encoder_starts_at_the_mean_w_and_learns_everywhere():
    torch.manual_seed(0)
    encoder = Encoder(16, num_ws=6, w_dim=7, channels={4: 8, 8: 8, 16: 8})
    encoder.w_avg.copy_(torch.arange(7.0))
    images = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert torch.equal(encoder(images), torch.arange(7.0).expand(2, 6, 7))
    for name, parameter in encoder.named_parameters():
        if name.startswith("head"):
            nn.init.normal_(parameter)
    assert all_learn(encoder, encoder(images).square())
    assert images.grad.abs().max() > 0
    with pytest.raises(ValueError, match="add a batch axis"):
        encoder(images[0])


def test_the_encoder_s_trunk_takes_a_discriminator_s_weights():
    encoder, discriminator = Encoder(16, 6, 7, {4: 8, 8: 8, 16: 8}), Discriminator(16, {4: 8, 8: 8, 16: 8})
    missing, _ = encoder.load_state_dict(discriminator.state_dict(), strict=False)
    assert all(key == "w_avg" or key.startswith(("read", "head")) for key in missing)
    images = torch.randn(2, 3, 16, 16)
    x = encoder.b8(encoder.b16(encoder.b16.fromrgb(images)))
    assert torch.allclose(x, discriminator.features(images)[-1], atol=1e-5)


@pytest.fixture
def pictures():
    coarse = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, 64, mode="bilinear")


def apart(identity, a, b):
    return 1 - (identity.embed(a) * identity.embed(b)).sum(1)


def test_identity_codes_have_length_one_and_light_colour_and_mirrors_do_not_matter(pictures):
    torch.manual_seed(0)
    identity = Identity(size=20)
    identity.matrix.normal_()
    codes = identity.embed(pictures)
    assert codes.shape == (6, 20)
    assert codes.norm(dim=1).tolist() == pytest.approx([1] * 6)
    assert apart(identity, pictures[:3], pictures[3:]).min() > 0.01
    grey = (pictures * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert apart(identity, pictures, pictures * 0.6 + 0.2).max() < 0.02
    assert apart(identity, pictures, grey).max() < 1e-4
    assert apart(identity, pictures, pictures.flip(3)).max() < 1e-4
    picture = pictures[:1].requires_grad_()
    apart(identity, picture, pictures[1:2].detach()).sum().backward()
    assert picture.grad.abs().max() > 0
    for shape in [(3, 64, 64), (2, 1, 64, 64), (2, 3, 32, 32)]:
        with pytest.raises(ValueError, match="images must be"):
            identity.embed(torch.zeros(shape))


def test_identity_sees_which_way_a_step_faces():
    network, picture = Identity(), torch.zeros(1, 3, 64, 64)
    picture[..., 32:] = 1  # dark on the left, light on the right: the step faces right, direction 0
    seen = [network.edges(x).view(8, -1).mean(1).argmax() for x in (picture, picture.flip(3), picture.mT)]
    assert seen == [0, 4, 2]
    assert torch.isfinite(network.embed(torch.zeros(1, 3, 64, 64))).all()  # nothing to see: no number is lost


@torch.no_grad()
def test_a_face_changed_a_little_is_nearer_than_another_face():
    generator, identity = weights.load("faces-64", "cpu"), weights.load("faces-64-identity", "cpu")
    z = torch.randn(32, 256, generator=torch.Generator().manual_seed(5))
    a, b = generator.truncate(generator.mapping(z), 0.7).chunk(2)
    face, other = generator.draw(a), generator.draw(b)
    for changed in (generator.draw(a + 0.15 * (b - a)), face * 0.7 + 0.1, face.roll(1, dims=3)):
        near, far = apart(identity, face, changed), apart(identity, face, other)
        assert (near < far).float().mean() >= 15 / 16
        assert near.mean() < far.mean() / 2
    stored = json.loads((weights.WEIGHTS / "faces-64-identity.json").read_text(encoding="utf-8"))["auc"]
    shipped = stored["edges, discriminants (shipped)"]
    assert all(shipped >= value for value in stored.values())


def test_blazeface_finds_grace_hopper_s_eyes():
    """As OpenCV runs Google's own file: (217.5, 198.5) and (303.2, 184.2) in the photo of 512 × 600, score 0.94."""
    from PIL import Image

    photo = Image.fromarray(portraits.photo("hopper"))
    square = Image.new("RGB", (600, 600))
    square.paste(photo, (44, 0))
    picture = torch.frombuffer(bytearray(square.resize((128, 128)).tobytes()), dtype=torch.uint8)
    picture = picture.view(1, 128, 128, 3).permute(0, 3, 1, 2) / 127.5 - 1
    network = weights.load("face-landmarks", "cpu")
    assert isinstance(network, BlazeFace)
    scores, points = network(picture)
    assert scores.shape == (1, 896)
    best = scores.argmax()
    assert scores.max() > 0.9
    eyes = points[0, best, 2:4] * 600 / 128 - torch.tensor([44.0, 0.0])
    assert torch.allclose(eyes, torch.tensor([[217.5, 198.5], [303.2, 184.2]]), atol=6)


# --- FLUX.2's


def test_the_tiny_autoencoder_s_shapes():
    network = TinyAutoencoder().eval()
    assert sum(p.numel() for p in network.parameters()) == 2_677_027
    codes = network.encode(torch.rand(1, 3, 16, 24))
    assert codes.shape == (1, 32, 2, 3)
    picture = network.decode(100 * codes)
    assert picture.shape == (1, 3, 16, 24)
    assert picture.min() >= 0
    assert picture.max() <= 1
    for wrong in (torch.rand(3, 16, 16), torch.rand(1, 3, 16, 17), torch.rand(1, 1, 16, 16)):
        with pytest.raises(ValueError, match="images must be"):
            network.encode(wrong)
    for wrong in (codes[0], codes[:, :16]):
        with pytest.raises(ValueError, match="codes must be"):
            network.decode(wrong)


def test_the_tiny_autoencoder_gives_the_two_portraits_back():
    import numpy as np
    from PIL import Image

    from latentlib.settings import cache_folder, data_folder

    if not any(place and any(place.glob("taef2/*.pth")) for place in (data_folder(), cache_folder())):
        pytest.skip("FLUX.2's tiny autoencoder is not on this machine")
    boxes = {"hopper": (110, 60, 410, 360), "collins": (110, 0, 340, 230)}
    cut = [Image.fromarray(portraits.photo(name)).crop(box) for name, box in boxes.items()]
    small = [np.asarray(picture.resize((256, 256), Image.Resampling.LANCZOS)) for picture in cut]
    images = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255
    network = weights.load("taef2", "cpu")
    codes = network.encode(images)
    assert codes.shape == (2, 32, 32, 32)
    assert 0.8 < codes.std() < 1.1
    error = (network.decode(codes) - images).square().flatten(1).mean(1)
    assert (-10 * error.log10()).tolist() == pytest.approx([28.6, 33.3], abs=0.3)
