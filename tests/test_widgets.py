"""widgets: a moved slider or a place pointed at changes the picture; an error becomes a sentence, never silence."""

import io
import json

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import widgets
from latentlib.widgets import latent_map


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def shade(level):
    return torch.full((1, 1, 8, 8), float(level))


class TestPictureSlider:
    def test_a_move_replaces_the_bytes_of_the_same_image(self):
        view = widgets.picture_slider(shade, "A grey square", level=(0.0, 1.0, 0.0))
        image = view.image
        assert decoded(image.value).max() == 0
        view.controls["level"].value = 1.0
        assert decoded(view.image.value).min() == 255
        assert view.image is image
        assert [child for child in view.children if isinstance(child, ipywidgets.Image)] == [image]
        assert view.caption.text == "A grey square: level 1.00"

    def test_the_picture_keeps_its_size_in_the_page(self):
        view = widgets.picture_slider(shade, "A grey square", level=(0.0, 1.0))
        assert view.layout.align_items == "flex-start"
        assert view.image.layout.width == f"{decoded(view.image.value).shape[1]}px"
        assert widgets.picture_slider(shade, "A grey square", width=300, level=(0.0, 1.0)).image.layout.width == "300px"

    def test_controls_of_every_kind(self):
        seen = {}

        def draw(**values):
            seen.update(values)
            return shade(0)

        view = widgets.picture_slider(
            draw, "Nothing", whole=(0, 9), tenths=(0.0, 1.0, 0.3, 0.1), sizes=[2, 3, 10], tick=True,
            own=ipywidgets.Dropdown(options=["a", "b"]), **{"number 1": (-2.0, 2.0)},
        )  # fmt: skip
        assert seen == {"whole": 0, "tenths": 0.3, "sizes": 2, "tick": True, "own": "a", "number 1": 0.0}
        assert isinstance(view.controls["whole"], ipywidgets.IntSlider)
        assert view.controls["tenths"].step == 0.1
        descriptions = [control.description for name, control in view.controls.items() if name != "own"]
        assert descriptions == ["whole", "tenths", "sizes", "tick", "number 1"]
        view.controls["sizes"].value = 10
        assert seen["sizes"] == 10

    @pytest.mark.parametrize("spec", [(1.0,), (2.0, 1.0), "wide", (0, 1, 2, 3, 4), []])
    def test_a_wrong_slider_is_named(self, spec):
        with pytest.raises(ValueError, match='slider "level" must be'):
            widgets.picture_slider(shade, "x", level=spec)

    def test_a_start_outside_and_no_slider_are_named(self):
        with pytest.raises(ValueError, match="starts at 5"):
            widgets.picture_slider(shade, "x", level=(0.0, 1.0, 5.0))
        with pytest.raises(ValueError, match="at least one slider"):
            widgets.picture_slider(shade, "x")
        with pytest.raises(ValueError, match="alt is empty"):
            widgets.picture_slider(shade, " ", level=(0.0, 1.0))

    def test_an_error_is_said_and_the_picture_stays(self):
        def draw(level):
            if level > 0.5:
                raise RuntimeError("level <too> high\nsecond line")
            return shade(level)

        view = widgets.picture_slider(draw, "A grey square", level=(0.0, 1.0, 0.5))
        before = view.image.value
        view.controls["level"].value = 0.9
        assert view.image.value == before
        assert view.caption.failed == "The picture could not be drawn. RuntimeError: level <too> high"
        view.controls["level"].value = 0.1
        assert view.caption.failed == ""
        assert view.image.value != before

    def test_the_first_error_is_raised(self):
        with pytest.raises(ZeroDivisionError):
            widgets.picture_slider(lambda level: 1 / 0, "x", level=(0.0, 1.0))

    def test_draws_without_gradients(self):
        weight = torch.ones(1, requires_grad=True)
        states = []
        widgets.picture_slider(
            lambda level: (states.append((weight * 2).requires_grad), shade(level))[1], "x", level=(0, 1)
        )
        assert states == [False]

    def test_a_film_steps_through_its_frames(self):
        frames = torch.linspace(0, 1, 5).reshape(5, 1, 1, 1).expand(-1, -1, 8, 8)
        film = widgets.player(frames, "It gets light", interval=50)
        assert film.play.max == 4
        assert film.children[0] is film.play
        film.controls["frame"].value = 4
        assert decoded(film.image.value).min() == 255
        with pytest.raises(ValueError, match="at least one frame"):
            widgets.player([], "x")


