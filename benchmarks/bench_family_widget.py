"""From a key press to another child on the page, in a real JupyterLab under headless Chromium; and the kernel's share.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_family_widget``. The peer draws the same child in the
usual way: ``ipywidgets.interact`` around a matplotlib figure. Without a Chromium only the kernel's share is measured.

In a row the ratio is peer / value, so that more is better. The median of 20 presses each, taken turn by turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[1]
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
# Looks at each frame that the browser draws, from the key press on, until the picture is another one and whole.
WATCH = """find => { window.pressed = null; window.taken = null; const before = find().src;
  addEventListener('keydown', () => { window.pressed = performance.now(); }, {capture: true, once: true});
  const look = () => { const image = find();
    if (window.pressed !== null && image && image.src !== before && image.complete && image.naturalWidth)
      window.taken = performance.now() - window.pressed;
    else requestAnimationFrame(look); };
  requestAnimationFrame(look); }"""


def run() -> list[Row]:
    """Milliseconds of the kernel for one child, and from a key press to the changed picture."""
    rows = [_row("the kernel's share of one move", *_kernel())]
    from tools import chromium

    if chromium.find() is None:
        print("no Chromium on this machine: the key presses were not measured")
    else:
        rows.append(_row("key press to changed picture", *_browser()))
    return rows


def _row(name: str, mine: float, peer: float) -> Row:
    return Row(f"family widget, {name}: ms (peer: interact)", mine, peer, peer / mine)


def _kernel() -> tuple[float, float]:
    import io

    import torch
    from matplotlib.figure import Figure

    room: dict = {}
    exec(SETUP + OURS, room)

    def theirs(share: float) -> None:
        with torch.no_grad():
            child = room["generator"].draw(room["codes"][:1].lerp(room["codes"][1:], share))[0]
        figure = Figure(figsize=(2.2, 2.2))
        axes = figure.subplots()
        axes.imshow(child.permute(1, 2, 0))
        axes.axis("off")
        figure.savefig(io.BytesIO(), format="png")

    return _interleaved(lambda share: room["view"].set(share=share), theirs)


def _interleaved(*moves: Callable[[float], None]) -> list[float]:
    times: list[list[float]] = [[] for _ in moves]
    for press in range(-1, PRESSES):  # the first is not counted
        for move, taken in zip(moves, times, strict=True):
            start = time.perf_counter()
            move(0.5 + (press % 5) / 20)
            if press >= 0:
                taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def _browser() -> list[float]:
    from tools.jupyter_page import Notebook, chromium_browser, serve

    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, OURS, PEER)]
    document = nbformat.v4.new_notebook(cells=cells)
    document.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with serve() as lab, chromium_browser() as browser:
        nbformat.write(document, lab.course / "notebooks" / "bench.ipynb")
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        notebook = Notebook(page, lab, "bench")
        if notebook.problems():
            raise RuntimeError("; ".join(notebook.problems()))
        handles = (
            page.get_by_label("Share of the second parent"),
            page.locator(".widget-slider .noUi-handle").first,
        )
        pictures = (
            "() => document.querySelector('.family-view-child img')",
            "() => document.querySelector('.widget-interact .jp-OutputArea-output img, .widget-interact img')",
        )
        for handle in handles:
            notebook.show(handle)
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
        page.close()
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:75} {row.value:8.2f} {row.peer:8.2f} {row.ratio:6.1f}×")
