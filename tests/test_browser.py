"""All widgets in a real JupyterLab under headless Chromium: keyboard, errors, Run All, a restarted and a dead kernel.

One notebook holds them all, and the tests go through it in the order in which they stand here.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from PIL import Image

from latentlib.datasets import portraits
from tools.jupyter_page import CELLS, PIXELS, chromium, required

pytestmark = pytest.mark.skipif(
    chromium() is None and not required(),
    reason="no Chromium on this machine, the browser tests are left out",
)
START = """%matplotlib inline
import sys
sys.path.insert(0, "..")
import torch
from latentlib import weights, widgets
from latentlib.datasets import portraits

generator = weights.load("faces-64", "cpu")
codes = generator.mapping(torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1)))
people = {f"somebody {k + 1}": (generator.draw(code[None])[0], code) for k, code in enumerate(codes)}

def shade(place):
    if place[0, 0] > 0.9:
        raise RuntimeError("too far to the right")
    return place.sigmoid()[:, :1, None, None].expand(1, 1, 8, 8)"""
# name: the cell that makes it, the part that takes the keys, a key that moves it, where its answer is seen
WIDGETS = {
    "sliders": (
        """def draw(**values):
    return shade(torch.tensor([[values["number 1"]]]))
widgets.picture_slider(draw, width=200, **{"number 1": (-1.0, 1.0, 0.0), "another": ["a", "b"]})""",
        ".latentlib-sliders input",
        "ArrowRight",
        ".latentlib-sliders img",
    ),
    "map": (
        """points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
widgets.LatentMap(points, shade, torch.arange(50) % 3)""",
        ".latentlib-map canvas.latentlib-chart",
        "ArrowLeft",
        ".latentlib-map img",
    ),
    "pad": (
        """encode = lambda picture: 4 * picture.mean((1, 2, 3))[:, None].repeat(1, 2)  # one pixel of ink is seen
widgets.LatentMap(points, shade, torch.zeros(50), encode=encode)""",
        ".latentlib-map canvas.latentlib-pad",
        "Space",
        ".latentlib-map img",
    ),
    "family": (
        "view = widgets.FamilyView(generator, people)\nview",
        ".latentlib-family input[type=range]",
        "ArrowLeft",
        ".latentlib-child img",
    ),
    "eyes": (
        """picker = widgets.EyePicker(portraits.photo("Grace Hopper"))
picker""",
        ".latentlib-eyes .latentlib-photo",
        "Enter",
        ".latentlib-mark",
    ),
}
# Random numbers, pyplot, and the family's own generator at work, while somebody moves the widgets.
SLOW = """import io, time
import matplotlib.pyplot as plt
from latentlib.gan import inversion

torch.manual_seed(0)
total, until = 0.0, time.monotonic() + 8
target = generator.draw(codes[1:])
found = inversion.invert(generator, target, "w", steps=6, progress=False)
plt.figure(figsize=(2, 2))
for step in range(40):
    total += torch.rand(3).sum().item()
    plt.plot([step, total])
    time.sleep(max(0, until - time.monotonic()) / 20)
print(f"{total:.9f} {len(plt.get_fignums())} {(found.images - target).square().mean().item():.9f}")
plt.show()"""


class Page:
    """The notebook of all widgets."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page

    def cell(self, name: str):
        return self.notebook.panel.locator(".jp-Cell").nth(1 + list(WIDGETS).index(name))

    def part(self, name: str):
        return self.cell(name).locator(WIDGETS[name][1]).first

    def press(self, name: str, key: str | None = None) -> None:
        part = self.part(name)
        part.focus()
        part.press(key or WIDGETS[name][2])
        if name == "pad":  # else a second press would take the ink away again
            part.press("ArrowRight")

    def move(self, name: str) -> None:
        if name == "eyes":
            self.cell(name).get_by_role("button", name="Start again").click()
        else:
            if name == "family":  # the slider may lie at its end, where one more step is no move
                self.press(name, "End")
            self.press(name)

    def seen(self, name: str):
        """What shows whether the kernel has answered."""
        where = self.cell(name).locator(WIDGETS[name][3])
        return where.count() if name == "eyes" else where.first.evaluate(PIXELS)

    def line(self, name: str) -> str:
        return self.cell(name).locator(".latentlib-line").first.text_content()

    def until(self, what, seconds: float = 60) -> bool:
        for _ in range(int(10 * seconds)):
            if what():
                return True
            self.page.wait_for_timeout(100)
        return False

    def run_all(self) -> None:
        self.page.evaluate(
            "() => { window.allRun = false; jupyterapp.commands.execute('notebook:run-all-cells')"
            ".finally(() => { window.allRun = true; }); }"
        )

    def results(self) -> list:
        """The text and the picture of the slow cell."""
        return [
            output.get("text") or output["data"]["image/png"] for output in self.page.evaluate(CELLS)[-1]["outputs"]
        ]


