"""The measurement of kinship: whom it takes, that likeness is asked of other photos, and what it writes."""

from __future__ import annotations

import json

import pytest
import torch

from latentlib.models.encoder import Encoder
from latentlib.models.identity import Identity
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import WEIGHTS, checksum, save_weights
from training import lfw
from training.faces import measure_kinship

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 8, 8: 8, 16: 4, 32: 4, 64: 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small networks of random weights, as they are shipped."""
    torch.manual_seed(0)
    identity = Identity()
    identity.matrix.normal_()
    networks = {
        "faces-64": Generator(64, 12, 16, 2, CHANNELS),
        "faces-64-discriminator": Discriminator(64, CHANNELS),
        "faces-64-encoder": Encoder(64, 10, 16, CHANNELS),
        "faces-64-identity": identity,
    }
    networks["faces-64"].compute_w_avg(500)
    folder = tmp_path_factory.mktemp("weights")
    for name, network in networks.items():
        save_weights(name, network, {"network": network.settings}, folder)
    return folder


@pytest.fixture
def held():
    """Seven people with two photos or more, and one with a single photo."""
    people = torch.tensor([1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8])
    numbers = torch.Generator().manual_seed(1)
    return lfw.Faces(torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8, generator=numbers), people)


@pytest.fixture
def measure(folder, held, monkeypatch):
    photos = torch.randint(0, 256, (120, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    splits = {"held_out": held, "train": lfw.Faces(photos, torch.arange(120))}
    monkeypatch.setattr(measure_kinship.lfw, "load", lambda split, device: splits[split])
    monkeypatch.setattr(measure_kinship, "TAUGHT", 100)
    yield lambda *arguments: measure_kinship.main([*arguments, "--device", "cpu", "--folder", str(folder)])
    (folder / measure_kinship.FILE).unlink(missing_ok=True)


def test_couples_are_of_people_with_two_photos_and_the_same_each_time(held):
    couples = measure_kinship.draw_couples(held, 5)
    again = measure_kinship.draw_couples(held, 5)
    for one, other in zip(couples, again, strict=True):
        assert torch.equal(one.mixed, other.mixed)
        assert torch.equal(one.others, other.others)
    whose = {held.images[k].float().div(255).sum().item(): int(held.people[k]) for k in range(len(held.people))}
    parents = [[whose[photo.sum().item()] for photo in couple.mixed] for couple in couples]
    assert [[whose[photo.sum().item()] for photo in couple.others] for couple in couples] == parents
    assert all(a != b for a, b in parents)
    assert not any(8 in couple for couple in parents)  # person 8 has one photo only
    for couple in couples:
        assert not torch.equal(couple.mixed, couple.others)


def test_what_is_written_is_what_was_measured(measure, folder, monkeypatch, capsys):
    monkeypatch.setattr(measure_kinship.tuning, "STEPS", 3)
    result = measure("--couples", "4")
    assert json.loads((folder / measure_kinship.FILE).read_text()) == result
    assert result["couples"] == 4
    kinds = [*measure_kinship.KINDS, "ghost", "another couple's child", "the mean face", "the nearest stranger"]
    assert all(list(row) == kinds for row in result["table"].values())
    assert set(result["verdict"]) == set(result["parents"]) == set(measure_kinship.KINDS)
    assert result["parents"]["tuned"] != result["parents"]["codes"]
    assert "| own parents nearest |" in capsys.readouterr().out


def test_variants_and_quick_write_nothing(measure, folder):
    result = measure("--quick", "--variants")
    assert set(result["kinds"]) == {**measure_kinship.KINDS, **measure_kinship.VARIANTS}.keys()
    table = measure_kinship.variants_table(result).splitlines()
    assert [line.split(":")[0].strip("| ") for line in table[2:]] == [*result["kinds"], "ghost"]
    assert {line.count("|") for line in table} == {8}
    assert not (folder / measure_kinship.FILE).exists()
    assert "coarse" in measure("--quick", "--kind", "coarse")["table"]["one face"]


def test_the_shipped_numbers_are_of_the_shipped_weights():
    path = WEIGHTS / measure_kinship.FILE
    if not path.exists():
        pytest.skip("not measured yet")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["weights"] == {name: checksum(name)[:16] for name in measure_kinship.NETWORKS}
    assert result["couples"] >= 4
