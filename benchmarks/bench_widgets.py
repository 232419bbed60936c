"""What one move of a slider costs: from a key press to another child, in a real JupyterLab under headless Chromium.

The peer draws the same child in the usual way: ``ipywidgets.interact`` around a matplotlib figure.
"""

import statistics
import time
from pathlib import Path

import nbformat

from benchmarks.rows import LeftOut, Row

PRESSES = 20
SETUP = """import sys
sys.path.insert(0, "..")
import torch
from latentlib import weights
from latentlib.widgets.family import FamilyView

generator = weights.load("faces-64")
codes = generator.mapping(torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1)))
codes = codes[:, None].repeat(1, generator.num_ws, 1)
people = {f"person {k}": (generator.draw(codes[k : k + 1])[0], codes[k]) for k in range(2)}
"""
OURS = "view = FamilyView(generator, people)\nview"
PEER = """import ipywidgets
import matplotlib.pyplot as plt

@ipywidgets.interact(share=(0.0, 1.0, 0.05))
def draw(share=0.5):
    with torch.no_grad():
        child = generator.draw(codes[:1].lerp(codes[1:], share))[0]
    plt.figure(figsize=(2.2, 2.2))
    plt.imshow(child.permute(1, 2, 0))
    plt.axis("off")
    plt.show()
"""
# From the page's start on, so that no widget stops the event before.
KEYS = "addEventListener('keydown', () => { window.pressed = performance.now(); }, true)"
# Looks at each frame that the browser draws, from the key press on, until the picture is another one and whole.
WATCH = """find => { window.pressed = null; window.taken = null; const before = find().src;
  const look = () => { const image = find();
    if (window.pressed !== null && image && image.src !== before && image.complete && image.naturalWidth)
      window.taken = performance.now() - window.pressed;
    else requestAnimationFrame(look); };
  requestAnimationFrame(look); }"""


def run() -> list[Row]:
    """Milliseconds."""
    from tools.jupyter_page import chromium

    if chromium() is None:
        raise LeftOut("no Chromium on this machine")
    return [Row("family view, key press to picture: ms (peer: interact)", *on_the_page())]


def on_the_page() -> list[float]:
    """Medians of key presses taken turn by turn, ours and the peer's, in milliseconds."""
    from tools.jupyter_page import Notebook, chromium_browser, serve

    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (SETUP, OURS, PEER)])
    document.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with serve() as lab, chromium_browser() as browser:
        nbformat.write(document, Path(lab["root_dir"], "notebooks", "bench.ipynb"))
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.add_init_script(KEYS)
        notebook = Notebook(page, lab, "bench")
        if notebook.problems():
            raise RuntimeError("; ".join(notebook.problems()))
        handles = page.get_by_label("Mix"), page.locator(".widget-slider .noUi-handle").first
        pictures = (
            "() => document.querySelector('.latentlib-child img')",
            "() => document.querySelector('.widget-interact .jp-OutputArea-output img, .widget-interact img')",
        )
        for handle in handles:
            handle.scroll_into_view_if_needed()
        times: list[list[float]] = [[], []]
        for press in range(-1, PRESSES):
            for handle, picture, taken in zip(handles, pictures, times, strict=True):
                handle.focus()
                page.evaluate(f"() => ({WATCH})({picture})")
                page.keyboard.press("ArrowRight" if press % 2 else "ArrowLeft")
                page.wait_for_function("() => window.taken !== null", timeout=20_000)
                if press >= 0:
                    taken.append(page.evaluate("() => window.taken"))
                time.sleep(0.2)  # a person's next press; the page comes to rest
    return [statistics.median(taken) for taken in times]
