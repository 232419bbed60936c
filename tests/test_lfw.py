"""LFW is aligned once, split by person, and says which photos it leaves out; what is not whole is not kept."""

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import settings
from latentlib.datasets import portraits
from training import lfw


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A whole copy of a small LFW: of six photos of three people one has no face. Gives its folder."""
    monkeypatch.setattr(lfw, "PHOTOS", 6)
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path))
    monkeypatch.setattr(settings, "_caches", lambda: [tmp_path / "cache"])  # not this clone's, which may hold LFW
    lfw._aligned.cache_clear()
    folder = tmp_path / "lfw_home" / "lfw_funneled"
    face = Image.fromarray(portraits.photo("hopper")[60:460, 56:456]).resize((250, 250))
    for person in range(3):
        (folder / f"Person_{person}").mkdir(parents=True)
        for number in range(2):
            picture = Image.new("RGB", (250, 250), "grey") if (person, number) == (1, 1) else face
            picture.save(folder / f"Person_{person}" / f"Person_{person}_{number:04d}.jpg", quality=95)
    return folder


def test_photos_are_aligned_once_and_those_without_a_face_are_left_out(copy, monkeypatch, capsys):
    loaded = lfw.load("all")
    assert loaded.images.shape == (5, 3, 64, 64)
    assert loaded.images.dtype == torch.uint8
    assert loaded.people.tolist() == [0, 0, 1, 2, 2]
    everyone, kinds = lfw.everything()
    assert len(everyone.images) == 6
    assert kinds.tolist() == [0, 0, 0, 1, 0, 0]
    assert lfw.counts() == {"used": 5, "no face": 1, "another place": 0, "profile": 0, "damaged": 0}
    assert "6 photos of 3 people; 16.7% are left out" in capsys.readouterr().out
    lfw._aligned.cache_clear()
    monkeypatch.delenv("LATENTLIB_DATA")
    assert torch.equal(lfw.load("all").images, loaded.images)  # from the cache
    with pytest.raises(ValueError, match="split"):
        lfw.load("test")


def test_one_photo(copy, one_thread):
    points, image = lfw.align(copy / "Person_0" / "Person_0_0000.jpg")
    assert np.abs(points[:2] - np.array([(104, 81), (156, 79)])).max() < 6  # Hopper's eyes, measured by hand
    assert image.shape == (3, 64, 64)
    assert lfw.align(copy / "Person_1" / "Person_1_0001.jpg") == (None, None)  # no face
    (copy / "cut.jpg").write_bytes(b"\xff\xd8")
    points, image = lfw.align(copy / "cut.jpg")
    assert points is None
    assert image.max() == 0


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_copy_that_is_not_whole_is_used_named_and_not_kept(copy, capsys, fault):
    path = copy / "Person_2" / "Person_2_0001.jpg"
    path.write_bytes(path.read_bytes()[:200]) if fault == "damaged" else path.unlink()
    assert lfw.load("all").people.tolist() == [0, 0, 1, 2]
    assert lfw.counts()["damaged"] == (fault == "damaged")
    said = capsys.readouterr().out
    assert ("Person_2_0001.jpg" in said) == (fault == "damaged")
    assert f"{6 if fault == 'damaged' else 5} of 6 photos" in said
    assert settings.find(lfw.CACHE_NAME) is None


def test_without_lfw_and_without_a_network_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setattr(settings, "places", lambda: [tmp_path])
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="LATENTLIB_OFFLINE"):
        lfw.load()


def test_the_split_is_by_person_and_the_much_photographed_stay_in_training():
    people = torch.cat([torch.arange(2000), torch.arange(2000), torch.full((200,), 5), torch.full((200,), 17)])
    held = lfw.held_out_people(people)
    assert 60 < len(held) < 140  # one in twenty
    assert not torch.isin(torch.tensor([5, 17]), held).any()
    assert torch.equal(held, lfw.held_out_people(people.flip(0)))
    assert len(lfw.held_out_people(torch.arange(3000).repeat_interleave(51))) == 0


def test_lfw_when_it_has_been_aligned():
    if settings.find(lfw.CACHE_NAME) is None:
        pytest.skip("LFW has not been aligned on this machine; training.lfw.load() does it")
    train, held = lfw.load("train"), lfw.load("held_out")
    assert len(train.images) + len(held.images) == lfw.counts()["used"] > 12_500
    assert sum(lfw.counts().values()) == lfw.PHOTOS
    assert not np.isin(held.people, train.people).any()
    assert 0.03 < len(held.people.unique()) / 5749 < 0.07
    mean = train.images[:2000].float().mean(dim=(0, 1))  # of many: a face with dark eyes above brighter cheeks
    assert max(mean[30, 24], mean[30, 40]) < min(mean[37, 24], mean[37, 40]) - 10


def test_a_profile_is_told_by_its_nose():
    frontal = np.array([[-10, 0], [10, 0], [0, 12], [0, 22], [-18, 4], [18, 4]], float)
    assert not lfw.turned_away(frontal)
    assert lfw.turned_away(frontal + np.array([[0, 0], [0, 0], [10, 0], [0, 0], [0, 0], [0, 0]]))
