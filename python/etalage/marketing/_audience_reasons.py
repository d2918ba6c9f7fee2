# SPDX-License-Identifier: Apache-2.0
"""Why each shopper is in an audience."""

from __future__ import annotations

import numpy as np

from .._arrays import asarray
from ._audience_scores import model_scores

_MOST = 3  # reasons of one shopper


def reasons_of(model, who, places, items, similarity, seeds, combine, contributions):
    """A function that gives a list of at most three (what, weight) for each place."""
    if contributions is not None:
        names, table = _checked(contributions, who.count)
        return lambda: _largest(names, table[places])
    if similarity is not None:
        return lambda: _like_seeds(model, who.rows(places), seeds, similarity)
    if items is not None and model is not None:
        return lambda: _by_history(model, who.rows(places), items)
    return lambda: [[] for _ in places]


def _checked(contributions, count):
    if not hasattr(contributions, "items"):
        raise TypeError(f"contributions is a {type(contributions).__name__}, must be a dict of features to numbers [users]")
    columns = []
    for name, values in contributions.items():
        values = asarray(values, f"contributions[{name!r}]")
        if values.shape != (count,) or values.dtype.kind not in "fiu":
            raise ValueError(f"contributions[{name!r}] has dtype {values.dtype} and shape {values.shape}, must be numbers ({count},)")
        bad = np.flatnonzero(np.isnan(values)) if values.dtype.kind == "f" else ()
        if len(bad):
            raise ValueError(f"contributions[{name!r}][{bad[0]}] is nan, must be a number")
        columns.append(values.astype(np.float64))
    if not columns:
        raise ValueError("contributions is empty, must hold at least one feature")
    return list(contributions), np.stack(columns, axis=1)


def _largest(names, table):
    """For each row the names of its largest values above 0."""
    order = np.argsort(-table, axis=1, kind="stable")[:, :_MOST]
    return [[(names[j], float(row[j])) for j in js if row[j] > 0] for row, js in zip(table, order)]


def _by_history(model, rows, items):
    """The products of a shopper's history that speak most for the one of items that suits them best."""
    if model.user_items is None:
        return [[] for _ in rows]
    keys = model.item_ids
    name = (lambda i: int(i)) if keys is None else (lambda i: keys[i])
    target = np.full(len(rows), items[0])
    if len(items) > 1:
        top = np.full(len(rows), -np.inf, np.float32)
        for i in items:
            score = model_scores(model, rows, np.array([i], np.int32), "max")
            target[score > top], top = i, np.maximum(score, top)
    out = []
    for row, item in zip(rows, target):
        try:
            _, history, weights = model.explain(int(row), None, int(item), _MOST)
        except NotImplementedError:
            return [[] for _ in rows]
        out.append([(name(i), float(w)) for i, w in zip(history, weights) if w > 0])
    return out


def _like_seeds(model, rows, seeds, similarity):
    """The nearest seeds by factors, or the products shared with most seeds, as a share of the seeds."""
    if similarity == "factors":
        def unit(part):
            part = np.asarray(part, np.float64)
            length = np.linalg.norm(part, axis=1, keepdims=True)
            return part / np.where(length == 0, 1, length)

        keys = seeds.tolist() if model.user_ids is None else list(model._fitted().user_ids.at(seeds))
        centre, out = unit(model.user_factors[seeds]), []
        for begin in range(0, len(rows), 1024):
            out += _largest(keys, unit(model.user_factors[rows[begin:begin + 1024]]) @ centre.T)
        return out
    history = model.user_items
    held = np.asarray((history[seeds] > 0).mean(axis=0)).ravel()
    keys, out = model.item_ids, []
    for row in rows:
        mine = np.sort(history.indices[history.indptr[row]:history.indptr[row + 1]])
        best = mine[np.argsort(-held[mine], kind="stable")][:_MOST]
        out.append([(int(i) if keys is None else keys[i], float(held[i])) for i in best if held[i] > 0])
    return out