@contextlib.contextmanager
def opened_notebook(lab, browser, name: str, sources: list[str]):
    """A notebook of these cells, open in JupyterLab and run."""
    import nbformat

    from tools.jupyter_page import Notebook

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, Path(lab["root_dir"], "notebooks", f"{name}.ipynb"))
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield Notebook(page, lab, name)
    page.close()


@pytest.fixture(scope="module")
def everything(lab, browser):
    sources = [START, *(cell for cell, *_ in WIDGETS.values()), SLOW]
    with opened_notebook(lab, browser, "everything", sources) as notebook:
        yield Page(notebook)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_key_is_answered_and_everything_has_a_name(everything, name):
    assert everything.notebook.problems() == []
    before = everything.seen(name)
    everything.part(name).scroll_into_view_if_needed()
    everything.press(name)
    assert everything.until(lambda: everything.seen(name) != before), "the key was not answered"
    root = everything.cell(name).locator(".latentlib")
    for part in root.locator("input, select, canvas, button, [role=application]").all():
        named = part.evaluate("part => part.ariaLabel || part.textContent || part.labels?.[0]?.textContent")
        assert named, part.evaluate("part => part.outerHTML")
    for value in root.locator(".latentlib-value").all():
        assert value.get_attribute("aria-hidden") == "true"  # else a screen reader hears it twice
    assert everything.cell(name).locator("[data-lm-suppress-shortcuts]").count() == 1  # nor does Notebook 7 take keys


@pytest.mark.parametrize("name", ["sliders", "map"])
def test_an_error_is_said_and_the_next_move_works(everything, name):
    for _ in range(1 if name == "sliders" else 9):
        everything.press(name, "End" if name == "sliders" else "Shift+ArrowRight")
    assert everything.until(lambda: "RuntimeError: too far to the right." in everything.line(name))
    if name == "sliders":  # the page has heard that it was refused: its patience ends, and it asks nothing again
        everything.page.wait_for_timeout(7000)
        assert "RuntimeError: too far to the right." in everything.line(name)
    shown = everything.seen(name)
    [everything.press(name, "Home") for _ in range(2)]
    assert everything.until(lambda: everything.seen(name) != shown and not everything.line(name))


def test_run_all_gives_the_same_when_all_widgets_are_moved_meanwhile(everything):
    untouched = everything.results()
    assert len(untouched) == 2
    everything.run_all()
    everything.page.wait_for_timeout(500)
    last = list(WIDGETS)[-1]
    assert everything.until(lambda: everything.part(last).count() == 1)
    running = "() => !window.allRun"
    seen = {name: everything.seen(name) for name in WIDGETS if name != "eyes"}
    assert all(seen.values()), "the first picture waits for the last cell"
    assert everything.page.evaluate(running)
    moves = 0
    while everything.page.evaluate(running) and moves < 200:
        for name in seen:
            everything.press(name)
        moves += 1
    everything.page.wait_for_function("() => window.allRun", timeout=120_000)
    assert everything.results() == untouched
    for name, before in seen.items():
        assert everything.until(lambda: everything.seen(name) != before), name  # noqa: B023
    assert everything.notebook.problems() == []


def test_a_restarted_kernel_is_said_and_the_moves_are_kept(everything):
    everything.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    for name in WIDGETS:
        everything.move(name)
        assert everything.until(lambda: "Run this cell again" in everything.line(name)), name  # noqa: B023
    kept = {name: everything.part(name).input_value() for name in ("sliders", "family")}
    everything.run_all()
    everything.page.wait_for_function("() => window.allRun", timeout=120_000)
    for name, value in kept.items():
        assert everything.until(lambda: everything.part(name).input_value() == value), name  # noqa: B023
        assert everything.until(lambda: not everything.line(name)), name  # noqa: B023


def test_a_killed_kernel_is_said(everything):
    page = everything.page
    page.evaluate(
        "() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute("
        "{code: 'import os; os._exit(1)'}); }"
    )
    page.locator(".jp-Dialog button").last.click()  # JupyterLab's own words
    for name in WIDGETS:
        everything.move(name)
        assert everything.until(lambda: "un this cell again" in everything.line(name)), name  # noqa: B023


# --- a notebook of its own for questions that are lost, drawings that take long, and photos

