"""Train the course's face generator on LFW: one CPU, one GPU, or many with torchrun. Kill it at any moment; it goes on.

python -m training.faces.train                              start, or go on from the last checkpoint
torchrun --nproc-per-node 4 -m training.faces.train         the same on four GPUs (or CPU processes)
python -m training.faces.train --warm-start data/weights    start from the shipped weights
python -m training.faces.train --export data/weights        ship the last checkpoint

Ctrl-C and SIGTERM end it after the step that runs, with a checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist

from latentlib.models.stylegan import Discriminator, Generator
from training.faces.networks import widen
from training.faces.trainer import RECIPE, Trainer
from training.runs import Stop, read_checkpoint, runs_folder, save_atomically, session, stop_signals

CHECKPOINT_SECONDS = 240
SAMPLE_SECONDS = 300
GO_ON, ENOUGH, BROKEN = 0, 1, 2  # what a process wishes; the most urgent wish of all is done


# ------------------------------------------------------------------------------------------- samples and checkpoints


def sheet(pictures: torch.Tensor, columns: int = 16):
    """(n, 3, h, w) in [0, 1] -> one PIL image, a grid."""
    from PIL import Image

    n, _, h, w = pictures.shape
    rows = math.ceil(n / columns)
    grid = torch.ones(rows * columns, 3, h, w)
    grid[:n] = pictures.cpu()
    grid = grid.reshape(rows, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, 3)
    return Image.fromarray((grid * 255).round().byte().numpy())


def keep(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint, unless a weight is broken."""
    if not trainer.finite():
        raise Stop(
            f"a weight is no longer a number after {trainer.images_seen} images; the last good state is at {path}"
        )
    save_atomically(trainer.state(), path)


def draw(trainer: Trainer, folder: Path) -> None:
    """A picture of samples, and the latest under one name that an image viewer can keep open."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        picture = sheet(trainer.samples())
        picture.save(folder / f"samples-{trainer.images_seen:08d}.png")
        picture.save(folder / "samples.png")
    except OSError as error:
        raise Stop(f"the picture of samples could not be written ({error}); is the disk full?") from error


# ------------------------------------------------------------------------------------------------------------ the run


def train(trainer: Trainer, folder: Path, hours: float = math.inf) -> None:
    """Go on until the recipe's number of images, the hours, Ctrl-C or SIGTERM, or a reason to stop.

    All processes end after the same step. Raises Stop with the reason of any of them in the first one.
    """
    from tqdm.auto import tqdm

    path = folder / "checkpoint.pt"
    chief = trainer.rank == 0
    started = saved = drawn = time.monotonic()
    before = trainer.seconds
    trouble = ""
    bar = tqdm(
        total=trainer.recipe["images"], initial=trainer.images_seen, unit=" images", smoothing=0.05,
        disable=not chief, mininterval=10, maxinterval=60,
    )  # fmt: skip
    with stop_signals() as asked, bar:
        while trainer.images_seen < trainer.recipe["images"]:
            enough = asked or time.monotonic() - started > hours * 3600
            wish = trainer.most_urgent(BROKEN if trouble else ENOUGH if enough else GO_ON)
            if wish == BROKEN:
                reason = trainer.first_of_all(trouble)
                if chief:
                    raise Stop(reason)
                return
            if wish == ENOUGH:
                break
            losses = trainer.step()
            now = time.monotonic()
            trainer.seconds = before + now - started
            bar.update(trainer.recipe["batch"])
            try:
                if not all(math.isfinite(value) for value in losses.values()):
                    raise Stop(
                        f"the loss is no longer a number after {trainer.images_seen} images; the last good state is at "
                        f"{path}. Start again from it with a smaller --learning-rate or a larger --r1"
                    )
                if chief and now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    keep(trainer, path)
                if chief and now - drawn > SAMPLE_SECONDS:
                    drawn = now
                    draw(trainer, folder)
                    tqdm.write(progress(trainer, losses))
            except Stop as reason:
                trouble = str(reason)  # the others must hear of it before this process ends
        if chief:
            keep(trainer, path)
            draw(trainer, folder)
            if trainer.images_seen < trainer.recipe["images"]:
                tqdm.write(f"stopped as asked after {trainer.images_seen} images; the next start goes on from here")


def progress(trainer: Trainer, losses: dict[str, torch.Tensor]) -> str:
    return (
        f"{trainer.images_seen} images at {trainer.resolution} px, {trainer.seconds / 3600:.2f} h, "
        f"g {losses['g']:.2f}, d {losses['d']:.2f}, augmentation {trainer.augment_p:.3f}, "
        f"path length {trainer.path_mean:.3f}"
    )


# ------------------------------------------------------------------------------------------------ weights in and out


def random_turn(size: int) -> torch.Tensor:
    """An orthogonal matrix (size, size), always the same."""
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(4)))[0]


def export(state: dict, folder: Path) -> None:
    """Ship a checkpoint: the averaged generator with the centre of its w, the discriminator, and a sheet of samples."""
    from latentlib.weights import save_weights

    recipe = state["recipe"]
    size = max(recipe["channels"])
    generator = Generator(size, recipe["z_dim"], recipe["w_dim"], recipe["mapping_layers"], recipe["channels"])
    generator.load_state_dict(state["ema"])
    # The first layer began as torch.randn after manual_seed(0), and hardly turned since. Whoever draws z after the same
    # seed would draw its very rows, no random z. Turned z are as probable, so this changes no distribution.
    with torch.no_grad():
        first = generator.mapping.fc0.weight
        first.copy_(first @ random_turn(recipe["z_dim"]))
    generator.measure_w()
    discriminator = Discriminator(size, recipe["discriminator_channels"])
    full = {
        key.removeprefix("full."): value for key, value in state["discriminator"].items() if key.startswith("full.")
    }
    discriminator.load_state_dict(full)
    made = {"recipe": recipe, "images_seen": state["images_seen"], "hours": round(state["seconds"] / 3600, 2)}
    statistics = ("w_mean", "w_covariance")
    save_weights("faces-64", generator, {"network": generator.settings, **made}, folder, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings, **made}, folder)
    with torch.no_grad():
        z = torch.randn(48, recipe["z_dim"], generator=torch.Generator().manual_seed(3))
        pictures = generator(z, truncation=0.7, noise="fixed").div(2).add(0.5).clamp(0, 1)
    sheet(pictures, columns=12).save(folder / "faces-64-samples.png", optimize=True)


def by_resolution(table: dict) -> dict[int, int]:
    """JSON's keys are texts."""
    return {int(resolution): int(value) for resolution, value in table.items()}


