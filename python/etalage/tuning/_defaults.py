# SPDX-License-Identifier: Apache-2.0
"""Settings to start with, from the size and shape of the data alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core


@dataclass(frozen=True)
class DataShape:
    """What the rules look at."""

    users: int
    items: int
    pairs: int                # distinct (user, item), or events of sequences
    mean_length: float        # pairs a user with any
    item_mean: float          # pairs an item with any
    binary: bool              # every value is 1

    @property
    def density(self) -> float:
        return self.pairs / max(1, self.users * self.items)


def shape_of(data) -> DataShape:
    """The shape of Interactions, a CSR matrix, Sequences or an EventLog."""
    if isinstance(data, _core.EventLog):
        data = data.interactions()
    if isinstance(data, _core.Sequences):
        offsets, items = np.asarray(data.offsets), np.asarray(data.items)
        lengths, counts = np.diff(offsets), np.bincount(items, minlength=data.num_items)
        users, values = len(lengths), None
    else:
        rows = data.user_items if isinstance(data, _core.Interactions) else data.tocsr()
        lengths, counts = np.diff(rows.indptr), np.bincount(rows.indices, minlength=rows.shape[1])
        users, values = rows.shape[0], rows.data
    pairs = int(lengths.sum())
    return DataShape(users, len(counts), pairs, pairs / max(1, int((lengths > 0).sum())), pairs / max(1, int((counts > 0).sum())),
                     values is None or bool(np.all(values == 1)))


def _als(s: DataShape) -> dict:
    # Rank grows with what there is to fit; the weight of the unobserved with how dense the matrix is (docs/tuning.md).
    factors = 256 if s.pairs >= 600_000 else 128 if s.pairs >= 150_000 else 64
    weight = min(1.0, max(0.01, 0.02 * (s.density / 1e-3) ** (4 / 3)))
    return {"factors": max(1, min(factors, s.items, s.users)), "unobserved_weight": weight, "alpha": weight, "nu": 1.0,
            "regularization": 0.004, "iterations": 14}


def _item_knn(s: DataShape) -> dict:
    # Where matrices are dense, weights of popular items and long rows matter most; where they are sparse, heavy users do.
    if s.density >= 4e-3:
        return {"similarity": "bm25", "num_neighbors": 500, "shrinkage": 1.0, "asymmetry": 0.65, "user_damping": 0.65, "popularity_penalty": 0.1}
    return {"num_neighbors": 500, "shrinkage": 3.0, "asymmetry": 0.8, "user_damping": 0.9}


_RULES = {"ALS": _als, "ItemKNN": _item_knn}


def defaults(model, data) -> dict:
    """Parameters to start with for this model (an instance, a class or a name) on this data; a subset of them, by name.

    Rules and the evidence behind them are in docs/tuning.md. Models without a rule start from their constructor's defaults,
    which fit any size.
    """
    kind = model if isinstance(model, str) else model._kind
    return dict(_RULES[kind](shape_of(data))) if kind in _RULES else {}
