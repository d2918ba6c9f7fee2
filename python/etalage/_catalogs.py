# SPDX-License-Identifier: Apache-2.0
"""One reading of what calls take as a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def _cell(value: Any) -> Any:
    """A cell as it is counted: text stripped, lists as tuples; None for what says nothing."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(value) or None
    return value


def _lines(frame: Any, column: str) -> list:
    try:
        found = frame[column]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        known = list(getattr(frame, "columns", None) if not hasattr(frame, "column_names") else frame.column_names) if not hasattr(
            frame, "keys") else list(frame.keys())
        raise ValueError(f"column {column!r} is not in frame, must be one of {', '.join(map(str, known))}") from error
    if hasattr(found, "to_pylist"):
        return found.to_pylist()
    return found.tolist() if hasattr(found, "tolist") else found.to_list() if hasattr(found, "to_list") else list(found)


def from_events(frame: Any, item: str, columns: dict, time: str | None, keep: str, category_separator: str, tag_separator: str) -> _core.Catalog:
    """What Catalog.from_events does; columns: {argument: its column, or None}."""
    if keep not in ("most frequent", "newest"):
        raise ValueError(f"keep is {keep!r}, must be 'most frequent' or 'newest'")
    keys = _lines(frame, item)
    rows = range(len(keys))
    if time is not None:
        times = np.asarray(_lines(frame, time))
        if times.dtype.kind in "OU":
            times = _moments(times)
        if times.dtype == object:
            times = np.array([_moment(t, i) for i, t in enumerate(times)], np.int64)
        rows = np.argsort(times, kind="stable").tolist()
    products = list(dict.fromkeys(keys))
    none = {key for key in products if _cell(key) is None}
    products = [key for key in products if key not in none]
    out, conflicts = {"item": products}, {}
    for argument, column in columns.items():
        if column is None:
            continue
        cells = _lines(frame, column)
        if len(cells) != len(keys):
            raise ValueError(f"column {column!r} has {len(cells)} lines and {item!r} {len(keys)}, must have as many")
        seen: dict = {}
        for row in rows:  # oldest first
            key, value = keys[row], _cell(cells[row])
            if value is None or key in none or argument in ("price", "stock") and isinstance(value, (int, float)) and value < 0:
                continue
            counts = seen.setdefault(key, {})
            counts[value] = counts.pop(value, 0) + 1  # the newest is the last
        conflicts[argument] = sum(len(counts) > 1 for counts in seen.values())
        out[argument] = [_chosen(seen.get(key), keep) for key in products]
        if argument in ("category", "tags"):
            out[argument] = [list(v) if isinstance(v, tuple) else v for v in out[argument]]
    catalog = _core.Catalog.from_frame(out, **{a: a for a in out if a != "item"}, category_separator=category_separator,
                                       tag_separator=tag_separator)
    catalog._conflicts = conflicts
    return catalog


def _moments(values: np.ndarray) -> np.ndarray:
    """ISO text and datetimes as NumPy reads them at once; what it does not read as it came."""
    try:
        return values.astype("datetime64[ms]")
    except (TypeError, ValueError):
        return values


def _moment(value: Any, row: int) -> int:
    from ._times import to_ms

    try:
        return to_ms(value, "time")
    except (TypeError, ValueError) as error:
        raise ValueError(f"row {row}: {error}") from None


def _chosen(counts: dict | None, keep: str) -> Any:
    if not counts:
        return None
    if keep == "newest":
        return next(reversed(counts))
    most = max(counts.values())
    return next(value for value in reversed(counts) if counts[value] == most)
