"""What each trick of the face trainer gives, in images a second: minutes, on a machine that does nothing else.

python -m training.faces.measure_speed              every trick; writes speed.json and a table of training/README.md
python -m training.faces.measure_speed --compiled   torch.compile beside the same without it, into the same places
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist

from latentlib.device import describe, pick_device, synchronize
from latentlib.models import stylegan2
from training.cards import put_between
from training.faces.networks import TrainedGenerator
from training.faces.trainer import RECIPE, Trainer
from training.runs import keep_freed_memory

HERE = Path(__file__).parent
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
STEPS = 16  # as many as the rarest regularisation needs to come once


class Setting(NamedTuple):
    """How the trainer is started for some rows."""

    processes: int = 2
    threads: int = 1
    keep_memory: bool = True


# ------------------------------------------------------------------------------------------------- with and without


def upsample_first(trainer: Trainer) -> None:
    """The order of the paper's drawing, at four times the multiplications."""

    class UpsamplingFirst(stylegan2.SynthesisLayer):
        def forward(self, x, w, noise="random"):
            self.up = False
            return super().forward(stylegan2.upsample(x), w, noise)

    for module in trainer.generator.modules():
        if isinstance(module, stylegan2.SynthesisLayer) and module.up:
            module.__class__ = UpsamplingFirst


def contiguous(trainer: Trainer) -> None:
    for network in (trainer.generator, trainer.discriminator, trainer.ema):
        network.to(memory_format=torch.contiguous_format)
    trainer.g = trainer._replicate(TrainedGenerator(trainer.generator, trainer.recipe["noise"]))
    trainer.d = trainer._replicate(trainer.discriminator)


def compiled(trainer: Trainer, backend: str = "inductor") -> None:
    """torch.compile has no second derivatives, so the steps with R1 stay as they are."""
    for network in (trainer.generator.mapping, trainer.generator.synthesis, trainer.discriminator):
        network.compile(backend=backend)
    step = trainer.step

    def either():
        penalise = trainer.images_seen // trainer.recipe["batch"] % trainer.recipe["r1_every"] == 0
        with torch.compiler.set_stance("force_eager" if penalise else "default"):
            return step()

    trainer.step = either


class Row(NamedTuple):
    """One line of the table: what differs from the training as it is."""

    name: str
    setting: Setting = Setting()
    recipe: dict = {}  # noqa: RUF012 - read only
    images_seen: int = 10**6
    change: object = None  # function of the trainer
    reduced_precision: bool = True


GROWING = {"growth": {16: 10**5, 32: 2 * 10**5}}
ROWS = [
    Row("as trained: 64 px, bf16, channels_last, convolution before the upsampling"),
    Row("growing, at 16 px", recipe=GROWING, images_seen=0),
    Row("growing, at 32 px", recipe=GROWING, images_seen=150_000),
    Row("upsampling before the convolution", change=upsample_first),
    Row("float32", reduced_precision=False),
    Row("weights not channels_last", change=contiguous),
    Row("R1 every step instead of every 16", recipe={"r1_every": 1}),
    Row("with path-length regularisation every 8 steps", recipe={"path_length_from": 0}),
    Row("with path-length regularisation every 4 steps", recipe={"path_length_from": 0, "path_length_every": 4}),
    Row("freed memory given back to the system (glibc's habit)", Setting(keep_memory=False)),
    Row("one process of two threads instead of two of one", Setting(1, 2)),
]
COMPILED = [
    Row("one process of two threads", Setting(1, 2)),
    Row("the same, both networks through torch.compile", Setting(1, 2), change=compiled),
]


# ---------------------------------------------------------------------------------------------------------- measuring


