"""Pictures: their size and their pixels; plots: what they draw, and which input they refuse."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import plots
from latentlib.plots import figures, images

RED = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(3, 64, 64)


@pytest.fixture
def published(monkeypatch):
    """The pictures that a call puts on the page."""
    pictures = []

    def publish(png: bytes, **_) -> None:
        pictures.append(Image.open(io.BytesIO(png)).convert("RGB"))

    monkeypatch.setattr(figures, "publish", publish)
    monkeypatch.setattr(images, "publish", publish)
    return pictures


def opened(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (1, 1, 5, 7), (1, 3, 5, 7)])
def test_bytes_are_rounded_and_clamped(shape):
    got = plots.to_uint8(torch.full(shape, 0.5))
    assert got.shape == (1, 5, 7, 3)
    assert (got == 128).all()
    assert plots.to_uint8(torch.tensor([[2.0, -1.0, float("nan")]]))[0, 0, :, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(3,), (2, 2, 5, 5), (0, 1, 5, 5), (1, 1, 1, 5, 5)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="pictures must be"):
        plots.to_uint8(torch.zeros(shape))


def test_small_pictures_become_crisp_squares_and_large_ones_are_smooth():
    chess = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None]
    drawn = opened(plots.to_png(chess, width=100))
    assert drawn.shape == (100, 100, 3)
    assert set(np.unique(drawn)) == {0, 255}
    edge = torch.zeros(1, 1, 64, 64)
    edge[..., 32:] = 1
    assert len(np.unique(opened(plots.to_png(edge, width=256)))) > 5


def test_a_face_is_at_least_160_pixels_wide_and_five_fit_the_page(published):
    plots.show_images(RED[None])
    plots.show_images(RED.expand(5, 3, 64, 64))
    assert published[0].size == (160, 160)
    assert published[1].size == (5 * 160 + 4 * images.GAP, 160)


def test_rows_columns_and_captions(published):
    plots.show_images(torch.zeros(2, 3, 1, 8, 8), titles=["a", "b", "c"], rows=["one", "two"], width=40)
    grid = np.array(published[0])
    assert grid.shape[0] == 40 + images.GAP + 40 + 22  # captions below the last row only
    label = grid.shape[1] - (3 * (40 + images.GAP) - images.GAP)
    assert (grid[:40, label : label + 40] == 0).all()
    assert (grid[:40, :label] < 255).any()
    with pytest.raises(ValueError, match="2 titles for 3"):
        plots.show_images(torch.zeros(3, 1, 8, 8), titles=["a", "b"])


def test_a_figure_leaves_as_a_png_of_its_size(published):
    fig, ax = plots.figure(4.0, 2.0)
    ax.plot([0, 1], [1, 0])
    plots.show(fig)
    assert published[0].size == (4 * 96, 2 * 96)


def drawn_axes(monkeypatch, call) -> list:
    """The axes of the figure that a call shows."""
    shown = []
    monkeypatch.setattr(figures, "show", shown.append)
    call()
    plots.figure_png(shown[0])  # matplotlib finds some mistakes only when it draws
    return shown[0].axes


def test_bars_have_one_bar_a_number_and_groups_share_their_names(monkeypatch):
    (ax,) = drawn_axes(monkeypatch, lambda: plots.bars({"pca": 0.5, "chance": 0.1}, "share", mark=("limit", 1)))
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["pca", "chance"]
    groups = {"first": {"a": 1, "b": 2}, "second": {"a": 3, "b": 4}}
    (ax,) = drawn_axes(monkeypatch, lambda: plots.bars(groups, "x"))
    assert sorted(bar.get_width() for bar in ax.patches) == [1, 2, 3, 4]


def test_curves_draw_the_numbers(monkeypatch):
    curves = {"pca": [3, 2], "autoencoder": [2, 1]}
    how = {"log": True, "mark": ("a coin", 0.5)}
    (ax,) = drawn_axes(monkeypatch, lambda: plots.curves([1, 10], curves, "numbers", "error", **how))
    assert [list(line.get_ydata()) for line in ax.lines] == [[3, 2], [2, 1], [0.5, 0.5]]
    assert ax.get_xscale() == "log"


def test_codes_are_drawn_where_they_lie_with_names_at_the_middles():
    codes, labels = torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 5.0]]), torch.tensor([0, 0, 1])
    _, ax = plots.figure()
    plots.draw_codes(ax, codes, labels, "Furniture")
    assert ax.collections[0].get_offsets().tolist() == codes.tolist()
    assert {text.get_text(): text.get_position() for text in ax.texts} == {"0": (1, 1), "1": (9, 5)}
    with pytest.raises(ValueError, match="must be"):
        plots.draw_codes(ax, torch.zeros(3, 4), labels, "Bad")


def test_three_numbers_are_plotted_to_turn_with_a_still_picture(monkeypatch, published):
    plots.scatter_3d(torch.randn(50, 3), torch.arange(50) % 4)
    assert published[0].width > 500
    with pytest.raises(ValueError, match="must be"):
        plots.scatter_3d(torch.randn(50, 2), torch.arange(50) % 4)


def test_the_plot_to_turn_has_no_buttons(monkeypatch):
    """One of plotly's would upload the plot to another host."""
    shown = []
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.initialized", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    plots.scatter_3d(torch.randn(9, 3), torch.arange(9) % 3, "Nine")
    assert len(shown) == 1  # the still picture lies in the same output: a page shows one of the two
    assert "image/png" in shown[0]
    plot = shown[0]["application/vnd.plotly.v1+json"]
    assert plot["config"] == {"displayModeBar": False}
    assert [trace["name"] for trace in plot["data"][::2]] == [trace["text"] for trace in plot["data"][1::2]]
    assert [trace["name"] for trace in plot["data"][::2]] == ["0", "1", "2"]


