"""Fifty generated faces mixed blindly with fifty photos of people never seen: which are photographs? A person answers.

    python -m training.faces.blind_test --sheets FOLDER   # outside the clone: 5 sheets of each test, 20 of the count
    python -m training.faces.blind_test                   # compares blind_labels.json with the key; fills in the card

One test shows whole pictures, the other, with other people, from the brows to the chin alone: where do the flaws lie?
A count mixes 200 of each: who looks like a woman (w) or a man (m), under 40 (y) or older (o)? It was done twice.
Sheets show people: they are never committed. ``blind_labels.json`` holds, for each place in the order, "photo" or what
gave the picture away, or "wy", "mo" …, written down before the key was looked at; and the checksum of the weights.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from latentlib import weights
from latentlib.gan.inversion import random_z
from latentlib.weights import WEIGHTS, checksum
from training import lfw
from training.evaluate import first_photos, put_between, some, table

LABELS = Path(__file__).with_name("blind_labels.json")
EACH, PSI = 50, 0.8  # pictures of each kind, truncation
ACROSS, DOWN, SIDE = 5, 4, 192  # of a sheet: pictures, pictures, and a picture's pixels on it


class Test(NamedTuple):
    """seed: of samples and order; first: of the people never seen; rows, columns: what is shown, in 64ths."""

    shown: str
    seed: int
    first: int
    rows: slice
    columns: slice
    each: int = EACH
    generator: str = "faces-128"


WHOLE = slice(0, 64)
TESTS = {
    "whole": Test("whole pictures", 2026, 0, WHOLE, WHOLE),
    "face": Test("from the brows to the chin", 2027, EACH, slice(18, 54), slice(14, 50)),
}
COUNT = Test("a count", 2028, 0, WHOLE, WHOLE, 200, "faces-64")  # of any photos, as often as LFW has them of a person


def order(test: Test) -> Tensor:
    """The places of photos (the lower numbers) and samples on the sheets, drawn by chance."""
    return torch.randperm(2 * test.each, generator=torch.Generator().manual_seed(test.seed))


def key(test: Test) -> list[bool]:
    """For each place in the order whether a photo stands there."""
    return (order(test) < test.each).tolist()


@torch.no_grad()
def pictures(generator, test: Test) -> Tensor:
    """What is shown of photos and samples, in the order of the key: (2 · each, 3, h, w) uint8. Needs LFW."""
    size = generator.resolution
    if test is COUNT:
        photos = some(lfw.load("train", size=size).images, test.each, test.seed)
    else:
        held = lfw.load("held_out", size=size)
        photos = held.images[first_photos(held, test.first + EACH)[test.first :]]
    w = generator.truncate(generator.mapping(random_z(generator, test.each, seed=test.seed)), PSI)
    both = torch.cat([photos, (generator.draw(w) * 255).round().byte()])[order(test)]
    rows, columns = (slice(part.start * size // 64, part.stop * size // 64) for part in (test.rows, test.columns))
    return both[:, :, rows, columns]


def sheets(images: Tensor) -> list[Image.Image]:
    """Pages of numbered pictures, enlarged smoothly."""
    pages = []
    for first in range(0, len(images), ACROSS * DOWN):
        page = Image.new("RGB", (ACROSS * (SIDE + 8), DOWN * (SIDE + 24)), "white")
        for k, image in enumerate(images[first : first + ACROSS * DOWN]):
            corner = (k % ACROSS) * (SIDE + 8), (k // ACROSS) * (SIDE + 24)
            shown = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            page.paste(shown, (corner[0], corner[1] + 16))
            ImageDraw.Draw(page).text(corner, str(first + k), fill="black")
        pages.append(page)
    return pages


def counted(labels: list[str], photo: list[bool]) -> dict:
    """labels: "photo", or what gave the picture away; photo: the key. Shares called photographs, and the flaws."""
    if len(labels) != len(photo):
        raise ValueError(f"{len(photo)} pictures need as many labels, got {len(labels)}")
    called = {
        kind: [label for label, truth in zip(labels, photo, strict=True) if truth is kind] for kind in (True, False)
    }
    share = {kind: some.count("photo") / len(some) for kind, some in called.items()}
    flaws = Counter(label for label in called[False] if label != "photo")
    return {"photos": share[True], "samples": share[False], "flaws": dict(flaws.most_common())}


def who(labels: list[str], photo: list[bool]) -> dict[str, float]:
    """labels: "wy", "mo" …; photo: the key. Shares of women and of people under 40 among photos and samples."""
    return {
        f"{name} among {kind}": sum(letter in label for label, truth in zip(labels, photo, strict=True) if truth is of)
        / photo.count(of)
        for letter, name in (("w", "women"), ("y", "under 40"))
        for of, kind in ((True, "photos"), (False, "samples"))
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="where the sheets go; not inside the repository")
    folder = parser.parse_args(arguments).sheets
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, test in (*TESTS.items(), ("count", COUNT)):
            for number, page in enumerate(sheets(pictures(weights.load(test.generator, "cpu"), test))):
                page.save(folder / f"{name}-{number}.png")
        return
    stored = json.loads(LABELS.read_text(encoding="utf-8"))
    if any(stored["weights"][test.generator] != checksum(test.generator)[:16] for test in (*TESTS.values(), COUNT)):
        raise SystemExit("These labels are for other weights: draw new sheets, and look again.")
    rows = []
    for name, test in TESTS.items():
        found = counted(stored[name], key(test))
        flaws = ", ".join(f"{flaw} {count}" for flaw, count in found["flaws"].items()) or "nothing"
        rows.append((test.shown, f"{found['samples']:.0%}", f"{found['photos']:.0%}", flaws))
    head = f"{EACH} and {EACH} | samples called photographs | photos called photographs | what gave samples away"
    put_between(WEIGHTS / "README.md", "blind test", table(head, rows))
    print(table(head, rows))
    counts = [who(labels, key(COUNT)) for labels in stored["count"]]
    rows = [(name, *(f"{count[name]:.0%}" for count in counts)) for name in counts[0]]
    head = f"{COUNT.each} and {COUNT.each} | first count | second count"
    put_between(WEIGHTS / "README.md", "blind count", table(head, rows))
    print(table(head, rows))


if __name__ == "__main__":
    main()
