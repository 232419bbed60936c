"""Draw the pictures of README and model card: `python -m tools.pictures` (after a model of theirs was trained anew)."""

from __future__ import annotations

import io

import torch
from PIL import Image

from latentlib import metrics, plots, space, weights
from latentlib.datasets import furniture, portraits
from latentlib.gan import tuning
from latentlib.plots.images import with_palette
from tools.course import ROOT

STEPS = 9


def furniture_walk() -> torch.Tensor:
    """(STEPS, 3, 64, 64) in [0, 1]: from an armchair to a table in equal steps between their codes."""
    model = weights.load("furniture-walk")
    ends = furniture.load(200, seed=7)
    arms, kind = (ends.factors[:, furniture.column(name)] for name in ("arms", "kind"))
    chair, table = ends.images[arms == 1][:1], ends.images[kind == 1][:1]
    with torch.no_grad():
        return model.decode(space.path(model.encode(torch.cat([chair, table])), STEPS))


class Faces:
    """The networks that notebook 07 blends with."""

    def __init__(self):
        self.generator, self.encoder, self.discriminator = (
            weights.load(name, "cpu") for name in ("faces-64", "faces-64-encoder", "faces-64-discriminator")
        )

    def nobodies(self, couples: int) -> torch.Tensor:
        """(2 · couples, 3, 64, 64) in [0, 1]: people who do not exist."""
        with torch.no_grad():
            return self.generator.draw(metrics.draw_couples(self.generator, couples, seed=9).flatten(0, 1))

    def walk(self, couple: torch.Tensor, steps: int) -> torch.Tensor:
        """From one picture (2, 3, 64, 64) to the other, by usual codes and a copy tuned on both: (steps, 3, 64, 64)."""
        codes = tuning.pivots(self.generator, couple, self.encoder, progress=False).codes
        options = {"discriminator": self.discriminator, "progress": False}
        return tuning.tune(self.generator, codes, couple, **options).generator.draw(space.path(codes, steps))


def face_walk() -> torch.Tensor:
    """(STEPS, 3, 64, 64) in [0, 1]: from Eileen Collins to somebody who does not exist, as notebook 07 blends them."""
    faces = Faces()
    return faces.walk(torch.stack([portraits.load().images[1], faces.nobodies(3)[2]]), STEPS)


def ten_children() -> torch.Tensor:
    """(30, 3, 64, 64) in [0, 1]: ten times a parent, the child, a parent; the portraits and people who do not exist."""
    faces = Faces()
    hopper, collins = portraits.load().images
    strangers = list(faces.nobodies(8))  # 16 people
    couples = [
        (hopper, collins),
        (hopper, strangers[0]),
        (strangers[1], collins),
        *zip(strangers[2::2], strangers[3::2], strict=True),
    ]
    families = []
    for couple in couples:
        pictures = torch.stack(couple)
        families += [pictures[0], faces.walk(pictures, 3)[1], pictures[1]]
    return torch.stack(families)


def save(name: str, images: torch.Tensor, columns: int) -> None:
    path = ROOT / "docs" / "pictures" / name
    sheet = Image.open(io.BytesIO(plots.to_png(images, columns=columns, scale=2)))
    if path.suffix == ".jpg":  # thirty faces have more colours than a palette
        sheet.convert("RGB").save(path, quality=92)
    else:
        path.write_bytes(with_palette(sheet))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    save("walk.png", torch.cat([furniture_walk(), face_walk()]), STEPS)
    save("children.jpg", ten_children(), 6)