def ramp(codes: torch.Tensor) -> torch.Tensor:
    """A decoder whose pictures are as bright as the code's first number."""
    return codes[:, 0, None, None, None].expand(-1, 1, 8, 8)


def test_the_frame_of_a_film_of_a_space():
    codes, labels = torch.rand(30, 2), torch.arange(30) % 3
    frame = plots.space_map(ramp, codes, labels, side=60, steps=6)
    assert frame.shape == (2, 3, 60, 60)
    assert frame.min() >= 0
    assert frame.max() <= 1
    assert frame[1, 0, :, -1].mean() > frame[1, 0, :, 0].mean() + 0.3
    upwards = plots.space_map(lambda codes: ramp(codes[:, 1:]), codes, labels, side=60, steps=6)[1, 0]
    assert upwards[0].mean() > upwards[-1].mean() + 0.3
    assert torch.equal(upwards[:, 0], upwards[:, -1])
    assert (frame[0] < 1).any()


def test_bottleneck_draws_a_bar_for_each_number_of_the_code(monkeypatch):
    (ax,) = drawn_axes(monkeypatch, lambda: plots.bottleneck(RED, torch.tensor([1.0, -0.5]), RED))
    assert [bar.get_width() for bar in ax.containers[0]] == pytest.approx([0.62, -0.31])
    assert "2 numbers" in [text.get_text() for text in ax.texts]


def test_signed_numbers_are_white_at_zero():
    got = plots.signed(torch.tensor([[[[0.0, 2.0, -2.0]]]]))
    assert got[0, :, 0, 0].tolist() == [1, 1, 1]
    assert torch.allclose(got[0, :, 0, 1] * 255, torch.tensor([213.0, 94.0, 0.0]), atol=1)
    assert torch.allclose(got[0, :, 0, 2] * 255, torch.tensor([0.0, 114.0, 178.0]), atol=1)


def test_colours_have_names_and_unknown_things_none():
    assert plots.colour("PCA") == plots.colour("orange") == "#E69F00"
    with pytest.raises(KeyError, match="mauve"):
        plots.colour("mauve")
    shades = figures.shades_of(["pca", "mine", "other"])
    assert len(set(shades.values())) == 3
