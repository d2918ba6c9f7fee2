# SPDX-License-Identifier: Apache-2.0
"""Any frame as an Arrow stream, or as plain columns where there is no Arrow: for logs and catalogues alike.

Cells that cannot be read are missing in what is handed on, beside a list of (column, row, reason), so that one bad cell
is one bad row. With skip=False the first of a kind that the column does not have is a TypeError.
"""

from __future__ import annotations

import datetime
import numbers
import sys
import uuid
from collections import Counter

import numpy as np

from ._times import FIRST, LAST, exact_ms

__all__ = ["ParquetColumns", "parquet_reader", "stream_hint", "to_arrow_or_columns"]

_MOST_REASONS = 1000  # of a column; a report lists no more rows

# What frames that are no Arrow streams offer instead.
_HINTS = (("toArrow", "frame.toArrow()"), ("collect", "frame.collect()"), ("compute", "frame.compute()"), ("to_pyarrow", "frame.to_pyarrow()"),
          ("to_arrow", "frame.to_arrow()"), ("to_pandas", "frame.to_pandas()"))


def stream_hint(frame):
    """"; give frame.toArrow() instead", or another way that this frame has, or nothing."""
    for method, call in _HINTS:
        if hasattr(frame, method):
            return f"; give {call} instead"
    return ""


def to_arrow_or_columns(frame, names, skip=False):
    """(capsule or pair of capsules, None, []), or (None, columns, unreadable).

    A column is (format, array, validity bits or None, length, list offsets or None): format is Arrow's of numbers and
    times, 'O' for strings (None: missing); with offsets, strings in lists. unreadable: [(column, row, reason)].
    """
    names = list(dict.fromkeys(names))
    if isinstance(frame, dict):
        return _columns([(n, _pick(frame, frame.keys(), n)) for n in names], skip)
    if type(frame).__module__.partition(".")[0] == "pandas":
        return _of_pandas(frame, names, skip)
    for method in ("__arrow_c_stream__", "__arrow_c_array__"):
        if hasattr(frame, method):
            try:
                return getattr(frame, method)(), None, []
            except Exception as error:  # whatever the frame's library raises, Spark's empty AssertionError for one
                raise ValueError(
                    f"frame is a {type(frame).__name__} whose {method} failed: {error!r}{stream_hint(frame)}") from error
    raise TypeError(
        f"frame is {_short(frame)}, must have __arrow_c_stream__ (polars, pyarrow, DuckDB, pandas) or be a dict of arrays{stream_hint(frame)}")


def _parquet_dataset(path, names):
    """pyarrow's dataset of a Parquet file, or of a folder of them in order of their names, which has the named columns."""
    try:
        import pyarrow.dataset as dataset
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'etalage[parquet]' (CSV works without)") from error
    if not path.exists():
        raise FileNotFoundError(2, "no such Parquet file or folder", str(path))
    files = [path]
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in (".parquet", ".pq") and not p.name.startswith((".", "_")))
        if not files:
            raise FileNotFoundError(2, "no .parquet file below the folder", str(path))
    try:
        found = dataset.dataset([str(p) for p in files], format="parquet", partitioning="hive")
    except (ValueError, OSError) as error:  # pyarrow's own, of many lines
        raise ValueError(f"{path} cannot be read as Parquet: {(str(error).splitlines() or [''])[0].rpartition(': ')[2]}") from error
    for n in names:
        if n not in found.schema.names:
            raise ValueError(f"column {n!r} is not in {path}, must be one of {', '.join(map(repr, found.schema.names)) or 'none'}")
    return found


def parquet_reader(path, names):
    """The named columns of a Parquet file, or of a folder of them in order of their names, as a stream."""
    return _parquet_dataset(path, names).scanner(columns=list(dict.fromkeys(names))).to_reader()


class ParquetColumns:
    """The named columns of a Parquet file or folder, each as a stream of its own: open(name) one after the other, close() at last."""

    def __init__(self, path, names):
        self._dataset = _parquet_dataset(path, names)

    def open(self, name):
        import pyarrow.dataset as dataset

        self.close()
        # A column is read as fast as its keys are numbered: no more is asked for ahead than keeps both busy.
        options = dataset.ParquetFragmentScanOptions(pre_buffer=False)
        return self._dataset.scanner(columns=[name], batch_readahead=2, fragment_scan_options=options).to_reader().__arrow_c_stream__()

    @staticmethod
    def close():
        """What pyarrow keeps of the memory of columns that are gone, for columns to come, goes back to the system."""
        import pyarrow

        pyarrow.default_memory_pool().release_unused()


