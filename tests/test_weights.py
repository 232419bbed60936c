"""Weights are checked when read, never executed, and every bad file gets one clear sentence."""

import hashlib
import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from latentlib import weights
from latentlib.device import pick_device
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import WeightsError, read_weights, save_weights

CHANNELS = {4: 8, 8: 4}


@pytest.fixture
def folder(tmp_path):
    save_weights("net", {"a": torch.randn(50, 40), "steps": torch.tensor([3])}, {"size": 8, "name": "é"}, tmp_path)
    return tmp_path


def test_round_trip(folder):
    state, settings = read_weights("net", folder)
    assert settings == {"size": 8, "name": "é"}
    assert state["a"].dtype == torch.float32
    assert state["a"].shape == (50, 40)
    assert state["steps"].item() == 3
    assert state["steps"].dtype == torch.int64
    listed = json.loads((folder / "checksums.json").read_text())["net.safetensors"]
    assert listed["bytes"] == (folder / "net.safetensors").stat().st_size < 50 * 40 * 2 + 1000  # half precision
    assert sorted(p.name for p in folder.iterdir()) == ["checksums.json", "net.safetensors"]  # nothing unfinished


def test_half_precision_can_be_refused_for_a_tensor(tmp_path):
    tiny = torch.full((3,), 1e-9)
    save_weights("net", {"spread": tiny, "other": tiny}, {}, tmp_path, keep_float32=("spread",))
    state, _ = read_weights("net", tmp_path)
    assert torch.equal(state["spread"], tiny)
    assert (state["other"] == 0).all()
    with pytest.raises(WeightsError, match="keep_float32"):
        save_weights("large", {"x": torch.tensor([1e6])}, {}, tmp_path)
    with pytest.raises(WeightsError, match="no number"):
        save_weights("nan", {"x": torch.tensor([float("nan")])}, {}, tmp_path)
    assert not (tmp_path / "nan.safetensors").exists()


def test_missing(folder):
    with pytest.raises(WeightsError, match="missing; get it again"):
        read_weights("other", folder)


def test_truncated(folder):
    path = folder / "net.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        read_weights("net", folder)


def test_altered(folder):
    path = folder / "net.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="altered"):
        read_weights("net", folder)
    path.write_bytes(bytes(content) + b"more")
    with pytest.raises(WeightsError, match="altered"):
        read_weights("net", folder)


def list_as_known(path):
    """Enter whatever lies there, so that only what is inside is judged."""
    import hashlib

    content = path.read_bytes()
    entry = {path.name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    (path.parent / "checksums.json").write_text(json.dumps(entry))


def test_foreign(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(2)}, str(path))
    with pytest.raises(WeightsError, match="does not list it"):
        read_weights("net", tmp_path)
    list_as_known(path)
    with pytest.raises(WeightsError, match="not weights of latentlib"):
        read_weights("net", tmp_path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_never_executed(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    list_as_known(path)
    with pytest.raises(WeightsError, match="not in the safetensors format"):
        read_weights("net", tmp_path)


def test_damaged_checksums(folder):
    (folder / "checksums.json").write_text("{")
    with pytest.raises(WeightsError, match="damaged"):
        read_weights("net", folder)


def test_face_networks_round_trip(tmp_path):
    torch.manual_seed(0)
    generator, discriminator = Generator(8, 6, 5, 2, CHANNELS), Discriminator(8, CHANNELS)
    generator.compute_w_avg(100)
    statistics = ("mapping.w_avg",)
    save_weights("faces-64", generator, {"network": generator.settings}, tmp_path, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings}, tmp_path)
    loaded = weights.load("faces-64", folder=tmp_path)
    assert torch.equal(loaded.w_avg, generator.w_avg)
    z = torch.randn(2, 6)
    assert torch.allclose(loaded(z, noise=None), generator(z, noise=None), atol=0.02)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    image = torch.randn(4, 3, 8, 8)
    judged = weights.load("faces-64-discriminator", folder=tmp_path)(image)
    assert torch.allclose(judged, discriminator(image), atol=0.02)
    save_weights("faces-64", discriminator, {"network": generator.settings}, tmp_path)
    with pytest.raises(WeightsError, match="another network"):
        weights.load("faces-64", folder=tmp_path)


def test_a_name_that_is_not_shipped_gets_the_list():
    with pytest.raises(WeightsError, match="no weights called 'faces'; there are: faces-64, faces-64-discriminator, "):
        weights.load("faces")


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_everything_in_the_registry_loads_and_is_described(name):
    network = weights.load(name)
    assert type(network).__name__ == weights.SHIPPED[name].network.split(".")[1]
    assert not network.training
    assert {tensor.device for tensor in network.state_dict().values()} == {pick_device()}  # "auto"
    cards = "".join(path.read_text(encoding="utf-8") for path in weights.WEIGHTS.glob("*.md"))
    world, _, rest = name.partition("-")
    assert name in cards or f"-{rest}" in cards.split(world, 1)[1]


def test_the_registry_names_every_file():
    assert {path.stem for path in weights.WEIGHTS.glob("*.safetensors")} == set(weights.SHIPPED)


def test_shipped_faces_load_without_a_network(monkeypatch):
    import socket

    def no_network(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    generator = weights.load("faces-64")
    discriminator = weights.load("faces-64-discriminator")
    picture = generator(torch.randn(4, generator.z_dim), truncation=0.7, noise="fixed")
    assert picture.shape == (4, 3, 64, 64)
    assert picture.abs().mean() < 1
    assert discriminator(picture).shape == (4,)
    values = torch.linalg.eigvalsh(generator.w_covariance)
    assert values.min() > -1e-4
    assert values.max() > 0.01
    assert (generator.mapping(torch.randn(500, generator.z_dim)).mean(0) - generator.w_avg).abs().max() < 0.5


def test_every_shipped_file_is_listed_described_and_small():
    listed = json.loads((weights.WEIGHTS / "checksums.json").read_text())
    readme = (weights.WEIGHTS / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in weights.WEIGHTS.glob("*.safetensors"))
    assert files == sorted(listed)
    for name in files:
        read_weights(name.removesuffix(".safetensors"))
        card = weights.WEIGHTS / f"{name.split('-')[0]}.md"  # a family's own card, which the README must link
        assert name in readme or (card.exists() and f"({card.name})" in readme), f"{name} has no model card"
        assert listed[name]["bytes"] < 12e6


def test_the_checksum_of_a_file(folder):
    assert weights.checksum("net", folder) == hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="does not list other"):
        weights.checksum("other", folder)
