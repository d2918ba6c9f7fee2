# SPDX-License-Identifier: Apache-2.0
"""Asking models for the lists that are measured; where the cut lies in a tie, for longer ones until it ends."""

from __future__ import annotations

import inspect

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._arrays import whole_number

_BLOCK = 4096
_PLACES = 1 << 22  # places of long lists held at a time


def history_rows(history, shape):
    """What the compiled evaluator gives a model as history, as rows of users; those of Sequences keep their order, and their times
    where they have some: `times` holds them as a matrix of the same rows."""
    if isinstance(history, _core.Interactions):
        return history.user_items_view
    users = np.arange(len(history)) if history.user_index is None else history.user_index
    within = users < shape[0]
    lengths = np.zeros(shape[0], np.int64)
    lengths[users[within]] = np.diff(history.offsets)[within]
    order = np.argsort(users[within], kind="stable")
    offsets, items = history.offsets, history.items
    lists = [items[offsets[s] : offsets[s + 1]] for s in np.flatnonzero(within)[order]]
    rows = sp.csr_matrix(shape, dtype=np.float32)
    # Set piece by piece: scipy must not sort the lists.
    rows.indices = np.concatenate(lists) if lists else np.empty(0, np.int32)
    rows.indptr, rows.data = np.concatenate([[0], np.cumsum(lengths)]), np.ones(len(rows.indices), np.float32)
    rows.ordered = True
    if history.times is not None:
        rows.times = sp.csr_matrix(shape, dtype=np.int64)
        times = [history.times[offsets[s] : offsets[s + 1]] for s in np.flatnonzero(within)[order]]
        rows.times.data = np.concatenate(times).astype(np.int64) if times else np.empty(0, np.int64)
        rows.times.indices, rows.times.indptr = rows.indices, rows.indptr
    return rows


def ask_own(measure, core, rows, users, k: int, filter_seen: bool, recalculate_user: bool, num_threads: int) -> None:
    """Lists of a model of etalage; where place k lies in a tie it is asked again for more, until the tie ends."""
    num_items = rows.shape[1]
    ordered = hasattr(rows, "ordered")

    def ask(asked: np.ndarray, places: int) -> np.ndarray:
        history = rows[asked]
        if ordered:
            history.ordered = True
            if hasattr(rows, "times"):
                history.times = rows.times[asked].data
        items, scores = core.recommend(asked, history, None, places, filter_seen, recalculate_user, None, None, False, whole_number(num_threads, "num_threads"))
        unseen = np.zeros(len(asked), bool)
        if k < places < num_items:
            unseen = (items[:, places - 1] >= 0) & (scores[:, places - 1] == scores[:, k - 1])
        measure.add(asked[~unseen], items[~unseen], scores[~unseen])
        return asked[unseen]

    places = min(k + 1, num_items)
    for begin in range(0, len(users), max(_PLACES // max(places, 1), 1)):
        asked, wide = users[begin : begin + max(_PLACES // max(places, 1), 1)], places
        while True:
            at_once = max(_PLACES // max(wide, 1), 1)
            asked = np.concatenate([ask(asked[j : j + at_once], wide) for j in range(0, len(asked), at_once)])
            if not len(asked):
                break
            wide = min(8 * wide, num_items)


def ask_foreign(measure, model, user_items, k: int, filter_seen: bool) -> None:
    """Lists of a model that speaks implicit's words, whatever it pads with. Where place k lies in a tie, it is asked again for
    more, until the tie ends."""
    try:
        known = inspect.signature(model.recommend).parameters
    except (TypeError, ValueError):
        known = {"N": None, "filter_already_liked_items": None}
    any_name = any(getattr(p, "kind", None) is inspect.Parameter.VAR_KEYWORD for p in known.values())
    length = "k" if "k" in known and "N" not in known else "N"
    options = {}
    if any_name or "filter_already_liked_items" in known:
        options["filter_already_liked_items"] = filter_seen
    # Foreign code may write to what it is given.
    rows = user_items.copy()
    num_users, num_items = rows.shape

    def ask(users: np.ndarray, places: int) -> np.ndarray:
        """Measures the users whose lists `places` show whole, and returns the others."""
        answer = model.recommend(users, rows[users], **{length: places}, **options)
        items, scores = answer if isinstance(answer, tuple) else (answer, None)
        items = np.array(items)[:, :places]
        levels = None
        unseen = np.zeros(len(users), bool)
        if scores is not None:
            scores = np.asarray(scores)[:, : items.shape[1]]
            # Some libraries pad with an id and the lowest float, and return filtered items behind it.
            items[scores <= np.finfo(np.float32).min] = -1
        items[np.cumsum(items < 0, axis=1) > 0] = -1
        if scores is not None:
            # A library may order by more than it says: only neighbours that are equal tie.
            levels = np.zeros(items.shape, np.float32)
            levels[:, 1:] = -np.cumsum(scores[:, 1:] != scores[:, :-1], axis=1)
            if items.shape[1] == places and k < places < num_items:
                unseen = (items[:, -1] >= 0) & (levels[:, -1] == levels[:, k - 1])
        if items.shape[1] < min(k, num_items):
            missing = min(k, num_items) - items.shape[1]
            items = np.pad(items, ((0, 0), (0, missing)), constant_values=-1)
            levels = None if levels is None else np.pad(levels, ((0, 0), (0, missing)), constant_values=-np.inf)
        measure.add(users[~unseen], items[~unseen], None if levels is None else levels[~unseen])
        return users[unseen]

    for begin in range(0, num_users, _BLOCK):
        users = np.arange(begin, min(begin + _BLOCK, num_users), dtype=np.int32)
        places = min(k + 1, num_items)
        users = ask(users, places)
        while len(users):
            places = min(8 * places, num_items)
            at_once = max(_PLACES // places, 1)
            users = np.concatenate([ask(users[j : j + at_once], places) for j in range(0, len(users), at_once)])
