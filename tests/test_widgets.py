"""Widgets from Python: what they show, what they answer to the page, what they leave behind in a notebook."""

from __future__ import annotations

import base64
import io
import itertools
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos
from latentlib.datasets import portraits
from latentlib.gan import blending
from latentlib.models.stylegan2 import Generator
from latentlib.plots.images import to_png, to_uint8
from latentlib.widgets import EyePicker, FamilyView, LatentMap, picture_slider, player
from latentlib.widgets import base as base_module
from latentlib.widgets import card as card_module

pytestmark = pytest.mark.usefixtures("one_thread")
POINTS = torch.tensor([[-2.0, -1.0], [0.0, 0.0], [2.0, 1.0]])
NUMBERS = itertools.count()


def shade(place):
    """A picture whose brightness is the first number."""
    if place[0, 0] > 1.5:
        raise RuntimeError("too far\nto the right")
    return place.clamp(0, 1)[:, :1, None, None].expand(1, 1, 8, 8)


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def listen(widget):
    """What the widget sends from now on: a list of (content, pictures by name)."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append(
        (content, dict(zip(content["places"], buffers, strict=True)))
    )
    return sent


def ask(widget, number="a-1", buffers=(), again=False, **values):
    widget._heard(None, {"number": number, "values": values, "again": again}, list(buffers))


def move(widget, buffers=(), **values):
    ask(widget, f"move-{next(NUMBERS)}", buffers, **values)


def wait(view):
    """Until no photo is worked on, no film is made and no copy is tuned."""
    busy = True
    while busy:
        time.sleep(0.02)
        with view.lock:  # held until what a thread has done is said
            busy = "busy" in (view.worker.kind, view.tuning.kind)


@pytest.fixture
def slider():
    return picture_slider(lambda level, **_: shade(torch.tensor([[level]])), level=(0.0, 2.0, 0.0), way=["a", "b"])


@pytest.fixture
def pad():
    """A map that is also a pad: the code is the mean ink, twice."""
    return LatentMap(POINTS, shade, torch.tensor([0, 1, 1]), encode=lambda picture: picture.mean((2, 3)).repeat(1, 2))


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(1)
    channels = dict.fromkeys((4, 8, 16, 32, 64), 4)
    return Generator(64, z_dim=8, w_dim=8, channels=channels).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def people(generator):
    codes = torch.randn(3, 8, generator=torch.Generator().manual_seed(2)) * 2
    return {f"person {k}": (generator.draw(codes[k, None])[0], codes[k]) for k in range(3)}


@pytest.fixture
def view(generator, people, monkeypatch):
    """A family whose search finds the same code for every face, at once."""
    found = type("Found", (), {"codes": torch.full((1, generator.num_ws, 8), 0.7)})
    monkeypatch.setattr("latentlib.widgets.family.tuning.pivots", lambda *_, **__: found)
    made = FamilyView(generator, people)
    yield made
    made.close()


def send(widget, content, **more):
    """A photo's file, in one piece."""
    move(widget, buffers=[content], piece={"key": "k", "at": 0, "size": len(content), **more})


@pytest.fixture
def photo():
    buffer = io.BytesIO()
    Image.fromarray(portraits.photo("Grace Hopper")).save(buffer, "png")
    return buffer.getvalue()