def _of_pandas(frame, names, skip):
    if not hasattr(frame, "columns"):
        raise TypeError(f"frame is a {type(frame).__name__}, must be a frame with columns")
    levels = list(frame.index.names)
    picked, in_index = [], False
    for n in names:
        if n in frame.columns:
            column = frame[n]
            if getattr(column, "ndim", 1) != 1:
                raise ValueError(f"column {n!r} occurs twice in the frame, must be unique")
        elif n in levels:  # what groupby().agg() leaves its keys in
            column, in_index = frame.index.get_level_values(levels.index(n)).to_series(index=frame.index), True
        else:
            _pick(frame, [*frame.columns, *(level for level in levels if level is not None)], n)
        picked.append((n, column))
    ours = (object, "period", "interval", "Sparse", "complex")  # what pandas hands to Arrow not at all, or as bare numbers
    if hasattr(frame, "__arrow_c_stream__") and not any(c.dtype == object or str(c.dtype).startswith(ours[1:]) for _, c in picked):
        try:
            if in_index:
                chosen = sys.modules["pandas"].DataFrame({n: c.array for n, c in picked})
            else:
                chosen = frame[names]
            return chosen.__arrow_c_stream__(), None, []
        except Exception:  # without pyarrow, or with a type that pyarrow does not know: column by column then
            pass
    return _columns(picked, skip)


def packed(columns):
    """{name: array} as the Arrow stream of the compiled part is built from; masked cells and None are missing, times are UTC."""
    found = [_column(values, name, False, []) for name, values in columns.items()]
    return [("tsm:UTC" if kind.startswith("ts") else kind, *rest) for kind, *rest in found]


def _columns(picked, skip):
    unreadable = []
    return None, [_column(values, name, skip, unreadable) for name, values in picked], unreadable


def _short(value):
    text = repr(value)
    return (text if len(text) <= 60 else text[:57] + "...") + f" ({type(value).__name__})"


def _pick(mapping, known, name):
    if name not in known:
        raise ValueError(f"column {name!r} is not in the frame, must be one of {', '.join(map(repr, known)) or 'none'}")
    return mapping[name]


_FORMATS = {"int8": "c", "uint8": "C", "int16": "s", "uint16": "S", "int32": "i", "uint32": "I", "int64": "l",
            "uint64": "L", "float16": "e", "float32": "f", "float64": "g"}


def _bits(missing):
    """Arrow's validity bits; None where nothing is missing."""
    return np.packbits(~missing, bitorder="little") if missing is not None and missing.any() else None


def _as_array(values):
    """(array, mask or None) of a column of any maker."""
    dtype = getattr(values, "dtype", None)
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(values.data), np.ma.getmaskarray(values)
    if dtype is not None and not isinstance(dtype, np.dtype) and hasattr(values, "isna"):  # an extension type of pandas
        times = getattr(values, "dt", values)  # of a series; an index has the methods itself
        if getattr(dtype, "tz", None) is not None and str(dtype).startswith("datetime64"):
            utc = times.tz_convert("UTC")
            return getattr(utc, "dt", utc).tz_localize(None).to_numpy(), None
        if str(dtype).startswith("period"):
            return times.start_time.to_numpy(), None
        if str(dtype).startswith("Sparse"):
            return np.asarray(values), None
        kind, missing = getattr(dtype, "kind", "O"), np.asarray(values.isna())
        if kind in "iufb" and len(kind) == 1:
            # Through the missing cells' zero, not through floats: keys keep all of their 64 bits.
            name = {"i": "int64", "u": "uint64", "f": "float64", "b": "bool"}[kind]
            return values.to_numpy(dtype=name, na_value=np.dtype(name).type(0)), missing
        return np.asarray(values, dtype=object), None
    nulls = getattr(values, "null_count", 0)  # of pyarrow and polars, whose gaps numpy would turn into floats
    if not isinstance(values, np.ndarray) and (nulls() if callable(nulls) else nulls):
        values = values.to_pylist() if hasattr(values, "to_pylist") else values.to_list()
    if isinstance(values, (list, tuple)):
        array = np.empty(len(values), dtype=object)
        for i, v in enumerate(values):  # cell by cell: numpy would make a table of lists of one length
            array[i] = v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v
        return array, None
    return np.asarray(values), None


