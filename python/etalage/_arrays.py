# SPDX-License-Identifier: Apache-2.0
"""Arrays of callers, with what a mask hides made missing: the one place where masks are read, beside the columns of frames."""

from __future__ import annotations

import operator

import numpy as np


def asarray(value, name="array"):
    """numpy.asarray, except that a mask counts: see unmasked()."""
    if isinstance(value, (list, tuple)) and any(issubclass(t, np.ma.MaskedArray) for t in set(map(type, value))):
        hidden = [v is np.ma.masked for v in value]
        value = np.ma.masked_array([0 if h else v for h, v in zip(hidden, value)], mask=hidden) if any(hidden) else np.ma.array(value)
    if isinstance(value, np.ma.MaskedArray):
        return unmasked(value, name)
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        text = repr(value)
        text = text if len(text) <= 60 else text[:57] + "..."
        raise ValueError(f"{name} is {text} ({type(value).__name__}), must be a numeric array or list whose rows have one length") from None


def unmasked(array, name="array"):
    """A plain array in which what was masked is missing: NaN among floats, False among booleans, None among objects and
    strings, NaT among times. Integers have no such value: ValueError names the first place."""
    mask = np.ma.getmaskarray(array)
    plain = np.asarray(array.data)
    if not mask.any():
        return plain
    kind = plain.dtype.kind
    if kind in "iu":
        where = tuple(int(i) for i in np.argwhere(mask)[0])
        raise ValueError(f"{name} is masked at {where[0] if len(where) == 1 else where}, must have an integer in every place")
    if kind in "OUSTV":
        plain = plain.astype(object)
        plain[mask] = None
    else:
        plain = np.where(mask, plain.dtype.type("NaT") if kind in "mM" else False if kind == "b" else np.nan, plain).astype(plain.dtype)
    return plain


def reals(value, name="array"):
    """float64 of any shape from real numbers or booleans; what is masked is NaN, also among integers, for the caller's rule of
    missing numbers. TypeError for text, complex numbers, times and anything else that is no number."""
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "iub":
        value = value.astype(np.float64)
    array = asarray(value, name)
    if array.dtype.kind == "O":
        wrong = next((v for v in array.flat if isinstance(v, (str, bytes)) or not (v is None or hasattr(v, "__float__"))), None)
        if wrong is None:
            try:
                return np.array([np.nan if v is None else float(v) for v in array.flat], dtype=np.float64).reshape(array.shape)
            except (TypeError, ValueError, OverflowError):
                pass
        raise TypeError(f"{name} has dtype object{'' if wrong is None else f' and holds {wrong!r:.60}'}, must be an array of real numbers")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, must be an array of real numbers")
    return array.astype(np.float64, copy=False)


def labels(value, name="labels"):
    """Labels of one kind, as an array: integers (booleans and whole floats too) or strings. ValueError for missing or masked ones,
    TypeError for a mixture, which NumPy would turn into strings, and for other things."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is masked at {int(np.flatnonzero(np.ma.getmaskarray(value))[0])}, must have a label in every place")
    array = np.asarray(value if hasattr(value, "__array__") or isinstance(value, (list, tuple)) else list(value))
    if array.dtype.kind in "UT" and isinstance(value, np.ndarray):
        return array
    if array.dtype.kind in "USOT" and array.ndim == 1:
        listed = value if isinstance(value, (list, tuple)) else array.tolist()
        kinds = {str if isinstance(v, str) else int if isinstance(v, (int, float, np.integer, np.floating, np.bool_)) else type(v) for v in listed}
        missing = next((i for i, v in enumerate(listed) if v is None or v != v), None)
        if missing is not None:
            raise ValueError(f"{name}[{missing}] is {listed[missing]}, must be a label")
        if len(kinds) > 1 or not kinds <= {str, int}:
            raise TypeError(f"{name} holds labels of several kinds or of none that is known, must be all numbers or all strings")
    elif array.dtype.kind == "f" and array.size:
        if np.isnan(array).any():
            raise ValueError(f"{name}[{int(np.flatnonzero(np.isnan(array))[0])}] is nan, must be a label")
    elif array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, must be all numbers or all strings")
    return array


def keys(value):
    """An array of keys; a masked one is None, which no key is."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        value = value.astype(object)
    return asarray(value, "keys")


def whole_number(value, name, low=None, bits=32, signed=True):
    """An int that `bits` bits hold: TypeError for what is no integer (a float, a boolean, text, None), ValueError beyond the bits."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__") or getattr(value, "ndim", 0):
        raise TypeError(f"{name} is {value!r:.60}, must be an integer")
    number = operator.index(value)
    least = low if low is not None else -(2 ** (bits - 1)) if signed else 0
    most = 2 ** (bits - signed) - 1
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}, must be {f'>= {least}' if number < least else f'at most {most}'}")
    return number


def flag(value, name):
    """A bool that a caller means: no text, no number."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, must be True or False")
    return bool(value)


def real_number(value, name):
    """A float: TypeError for what is no number (a boolean, text, None, a list)."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or getattr(value, "ndim", 0) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name} is {value!r:.60}, must be a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is {value}, must be within the range of float64") from None


def matrix(value):
    """A dense or sparse matrix without masks: a masked cell is a pair that nobody observed."""
    if isinstance(value, np.ma.MaskedArray):
        return value.filled(0)
    mask = getattr(getattr(value, "data", None), "mask", np.ma.nomask)
    if not np.any(mask):
        return value
    if value.format not in ("csr", "csc", "coo"):
        raise ValueError(f"the data of a {value.format} matrix is masked, must be in the format csr, csc or coo")
    plain = value.copy()
    plain.data = np.asarray(value.data.data)
    held = plain.tocoo()
    kept = ~np.ma.getmaskarray(value.data)[: held.nnz]
    return type(held)((held.data[kept], (held.row[kept], held.col[kept])), held.shape).tocsr()


def column(values):
    """(plain array of a masked one, mask): masked places hold something of the array's own type."""
    mask = np.ma.getmaskarray(values)
    plain = np.array(values.data)
    if plain.dtype.kind in "OUST":
        plain = plain.astype(object)
        plain[mask] = None
    return plain, mask
