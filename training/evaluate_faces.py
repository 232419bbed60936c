"""Measure the shipped face generator: how real, how varied, is it copying, does it find people it has never seen?

python training/evaluate_faces.py                    prints a table, writes data/weights/faces-64-evaluation.json
                                                     and puts the table into the model card (needs LFW)
python training/evaluate_faces.py --part detectors   only that part; the others stay as they were
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from latentlib.checkpoints import WEIGHTS, load_face_discriminator, load_face_generator, load_weights
from latentlib.datasets import faces
from latentlib.device import autocast, describe, pick_device

BEGIN, END = "<!-- evaluation of faces-64: begin -->", "<!-- evaluation of faces-64: end -->"


# ------------------------------------------------------------------------------------- is there a face with two eyes?


def has_face_and_eyes(picture: np.ndarray) -> tuple[bool, bool]:
    """(a face, a face and both its eyes) by OpenCV's stock detectors; picture: (64, 64, 3) uint8, enlarged to 256."""
    import cv2

    cv2.setNumThreads(1)
    large = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)
    boxes = faces._cascade("frontalface_alt2").detectMultiScale(grey, 1.1, 4, minSize=(96, 96))
    if not len(boxes):
        return False, False
    x, y, side, _ = max(boxes.tolist(), key=lambda box: box[2])
    return True, faces.find_eyes_in_face(large, (x, y, side)) is not None


def detector_shares(images: torch.Tensor, workers: int) -> dict[str, float]:
    """images: (n, 3, 64, 64) uint8."""
    pictures = images.permute(0, 2, 3, 1).contiguous().numpy()
    with ProcessPoolExecutor(workers) as pool:
        found = np.array(list(pool.map(has_face_and_eyes, pictures, chunksize=50)))
    return {"face": float(found[:, 0].mean()), "face_and_eyes": float(found[:, 1].mean())}


# ------------------------------------------------------------------------------------- distance between distributions


def patches(images: torch.Tensor, generator: torch.Generator) -> dict[int, torch.Tensor]:
    """128 patches of 7 × 7 from each picture and each level of its Laplacian pyramid (ProGAN, section 5)."""
    levels, image = {}, images.float()
    while image.shape[-1] > 16:
        small = F.avg_pool2d(image, 2)
        levels[image.shape[-1]] = image - F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
        image = small
    levels[image.shape[-1]] = image
    taken = {}
    for size, level in levels.items():
        n = len(level)
        corner = torch.randint(0, size - 6, (2, n, 128, 1, 1), generator=generator)
        rows = corner[0] + torch.arange(7)[:, None]
        columns = corner[1] + torch.arange(7)[None, :]
        cut = level.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None, None], rows, columns]  # (n, 128, 7, 7, 3)
        taken[size] = cut.reshape(-1, 7 * 7, 3)
    return taken


def sliced_wasserstein(a: torch.Tensor, b: torch.Tensor, generator: torch.Generator) -> dict[int, float]:
    """Mean distance of the sorted projections onto 256 random directions, times 1000; a, b: (n, 3, 64, 64) uint8."""
    of_a, of_b = patches(a, generator), patches(b, generator)
    distance = {}
    for size in of_a:

        def normal(x):  # each colour to zero mean and unit spread, as in the paper
            return ((x - x.mean(dim=(0, 1))) / x.std(dim=(0, 1))).flatten(1)

        directions = F.normalize(torch.randn(147, 256, generator=generator), dim=0)
        projected_a, projected_b = (normal(x) @ directions for x in (of_a[size], of_b[size]))
        difference = projected_a.sort(dim=0).values - projected_b.sort(dim=0).values
        distance[size] = 1000 * difference.abs().mean().item()
    return distance


