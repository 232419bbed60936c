"""How long NVIDIA's StyleGAN2 takes on this machine: python -m training.faces.measure_stylegan2 [--sizes 256 1024]

Random weights of the official widths, so that nothing need be downloaded; the seconds are the same. Writes
data/weights/stylegan2-speed.json, which notebook 08 reads.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import torch

from latentlib import device as devices
from latentlib.gan.inversion import invert
from latentlib.models.stylegan2 import Generator, official_channels
from latentlib.weights import WEIGHTS

RESULT = WEIGHTS / "stylegan2-speed.json"


def measure(size: int, device: torch.device) -> dict:
    """Seconds for one picture and for a step of a search in W+, the least of three each, and for a search's start."""
    torch.manual_seed(0)
    base = 16384 if size == 256 else 32768
    generator = Generator(size, channels=official_channels(size, base)).requires_grad_(False).eval()
    generator = generator.to(device, memory_format=torch.channels_last)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = devices.pick_device()
    seconds = {}
    for size in arguments.sizes:
        seconds[str(size)] = {name: round(value, 2) for name, value in measure(size, device).items()}
        print(size, seconds[str(size)], flush=True)
    load = round(os.getloadavg()[0], 1)
    machine = {"machine": devices.describe(device), "load": load, "seconds": seconds}
    RESULT.write_text(json.dumps(machine, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
