"""Train the course's face generator on LFW, on a CPU or a GPU. Kill it at any moment; it goes on.

python -m training.faces.train                              start, or go on from the last checkpoint
python -m training.faces.train --warm-start data/weights    start from the shipped weights
python -m training.faces.train --export data/weights        ship the last checkpoint
"""

import math
from pathlib import Path

import torch

from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import read_weights
from training import lfw, runs
from training.faces.trainer import RECIPE, Trainer
from training.runs import Stop
from training.saving import save_weights


def sheet(pictures: torch.Tensor, columns: int = 16):
    """(n, 3, h, w) in [0, 1] -> one PIL image, a grid."""
    from PIL import Image

    n, _, h, w = pictures.shape
    rows = math.ceil(n / columns)
    grid = torch.ones(rows * columns, 3, h, w)
    grid[:n] = pictures.cpu()
    grid = grid.reshape(rows, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, 3)
    return Image.fromarray((grid * 255).round().byte().numpy())


def photos(size: int = 64) -> torch.Tensor:
    """LFW's training photos, (n, 3, size, size) uint8; Stop when they are not here, and not to be had."""
    try:
        return lfw.load("train", size=size).images
    except RuntimeError as error:
        raise Stop(str(error)) from error


def random_turn(size: int) -> torch.Tensor:
    """An orthogonal matrix (size, size), always the same."""
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(4)))[0]


def export(state: dict, folder: Path) -> None:
    """Ship a checkpoint: the averaged generator with the centre of its w, the discriminator, and a sheet of samples."""
    recipe = state["recipe"]
    size = max(recipe["channels"])
    generator = Generator(size, recipe["z_dim"], recipe["w_dim"], recipe["mapping_layers"], recipe["channels"])
    generator.load_state_dict(state["ema"])
    # The first layer began as torch.randn after manual_seed(0), and hardly turned since. Whoever draws z after the same
    # seed would draw its very rows, no random z. Turned z are as probable, so this changes no distribution.
    with torch.no_grad():
        first = generator.mapping.fc0.weight
        first.copy_(first @ random_turn(recipe["z_dim"]))
    generator.compute_w_avg()
    discriminator = Discriminator(size, recipe["discriminator_channels"])
    full = {key: value for key, value in state["discriminator"].items() if key.startswith("full.")}
    discriminator.load_state_dict({key.removeprefix("full."): value for key, value in full.items()})
    made = {"recipe": recipe, "images_seen": state["images_seen"], "hours": round(state["seconds"] / 3600, 2)}
    statistics = ("mapping.w_avg",)
    save_weights("faces-64", generator, {"network": generator.settings, **made}, folder, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings, **made}, folder)
    with torch.no_grad():
        z = torch.randn(48, recipe["z_dim"], generator=torch.Generator().manual_seed(3))
        pictures = generator(z, psi=0.7, noise="fixed").div(2).add(0.5).clamp(0, 1)
    sheet(pictures, columns=12).save(folder / "faces-64-samples.jpg", quality=92)


def shipped_recipe(folder: Path) -> dict:
    """The recipe that shipped weights were made with; JSON's keys are texts."""
    made = read_weights("faces-64", folder)[1]["recipe"]
    tables = {key: {int(r): v for r, v in value.items()} for key, value in made.items() if isinstance(value, dict)}
    return {name: (made | tables).get(name, usual) for name, usual in RECIPE.items()}


def warm_start(trainer: Trainer, folder: Path) -> None:
    """Begin from shipped weights instead of from noise; the optimisers begin anew."""
    generator, settings = read_weights("faces-64", folder)
    try:
        trainer.generator.load_state_dict(generator)
        trainer.ema.load_state_dict(generator)
        trainer.discriminator.full.load_state_dict(read_weights("faces-64-discriminator", folder)[0])
    except RuntimeError as error:
        raise Stop(f"the weights in {folder} are of another size than this recipe's networks: {error}") from error
    trainer.images_seen, trainer.seconds = settings["images_seen"], settings["hours"] * 3600


def main(argv=None, images: torch.Tensor | None = None) -> None:
    """images: (n, 3, size, size) uint8 to train on instead of LFW."""
    asked = runs.options(__doc__, "faces-64").parse_args(argv)
    folder = runs.runs_folder() / asked.run

    def build(state: dict | None, device: torch.device) -> Trainer:
        recipe = state["recipe"] if state else shipped_recipe(asked.warm_start) if asked.warm_start else RECIPE
        trainer = Trainer(runs.changed(recipe, asked.set), photos() if images is None else images, device)
        if state:
            trainer.restore(state)
        elif asked.warm_start:
            warm_start(trainer, asked.warm_start)
        return trainer

    def draw(trainer: Trainer) -> None:
        picture = sheet(trainer.samples())
        picture.save(folder / f"samples-{trainer.images_seen:08d}.png")
        picture.save(folder / "samples.png")  # under a name that an image viewer can keep open

    runs.run(asked, build, export, draw)


if __name__ == "__main__":
    main()
