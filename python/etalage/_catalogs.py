# SPDX-License-Identifier: Apache-2.0
"""One reading of what calls take as a catalogue."""

from __future__ import annotations

from typing import Any

from . import _core


def as_catalog(value: Any, name: str = "catalog") -> _core.Catalog | None:
    """value as an etalage.Catalog; None stays None. The synthetic store's catalogue says itself how it becomes one.

    TypeError for anything else, a frame among it: only Catalog.from_frame knows which of its columns are what.
    """
    if value is None or isinstance(value, _core.Catalog):
        return value
    if hasattr(value, "to_catalog"):
        return value.to_catalog()
    raise TypeError(f"{name} is a {type(value).__name__}, must be an etalage.Catalog (Catalog.from_frame makes one)")
