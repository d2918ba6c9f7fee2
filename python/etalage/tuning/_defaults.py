# SPDX-License-Identifier: Apache-2.0
"""Settings to start with, from the size and shape of the data alone."""

from __future__ import annotations

import math
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
        """Share of all (user, item) pairs that are there."""
        return self.pairs / max(1, self.users * self.items)

    @property
    def dense(self) -> bool:
        """Where popular items and long rows overlap so much that what is common says little."""
        return self.density >= 4e-3

    @property
    def row_mean(self) -> float:
        """Pairs a row of factors, of users and items alike."""
        return self.pairs / max(1, self.users + self.items)

    @property
    def short(self) -> bool:
        """Where rows hold so little that what is common is the best guess."""
        return not self.dense and self.row_mean < 6


def shape_of(data) -> DataShape:
    """The shape of Interactions, a CSR matrix, Sequences or an EventLog."""
    if isinstance(data, _core.EventLog):
        data = data.interactions()
    if isinstance(data, _core.Sequences):
        offsets, items = np.asarray(data.offsets), np.asarray(data.items)
        lengths, counts = np.diff(offsets), np.bincount(items, minlength=data.num_items)
        users, values = len(lengths), None
    else:
        rows = data.user_items_view if isinstance(data, _core.Interactions) else data.tocsr()
        lengths, counts = np.diff(rows.indptr), np.bincount(rows.indices, minlength=rows.shape[1])
        users, values = rows.shape[0], rows.data
    pairs = int(lengths.sum())
    return DataShape(users, len(counts), pairs, pairs / max(1, int((lengths > 0).sum())), pairs / max(1, int((counts > 0).sum())),
                     values is None or bool(np.all(values == 1)))


def _als(s: DataShape) -> dict:
    # Rank grows with what there is to fit; the weight of the unobserved with how dense the matrix is (docs/tuning.md).
    factors = 256 if s.pairs >= 600_000 else 128 if s.pairs >= 150_000 else 64
    weight = min(1.0, max(0.01, 0.02 * (s.density / 1e-3) ** (4 / 3)))
    # The ridge of a mean row is about a third of its pairs, more where items have too few users to be told apart.
    ridge = 0.35 * s.density / max(weight, 0.02) * max(1.0, 8 / max(s.item_mean, 1e-9))
    return {"factors": max(1, min(factors, s.items, s.users)), "unobserved_weight": weight, "alpha": weight, "nu": 1.0,
            "regularization": round(min(0.06, max(0.002, ridge)), 4), "iterations": 14}


def _item_knn(s: DataShape) -> dict:
    # Where matrices are dense, weights of popular items and long rows matter most; where they are sparse, heavy users do.
    if s.dense:
        return {"similarity": "bm25", "num_neighbors": 500, "shrinkage": 1.0, "asymmetry": 0.65, "user_damping": 0.65, "popularity_penalty": 0.1}
    if s.short:
        return {"num_neighbors": 500, "shrinkage": 10.0, "asymmetry": 0.8, "user_damping": 0.5}
    return {"num_neighbors": 500, "shrinkage": 3.0, "asymmetry": 0.8, "user_damping": 0.9}


def _sgd_factors(s: DataShape) -> int:
    return max(1, min(128 if s.pairs >= 400_000 else 64, s.items, s.users))


def _bpr(s: DataShape) -> dict:
    # The fewer pairs a row has to learn from, the more it is held back.
    return {"factors": _sgd_factors(s), "num_candidates": 16, "item_bias": True, "epochs": 30,
            "regularization": round(min(0.1, max(0.02, 0.24 / max(s.row_mean, 1e-9))), 4)}


def _warp(s: DataShape) -> dict:
    factors = _sgd_factors(s)
    held_back = 0.1 * (8 / max(s.row_mean, 1e-9)) ** 0.7 * (max(64, factors) / 64) ** 0.5
    return {"factors": factors, "max_trials": 64, "num_violators": 8, "item_bias": True, "epochs": 30,
            "regularization": round(min(0.3, max(0.02, held_back)), 4)}


def _ease(s: DataShape) -> dict:
    return {"l2": 200.0 if s.dense else 100.0}


def _p3alpha(s: DataShape) -> dict:
    return {"alpha": 1.2 if s.dense else 0.6 if s.short else 0.8}


def _rp3beta(s: DataShape) -> dict:
    # Popularity is divided out the more, the denser the matrix; less so where items have too few users to be told apart.
    beta = 0.16 * math.log(max(s.density, 1e-9) / 2.5e-4) * min(1.0, s.item_mean / 8)
    return {"alpha": 0.6 if s.short else 0.7, "beta": round(min(0.6, max(0.0, beta)), 3), "num_neighbors": 2000 if s.dense else 500}


def _graph_filter(s: DataShape) -> dict:
    if s.dense:
        return {"history_exponent": 0.4, "sharpen_weight": 0.8}
    # Singular vectors of short rows are noise.
    return {"history_exponent": 0.5, "user_exponent": 0.5, "item_exponent": 0.0, "sharpen_weight": 0.15} if s.short else {}


_RULES = {"ALS": _als, "BPR": _bpr, "EASE": _ease, "GraphFilter": _graph_filter, "ItemKNN": _item_knn, "P3alpha": _p3alpha, "RP3beta": _rp3beta, "WARP": _warp}


def defaults(model, data) -> dict:
    """Parameters to start with for this model (an instance, a class or a name) on this data; a subset of them, by name.

    Rules and the evidence behind them are in docs/tuning.md. Models without a rule start from their constructor's defaults,
    which fit any size.
    """
    kind = model if isinstance(model, str) else model._kind
    return dict(_RULES[kind](shape_of(data))) if kind in _RULES else {}