def shipped_recipe(folder: Path) -> dict:
    """The recipe that shipped weights were made with."""
    from latentlib.weights import read_weights

    recipe = read_weights("faces-64", folder)[1]["recipe"]
    recipe.setdefault("discriminator_channels", recipe["channels"])  # older recipes had one table for both
    numbered = ("channels", "discriminator_channels", "growth")
    return recipe | {name: by_resolution(recipe[name]) for name in numbered}


def warm_start(trainer: Trainer, folder: Path) -> None:
    """Begin from shipped weights instead of from noise, also with more channels; the optimisers begin anew."""
    from latentlib.weights import read_weights

    generator, settings = read_weights("faces-64", folder)
    discriminator, _ = read_weights("faces-64-discriminator", folder)
    try:
        widen(trainer.generator, generator)
        trainer.ema.load_state_dict(trainer.generator.state_dict())
        trainer.discriminator.full.load_state_dict(discriminator)
    except RuntimeError as error:
        raise Stop(f"the weights in {folder} are of another size than this recipe's networks: {error}") from error
    trainer.images_seen = settings["images_seen"]
    trainer.seconds = settings["hours"] * 3600


# ------------------------------------------------------------------------------------------------------ command line


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="faces-64", help="name of the run's folder in LATENTLIB_RUNS")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after that long; the next start goes on")
    parser.add_argument("--images", type=int, help="stop after that many photos shown in all")
    parser.add_argument("--batch", type=int, help="pictures a step, over all processes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument(
        "--decay-from", type=int, help="images seen from which the learning rate falls to 0 at --images"
    )
    parser.add_argument("--ema-half-life", type=int, help="images, of the average that is shipped")
    parser.add_argument("--channels", type=json.loads, help="of the generator, such as '{\"4\": 160, …}'; wider only")
    parser.add_argument("--r1", type=float, help="weight of the gradient penalty")
    parser.add_argument("--noise", action=argparse.BooleanOptionalAction, help="random noise maps in the generator")
    parser.add_argument("--growth", type=json.loads, help='such as \'{"16": 24000, "32": 80000}\'')
    parser.add_argument("--warm-start", type=Path, metavar="FOLDER", help="begin from shipped weights")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the last checkpoint's weights and stop")
    return parser.parse_args(argv)


def recipe_of(state: dict | None, arguments: argparse.Namespace) -> dict:
    """The recipe of the run that goes on, or of a new one, with what the command line changes; state: a checkpoint."""
    recipe = dict(state["recipe"] if state else RECIPE)
    recipe = {"noise": True, "decay_from": None, "discriminator_channels": recipe["channels"]} | recipe  # older runs
    for name in ("images", "batch", "learning_rate", "decay_from", "ema_half_life", "r1", "noise"):
        if getattr(arguments, name) is not None:
            recipe[name] = getattr(arguments, name)
    if arguments.growth is not None:
        recipe["growth"] = by_resolution(arguments.growth)
    if arguments.channels is not None:
        recipe["channels"] = by_resolution(arguments.channels)
    return recipe


def photos() -> torch.Tensor:
    """LFW's training photos; of several processes on a machine the first aligns them, should that still be to do."""
    from training import lfw

    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not first:
        dist.barrier()
    try:
        images = lfw.load("train").images
    except RuntimeError as error:  # not here, and not to be had
        raise Stop(str(error)) from error
    if first and "RANK" in os.environ:
        dist.barrier()
    return images


def set_up(arguments: argparse.Namespace, state: dict | None, images: torch.Tensor | None, device) -> Trainer:
    """A trainer that begins, or goes on from a checkpoint or from shipped weights; of LFW when images is None."""
    shipped = {"recipe": shipped_recipe(arguments.warm_start)} if arguments.warm_start and not state else None
    recipe = recipe_of(state or shipped, arguments)
    trainer = Trainer(recipe, photos() if images is None else images, device)
    if state:
        trainer.restore(state)
    elif arguments.warm_start:
        warm_start(trainer, arguments.warm_start)
    return trainer


def main(argv=None, images: torch.Tensor | None = None) -> None:
    """images: (n, 3, size, size) uint8 to train on instead of LFW."""
    arguments = parse(argv)
    folder = runs_folder() / arguments.run
    path = folder / "checkpoint.pt"
    with session(arguments.device) as device:
        state = read_checkpoint(path, device)
        if arguments.export:
            if state is None:
                raise Stop(f"there is no checkpoint at {path} to export")
            return export(state, arguments.export)
        trainer = set_up(arguments, state, images, device)
        if trainer.rank == 0 and trainer.images_seen:
            print(f"going on from {trainer.images_seen} images in {folder}", flush=True)
        train(trainer, folder, arguments.hours)
        del trainer  # its replicas hold the process group that the session ends


if __name__ == "__main__":
    main()
