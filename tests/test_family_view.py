"""family_view: sliders and uploads change the pictures; every bad file gets its sentence and changes nothing."""

import errno
import io
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos
from latentlib.datasets import portraits
from latentlib.gan import blending
from latentlib.models.stylegan2 import Generator
from latentlib.widgets import family_card as card_room
from latentlib.widgets.copies import Copies
from latentlib.widgets.eye_picker import EyePicker
from latentlib.widgets.family import FamilyView
from latentlib.widgets.family_card import CARD_SENTENCE, card_alt, family_card, save_card

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 4, 8: 4, 16: 4, 32: 4, 64: 4}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(1)
    return Generator(64, z_dim=8, w_dim=8, channels=CHANNELS).eval().requires_grad_(False)


@pytest.fixture
def people(generator):
    codes = torch.randn(3, 8, generator=torch.Generator().manual_seed(2)) * 2
    return {f"person {k}": (generator.draw(codes[k, None])[0], codes[k]) for k in range(3)}


@pytest.fixture
def view(generator, people, tmp_path):
    """A view whose search finds the same code for every face, and that has consent."""
    made = FamilyView(generator, people, search=lambda picture: torch.full((10, 8), 0.7), card=tmp_path / "card.png")
    made.panel.consent = True
    sent = []
    made.panel.send = lambda content, buffers=None: sent.append((content, buffers or []))
    made.sent = sent
    return made


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def drawn(generator, code):
    return (generator.draw(code[None])[0].permute(1, 2, 0) * 255).round().int().numpy()


def encoded(pixels, kind="png", **options):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def hopper():
    return encoded(portraits.photo("Grace Hopper"), "jpeg")


class TestSliders:
    def test_the_share_goes_from_one_parent_to_the_other(self, view, generator, people):
        for share, name in ((0, "person 0"), (1, "person 1")):
            view.set(share=share)
            assert np.abs(decoded(view.child) - drawn(generator, people[name][1])).max() <= 1
        view.set(share=0.25)
        mixed = people["person 0"][1].lerp(people["person 1"][1], 0.25)
        assert np.abs(decoded(view.child) - drawn(generator, mixed)).max() <= 1

    def test_crossover_takes_whole_layers(self, view, people):
        view.set(crossover=4)
        torch.testing.assert_close(view.code()[:4], people["person 0"][1].expand(4, -1))
        torch.testing.assert_close(view.code()[4:], people["person 1"][1].expand(6, -1))

    def test_siblings_differ_and_come_back(self, view):
        view.set(sibling=1)
        first = view.child
        view.set(sibling=2)
        assert view.child != first
        view.set(sibling=1)
        assert view.child == first

    def test_choosing_a_parent_shows_it_and_its_child(self, view, people):
        child = view.child
        view.set(first="person 2")
        assert view.child != child
        np.testing.assert_allclose(
            decoded(view.pictures["first"]), drawn(view.generator, people["person 2"][1]), atol=1
        )

    def test_a_parent_is_shown_as_given_or_as_drawn(self, generator, people):
        photo = torch.zeros(3, 64, 64)
        view = FamilyView(generator, {"photo": (photo, people["person 0"][1]), **people})
        assert decoded(view.pictures["first"]).max() == 0
        view.set(drawn=True)
        np.testing.assert_allclose(decoded(view.pictures["first"]), drawn(generator, people["person 0"][1]), atol=1)
        assert view.pictures["first"] == view.child or view.controls["share"] > 0

    def test_the_picture_says_its_recipe(self, view):
        view.set(share=0.3, crossover=4, sibling=2)
        content, buffers = view.sent[-1]
        assert content["places"] == ["child"]
        assert len(buffers) == 1
        assert content["alts"][0].replace("\u00a0", " ") == (
            "Child: 70 % person 0, 30 % person 1; crossover after layer 4 of 10; sibling 2"
        )

    @pytest.mark.parametrize(
        ("values", "match"),
        [({"first": "nobody"}, "no 'nobody'"), ({"share": 1.2}, "from 0 to 1"), ({"sibling": -1}, "from 0 to"),
         ({"crossover": 10}, "from 0 to 9"), ({"colour": 1}, "no control 'colour'")],
    )  # fmt: skip
    def test_a_wrong_value_is_named_and_changes_nothing(self, view, values, match):
        before = dict(view.controls), view.child
        with pytest.raises(ValueError, match=match):
            view.set(**values)
        assert (view.controls, view.child) == before

    def test_one_person_is_a_family_and_none_is_not(self, generator, people):
        alone = FamilyView(generator, {"alone": people["person 0"]})
        alone.set(share=1, sibling=3)
        np.testing.assert_allclose(decoded(alone.child), drawn(generator, people["person 0"][1]), atol=1)
        with pytest.raises(ValueError, match="people is empty"):
            FamilyView(generator, {})

    def test_the_saved_text_and_state_hold_no_picture(self, view):
        assert repr(view) == "A family: two parents, sliders for mix, crossover and sibling, and the child"
        assert len(repr(view)) < 110  # else IPython cuts it
        assert not [name for name, value in view.panel.get_state().items() if isinstance(value, (bytes, memoryview))]


