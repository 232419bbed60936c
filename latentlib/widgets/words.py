"""How the widgets say numbers and errors."""

from __future__ import annotations

from typing import Any


def spoken(value: Any) -> str:
    """A number with two digits and a true minus, anything else as it is."""
    if not isinstance(value, float):
        return str(value)
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0 turns −0 into 0


def error_line(error: Exception) -> str:
    """An error as one line: its kind and what it says."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0].rstrip(".")