FORGETFUL = """class Forgetful(widgets.LatentMap):
    heard = 0

    def _heard(self, widget, question, buffers):
        self.heard += 1
        if self.heard != 2:  # the first comes from the page when it opens
            super()._heard(widget, question, buffers)

Forgetful(codes[:, :2], lambda place: place.sigmoid()[:, :1, None, None].expand(1, 1, 8, 8), torch.zeros(2))"""
THOUGHTFUL = """import time
drawings = []

def draw(level):
    time.sleep(8 if level == 1 else 0)  # longer than the page's patience
    drawings.append(level)
    return torch.full((1, 1, 8, 8), len(drawings) / 10)

widgets.picture_slider(draw, level=(0, 2, 0))"""
LOOKING = """from latentlib import photos

class Looking(widgets.FamilyView):
    def upload(self, content, side):
        photo = photos.read(content)
        height, width = photo.shape[:2]
        corners = [int(photo[y, x].mean()) for y, x in ((5, 5), (5, -5), (-5, 5), (-5, -5))]
        self.worker.line = f"{width} x {height}, corners {corners}, {len(photos.find_faces(photo))} faces"

Looking(generator, people)"""


@pytest.fixture(scope="module")
def special(lab, browser):
    with opened_notebook(lab, browser, "special", [START, FORGETFUL, THOUGHTFUL, LOOKING]) as notebook:
        yield notebook


def test_a_lost_question_is_asked_again(special):
    chart = special.panel.locator(".latentlib-chart")
    image = special.panel.locator(".latentlib-map img")
    before = image.evaluate(PIXELS)
    chart.focus()
    chart.press("Shift+ArrowRight")
    assert Page(special).until(lambda: image.evaluate(PIXELS) not in (None, before))


def test_a_slow_drawing_is_drawn_once_and_the_page_says_that_it_waits(special):
    root = special.panel.locator(".latentlib-sliders")
    image, slider = root.locator("img"), root.locator("input")

    def tenths() -> int:
        return image.evaluate(
            "image => { const pen = document.createElement('canvas').getContext('2d');"
            "pen.drawImage(image, 0, 0); return Math.round(pen.getImageData(2, 2, 1, 1).data[0] / 25.5); }"
        )

    assert tenths() == 1
    slider.focus()
    slider.press("ArrowRight")
    root.get_by_text("has not answered yet").wait_for()
    special.page.wait_for_timeout(12_000)
    assert tenths() == 2
    assert not root.locator(".latentlib-line").text_content()
    heard = "() => { window.heard = 0; document.addEventListener('keydown', () => { window.heard += 1; }, true); }"
    special.page.evaluate(heard)
    slider.press("ArrowLeft")
    assert special.page.evaluate("window.heard") == 0  # else Notebook 7 and JupyterLab take the key


def photo_of(name: str) -> bytes:
    """A small file of the kind that phones, scanners and programs make."""
    hopper, buffer = Image.fromarray(portraits.photo("Grace Hopper")), io.BytesIO()
    if name == "turned.jpg":  # EXIF: the camera lay on its side
        exif = Image.Exif()
        exif[0x0112] = 6
        hopper.rotate(90, expand=True).save(buffer, "jpeg", exif=exif)
    elif name == "transparent.png":
        grey = Image.new("L", (300, 200), 120)
        grey.paste(7, (0, 0, 150, 200))
        grey.save(buffer, "png", transparency=7)
    elif name == "group.jpg":  # small faces in a large photo
        group = Image.new("RGB", (3600, 2400), "#8899aa")
        for k in range(3):
            group.paste(hopper.resize((512, 600)), (300 + 1100 * k, 900))
        group.save(buffer, "jpeg", quality=90)
    elif name == "scan.tif":  # which Chromium does not read
        hopper.convert("1").resize((800, 940)).save(buffer, "tiff", compression="group4")
    else:
        buffer.write(b"Dear reader, this is no picture.")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("turned.jpg", r"512 x 600, .* 1 faces"),
        ("transparent.png", r"300 x 200, corners \[25\d, 1[12]\d, 25\d, 1[12]\d\]"),
        ("group.jpg", r"(2048 x 136[56]|1600 x 106[67]|1024 x 683), .* 3 faces"),
        ("scan.tif", r"\d+ x \d+, corners"),
        ("letter.png", r"^This .*picture.*\.$"),
    ],
)
def test_a_photo_is_taken_as_the_browser_shows_it(special, name, says):
    root = special.panel.locator(".latentlib-family")
    agreed = root.get_by_label("My own photos")
    if not agreed.is_checked():
        assert root.locator("input[type=file]").first.is_disabled()
        agreed.press("Space")
    root.get_by_label("Photo of the first parent").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": photo_of(name)}
    )
    wait = "([line, says]) => new RegExp(says).test(line.textContent)"
    special.page.wait_for_function(wait, arg=[root.locator(".latentlib-line").element_handle(), says])


def test_a_file_that_cannot_be_read_is_said(special):
    special.page.evaluate("() => { Blob.prototype.arrayBuffer = () => Promise.reject(new Error('gone')); }")
    root = special.panel.locator(".latentlib-family")
    root.get_by_label("Photo of the second parent").set_input_files(
        {"name": "cloud.jpg", "mimeType": "image/jpeg", "buffer": photo_of("turned.jpg")}
    )
    root.get_by_text("This file could not be read").wait_for()
    assert root.get_by_role("status").count() == 1
