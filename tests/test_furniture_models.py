"""The shipped furniture models load, have their shapes, and do what the lessons use them for, on unseen pictures."""

import json

import pytest
import torch

from latentlib import weights
from latentlib.datasets import furniture
from latentlib.models.regressor import Regressor

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def unseen():
    return furniture.load(200, seed=500)


@pytest.fixture(scope="module")
def unseen_small():
    return furniture.load(200, seed=500, size=32)


def test_reader_learns_units_and_reads_in_them():
    torch.manual_seed(0)
    regressor = Regressor(("a", "b"), latent_dim=5, size=32, width=4)
    numbers = torch.randn(100, 2) * torch.tensor([10.0, 0.1]) + torch.tensor([50.0, 3.0])
    regressor.learn_units(numbers)
    images = torch.rand(7, 3, 32, 32)
    assert regressor.encode(images).shape == (7, 5)
    read = regressor(images)
    assert read.shape == (7, 2)
    assert torch.allclose(read.mean(0), torch.tensor([50.0, 3.0]), atol=10.0)
    assert (read.std(0) < torch.tensor([10.0, 0.1])).all()
    with pytest.raises(ValueError, match="images must be"):
        regressor(torch.rand(7, 3, 64, 64))


@pytest.mark.parametrize("latent_dim", [2, 4, 8, 16, 32, 64])
def test_autoencoders_rebuild_unseen_furniture_better_than_the_mean_picture(latent_dim, unseen_small):
    model, images = weights.load(f"furniture-{latent_dim}"), unseen_small.images
    assert model.encode(images).shape == (200, latent_dim)
    error = (model(images) - images).square().flatten(1).sum(1).mean()
    assert error < 0.6 * (images.mean(0) - images).square().flatten(1).sum(1).mean()


def test_the_walk_model_rebuilds_unseen_furniture(unseen):
    model, images = weights.load("furniture-walk"), unseen.images
    codes = model.encode(images)
    assert codes.shape == (200, model.latent_dim)
    assert (codes.std(0) < 1.5).all()  # spread like a standard normal distribution, or not used
    assert (codes.std(0) > 0.5).sum() >= 12  # one for each factor
    error = (model.decode(codes) - images).square().flatten(1).sum(1).mean()
    assert error < 0.3 * (images.mean(0) - images).square().flatten(1).sum(1).mean()


def test_the_reader_reads_unseen_furniture(unseen):
    read = weights.load("furniture-regressor")(unseen.images)
    assert read.shape == unseen.factors.shape
    assert ((read[:, 0] > 0.5) == (unseen.factors[:, 0] > 0.5)).float().mean() > 0.97
    for name in ("width", "height", "turn", "red", "green", "blue"):
        i = furniture.column(name)
        wrong = (read[:, i] - unseen.factors[:, i]).square().mean() / unseen.factors[:, i].var()
        assert wrong < 0.2, name


def test_the_colour_blind_code_has_eight_numbers_and_knows_the_kind(unseen_small):
    model = weights.load("furniture-colour-blind")
    assert model.encode(unseen_small.images).shape == (200, 8)
    assert not {"red", "green", "blue"} & set(model.names)
    read = model(unseen_small.images)[:, model.names.index("kind")]
    assert ((read > 0.5) == (unseen_small.factors[:, 0] > 0.5)).float().mean() > 0.95


def test_the_figures_are_those_of_the_shipped_models():
    figures = json.loads((weights.WEIGHTS / "furniture-evaluation.json").read_text())
    images, _ = furniture.load(500, seed=101, size=32)
    for latent_dim in (2, 64):
        model = weights.load(f"furniture-{latent_dim}")
        error = (model(images) - images).square().flatten(1).sum(1).mean().item()
        assert error == pytest.approx(figures["closer"][f"autoencoder, {latent_dim} numbers"]["squared_error"], rel=0.1)
