"""The page to play in headless Chromium, opened from its folder: the first picture, a slider's move, a search.

`make site` or ``python -m tools.play`` builds the page first. The peer is PyTorch in this process doing the same work
(for the first picture: what it may take).
"""

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


def run() -> list[Row]:
    """Milliseconds, medians."""
    from tools import jupyter_page, play

    if jupyter_page.chromium() is None:
        raise LeftOut("no Chromium on this machine")
    if not (play.PAGE / "index.html").is_file():
        raise LeftOut("the page to play is not built here; `make site` builds it")
    first, move, step = map(statistics.median, on_the_page((play.PAGE / "index.html").as_uri()))
    generator, (search_step, example) = play.plain("faces-64"), play.own_photos()["step"]
    with torch.no_grad():
        drawn, stepped = turn_by_turn(
            MOVES, lambda: generator.draw(generator.w_avg[None]), lambda: search_step(example)
        )
    return [
        Row("page to play, first picture: ms (peer: allowed)", first, FIRST_PICTURE_MS),
        Row("page to play, a slider's move: ms (peer: PyTorch draws it)", move, 1000 * drawn),
        Row("page to play, a step of the search: ms (peer: PyTorch)", step, 1000 * stepped),
    ]


def on_the_page(address: str) -> tuple[list[float], list[float], list[float]]:
    """First pictures, moves, and steps of the search for a photo's code."""
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
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "photo.png"
                Image.fromarray(portraits.photo("collins")).save(file)
                page.set_input_files("#photo-0", file)
                page.wait_for_selector("#aligned-0[data-error]", timeout=120_000)
            steps.append(float(page.get_attribute("#photo-said", "data-milliseconds")))
    return first, moves, steps
