"""Measure the shipped face generator: how real, how varied, is it copying, does it find people it has never seen?

python training/evaluate_faces.py           prints a table, writes data/weights/faces-64-evaluation.json and the
                                            sample sheet, and puts the table into the model card (needs LFW)
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))

from train_faces import sheet

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


def wasserstein_table(samples, held_out, train) -> dict:
    """Five draws of equal counts: samples against held-out photos, beside one half of real photos against the other."""
    count = min(len(held_out), 512)
    real = torch.cat([train, held_out])
    draws = {"samples": [], "real_halves": []}
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)

        def some(x, k=count, generator=generator):
            return x[torch.randperm(len(x), generator=generator)[:k]]

        draws["samples"].append(sliced_wasserstein(some(samples), some(held_out), generator))
        both = some(real, 2 * count)
        draws["real_halves"].append(sliced_wasserstein(both[:count], both[count:], generator))
    table = {"pictures": count, "draws": 5}
    for name, rows in draws.items():
        table[name] = {str(size): float(np.mean([row[size] for row in rows])) for size in rows[0]}
        table[name]["mean"] = float(np.mean(list(table[name].values())))
        table[name + "_spread"] = float(np.std([np.mean(list(row.values())) for row in rows]))
    table["ratio"] = table["samples"]["mean"] / table["real_halves"]["mean"]
    return table


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


def inversion_table(generator, held: faces.Faces, device, steps: int) -> dict:
    places = chosen_photos(held)
    target = held.images[places].to(device).float() / 127.5 - 1
    table = {
        "photos": "the first photo with found eyes of each of the first 64 held-out people",
        "people": held.people[places].tolist(),
        "steps": steps,
    }
    for space in ("W", "W+"):
        began = time.perf_counter()
        code = torch.cat([invert(generator, part, space, steps) for part in target.split(32)])
        seconds = time.perf_counter() - began
        with torch.no_grad():
            picture = torch.cat([generator.synthesis(part, noise=None) for part in code.split(32)]).clamp(-1, 1)
        psnr = -10 * ((picture - target) / 2).square().mean(dim=(1, 2, 3)).log10()
        table[space] = {
            "psnr_mean": psnr.mean().item(),
            "psnr_least": psnr.min().item(),
            "psnr_most": psnr.max().item(),
            "seconds_a_photo": seconds / len(target),
        }
    return table


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


def rows(result: dict) -> list[tuple[str, str, str]]:
    """The table that a person reads: measure, samples, real photos."""
    share, swd, near, inverted, cost = (
        result[key] for key in ("detectors", "sliced_wasserstein", "copying", "inversion", "cost")
    )
    real = share["real"]["face_and_eyes"]
    lines = [
        (
            f"face and both eyes found, truncation {t}",
            f"{share[t]['face_and_eyes']:.1%} ({share[t]['face_and_eyes'] / real:.2f} of the real photos' share)",
            f"{real:.1%}",
        )
        for t in ("0.7", "1.0")
    ]
    lines.append(("face found, truncation 1.0", f"{share['1.0']['face']:.1%}", f"{share['real']['face']:.1%}"))
    for size in ("64", "32", "16", "mean"):
        label = "mean of the scales" if size == "mean" else f"scale {size} px"
        extra = f" ({swd['ratio']:.1f} ×)" if size == "mean" else ""
        lines.append(
            (
                f"sliced Wasserstein ×1000, {label}",
                f"{swd['samples'][size]:.1f}{extra}",
                f"{swd['real_halves'][size]:.1f}",
            )
        )
    for what in ("median", "least"):
        lines.append(
            (
                f"distance to the nearest training photo, {what}",
                f"{near['samples'][what]:.3f}",
                f"{near['held_out'][what]:.3f}",
            )
        )
    for space in ("W", "W+"):
        row = inverted[space]
        spread = f"{row['psnr_least']:.1f} to {row['psnr_most']:.1f}"
        found = f"{row['psnr_mean']:.1f} dB ({spread}), {row['seconds_a_photo']:.1f} s a photo"
        count = len(inverted["people"])
        lines.append((f"{space} inversion of {count} unseen people, {inverted['steps']} steps", found, "–"))
    ms = cost["ms_a_picture"]
    lines.append(
        (f"one picture, {cost['threads']} threads", f"{ms['float32']:.1f} ms float32, {ms['bf16']:.1f} ms bf16", "–")
    )
    lines.append(("multiplications a picture", f"{cost['gmac_a_picture']:.2f} GMAC", "–"))
    size = f"{cost['generator_bytes'] / 1e6:.1f} MB and {cost['discriminator_bytes'] / 1e6:.1f} MB"
    parameters = (
        f"{cost['generator_parameters'] / 1e6:.1f} M and {cost['discriminator_parameters'] / 1e6:.1f} M parameters"
    )
    lines.append(("generator and discriminator", f"{size}, {parameters}", "–"))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--samples", type=int, default=2000, help="pictures shown to the detectors")
    parser.add_argument("--steps", type=int, default=500, help="steps of an inversion")
    parser.add_argument("--print-only", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    workers = os.cpu_count() or 1
    generator = load_face_generator(device)
    train, held = faces.load("train"), faces.load("held_out")
    made = load_weights("faces-64")[1]
    result = {"made": {key: made[key] for key in ("images_seen", "hours", "recipe")}, "machine": describe(device)}
    found = torch.cat([train.eyes_found, held.eyes_found]).float().mean().item()
    result["photos"] = {"train": len(train.images), "held_out": len(held.images), "median_transform": 1 - found}
    result["cost"] = cost_table(generator)
    generator.to(device)
    samples = {str(t): draw_samples(generator, arguments.samples, t, device) for t in (0.7, 1.0)}
    chosen = torch.randperm(len(train.images), generator=torch.Generator().manual_seed(0))[: arguments.samples]
    shown = {**samples, "real": train.images[chosen]}
    result["detectors"] = {name: detector_shares(images, workers) for name, images in shown.items()}
    result["detectors"]["pictures"] = arguments.samples
    result["sliced_wasserstein"] = wasserstein_table(samples["1.0"], held.images, train.images)
    result["copying"] = {}
    for name, pictures in (("samples", samples["1.0"][:500]), ("held_out", held.images[:500])):
        distance = nearest_distance(pictures, train.images)
        result["copying"][name] = {"median": distance.median().item(), "least": distance.min().item()}
    result["inversion"] = inversion_table(generator, held, device, arguments.steps)
    print(table(result))
    if not arguments.print_only:
        (WEIGHTS / "faces-64-evaluation.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        sheet(samples["0.7"][:48].float() / 255, columns=12).save(WEIGHTS / "faces-64-samples.png", optimize=True)
        put_into_card(table(result), WEIGHTS / "README.md")


if __name__ == "__main__":
    main()