def images_a_second(row: Row, recipe: dict, device: torch.device, steps: int) -> tuple[float, float]:
    """(of the whole training step by the wall clock, seconds before it: building, compiling, two steps)."""
    begun = time.perf_counter()
    size = max(recipe["channels"])
    images = torch.randint(0, 256, (512, 3, size, size), dtype=torch.uint8)
    ready = {"growth": dict.fromkeys(recipe["growth"], 0), "path_length_from": 10**9}
    trainer = Trainer({**recipe, **ready, **row.recipe}, images, device, row.reduced_precision)
    trainer.augment_p = 0.2
    whole = STEPS * trainer.recipe["batch"]
    trainer.images_seen = row.images_seen // whole * whole + whole - trainer.recipe["batch"]
    if row.change:
        row.change(trainer)
    for _ in range(2):  # one without and one with R1
        trainer.step()
    trainer.most_urgent(0)  # wait for the others
    synchronize(device)
    started = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    trainer.most_urgent(0)
    synchronize(device)
    ended = time.perf_counter()
    return steps * trainer.recipe["batch"] / (ended - started), started - begun


def work(rank: int, setting: Setting, rows: list[Row], recipe: dict, device: torch.device, steps: int, folder: str):
    """One process of a setting, and its end; the first writes down what all of them did."""
    torch.set_num_threads(setting.threads)
    if setting.keep_memory and device.type == "cpu":
        keep_freed_memory()
    if setting.processes > 1:
        meeting = (Path(folder) / "meeting").as_uri()
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=setting.processes)
    measured = []
    for row in rows:
        speed, before = images_a_second(row, recipe, device, steps)
        measured.append({"name": row.name, "images_a_second": speed, "seconds_before": before})
        if rank == 0:
            print(f"{speed:7.1f} images/s  {row.name}", flush=True)
    if rank == 0:
        (Path(folder) / "measured.json").write_text(json.dumps(measured), encoding="utf-8")
    if setting.processes > 1:
        dist.barrier()
    sys.stdout.flush()
    os._exit(0)  # not by Python's own way out: PyTorch's threads have aborted it there once, on a busy machine


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "processor"


def measure(rows: list[Row], device: torch.device, recipe: dict = RECIPE, steps: int = STEPS) -> dict:
    """Run the rows, those of one setting together in fresh processes; what goes into speed.json."""
    if device.type != "cpu":  # one process is enough for a GPU
        rows = [row._replace(setting=Setting(1)) for row in rows if row.setting == rows[0].setting]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is not None and load > 0.3:
        print(f"other programs are at work here (load {load:.1f}); what follows is too low")
    measured = {}
    for setting in dict.fromkeys(row.setting for row in rows):
        chosen = [row for row in rows if row.setting == setting]
        with tempfile.TemporaryDirectory() as folder:
            arguments = (setting, chosen, recipe, device, steps, folder)
            torch.multiprocessing.spawn(work, arguments, nprocs=setting.processes)
            found = json.loads((Path(folder) / "measured.json").read_text(encoding="utf-8"))
        measured.update({row["name"]: row for row in found})
    return {
        "machine": f"{describe(device)}, {os.cpu_count()} × {processor()}",
        "load_before": load,
        "batch": recipe["batch"],
        "rows": [measured[row.name] for row in rows],
    }


def table(result: dict) -> str:
    """Markdown: what was measured, each part beside its first row."""
    lines = []
    for part in ("tricks", "compiled"):
        if part not in result:
            continue
        measured = result[part]
        first = measured["rows"][0]["images_a_second"]
        lines += [f"| the whole training step, batch {measured['batch']} | images a second | times |", "|---|---|---|"]
        for row in measured["rows"]:
            speed = row["images_a_second"]
            lines.append(f"| {row['name']} | {speed:.1f} | {speed / first:.2f} |")
        load = "" if measured["load_before"] is None else f"; load before it began: {measured['load_before']:.1f}"
        lines += ["", f"{measured['machine']}{load}.", ""]
        if part == "compiled":
            lines += [f"Compiling and two steps took {measured['rows'][-1]['seconds_before']:.0f} s.", ""]
    return "\n".join(lines).rstrip()


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--compiled", action="store_true", help="only torch.compile; it needs a C++ compiler")
    options = parser.parse_args(argv)
    part, rows = ("compiled", COMPILED) if options.compiled else ("tricks", ROWS)
    file = HERE / "speed.json"
    result = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    result[part] = measure(rows, pick_device(options.device))
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    put_between(HERE.parent / "README.md", BEGIN, END, table(result))
    print(table(result))


if __name__ == "__main__":
    main()