def wasserstein_draws(pairs) -> dict[str, float]:
    """Mean over the draws of the distance at each scale; pairs: the pictures to compare in each draw."""
    found = [sliced_wasserstein(a, b, torch.Generator().manual_seed(seed)) for seed, (a, b) in enumerate(pairs)]
    table = {str(size): float(np.mean([row[size] for row in found])) for size in found[0]}
    table["mean"] = float(np.mean(list(table.values())))
    table["spread"] = float(np.std([np.mean(list(row.values())) for row in found]))
    return table


def some(images: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]]


# ------------------------------------------------------------------------------------------------------ is it copying?


def nearest_distance(pictures: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """Root mean square difference, in [0, 1], of each picture to its nearest training photo, mirrored or not."""
    query = pictures.float().flatten(1) / 255
    best = torch.full((len(query),), float("inf"))
    for part in train.split(1024):
        for photo in (part, part.flip(3)):
            reference = photo.float().flatten(1) / 255
            squared = query.square().sum(1)[:, None] + reference.square().sum(1)[None] - 2 * query @ reference.T
            best = torch.minimum(best, squared.min(dim=1).values)
    return (best.clamp(min=0) / query.shape[1]).sqrt()


# ---------------------------------------------------------------------------------------- people it has never seen


def chosen_photos(held: faces.Faces, count: int = 64) -> list[int]:
    """Places in the held-out split: the first photo with found eyes of each of the first 64 people."""
    places, seen = [], set()
    for place, (person, found) in enumerate(zip(held.people.tolist(), held.eyes_found.tolist(), strict=True)):
        if found and person not in seen and len(places) < count:
            seen.add(person)
            places.append(place)
    return places


def invert(generator, target: torch.Tensor, space: str, steps: int = 500, rate: float = 0.1) -> torch.Tensor:
    """Codes that draw the target (n, 3, 64, 64) in [-1, 1]: Adam on the squared error from the mean w, noise off."""
    start = generator.w_mean.expand(len(target), -1).clone()
    if space == "W+":
        start = start[:, None].repeat(1, generator.num_ws, 1)
    code = start.requires_grad_(True)
    optimizer = torch.optim.Adam([code], lr=rate)
    for step in range(steps):
        share = step / steps  # a short ramp up, a cosine ramp down over the last quarter
        optimizer.param_groups[0]["lr"] = rate * min(1, share / 0.05 + 0.02) * (
            0.5 - 0.5 * np.cos(np.pi * min(1, (1 - share) / 0.25))
        )  # fmt: skip
        with autocast(target.device):
            picture = generator.synthesis(code, noise=None)
        loss = (picture.float() - target).square().mean(dim=(1, 2, 3)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return code.detach()


def inversion_table(generator, held: faces.Faces, device, space: str, steps: int) -> dict:
    places = chosen_photos(held)
    target = held.images[places].to(device).float() / 127.5 - 1
    began = time.perf_counter()
    code = torch.cat([invert(generator, part, space, steps) for part in target.split(32)])
    seconds = time.perf_counter() - began
    with torch.no_grad():
        picture = torch.cat([generator.synthesis(part, noise=None) for part in code.split(32)]).clamp(-1, 1)
    psnr = -10 * ((picture - target) / 2).square().mean(dim=(1, 2, 3)).log10()
    return {
        "photos": "the first photo with found eyes of each of the first 64 held-out people",
        "people": held.people[places].tolist(),
        "steps": steps,
        "psnr_mean": psnr.mean().item(),
        "psnr_least": psnr.min().item(),
        "psnr_most": psnr.max().item(),
        "seconds_a_photo": seconds / len(target),
    }


# ------------------------------------------------------------------------------------------------------- size and time


def cost_table(generator) -> dict:
    """Time for one picture from w on this machine's CPU, its multiplications, and the files' sizes."""
    from torch.utils.flop_counter import FlopCounterMode

    generator = generator.cpu()
    w = generator.w_mean[None]
    times = {}
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            generator.synthesis(w, noise=None)
        for name, reduced in (("float32", False), ("bf16", True)):
            taken = []
            for _ in range(60):
                began = time.perf_counter()
                with autocast("cpu", reduced):
                    generator.synthesis(w, noise=None)
                taken.append(time.perf_counter() - began)
            times[name] = 1000 * float(np.median(taken[10:]))
    return {
        "ms_a_picture": times,
        "threads": torch.get_num_threads(),
        "gmac_a_picture": counter.get_total_flops() / 2e9,
        "generator_parameters": sum(p.numel() for p in generator.parameters()),
        "generator_bytes": (WEIGHTS / "faces-64.safetensors").stat().st_size,
        "discriminator_parameters": sum(p.numel() for p in load_face_discriminator().parameters()),
        "discriminator_bytes": (WEIGHTS / "faces-64-discriminator.safetensors").stat().st_size,
    }


# -------------------------------------------------------------------------------------------------------------- report


@torch.no_grad()
def draw_samples(generator, count: int, truncation: float, device, seed: int = 0) -> torch.Tensor:
    """(count, 3, 64, 64) uint8 on the CPU."""
    torch.manual_seed(seed)
    z = torch.randn(count, generator.z_dim)
    parts = [
        generator(part.to(device), truncation).clamp(-1, 1).add(1).mul(127.5).round().byte().cpu()
        for part in z.split(50)
    ]
    return torch.cat(parts)


# ------------------------------------------------------------------------------------ the parts, each on its own


def measure_real(_, train, held, device, options) -> dict:
    """The same measures for real photos; they do not depend on the weights."""
    count = min(len(held.images), 512)
    both = [some(torch.cat([train.images, held.images]), 2 * count, 100 + seed).chunk(2) for seed in range(5)]
    distance = nearest_distance(held.images[:500], train.images)
    return {
        "detectors": detector_shares(some(train.images, options.samples, 0), os.cpu_count() or 1),
        "wasserstein_halves": wasserstein_draws(both),
        "nearest": {"median": distance.median().item(), "least": distance.min().item()},
        "photos": {"train": len(train.images), "held_out": len(held.images)},
        "median_transform": 1 - torch.cat([train.eyes_found, held.eyes_found]).float().mean().item(),
    }


def measure_detectors(generator, train, held, device, options) -> dict:
    workers = os.cpu_count() or 1
    return {
        str(t): detector_shares(draw_samples(generator, options.samples, t, device), workers) for t in (0.7, 1.0)
    } | {"pictures": options.samples}


def measure_wasserstein(generator, train, held, device, options) -> dict:
    count = min(len(held.images), 512)
    samples = draw_samples(generator, 5 * count, 1.0, device, seed=1).chunk(5)
    pairs = [(part, some(held.images, count, seed)) for seed, part in enumerate(samples)]
    return wasserstein_draws(pairs) | {"pictures": count, "draws": 5}


def measure_nearest(generator, train, held, device, options) -> dict:
    distance = nearest_distance(draw_samples(generator, 500, 1.0, device, seed=2), train.images)
    return {"median": distance.median().item(), "least": distance.min().item()}


def measure_inversion_w(generator, train, held, device, options) -> dict:
    return inversion_table(generator, held, device, "W", options.steps)


def measure_inversion_w_plus(generator, train, held, device, options) -> dict:
    return inversion_table(generator, held, device, "W+", options.steps)


def measure_cost(generator, train, held, device, options) -> dict:
    return cost_table(generator)


PARTS = {
    "real": measure_real,
    "detectors": measure_detectors,
    "wasserstein": measure_wasserstein,
    "nearest": measure_nearest,
    "inversion-w": measure_inversion_w,
    "inversion-w-plus": measure_inversion_w_plus,
    "cost": measure_cost,
}


# -------------------------------------------------------------------------------------------------------------- report


def rows(result: dict) -> list[tuple[str, str, str]]:
    """The table that a person reads: measure, samples, real photos."""
    real, cost = result["real"], result["cost"]
    share = real["detectors"]["face_and_eyes"]
    lines = []
    for t in ("0.7", "1.0"):
        found = result["detectors"][t]["face_and_eyes"]
        relative = f"{found:.1%} ({found / share:.2f} of the real photos' share)"
        lines.append((f"face and both eyes found, truncation {t}", relative, f"{share:.1%}"))
    found = result["detectors"]["1.0"]["face"]
    lines.append(("face found, truncation 1.0", f"{found:.1%}", f"{real['detectors']['face']:.1%}"))
    ours, halves = result["wasserstein"], real["wasserstein_halves"]
    for size in ("64", "32", "16", "mean"):
        label = "mean of the scales" if size == "mean" else f"scale {size} px"
        times = f"{ours[size]:.1f} ({ours[size] / halves[size]:.1f} ×)"
        lines.append((f"sliced Wasserstein ×1000, {label}", times, f"{halves[size]:.1f}"))
    for what in ("median", "least"):
        near = f"{result['nearest'][what]:.3f}"
        lines.append((f"distance to the nearest training photo, {what}", near, f"{real['nearest'][what]:.3f}"))
    for space, row in (("W", result["inversion-w"]), ("W+", result["inversion-w-plus"])):
        spread = f"{row['psnr_least']:.1f} to {row['psnr_most']:.1f}"
        label = f"{space} inversion of {len(row['people'])} unseen people, {row['steps']} steps"
        lines.append((label, f"{row['psnr_mean']:.1f} dB ({spread}), {row['seconds_a_photo']:.1f} s a photo", "–"))
    ms = cost["ms_a_picture"]
    times = f"{ms['float32']:.1f} ms float32, {ms['bf16']:.1f} ms bf16"
    lines.append((f"one picture, {cost['threads']} threads", times, "–"))
    lines.append(("multiplications a picture", f"{cost['gmac_a_picture']:.2f} GMAC", "–"))
    size = f"{cost['generator_bytes'] / 1e6:.1f} MB and {cost['discriminator_bytes'] / 1e6:.1f} MB"
    counts = f"{cost['generator_parameters'] / 1e6:.1f} M and {cost['discriminator_parameters'] / 1e6:.1f} M parameters"
    lines.append(("generator and discriminator", f"{size}, {counts}", "–"))
    lines.append(
        ("photos shown in training, hours", f"{result['made']['images_seen']:,}, {result['made']['hours']}", "–")
    )
    return lines


def table(result: dict) -> str:
    head = ["| measure | samples | real photos |", "|---|---|---|"]
    return "\n".join(head + [f"| {' | '.join(row)} |" for row in rows(result)])


def put_into_card(text: str, card: Path) -> None:
    """Replace what stands between the two marks of the model card."""
    content = card.read_text(encoding="utf-8")
    before, rest = content.split(BEGIN)
    after = rest.split(END)[1]
    card.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def read_result(path: Path, weights: str) -> dict:
    """What was measured before; of other weights only what does not depend on them."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        result = {}
    if result.get("weights") != weights:
        result = {"real": result["real"]} if "real" in result else {}
    return {"weights": weights, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; may be given again")
    parser.add_argument("--samples", type=int, default=2000, help="pictures shown to the detectors")
    parser.add_argument("--steps", type=int, default=500, help="steps of an inversion")
    options = parser.parse_args()
    device = pick_device(options.device)
    path = WEIGHTS / "faces-64-evaluation.json"
    weights = json.loads((WEIGHTS / "checksums.json").read_text())["faces-64.safetensors"]["sha256"]
    made = load_weights("faces-64")[1]
    train, held = faces.load("train"), faces.load("held_out")
    for name in options.part or PARTS:
        print(f"measuring: {name}", flush=True)
        measured = PARTS[name](load_face_generator(device), train, held, device, options)
        result = read_result(path, weights)
        result["made"] = {key: made[key] for key in ("images_seen", "hours", "recipe")}
        result["machine"] = describe(device)
        result[name] = measured
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if all(name in result for name in PARTS):
        print(table(result))
        put_into_card(table(result), WEIGHTS / "README.md")


if __name__ == "__main__":
    main()
