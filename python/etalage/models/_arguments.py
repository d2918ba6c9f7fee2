# SPDX-License-Identifier: Apache-2.0
"""What callers pass, in the shapes that the compiled part reads."""

from __future__ import annotations

import operator

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._arrays import asarray

INT32_MAX = 2**31 - 1


def describe(value):
    text = repr(value)
    return (text if len(text) <= 60 else text[:57] + "...") + f" ({type(value).__name__})"


def integer(value, name):
    """A whole number where exactly one is meant; TypeError for a list, a float, a boolean."""
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} is {describe(value)}, must be one integer")


def auto(value, name):
    """True, False, or None for "auto"."""
    if isinstance(value, str) and value == "auto":
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{name} is {describe(value)}, must be True, False or 'auto'")


def count(k):
    k = integer(k, "k")
    if k < 0:
        raise ValueError(f"k is {k}, must be >= 0")
    if k > INT32_MAX:
        raise ValueError(f"k is {k}, must be at most {INT32_MAX}")
    return k


def indices(value, name):
    """(int array [n], whether one index was given)."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        array, one = asarray(value, name), False
    elif isinstance(value, (list, tuple, range)) or hasattr(value, "__array__") and getattr(value, "ndim", 1) != 0:
        array, one = asarray(value, name), False
    else:
        array, one = np.array([_in_range(integer(value, name), name)], dtype=np.int32), True
    if array.size == 0 and array.dtype.kind in "fO":
        array = array.astype(np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}, must be an integer or an array of integers")
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, must be one integer or have 1 dimension")
    return array, one


def _in_range(value, name):
    if not -INT32_MAX <= value <= INT32_MAX:
        raise IndexError(f"{name} is {value}, must be an index in 32 bits")
    return value


def rows(value, name="user_items"):
    """A matrix with a row a question: sparse of any format, dense, one sparse row, or Interactions."""
    if value is None or isinstance(value, _core.Interactions):
        return value
    if hasattr(value, "user_items"):
        value = value.user_items
    if sp.issparse(value) and len(value.shape) == 1:
        value = value.reshape(1, -1)
    elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype != object:
        value = value.reshape(1, -1)
    return value


def _is_list(value):
    return not isinstance(value, (str, bytes)) and hasattr(value, "__len__") and getattr(value, "ndim", 1) != 0


def _flat(value, name):
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    array = asarray(value, name)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, must be a list of integers")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}, must be integers")
    return array


def own(arrays):
    """The first row of each array, as an array that owns its memory."""
    return tuple(a[0].copy() for a in arrays)


def stacked(lists, name):
    """(int64 offsets [n + 1], items) of n lists."""
    parts = []
    for i, part in enumerate(lists):
        if not _is_list(part):
            raise TypeError(f"{name}[{i}] is {describe(part)}, must be a list: {name} mixes lists and numbers")
        parts.append(_flat(part, f"{name}[{i}]"))
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(p) for p in parts], out=offsets[1:])
    return offsets, np.concatenate(parts) if parts else np.empty(0, np.int32)


def _many(value):
    """Whether value is a list of lists (a row a question) rather than one list."""
    if isinstance(value, np.ndarray):
        return value.ndim == 2 or (value.dtype == object and value.size > 0 and _is_list(value[0]))
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and _is_list(value[0])
    return False


def lists(value, name):
    """None, one list for all as an array, or one row a question as (offsets, items)."""
    if value is None:
        return None
    if sp.issparse(value):
        csr = rows(value).tocsr()
        return csr.indptr, csr.indices[: csr.indptr[-1]]
    if _many(value):
        return stacked(value, name)
    if not _is_list(value) and not isinstance(value, (set, frozenset)):
        raise TypeError(f"{name} is {describe(value)}, must be a list of item indices, or a list or CSR row for each index asked for")
    return _flat(value, name)


def sessions(value):
    """((offsets, items), whether one session was given)."""
    if hasattr(value, "offsets") and hasattr(value, "items") and not isinstance(value, dict):
        return (value.offsets, value.items), False
    if sp.issparse(value):
        return lists(value, "session_items"), False
    if _many(value):
        return stacked(value, "session_items"), False
    if not _is_list(value):
        raise TypeError(f"session_items is {describe(value)}, must be a list of item indices, oldest first, or a list of such lists")
    return stacked([value], "session_items"), True