class TestBrowser:
    """What the browser's half sends, as the browser sends it."""

    @staticmethod
    def hear(view, content, *buffers):
        view.panel._handle_custom_msg(content, [memoryview(b) for b in buffers])

    def test_a_moved_slider_is_answered_by_its_number(self, view):
        before = view.child
        self.hear(view, {"kind": "change", "values": {"share": 0.9}, "number": 17})
        assert view.controls["share"] == view.panel.controls["share"] == 0.9
        content, (png,) = view.sent[-1]
        assert content["number"] == 17
        assert png == view.child != before

    def test_a_new_page_gets_all_pictures(self, view):
        self.hear(view, {"kind": "show"})
        content, buffers = view.sent[-1]
        assert sorted(content["places"]) == ["child", "first", "second"]
        assert all(decoded(png).shape == (64, 64, 3) for png in buffers)

    def test_a_photo_comes_in_pieces(self, view, hopper):
        pieces = [hopper[at : at + 10_000] for at in range(0, len(hopper), 10_000)]
        self.hear(view, {"kind": "photo", "key": "a", "parent": "second", "size": len(hopper)})
        for piece in pieces[:-1]:
            self.hear(view, {"kind": "piece", "key": "a"}, piece)
        assert view.controls["second"] == "person 1"
        self.hear(view, {"kind": "piece", "key": "a"}, pieces[-1])
        view.wait()
        assert view.controls["second"] == "Your photo 1"
        assert not view._arriving.arriving

    def test_a_huge_file_is_refused_by_its_size_alone(self, view):
        self.hear(view, {"kind": "photo", "key": "a", "parent": "first", "size": 61_000_000})
        assert view.panel.status == "This file has 61 MB, more than 60; make the photo smaller and try again."
        assert view.panel.failed
        self.hear(view, {"kind": "piece", "key": "a"}, b"x" * 1000)  # on its way already: ignored
        assert not view._arriving.arriving

    def test_more_bytes_than_said_are_not_kept(self, view):
        self.hear(view, {"kind": "photo", "key": "a", "parent": "first", "size": 10})
        self.hear(view, {"kind": "piece", "key": "a"}, b"x" * 1000)
        assert view.panel.failed
        assert not view._arriving.arriving

    def test_an_empty_file_is_no_picture(self, view):
        self.hear(view, {"kind": "photo", "key": "a", "parent": "first", "size": 0})
        view.wait()
        assert "no picture" in view.panel.status

    def test_nonsense_becomes_a_sentence(self, view):
        before = dict(view.controls)
        self.hear(view, {"kind": "change", "values": {"first": "nobody"}, "number": 1})
        assert view.panel.status.startswith("That did not work. ValueError: there is no 'nobody'")
        assert view.panel.failed
        assert view.controls == before

    def test_what_cannot_be_done_is_answered_too(self, view):
        self.hear(view, {"kind": "change", "values": {"share": 7}, "number": 5})
        assert ({"kind": "failed", "number": 5}, []) in view.sent
        assert view.panel.failed
        self.hear(view, {"kind": "change", "values": {"share": 0.7}, "number": 6})
        assert view.panel.status == ""  # the child is right again
        assert not view.panel.failed

    def test_a_question_that_comes_again_is_drawn_once(self, view):
        for _ in range(3):
            self.hear(view, {"kind": "change", "values": {"share": 0.9}, "number": 17})
        assert len([1 for content, _ in view.sent if content.get("number") == 17]) == 1
        for _ in range(3):
            self.hear(view, {"kind": "change", "values": {"share": 9}, "number": 18})
        assert len([1 for content, _ in view.sent if content["kind"] == "failed"]) == 1

    def test_an_upload_that_was_left_is_let_go(self, view, monkeypatch):
        photo = {"kind": "photo", "parent": "first", "size": 1000}
        self.hear(view, photo | {"key": "a"})
        self.hear(view, photo | {"key": "b"})  # another photo for the same side
        assert list(view._arriving.arriving) == ["b"]
        monkeypatch.setattr("latentlib.widgets.uploads.ABANDONED", 0)
        self.hear(view, {"kind": "show"})
        assert not view._arriving.arriving


