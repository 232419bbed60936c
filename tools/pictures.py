"""Draw the picture at the top of the README: `python -m tools.pictures` (after one of its models was trained anew)."""

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


def face_walk() -> torch.Tensor:
    """(STEPS, 3, 64, 64) in [0, 1]: from Eileen Collins to somebody who does not exist, as notebook 07 blends them."""
    generator, encoder, discriminator = (
        weights.load(name, "cpu") for name in ("faces-64", "faces-64-encoder", "faces-64-discriminator")
    )
    with torch.no_grad():
        nobody = generator.draw(metrics.draw_couples(generator, 3, seed=9).flatten(0, 1)[2:3])
    couple = torch.cat([portraits.load().images[1:], nobody])
    codes = tuning.pivots(generator, couple, encoder).codes
    tuned = tuning.tune(generator, codes, couple, discriminator=discriminator).generator
    return tuned.draw(space.path(codes, STEPS))


if __name__ == "__main__":
    path = ROOT / "docs" / "pictures" / "walk.png"
    sheet = Image.open(io.BytesIO(plots.to_png(torch.cat([furniture_walk(), face_walk()]), columns=STEPS, scale=2)))
    path.write_bytes(with_palette(sheet))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")
