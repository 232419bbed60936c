"""How real, how varied, how copied, how well found: the measures of the faces' evaluation, each from its paper."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

from latentlib import photos
from latentlib.device import autocast
from training import lfw

NEAR_EYES = 3 / 64  # of the picture's side: how far a found eye may be from its place

# -------------------------------------------------------------------------------------------------- is there a face?


def has_face(picture: np.ndarray) -> bool:
    """Whether the landmark detector sees a face in (64, 64, 3) uint8 whose eyes are where the alignment puts them."""
    faces = photos.find_faces(picture)
    if not faces:
        return False
    return bool(np.abs(faces[0].points[:2] / 64 - np.array(photos.EYES)).max() < NEAR_EYES)


def detector_shares(images: torch.Tensor, workers: int) -> dict[str, float]:
    """The share with a face in the right place; images: (n, 3, 64, 64) uint8."""
    pictures = images.permute(0, 2, 3, 1).contiguous().numpy()
    with ProcessPoolExecutor(workers) as pool:
        return {"face": float(np.mean(list(pool.map(has_face, pictures, chunksize=50))))}


# ------------------------------------------------------------------------------------- distance between distributions


def patches(images: torch.Tensor, generator: torch.Generator) -> dict[int, torch.Tensor]:
    """128 patches of 7 × 7 from each picture at each scale: what its average of 2 × 2 pixels, enlarged, lacks."""
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
    """How far patches of two sets of pictures are apart, times 1000, at each scale; a, b: (n, 3, 64, 64) uint8.

    The mean distance of sorted projections, after ProGAN (Karras et al. 2018, section 5) but not the same: its scales
    come of averages of 2 × 2 pixels, not of a Gaussian filter, and it has 256 directions, not 512. So these numbers
    compare with each other and with none from a paper.
    """
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


def with_grain(images: torch.Tensor, spread: float, seed: int = 0) -> torch.Tensor:
    """Pictures (n, 3, h, w) uint8 with grey noise on top, such as film and sensors leave; spread: in steps of 255."""
    shape = (len(images), 1, *images.shape[2:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (images.float() + spread * noise).round().clamp(0, 255).byte()


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


def chosen_photos(held: lfw.Faces, count: int = 64) -> list[int]:
    """Places in the held-out split: the first photo of each of the first 64 people."""
    places, seen = [], set()
    for place, person in enumerate(held.people.tolist()):
        if person not in seen and len(places) < count:
            seen.add(person)
            places.append(place)
    return places


def invert(generator, target: torch.Tensor, space: str, steps: int = 500, rate: float = 0.1) -> torch.Tensor:
    """Codes that draw the target (n, 3, 64, 64) in [-1, 1]: Adam on the squared error from the mean w, noise off."""
    start = generator.w_avg.expand(len(target), -1).clone()
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


def inversion_table(generator, held: lfw.Faces, device, space: str, steps: int) -> dict:
    places = chosen_photos(held)
    target = held.images[places].to(device).float() / 127.5 - 1
    began = time.perf_counter()
    code = torch.cat([invert(generator, part, space, steps) for part in target.split(32)])
    seconds = time.perf_counter() - began
    with torch.no_grad():
        picture = torch.cat([generator.synthesis(part, noise=None) for part in code.split(32)]).clamp(-1, 1)
    psnr = -10 * ((picture - target) / 2).square().mean(dim=(1, 2, 3)).log10()
    return {
        "photos": "the first photo of each of the first 64 held-out people",
        "people": held.people[places].tolist(),
        "steps": steps,
        "psnr_mean": psnr.mean().item(),
        "psnr_least": psnr.min().item(),
        "psnr_most": psnr.max().item(),
        "seconds_a_photo": seconds / len(target),
    }