class TestTuning:
    """A copy learns both parents while the sliders go on; it is used when it is ready, kept, stopped, given up."""

    @pytest.fixture
    def photos(self, people):
        """People whose pictures their codes do not draw."""
        numbers = torch.Generator().manual_seed(9)
        return {name: (torch.rand(3, 64, 64, generator=numbers), code) for name, (_, code) in people.items()}

    @pytest.fixture
    def brighter(self, generator):
        """What stands for a tuned copy: it draws everybody in white."""

        class White(torch.nn.Module):
            def draw(self, codes):
                return torch.ones(len(codes), 3, 64, 64)

        return White()

    @pytest.fixture
    def tuner(self, brighter):
        """A tuning that ends when it is let go or stopped, and tells what it was asked."""

        class Tuner:
            def __init__(self):
                self.asked, self.go, self.begun = [], threading.Event(), threading.Event()

            def __call__(self, codes, pictures, stop):
                self.asked.append((codes, pictures))
                self.begun.set()
                while not (self.go.wait(0.01) or stop()):
                    pass
                return brighter

        return Tuner()

    @pytest.fixture
    def view(self, generator, photos, tuner):
        made = FamilyView(generator, photos, tune=tuner)
        yield made
        tuner.go.set()
        made.close()

    def test_the_sketch_is_there_at_once_and_the_tuned_child_when_it_is_ready(self, view, tuner, photos):
        assert decoded(view.child).min() < 255
        assert view.panel.learning
        assert view.panel.tuning.startswith("This is a sketch.")
        view.set(share=0.25)  # the sliders go on
        assert view.network() is view.generator
        tuner.go.set()
        view.wait()
        assert decoded(view.child).min() == 255
        assert not view.panel.learning
        assert view.panel.tuning.startswith("Drawn by a copy of the generator, tuned in ")
        ((codes, pictures),) = tuner.asked
        assert torch.equal(pictures, torch.stack([photos[f"person {k}"][0] for k in (0, 1)]))
        assert torch.equal(codes[1], view.people["person 1"][1])

    def test_another_parent_gives_it_up_and_begins_again(self, view, tuner):
        assert tuner.begun.wait(30)
        view.set(second="person 2")
        tuner.go.set()
        view.wait()
        assert len(tuner.asked) == 2
        assert list(view.copies.kept) == [("person 0", "person 2")]

    def test_a_couple_is_tuned_once_whoever_comes_first(self, view, tuner):
        tuner.go.set()
        view.wait()
        view.set(second="person 2")
        view.wait()
        view.set(first="person 1", second="person 0")
        view.wait()
        assert len(tuner.asked) == 2
        assert view.network() is not view.generator
        assert "tuned on both photos" in view.panel.tuning

    def test_only_a_few_copies_are_kept(self, view, tuner, monkeypatch):
        monkeypatch.setattr("latentlib.widgets.copies.MOST", 2)
        tuner.go.set()
        for name in ("person 1", "person 2", "person 0"):
            view.set(second=name)
            view.wait()
        assert list(view.copies.kept) == [("person 0", "person 2"), ("person 0", "person 0")]

    def test_what_was_tuned_before_is_used_at_once(self, generator, photos, brighter):
        view = FamilyView(generator, photos, copies={("person 1", "person 0"): brighter})
        assert decoded(view.child).min() == 255
        assert "tuned on both photos" in view.panel.tuning
        view.set(first="person 2")
        assert decoded(view.child).min() < 255
        assert view.panel.tuning == ""
        view.close()

    def test_stop_takes_what_it_has(self, view, tuner):
        assert tuner.begun.wait(30)
        TestBrowser.hear(view, {"kind": "stop"})
        view.wait()
        assert view.panel.tuning.startswith("Drawn by a copy of the generator, stopped after ")
        assert view.network() is not view.generator

    def test_a_failure_is_said_and_the_sketch_stays(self, generator, photos):
        view = FamilyView(generator, photos, tune=lambda *_: 1 / 0)
        view.wait()
        assert view.panel.tuning == "The copy could not be tuned. ZeroDivisionError: division by zero"
        assert view.network() is generator
        view.close()

    def test_who_waits_hears_the_last_sentence(self, generator, photos):
        said = []

        def slowly(sentence, learning):
            time.sleep(0 if learning else 0.3)
            said.append(sentence)

        copies = Copies(generator, lambda *_: 1 / 0, None, slowly, lambda: None, threading.RLock())
        pictures, codes = (torch.stack([photos[f"person {k}"][part] for k in (0, 1)]) for part in (0, 1))
        copies.want("a", "b", blending.per_layer(codes, generator.num_ws), pictures)
        time.sleep(0.1)  # the tuning has failed by now, and is saying so
        copies.wait()
        assert said[-1].startswith("The copy could not be tuned.")
        copies.close()

    def test_people_whom_the_generator_draws_exactly_need_no_copy(self, generator, people, tuner):
        view = FamilyView(generator, people, tune=tuner)
        assert view.panel.tuning == "The generator draws both parents exactly: there is nothing to tune."
        assert not tuner.asked
        view.close()

    def test_close_ends_the_threads(self, view, tuner):
        assert tuner.begun.wait(30)
        view.close()
        view.copies.pool.shutdown(wait=True)  # returns: the tuning heard that it is not wanted any more
        assert not view.copies.kept
        view.close()


