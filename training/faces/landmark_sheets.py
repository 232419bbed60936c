"""Which photos of LFW are labelled by eye, and the contact sheets for it. Sheets show people: they are never committed.

    python -m training.faces.landmark_sheets FOLDER     # outside the clone; 10 sheets, plain and with points

Of every seventh photo 100 are taken at random. The other 100 are hard ones, in turn the one whose nose is furthest to a
side, whose eyes are most tilted and whose score is lowest, by the course's own detector: a random sample of
LFW has hardly any. ``landmark_labels.json`` holds, for each, its place in LFW's sorted list, a checksum in place of its
name, what was seen, and where the eyes are.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from latentlib import photos
from training import lfw
from training.faces import haar

EVERY, AT_RANDOM, HARD, SEED = 7, 100, 100, 0
ACROSS, DOWN, SIDE, ENLARGED = 5, 4, 250, 1.4  # of a sheet: photos, photos, a photo's pixels, and how much it grows
COLOURS = ("#00e5ff", "#ffd400")  # of the course's points, and of the cascades'


def listed(every: int = 1) -> list[Path]:
    """LFW's photos in the order of their names; raises RuntimeError where there is no LFW."""
    home = lfw.folder()
    if home is None:
        raise RuntimeError("LFW is not on this machine; set LATENTLIB_DATA to the folder that has lfw_home in it")
    return sorted(home.glob("*/*.jpg"))[::every]


def short_sum(path: Path) -> str:
    """The first 12 digits of a file's SHA-256: it says whether a photo is the one meant, and names nobody."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def in_the_middle(photo: np.ndarray) -> photos.Face | None:
    """The face nearest the middle of a photo, which is the person that LFW means."""
    middle = np.array([photo.shape[1], photo.shape[0]]) / 2
    faces = photos.find_faces(photo)
    return min(faces, key=lambda face: np.linalg.norm(face.points[:4].mean(0) - middle), default=None)


def aside(face: photos.Face) -> float:
    """How far to a side of the eyes' middle the nose is, in distances of the eyes."""
    left, right, nose = face.points[:3]
    eyes = right - left
    return abs((nose - (left + right) / 2) @ eyes / (eyes @ eyes))


def tilt(face: photos.Face) -> float:
    """Degrees between the line through the eyes and the photo's edge."""
    across, down = face.points[1] - face.points[0]
    return abs(math.degrees(math.atan2(down, across)))


def choose(faces: list[photos.Face | None], at_random: int = AT_RANDOM, hard: int = HARD) -> list[int]:
    """Which of these are labelled, in the order of the list: some by the seed, as many hard ones, none twice."""
    chosen = set(random.Random(SEED).sample(range(len(faces)), at_random))
    measures = (aside, tilt, lambda face: -face.score)
    order = [
        sorted(range(len(faces)), key=lambda i, of=of: -math.inf if faces[i] is None else -of(faces[i]))
        for of in measures
    ]
    for turn in range(hard):
        chosen.add(next(i for i in order[turn % len(order)] if i not in chosen))
    return sorted(chosen)


def sheet(cells: list[tuple[str, np.ndarray, list[np.ndarray | None]]]) -> Image.Image:
    """Photos with a word below each and, in a colour for each finder, rings around points: (word, photo, points)."""
    side = round(SIDE * ENLARGED)
    paper = Image.new("RGB", (ACROSS * side, DOWN * (side + 16)), "white")
    pen = ImageDraw.Draw(paper)
    for i, (word, photo, finders) in enumerate(cells):
        left, top = i % ACROSS * side, i // ACROSS * (side + 16)
        paper.paste(Image.fromarray(photo).resize((side, side), Image.Resampling.LANCZOS), (left, top))
        pen.text((left + 4, top + side + 2), word, fill="black")
        for points, colour, radius in zip(finders, COLOURS, (4, 6), strict=False):
            for x, y in [] if points is None else np.asarray(points) * side / photo.shape[0]:
                box = (left + x - radius, top + y - radius, left + x + radius, top + y + radius)
                pen.ellipse(box, outline=colour, width=1)
    return paper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the sheets go; not inside the repository")
    folder = parser.parse_args().folder.resolve()
    if folder.is_relative_to(Path(__file__).resolve().parents[2]):
        parser.error("the sheets show people; choose a folder outside the repository")
    folder.mkdir(parents=True, exist_ok=True)
    paths = listed(EVERY)
    faces = [in_the_middle(photos.read(path)) for path in paths]
    missing = haar.why_not()
    print(f"the cascades are left out: {missing}" if missing else "yellow: the cascades; blue: the course's detector")
    cells = []
    for i in choose(faces):
        photo = photos.read(paths[i])
        cells.append(
            (str(i * EVERY), photo, [faces[i] and faces[i].points, None if missing else haar.find(photo).eyes])
        )
    for page in range(0, len(cells), ACROSS * DOWN):
        part = cells[page : page + ACROSS * DOWN]
        number = page // (ACROSS * DOWN)
        sheet([(word, photo, []) for word, photo, _ in part]).save(folder / f"plain-{number}.png")
        sheet(part).save(folder / f"points-{number}.png")


if __name__ == "__main__":
    main()
