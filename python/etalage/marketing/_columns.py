# SPDX-License-Identifier: Apache-2.0
"""Columns of raw purchases: keys, days, numbers, with messages that name them."""

from __future__ import annotations

import numpy as np

from .._arrays import labels, reals
from .._frames import _column
from .._times import to_ms


def times_of(values, name):
    """float64 numbers as they are, or days since 1970 of dates (floored); and whether they were dates."""
    kind, array, valid, count, _ = _column(values, name, False, [])
    missing = valid is not None and not np.unpackbits(valid, count=count, bitorder="little").all()
    if missing or (kind == "O" and any(v is None for v in array)):
        raise ValueError(f"{name} has missing entries, must have none")
    if kind == "O":
        return np.array([to_ms(v, name) // 86400000 for v in array], dtype=np.float64), True
    if kind.startswith("ts"):
        per_day = 86400 * {"s": 1, "m": 1000, "u": 10**6, "n": 10**9}[kind[2]]
        return np.floor_divide(array, per_day).astype(np.float64), True
    if kind == "b":
        raise TypeError(f"{name} holds booleans, must be dates or numbers")
    return np.asarray(array, dtype=np.float64), False


def days_of(values, name, count):
    """int64 days since 1970 of dates."""
    days, dated = times_of(values, name)
    if not dated:
        raise TypeError(f"{name} holds numbers, must be dates (datetimes, datetime64 or ISO text)")
    _same_length(days, name, count)
    return days.astype(np.int64)


def numbers_of(values, name, count):
    """float64, finite."""
    array = reals(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, must have 1 dimension")
    _same_length(array, name, count)
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]}, must be finite")
    return array


def keys_of(customer):
    """Distinct keys, ascending, and the index of each entry's key."""
    if np.ndim(customer) != 1:
        raise ValueError(f"customer has shape {np.shape(customer)}, must have 1 dimension")
    array = labels(customer, "customer")
    if array.dtype.kind == "b":
        raise TypeError("customer holds booleans, must be all integers or all strings")
    if array.dtype.kind == "f":
        whole = (np.abs(array) < 2.0**63) & (array == np.floor(array))
        if not whole.all():
            at = int(np.flatnonzero(~whole)[0])
            raise TypeError(f"customer[{at}] is {array[at]}, must be all integers or all strings")
        array = array.astype(np.int64)
    return np.unique(array, return_inverse=True)


def _same_length(array, name, count):
    if len(array) != count:
        raise ValueError(f"{name} has {len(array)} entries, must have {count} as customer has")
