# SPDX-License-Identifier: Apache-2.0
"""One converter of moments for every call: UTC milliseconds since 1970, rounded down, as logs keep them."""

from __future__ import annotations

import datetime
import math
import numbers

import numpy as np

from . import _core

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Units of numpy.datetime64 as attoseconds; years and months have no fixed length.
_ATTOSECONDS = {"W": 604800 * 10**18, "D": 86400 * 10**18, "h": 3600 * 10**18, "m": 60 * 10**18, "s": 10**18, "ms": 10**15,
                "us": 10**12, "ns": 10**9, "ps": 10**6, "fs": 10**3, "as": 1}
FIRST, LAST = -62135596800000, 253402300799999  # the years 1 to 9999
_WANTED = "must be a datetime, a date, numpy.datetime64, ISO-8601 text, or milliseconds since 1970 (UTC)"


class TimeError(ValueError, TypeError):
    """What was given is no moment. Calls that took fewer types once raised TypeError where others raised ValueError; this is both."""


def _describe(value):
    text = repr(value)
    return (text if len(text) <= 60 else text[:57] + "...") + f" ({type(value).__name__})"


def _of_datetime64(value):
    unit, count = np.datetime_data(value.dtype)
    number = int(value.astype(np.int64)) * count
    if unit in ("Y", "M"):
        years, month = divmod(number if unit == "M" else number * 12, 12)
        if not 1 <= 1970 + years <= 9999:
            return FIRST - 1 if years < 0 else LAST + 1
        return (datetime.date(1970 + years, month + 1, 1) - datetime.date(1970, 1, 1)).days * 86400000
    return number * _ATTOSECONDS[unit] // 10**15


def exact_ms(value):
    """Milliseconds of a datetime, date, Period or numpy.datetime64, rounded down, of whatever year; None for other types."""
    if isinstance(value, np.datetime64):
        return _of_datetime64(value)
    if type(value).__name__ == "Period" and hasattr(value, "start_time"):
        value = value.start_time
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        # pandas' Timestamp is a datetime with a field of nanoseconds beyond the microseconds, which rounding down drops.
        if hasattr(value, "to_pydatetime"):
            value = value.to_pydatetime(warn=False)
        return (value - _EPOCH) // _MICROSECOND // 1000
    if isinstance(value, datetime.date):
        return (value - _EPOCH.date()).days * 86400000
    return None


def to_ms(value, argument="now"):
    """UTC milliseconds of a moment: a datetime or date (naive: UTC), pandas.Timestamp or Period (its begin),
    numpy.datetime64 of any unit, a 0-d array or pyarrow scalar of one, ISO-8601 text as in logs, or a number of milliseconds.

    Rounded down, as the times of a log are, so that one event has one time however it comes. TimeError names `argument`:
    another type, NaT, NaN, unreadable text, times outside the years 1 to 9999.
    """
    given = value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    elif hasattr(value, "as_py") and hasattr(value, "cast"):  # a pyarrow scalar
        unit = getattr(value.type, "unit", None)
        raw = value.value if unit in ("s", "ms", "us", "ns") and value.is_valid else None
        value = np.datetime64(raw, unit) if raw is not None else value.as_py()
    if isinstance(value, str):
        ms = _core.parse_time(value.encode("utf-8", "replace").decode())  # a lone surrogate is in no time
        if ms is None:
            raise TimeError(f"{argument} is {_describe(given)}, must be an ISO-8601 time in the years 1 to 9999")
        return ms
    if type(value).__name__ in ("NaTType", "NAType"):
        raise TimeError(f"{argument} is {value}, must be a moment")
    if value is None or isinstance(value, (bool, np.bool_)):
        raise TimeError(f"{argument} is {_describe(given)}, {_WANTED}")
    if isinstance(value, numbers.Integral):
        ms = int(value)
    elif isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise TimeError(f"{argument} is {_describe(given)}, must be a moment")
        ms = math.floor(value)
    else:
        if isinstance(value, np.datetime64) and np.isnat(value):
            raise TimeError(f"{argument} is NaT, must be a moment")
        ms = exact_ms(value)
        if ms is None:
            raise TimeError(f"{argument} is {_describe(given)}, {_WANTED}")
    if not FIRST <= ms <= LAST:
        raise TimeError(f"{argument} is {_describe(given)}, must be in the years 1 to 9999 (numbers are milliseconds)")
    return ms
