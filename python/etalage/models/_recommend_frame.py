# SPDX-License-Identifier: Apache-2.0
"""Recommendations as a table: a row a recommendation, into a frame or a file."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

import numpy as np

from .. import _cli_io as files
from .. import _core
from .._frames import _missing
from . import _arguments as arg
from ._by_key import key_list, known_lists

_FRAMES = ("pandas", "polars", "pyarrow")
_BLOCK = 4096  # users a block: what is in memory beside the result


class RecommendFrame:
    """recommend_frame() of every model."""

    def recommend_frame(self, users=None, k=10, names=None, reasons=False, filter_items=None, exclude=None, *, items=None,
                        filter_already_liked_items=True, recalculate_user=False, user_items=None, frame="auto", path=None):
        """The best k products of each user as a table: user, rank (int32, from 1), item, score (float32), and more.

        users        keys, in the order of the table; one key, or None for everybody that the model knows. Unknown users get
                     the cold-start answer
        names        adds the column name: a Catalog, or a mapping from item key to name. A product without one stands for
                     itself, by its key as text
        reasons      adds the column reason: the product of the user's history that explains the row most, None (-1 among
                     integer keys) where none speaks for it. An integer n adds reason, reason_2 .. reason_n. With names the
                     column(s) reason_name too. Costs an explain() a row; for models that have it
        filter_items, items   keys that are never, or alone, recommended: one list for all, or a list with a row a user
        exclude      the suppression list: keys never recommended to anybody, or a mapping from user key to keys. Comes on top
                     of filter_items; shoppers and products that are not in the table or the model are ignored
        filter_already_liked_items, recalculate_user, user_items   as for recommend_ids()
        frame        "pandas", "polars", "pyarrow" (a Table), "dict" (of arrays); "auto" is the first that is installed;
                     None makes no frame and returns the number of rows, so that a file of any size needs little memory
        path         also writes the table to this .csv, .csv.gz, .tsv, .tsv.gz or .parquet file, under a temporary name
                     until it is complete

        Users with fewer than k results have fewer rows. Keys must be there: ValueError for a model fitted without them.
        """
        model = self._fitted()
        catalogue = self._ids("item")
        k, reasons = min(arg.count(k), model.num_items), _reasons(reasons)  # a table needs no padding
        library = _library(frame)
        path = None if path is None else _file(path)
        index, keys = self._users(users)
        known = index >= 0
        user_items = self._rows(user_items)
        if known.any():
            self._check_rows(model, user_items, filter_already_liked_items or recalculate_user or self._needs_history)
            if reasons and user_items is None and not model.has_history:
                raise ValueError(f"reasons is given and this {type(self).__name__} keeps no rows to find them in, must go with user_items")
        named = _Names(names, catalogue)
        histories = None if user_items is None or not reasons else _sliceable(user_items)
        never = self._never(filter_items, exclude, keys, catalogue)
        only = _rows_of(known_lists(catalogue, items, "items"), len(index), "items")

        def block(start, stop):
            found, scores = model.recommend(
                index[start:stop], user_items if stop > start else None, None, k, bool(filter_already_liked_items),
                bool(recalculate_user), only(start, stop), never(start, stop), True, self._threads())
            at, place = np.nonzero(found >= 0)
            best = found[at, place]
            out = {"user": keys[start + at], "rank": (place + 1).astype(np.int32), "item": catalogue.at(best),
                   "score": scores[at, place]}
            if names is not None:
                out["name"] = named(out["item"], best >= 0)
            for n, reason in enumerate(self._reasons(index[start + at], histories, start + at, best, reasons), 1):
                suffix = "" if n == 1 else f"_{n}"
                out["reason" + suffix] = catalogue.at(reason)
                if names is not None:
                    out["reason_name" + suffix] = named(out["reason" + suffix], reason >= 0)
            return out

        # Rows that callers give are one block: lists in order cannot be cut as a matrix can.
        step = max(len(index), 1) if user_items is not None else _BLOCK
        blocks = (block(start, min(start + step, len(index))) for start in range(0, len(index), step))
        return _gather(blocks, block(0, 0), library, path)

    def _users(self, users):
        """(index, the keys as an array) of the users asked for."""
        ids = self._ids("user")
        if users is None:
            return np.arange(len(ids), dtype=np.int32), np.asarray(ids.keys)
        users, _ = key_list(users)
        index = ids.find(users)
        given = users.to_list() if hasattr(users, "to_list") else users.to_pylist() if hasattr(users, "to_pylist") else list(users)
        strings = ids.at(np.array([-1], np.int32)).dtype == object
        keys = np.empty(len(index), object if strings else np.int64)
        try:
            keys[:] = [(None if strings else -1) if _missing(u) else u for u in given]
        except OverflowError as error:
            raise ValueError("users holds a key that is too large, integer keys must fit in 64 signed bits") from error
        return index, keys

    def _never(self, filter_items, exclude, keys, catalogue):
        """filter_items and the suppression list as one: rows start .. stop in the compiled part's form."""
        filtered = _rows_of(known_lists(catalogue, filter_items, "filter_items"), len(keys), "filter_items")
        if exclude is None:
            return filtered
        if not isinstance(exclude, Mapping):
            suppressed, each = _known(catalogue, exclude), None
        else:
            self._ids("user").find(list(exclude))  # keys of the other kind are an error, not a list that does nothing
            suppressed, each = np.empty(0, np.int32), {u: _known(catalogue, part) for u, part in exclude.items()}

        def rows(start, stop):
            base = filtered(start, stop)
            if each is None and not isinstance(base, tuple):
                return suppressed if base is None else np.concatenate([base, suppressed])
            parts = []
            for row, user in enumerate(keys[start:stop].tolist()):
                held = base if not isinstance(base, tuple) else base[1][base[0][row]:base[0][row + 1]]
                mine = suppressed if each is None else each.get(user, suppressed)
                parts.append(mine if held is None else np.concatenate([held, mine]))
            return arg.stacked(parts, "exclude")

        return rows

    def _reasons(self, users, histories, rows, items, count):
        """count int32 arrays: for each (user, item) the history items of the largest positive weights, -1 where there are no more."""
        out = np.full((count, len(items)), -1, np.int32)
        for i in range(len(items) if count else 0):
            if users[i] < 0 and histories is None:
                continue  # a newcomer
            history = None if histories is None else histories[int(rows[i])]
            if getattr(histories, "ordered", False):  # a list as it happened, not a set of items
                history.ordered = True
            _, why, weights = self.explain(None if users[i] < 0 else int(users[i]), history, int(items[i]), count)
            why = why[weights > 0]
            out[: len(why), i] = why
        return out


