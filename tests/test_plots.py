"""plots: one picture at a time, with alt text that reaches the HTML, drawn as the numbers say."""

import base64
import io
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import plots, widgets

TEMPLATES = Path(__file__).parents[1] / "docs" / "nbconvert"


@pytest.fixture
def published(monkeypatch):
    """What a notebook would receive: a list of (data, metadata)."""
    import IPython.display
    from IPython.core.interactiveshell import InteractiveShell

    outputs = []
    monkeypatch.setattr(InteractiveShell, "initialized", classmethod(lambda cls: True))
    monkeypatch.setattr(
        IPython.display, "display", lambda data, metadata=None, raw=False: outputs.append((data, metadata or {}))
    )
    return outputs


def picture(data):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


class TestShow:
    def test_publishes_one_png_with_alt_and_closes_the_figure(self, published):
        import matplotlib.pyplot as plt

        before = plt.get_fignums()
        fig, ax = plt.subplots()
        ax.plot([1, 2])
        plots.show(fig, alt="A line\n   that rises")
        ((data, metadata),) = published
        assert data["text/plain"] == "A line that rises"
        assert metadata == {"image/png": {"alt": "A line that rises"}}
        assert picture(data).shape[2] == 3
        assert plt.get_fignums() == before

    def test_a_figure_as_png_is_what_a_slider_draws(self):
        def draw(height):
            fig, ax = plots.figure(2, 1)
            ax.plot([0, height])
            ax.set_ylim(0, 9)
            return plots.figure_png(fig)

        view = widgets.picture_slider(draw, "A line", height=[1, 9])
        low = bytes(view.image.value)
        assert low.startswith(b"\x89PNG")
        view.controls["height"].value = 9
        assert bytes(view.image.value) == draw(9) != low

    @pytest.mark.parametrize("alt", ["", "  \n "])
    def test_refuses_an_empty_alt(self, alt, published):
        fig, _ = plots.figure()
        with pytest.raises(ValueError, match="alt is empty"):
            plots.show(fig, alt)
        with pytest.raises(ValueError, match="alt is empty"):
            plots.show_images(torch.zeros(1, 1, 4, 4), alt)
        with pytest.raises(ValueError, match="alt is empty"):
            plots.LiveCurve(alt)
        assert published == []

    def test_in_a_plain_script_says_the_alt(self, capsys, monkeypatch):
        from IPython.core.interactiveshell import InteractiveShell

        monkeypatch.setattr(InteractiveShell, "initialized", classmethod(lambda cls: False))
        plots.show_images(torch.zeros(1, 1, 4, 4), "Four by four")
        assert capsys.readouterr().out == "[picture: Four by four]\n"

    def test_alt_reaches_the_html(self, published):
        from nbconvert import HTMLExporter

        alt = 'A "quoted" <alt> & more'
        plots.show_images(torch.zeros(1, 1, 4, 4), alt)
        ((data, metadata),) = published
        cell = nbformat.v4.new_code_cell(
            "x", execution_count=1, outputs=[nbformat.v4.new_output("display_data", data, metadata=metadata)]
        )
        notebook = nbformat.v4.new_notebook(cells=[cell])
        exporter = HTMLExporter(template_name="latent", extra_template_basedirs=[str(TEMPLATES)])
        html, _ = exporter.from_notebook_node(notebook)
        from bs4 import BeautifulSoup

        images = BeautifulSoup(html, "html.parser").find_all("img")
        assert [image["alt"] for image in images] == [alt]
        assert images[0]["src"] == "data:image/png;base64," + data["image/png"]

    def test_a_figure_too_wide_is_refused(self):
        with pytest.raises(ValueError, match="does not fit a laptop"):
            plots.figure(width=12)


