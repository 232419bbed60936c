"""Keep what lesson 09 drew for machines without FLUX.2's files: `python -m tools.stored_pictures`, after tools.refresh.

A cell that calls ``without_files("name", …)`` shows ``data/weights/lesson-09-name.jpg`` there; this writes these files
from the pictures that the committed notebook holds.
"""

from __future__ import annotations

import base64
import io
import re

import nbformat
from PIL import Image

from latentlib.weights import WEIGHTS
from tools.course import ROOT

NAMED = re.compile(r"without_files\(\s*\"(\w+)\"")


def main() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "09_inside_todays_generators.ipynb", as_version=4)
    for cell in notebook.cells:
        name = NAMED.search(cell.source) if cell.cell_type == "code" else None
        pngs = [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        if name and pngs:
            path = WEIGHTS / f"lesson-09-{name[1]}.jpg"
            Image.open(io.BytesIO(base64.b64decode(pngs[0]))).convert("RGB").save(path, quality=85)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
