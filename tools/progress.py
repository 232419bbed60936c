"""What a person sees while pip works: what is fetched, and how far the installing is. Standard library only."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

EVERY = 15.0  # seconds between two signs of life
LARGE = 20.0  # MB from which a file is named
FETCHED = re.compile(r"\s*(?:Downloading|Using cached) (?:\S*/)?([^/\s]+?)(?: \(([\d.]+) (kB|MB|GB)\))?\s*$")
MEGABYTES = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}


def clock(seconds: float) -> str:
    """ "45 s", or "4 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Reads pip's lines and says now and then where it stands; ``with Progress(venv) as p: p.follow(lines)``.

    While pip fetches, each large file is named. While it installs it prints nothing itself, so the packages that have
    arrived in the environment are counted.
    """

    def __init__(self, venv: Path, say: Callable[[str], None], every: float = EVERY):
        self.venv, self.say, self.every = venv, say, every
        self.start = time.monotonic()
        self.looked_at, self.megabytes = 0, 0.0
        self.installing, self.there_before = 0, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def follow(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.read(line)

    def read(self, line: str) -> None:
        """Take in one line of pip's."""
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            self.looked_at += 1
        elif match := FETCHED.match(line):
            size = float(match[2]) * MEGABYTES[match[3]] if match[2] else 0.0
            self.megabytes += size
            if size >= LARGE:
                self.say(f"  fetching {match[1].split('-')[0]}, {size:,.0f} MB ...")
        elif line.startswith("Installing collected packages: "):
            self.installing, self.there_before = line.count(",") + 1, self.there()
            self.say(
                f"  {self.megabytes:,.0f} MB fetched in {self.passed()}; installing {self.installing} packages ..."
            )

    def there(self) -> int:
        """How many packages lie in the environment."""
        folders = [self.venv / "Lib" / "site-packages", *self.venv.glob("lib/python*/site-packages")]  # Windows, others
        return max(sum(1 for _ in folder.glob("*.dist-info")) for folder in folders)

    def passed(self) -> str:
        return clock(time.monotonic() - self.start)

    def _live(self) -> None:
        while not self._done.wait(self.every):
            if self.installing:
                arrived = max(0, min(self.there() - self.there_before, self.installing))
                self.say(f"  {arrived} of {self.installing} packages installed after {self.passed()} ...")
            else:
                self.say(f"  {self.looked_at} packages looked at, {self.megabytes:,.0f} MB after {self.passed()} ...")


def run(command: list, folder: Path, venv: Path, say: Callable[[str], None]) -> tuple[int, str]:
    """Run a pip command in a folder and show how far it is; gives its exit status and what it printed as errors."""
    errors: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as pip:
        reader = threading.Thread(target=lambda: errors.extend(pip.stderr), daemon=True)
        reader.start()
        with Progress(venv, say) as progress:
            progress.follow(pip.stdout)
        reader.join()
    return pip.returncode, "".join(errors)
