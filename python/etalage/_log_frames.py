# SPDX-License-Identifier: Apache-2.0
"""A log as a frame again: the shop's keys, names of event types, times."""

from __future__ import annotations

import numpy as np


def _keys(ids, codes):
    return np.asarray(codes, np.int64) if ids is None else np.asarray(ids)[codes]


def columns(log):
    """Arrays by name: user, item, and event, time (datetime64[ms]), value, session where the log has them."""
    out = {"user": _keys(log.user_ids, log.users), "item": _keys(log.item_ids, log.items)}
    if log.events is not None:
        out["event"] = np.array(log.event_names, dtype=object)[log.events]
    if log.times is not None:
        out["time"] = log.times.view("datetime64[ms]")
    if log.values is not None:
        out["value"] = log.values
    if log.sessions is not None:
        out["session"] = _keys(log.session_ids, log.sessions)
    return out


def arrow_columns(log):
    """Names, and columns as the Arrow stream is built from: (format, array, validity, length, list offsets)."""
    found = columns(log)
    formats = {"O": "O", "i": "l", "f": "f", "M": "tsm:UTC"}
    packed = []
    for array in found.values():
        kind = array.dtype.kind
        plain = np.array(array) if kind == "O" else np.ascontiguousarray(array.view(np.int64) if kind == "M" else array)
        packed.append((formats[kind], plain, None, len(array), None))
    return list(found), packed


def to_arrow(log):
    import pyarrow

    return pyarrow.table(log)


def to_pandas(log):
    import pandas

    return pandas.DataFrame(columns(log))


def to_polars(log):
    import polars

    return polars.DataFrame(log)