class TestPixels:
    def test_a_large_picture_is_stored_with_a_palette_and_looks_the_same(self, published):
        x = torch.linspace(0, 1, 64)
        images = torch.stack([x.expand(64, 64), x[:, None].expand(64, 64), x.flip(0).expand(64, 64)]).repeat(
            20, 1, 1, 1
        )
        images = (images + 0.05 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
        plots.show_images(images, "Colours with noise", columns=10)
        ((data, _),) = published
        assert len(base64.b64decode(data["image/png"])) < 0.7 * len(plots.to_png(images, columns=10))
        true = decoded(plots.to_png(images, columns=10)).astype(int)
        assert abs(picture(data).astype(int) - true).mean() < 12

    def test_to_uint8_clamps_and_gives_colour(self):
        images = torch.tensor([-1.0, 0.0, 0.5, 2.0, float("nan")]).reshape(1, 1, 1, 5)
        assert plots.to_uint8(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 0]
        assert plots.to_uint8(torch.zeros(3, 4, 5)).shape == (1, 4, 5, 3)
        assert plots.to_uint8(torch.zeros(4, 5)).shape == (1, 4, 5, 3)

    @pytest.mark.parametrize("shape", [(2,), (1, 2, 4, 4), (0, 1, 4, 4), (1, 1, 1, 4, 4)])
    def test_wrong_shapes_are_named(self, shape):
        with pytest.raises(ValueError, match="pictures must be"):
            plots.to_uint8(torch.zeros(shape))

    def test_enlarged_pixels_are_crisp_squares(self):
        images = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
        drawn = decoded(plots.to_png(images, scale=7))
        expected = np.kron(plots.to_uint8(images)[0], np.ones((7, 7, 1), dtype=np.uint8))
        assert np.array_equal(drawn, expected)

    def test_faces_are_enlarged_smoothly_unless_pixels_are_asked_for(self):
        images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        squares = np.kron(plots.to_uint8(images)[0], np.ones((2, 2, 1), dtype=np.uint8))
        assert np.array_equal(decoded(plots.to_png(images, scale=2, pixels=True)), squares)
        smooth = decoded(plots.to_png(images, scale=2))
        assert smooth.shape == squares.shape
        neighbours = [np.abs(drawn[:, 1::2].astype(int) - drawn[:, ::2]).mean() for drawn in (smooth, squares)]
        assert neighbours[0] > 1 > neighbours[1]  # no two columns are the same
        small = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        assert plots.to_png(small, scale=2) == plots.to_png(small, scale=2, pixels=True)
        assert plots.to_png(small, scale=2) != plots.to_png(small, scale=2, pixels=False)

    def test_grid_places_pictures_row_by_row(self):
        shades = torch.arange(5).reshape(5, 1, 1, 1).expand(-1, -1, 3, 3) / 5
        drawn = decoded(plots.to_png(shades, scale=1, columns=2))
        assert drawn.shape == (3 * 3 + 2 * 4, 2 * 3 + 4, 3)
        corners = [drawn[7 * (i // 2), 7 * (i % 2), 0] for i in range(5)]
        assert corners == [0, 51, 102, 153, 204]
        assert (drawn[3:7] == 255).all()  # the gap
        assert (drawn[14:, 7:] == 255).all()  # the place of the sixth picture

    def test_small_pictures_are_large_enough_and_fit_the_page(self):
        assert decoded(plots.to_png(torch.zeros(1, 1, 28, 28))).shape[0] >= 84
        assert decoded(plots.to_png(torch.zeros(10, 1, 28, 28))).shape[1] <= 900
        assert decoded(plots.to_png(torch.zeros(8, 3, 64, 64))).shape[1] <= 900
        assert decoded(plots.to_png(torch.zeros(1, 3, 64, 64))).shape[1] == 128

    def test_titles_and_row_labels_add_room_and_ink(self):
        plain = decoded(plots.to_png(torch.ones(4, 1, 20, 20), scale=2, columns=2))
        titled = decoded(plots.to_png(torch.ones(4, 1, 20, 20), scale=2, columns=2, titles=["", "", "a", "b"]))
        assert titled.shape[0] == plain.shape[0] + 22  # one row of captions, not two
        assert (titled[-22:] < 128).any()
        labelled = decoded(plots.to_png(torch.ones(4, 1, 20, 20), scale=2, columns=2, rows=["first", "second"]))
        assert (labelled[:, : labelled.shape[1] - plain.shape[1]] < 128).any()
        assert np.array_equal(labelled[:, -plain.shape[1] :], plain)

    def test_bad_options_are_named(self):
        images = torch.zeros(3, 1, 4, 4)
        with pytest.raises(ValueError, match="2 titles for 3 pictures"):
            plots.to_png(images, titles=["a", "b"])
        with pytest.raises(ValueError, match="1 row labels for 2 rows"):
            plots.to_png(images, columns=2, rows=["a"])
        with pytest.raises(ValueError, match="columns must be"):
            plots.to_png(images, columns=0)
        with pytest.raises(ValueError, match="scale must be"):
            plots.to_png(images, scale=0)

    def test_film_strips_lie_below_each_other(self, published):
        two = torch.stack([torch.zeros(4, 1, 30, 30), torch.ones(4, 1, 30, 30)])
        plots.film_strip(two, alt="Two walks", captions=["start", "", "", "end"], rows=["dark", "light"])
        drawn = picture(published[0][0])
        column = drawn[:, -40, 0]
        assert column[10] == 0
        assert column[-40] == 255
        with pytest.raises(ValueError, match="a strip must be"):
            plots.film_strip(torch.zeros(4, 4), alt="x")


class TestPlots:
    codes = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 3

    def test_classes_have_their_colours_and_names(self):
        from matplotlib.colors import to_hex

        _, ax = plots.figure()
        plots.draw_codes(ax, self.codes, self.labels, title="PCA")
        drawn = ax.collections[0]
        np.testing.assert_allclose(drawn.get_offsets(), self.codes.numpy())
        assert [to_hex(c) for c in drawn.get_facecolors()[:3]] == [c.lower() for c in plots.LABEL_COLOURS[:3]]
        assert sorted(text.get_text() for text in ax.texts) == ["0", "1", "2"]
        assert ax.get_title(loc="left") == "PCA"

    def test_bad_codes_and_labels_are_named(self):
        _, ax = plots.figure()
        with pytest.raises(ValueError, match=r"codes must be \(n, 2\)"):
            plots.draw_codes(ax, torch.zeros(3, 3), self.labels[:3])
        with pytest.raises(ValueError, match=r"labels must be \(60,\)"):
            plots.draw_codes(ax, self.codes, self.labels[:5])
        with pytest.raises(ValueError, match=r"codes must be \(n, 3\)"):
            plots.scatter_3d(self.codes, self.labels, alt="x")

    def test_scatter_3d_gives_a_plot_to_turn_and_a_picture(self, published):
        cloud = torch.randn(1500, 3, generator=torch.Generator().manual_seed(0))
        plots.scatter_3d(cloud, torch.arange(1500) % 4, alt="A cloud")
        (turnable, _), (static, metadata) = published
        *clouds, names = turnable["application/vnd.plotly.v1+json"]["data"]
        assert sum(len(c["x"]) for c in clouds) == 1000  # never more
        assert len(clouds) == 4
        assert names["text"] == ["0", "1", "2", "3"]
        assert turnable["application/vnd.plotly.v1+json"]["layout"]["width"] <= 900
        assert turnable["application/vnd.plotly.v1+json"]["config"]["displayModeBar"] is False
        assert static["text/plain"] == "A cloud"
        assert metadata["image/png"]["alt"] == "A cloud"

    def test_curves_and_bars(self, published):
        plots.curves(
            [2, 3, 10], {"PCA": [9.0, 8, 5], "autoencoder": torch.tensor([7.0, 6, 3])}, alt="Two curves fall",
            xlabel="numbers", ylabel="error", log=True, marks={"a paper": 2.0},
        )  # fmt: skip
        plots.bars({"pixels": 0.6, "mine": 0.9}, alt="Two bars", xlabel="share", mark=("chance", 0.5))
        rgb = {
            name: tuple(int(plots.colour(name)[i : i + 2], 16) for i in (1, 3, 5))
            for name in ("pca", "autoencoder", "pixels")
        }
        curves, bars = (picture(data) for data, _ in published)
        for drawn, name in ((curves, "pca"), (curves, "autoencoder"), (bars, "pixels")):
            assert (drawn == rgb[name]).all(-1).any(), name

    def test_grouped_bars_have_a_bar_for_each_number(self, published):
        groups = {"2 numbers": {"PCA": 0.5, "something": 0.25}, "10 numbers": {"PCA": 1.0, "something": 0.75}}
        plots.grouped_bars(groups, alt="Two groups", xlabel="share", mark=("chance", 0.5))
        ((data, _),) = published
        orange = tuple(int(plots.colour("pca")[i : i + 2], 16) for i in (1, 3, 5))
        rows = (picture(data) == orange).all(-1).sum(1)
        lengths = rows[rows > 50]  # the legend's patch is shorter
        assert lengths.max() == pytest.approx(2 * np.percentile(lengths, 25), rel=0.02)
        with pytest.raises(ValueError, match="same series"):
            plots.grouped_bars({"a": {"PCA": 1}, "b": {"autoencoder": 1}}, alt="x", xlabel="share")

    def test_one_thing_one_colour(self):
        assert plots.colour("PCA") == plots.PALETTE["orange"]
        assert plots.colour("blue") == plots.PALETTE["blue"]
        with pytest.raises(ValueError, match="no colour is set"):
            plots.colour("unheard of")
        assert len(set(plots.LABEL_COLOURS)) == 10


NOTEBOOK = """
import time, types
from latentlib import plots
history = types.SimpleNamespace(train_loss=[], validation_loss=None)
live = plots.LiveCurve(alt="The loss falls", title="Learning", log=True, every=0.0)
for epoch in range(6):
    history.train_loss.append(1 / (epoch + 1))
    history.validation_loss = [2 * loss for loss in history.train_loss]
    live(epoch, history, None)
    time.sleep(0.05)
"""


class TestLiveCurve:
    def history(self, n):
        return types.SimpleNamespace(train_loss=[1 / (i + 1) for i in range(n)], validation_loss=None)

    def test_outside_a_notebook_it_only_draws(self):
        live = plots.LiveCurve(alt="The loss falls")
        live(0, self.history(1), None)
        first = live.png
        assert decoded(first).shape[2] == 3
        live.finish()
        assert live.png == first

    def test_says_below_the_axis_what_a_number_stands_for(self):
        drawings = []
        for options in ({}, {"xlabel": "tens of steps"}):
            live = plots.LiveCurve(alt="The loss falls", **options)
            live(0, self.history(2), None)
            drawings.append(live.png)
        epochs, steps = (decoded(png) for png in drawings)
        below = epochs.shape[0] * 9 // 10  # the axis label stands in the lowest tenth
        assert (epochs[:below] == steps[:below]).all()
        assert (epochs[below:] != steps[below:]).any()

    def test_draws_no_more_often_than_asked(self):
        live = plots.LiveCurve(alt="The loss falls", every=60.0)
        live(0, self.history(1), None)
        first = live.png
        live(1, self.history(2), None)
        assert live.png == first

    def test_leaves_one_picture_with_alt_also_after_an_interrupt(self):
        from nbclient import NotebookClient

        cells = [
            nbformat.v4.new_code_cell(NOTEBOOK),
            nbformat.v4.new_code_cell(NOTEBOOK + "    if epoch == 3: raise KeyboardInterrupt"),
            nbformat.v4.new_code_cell("print('after')"),
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120).execute()
        for cell, kinds in zip(cells[:2], (["display_data"], ["display_data", "error"]), strict=True):
            assert [output.output_type for output in cell.outputs] == kinds
            output = cell.outputs[0]
            assert output.data["text/plain"] == "The loss falls"
            assert output.metadata["image/png"]["alt"] == "The loss falls"
            assert set(output.data) == {"image/png", "text/plain"}
            assert picture(output.data).std() > 0
        assert [output.text for output in cells[2].outputs] == ["after\n"]


def test_importing_the_plots_imports_no_plotting_library():
    import subprocess

    heavy = ("matplotlib.pyplot", "plotly", "IPython")
    code = f"import sys, latentlib.plots; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
