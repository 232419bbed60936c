"""Measure the shipped face generator: how real, how varied, is it copying, does it find people it has never seen?

python -m training.faces.evaluate                    prints a table, writes data/weights/faces-64-evaluation.json
                                                     and puts the table into the model card (needs LFW)
python -m training.faces.evaluate --part detectors   only that part; the others stay as they were
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from latentlib import weights
from latentlib.device import autocast, describe, pick_device
from latentlib.weights import WEIGHTS, checksum, read_weights
from training import lfw
from training.cards import put_between
from training.faces.measures import (
    detector_shares,
    inversion_table,
    nearest_distance,
    some,
    wasserstein_draws,
    with_grain,
)

GRAIN = 1.5  # spread of the noise that shows what the finest scale lacks, in steps of 255
BEGIN, END = "<!-- evaluation of faces-64: begin -->", "<!-- evaluation of faces-64: end -->"


# ------------------------------------------------------------------------------------------------------- size and time


def cost_table(generator) -> dict:
    """Time for one picture from w on this machine's CPU, its multiplications, and the files' sizes."""
    from torch.utils.flop_counter import FlopCounterMode

    generator = generator.cpu()
    w = generator.w_avg[None]
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
        "discriminator_parameters": sum(p.numel() for p in weights.load("faces-64-discriminator").parameters()),
        "discriminator_bytes": (WEIGHTS / "faces-64-discriminator.safetensors").stat().st_size,
    }


# ------------------------------------------------------------------------------------ the parts, each on its own


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


def measure_real(_, train, held, device, options) -> dict:
    """The same measures for real photos; they do not depend on the weights."""
    count = min(len(held.images), 512)
    both = [some(torch.cat([train.images, held.images]), 2 * count, 100 + seed).chunk(2) for seed in range(5)]
    others = [(some(train.images, count, 200 + seed), some(held.images, count, seed)) for seed in range(5)]
    grainy = [(with_grain(part, GRAIN, seed), photos) for seed, (part, photos) in enumerate(others)]
    distance = nearest_distance(held.images[:500], train.images)
    return {
        "detectors": detector_shares(some(train.images, options.samples, 0), os.cpu_count() or 1),
        "wasserstein_halves": wasserstein_draws(both),
        "wasserstein_other_people": wasserstein_draws(others) | {"with_grain": wasserstein_draws(grainy)},
        "nearest": {"median": distance.median().item(), "least": distance.min().item()},
        "photos": {"train": len(train.images), "held_out": len(held.images)},
        "lfw": lfw.counts(),
    }


def measure_detectors(generator, train, held, device, options) -> dict:
    workers = os.cpu_count() or 1
    return {
        str(t): detector_shares(draw_samples(generator, options.samples, t, device), workers) for t in (0.7, 1.0)
    } | {"pictures": options.samples}


def measure_wasserstein(generator, train, held, device, options) -> dict:
    count = min(len(held.images), 512)
    samples = draw_samples(generator, 5 * count, 1.0, device, seed=1).chunk(5)
    photos = [some(held.images, count, seed) for seed in range(5)]
    grainy = [with_grain(part, GRAIN, seed) for seed, part in enumerate(samples)]
    return wasserstein_draws(list(zip(samples, photos, strict=True))) | {
        "with_grain": wasserstein_draws(list(zip(grainy, photos, strict=True))),
        "pictures": count,
        "draws": 5,
    }


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
    share = real["detectors"]["face"]
    lines = []
    for t in ("0.7", "1.0"):
        found = result["detectors"][t]["face"]
        relative = f"{found:.1%} ({found / share:.2f} of the real photos' share)"
        lines.append((f"face in its place, truncation {t}", relative, f"{share:.1%}"))
    ours, halves, others = result["wasserstein"], real["wasserstein_halves"], real["wasserstein_other_people"]
    for size in ("64", "32", "16", "mean"):
        label = "mean of the scales" if size == "mean" else f"scale {size} px"
        times = f"{ours[size]:.1f} ({ours[size] / halves[size]:.1f} ×)"
        of_photos = f"{halves[size]:.1f} (training photos: {others[size]:.1f})"
        lines.append((f"sliced Wasserstein ×1000, {label}", times, of_photos))
    grainy, of_photos = ours["with_grain"]["64"], others["with_grain"]["64"]
    times = f"{grainy:.1f} ({grainy / halves['64']:.1f} ×)"
    lines.append(("the same, scale 64 px, with faint grain added", times, f"– (training photos: {of_photos:.1f})"))
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
    left_out = ", ".join(f"{count} {kind}" for kind, count in real["lfw"].items() if kind != "used")
    lines.append(("photos of LFW left out", "–", left_out))
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


def read_result(path: Path, digest: str) -> dict:
    """What was measured before; of other weights only what does not depend on them."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        result = {}
    if result.get("weights") != digest:
        result = {"real": result["real"]} if "real" in result else {}
    return {"weights": digest, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; may be given again")
    parser.add_argument("--samples", type=int, default=2000, help="pictures shown to the detectors")
    parser.add_argument("--steps", type=int, default=500, help="steps of an inversion")
    options = parser.parse_args()
    device = pick_device(options.device)
    path = WEIGHTS / "faces-64-evaluation.json"
    digest = checksum("faces-64")
    made = read_weights("faces-64")[1]
    train, held = lfw.load("train"), lfw.load("held_out")
    for name in options.part or PARTS:
        print(f"measuring: {name}", flush=True)
        measured = PARTS[name](weights.load("faces-64", device), train, held, device, options)
        result = read_result(path, digest)
        result["made"] = {key: made[key] for key in ("images_seen", "hours", "recipe")}
        result["machine"] = describe(device)
        result[name] = measured
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if all(name in result for name in PARTS):
        print(table(result))
        put_between(WEIGHTS / "README.md", BEGIN, END, table(result))


if __name__ == "__main__":
    main()
