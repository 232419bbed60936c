"""Train the encoder of faces on the generator's own samples and on LFW. Kill it at any moment; it goes on.

python -m training.faces.train_encoder --minutes 20                     start, or go on from the last checkpoint
torchrun --nproc-per-node 2 -m training.faces.train_encoder --minutes 20          the same with two processes
python -m training.faces.train_encoder --no-photos                      on samples alone
python -m training.faces.train_encoder --warm-start data/weights        start from the shipped encoder
python -m training.faces.train_encoder --export data/weights            ship the last checkpoint

When the shipped generator has changed since the last checkpoint, the run says so and goes on from the encoder's
weights.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch

from latentlib import weights
from latentlib.weights import WEIGHTS, checksum, read_weights, save_weights
from training.faces.encoder_trainer import NAME, RECIPE, Trainer
from training.runs import Stop, read_checkpoint, runs_folder, save_atomically, session, stop_signals

CHECKPOINT_SECONDS = 180


# ------------------------------------------------------------------------------------------------------------ the run


def keep(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint, unless a weight is broken."""
    if not trainer.finite():
        raise Stop(f"a weight is no longer a number after {trainer.images_seen} images; the last good state is {path}")
    save_atomically(trainer.state(), path)


def train(trainer: Trainer, path: Path, minutes: float = math.inf, images: float = math.inf) -> None:
    """Go on for so many minutes, until so many images, Ctrl-C or SIGTERM, or a reason to stop."""
    started = saved = time.monotonic()
    before, chief = trainer.seconds, trainer.rank == 0
    sums, steps = {}, 0
    with stop_signals() as asked:
        while trainer.images_seen < images:
            if trainer.agreed(bool(asked) or time.monotonic() - started > minutes * 60):
                break
            for name, loss in trainer.step().items():
                sums[name] = sums.get(name, 0.0) + loss
            steps += 1
            now = time.monotonic()
            trainer.seconds = before + now - started
            if chief and now - saved > CHECKPOINT_SECONDS:
                saved = now
                report(trainer, sums, steps)
                keep(trainer, path)
                sums, steps = {}, 0
        if chief and steps:
            report(trainer, sums, steps)
            keep(trainer, path)


def report(trainer: Trainer, sums: dict, steps: int) -> None:
    """One line: the errors' means since the last one. A picture error of 0.04 in [-1, 1] is 20 dB."""
    means = {name: float(total) / steps for name, total in sums.items()}
    if not all(math.isfinite(value) for value in means.values()):
        raise Stop(
            f"the loss is no longer a number after {trainer.images_seen} images; start again from the last state"
        )
    text = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    print(f"{trainer.images_seen} images ({trainer.since} with this generator), {trainer.seconds / 60:.1f} min, {text}",
          flush=True)  # fmt: skip


# ------------------------------------------------------------------------------------------------ weights in and out


def export(state: dict, folder: Path) -> Path:
    """Ship a checkpoint: the averaged encoder, with the recipe and the checksum of the generator it belongs to."""
    made = {key: state[key] for key in ("recipe", "images_seen", "since", "generator")}
    made["minutes"] = round(state["seconds"] / 60, 1)
    made["trained_on"] = "samples and LFW" if state["recipe"]["photos"] else "samples"
    return save_weights(NAME, state["ema"], {"network": state["settings"], **made}, folder, keep_float32=("w_mean",))


def warm_start(trainer: Trainer, folder: Path) -> None:
    """Begin from shipped weights; the optimiser begins anew."""
    weights, settings = read_weights(NAME, folder)
    trainer.continue_from(weights)
    trainer.images_seen, trainer.seconds = settings["images_seen"], settings["minutes"] * 60


# ------------------------------------------------------------------------------------------------------- command line


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="encoder-64", help="name of the run's folder in LATENTLIB_RUNS")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after that long; the next start goes on")
    parser.add_argument("--images", type=float, default=math.inf, help="stop after that many pictures in all")
    parser.add_argument("--batch", type=int, help="pictures a step, over all processes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--photos", type=float, help="share of the batch that are training photos")
    parser.add_argument("--no-photos", dest="photos", action="store_const", const=0.0, help="samples alone")
    parser.add_argument("--identity", type=float, help="weight of the distance by the shipped measure of identity")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", default=WEIGHTS, help="the generator's folder")
    parser.add_argument("--warm-start", type=Path, metavar="FOLDER", help="begin from shipped weights")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the last checkpoint's weights and stop")
    return parser.parse_args(argv)


def set_up(arguments, state: dict | None, device: torch.device) -> Trainer:
    """The trainer, as the checkpoint, the warm start or nothing at all leaves it."""
    recipe = {**RECIPE, **(state["recipe"] if state else {})}
    for name in ("batch", "learning_rate", "photos", "identity"):
        if getattr(arguments, name) is not None:
            recipe[name] = getattr(arguments, name)
    photos = None
    if recipe["photos"]:
        from training import lfw

        try:
            photos = lfw.load("train").images
        except RuntimeError as error:
            print(f"training on samples alone: {error}")
            recipe["photos"] = 0.0
    generator = weights.load("faces-64", device, arguments.weights)
    discriminator = weights.load("faces-64-discriminator", device, arguments.weights)
    identity = weights.load("faces-64-identity", device, arguments.weights) if recipe["identity"] else None
    trainer = Trainer(recipe, generator, discriminator, checksum("faces-64", arguments.weights), photos, identity)
    if state:
        same = trainer.restore(state)
        if not same and trainer.rank == 0:
            print("the shipped generator has changed: its samples are new, and so is the optimiser", flush=True)
    elif arguments.warm_start:
        warm_start(trainer, arguments.warm_start)
    if trainer.rank == 0 and trainer.images_seen:
        print(f"going on from {trainer.images_seen} images", flush=True)
    return trainer


def main(argv=None) -> None:
    arguments = parse(argv)
    path = runs_folder() / arguments.run / "checkpoint.pt"
    with session(arguments.device) as device:
        state = read_checkpoint(path, device)
        if arguments.export:
            if state is None:
                raise Stop(f"there is no checkpoint at {path} to export")
            print(export(state, arguments.export))
            return
        train(set_up(arguments, state, device), path, arguments.minutes, arguments.images)


if __name__ == "__main__":
    main()
