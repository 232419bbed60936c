"""How long NVIDIA's StyleGAN2 takes on this machine: python -m training.faces.measure_stylegan2 [--sizes 256 512 1024]

Random weights of the official widths, so that nothing need be downloaded; the seconds are the same, the pictures are
noise. At 256 pixels a whole couple is searched for, tuned and given six children, as in notebook 08. Writes
data/weights/stylegan2-speed.json, which notebook 08 reads.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import torch

from latentlib import device as devices
from latentlib.datasets import portraits
from latentlib.gan import blending, tuning
from latentlib.gan.inversion import invert
from latentlib.models.stylegan2 import Discriminator, Generator, official_channels
from latentlib.weights import WEIGHTS

RESULT = WEIGHTS / "stylegan2-speed.json"
SEARCH_STEPS = 100  # as in notebook 08


def official(size: int) -> dict[int, int]:
    """Channels of the official networks of that size."""
    return official_channels(size, base=16384 if size == 256 else 32768)


def generator_of(size: int, device: torch.device) -> Generator:
    """Random weights, which draw noise."""
    torch.manual_seed(0)
    generator = Generator(size, channels=official(size)).requires_grad_(False).eval()
    return generator.to(device, memory_format=torch.channels_last)


def measure(size: int, device: torch.device) -> dict:
    """Seconds for one picture and for a step of a search in W+, the least of three each, and for a search's start."""
    generator = generator_of(size, device)
    w = generator.mapping(torch.randn(1, generator.z_dim).to(device))
    with torch.no_grad():
        generator.draw(w)  # the first time is slower
        seconds = []
        for _ in range(3):
            with devices.Stopwatch(device) as watch:
                picture = generator.draw(w)
            seconds.append(watch.seconds)
    began = time.perf_counter()
    found = invert(generator, picture, "w+", steps=3, progress=False)
    whole = time.perf_counter() - began
    steps = [b.seconds - a.seconds for a, b in zip(found.history, found.history[1:], strict=False)]
    return {"picture": min(seconds), "step": min(steps), "start": whole - sum(steps)}


def couple(size: int, device: torch.device) -> dict:
    """Seconds for each part of section 4 of notebook 08, from two photos to six children, and the memory held (GB)."""
    generator = generator_of(size, device)
    discriminator = Discriminator(size, official(size)).requires_grad_(False).eval().to(device)
    seconds = {}
    with devices.Stopwatch(device) as watch:
        photos = portraits.load(size=size, device=device)
    seconds["photos"] = watch.seconds
    with devices.Stopwatch(device) as watch:
        found = tuning.pivots(generator, photos.images, discriminator=discriminator, steps=SEARCH_STEPS)
    seconds["search"] = watch.seconds
    with devices.Stopwatch(device) as watch:
        tuned = tuning.tune(generator, found.codes, photos.images, discriminator=discriminator)
    seconds["tuning"] = watch.seconds
    with devices.Stopwatch(device) as watch:
        tuned.generator.draw(blending.siblings(*tuned.codes, count=6, seed=0))
    seconds["six children"] = watch.seconds
    return {**seconds, "memory": (devices.peak_memory_mb() or float("nan")) / 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = devices.pick_device()
    load = round(os.getloadavg()[0], 1)
    machine = {"machine": devices.describe(device), "load": load, "seconds": {}}
    if 256 in arguments.sizes:  # first, so that the memory is its own
        machine["couple"] = {name: round(value, 2) for name, value in couple(256, device).items()}
        print("a couple at 256", machine["couple"], flush=True)
    for size in arguments.sizes:
        machine["seconds"][str(size)] = {name: round(value, 2) for name, value in measure(size, device).items()}
        print(size, machine["seconds"][str(size)], flush=True)
    RESULT.write_text(json.dumps(machine, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
