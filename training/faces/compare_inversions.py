"""Which way to find a face is best, and at what price? Photos of people never seen in training, by every method.

python -m training.faces.compare_inversions                 a table, and data/weights/inversion-comparison.json
python -m training.faces.compare_inversions --part hybrid   only that method; the others stay as they were
python -m training.faces.compare_inversions --quick         four photos, three steps; nothing is written

Besides the error it asks how well a result can be edited: is the point half-way between two codes still a face?
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import combinations
from pathlib import Path

import torch

from latentlib.datasets import lfw
from latentlib.device import Stopwatch, describe, pick_device
from latentlib.gan.inversion import METHODS, Inversion, invert
from latentlib.gan.w_space import p_norm
from latentlib.metrics import detail, perceptual_distance, psnr
from latentlib.weights import WEIGHTS, checksum, load_face_discriminator, load_face_encoder, load_face_generator
from training.faces.measures import chosen_photos, detector_shares

FILE = "inversion-comparison.json"
BATCH = 8  # photos at a time; "pivotal" tunes one copy of the generator for each batch
NAMES = {
    "z": "Z",
    "w": "W",
    "w+": "W+",
    "p-norm": "P-norm W+",
    "encoder": "encoder",
    "hybrid": "encoder, then W+",
    "pivotal": "W, then pivotal tuning",
}


def pairs(count: int) -> tuple[list[int], list[int]]:
    """The first and the second of each two of a batch."""
    first, second = zip(*combinations(range(count), 2), strict=True)
    return list(first), list(second)


@torch.no_grad()
def middles(found: Inversion) -> torch.Tensor:
    """What the generator draws half-way between the codes of each two of a batch: (pairs, 3, r, r) in [0, 1]."""
    first, second = pairs(len(found.codes))
    codes = (found.codes[first] + found.codes[second]) / 2
    return torch.cat([found.generator.draw(part) for part in codes.split(BATCH)])


@torch.no_grad()
def faces_in(images: torch.Tensor, discriminator, photos: torch.Tensor) -> dict:
    """Are these pictures (n, 3, 64, 64) in [0, 1] faces, and as sharp as the photos?"""
    found = detector_shares((images * 255).round().byte().cpu(), os.cpu_count() or 1)
    answers = torch.cat([discriminator(part * 2 - 1) for part in images.split(BATCH)])
    return {
        "pictures": len(images),
        "face": found["face"],
        "detail": (detail(images).mean() / detail(photos).mean()).item(),  # 1: as the photos
        "discriminator": answers.mean().item(),
    }


def measure_photos(discriminator, images: torch.Tensor) -> dict:
    """What the rows are compared with: the photos themselves, and averages of their pixels."""
    ghosts = []
    for part in images.split(BATCH):
        first, second = pairs(len(part))
        ghosts.append((part[first] + part[second]) / 2)
    return {
        "photos": faces_in(images, discriminator, images),
        "averages": faces_in(torch.cat(ghosts), discriminator, images),
    }


@torch.no_grad()
def judge(found: list[Inversion], generator, discriminator, images: torch.Tensor) -> dict:
    """Errors of the results, how usual their codes are, and what lies between each two of a batch."""
    drawn, codes = torch.cat([part.images for part in found]), torch.cat([part.codes for part in found])
    both = zip(drawn.split(BATCH), images.split(BATCH), strict=True)
    return {
        "steps": found[0].steps,
        "psnr": psnr(drawn, images).mean().item(),
        "psnr_least": psnr(drawn, images).min().item(),
        "squared_error": torch.cat([part.errors for part in found]).mean().item(),
        "perceptual_distance": torch.cat([perceptual_distance(discriminator, a, b) for a, b in both]).mean().item(),
        "unusual": p_norm(generator)(codes).median().item(),  # squared length, 1 for codes of the mapping
        "middle": faces_in(torch.cat([middles(part) for part in found]), discriminator, images),
    }


def measure(method: str, generator, discriminator, encoder, images: torch.Tensor, steps: int | None) -> dict:
    """One row. images: (n, 3, 64, 64) in [0, 1]; steps: None for the method's own number."""

    def run(part: torch.Tensor, steps: int | None) -> Inversion:
        return invert(generator, part, method, steps=steps, encoder=encoder, progress=False)

    run(images[:BATCH], 1)  # wakes up threads and kernels
    with Stopwatch(images.device) as watch:
        found = [run(part, steps) for part in images.split(BATCH)]
    return judge(found, generator, discriminator, images) | {"seconds_a_photo": watch.seconds / len(images)}


def table(result: dict) -> str:
    """The table that a person reads, in Markdown."""
    lines = [
        "| method | steps | PSNR | perceptual distance | seconds a photo | unusual codes (1: as usual) "
        "| half-way: face in its place | half-way: detail |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method, row in ((method, result["methods"][method]) for method in METHODS if method in result["methods"]):
        cells = [NAMES[method], str(row["steps"]), f"{row['psnr']:.1f} dB", f"{row['perceptual_distance']:.3f}"]
        cells += [f"{row['seconds_a_photo']:.2f}", f"{row['unusual']:.{0 if row['unusual'] >= 10 else 1}f}"]
        cells += [f"{row['middle']['face']:.0%}", f"{row['middle']['detail']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, key in (("the photos themselves", "photos"), ("averages of two photos' pixels", "averages")):
        cells = ["–"] * 5 + [f"{result[key]['face']:.0%}", f"{result[key]['detail']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def weights_of(method: str, folder: Path) -> str:
    """The checksums of the weights that a method's row depends on."""
    names = ["faces-64", "faces-64-discriminator"] + ["faces-64-encoder"] * (method in ("encoder", "hybrid"))
    return " ".join(checksum(name, folder)[:16] for name in names)


def read_result(path: Path, photos: int, folder: Path) -> dict:
    """What was measured before, with the same number of photos; of other weights nothing."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"methods": {}}
    rows = result["methods"] if len(result["people"]) == photos else {}
    return {"methods": {name: row for name, row in rows.items() if row["weights"] == weights_of(name, folder)}}


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--part", action="append", choices=METHODS, help="only this method; may be given again")
    parser.add_argument("--photos", type=int, default=32, help="one of each of so many held-out people")
    parser.add_argument("--steps", type=int, help="of each search, instead of the method's own number")
    parser.add_argument("--quick", action="store_true", help="four photos, three steps; nothing is written")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where the weights are and the result goes")
    options = parser.parse_args(arguments)
    if options.quick:
        options.photos, options.steps = 4, 3
    if options.photos < 2 or options.photos % BATCH == 1:
        parser.error(f"a batch of {BATCH} photos must not leave a single one: a half-way point needs two")
    device, folder = pick_device(options.device), options.folder
    generator, discriminator, encoder = (
        load(device, folder) for load in (load_face_generator, load_face_discriminator, load_face_encoder)
    )
    held = lfw.load("held_out")
    places = chosen_photos(held, options.photos)
    images = held.images[places].to(device).float() / 255
    path = folder / FILE
    result = {"methods": {}} if options.quick else read_result(path, len(places), folder)
    result["chosen"] = f"the first photo of each of the first {len(places)} held-out people"
    result["people"] = held.people[places].tolist()
    result["batch"] = BATCH
    result |= measure_photos(discriminator, images)
    for method in options.part or METHODS:
        print(f"measuring: {method}", flush=True)
        row = measure(method, generator, discriminator, encoder, images, options.steps)
        row |= {"machine": describe(device), "weights": weights_of(method, folder)}
        result["methods"][method] = row
        if not options.quick:
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))
    return result


if __name__ == "__main__":
    main()
