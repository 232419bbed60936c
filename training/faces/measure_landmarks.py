"""How well landmarks are found: the course's detector beside the cascades it took the place of.

    python -m training.faces.measure_landmarks    # needs LFW; writes face-landmarks.json and the tables of its card

On every seventh photo of LFW: is there a face, do its eyes lie where LFW's eyes lie, how far they scatter, how long it
takes. On 200 photos labelled by eye (``landmark_labels.json``): whose eyes are found. And on photos with a wide
border: how exactly a small face is found at one look, and with the second look from near. Where OpenCV with its
cascades is not installed they are left out, and one line says so.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from latentlib import photos
from latentlib.weights import WEIGHTS
from training import lfw
from training.cards import put_between
from training.faces import haar
from training.faces.landmark_sheets import EVERY, in_the_middle, listed, short_sum

LABELS = Path(__file__).parent / "landmark_labels.json"
BEGIN, END = "<!-- evaluation of face-landmarks: begin -->", "<!-- evaluation of face-landmarks: end -->"
ON_THE_EYES = 0.25  # of the eyes' distance, for the worse eye: half an eye's width (Jesorsky et al. 2001)
PADDED = (1.5, 2, 3, 4, 6)  # a photo with a border, in sides of the photo
EVERY_SMALL = 97  # photos for the small faces: that many times fewer
LOST = 0.3  # of the eyes' distance: a point further off is lost
FINDERS = {"course": "the course's detector", "cascades": "Haar cascades"}


class Seen:
    """What both finders say of some photos. points: (6, 2) or None each; eyes: (2, 2) or None each."""

    def __init__(self, paths: list[Path], cascades: bool):
        self.points, self.eyes, self.faces = [], {"course": [], "cascades": []}, {"course": [], "cascades": []}
        self.seconds = {"course": [], "cascades": []}
        for path in paths:
            photo = photos.read(path)
            started = time.perf_counter()
            face = in_the_middle(photo)
            self._note("course", started, face is not None, None if face is None else face.points[:2])
            self.points.append(None if face is None else face.points)
            if cascades:
                started = time.perf_counter()
                found = haar.find(photo)
                self._note("cascades", started, found.face, found.eyes)

    def _note(self, finder: str, started: float, face: bool, eyes: np.ndarray | None) -> None:
        self.seconds[finder].append(time.perf_counter() - started)
        self.faces[finder].append(face)
        self.eyes[finder].append(eyes)

    def finders(self) -> list[str]:
        return [finder for finder, eyes in self.eyes.items() if eyes]


def believable(eyes: list[np.ndarray | None]) -> np.ndarray:
    """Which of these pairs of eyes are near the median of all: (n,) bool. LFW's photos are roughly aligned."""
    median = np.median([pair for pair in eyes if pair is not None], axis=0)
    return np.array([pair is not None and np.abs(pair - median).max() < lfw.NEAR_MEDIAN for pair in eyes])


def of_finder(seen: Seen, finder: str) -> dict:
    eyes = seen.eyes[finder]
    good = believable(eyes)
    pairs = np.array([pair for pair, is_good in zip(eyes, good, strict=True) if is_good])  # (k, 2, 2)
    apart = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1)
    return {
        "face": float(np.mean(seen.faces[finder])),
        "believable": float(good.mean()),
        "eye_distance_px": float(np.median(apart)),
        "eye_distance_varies_by": float(apart.std() / apart.mean()),
        "eye_position_varies_by_px": [float(value) for value in pairs.std(0).mean(0)],  # across, down
        "milliseconds": 1000 * float(np.median(seen.seconds[finder])),
    }


def beside(seen: Seen) -> dict:
    """What changes from the cascades' eyes to the course's, where both are believable."""
    good = believable(seen.eyes["course"]) & believable(seen.eyes["cascades"])
    course, cascades = (
        np.array([pair for pair, is_good in zip(seen.eyes[finder], good, strict=True) if is_good])
        for finder in ("course", "cascades")
    )
    apart = [np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1) for eyes in (course, cascades)]
    ratio = np.array(seen.seconds["course"]) / np.array(seen.seconds["cascades"])
    return {
        "photos": int(good.sum()),
        "offset_px": {
            which: [float(value) for value in np.median(course[:, eye] - cascades[:, eye], axis=0)]  # across, down
            for eye, which in enumerate(("left", "right"))
        },
        "eye_distance_ratio": float(np.median(apart[0] / apart[1])),
        "time_ratio": float(np.median(ratio)),
    }


