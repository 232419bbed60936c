"""What is the discriminator's answer worth, and do skin and background go together in the photos? For notebook 05.

    python -m training.faces.measure_discriminator     # writes data/weights/faces-64-discriminator.json; needs LFW

People of LFW appear as numbers only. The discriminator is asked one picture at a time: in a batch its minibatch
deviation compares pictures with each other, and the answer for one depends on its neighbours.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from latentlib import weights
from latentlib.gan.w_space import random_z
from latentlib.metrics import auc, judged_alone
from latentlib.weights import WEIGHTS, checksum
from training import lfw
from training.faces.measure_bias import cheeks
from training.faces.measures import chosen_photos

FILE = "faces-64-discriminator.json"
SAMPLES = 2000  # generated faces whose skin and background are looked at


def corners(images: torch.Tensor) -> torch.Tensor:
    """Brightness of the background, 0 to 1: the upper corners of (n, 3, 64, 64) uint8 -> (n,)"""
    grey = (images.float() / 255 * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    return torch.cat([grey[:, :20, :8].flatten(1), grey[:, :20, -8:].flatten(1)], 1).median(1).values


def skin_and_background(images: torch.Tensor) -> float:
    """Correlation of the brightness of cheeks and background over pictures (n, 3, 64, 64) uint8."""
    return torch.corrcoef(torch.stack([cheeks(images)[0], corners(images)]))[0, 1].item()


@torch.no_grad()
def measure(generator, discriminator, photos: torch.Tensor, every_photo: torch.Tensor) -> dict:
    """photos: (n, 3, 64, 64) uint8 of people never seen; every_photo: (m, 3, 64, 64) uint8, all of the data set."""
    photos, count = photos.float() / 255, len(photos)
    w = generator.mapping(random_z(generator, count, seed=1))
    samples = {psi: generator.draw(generator.truncate(w, psi)) for psi in (1.0, 0.7)}
    noise = torch.rand(photos.shape, generator=torch.Generator().manual_seed(0))
    of_photos, of_noise = judged_alone(discriminator, photos), judged_alone(discriminator, noise)
    of_samples = {psi: judged_alone(discriminator, drawn) for psi, drawn in samples.items()}
    w = generator.mapping(random_z(generator, SAMPLES, seed=2))
    drawn = torch.cat([(generator.draw(part) * 255).round().byte() for part in w.split(32)])
    beside = torch.cat([noise[:1], photos[:3]]) * 2 - 1
    return {  # the shares are areas under the ROC curve
        "photos": count,
        "photo_above_sample": auc(of_samples[1.0], of_photos),
        "photo_above_sample_at_0.7": auc(of_samples[0.7], of_photos),
        "photo_above_noise": auc(of_noise, of_photos),
        "photo_above_upside_down": auc(judged_alone(discriminator, photos.flip(2)), of_photos),
        "noise_above_sample": auc(of_samples[1.0], of_noise),
        "noise_alone": of_noise[0].item(),
        "the_same_noise_beside_three_photos": discriminator(beside)[0].item(),
        "skin_and_background": {
            "photos": skin_and_background(every_photo),
            "samples": skin_and_background(drawn),
            "counted": {"photos": len(every_photo), "samples": SAMPLES},
        },
    }


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=80, help="one of each of so many held-out people")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where the weights are and the result goes")
    options = parser.parse_args(arguments)
    held = lfw.load("held_out")
    photos = held.images[chosen_photos(held, options.photos)]
    networks = [weights.load(name, "cpu", options.folder) for name in ("faces-64", "faces-64-discriminator")]
    result = {
        "command": f"python -m training.faces.measure_discriminator --photos {options.photos}",
        "weights": [checksum(name, options.folder)[:16] for name in ("faces-64", "faces-64-discriminator")],
        "alignment": "FFHQ's rule on BlazeFace landmarks (latentlib.photos)",
    } | measure(*networks, photos, lfw.load("all").images)
    text = json.dumps(result, indent=2) + "\n"
    (options.folder / FILE).write_text(text, encoding="utf-8")
    print(text)
    return result


if __name__ == "__main__":
    main()
