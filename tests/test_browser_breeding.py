"""The breeding board in a real JupyterLab under headless Chromium: a child chosen by mouse and by keyboard, undo."""

from __future__ import annotations

import pytest

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
from latentlib.widgets.breeding import BreedingBoard

generator = weights.load("faces-64")
codes = generator.mapping(torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1)))

class Moody:
    num_ws, w_dim = generator.num_ws, generator.w_dim
    asked = 0

    def draw(self, w):
        self.asked += 1
        if self.asked == 4:
            raise RuntimeError("out of paint")
        return generator.draw(w)

BreedingBoard(Moody(), codes, ("Ada", "Ben"))"""


def test_a_child_is_chosen_by_mouse_and_by_keyboard_and_undo_goes_back(written):
    notebook = written("breeding", CELL)
    assert notebook.problems() == []
    root = notebook.panel.locator(".breeding").first
    notebook.show(root)
    children = root.locator(".breeding-choose")
    line, status = root.locator(".breeding-lineage"), root.get_by_role("status")
    root.get_by_text("Brood 1 of Ada and Ben").wait_for()
    assert children.count() == 8
    first = children.nth(0).locator("img")
    begun = first.evaluate(PIXELS)
    genes = root.get_by_role("img", name="Genes of child 1.1, from coarse to fine")
    assert genes.locator("span").count() == 10

    assert notebook.changed_by(first, children.nth(2).click)
    root.get_by_text("Brood 2 of 1.3 and Ben").wait_for()
    assert line.text_content() == "Lineage: Ada × Ben → 1.3 × Ben"

    children.nth(0).focus()
    for key in ("ArrowRight", "ArrowDown"):
        notebook.page.keyboard.press(key)
    assert notebook.changed_by(first, lambda: notebook.page.keyboard.press("Enter")), "Enter did not choose"
    root.get_by_text("Brood 3 of 1.3 and 2.6").wait_for()

    shown = first.evaluate(PIXELS)
    notebook.page.keyboard.press("Space")  # the generator refuses this one
    root.get_by_text("That did not work. RuntimeError: out of paint.").wait_for()
    assert first.evaluate(PIXELS) == shown
    notebook.page.wait_for_timeout(9_000)  # longer than the page's patience: nothing is asked again
    assert "out of paint" in status.text_content()

    undo = root.get_by_role("button", name="Undo")
    for brood in ("Brood 2 of 1.3 and Ben", "Brood 1 of Ada and Ben"):
        undo.press("Enter")
        root.get_by_text(brood).wait_for()
    assert first.evaluate(PIXELS) == begun
    assert undo.get_attribute("aria-disabled") == "true"
    assert notebook.problems() == []
