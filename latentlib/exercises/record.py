"""What the learner guessed and solved: in memory, and in one small file once a guess was made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = "my-guesses.json"

asked: dict[str, str] = {}  # key -> question, in the order of the notebook
guesses: dict[str, dict[str, Any]] = {}  # key -> guess; once revealed also measured, points
solved: dict[str, bool] = {}  # key of an exercise -> True when right, False when tried
right: set[str] = set()  # keys of exercises whose last answer was right


def file() -> Path | None:
    """Where guesses are kept: ``my-guesses.json`` in the notebook's folder, or what LATENTLIB_GUESSES says."""
    named = os.environ.get("LATENTLIB_GUESSES", "").strip()
    return None if named.lower() == "off" else Path(named or FILE)


def earlier() -> dict[str, dict[str, Any]]:
    """What the file holds: {"guesses": ..., "solved": ...}; empty when there is none, or it is not ours."""
    path, empty = file(), {"guesses": {}, "solved": {}}
    try:
        held = json.loads(path.read_text(encoding="utf-8")) if path else {}
        good = isinstance(held, dict) and all(isinstance(held.get(part), dict) for part in empty)
        return {part: held[part] for part in empty} if good else empty
    except (OSError, ValueError):
        return empty


def everything() -> dict[str, dict[str, Any]]:
    """The file and this notebook together; this notebook's word is the newer one."""
    held = earlier()
    kept = {key: value for key, value in held["guesses"].items() if isinstance(value, dict) and key not in asked}
    return {"guesses": {**kept, **guesses}, "solved": {**held["solved"], **solved}}


def save() -> None:
    """Write the file, but never a first one before a guess was made. A full or read-only disk is no reason to stop."""
    path = file()
    if path is None or not (guesses or path.exists()):
        return
    whole = everything()
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)


def forget() -> None:
    """Forget what is in memory (the file stays)."""
    for part in (asked, guesses, solved, right):
        part.clear()