def _column(values, name, skip, unreadable):
    array, missing = _as_array(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}, must have 1 dimension")
    if array.dtype.kind in "UST":
        array = array.astype(object)
    if array.dtype.kind == "O":
        if missing is not None:
            array = array.copy()
            array[missing] = None
        array, missing, offsets = _of_objects(array, name, skip, unreadable)
        if offsets is not None:
            return "O", array, None, len(offsets) - 1, offsets
    kind = array.dtype.kind
    if kind == "M":
        unit, array, impossible = _fixed_unit(array)
        missing = impossible if missing is None else missing | impossible
        # A copy: the log may keep these very bytes, and must not change when the caller writes to their array.
        return f"ts{unit[0]}:", np.array(array), _bits(missing), len(array), None
    if kind == "b":
        return "b", np.packbits(array, bitorder="little"), _bits(missing), len(array), None
    if kind in "iuf":
        native = np.array(array, dtype=array.dtype.newbyteorder("="))
        if native.dtype.name not in _FORMATS:
            native = native.astype(np.float64)
        return _FORMATS[native.dtype.name], native, _bits(missing), len(native), None
    if kind == "O":
        if missing is not None and missing.any():
            array = array.copy()
            array[missing] = None
        return "O", array, None, len(array), None
    remedy = {"m": ": add the moment that its durations count from", "c": "", "V": ": take one of its fields out"}.get(kind, "")
    raise TypeError(f"column {name!r} has dtype {array.dtype}, must be strings, numbers or times{remedy}")


def _fixed_unit(array):
    """(unit s, ms, us or ns, int64 counts, missing) of datetime64 of any unit; what the unit cannot hold stays out of range."""
    unit, count = np.datetime_data(array.dtype)
    missing = np.isnat(array)
    array = array.astype(array.dtype.newbyteorder("="))
    if unit == "generic":
        return "ms", np.zeros(len(array), np.int64), missing
    if unit in ("ps", "fs", "as"):
        steps = {"ps": 10**3, "fs": 10**6, "as": 10**9}[unit]
        counts = array.astype(f"datetime64[{unit}]").view(np.int64)
        return "ns", np.where(missing, 0, counts // steps), missing
    if unit in ("s", "ms", "us", "ns"):
        if count != 1:
            array = array.astype(f"datetime64[{unit}]")
        return unit, array.view(np.int64), missing
    # Coarse units: what lies outside the years -1 to 10001 is clipped to there, where the log refuses it.
    edges = [np.datetime64(day, "D").astype(array.dtype).view(np.int64) for day in ("-0001-01-01", "10001-12-31")]
    counts = np.where(missing, 0, np.clip(array.view(np.int64), *edges))
    return "s", counts.view(f"datetime64[{count}{unit}]").astype("datetime64[s]").view(np.int64), missing


def _missing(value):
    # pandas' NA has no truth value, so it is known by name before it is compared; NaN and NaT differ from themselves.
    if value is None or value is np.ma.masked or type(value).__name__ == "NAType":
        return True
    return not isinstance(value, (str, list, tuple, set, frozenset, dict, np.ndarray)) and _differs(value)


def _differs(value):
    try:
        return bool(value != value)
    except Exception:  # an object that cannot be compared is there
        return False


def _kind_of(value):
    """'strings', 'booleans', 'numbers', 'times', 'lists', or None for what no column holds."""
    if isinstance(value, (str, bytes, uuid.UUID)):
        return "strings"
    if isinstance(value, (bool, np.bool_)):
        return "booleans"
    if isinstance(value, numbers.Real) or type(value).__name__ == "Decimal":
        return "numbers"
    if isinstance(value, (datetime.date, np.datetime64)) or type(value).__name__ == "Period":
        return "times"
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)) or hasattr(value, "to_pylist"):
        return "lists"
    return None


