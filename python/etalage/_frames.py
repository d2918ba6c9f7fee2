# SPDX-License-Identifier: Apache-2.0
"""Any frame as an Arrow stream, or as plain columns where there is no Arrow."""

from __future__ import annotations

import datetime
import numbers

import numpy as np

from . import _arrays


def to_arrow_or_columns(frame, names):
    """(capsule, None), or (None, columns): a column is (Arrow format or 'O' for strings, array, validity bits, length)."""
    if isinstance(frame, dict):
        return None, [_column(_pick(frame, frame.keys(), n), n) for n in names]
    if type(frame).__module__.partition(".")[0] == "pandas":
        if not hasattr(frame, "columns"):
            raise TypeError(f"frame is a {type(frame).__name__}, must be a frame with columns")
        for n in names:
            if n not in frame.columns:
                _pick(frame, frame.columns, n)
            if getattr(frame[n], "ndim", 1) != 1:
                raise ValueError(f"column {n!r} occurs twice in the frame, must be unique")
        if hasattr(frame, "__arrow_c_stream__") and not any(frame[n].dtype == object for n in names):
            try:
                return frame[list(dict.fromkeys(names))].__arrow_c_stream__(), None
            except ImportError:  # pandas without pyarrow
                pass
        return None, [_column(frame[n], n) for n in names]
    if hasattr(frame, "__arrow_c_stream__"):
        return frame.__arrow_c_stream__(), None
    raise TypeError(
        f"frame is {_short(frame)}, must have __arrow_c_stream__ (polars, pyarrow, DuckDB, pandas) or be a dict of arrays"
    )


def _short(value):
    text = repr(value)
    return (text if len(text) <= 60 else text[:57] + "...") + f" ({type(value).__name__})"


def _pick(mapping, known, name):
    if name not in known:
        raise ValueError(f"column {name!r} is not in the frame, must be one of {', '.join(map(repr, known)) or 'none'}")
    return mapping[name]


_FORMATS = {"int8": "c", "uint8": "C", "int16": "s", "uint16": "S", "int32": "i", "uint32": "I", "int64": "l",
            "uint64": "L", "float16": "e", "float32": "f", "float64": "g"}


def _masked_column(values, name):
    """A column of a masked array: what is masked is missing, whatever lies there."""
    plain, mask = _arrays.column(values)
    form, array, valid, size = _column(plain, name)
    if form == "O":
        return form, array, valid, size
    present = ~mask
    if valid is not None:
        present &= np.unpackbits(valid, count=size, bitorder="little").astype(bool)
    return form, array, np.packbits(present, bitorder="little"), size


def _column(values, name):
    if isinstance(values, np.ma.MaskedArray) and values.ndim == 1:
        return _masked_column(values, name)
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if dtype is not None and not isinstance(dtype, np.dtype):  # an extension type of pandas
        if str(dtype).startswith("datetime64"):
            array = values.to_numpy()
        else:
            array = np.asarray(values, dtype=object)
    elif isinstance(values, (list, tuple)):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    else:
        array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}, must have 1 dimension")
    if array.dtype.kind == "O":
        array = _of_objects(array, name)
    kind = array.dtype.kind
    if kind == "M":
        unit, count = np.datetime_data(array.dtype)
        if unit not in ("s", "ms", "us", "ns") or count != 1:
            unit = unit if unit in ("s", "ms", "us", "ns") else "s"
            array = array.astype(f"datetime64[{unit}]")
        missing = np.isnat(array)
        valid = np.packbits(~missing, bitorder="little") if missing.any() else None
        # A copy: the log may keep these very bytes, and must not change when the caller writes to his array.
        return f"ts{unit[0]}:", np.array(array, dtype=f"<M8[{unit}]").view(np.int64), valid, len(array)
    if kind == "b":
        return "b", np.packbits(array, bitorder="little"), None, len(array)
    if kind in "iuf":
        native = np.array(array, dtype=array.dtype.newbyteorder("="))
        if native.dtype.name not in _FORMATS:
            native = native.astype(np.float64)
        return _FORMATS[native.dtype.name], native, None, len(native)
    if kind in "UT":
        return "O", array.astype(object), None, len(array)
    if kind == "S":
        return "O", np.char.decode(array, "utf-8").astype(object), None, len(array)
    if kind == "O":
        return "O", array, None, len(array)
    raise TypeError(f"column {name!r} has dtype {array.dtype}, must be strings, numbers or times")


