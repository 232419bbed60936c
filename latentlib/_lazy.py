"""Rooms that open when someone asks for them (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attach(
    package: str,  # its __name__
    rooms: Sequence[str],  # modules inside it
    names: Mapping[str, Sequence[str]] | None = None,  # room -> what the package offers of it under its own name
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose rooms are imported at their first use."""
    home = {name: room for room, offered in (names or {}).items() for name in offered}
    everything = sorted({*rooms, *home})

    def get(name: str) -> Any:
        if name in home:
            return getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        if name in rooms:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(everything)}")

    return get, lambda: everything, everything