class TestAll:
    """What all of them have in common."""

    @pytest.fixture(params=["slider", "player", "pad", "view", "eyes"])
    def widget(self, request):
        if request.param == "player":
            return player([to_png(torch.full((1, 8, 8), k / 2)) for k in range(3)])
        if request.param == "eyes":
            return EyePicker(portraits.photo("Grace Hopper"))
        return request.getfixturevalue(request.param)

    def test_it_leaves_a_still_picture_unless_it_is_a_photo_and_a_text_that_is_the_same_in_every_run(self, widget):
        bundle = widget._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert bundle["text/plain"] == repr(widget)
        assert "0x" not in repr(widget)
        if isinstance(widget, EyePicker):
            assert "image/png" not in bundle
        else:
            assert min(decoded(base64.b64decode(bundle["image/png"])).shape[:2]) >= 8
        assert widget._ipython_display_ is None  # else ipywidgets 7 would show the view alone

    def test_the_first_picture_is_in_the_page_without_asking_unless_it_is_a_photo(self, widget):
        pictures = [*widget.start["pictures"].values(), *widget.start.get("frames", [])]
        assert bool(pictures) != isinstance(widget, EyePicker)
        assert all(decoded(picture).size for picture in pictures)

    def test_a_view_that_opens_later_gets_everything(self, widget):
        sent = listen(widget)
        ask(widget, whole=True)
        ((content, pictures),) = sent
        assert content["number"] == "a-1"
        assert pictures.keys() == widget.present()[1].keys()

    def test_it_draws_no_number_from_torchs_generator_and_opens_no_figure(self, widget):
        import matplotlib.pyplot as plt

        torch.manual_seed(3)
        state = torch.get_rng_state()
        ask(widget, whole=True)
        ask(widget, "a-2", **{"share": 0.1} if isinstance(widget, FamilyView) else {})
        widget._repr_mimebundle_()
        assert torch.equal(torch.get_rng_state(), state)
        assert not plt.get_fignums()


class TestAsking:
    def test_a_question_is_done_once_and_answered_as_often_as_it_comes(self, slider):
        sent, calls = listen(slider), []
        slider.render = lambda **values: calls.append(values) or torch.ones(1, 1, 8, 8)
        ask(slider, level=1.0)
        ask(slider, level=1.0, again=True)
        assert len(calls) == 1
        assert [content["number"] for content, _ in sent] == ["a-1", "a-1"]
        assert all("picture" in pictures for _, pictures in sent)  # the first answer may have been lost

    def test_an_error_is_one_sentence_the_picture_stays_and_the_next_move_takes_it_away(self, slider):
        sent, shown = listen(slider), slider.picture
        ask(slider, level=1.9)
        assert sent[-1][0]["line"] == "That did not work. RuntimeError: too far."
        assert (sent[-1][0]["kind"], sent[-1][0]["values"]["level"], slider.picture) == ("failed", 0.0, shown)
        ask(slider, "a-2", level=1.0)
        assert not sent[-1][0].get("line")
        assert decoded(sent[-1][1]["picture"]).min() == 255

    def test_only_what_has_changed_is_sent(self, view):
        sent = listen(view)
        ask(view, share=0.2)
        assert set(sent[-1][1]) == {"child"}

    def test_what_does_not_fit_into_a_message_is_refused(self, monkeypatch):
        monkeypatch.setattr(base_module, "LIMIT", 10_000)
        with pytest.raises(ValueError, match="fit into a message"):
            picture_slider(lambda a: b"x" * 20_000, a=(0, 1))

    def test_the_courses_own_errors_are_sentences_already(self):
        assert base_module.explained(photos.PhotoError("this is no photo.")) == "This is no photo."


class TestSliders:
    def test_each_kind_of_control_says_its_value(self, slider):
        seen = {}
        slider.render = lambda **values: seen.update(values) or torch.zeros(1, 1, 8, 8)
        ask(slider, level=1, way=1)
        assert seen == {"level": 1.0, "way": "b"}
        assert isinstance(seen["level"], float)
        move(slider, way=0)
        assert slider.values == {"level": 1.0, "way": "a"}
        assert slider.start["controls"][1]["texts"] == ["a", "b"]

    def test_names_may_have_spaces_and_whole_numbers_stay_whole(self):
        slider = picture_slider(lambda **k: torch.full((1, 1, 8, 8), k["number 1"] / 4), **{"number 1": (0, 4, 2)})
        move(slider, **{"number 1": 4})
        assert slider.values == {"number 1": 4}
        assert isinstance(slider.values["number 1"], int)
        assert decoded(slider.picture).min() == 255

    @pytest.mark.parametrize("spec", [(1,), (2, 1), (0, 1, 5), (0, 4, 2, 2), [], "x"])
    def test_a_control_that_cannot_be_is_refused(self, spec):
        with pytest.raises(ValueError, match='"a"'):
            picture_slider(lambda a: torch.zeros(1, 1, 8, 8), a=spec)

    def test_a_film_is_whole_in_the_page_and_its_last_frame_stays(self):
        film = player([to_png(torch.full((1, 8, 8), k / 2)) for k in range(3)], interval=50)
        assert [decoded(frame).max() for frame in film.start["frames"]] == [0, 128, 255]
        assert film.still() == film.start["frames"][-1]


