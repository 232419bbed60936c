"""One line of the table that `make bench` prints."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A figure, the same of its peer in the same run, and their ratio, which each benchmark says how to read."""

    name: str
    value: float
    peer: float
    ratio: float
