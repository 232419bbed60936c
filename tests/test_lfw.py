"""LFW is aligned once, split by person, and says which photos it leaves out."""

import numpy as np
import pytest
import torch
from PIL import Image

from training import lfw


@pytest.fixture(scope="module")
def hopper():
    from matplotlib import cbook

    return np.asarray(Image.open(cbook.get_sample_data("grace_hopper.jpg")).convert("RGB"))


def write_folder(home, hopper, people=3, photos=2):
    """A folder like LFW's, with one face of which the eyes are found and photos without any."""
    folder = home / "lfw_home" / "lfw_funneled"
    for person in range(people):
        (folder / f"Person_{person}").mkdir(parents=True)
        for photo in range(photos):
            array = np.asarray(Image.fromarray(hopper[60:460, 56:456]).resize((250, 250)))
            if (person, photo) == (1, 1):
                array = np.full((250, 250, 3), 128, np.uint8)
            Image.fromarray(array).save(folder / f"Person_{person}" / f"Person_{person}_{photo:04d}.jpg", quality=95)


def test_photos_are_aligned_once_and_those_without_a_face_are_left_out(tmp_path, monkeypatch, hopper, capsys):
    write_folder(tmp_path, hopper)
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path))
    monkeypatch.setattr(lfw, "cache_folder", lambda: tmp_path / "cache")
    loaded = lfw.load("all")
    assert loaded.images.shape == (5, 3, 64, 64)
    assert loaded.images.dtype == torch.uint8
    assert loaded.people.tolist() == [0, 0, 1, 2, 2]
    everything, kinds = lfw.everything()
    assert len(everything.images) == 6
    assert kinds.tolist() == [0, 0, 0, 1, 0, 0]
    assert lfw.counts() == {"used": 5, "no face": 1, "another place": 0, "profile": 0}
    assert "6 photos of 3 people; 16.7% are left out" in capsys.readouterr().out
    monkeypatch.delenv("LATENTLIB_DATA")
    assert torch.equal(lfw.load("all").images, loaded.images)  # from the cache
    with pytest.raises(ValueError, match="split must be"):
        lfw.load("test")


def test_without_lfw_and_without_a_network_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(lfw, "cache_folder", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="LATENTLIB_OFFLINE forbids the network"):
        lfw.load()


def test_split_is_by_person_and_the_much_photographed_stay_in_training():
    people = torch.cat([torch.arange(2000), torch.arange(2000), torch.full((200,), 5), torch.full((200,), 17)])
    held = lfw.held_out_people(people)
    assert 60 < len(held) < 140  # one in twenty
    assert not torch.isin(torch.tensor([5, 17]), held).any()
    assert torch.equal(held, lfw.held_out_people(people.flip(0)))
    everyone = torch.arange(3000).repeat_interleave(51)
    assert len(lfw.held_out_people(everyone)) == 0


def test_lfw_when_it_is_here():
    if not (lfw.cache_folder() / lfw.CACHE_NAME).exists():
        pytest.skip("LFW has not been aligned on this machine; training.lfw.load() does it")
    train, held = lfw.load("train"), lfw.load("held_out")
    assert len(train.images) + len(held.images) == lfw.counts()["used"] > 12_500
    assert sum(lfw.counts().values()) == 13_233
    assert not torch.isin(held.people, train.people).any()
    assert 0.03 < len(held.people.unique()) / 5749 < 0.07
    assert held.people.unique(return_counts=True)[1].max() <= 50
    # Faces line up: the mean of many is a face with dark eyes above brighter cheeks.
    mean = train.images[:2000].float().mean(dim=(0, 1))
    assert mean[30, 24] < mean[37, 24] - 10
    assert mean[30, 40] < mean[37, 40] - 10
