"""Which way to find a face is best, and at what price? Photos of people never seen in training, by every method.

python -m training.faces.compare_inversions                 a table, and data/weights/inversion-comparison.json
python -m training.faces.compare_inversions --part hybrid   only that method; the others stay as they were
python -m training.faces.compare_inversions --quick         four photos, three steps; nothing is written

Besides the error it asks how well a result can be edited: is the point half-way between two codes still a face? And
does a direction that moves the light of generated faces move the light here too, and how much else with it?
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch

from latentlib import space, weights
from latentlib.device import Stopwatch, describe, pick_device
from latentlib.gan import inversion
from latentlib.gan.inversion import Inversion, invert
from latentlib.gan.tuning import Tuning, pivotal
from latentlib.gan.w_space import p_norm, random_z
from latentlib.metrics import detail, judged_alone, perceptual_distance, psnr
from latentlib.weights import WEIGHTS, checksum
from training import lfw
from training.faces.measures import chosen_photos, detector_shares

FILE = "inversion-comparison.json"
STEPS = inversion.STEPS | {"pivotal": 200}  # half of them search in w, half tune
METHODS = tuple(STEPS)
BATCH = 8  # photos at a time; one copy of the generator is tuned for each batch
NAMES = {
    "z": "Z",
    "w": "W",
    "w+": "W+",
    "p-norm": "P-norm W+",
    "encoder": "encoder",
    "hybrid": "encoder, then W+",
    "pivotal": "W, then pivotal tuning",
}


class Judges(NamedTuple):
    """What rows are measured with."""

    discriminator: torch.nn.Module
    identity: torch.nn.Module
    step: torch.Tensor  # (w_dim,) the edit of the light, from light_step
    spread: float  # what it should do


def pairs(count: int) -> tuple[list[int], list[int]]:
    """The first and the second of each two of a batch."""
    first, second = zip(*combinations(range(count), 2), strict=True)
    return list(first), list(second)


@torch.no_grad()
def middles(found: Inversion | Tuning) -> torch.Tensor:
    """What the generator draws half-way between the codes of each two of a batch: (pairs, 3, r, r) in [0, 1]."""
    first, second = pairs(len(found.codes))
    codes = (found.codes[first] + found.codes[second]) / 2
    return torch.cat([found.generator.draw(part) for part in codes.split(BATCH)])


@torch.no_grad()
def faces_in(images: torch.Tensor, discriminator, photos: torch.Tensor) -> dict:
    """Are these pictures (n, 3, 64, 64) in [0, 1] faces, and as sharp as the photos?"""
    found = detector_shares((images * 255).round().byte().cpu(), os.cpu_count() or 1)
    answers = judged_alone(discriminator, images)
    return {
        "pictures": len(images),
        "face": found["face"],
        "detail": (detail(images).mean() / detail(photos).mean()).item(),  # 1: as the photos
        "discriminator": answers.mean().item(),
    }


def light(images: torch.Tensor) -> torch.Tensor:
    """How much brighter the left half of the face is than its right half: (n, 3, 64, 64) in [0, 1] -> (n,)"""
    grey = images.mean(1)[:, 16:48]
    return grey[:, :, 16:32].mean((1, 2)) - grey[:, :, 32:48].mean((1, 2))


@torch.no_grad()
def light_step(generator, count: int = 2000) -> tuple[torch.Tensor, float]:
    """(step (w_dim,), spread): the step in w that goes along with one standard deviation of light, and that deviation.

    A linear fit over faces that the generator drew itself, so no photo has a say in it.
    """
    w = generator.mapping(random_z(generator, count, seed=100))
    values = torch.cat([light(generator.draw(part)) for part in w.split(BATCH)])
    return space.linear_direction(w, values) * values.std(), values.std().item()


@torch.no_grad()
def edit(codes: torch.Tensor, draw, identity, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (n, num_ws, w_dim) pushed one step either way: by how much the light moves for a step (n,), and how far
    the person moves by the course's identity measure (n,)."""
    still, more, less = (torch.cat([draw(part + by * step) for part in codes.split(BATCH)]) for by in (0, 1, -1))
    moved = (identity.distance(more, still) + identity.distance(less, still)) / 2
    return (light(more) - light(less)) / 2, moved


