"""Whom does the data show, and whose photo does the space hold worse? As far as that can be measured without labels.

    python -m training.faces.measure_bias     # prints tables, writes data/weights/faces-64-bias.json; needs LFW

LFW has no labels of sex, age or origin, and to guess them from faces would be to judge people by their looks; so the
groups here are properties of the *photo*: how bright its cheeks are, how evenly it is lit. A dark cheek is a dark skin
or a dark room: this cannot tell which, so the numbers say nothing about groups of people. What counts people instead
of pictures is how unevenly the photos are spread over them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from latentlib import weights
from latentlib.device import pick_device
from latentlib.gan.inversion import invert
from latentlib.metrics import psnr
from latentlib.weights import WEIGHTS, checksum
from training import lfw

CHEEKS = ((34, 43, 17, 25), (34, 43, 39, 47))  # top, bottom, left, right in an aligned picture: under either eye
THIRDS = ("lowest third", "middle third", "highest third")
BANDS = 5  # equal steps of brightness from 0 to 1, in which photos are counted
DRAWS = 2000  # of the bootstrap


def cheeks(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Brightness of the cheeks, 0 to 1, and how unevenly they are lit, 0 to 1: (n, 3, 64, 64) uint8 -> (n,), (n,)."""
    grey = (images.float() / 255 * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    sides = [grey[:, top:bottom, left:right].flatten(1).median(1).values for top, bottom, left, right in CHEEKS]
    return (sides[0] + sides[1]) / 2, (sides[0] - sides[1]).abs()


def first_photos(held: lfw.Faces, count: int) -> list[int]:
    """Places of the first photo of each held-out person, ``count`` at most."""
    places = {}
    for place, person in enumerate(held.people.tolist()):
        places.setdefault(person, place)
    return list(places.values())[:count]


def thirds(values: torch.Tensor) -> list[torch.Tensor]:
    """Places of the lowest, the middle and the highest third."""
    return list(values.argsort(stable=True).tensor_split(3))


def mean_with_range(values: np.ndarray, random: np.random.Generator) -> dict:
    """The mean, and the range that holds 95 % of the means of resampled groups (bootstrap)."""
    means = values[random.integers(0, len(values), (DRAWS, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def rank_correlation(x: np.ndarray, y: np.ndarray) -> dict:
    """Spearman's correlation, and how often values that have nothing to do with each other reach one as large."""
    found = spearmanr(x, y)
    return {"correlation": float(found.statistic), "chance": float(found.pvalue)}


def counts(data: lfw.Faces, used: torch.Tensor) -> dict:
    """How the photos are spread over brightness, and over people."""
    bright, _ = cheeks(data.images)
    band = (bright * BANDS).long().clamp(max=BANDS - 1)
    photos = data.people.unique(return_counts=True)[1].sort(descending=True).values
    share = photos.cumsum(0) / photos.sum()
    return {
        "photos": len(data.people),
        "people": len(photos),
        "by_cheek_brightness": [
            {
                "from": round(k / BANDS, 2),
                "to": round((k + 1) / BANDS, 2),
                "photos": int((band == k).sum()),
                "share_of_photos": (band == k).float().mean().item(),
                "used": used[band == k].float().mean().item() if (band == k).any() else None,
            }
            for k in range(BANDS)
        ],
        "most_photos_of_one_person": int(photos[0]),
        "people_with_one_photo": (photos == 1).float().mean().item(),
        "share_of_photos_of_the_first_hundredth": share[max(1, round(len(photos) / 100)) - 1].item(),
        "people_who_make_up_half_of_the_photos": int((share < 0.5).sum()) + 1,
    }


def inversion_by_group(generator, identity, held: lfw.Faces, count: int, steps: int) -> dict:
    """How well the space holds photos of people it has never seen, by properties of the photo."""
    images = held.images[first_photos(held, count)]
    pictures = images.float() / 255
    found = [invert(generator, part, "w", steps=steps, progress=False).images.cpu() for part in pictures.split(32)]
    drawn = torch.cat(found)
    squared = (drawn - pictures).square().flatten(1).mean(1)
    errors = {
        "psnr_db": psnr(drawn, pictures),
        # A dim picture has less to get wrong: so the error also as a share of the picture's own variance.
        "share_not_explained": squared / pictures.flatten(1).var(1, unbiased=False),
        "identity_distance": identity.distance(drawn, pictures),
    }
    errors = {name: values.numpy().astype(np.float64) for name, values in errors.items()}
    random = np.random.default_rng(0)
    bright, uneven = cheeks(images)
    by = {"cheek brightness": bright, "uneven light": uneven, "chance (a random number)": torch.rand(len(images))}
    groups = {}
    for name, values in by.items():
        groups[name] = {
            "thirds": [
                {
                    "which": which,
                    "photos": len(places),
                    "from": values[places].min().item(),
                    "to": values[places].max().item(),
                    **{error: mean_with_range(of[places.numpy()], random) for error, of in errors.items()},
                }
                for which, places in zip(THIRDS, thirds(values), strict=True)
            ],
            "rank_correlation": {error: rank_correlation(values.numpy(), of) for error, of in errors.items()},
        }
    return {"photos": len(images), "method": "w", "steps": steps, "groups": groups}


def show(result: dict) -> None:
    print("cheek brightness | photos | share of photos | used")
    for band in result["counts"]["by_cheek_brightness"]:
        found = "–" if band["used"] is None else f"{band['used']:.1%}"
        print(f"{band['from']:.1f} to {band['to']:.1f} | {band['photos']} | {band['share_of_photos']:.1%} | {found}")
    for name, group in result["inversion"]["groups"].items():
        print(f"\n{name} | photos | PSNR, dB | share not explained | identity distance")
        for row in group["thirds"]:
            cells = (
                f"{row[error]['mean']:.3f} ({row[error]['low']:.3f} to {row[error]['high']:.3f})"
                for error in ("psnr_db", "share_not_explained", "identity_distance")
            )
            print(f"{row['which']} ({row['from']:.2f} to {row['to']:.2f}) | {row['photos']} | {' | '.join(cells)}")
        print(
            "rank correlation:",
            {k: {n: round(v, 3) for n, v in c.items()} for k, c in group["rank_correlation"].items()},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--photos", type=int, default=96, help="held-out people whose photo is inverted")
    parser.add_argument("--steps", type=int, default=200, help="steps of an inversion")
    parser.add_argument("--output", type=Path, default=WEIGHTS / "faces-64-bias.json")
    options = parser.parse_args()
    device = pick_device(options.device)
    torch.manual_seed(0)
    data, kinds = lfw.everything()
    result = {
        "command": f"python -m training.faces.measure_bias --photos {options.photos} --steps {options.steps}",
        "weights": checksum("faces-64"),
        "groups_are": "properties of photos, measured in the picture; not groups of people",
        "counts": counts(data, kinds == 0),
        "inversion": inversion_by_group(
            weights.load("faces-64", device),
            weights.load("faces-64-identity"),
            lfw.load("held_out"),
            options.photos,
            options.steps,
        ),
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result)


if __name__ == "__main__":
    main()
