"""The family widget in a real JupyterLab under headless Chromium: two photos, a slider, a card, bad files, eyes."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from latentlib.datasets import portraits
from latentlib.widgets.family_card import CARD_SENTENCE
from tools import chromium
from tools.jupyter_page import PIXELS

pytestmark = pytest.mark.skipif(
    chromium.find() is None and not chromium.required(),
    reason="no Chromium on this machine, the browser tests are left out",
)
CELL = """import sys
sys.path.insert(0, "..")
import torch
from latentlib import weights
from latentlib.widgets.family import FamilyView

generator = weights.load("faces-64")
codes = generator.mapping(torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1)))
people = {f"generated person {k + 1}": (generator.draw(code[None])[0], code) for k, code in enumerate(codes)}
FamilyView(generator, people, search=lambda picture: codes[0].lerp(codes[1], 2 * picture.mean()))"""

SLOW_AND_BROKEN = """import time
import ipywidgets

class Moody:
    \"\"\"Draws like the generator, but refuses beyond the middle, and thinks as long as it is told to.\"\"\"
    seconds = 0

    def __init__(self):
        self.num_ws, self.w_avg, self.resolution = generator.num_ws, generator.w_avg, generator.resolution

    def draw(self, codes):
        time.sleep(self.seconds)
        if view.controls["share"] > 0.52:
            raise RuntimeError("beyond the middle")
        return generator.draw(codes)

class view:
    controls = {"share": 0}

moody = Moody()
view = FamilyView(moody, people)
heard = ipywidgets.Label("0 questions")
numbers = []
def count(_, content, buffers):
    if content["kind"] == "change":
        numbers.append(content["number"])
        heard.value = f"{len(numbers)} questions, {len(set(numbers))} different"
view.panel.on_msg(count)
ipywidgets.VBox([view, heard])"""

SECONDS = """slow = ipywidgets.IntText(description="seconds")
slow.observe(lambda change: setattr(moody, "seconds", change["new"]), "value")
slow"""


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


class Family:
    """The widget on the page, used as a person does: by keyboard, and through the browser's file dialog."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.panel.locator(".family-view").first
        self.notebook.show(self.root)

    def image(self, place: int):
        """0: first parent, 1: child, 2: second parent."""
        return self.root.locator(".family-view-frame").nth(place).locator("img")

    def pixels(self, place: int) -> str:
        return self.image(place).evaluate(PIXELS)

    def says(self, pattern: str) -> str:
        """Wait until the status line says something that matches."""
        line = self.root.get_by_role("status")
        self.page.wait_for_function(
            "([line, pattern]) => new RegExp(pattern).test(line.textContent)", arg=[line.element_handle(), pattern]
        )
        return line.text_content()

    def choose(self, parent: str, name: str, content: bytes) -> None:
        with self.page.expect_file_chooser() as dialog:
            self.root.get_by_text(f"Photo of the {parent} parent").click()
        dialog.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})


@pytest.fixture
def opened_lesson(lab, opened):
    """Notebook 07, run with its parameter fast."""
    path = lab.course / "notebooks" / "07_family_blend.ipynb"
    lesson = nbformat.read(path, as_version=4)
    (parameters,) = (cell for cell in lesson.cells if "parameters" in cell.metadata.get("tags", []))
    assert "fast = False" in parameters.source
    parameters.source = parameters.source.replace("fast = False", "fast = True")
    nbformat.write(lesson, path)
    return lambda: opened(path.stem)


@pytest.fixture
def opened_family(written):
    """The widget in a notebook that has nothing else."""
    return lambda: written("family", CELL)


@pytest.fixture
def opened_moody(written):
    """The widget around a generator that is slow and refuses, with a line that counts the page's questions."""
    return lambda: written("moody", CELL.replace("FamilyView(g", "_ = FamilyView(g"), SLOW_AND_BROKEN, SECONDS)