class TestPhotos:
    def test_closing_lets_the_thread_go_that_read_photos(self, generator, people, hopper):
        before = set(threading.enumerate())
        view = FamilyView(generator, people, search=lambda picture: torch.zeros(generator.w_dim))
        view.panel.consent = True
        view.upload("first", hopper)
        view.wait()
        (reader,) = set(threading.enumerate()) - before
        view.close()
        reader.join(10)
        assert not reader.is_alive()

    def test_a_photo_becomes_a_parent(self, view, generator):
        child = view.child
        view.upload("first", encoded(portraits.photo("Grace Hopper")))
        view.wait()
        assert view.panel.status.startswith("Your photo 1 is the first parent now, found in ")
        assert not view.panel.failed
        assert not view.panel.busy
        assert view.panel.names == ["person 0", "person 1", "person 2", "Your photo 1"]
        aligned = photos.align(portraits.photo("Grace Hopper")).permute(1, 2, 0).numpy() * 255
        np.testing.assert_allclose(decoded(view.pictures["first"]), aligned, atol=1)
        assert view.child != child
        view.set(share=0)
        np.testing.assert_allclose(decoded(view.child), drawn(generator, torch.full((10, 8), 0.7)), atol=1)

    def test_the_sliders_go_on_while_a_face_is_searched_for(self, generator, people, hopper):
        go_on, begun = threading.Event(), threading.Event()

        def search(picture):
            begun.set()
            assert go_on.wait(30)
            return torch.zeros(10, 8)

        view = FamilyView(generator, people, search=search)
        view.panel.consent = True
        view.upload("first", hopper)
        assert begun.wait(30)
        assert view.panel.busy
        assert view.panel.status.startswith("Searching for this face")
        before = view.child
        view.set(share=0.9, second="person 2")
        assert view.child != before
        go_on.set()
        view.wait()
        assert (view.controls["first"], view.controls["second"]) == ("Your photo 1", "person 2")
        assert view.controls["share"] == 0.9
        assert not view.panel.busy

    def test_without_consent_nothing_is_looked_at(self, view, hopper, monkeypatch):
        monkeypatch.setattr("latentlib.widgets.family.read", lambda content: pytest.fail("it was read"))
        view.panel.consent = False
        view.upload("first", hopper)
        view.wait()
        assert view.panel.status == "No photo was taken: tick the box first, if you agree."
        assert list(view.people) == ["person 0", "person 1", "person 2"]

    def test_both_parents_can_come_from_photos(self, view, hopper):
        view.upload("first", hopper)
        view.upload("second", encoded(portraits.photo("Eileen Collins")))
        view.wait()
        assert (view.controls["first"], view.controls["second"]) == ("Your photo 1", "Your photo 2")

    def test_a_failed_search_is_said(self, view, hopper):
        view.search = lambda picture: 1 / 0
        before = dict(view.pictures)
        view.upload("first", hopper)
        view.wait()
        assert view.panel.status == "The photo could not be used. ZeroDivisionError: division by zero"
        assert view.pictures == before
        assert list(view.people) == ["person 0", "person 1", "person 2"]

    def test_nothing_is_written_before_save(self, view, hopper, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        view.upload("first", hopper)
        view.wait()
        assert list(tmp_path.iterdir()) == []


def moving(kind):
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format=kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def giant_header():
    """A PNG that says it has 60,000 × 60,000 pixels, and holds none."""
    small = bytearray(encoded(np.zeros((2, 2, 3), np.uint8)))
    small[16:24] = (60_000).to_bytes(4, "big") * 2
    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    return bytes(small)


BAD = {
    "text": (lambda photo: b"Dear reader", "This file is no picture that can be read here"),
    "nothing": (lambda photo: b"", "This file is no picture that can be read here"),
    "html": (lambda photo: b"<html><img src=x></html>", "This file is no picture that can be read here"),
    "cut jpeg": (lambda photo: photo[: len(photo) // 2], "This picture is damaged"),
    "cut png": (lambda photo: encoded(portraits.photo("Eileen Collins"))[:50_000], "This picture is damaged"),
    "gif": (lambda photo: moving("gif"), "This is a moving picture, or several in one file; choose a still photo."),
    "apng": (lambda photo: moving("png"), "This is a moving picture"),
    "webp": (lambda photo: moving("webp"), "This is a moving picture"),
    "52 megapixels": (
        lambda photo: encoded(np.zeros((7500, 7000), np.uint8)), "This picture has 52 million, more than 50 million"
    ),
    "a bomb": (lambda photo: giant_header(), "This picture has far more than 50 million pixels"),
    "heavy": (lambda photo: photo + b"\0" * 60_000_000, "This file has 60 MB, more than 60"),
    "postscript": (lambda photo: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "This file is no picture that"),
    "no face": (lambda photo: encoded(np.zeros((300, 300, 3), np.uint8)), "No face was found in this photo. Click"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_a_sentence_and_the_pictures_stay(view, hopper, name):
    make, sentence = BAD[name]
    before, people = dict(view.pictures), list(view.people)
    view.upload("first", make(hopper))
    view.wait()
    assert view.panel.status.startswith(sentence)
    assert view.panel.failed
    assert "0x" not in view.panel.status  # no address of an object
    assert not view.panel.busy
    assert view.pictures == before
    assert list(view.people) == people
    assert view.controls["first"] == "person 0"


@pytest.mark.parametrize("name", ["52 megapixels", "a bomb", "gif"])
def test_what_is_refused_is_not_decoded(hopper, name, monkeypatch):
    content = BAD[name][0](hopper)
    monkeypatch.setattr(photos, "_pixels", lambda image, most: pytest.fail("it was decoded"))
    with pytest.raises(photos.PhotoError):
        photos.read(content)


def test_a_phones_photo_with_a_second_picture_inside_is_a_still_photo():
    buffer = io.BytesIO()
    photo = Image.fromarray(portraits.photo("Eileen Collins"))
    photo.save(buffer, format="MPO", save_all=True, append_images=[photo.resize((64, 64))])
    assert photos.read(buffer.getvalue()).shape == (512, 512, 3)


def test_a_large_photo_is_made_smaller_and_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photo = np.zeros((3000, 4000, 3), np.uint8)
    photo[:, :2000] = 255
    for kind in ("jpeg", "png"):
        read = photos.read(encoded(photo, kind, exif=exif))
        assert max(read.shape) <= photos.WORKING_SIDE
        assert read.shape[0] / read.shape[1] == pytest.approx(4 / 3, rel=0.01)
        assert read[10].min() > 200
        assert read[-10].max() < 50


class TestEyes:
    @pytest.fixture
    def turned(self):
        return portraits.photo("Grace Hopper")[::-1].copy()  # no detector finds this face

    def test_where_no_face_is_found_the_eyes_can_be_clicked(self, view, turned):
        view.upload("first", encoded(turned))
        view.wait()
        picker = view.picker
        assert view.children == (view.panel, picker)
        picker.pick((200, 400), (150, 400))
        view.wait()
        assert view.controls["first"] == "Your photo 1"
        assert view.children == (view.panel,)
        wanted = photos.align(turned, eyes=((150, 400), (200, 400))).permute(1, 2, 0).numpy() * 255
        np.testing.assert_allclose(decoded(view.pictures["first"]), wanted, atol=1)

    def test_impossible_eyes_are_said_and_can_be_set_again(self, view, turned):
        view.upload("first", encoded(turned))
        view.wait()
        picker = view.picker
        picker.pick((200, 400), (201, 400))
        assert picker.failed
        assert "less than 4 pixels apart" in picker.status
        assert view.picker is picker
        picker.pick((150, 400), (200, 400))
        view.wait()
        assert view.controls["first"] == "Your photo 1"

    def test_another_photo_or_a_button_closes_the_picker(self, view, turned, hopper):
        for close in (
            lambda: view.upload("second", hopper),
            lambda: view.picker._handle_custom_msg({"kind": "cancel"}, []),
        ):
            view.upload("first", encoded(turned))
            view.wait()
            picker = view.picker
            assert picker.comm is not None
            close()
            view.wait()
            assert view.picker is None
            assert picker.comm is None  # the browser's half has let go as well
            assert view.children == (view.panel,)
        assert view.controls["first"] == "person 0"

    def test_alone_it_keeps_the_eyes(self):
        photo = portraits.photo("Grace Hopper")
        height, width = photo.shape[:2]
        done = []
        picker = EyePicker(photo, done.append)
        assert picker.eyes is None
        sent = []
        picker.send = lambda content, buffers=None: sent.append((content["kind"], buffers))
        picker._handle_custom_msg({"kind": "show"}, [])
        (kind, (jpeg,)) = sent[0]
        assert kind == "photo"
        assert decoded(jpeg).shape[1] / decoded(jpeg).shape[0] == pytest.approx(width / height, rel=0.01)
        picker._handle_custom_msg({"kind": "eyes", "eyes": [[0.6, 0.5], [0.4, 0.45]]}, [])
        assert picker.eyes == ((0.4 * width, 0.45 * height), (0.6 * width, 0.5 * height))
        assert done == [picker.eyes]
        assert photos.align(photo, eyes=picker.eyes).shape == (3, 64, 64)
        picker._handle_custom_msg({"kind": "again"}, [])
        assert picker.eyes is None
        assert repr(picker) == "A photo in which to click the two eyes"
        assert not [value for value in picker.get_state().values() if isinstance(value, (bytes, memoryview))]


class TestCard:
    def test_it_holds_the_pictures_and_the_sentence(self):
        shades = torch.linspace(0.1, 0.9, 6).reshape(6, 1, 1, 1).expand(-1, 3, 64, 64)
        png = family_card(shades[:2], shades[2:], ["Ada", "Bea"])
        image = Image.open(io.BytesIO(png))
        assert image.text["Description"] == card_alt(["Ada", "Bea"])
        assert CARD_SENTENCE == "A weighted blend, not a prediction of a real child."
        assert CARD_SENTENCE in card_alt(["Ada", "Bea"])
        pixels = decoded(png)
        for shade, area in zip(shades[:, 0, 0, 0], [card_room.PARENT**2] * 2 + [card_room.CHILD**2] * 4, strict=True):
            level = round(float(shade) * 255)
            assert (np.abs(pixels - level).max(-1) <= 1).sum() == pytest.approx(area, rel=0.03)

    def test_long_names_stay_inside(self):
        pictures = torch.zeros(2, 3, 64, 64)
        name = "Adelheid Wilhelmine Friederike von und zu Hohenstein und Unterlindau"
        pixels = decoded(family_card(pictures, pictures, [name, name]))
        assert pixels[:, :8].min() == 255
        assert pixels[:, -8:].min() == 255
        under = pixels[60 + card_room.PARENT + 2 : 60 + card_room.PARENT + 30]
        assert under.min() < 100  # there is text
        assert under[:, 358:362].min() == 255  # the two names do not touch

    @pytest.mark.parametrize(("parents", "children", "names"), [(1, 4, 2), (2, 5, 2), (2, 0, 2), (2, 4, 1)])
    def test_a_wrong_number_is_named(self, parents, children, names):
        with pytest.raises(ValueError, match="a card has 2 parents"):
            family_card(torch.zeros(parents, 3, 8, 8), torch.zeros(children, 3, 8, 8), ["a"] * names)

    def test_save_writes_and_never_overwrites(self, view, tmp_path):
        view.set(sibling=3)
        first = view.save()
        assert first == tmp_path / "card.png"
        assert view.panel.status == "The card was saved as card.png."
        content = first.read_bytes()
        view.set(sibling=0)
        second = view.save()
        assert second == tmp_path / "card-2.png"
        assert first.read_bytes() == content != second.read_bytes()
        offered, (png,) = view.sent[-1]
        assert offered == {"kind": "card", "name": "card-2.png"}
        assert png == second.read_bytes()

    def test_the_first_of_the_four_children_is_the_one_shown(self, view, monkeypatch):
        seen = {}
        monkeypatch.setattr(
            "latentlib.widgets.family.family_card",
            lambda parents, children, names: seen.update(children=children) or b"png",
        )
        for sibling in (0, 2):
            view.set(sibling=sibling)
            view.save()
            np.testing.assert_allclose(seen["children"][0].permute(1, 2, 0) * 255, decoded(view.child), atol=1)
            assert len(seen["children"].flatten(1).unique(dim=0)) == 4

    def test_a_folder_that_is_not_there_gets_a_sentence_and_a_download(self, view, tmp_path):
        view.card = tmp_path / "nowhere" / "card.png"
        assert view.save() is None
        assert view.panel.status.startswith("The card could not be written to ")
        assert "No such file or directory" in view.panel.status
        assert view.panel.failed
        offered, (png,) = view.sent[-1]
        assert offered["name"] == "card.png"
        assert decoded(png).shape[1] == card_room.WIDTH

    def test_a_full_disk_leaves_nothing_behind(self, view, tmp_path, monkeypatch):
        real = Path.open

        class Full:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def write(self, _):
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "open", lambda self, mode="r", **kw: Full(real(self, mode, **kw)))
        assert view.save() is None
        assert "No space left on device" in view.panel.status
        assert list(tmp_path.iterdir()) == []

    def test_save_card_numbers_past_every_file(self, tmp_path):
        for name in ("a.png", "a-2.png"):
            (tmp_path / name).write_bytes(b"mine")
        assert save_card(b"new", tmp_path / "a.png").name == "a-3.png"
        assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_a_photo_is_searched_for_by_the_librarys_own_inversion(generator, people, hopper):
    pytest.importorskip("latentlib.gan.inversion")
    view = FamilyView(generator, people)
    view.panel.consent = True
    view.upload("first", hopper)
    view.wait()
    assert view.panel.status.startswith("Your photo 1 is the first parent now"), view.panel.status
    picture, code = view.people["Your photo 1"]
    assert code.shape == (10, 8)
    found = (generator.draw(code[None])[0] - picture).square().mean()
    mean = (generator.draw(generator.w_avg[None])[0] - picture).square().mean()
    assert found < mean
