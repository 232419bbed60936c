"""Where files lie: the learner's data, the downloads; and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path

_CLONE = Path(__file__).resolve().parents[1]


def data_folder() -> Path | None:
    """The folder named by ``LATENTLIB_DATA``, or None when the variable is not set.

    Raises FileNotFoundError with one sentence when the variable names something that is not a folder.
    """
    name = os.environ.get("LATENTLIB_DATA", "").strip()
    if not name:
        return None
    path = Path(name).expanduser()
    # A kernel starts in the notebook's folder, so a relative path may also be meant from the clone's root.
    for folder in (path.resolve(), (_CLONE / path).resolve()):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"LATENTLIB_DATA names {path}, which is not a folder; correct it or unset it")


def cache_folder() -> Path:
    """Where downloads are kept; made on first use."""
    in_clone = (_CLONE / "pyproject.toml").is_file()
    usual = _CLONE / "data" / "cache" if in_clone else Path.home() / ".cache" / "latentlib"
    named = os.environ.get("LATENTLIB_CACHE", "").strip()
    folder = Path(named).expanduser().resolve() if named else usual
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def offline() -> bool:
    """True when ``LATENTLIB_OFFLINE`` forbids the network."""
    return os.environ.get("LATENTLIB_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")
