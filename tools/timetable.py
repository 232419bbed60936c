"""What a teacher plans with: `python -m tools.timetable [03]`, with any Python from 3.10 on.

Prints for each section of each notebook how many words there are to read, how many minutes that takes at 180 words a
minute, and the keys of its guesses and exercises. Folded text (hints, solutions, answers) and code are not counted.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
WORDS_A_MINUTE = 180  # slow reading, for a text with ideas in it
FOLDED = re.compile(r"<details>.*?</details>|<!-- (solution|badges).*?<!-- /\1 -->|```.*?```|<!--.*?-->", re.S)


class Section(NamedTuple):
    """A section: its heading, its words outside of what is folded, and the keys of its guesses and exercises."""

    heading: str
    words: int
    guesses: list[str]
    exercises: list[str]

    @property
    def minutes(self) -> float:
        return self.words / WORDS_A_MINUTE


def words_of(markdown: str) -> int:
    """How many words a reader meets who opens nothing that is folded."""
    text = re.sub(r"\]\([^)]*\)", "]", FOLDED.sub(" ", markdown))  # of a link only what it says
    return len([word for word in text.split() if re.search(r"[A-Za-z0-9]", word)])


def keys(code: str, lesson: str) -> tuple[list[str], list[str]]:
    """The keys that a cell's guess(...) and believe(...), and its check(...), name; a belief's is lesson-name."""
    believed = [f"{lesson}-{name}" for name in re.findall(r'\bbelieve\(\s*"([^"]+)"', code)]
    return believed + re.findall(r'\bguess\(\s*"([^"]+)"', code), re.findall(r'\bcheck\(\s*"([^"]+)"', code)


def sections(path: Path) -> list[Section]:
    """The sections of a notebook, in order; the first is what stands before any "## " heading."""
    found = [Section("Opening", 0, [], [])]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            guesses, exercises = keys(source, path.name[:2])
            found[-1].guesses.extend(guesses)
            found[-1].exercises.extend(exercises)
            continue
        for part in re.split(r"^(?=## )", source, flags=re.M):
            if part.startswith("## "):
                found.append(Section(part.splitlines()[0][3:], 0, [], []))
            found[-1] = found[-1]._replace(words=found[-1].words + words_of(part))
    return found


def main(wanted: str = "") -> None:
    for path in sorted(NOTEBOOKS.glob(f"{wanted}*.ipynb")):
        parts = sections(path)
        words = sum(part.words for part in parts)
        print(f"\n{path.stem}: {words:,} words, {words / WORDS_A_MINUTE:.0f} minutes of reading")
        for part in parts:
            asked = ", ".join(part.guesses + [f"exercise {key}" for key in part.exercises])
            print(f"  {part.minutes:4.1f} min  {part.heading}" + (f"  [{asked}]" if asked else ""))


if __name__ == "__main__":
    main(*sys.argv[1:2])