def _missing(value):
    # pandas' NA has no truth value, so it is known by name before it is compared; NaN and NaT differ from themselves.
    return value is None or value is np.ma.masked or type(value).__name__ == "NAType" or value != value


def _of_objects(array, name):
    """Objects as strings (missing: None), or as an array of numbers where they are all numbers."""
    first = next((v for v in array if not _missing(v)), None)
    if first is None:
        return np.full(len(array), None, dtype=object)
    if isinstance(first, str):
        wanted, word = str, "strings"
    elif isinstance(first, (bool, np.bool_)):
        wanted, word = (bool, np.bool_), "booleans"
    elif isinstance(first, numbers.Number) or type(first).__name__ == "Decimal":
        wanted, word = (numbers.Number,), "numbers"
    elif isinstance(first, (datetime.date, np.datetime64)):
        wanted, word = (datetime.date, np.datetime64), "times"
    else:
        raise TypeError(f"column {name!r} holds {_short(first)}, must be strings, numbers or times")
    out = np.empty(len(array), dtype=object)
    for i, v in enumerate(array):
        if _missing(v):
            out[i] = None
        elif isinstance(v, wanted) and not (wanted == (numbers.Number,) and isinstance(v, (bool, np.bool_))):
            out[i] = v
        else:
            raise TypeError(f"column {name!r} holds {_short(v)} at row {i} and {_short(first)} before it, must be all {word}")
    if word == "strings":
        return out
    if word == "times":
        return np.array([None if v is None else str(v) if isinstance(v, np.datetime64) else v.isoformat() for v in out], dtype=object)
    if word == "numbers" and all(v is None or isinstance(v, numbers.Integral) for v in out):
        large = next((v for v in out if v is not None and abs(v) > 2**53), None)
        if not any(v is None for v in out) and (large is None or all(-(2**63) <= v < 2**63 for v in out)):
            return out.astype(np.int64)
        if large is not None:
            raise TypeError(f"column {name!r} holds {large} among missing entries or larger ones, must be given as an int64 array or Arrow")
    return np.array([np.nan if v is None else float(v) for v in out], dtype=np.float64)


def to_ms(value, argument="now"):
    """UTC milliseconds of a datetime, date, datetime64, ISO-8601 text, or a number of milliseconds."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ms]").astype(np.int64))
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (value - epoch) // datetime.timedelta(milliseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days * 86400000
    raise TypeError(f"{argument} is {_short(value)}, must be a datetime, ISO-8601 text or milliseconds since 1970 (UTC)")


def catalog_columns(frame, item, name, category, brand, price, stock, tags, text, category_separator, tag_separator):
    """The columns of a catalogue as lists of Python values."""

    def values(column):
        known = list(frame.keys()) if isinstance(frame, dict) else list(getattr(frame, "column_names", None) or frame.columns)
        if column not in known:
            _pick(frame, known, column)
        data = frame[column]
        for method in ("to_pylist", "to_list", "tolist"):
            if hasattr(data, method):
                return [None if _is_gap(v) else v for v in getattr(data, method)()]
        return [None if _is_gap(v) else v for v in data]

    def pieces(column, separator):
        if column is None:
            return None
        out = []
        for v in values(column):
            parts = [] if v is None else v.split(separator) if isinstance(v, str) else list(v)
            out.append([p for p in (str(p).strip() for p in parts) if p])
        return out

    def amounts(column):
        return None if column is None else np.array([np.nan if v is None else float(v) for v in values(column)], dtype=np.float32)

    def words(column):
        return None if column is None else values(column)

    keys = values(item)
    for row, key in enumerate(keys):
        if key is None or key == "":
            raise ValueError(f"row {row}: {item} is missing")
    others = {"names": words(name), "categories": pieces(category, category_separator), "brands": words(brand), "prices": amounts(price),
              "stock": amounts(stock), "tags": pieces(tags, tag_separator), "texts": words(text)}
    return {"item_ids": keys, "others": others}


def _is_gap(value):
    return not isinstance(value, (list, tuple, np.ndarray)) and _missing(value)