class TestLatentMap:
    codes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    labels = torch.tensor([0, 0, 1, 1])

    @staticmethod
    def decode(place):
        if place[0, 0] > 0.99:
            raise RuntimeError("beyond the edge")
        return place[:, :1, None, None].expand(-1, -1, 6, 6)

    @pytest.fixture
    def map(self):
        return widgets.LatentMap(self.codes, self.decode, "Two rows", self.labels, ["chair", "table"])

    def test_starts_in_the_middle_with_a_picture(self, map):
        assert map.cursor == pytest.approx([0.5, 1.0])
        assert decoded(map.picture)[0, 0, 0] == 128
        assert map.status.startswith("x 0.50, y 1.00, nearest: ")

    def test_points_lie_where_the_codes_are(self, map):
        x_low, x_high, y_low, y_high = map.extent
        share = np.frombuffer(map.points, "<u2").reshape(-1, 2) / 65535
        back = share * [x_high - x_low, y_high - y_low] + [x_low, y_low]
        np.testing.assert_allclose(back, self.codes.numpy(), atol=1e-4)
        assert list(map.classes) == [0, 0, 1, 1]
        assert map.names == ["chair", "table"]

    def test_a_question_is_answered_by_the_place_pointed_at(self, map):
        map.set_trait("asked", [0.2, 1.9, 1])
        assert decoded(map.picture)[0, 0, 0] == 51
        assert map.answered == 1
        assert map.cursor == [0.2, 1.9]
        assert map.status == "x 0.20, y 1.90, nearest: table"

    def test_a_picture_is_sent_in_its_own_size(self, map):
        assert decoded(map.picture).shape == (6, 6, 3)  # the browser enlarges it

    def test_the_same_question_is_answered_once(self, map, monkeypatch):
        looks = []
        monkeypatch.setattr(map, "_point", lambda x, y: looks.append((x, y)))
        for question in ([0.2, 1.9, 1, 0], [0.2, 1.9, 1, 1], [0.2, 1.9, 1, 2], [0.3, 1.9, 1, 0], [0.3, 1.9, 2, 0]):
            map.set_trait("asked", question)
        assert looks == [(0.2, 1.9), (0.3, 1.9), (0.3, 1.9)]
        assert map.answered == 2

    def test_an_error_is_said_and_answered_and_the_picture_stays(self, map):
        before = map.picture
        map.set_trait("asked", [1.0, 0.0, 1])
        assert map.failed
        assert map.answered == 1
        assert map.status == "This place could not be decoded. RuntimeError: beyond the edge"
        assert map.picture == before
        map.set_trait("asked", [0.1, 0.0, 2])
        assert not map.failed

    def test_lines_join_what_belongs_to_the_place(self):
        joined = widgets.LatentMap(
            self.codes, self.decode, "Four places", links=lambda place: torch.cat([place, self.codes[:1]])
        )
        joined.point(0.5, 2)
        assert joined.joined == [0.5, 2.0, 0.0, 0.0]

    def test_python_can_point_too(self, map):
        map.point(-0.05, 0)
        assert map.status == "x −0.05, y 0.00, nearest: chair"

    def test_many_points_are_thinned_evenly_and_labels_go_along(self):
        codes = torch.stack([torch.arange(9000.0), torch.zeros(9000)], 1)
        many = widgets.LatentMap(codes, lambda place: torch.zeros(1, 1, 2, 2), "A line", (codes[:, 0] >= 4500).long())
        assert len(many.classes) == latent_map.MOST_POINTS
        right = np.frombuffer(many.points, "<u2").reshape(-1, 2)[:, 0] > 65535 / 2
        assert np.array_equal(right, np.frombuffer(many.classes, np.uint8) == 1)
        many.point(8999, 0)
        assert many.status.endswith("nearest: 1")

    def test_codes_of_one_place_make_a_map(self):
        one = widgets.LatentMap(torch.zeros(1, 2), lambda place: torch.zeros(1, 1, 2, 2), "One point")
        assert one.status == "x 0.00, y 0.00"
        assert np.isfinite(one.extent).all()

    def test_bad_input_is_named(self):
        with pytest.raises(ValueError, match=r"codes must be \(n, 2\)"):
            widgets.LatentMap(torch.zeros(4, 3), self.decode, "x")
        with pytest.raises(ValueError, match=r"labels must be \(4,\)"):
            widgets.LatentMap(self.codes, self.decode, "x", self.labels[:2])
        with pytest.raises(ValueError, match="there are 1 names"):
            widgets.LatentMap(self.codes, self.decode, "x", self.labels, ["only"])
        with pytest.raises(ValueError, match="alt is empty"):
            widgets.LatentMap(self.codes, self.decode, "")


def test_saved_text_is_the_same_in_every_run():
    """What a notebook keeps of a widget is its text; nbval compares it, so it may hold no address and no bytes."""
    from nbclient import NotebookClient

    source = (
        "import torch\nfrom latentlib import widgets\ndraw = lambda level=0: torch.full((1, 1, 4, 4), float(level))\n"
    )
    cells = [
        nbformat.v4.new_code_cell(source + "widgets.picture_slider(draw, 'Grey', level=(0.0, 1.0))"),
        nbformat.v4.new_code_cell("widgets.player([draw()[0]], 'Grey')"),
        nbformat.v4.new_code_cell("widgets.LatentMap(torch.rand(5, 2), lambda z: draw(), 'Five places')"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    texts = [cell.outputs[0].data["text/plain"] for cell in cells]
    assert texts == [
        "Sliders (level) above a picture: Grey",
        "Sliders (frame) above a picture: Grey",
        "A map to point at: Five places",
    ]
    for cell in cells:
        assert len(cell.outputs) == 1
        assert "application/vnd.jupyter.widget-view+json" in cell.outputs[0].data
        assert "0x" not in json.dumps(cell.outputs[0].data["text/plain"])
