"""One line of the table that `make bench` prints."""

from __future__ import annotations

from typing import NamedTuple


class LeftOut(Exception):
    """One sentence on why a benchmark cannot run on this machine: that is no failure."""


class Row(NamedTuple):
    """A figure, the same of its peer in the same run, and their ratio, which each benchmark says how to read."""

    name: str
    value: float
    peer: float
    ratio: float
