"""Draw the picture at the top of the README: `python tools/pictures.py` (after the walk model was trained anew)."""

from __future__ import annotations

import torch

from course import ROOT
from latentlib import checkpoints, plots, space
from latentlib.datasets import furniture

STEPS = 9


def walk() -> bytes:
    """PNG bytes: from an armchair to a table in equal steps between their codes."""
    model = checkpoints.load_furniture_walk()
    ends = furniture.load(200, seed=7)
    arms, kind = (ends.factors[:, furniture.column(name)] for name in ("arms", "kind"))
    chair, table = ends.images[arms == 1][:1], ends.images[kind == 1][:1]
    with torch.no_grad():
        codes = model.encode(torch.cat([chair, table]))
        return plots.to_png(model.decode(space.path(codes, STEPS)), columns=STEPS, scale=2)


if __name__ == "__main__":
    path = ROOT / "docs" / "pictures" / "walk.png"
    path.write_bytes(walk())
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")
