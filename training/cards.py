"""Tables in the READMEs that a command fills in."""

from __future__ import annotations

from pathlib import Path


def put_between(card: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between the two marks of a text file; each must stand there once, else ValueError."""
    content = card.read_text(encoding="utf-8")
    before, rest = content.split(begin)
    _, after = rest.split(end)
    card.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def between(card: Path, begin: str, end: str) -> str:
    """What stands between the two marks now."""
    return card.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip()
