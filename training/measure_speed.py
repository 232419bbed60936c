"""What each trick of the face trainer gives, in images a second: python training/train_faces.py --measure."""

from __future__ import annotations

import time

import torch
from train_faces import RECIPE, Trainer

from latentlib.device import synchronize
from latentlib.models import stylegan

BATCH, STEPS = 16, 16  # as many steps as the rarest regularisation needs to come once


def measure(device: torch.device, compiled: bool = False) -> None:
    """Print images per second of the whole training step, on random pictures, with and without each trick.

    On a CPU it is seconds of processor time, one thread: other programs on the machine then disturb little.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (512, 3, 64, 64), dtype=torch.uint8)
    ready = {"growth": {16: 0, 32: 0}, "path_length_from": 10**9, "batch": BATCH}

    def fresh(reduced_precision=True, **changes):
        return Trainer({**RECIPE, **ready, **changes}, images, device, reduced_precision)

    def speed(trainer, seen=10**6):
        trainer.augment_p = 0.2
        trainer.images_seen = seen // BATCH // STEPS * BATCH * STEPS + BATCH
        trainer.step()
        synchronize(device)
        begun = clock()
        for _ in range(STEPS):
            trainer.step()
        synchronize(device)
        return STEPS * BATCH / (clock() - begun)

    def upsample_first(trainer):
        """The order of the layer's name in the paper, at four times the multiplications."""

        class UpsamplingFirst(stylegan.SynthesisLayer):
            def forward(self, x, w, noise="random"):
                self.up = False
                return super().forward(stylegan.upsample(x), w, noise)

        for module in trainer.generator.modules():
            if isinstance(module, stylegan.SynthesisLayer) and module.up:
                module.__class__ = UpsamplingFirst
        return trainer

    def compile_both(trainer):
        trainer.g, trainer.d = torch.compile(trainer.g), torch.compile(trainer.d)
        return trainer

    def contiguous(trainer):
        trainer.generator.to(memory_format=torch.contiguous_format)
        trainer.discriminator.to(memory_format=torch.contiguous_format)
        return trainer

    growing = {"growth": {16: 10**5, 32: 2 * 10**5}}
    rows = [
        ("as trained: 64 px, bf16, channels_last, convolution before the upsampling", lambda: speed(fresh())),
        ("growing, at 16 px", lambda: speed(fresh(**growing), 0)),
        ("growing, at 32 px", lambda: speed(fresh(**growing), 150_000)),
        ("upsampling before the convolution", lambda: speed(upsample_first(fresh()))),
        ("float32", lambda: speed(fresh(reduced_precision=False))),
        ("weights not channels_last", lambda: speed(contiguous(fresh()))),
        ("R1 every step instead of every 16", lambda: speed(fresh(r1_every=1))),
        ("path-length regularisation every 8 steps", lambda: speed(fresh(path_length_from=0))),
        ("path-length regularisation every 4 steps", lambda: speed(fresh(path_length_from=0, path_length_every=4))),
    ]
    if compiled:
        rows.append(("torch.compile of both networks", lambda: speed(compile_both(fresh()))))
    seconds = "second of one core's time" if device.type == "cpu" else "second"
    print(f"| the whole training step, batch {BATCH}, {device.type} | images a {seconds} |\n|---|---|")
    for name, run in rows:
        print(f"| {name} | {run():.1f} |", flush=True)