def _reasons(value):
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    count = arg.integer(value, "reasons")
    if not 0 <= count <= 100:
        raise ValueError(f"reasons is {count}, must be True, False or in [0, 100]")
    return count


def _sliceable(rows):
    """user_items of any form with a history each row."""
    rows = rows.user_items_view if isinstance(rows, _core.Interactions) else rows
    return rows.tocsr() if hasattr(rows, "tocsr") else np.asarray(rows)


def _known(catalogue, keys):
    found = catalogue.find(list(keys) if isinstance(keys, (set, frozenset)) else key_list(keys)[0])
    return found[found >= 0]


def _rows_of(given, count, name):
    """Rows start .. stop of what arg.lists reads; one list stands for all."""
    value = arg.lists(given, name)
    if not isinstance(value, tuple):
        return lambda start, stop: value
    offsets, flat = value
    if len(offsets) != count + 1:
        raise ValueError(f"{name} has {len(offsets) - 1} rows, must have one for each of the {count} users")

    def rows(start, stop):
        cut = np.asarray(offsets[start:stop + 1])
        return (cut - cut[0]).astype(np.int64), flat[cut[0]:cut[-1]]

    return rows


class _Names:
    """Names of item keys, by a Catalog or a mapping; a key without one stands for itself."""

    def __init__(self, names, catalogue):
        self._of = None
        if names is None:
            return
        if hasattr(names, "names_of"):
            catalogue.find(names.item_ids[:1])
            self._of = names.names_of
            return
        if not isinstance(names, Mapping) and hasattr(names, "to_dict"):  # a Series of pandas
            names = names.to_dict()
        if not isinstance(names, Mapping):
            raise TypeError(f"names is {arg.describe(names)}, must be a Catalog or a mapping from item key to name")
        catalogue.find(list(names))  # keys of the other kind are an error, not names that nobody finds
        self._of = lambda keys: [str(key) if _missing(names.get(key)) else str(names[key]) for key in keys]

    def __call__(self, keys, held):
        """str, and None where held is False."""
        out = np.full(len(keys), None, object)
        if held.any():
            out[held] = self._of(keys[held].tolist())
        return out


def _library(frame):
    """(name, module) of the frame's library; (None, None) for no frame."""
    if frame is None:
        return None, None
    if not isinstance(frame, str) or frame not in ("auto", "dict", *_FRAMES):
        raise ValueError(f"frame is {arg.describe(frame)}, must be 'auto', {', '.join(map(repr, _FRAMES))}, 'dict' or None")
    for name in _FRAMES if frame == "auto" else () if frame == "dict" else (frame,):
        try:
            return name, importlib.import_module(name)
        except ImportError as error:
            if frame != "auto":
                raise ImportError(f"frame={frame!r} needs {name}: pip install {name} (frame='dict' works without)") from error
    return "dict", None


def _file(path):
    path = os.fspath(path)
    if not isinstance(path, str):
        path = os.fsdecode(path)
    if not (files.is_csv(path) or files.is_parquet(path)):
        raise ValueError(f"path is {path!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet")
    return path


def _gather(blocks, empty, library, path):
    """The frame of all blocks, written on the way; `empty` is a block without rows, for the types of its columns."""
    name, module = library
    kept, rows = [empty], 0

    def through(write):
        nonlocal rows
        for part in blocks:
            if len(part["rank"]):
                write(part)
                rows += len(part["rank"])
                if name is not None:
                    kept.append(part)

    if path is None:
        through(lambda part: None)
    else:
        more = [c for c in empty if c not in ("user", "rank", "item", "score")]
        with files.RowWriter(path, False, list(empty), "path") as writer:
            through(lambda p: writer.write(p["user"], p["rank"], p["item"], p["score"], [], [p[c] for c in more]))
            writer.commit(empty["user"], empty["item"], [empty[c] for c in more])
    if name is None:
        return rows
    columns = {c: np.concatenate([part[c] for part in kept]) for c in empty}
    if name == "dict":
        return columns
    if name == "pandas":
        return module.DataFrame(columns)
    if name == "pyarrow":
        return module.table({c: module.array(a, module.string()) if a.dtype == object else a for c, a in columns.items()})
    return module.DataFrame({c: module.Series(c, a.tolist(), dtype=module.Utf8) if a.dtype == object else a for c, a in columns.items()})
