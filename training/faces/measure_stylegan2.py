"""How long NVIDIA's StyleGAN2 takes on this machine.

    python -m training.faces.measure_stylegan2 [--sizes 256 512]    one picture, and one step of a search
    python -m training.faces.measure_stylegan2 --couple             a whole couple at 256 pixels, as in notebook 08
    python -m training.faces.measure_stylegan2 --operations         what a couple computes at each size, on any machine

Random weights of the official widths, so that nothing need be downloaded: the seconds are the same, the pictures are
noise. Each writes its part of data/weights/stylegan2-speed.json, which notebook 08 reads.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from latentlib import device as devices
from latentlib import weights
from latentlib.datasets import portraits
from latentlib.gan import blending, tuning
from latentlib.gan.inversion import invert
from latentlib.metrics import perceptual_features
from latentlib.models.stylegan2 import Discriminator, Generator, official_channels
from training.faces.nvidia_pickle import file_of

RESULT = weights.WEIGHTS / "stylegan2-speed.json"
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


def official_file(size: int, path: Path) -> None:
    """Write random networks in the layout of NVIDIA's files."""
    generator = generator_of(size, torch.device("cpu"))
    generator.compute_w_avg(2000)
    path.write_bytes(file_of(generator, Discriminator(size, official(size))))


def couple(size: int, device: torch.device, folder: Path) -> dict:
    """Seconds for each part of notebook 08's way, from a file in NVIDIA's layout to six siblings; memory held in GB."""
    official_file(size, folder / "random.pkl")
    seconds = {}

    @contextmanager
    def timed(part):
        with devices.Stopwatch(device) as watch:
            yield
        seconds[part] = round(watch.seconds, 1)
        print(f"{part}: {seconds[part]} s", flush=True)

    with timed("read the file"):
        generator, discriminator = weights.load_stylegan2(folder / "random.pkl", device)
    with timed("align two photos"):
        photos = portraits.load(size=size, device=device)
    with timed("search their codes"):
        found = tuning.pivots(generator, photos.images, discriminator=discriminator, steps=SEARCH_STEPS, progress=False)
    with timed("tune a copy on both"):
        tuned = tuning.tune(generator, found.codes, photos.images, discriminator=discriminator, progress=False)
    with timed("draw a child, six siblings"):
        tuned.generator.draw(blending.average(*tuned.codes)[None])
        tuned.generator.draw(blending.siblings(*tuned.codes, count=6, seed=0))
    status = Path("/proc/self/status").read_text()  # of Linux: the most memory this process has held
    memory = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    return {"steps": found.steps + tuned.steps, "seconds": seconds, "memory": round(memory, 1)}


def step_operations(size: int, searching: bool) -> int:
    """Multiplications and additions of the networks in one step of a couple's search, or of its tuning.

    PyTorch counts them; nothing is computed, since on the meta device tensors have a shape and no numbers.
    """
    with torch.device("meta"):
        generator, discriminator = Generator(size, channels=official(size)), Discriminator(size, official(size))
        w = torch.zeros(2, generator.num_ws, generator.w_dim, requires_grad=searching)
    generator.requires_grad_(not searching)
    discriminator.requires_grad_(False)
    with FlopCounterMode(display=False) as counted:
        drawn = generator.synthesis(w, noise=None) / 2 + 0.5
        sum(level.sum() for level in perceptual_features(discriminator, drawn)).backward()
    return counted.get_total_flops()


def operations(size: int) -> dict[str, float]:
    """What a couple's search and tuning compute, in 10¹² multiplications and additions."""
    search, tune = SEARCH_STEPS * step_operations(size, True), tuning.STEPS * step_operations(size, False)
    return {"search their codes": round(search / 1e12, 1), "tune a copy on both": round(tune / 1e12, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--couple", action="store_true", help="only a couple at 256 pixels, whole (minutes)")
    parser.add_argument(
        "--operations", action="store_true", help="only count what a couple's search and tuning compute"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = devices.pick_device()
    known = json.loads(RESULT.read_text(encoding="utf-8"))
    machine = {"machine": devices.describe(device), "load": round(os.getloadavg()[0], 1)}
    if arguments.operations:
        known["operations"] = {str(size): operations(size) for size in arguments.sizes}
    elif arguments.couple:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LATENTLIB_CACHE"] = folder  # the converted copy goes with it
            known["couple"] = {**machine, **couple(256, device, Path(folder))}
    else:
        known |= {**machine, "seconds": {}}
        for size in arguments.sizes:
            known["seconds"][str(size)] = {name: round(value, 2) for name, value in measure(size, device).items()}
            print(size, known["seconds"][str(size)], flush=True)
    RESULT.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