def eyes_to_mouth(points: list[np.ndarray | None]) -> dict:
    """From the eyes' middle to the mouth, in distances of the eyes: the median, and where the middle 90 % lie."""
    known = np.array([six for six in points if six is not None])
    apart = np.linalg.norm(known[:, 1] - known[:, 0], axis=1)
    ratio = np.linalg.norm(known[:, 3] - known[:, :2].mean(1), axis=1) / apart
    low, median, high = np.quantile(ratio, (0.05, 0.5, 0.95))
    return {"median": float(median), "low": float(low), "high": float(high)}


def small_faces(paths: list[Path], padded: tuple = PADDED) -> list[dict]:
    """The same faces in photos with a border: share found, and the error of the worse coordinate of the eyes.

    Both are measured against one look at the photo without a border; errors are in distances of the eyes.
    """
    known = []
    for path in paths:
        photo = photos.read(path)
        face = _one_look(photo, np.array([photo.shape[1], photo.shape[0]]) / 2)
        if face is not None:
            known.append((photo, face.points))
    rows = []
    for times in padded:
        errors = {"one_look": [], "second_look": []}
        for photo, points in known:
            pad = round(max(photo.shape) * (times - 1) / 2)
            large = np.pad(photo, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
            nose = points[2] + pad
            faces = {"one_look": _one_look(large, nose), "second_look": _nearest(photos.find_faces(large), nose)}
            for look, face in faces.items():
                off = np.inf if face is None else np.abs(face.points[:2] - pad - points[:2]).max()
                errors[look].append(off / np.linalg.norm(points[1] - points[0]))
        rows.append({"padded": times, "photos": len(known), **{look: _of_errors(off) for look, off in errors.items()}})
    return rows


def _of_errors(errors: list[float]) -> dict:
    found = [error for error in errors if np.isfinite(error)]
    median = float(np.median(found)) if found else None
    return {"found": len(found) / len(errors), "median_error": median, "lost": float(np.mean(np.array(errors) > LOST))}


def _one_look(photo: np.ndarray, place: np.ndarray) -> photos.Face | None:
    """As find_faces begins: the whole photo at once, and nothing from near."""
    height, width = photo.shape[:2]
    whole = photos.Window(complex(width, height) / 2, complex(max(height, width)))
    return _nearest(photos._detect(photo, [whole]), place)


def _nearest(faces: list[photos.Face], place: np.ndarray) -> photos.Face | None:
    return min(faces, key=lambda face: np.linalg.norm(face.points[2] - place), default=None)


def labelled(everyone: list[Path], cascades: bool) -> dict:
    """Of each group of the labelled photos the share whose eyes both lie within ON_THE_EYES of the labelled ones.

    Raises ValueError when a photo is not the one that was labelled.
    """
    labels = json.loads(LABELS.read_text(encoding="utf-8"))["labels"]
    paths = [everyone[label["place"]] for label in labels]
    for label, path in zip(labels, paths, strict=True):
        if short_sum(path) != label["sum"]:
            raise ValueError(f"photo {label['place']} of LFW is not the one that was labelled; use lfw_funneled, whole")
    seen = Seen(paths, cascades)
    groups = sorted({group for label in labels for group in label["groups"]})
    members = {
        "all": [True] * len(labels),
        **{f"drawn {how}": [label["drawn"] == how for label in labels] for how in ("at random", "as hard")},
        **{group: [group in label["groups"] for label in labels] for group in groups},
        "none of these": [not label["groups"] for label in labels],
    }
    found = {
        finder: np.array([on_the_eyes(a, label["eyes"]) for a, label in zip(seen.eyes[finder], labels, strict=True)])
        for finder in seen.finders()
    }
    return {
        group: {"photos": sum(of), **{finder: int(there[np.array(of)].sum()) for finder, there in found.items()}}
        for group, of in members.items()
    }


def on_the_eyes(eyes: np.ndarray | None, labelled_eyes: list) -> bool:
    """Whether both found eyes are near the labelled ones."""
    if eyes is None:
        return False
    known = np.array(labelled_eyes)
    off = np.linalg.norm(eyes - known, axis=1).max()
    return bool(off <= ON_THE_EYES * np.linalg.norm(known[1] - known[0]))


def table(result: dict) -> str:
    """Markdown: both finders, the labelled groups, small faces."""
    finders = list(result["finders"])
    named = [FINDERS[finder] for finder in finders]

    def row(name: str, show) -> str:
        return f"| {name} | " + " | ".join(show(result["finders"][finder]) for finder in finders) + " |"

    lines = [
        f"| {result['photos']:,} photos of LFW | {' | '.join(named)} |",
        "|---|" + "---|" * len(finders),
        row("a face", lambda of: f"{of['face']:.1%}"),
        row(f"eyes within {lfw.NEAR_MEDIAN} px of the median", lambda of: f"{of['believable']:.1%}"),
        row(
            "of these: distance of the eyes",
            lambda of: f"{of['eye_distance_px']:.1f} px ± {of['eye_distance_varies_by']:.1%}",
        ),
        row(
            "of these: an eye's place, standard deviation across and down",
            lambda of: "{:.1f} and {:.1f} px".format(*of["eye_position_varies_by_px"]),
        ),
        row("milliseconds a photo, one thread", lambda of: f"{of['milliseconds']:.1f}"),
        "",
    ]
    mouth = result["eyes_to_mouth"]
    lines.append(
        f"From the eyes to the mouth it is {mouth['median']:.2f} times the distance of the eyes "
        f"({mouth['low']:.2f} to {mouth['high']:.2f} in nine of ten photos)."
    )
    if "beside" in result:
        off, of = result["beside"]["offset_px"], result["beside"]
        lines[-1] += (
            f" Where both finders' eyes are believable, the course's lie {of['eye_distance_ratio']:.3f} times as far "
            f"apart as the cascades', shifted by ({off['left'][0]:+.1f}, {off['left'][1]:+.1f}) px on the picture's "
            f"left and ({off['right'][0]:+.1f}, {off['right'][1]:+.1f}) on its right (across, down). It takes "
            f"{of['time_ratio']:.2f} times as long as they do: the median over the photos, both in the same run."
        )
    lines += [
        "",
        f"| labelled by eye | photos | {' | '.join(f'eyes found: {name}' for name in named)} |",
        "|---|---|" + "---|" * len(finders),
    ]
    for group, of in result["labelled"].items():
        shares = " | ".join(f"{of[finder]} ({of[finder] / max(1, of['photos']):.0%})" for finder in finders)
        lines.append(f"| {group} | {of['photos']} | {shares} |")
    lines += [
        "",
        "| a border makes the photo so many times as wide | one look: found, error, lost | with the second look |",
        "|---|---|---|",
    ]
    for of in result["small_faces"]:
        looks = " | ".join(
            f"{look['found']:.0%}, {'–' if look['median_error'] is None else format(look['median_error'], '.2f')}, "
            f"{look['lost']:.0%}"
            for look in (of["one_look"], of["second_look"])
        )
        lines.append(f"| {of['padded']:g} | {looks} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=WEIGHTS / "face-landmarks.json")
    parser.add_argument("--card", type=Path, default=WEIGHTS / "README.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    missing = haar.why_not()
    if missing:
        print(f"the cascades are left out: {missing}")
    everyone = listed()
    some = everyone[::EVERY]
    Seen(some[:1], not missing)  # both finders are loaded before the clock runs
    seen = Seen(some, not missing)
    result = {
        "command": "python -m training.faces.measure_landmarks",
        "photos": len(some),
        "finders": {finder: of_finder(seen, finder) for finder in seen.finders()},
        **({} if missing else {"beside": beside(seen)}),
        "eyes_to_mouth": eyes_to_mouth(seen.points),
        "labelled": labelled(everyone, not missing),
        "small_faces": small_faces(everyone[::EVERY_SMALL]),
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    put_between(options.card, BEGIN, END, table(result))
    print(table(result))


if __name__ == "__main__":
    main()
