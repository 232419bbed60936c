"""Draw the pictures of README and model card: `python -m tools.pictures` (after a model of theirs was trained anew)."""

from __future__ import annotations

import io

import torch
from PIL import Image

from latentlib import metrics, plots, space, weights
from latentlib.datasets import furniture, portraits
from latentlib.gan import tuning
from tools.course import ROOT

STEPS = 9


def furniture_walk() -> torch.Tensor:
    """(STEPS, 3, 64, 64) in [0, 1]: from an armchair to a table in equal steps between their codes."""
    model = weights.load("furniture-walk")
    ends = furniture.load(200, seed=7)
    arms, kind = (ends.factors[:, furniture.column(name)] for name in ("arms", "kind"))
    with torch.no_grad():
        codes = model.encode(torch.cat([ends.images[arms == 1][:1], ends.images[kind == 1][:1]]))
        return model.decode(space.path(codes, STEPS))


def face_walk(couple: torch.Tensor, steps: int) -> torch.Tensor:
    """From one picture of (2, 3, 64, 64) to the other, by a copy of the generator tuned on both, as in notebook 07."""
    generator, encoder, discriminator = (
        weights.load(name, "cpu") for name in ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    )
    codes = tuning.pivots(generator, couple, encoder, progress=False).codes
    tuned = tuning.tune(generator, codes, couple, discriminator=discriminator, progress=False)
    return tuned.generator.draw(space.path(codes, steps))


def save(name: str, images: torch.Tensor, columns: int) -> None:
    path = ROOT / "docs" / "pictures" / name
    Image.open(io.BytesIO(plots.to_png(images, width=128, columns=columns))).convert("RGB").save(path, quality=92)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    generator = weights.load("faces-64", "cpu")
    with torch.no_grad():
        nobodies = generator.draw(metrics.draw_couples(generator, 8, seed=9).flatten(0, 1))
    hopper, collins = portraits.load().images
    save("walk.png", torch.cat([furniture_walk(), face_walk(torch.stack([collins, nobodies[2]]), STEPS)]), STEPS)
    couples = [(collins, nobodies[0]), *zip(nobodies[2::2], nobodies[3::2], strict=True)]
    families = [[pair[0], face_walk(torch.stack(pair), 3)[1], pair[1]] for pair in couples]
    save("children.jpg", torch.stack([picture for family in families for picture in family]), 6)
