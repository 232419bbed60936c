"""Two notebooks in a real JupyterLab under headless Chromium: run all, move a slider and the map, watch the picture."""

from __future__ import annotations

import pytest

from tools import chromium

pytestmark = pytest.mark.skipif(
    chromium.find() is None and not chromium.required(),
    reason="no Chromium on this machine, the browser tests are left out",
)


FORGETFUL_MAP = """import sys
sys.path.insert(0, "..")
import torch
from latentlib.widgets import LatentMap

class Forgetful(LatentMap):
    heard = 0

    def _answer(self, change):
        self.heard += 1
        if self.heard > 1:
            super()._answer(change)

codes = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
Forgetful(codes, lambda place: place[:, :1, None, None].expand(-1, 1, 8, 8), alt="Codes and a shade of grey")"""


def drag(page, handle, pixels: int) -> None:
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=5)
    page.mouse.up()


def test_a_slider_changes_its_picture_by_keyboard_and_by_mouse(opened):
    notebook = opened("00_start_here")
    assert notebook.problems() == []
    slider = notebook.panel.locator(".widget-slider").first
    image = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')][1]").locator("img").first
    handle = slider.locator(".noUi-handle").first

    def press():
        handle.focus()
        for _ in range(3):
            handle.press("ArrowRight")

    assert notebook.changed_by(image, press), "the arrow keys did not change the picture"
    assert notebook.changed_by(image, lambda: drag(notebook.page, handle, -60)), "dragging did not change the picture"
    assert handle.get_attribute("aria-label")
    assert image.get_attribute("alt")
    assert notebook.problems() == []


def test_a_lost_question_of_the_map_is_asked_again(written):
    notebook = written("forgetful", FORGETFUL_MAP)
    image = notebook.panel.locator(".latent-map-side img").first
    chart = notebook.panel.locator(".latent-map-chart").first
    assert notebook.changed_by(image, lambda: (chart.focus(), chart.press("Shift+ArrowRight")))
    assert notebook.problems() == []


def test_the_latent_map_and_the_pad_follow_keyboard_and_mouse(opened):
    notebook = opened("02_latent_plots")
    assert notebook.problems() == []
    chart = notebook.panel.locator(".latent-map-chart").first
    image = notebook.panel.locator(".latent-map-side img").first

    def press():
        chart.focus()
        for _ in range(4):
            chart.press("Shift+ArrowRight")

    def point(x: float, y: float):
        def move():
            box = notebook.show(chart)
            notebook.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)

        return move

    assert notebook.changed_by(image, press), "the arrow keys did not change the picture"
    assert notebook.changed_by(image, point(0.25, 0.3)), "the mouse did not change the picture"
    assert notebook.changed_by(image, point(0.75, 0.7)), "the mouse did not change the picture"
    assert "Map of codes" in chart.get_attribute("aria-label")
    assert image.get_attribute("alt")

    # The pad, in the same notebook, which takes its time: a stroke, keys, a dragged point and a slider.
    pad = {part: notebook.panel.locator(f".latent-pad-{part}").first for part in ("drawing", "map", "output")}
    drawing, place, output = pad.values()
    slider = notebook.panel.locator(".latent-pad input[type=range]").first

    def shown() -> str:
        return output.evaluate("canvas => canvas.toDataURL()")

    def changes(act) -> bool:
        before = shown()
        act()
        for _ in range(200):  # a busy machine takes its time
            if shown() != before:
                return True
            notebook.page.wait_for_timeout(100)
        return False

    def stroke():
        notebook.panel.locator(".latent-pad-clear").first.click()
        drag(notebook.page, drawing, 60)

    def toggle():
        drawing.focus()
        for key in ("ArrowUp", " ", "ArrowUp", " "):
            drawing.press(key)

    notebook.show(drawing)
    assert changes(stroke), "a stroke did not change the decoder's picture"
    assert changes(toggle), "the space key did not change the decoder's picture"
    assert changes(lambda: drag(notebook.page, place, -50)), "dragging the point did not change the picture"
    assert changes(lambda: place.press("Shift+ArrowUp")), "the arrow keys did not move the code"
    assert changes(lambda: (slider.focus(), [slider.press("ArrowRight") for _ in range(20)])), "nor did the slider"
    assert output.get_attribute("aria-label").startswith("Decoded picture, code ")

    # Perplexity under a slider, with lines from a point to its true neighbours.
    sliders = notebook.panel.locator(
        ".jp-OutputArea-output", has=notebook.page.get_by_text("perplexity", exact=True)
    ).last
    plot, (perplexity, point) = sliders.locator("img").first, sliders.locator(".noUi-handle").all()

    def press_on(handle, times: int):
        def act():
            handle.focus()
            for _ in range(times):
                handle.press("ArrowRight")

        return act

    assert notebook.changed_by(plot, press_on(perplexity, 1)), "another perplexity did not change the plot"
    assert notebook.changed_by(plot, press_on(point, 2)), "another point did not change the lines"
    assert notebook.changed_by(plot, lambda: drag(notebook.page, point, -40)), "dragging did not change the lines"
    assert "perplexity 30" in plot.get_attribute("alt")
    assert notebook.problems() == []
