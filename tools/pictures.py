"""Draw the picture at the top of the README: `python -m tools.pictures` (after one of its models was trained anew)."""

from __future__ import annotations

import torch

from latentlib import plots, space, weights
from latentlib.datasets import furniture, portraits
from latentlib.gan import inversion
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
    """(STEPS, 3, 64, 64) in [0, 1]: from Grace Hopper to Eileen Collins, between the codes that notebook 07 finds."""
    generator, encoder = weights.load("faces-64"), weights.load("faces-64-encoder")
    options = {"encoder": encoder, "steps": 120, "p_norm_weight": 0.0005}
    codes = inversion.invert(generator, portraits.load().images, "hybrid", **options).codes
    return generator.draw(space.path(codes, STEPS))


if __name__ == "__main__":
    path = ROOT / "docs" / "pictures" / "walk.png"
    path.write_bytes(plots.to_png(torch.cat([furniture_walk(), face_walk()]), columns=STEPS, scale=2))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")
