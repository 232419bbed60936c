"""Notebook 06's last section, with a photo: the cells themselves are run, with a path put in."""

from __future__ import annotations

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos, weights
from latentlib.datasets import portraits
from latentlib.gan.inversion import Inversion, invert
from latentlib.widgets.eye_picker import EyePicker
from tools.course import ROOT

pytestmark = pytest.mark.usefixtures("one_thread")


class Shown:
    """In place of latentlib.plots: what would be shown."""

    def __init__(self):
        self.pictures = []

    def show_images(self, pictures: torch.Tensor, *_, **__) -> None:
        self.pictures.append(pictures)


@pytest.fixture
def section():
    """(run, names): ``run(photo)`` runs the section's two cells on it, ``run()`` the second one again."""
    cells = [cell.source for cell in nbformat.read(ROOT / "notebooks" / "06_gan_inversion.ipynb", 4).cells]
    first = next(i for i, source in enumerate(cells) if source.startswith("my_photo = None"))
    assert "my_photo" in cells[first + 1]
    quick = lambda *a, **k: invert(*a, **k, steps=2, progress=False)  # noqa: E731
    names = {"photos": photos, "invert": quick, "plots": Shown(), "torch": torch}
    names |= {"generator": weights.load("faces-64"), "encoder": weights.load("faces-64-encoder")}

    def run(photo=None) -> None:
        if photo is not None:
            line, rest = cells[first].split("\n", 1)
            assert line.startswith("my_photo = None")
            exec(f"my_photo = {str(photo)!r}\n{rest}", names)
        exec(cells[first + 1], names)

    return run, names


def test_a_photo_with_a_face_is_found_and_shown(section, tmp_path):
    run, names = section
    Image.fromarray(portraits.photo("Eileen Collins")).save(tmp_path / "me.jpg")
    run(tmp_path / "me.jpg")
    assert names["picker"] is None
    assert isinstance(names["found_me"], Inversion)
    (shown,) = names["plots"].pictures
    assert shown.shape == (2, 3, 64, 64)
    assert torch.equal(shown[0], names["mine"][0])


def test_without_eyes_the_learner_clicks_them(section, tmp_path, capsys):
    run, names = section
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "me.png")
    run(tmp_path / "me.png")
    assert isinstance(names["picker"], EyePicker)
    assert names["plots"].pictures == []
    assert "Click both eyes in the photo above, then run this cell again." in capsys.readouterr().out
    names["picker"].pick((120, 90), (170, 92))
    run()
    assert len(names["plots"].pictures) == 1