class TestMap:
    def test_the_place_is_decoded_and_named(self, pad):
        sent = listen(pad)
        ask(pad, code=[0.5, 0.5])
        content, pictures = sent[-1]
        assert (content["code"], content["said"]) == ([0.5, 0.5], "x 0.50, y 0.50, nearest: 1")
        assert decoded(pictures["drawn"]).max() == 128

    def test_a_drawing_becomes_a_code(self, pad):
        sent = listen(pad)
        ask(pad, drawing=True, buffers=[memoryview(np.full(64, 51, np.uint8))])
        assert sent[-1][0]["code"] == pytest.approx([0.2, 0.2])

    def test_points_lie_where_their_codes_are(self, pad):
        places = np.frombuffer(pad.start["points"], "<u2").reshape(3, 2) / 65535
        assert places == pytest.approx(np.array([[1, 1], [11.5, 11.5], [22, 22]]) / 23 + 0.0, abs=0.01)
        assert list(pad.start["names"]) == ["0", "1"]

    def test_codes_of_three_numbers(self):
        three = LatentMap(torch.rand(9, 3), shade, torch.zeros(9))
        assert len(three.start["low"]) == 3
        ask(three, code=[0.1, 0.2, 0.3])
        assert three.said == "0.10, 0.20, 0.30, nearest: 0"

    def test_codes_on_a_gpu_without_double_precision(self):
        class OnApple(torch.Tensor):
            def double(self):
                raise TypeError("Apple's GPUs have no double precision")

            def cpu(self):
                return self.as_subclass(torch.Tensor)

        there = LatentMap(POINTS.as_subclass(OnApple), shade, torch.tensor([0, 1, 1]))
        assert there.start["points"] == LatentMap(POINTS, shade, torch.tensor([0, 1, 1])).start["points"]

    @pytest.mark.parametrize("wrong", [{"codes": torch.rand(3)}, {"labels": torch.zeros(2)}])
    def test_what_does_not_fit_is_refused(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            LatentMap(**{"codes": POINTS, "decode": shade, "labels": torch.tensor([0, 1, 1])} | wrong)


class TestFamily:
    def test_the_child_is_the_blend_that_the_sliders_say(self, view, generator, people):
        move(view, share=0.3, crossover=4, sibling=2)
        a, b = (blending.per_layer(code, generator.num_ws) for _, code in list(people.values())[:2])
        assert torch.equal(view.code(), blending.blend(a, b, share=0.3, crossover=4, sibling=2))
        drawn = to_uint8(generator.draw(view.code()[None]))[0]
        picture = base_module.jpeg_of(Image.fromarray(drawn), 320)
        assert view.pictures["child"] == picture
        assert decoded(picture).shape == (320, 320, 3)

    def test_a_sibling_is_bred_on_with_and_back_returns_bit_for_bit(self, view):
        sent, child, wanted = listen(view), view.pictures["child"], view.code(3)
        ask(view, breed=2)
        ask(view, breed=2, again=True)  # the same question once more: nothing new is born
        assert view.controls["first"] == "child 1"
        assert torch.equal(view.people["child 1"].code, wanted)
        ask(view, "a-2", breed=0)
        assert view.controls["second"] == "child 2"
        assert sent[-1][0]["can_go_back"]
        ask(view, "a-3", back=True)
        ask(view, "a-4", back=True)
        assert (view.pictures["child"], view.controls["first"]) == (child, "person 0")
        assert not sent[-1][0]["can_go_back"]

    def test_siblings_are_drawn_again_when_the_page_asks(self, view):
        sent = listen(view)
        ask(view, share=0.8)
        assert sent[-1][0]["stale"]
        assert set(sent[-1][1]) == {"child"}
        ask(view, "a-2", siblings=True)
        assert not sent[-1][0]["stale"]
        assert set(sent[-1][1]) == {f"sibling {place}" for place in range(6)}
        ask(view, "a-3", others=True)
        assert sent[-1][0]["seeds"] == [7, 8, 9, 10, 11, 12]

    def test_the_view_has_networks_of_its_own(self, view, generator):
        assert view.generator is not generator  # a cell may be tuning that one in this moment

    def test_a_photo_comes_in_pieces_and_its_face_becomes_a_parent(self, view, photo):
        for k, at in enumerate(range(0, len(photo), 1 << 18)):
            piece = {"key": "k", "side": "second", "at": at, "size": len(photo)}
            for again in (False, True):  # a piece that comes twice counts once
                ask(view, f"a-{k}", [photo[at : at + (1 << 18)]], again, piece=piece)
        wait(view)
        assert view.worker.line.startswith("Your photo 1 is the second parent now")
        assert view.controls["second"] == "your photo 1"
        assert (view.people["your photo 1"].code == 0.7).all()
        assert view.people["your photo 1"].picture.shape == (3, 64, 64)

    def test_an_uploaded_photo_is_in_nothing_that_a_notebook_saves(self, view, photo):
        still = view.still()
        view.upload(photo, side="first")
        wait(view)
        assert view.start["first"]["names"] == ["person 0", "person 1", "person 2"]
        view.breed(0)  # nor is a child of the photo
        assert view.still() == still

    @pytest.mark.parametrize("content", [b"", b"Dear reader, this is no picture.", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
    def test_what_is_no_photo_gets_a_sentence_and_everything_stays(self, view, content):
        sent, before = listen(view), dict(view.controls)
        send(view, content, side="first")
        assert sent[-1][0]["kind"] == "failed"
        assert sent[-1][0]["line"].count("\n") == 0
        assert sent[-1][0]["line"].endswith(".")
        assert view.controls == before
        move(view, share=0.2)
        assert not sent[-1][0]["line"]

    def test_a_search_that_fails_is_said_until_the_next_move(self, view, photo, monkeypatch):
        sent = listen(view)
        monkeypatch.setattr("latentlib.widgets.family.tuning.pivots", lambda *_, **__: 1 / 0)
        send(view, photo, side="first")
        assert sent[-1][0]["kind"] == "busy"
        wait(view)
        assert (sent[-1][0]["kind"], view.controls["first"]) == ("failed", "person 0")
        assert sent[-1][0]["line"] == "That did not work. ZeroDivisionError: division by zero."
        move(view, share=0.2)
        assert not sent[-1][0]["line"]

    def test_eyes_are_clicked_where_no_face_is_found(self, view, photo):
        upside_down = io.BytesIO()
        Image.open(io.BytesIO(photo)).rotate(180).save(upside_down, "png")
        sent = listen(view)
        send(view, upside_down.getvalue(), side="first")
        assert sent[-1][0]["picking"]
        assert "photo" in sent[-1][1]
        ask(view, "a-1", eyes=[[0.5, 0.5], [0.5, 0.5]])
        assert sent[-1][0]["kind"] == "failed"
        assert view.controls["first"] == "person 0"
        ask(view, "a-2", eyes=[[0.4, 0.6], [0.6, 0.6]])
        wait(view)
        assert view.controls["first"] == "your photo 1"
        assert not sent[-1][0]["picking"]

    def test_no_thread_stays_when_its_work_is_done(self, view, photo):
        before = threading.active_count()
        view.upload(photo, side="first")
        wait(view)
        until = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.02)
        assert threading.active_count() <= before


class TestTuning:
    @pytest.fixture
    def photos_of_two(self, people):
        """People whom the generator does not draw from their codes."""
        return {name: (torch.zeros(3, 64, 64), code) for name, (_, code) in people.items()}

    class White(torch.nn.Module):
        def draw(self, codes):
            time.sleep(0.05)  # who does not wait for the end does not see it
            return torch.ones(len(codes), 3, 64, 64)

    def test_the_copy_draws_when_it_has_come_and_is_kept(self, generator, photos_of_two):
        calls = []

        def tune(codes, pictures, stop):
            calls.append((codes.shape, pictures.shape))
            while not stop():
                time.sleep(0.01)
            return self.White()

        view = FamilyView(generator, photos_of_two, tune=tune)
        sketch, sent = view.pictures["child"], listen(view)
        assert view.tuning.kind == "busy"
        assert "sketch" in view.start["first"]["tuning"]
        move(view, share=0.2)  # the sliders do not wait for it
        assert view.pictures["child"] != sketch
        ask(view, stop=True)
        wait(view)
        assert view.tuning.line.startswith("Drawn by a copy of the generator, stopped after")
        assert decoded(view.pictures["child"]).min() == 255
        assert decoded(sent[-1][1]["child"]).min() == 255
        ask(view, "a-2", breed=0)
        assert decoded(view.pictures["child"]).min() == 255  # its children are drawn by the same copy
        move(view, first="person 1", second="person 0")
        assert decoded(view.pictures["child"]).min() == 255
        assert len(calls) == 1
        view.close()

    def test_what_was_tuned_before_is_used_at_once_in_either_order(self, generator, photos_of_two):
        view = FamilyView(generator, photos_of_two, copies={("person 1", "person 0"): self.White()})
        assert decoded(view.pictures["child"]).min() == 255
        assert view.tuning.line == "Drawn by a copy of the generator that was tuned on both photos."
        view.close()

    def test_a_couple_whose_child_is_left_again_is_not_tuned_anew(self, generator, photos_of_two):
        asked = []

        def tune(codes, pictures, stop):
            asked.append(codes)
            while not stop():
                time.sleep(0.01)
            return self.White()

        view = FamilyView(generator, photos_of_two, tune=tune)
        move(view, breed=0)
        move(view, back=True)
        move(view, stop=True)
        wait(view)
        assert len(asked) == 1
        view.close()

    def test_an_error_is_said(self, generator, photos_of_two):
        def tune(*_, **__):
            raise RuntimeError("no memory")

        view = FamilyView(generator, photos_of_two, tune=tune)
        wait(view)
        assert view.tuning.line == "That did not work. RuntimeError: no memory."
        view.close()

    def test_the_couple_wanted_last_counts(self, generator, photos_of_two):
        asked = []

        def tune(codes, pictures, stop):
            asked.append(len(asked))
            while not stop() and len(asked) == 1:  # the first would go on forever
                time.sleep(0.01)
            return self.White()

        view = FamilyView(generator, photos_of_two, tune=tune)
        move(view, first="person 2")
        wait(view)
        assert view.copies.keys() == {frozenset({"person 1", "person 2"})}
        assert view.tuning.line.startswith("Drawn by a copy of the generator, tuned in")
        view.close()


class TestWhatOneKeeps:
    def test_the_card_has_its_name_its_words_and_the_mark_for_machines(self, generator, people):
        view = FamilyView(generator, people)
        ask(view, keep="card")
        wait(view)
        image = Image.open(io.BytesIO(view.pictures["file"]))
        assert (view.file, view.worker.line) == ("family_card.png", "family_card.png is ready.")
        assert card_module.SENTENCE in image.text["Description"]
        mark = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
        assert mark in image.text["XML:com.adobe.xmp"]
        assert mark in str(image.getxmp())
        view.close()

    @pytest.mark.parametrize("siblings", [1, 6])
    def test_a_long_name_stays_below_its_own_picture(self, siblings):
        grey = Image.new("RGB", (64, 64), "grey")
        sheets = [
            Image.open(io.BytesIO(card_module.family_sheet([grey] * (3 + siblings), names, "A title")))
            for names in (["Ann", "Bo"], ["Ann-Marie " * 30, "Bo"])
        ]
        changed = np.abs(np.subtract(*(np.asarray(sheet.convert("L"), float) for sheet in sheets))) > 8
        down, right = changed.nonzero()
        top = 40 + card_module.CHILD
        assert changed.any()
        assert right.max() < card_module.PARENT
        assert top <= down.min() < down.max() < top + 70

    def test_the_film_goes_there_and_back_and_carries_the_mark(self, view, people):
        ask(view, keep="film")
        wait(view)
        film = Image.open(io.BytesIO(view.pictures["file"]))
        assert (film.format, film.n_frames, film.size, view.file) == ("WEBP", 46, (320, 320), "family_film.webp")
        assert b"trainedAlgorithmicMedia" in film.info["xmp"]
        first = base_module.jpeg_of(Image.fromarray(to_uint8(people["person 0"][0])[0]), 320)
        assert np.abs(decoded(view.pictures["file"]) - decoded(first)).mean() < 8


class TestEyes:
    def test_two_clicks_are_the_eyes_in_pixels_the_left_one_first(self):
        picker = EyePicker(np.zeros((100, 200, 3), np.uint8))
        ask(picker, eyes=[[0.6, 0.5], [0.4, 0.5]])
        assert picker.eyes == (pytest.approx((80, 50)), pytest.approx((120, 50)))
        ask(picker, "a-2", eyes=[])
        assert picker.eyes is None

    def test_a_photo_is_chosen_on_the_page_and_its_face_found(self, photo):
        picker = EyePicker()
        sent = listen(picker)
        assert (picker.photo, picker.eyes, picker.start["most"]) == (None, None, 60_000_000)
        for k, at in enumerate((0, 1 << 18)):
            piece = {"key": "k", "at": at, "size": len(photo)}
            ask(picker, f"a-{k}", [photo[at : at + (1 << 18)] if k == 0 else photo[at:]], piece=piece)
        assert picker.photo.shape == portraits.photo("Grace Hopper").shape
        assert photos.align(picker.photo, eyes=picker.eyes).equal(photos.align(portraits.photo("Grace Hopper")))
        assert "A face was found" in sent[-1][0]["line"]
        assert not sent[-1][1], "the photo went back to the page"

    def test_where_no_face_is_found_the_eyes_are_clicked_and_what_is_no_photo_changes_nothing(self, photo):
        picker, upside_down = EyePicker(), io.BytesIO()
        Image.open(io.BytesIO(photo)).rotate(180).save(upside_down, "png")
        sent = listen(picker)
        picker.upload(upside_down.getvalue())
        picker.tell()
        assert (picker.eyes, sent[-1][0]["picking"], set(sent[-1][1])) == (None, True, {"photo"})
        before = picker.photo
        ask(picker, "a-1", [b"Dear reader"], piece={"key": "k", "at": 0, "size": 11})
        assert sent[-1][0]["kind"] == "failed"
        assert picker.photo is before
        ask(picker, "a-2", eyes=[[0.6, 0.6], [0.4, 0.6]])
        assert picker.eyes[0] == pytest.approx((0.4 * before.shape[1], 0.6 * before.shape[0]))

    def test_what_cannot_be_eyes_is_said(self):
        picker = EyePicker(np.zeros((100, 200, 3), np.uint8))
        sent = listen(picker)
        ask(picker, eyes=[[0.5, 0.5], [0.5, 0.5]])
        assert sent[-1][0]["kind"] == "failed"
        assert picker.eyes is None
