"""The pad: what is drawn becomes a code, a code becomes a picture, and errors become sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentlib import widgets
from latentlib.widgets import latent_pad


@pytest.fixture
def pad():
    """Pictures of 2×3 pixels; a code is the mean ink of each column; the decoder fills the columns."""

    def encode(images):
        return images.mean(dim=(1, 2))  # (n, 1, 2, 3) -> (n, 3)

    def decode(codes):
        return codes[:, None, None].expand(-1, 1, 2, 3).clamp(0, 1)

    samples = torch.tensor([[[[1.0, 0, 0], [1, 0, 0]]], [[[0.0, 1, 1], [0, 0, 1]]]])
    return widgets.LatentPad(samples, encode, decode, "Two pictures", torch.tensor([3, 4]))


@pytest.fixture
def answers(pad, monkeypatch):
    sent = []
    monkeypatch.setattr(pad, "send", lambda content, buffers=None: sent.append((content, buffers)))
    return sent


def ask(pad, content, pixels=None):
    """As the browser asks."""
    pad._handle_custom_msg(content, [] if pixels is None else [memoryview(np.array(pixels, np.uint8).tobytes())])


def test_it_begins_with_the_first_sample(pad):
    assert pad.code == [1.0, 0.0, 0.0]
    assert list(pad.drawn) == [255, 0, 0] * 2
    assert pad.size == [2, 3]
    assert list(pad.samples[:6]) == [255, 0, 0] * 2
    assert list(pad.classes) == [3, 4]
    np.testing.assert_allclose(np.frombuffer(pad.points, "<f4").reshape(2, 2), [[1, 0], [0, 0.5]])
    assert all(low < 0 and high > 0.5 for low, high in zip(pad.low, pad.high, strict=True))
    assert repr(pad) == "A pad to draw on: Two pictures"


def test_what_is_drawn_becomes_a_code_and_a_picture(pad, answers):
    ask(pad, {"kind": "picture", "number": 7}, [0, 255, 0, 0, 0, 0])
    content, buffers = answers[0]
    assert content == {"number": 7, "code": [0.0, 0.5, 0.0], "said": "code 0.00, 0.50, 0.00", "failed": False}
    assert list(buffers[0]) == [0, 128, 0] * 2


def test_a_code_that_is_moved_is_drawn(pad, answers):
    ask(pad, {"kind": "code", "number": 8, "code": [0.0, 0.0, 1.0]})
    content, buffers = answers[0]
    assert content["code"] == [0.0, 0.0, 1.0]
    assert list(buffers[0]) == [0, 0, 255] * 2


@pytest.mark.parametrize("content", [{"kind": "code", "number": 9, "code": ["x"]}, {"kind": "picture", "number": 9}])
def test_an_error_is_answered_by_a_sentence(pad, answers, content):
    ask(pad, content)
    said = answers[0][0]
    assert said["failed"]
    assert said["number"] == 9
    assert said["said"].startswith("That did not work. ")
    assert pad.code == [1.0, 0.0, 0.0]


def test_a_wrong_shape_gets_one_sentence():
    def encode(images):
        return images.flatten(1)

    with pytest.raises(ValueError, match=r"grey pictures \(n, 1, h, w\)"):
        widgets.LatentPad(torch.zeros(2, 3, 4, 4), encode, encode, "x")
    with pytest.raises(ValueError, match="d from 1 to 6"):
        widgets.LatentPad(torch.zeros(2, 1, 4, 4), encode, encode, "x")
    with pytest.raises(ValueError, match="one for each picture"):
        widgets.LatentPad(torch.zeros(2, 1, 4, 4), encode, encode, "x", torch.zeros(3))


def test_the_page_names_its_parts():
    source = latent_pad.LatentPad._esm + latent_pad.LatentPad._css
    assert source.count("aria-label") >= 3