def edit_row(effects: torch.Tensor, moved: torch.Tensor, spread: float) -> dict:
    """effect: 1 when the light moves as much as the fit says; effect_deviation: how much that differs from face to
    face; identity_moved: mean distance of the person before and after."""
    return {
        "effect": (effects / spread).mean().item(),
        "effect_deviation": (effects / spread).std().item(),
        "identity_moved": moved.mean().item(),
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
def judge(found: list[Inversion | Tuning], generator, judges: Judges, images: torch.Tensor) -> dict:
    """Errors of the results, how usual their codes are, what an edit does, and what lies between two of a batch."""
    discriminator, identity, step, spread = judges
    drawn, codes = torch.cat([part.images for part in found]), torch.cat([part.codes for part in found])
    edits = [edit(part.codes, part.generator.draw, identity, step) for part in found]
    both = zip(drawn.split(BATCH), images.split(BATCH), strict=True)
    return {
        "steps": found[0].steps,
        "psnr": psnr(drawn, images).mean().item(),
        "psnr_least": psnr(drawn, images).min().item(),
        "squared_error": torch.cat([part.errors for part in found]).mean().item(),
        "perceptual_distance": torch.cat([perceptual_distance(discriminator, a, b) for a, b in both]).mean().item(),
        "unusual": p_norm(generator)(codes).median().item(),  # squared length, 1 for codes of the mapping
        "edit": edit_row(*(torch.cat(column) for column in zip(*edits, strict=True)), spread),
        "middle": faces_in(torch.cat([middles(part) for part in found]), discriminator, images),
    }


def measure(method: str, generator, encoder, judges: Judges, images: torch.Tensor, steps: int | None) -> dict:
    """One row. images: (n, 3, 64, 64) in [0, 1]; steps: None for the method's own number."""

    def run(part: torch.Tensor, steps: int) -> Inversion | Tuning:
        if method == "pivotal":
            return pivotal(generator, part, steps=steps, progress=False)
        return invert(generator, part, method, steps=steps or None, encoder=encoder, progress=False)  # encoder: 0

    steps = STEPS[method] if steps is None else steps
    run(images[:BATCH], 2)  # wakes up threads and kernels
    with Stopwatch(images.device) as watch:
        found = [run(part, steps) for part in images.split(BATCH)]
    return judge(found, generator, judges, images) | {"seconds_a_photo": watch.seconds / len(images)}


def table(result: dict) -> str:
    """The table that a person reads, in Markdown."""
    lines = [
        "| method | steps | PSNR | perceptual distance | seconds a photo | unusual codes (1: as usual) "
        "| half-way: face in its place | half-way: detail | light edit: effect | light edit: person moved |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method, row in ((method, result["methods"][method]) for method in METHODS if method in result["methods"]):
        cells = [NAMES[method], str(row["steps"]), f"{row['psnr']:.1f} dB", f"{row['perceptual_distance']:.3f}"]
        cells += [f"{row['seconds_a_photo']:.2f}", f"{row['unusual']:.{0 if row['unusual'] >= 10 else 1}f}"]
        cells += [f"{row['middle']['face']:.0%}", f"{row['middle']['detail']:.2f}"]
        cells += [f"{row['edit']['effect']:.2f} ± {row['edit']['effect_deviation']:.2f}"]
        cells += [f"{row['edit']['identity_moved']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, key in (("the photos themselves", "photos"), ("averages of two photos' pixels", "averages")):
        cells = ["–"] * 5 + [f"{result[key]['face']:.0%}", f"{result[key]['detail']:.2f}", "–", "–"]
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
    names = ("faces-64", "faces-64-discriminator", "faces-64-encoder", "faces-64-identity")
    generator, discriminator, encoder, identity = (weights.load(name, device, folder) for name in names)
    held = lfw.load("held_out")
    places = chosen_photos(held, options.photos)
    images = held.images[places].to(device).float() / 255
    path = folder / FILE
    result = {"methods": {}} if options.quick else read_result(path, len(places), folder)
    result["chosen"] = f"the first photo of each of the first {len(places)} held-out people"
    result["people"] = held.people[places].tolist()
    result["batch"] = BATCH
    result["alignment"] = "FFHQ's rule on BlazeFace landmarks (latentlib.photos)"
    result |= measure_photos(discriminator, images)
    judges = Judges(discriminator, identity, *light_step(generator))
    own = generator.truncate(generator.mapping(random_z(generator, 64, seed=101)), 0.7)
    own = edit(own[:, None].repeat(1, generator.num_ws, 1), generator.draw, identity, judges.step)
    result["generated"] = {"edit": edit_row(*own, judges.spread)}  # of faces whose codes are their own
    for method in options.part or METHODS:
        print(f"measuring: {method}", flush=True)
        row = measure(method, generator, encoder, judges, images, options.steps)
        row |= {"machine": describe(device), "weights": weights_of(method, folder)}
        result["methods"][method] = row
        if not options.quick:
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))
    return result


if __name__ == "__main__":
    main()