def test_two_photos_a_slider_and_the_card(lab, opened_lesson):
    notebook = opened_lesson()
    assert notebook.problems() == []
    family = Family(notebook)
    page, root = family.page, family.root

    # Nobody uploads before agreeing, and the box is ticked by keyboard.
    for box in root.locator("input[type=file]").all():
        assert box.is_disabled()
    root.get_by_label("I agree").press("Space")
    page.wait_for_function("() => !document.querySelector('.family-view input[type=file]').disabled")

    for place, parent, name in (
        (0, "first", "Grace Hopper"),
        (2, "second", "Eileen Collins"),
    ):  # not as they stand there
        photo = png(portraits.photo(name))
        assert notebook.changed_by(family.image(place), lambda: family.choose(parent, "photo.png", photo))  # noqa: B023
        family.says(rf"Your photo \d is the {parent} parent now")
        assert "Your photo" in family.image(place).get_attribute("alt")

    slider = root.get_by_label("Share of the second parent")
    alt = family.image(1).get_attribute("alt")

    def press():
        slider.focus()
        for _ in range(3):
            slider.press("ArrowRight")

    assert notebook.changed_by(family.image(1), press), "the arrow keys did not change the child"
    page.wait_for_function(
        "() => [...document.querySelectorAll('.family-view img')].some(image => image.alt.includes('65\\u00a0%'))"
    )
    assert family.image(1).get_attribute("alt") != alt
    assert slider.get_attribute("aria-valuetext") == "65 %"

    # A file that is no photo gets a sentence; everything stays.
    shown = [family.pixels(place) for place in range(3)]
    family.choose("first", "letter.png", b"Dear reader, this is no picture.")
    assert family.says("no picture").count(".") >= 1
    assert [family.pixels(place) for place in range(3)] == shown

    root.get_by_role("button", name="Save the family card").press("Enter")
    said = family.says("The card was saved as")
    (card,) = (lab.course / "notebooks").glob("family_card*.png")
    assert card.name in said
    with page.expect_download() as download:
        root.get_by_text("Download the card").click()
    assert download.value.suggested_filename == card.name
    assert card.read_bytes() == Path(download.value.path()).read_bytes()
    with Image.open(card) as image:
        assert CARD_SENTENCE in image.text["Description"]
    assert notebook.problems() == []


def test_eyes_are_picked_by_keyboard_where_none_are_found(opened_family):
    notebook = opened_family()
    family = Family(notebook)
    family.root.get_by_label("I agree").press("Space")
    family.choose("first", "upside_down.png", png(portraits.photo("Grace Hopper")[::-1]))
    family.says("No face was found in this photo. Click the two eyes")
    stage = notebook.panel.locator(".eye-picker-stage")
    notebook.page.wait_for_function("() => document.activeElement.classList.contains('eye-picker-stage')")

    def pick():
        stage.press("Shift+ArrowLeft")
        stage.press("Enter")
        for _ in range(3):
            stage.press("Shift+ArrowRight")
        stage.press("Enter")

    assert notebook.changed_by(family.image(0), pick), "picking the eyes did not bring the photo"
    family.says("Your photo 1 is the first parent now")
    assert stage.count() == 0
    assert notebook.problems() == []


def test_a_refusal_is_said_once_and_a_slow_drawing_settles(opened_moody):
    notebook = opened_moody()
    assert notebook.problems() == []
    family = Family(notebook)
    page, slider = family.page, family.root.get_by_label("Share of the second parent")
    questions = notebook.panel.locator(".widget-label", has_text="questions")

    slider.focus()
    slider.press("ArrowRight")
    family.says("That did not work. RuntimeError: beyond the middle")
    page.wait_for_function("slider => slider.value === '0.5'", arg=slider.element_handle())  # back where the child is
    page.wait_for_timeout(9_000)  # longer than the page's patience
    assert questions.text_content() == "1 questions, 1 different"

    before = family.pixels(1)
    assert notebook.changed_by(family.image(1), lambda: slider.press("ArrowLeft")), "other moves are blocked"
    assert family.pixels(1) != before
    family.says("^$")
    assert questions.text_content() == "2 questions, 2 different"

    notebook.panel.get_by_label("seconds").fill("6")  # slower than the page's patience
    notebook.panel.get_by_label("seconds").press("Enter")
    page.wait_for_timeout(500)
    assert notebook.changed_by(family.image(1), lambda: slider.press("ArrowLeft"))
    shown = family.pixels(1)
    page.wait_for_timeout(14_000)
    asked, different = (int(part.split()[0]) for part in questions.text_content().split(", "))
    assert different == 3  # no new question
    assert asked <= 4  # the old one once more at most
    assert family.pixels(1) == shown


def test_the_sketch_is_replaced_by_the_tuned_child_and_tuning_can_be_stopped(written):
    cell = CELL.replace("FamilyView(generator, people,", "view = FamilyView(generator, photos, tune=learn,")
    assert cell != CELL
    photos = "photos = {name: (torch.rand(3, 64, 64), code) for name, (_, code) in people.items()}\n"
    learn = (
        "import time\n"
        "class White:\n"
        "    draw = staticmethod(lambda codes: torch.ones(len(codes), 3, 64, 64))\n"
        "def learn(codes, pictures, stop):\n"
        "    while not stop():\n"
        "        time.sleep(0.05)\n"
        "    return White()\n"
    )
    start, end = cell.rsplit("\n", 1)
    page = written("tuned", f"{start}\n{photos}{learn}{end}\nview")
    assert page.problems() == []
    family = Family(page)
    family.root.get_by_text("This is a sketch").wait_for()
    slider = family.root.get_by_label("Share of the second parent")
    assert page.changed_by(family.image(1), lambda: slider.press("ArrowLeft")), "the sliders wait for the tuning"
    button = family.root.get_by_role("button", name="Stop and take what it has")
    assert page.changed_by(family.image(1), lambda: button.press("Enter"))
    family.root.get_by_text("stopped after").wait_for()
    assert button.is_hidden()