def _of_objects(array, name, skip, unreadable):
    """(array, missing, offsets) of objects: strings, int64 or float64, datetime64[ms], or lists of strings with offsets."""
    there = np.array([not _missing(v) for v in array], dtype=bool)
    rows = np.flatnonzero(there)
    if len(rows) == 0:
        return np.full(len(array), None, dtype=object), None, None
    kinds = [_kind_of(array[i]) for i in rows]
    known = [k for k in kinds if k is not None]
    # The first cell says what the column is, as it does for messages; where bad rows are left out, what most cells are.
    wanted = (Counter(known).most_common(1)[0][0] if skip else kinds[0]) if known else None
    if wanted is None:
        raise TypeError(f"column {name!r} holds {_short(array[rows[0]])}, must be strings, numbers or times")
    bad = _Unreadable(name, unreadable)
    for i, kind in zip(rows, kinds):
        if kind == wanted:
            continue
        if not skip:
            raise TypeError(f"column {name!r} holds {_short(array[i])} at row {i} and {_short(array[rows[0]])} before it, must be all {wanted}")
        there[i] = False
        bad(i, f"is {_short(array[i])}, must be one of {wanted}, as most of the column")
    return _READERS[wanted](array, there, bad)


class _Unreadable:
    """Notes cells of a column, the first thousand with words."""

    def __init__(self, name, cells):
        self.name, self.cells, self.left = name, cells, _MOST_REASONS

    def __call__(self, row, reason):
        self.left -= 1
        if self.left >= 0:
            self.cells.append((self.name, int(row), reason))


def _strings(array, there, bad):
    out = np.full(len(array), None, dtype=object)
    for i in np.flatnonzero(there):
        v = array[i]
        if isinstance(v, bytes):
            try:
                v = v.decode("utf-8")
            except UnicodeDecodeError:
                bad(i, f"is {_short(v)}, must be valid UTF-8")
                continue
        out[i] = str(v)
    return out, None, None


def _booleans(array, there, bad):
    return np.array([bool(v) if t else False for v, t in zip(array, there)], dtype=bool), ~there, None


def _numbers(array, there, bad):
    rows = np.flatnonzero(there)
    whole = [v if isinstance(v, numbers.Integral) else int(v) if _is_whole(v) else None for v in array[rows]]
    floats = any(isinstance(v, (float, np.floating)) for v in array)
    # Integers stay integers, beside gaps too, since keys need all of their 64 bits; floats tell those below 2^53 apart.
    if (not floats and None not in whole) or any(isinstance(v, numbers.Integral) and abs(v) > 2**53 for v in array[rows]):
        out = np.zeros(len(array), np.int64)
        for i, w in zip(rows, whole):
            if w is not None and -(2**63) <= w < 2**63:
                out[i] = w
            else:
                there[i] = False
                bad(i, f"is {array[i]}, must be a 64-bit integer" + (", as others in the column are" if w is None else ""))
        return out, ~there, None
    out = np.full(len(array), np.nan)
    for i in rows:
        try:
            out[i] = float(array[i])
        except (OverflowError, ValueError):
            there[i] = False
            bad(i, f"is {_short(array[i])}, must be a finite number")
    # A NaN is a value that is no number rather than a missing cell, as it is in an array of floats.
    missing = ~there & np.array([not isinstance(v, (float, np.floating)) for v in array], dtype=bool)
    return out, missing, None


def _is_whole(value):
    try:
        return value == int(value)
    except (OverflowError, ValueError):  # infinite
        return False


def _times(array, there, bad):
    out = np.zeros(len(array), np.int64)
    for i in np.flatnonzero(there):
        out[i] = min(max(exact_ms(array[i]), FIRST - 1), LAST + 1)
        if not FIRST <= out[i] <= LAST:
            there[i] = False
            bad(i, f"is {array[i]}, must be in the years 1 to 9999")
    return out.view("datetime64[ms]"), ~there, None


def _lists(array, there, bad):
    cells, offsets = [], np.zeros(len(array) + 1, np.int64)
    for i, v in enumerate(array):
        if there[i]:
            parts = v.to_pylist() if hasattr(v, "to_pylist") else v.tolist() if isinstance(v, np.ndarray) else v
            # Sets have no order of their own, and lists must be the same in every run.
            texts = [_text(p) for p in parts if not _missing(p)]
            cells.extend(sorted(texts) if isinstance(v, (set, frozenset)) else texts)
        offsets[i + 1] = len(cells)
    out = np.empty(len(cells), dtype=object)
    out[:] = cells
    return out, None, offsets


def _text(value):
    """A list's cell as text; whole floats as the integers that they were before a gap came among them."""
    if isinstance(value, (float, np.floating)) and _is_whole(value):
        value = int(value)
    return value if isinstance(value, str) else str(value)


_READERS = {"strings": _strings, "booleans": _booleans, "numbers": _numbers, "times": _times, "lists": _lists}
