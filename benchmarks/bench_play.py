"""The page to play in headless Chromium, opened from its folder: the first picture, a slider's move, a search, a child.

Run by ``make bench`` or alone: ``python -m benchmarks.bench_play``; `make site` or ``python -m tools.play`` builds the
page first. The peer is PyTorch in this process doing the same work (for the first picture: what it may take). In a row
the ratio is peer / value, so that more is better.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from benchmarks.rows import LeftOut, Row, turn_by_turn

OPENINGS = 5
MOVES = 10
FIRST_PICTURE_MS = 3000  # what the first picture may take
STEPS = 120  # of a search in the page


def run() -> list[Row]:
    """Milliseconds in the page beside PyTorch's for the same networks, and seconds from two photos to their child."""
    from tools import chromium, play

    if chromium.find() is None:
        raise LeftOut("no Chromium on this machine")
    if not (play.PAGE / "index.html").is_file():
        raise LeftOut("the page to play is not built here; `make site` builds it")
    first, moves, steps, child = _page((play.PAGE / "index.html").as_uri())
    drawn, step, search = _torch()
    return [
        Row(
            f"page to play, first picture, median of {OPENINGS}: ms (peer: allowed)",
            statistics.median(first),
            FIRST_PICTURE_MS,
        ),
        Row("page to play, a slider's move, median: ms (peer: PyTorch draws it)", statistics.median(moves), drawn),
        Row("page to play, a slider's move, slowest: ms (peer: PyTorch draws it)", max(moves), drawn),
        Row("page to play, a step of the search: ms (peer: PyTorch)", statistics.median(steps), step),
        Row("page to play, two photos to their child: s (peer: PyTorch, both at once)", child, search),
    ]


def _page(address: str) -> tuple[list[float], list[float], list[float], float]:
    """First pictures (ms), moves (ms), steps of the search (ms), and from two files to their child (s)."""
    from latentlib import photos
    from latentlib.datasets import portraits
    from tools.jupyter_page import chromium_browser

    first, moves, steps = [], [], []
    for _ in range(OPENINGS):
        with chromium_browser() as browser:  # a new one each time, so that nothing is kept
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.wait_for_selector("#agreement[data-worst]", timeout=120_000)
            first.append(float(page.evaluate("document.documentElement.dataset.firstPicture")))
            for slider, picture in (("#direction-1", "#face canvas"), ("#step", "#piece"), ("#share", "#child")):
                for _ in range(MOVES):
                    page.focus(slider)
                    page.keyboard.press("ArrowRight")
                    time.sleep(0.5)  # a person's next press; the page comes to rest
                    moves.append(float(page.get_attribute(picture, "data-milliseconds")))
            if len(first) < OPENINGS:
                continue
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                for side, name in enumerate(portraits.load().names):
                    file = Path(folder) / f"{side}.png"
                    Image.fromarray(photos.read(portraits.photo(name))).save(file)
                    page.set_input_files(f"#photo-{side}", file)
                    page.wait_for_selector(f"#aligned-{side}[data-error]", timeout=120_000)
                    steps.append(float(page.get_attribute("#photo-said", "data-milliseconds")))
                child = time.perf_counter() - began
    return first, moves, steps, child


def _torch() -> tuple[float, float, float]:
    """PyTorch's milliseconds for a picture and for a step of the search, and its seconds for two photos."""
    from latentlib import weights
    from latentlib.datasets import portraits
    from latentlib.gan import inversion
    from tools import play

    generator, encoder = weights.load("faces-64", "cpu"), weights.load("faces-64-encoder", "cpu")
    images = portraits.load().images
    step, example = play.own_photos()["step"]
    with torch.no_grad():
        drawn, stepped = turn_by_turn(MOVES, lambda: generator.draw(generator.w_avg[None]), lambda: step(example))
    began = time.perf_counter()
    inversion.invert(
        generator, images, "p-norm", steps=STEPS, encoder=encoder, p_norm_weight=play.P_NORM_WEIGHT, progress=False
    )
    return 1000 * drawn, 1000 * stepped, time.perf_counter() - began
