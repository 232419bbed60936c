"""Pictures stored apart: `python -m tools.pictures`, after a model of theirs was trained or lesson 09 ran anew.

Draws those of README and model card, and keeps what lesson 09 drew with FLUX.2's files: where these are not, a cell
that calls ``without_files("name", …)`` shows ``data/weights/lesson-09-name.jpg``.
"""

import base64
import io
import re

import nbformat
import torch
from PIL import Image

from latentlib import metrics, plots, space, weights
from latentlib.datasets import furniture, portraits
from tools.course import ROOT
from tools.play import tuned_copy
from tools.rules import pictures

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
    """From one picture of (2, 3, 128, 128) to the other, by a copy of the generator tuned on both."""
    codes, copy = tuned_copy(weights.load("faces-128", "cpu"), couple)
    return copy.draw(space.path(codes, steps))


def lesson_09() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "09_inside_todays_generators.ipynb", as_version=4)
    for cell in notebook.cells:
        name, shown = re.search(r"without_files\(\s*\"(\w+)\"", cell.source), pictures(cell)
        if name and shown:
            save(f"data/weights/lesson-09-{name[1]}.jpg", base64.b64decode(shown[0].data["image/png"]), quality=85)


def save(name: str, png: bytes, quality: int = 92) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(ROOT / name, quality=quality)


if __name__ == "__main__":
    generator = weights.load("faces-128", "cpu")
    with torch.no_grad():
        nobodies = generator.draw(metrics.draw_couples(generator, 11, seed=9).flatten(0, 1))
    collins = portraits.load(128).images[1]
    enlarged = torch.nn.functional.interpolate(furniture_walk(), scale_factor=2, mode="bicubic")
    walks = torch.cat([enlarged, face_walk(torch.stack([collins, nobodies[2]]), STEPS)])
    save("docs/pictures/walk.png", plots.to_png(walks, width=128, columns=STEPS))
    couples = [(collins, nobodies[2]), *zip(nobodies[4::2], nobodies[5::2], strict=True)]
    families = [[pair[0], face_walk(torch.stack(pair), 3)[1], pair[1]] for pair in couples]
    children = torch.stack([picture for family in families for picture in family])
    save("docs/pictures/children.jpg", plots.to_png(children, width=128, columns=6))
    lesson_09()
