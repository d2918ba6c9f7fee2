# SPDX-License-Identifier: Apache-2.0
"""Arrays of callers, with what a mask hides made missing: the one place where masks are read, beside the columns of frames."""

from __future__ import annotations

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


def keys(value):
    """An array of keys; a masked one is None, which no key is."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        value = value.astype(object)
    return asarray(value, "keys")


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
