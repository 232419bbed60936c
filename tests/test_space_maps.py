"""The pair of pictures of a latent space agree with each other, and the table marks what is not as wanted."""

from __future__ import annotations

import pytest
import torch

from latentlib.plots import space_maps


def test_the_map_and_the_drawings_show_the_same_places():
    """Codes of one class at the right, another at the top; the decoder draws light at the right and nothing else."""
    torch.manual_seed(0)
    right, top = torch.randn(200, 2) * 0.1 + torch.tensor([3.0, 0.0]), torch.randn(200, 2) * 0.1
    top[:, 1] += 3
    codes, labels = torch.cat([right, top]), torch.tensor([0] * 200 + [1] * 200)

    def decode(places):
        return (places[:, 0] > 1.5).float().view(-1, 1, 1, 1).expand(-1, 1, 4, 4)

    points, drawn = space_maps.space_map(decode, codes, labels, side=100, steps=10)
    ink = (points < 0.99).any(0)
    blue = ink & (points[2] > points[0] + 0.3)  # the first class's colour
    assert blue[:, 60:].any()
    assert not blue[:, :40].any()
    assert ink[:40, :40].any()  # the second class, above at the left
    assert drawn[:, :, 70:].min() == 1
    assert drawn[:, :, :30].max() == 0


def test_a_map_survives_a_space_that_is_a_point():
    pictures = space_maps.space_map(lambda z: z.sum(1).view(-1, 1, 1, 1), torch.zeros(5, 2), torch.arange(5), side=40)
    assert pictures.shape == (2, 3, 40, 40)
    assert torch.isfinite(pictures).all()
    with pytest.raises(ValueError, match=r"codes \(n, 2\) and n labels, got \(5, 3\) and 5"):
        space_maps.space_map(lambda z: z, torch.zeros(5, 3), torch.arange(5))


def test_the_table_marks_what_is_not_as_wanted(monkeypatch):
    shown = []
    monkeypatch.setattr("latentlib.plots.figures.show", lambda fig, alt: shown.append(fig))
    wanted = {"real": (0, 0.1), "blank": (1, 1)}
    space_maps.ruler_test({"pixels": {"real": 0.05, "blank": 0.0}}, wanted, alt="A table of one ruler")
    assert [text.get_text() for text in shown[0].axes[0].texts] == ["5%", "0%  ✘"]
    with pytest.raises(ValueError, match="same pictures in the same order: real, blank"):
        space_maps.ruler_test({"pixels": {"blank": 0.0, "real": 0.05}}, wanted, alt="A table of one ruler")
