# SPDX-License-Identifier: Apache-2.0
"""The table of models under the contract: a model adds a constructor and says what it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

import numpy as np
import scipy.sparse as sp

import etalage

N = 50


def checkerboard(n=N):
    """User u bought every other item, those of their own parity, but not item u: for u that is the one right answer."""
    rows = np.zeros((n, n), np.float32)
    rows[::2, ::2] = rows[1::2, 1::2] = 1
    np.fill_diagonal(rows, 0)
    return sp.csr_matrix(rows)


def keyed(rows):
    """Interactions whose keys are "user-3" and 1003."""
    users = [f"user-{u}" for u in range(rows.shape[0])]
    return etalage.Interactions.from_csr(rows, user_ids=users, item_ids=np.arange(1000, 1000 + rows.shape[1]))


@dataclass
class Case:
    name: str
    make: Callable
    personal: bool = True  # finds the held-out item
    all_similar: bool = True  # similar_items ranks every other item, not only those that share a user
    matrices: bool = True  # fits on Interactions and matrices as they are
    lacks: frozenset = field(default_factory=frozenset)

    def has(self, call):
        return call not in self.lacks

    def fit(self, data, **options):
        return self.make(**options).fit(data)


class FactorVectors:
    """Vectors fitted on a matrix, through a small SVD, so that the contract can hand it data like any model."""

    def __init__(self, **options):
        self.options = options

    def fit(self, data):
        rows = data.user_items if hasattr(data, "user_items") else sp.csr_matrix(data, dtype=np.float32)
        dense = rows.toarray()
        u, s, vt = np.linalg.svd(dense, full_matrices=False)
        keys = {} if data is rows or not hasattr(data, "user_items") else {
            "user_items": data, "user_ids": data.user_ids, "item_ids": data.item_ids}
        return etalage.models.Vectors(**self.options).fit(u[:, :2] * s[:2], vt[:2].T, **keys)


class InOrder:
    """A model on Sequences, handed a matrix as lists of ascending items, gone through so many times."""

    def __init__(self, model, laps):
        self.model, self.laps = model, laps

    def fit(self, data):
        if not (sp.issparse(data) or isinstance(data, (np.ndarray, etalage.Interactions))):
            return self.model.fit(data)
        rows = sp.csr_matrix(data.user_items if hasattr(data, "user_items") else data, dtype=np.float32)
        if not np.isfinite(rows.data).all():
            raise ValueError("data holds nan or inf, must be finite")
        rows.sum_duplicates()
        keys = {} if not hasattr(data, "user_items") else {"user_ids": data.user_ids, "item_ids": data.item_ids}
        lists = [np.tile(rows.indices[b:e], self.laps) for b, e in zip(rows.indptr, rows.indptr[1:])]
        sequences = etalage.Sequences(rows.indptr * self.laps, np.concatenate([[], *lists]).astype(np.int32),
                                      num_items=rows.shape[1], **keys)
        return self.model.fit(sequences, keep_history=bool(keys))


def in_order(name, laps=1, **options):
    return lambda **o: InOrder(getattr(etalage.models, name)(**options, **o), laps)


NO_PARTS = frozenset({"similar_users", "partial_fit"})

CASES = [
    Case("ALS-cg", lambda **o: etalage.models.ALS(factors=2, iterations=15, seed=1, **o)),
    Case("ALS-cholesky", lambda **o: etalage.models.ALS(factors=2, iterations=15, solver="cholesky", seed=1, **o)),
    Case("ALS-subspace", lambda **o: etalage.models.ALS(factors=2, iterations=15, solver="subspace", seed=1, **o)),
    Case("EASE", lambda **o: etalage.models.EASE(l2=5, **o), lacks=frozenset({"similar_users", "partial_fit"})),
    Case("EASE-approximate", lambda **o: etalage.models.EASE(l2=5, method="approximate", num_candidates=40, **o), all_similar=False,
         lacks=frozenset({"similar_users", "partial_fit"})),
    Case("SLIM", lambda **o: etalage.models.SLIM(l1=0, l2=5, **o), all_similar=False,
         lacks=frozenset({"similar_users", "partial_fit"})),
    Case("BPR", lambda **o: etalage.models.BPR(factors=8, learning_rate=0.1, epochs=100, seed=1, **o),
         lacks=frozenset({"partial_fit"})),
    Case("FeatureALS", lambda **o: etalage.models.FeatureALS(factors=2, iterations=15, seed=1, **o),
         lacks=frozenset({"partial_fit"})),
    Case("ItemKNN", lambda **o: etalage.models.ItemKNN(**o), all_similar=False, lacks=frozenset({"similar_users", "partial_fit"})),
    Case("ItemKNN-bm25", lambda **o: etalage.models.ItemKNN(num_neighbors=30, similarity="bm25", shrinkage=1, asymmetry=0.4, **o),
         all_similar=False, lacks=frozenset({"similar_users", "partial_fit"})),
    Case("Item2Vec", in_order("Item2Vec", factors=16, window=25, subsample=0.0), matrices=False, lacks=NO_PARTS),
    Case("P3alpha", lambda **o: etalage.models.P3alpha(**o), all_similar=False, lacks=frozenset({"similar_users", "partial_fit"})),
    Case("Blend", lambda **o: etalage.models.Blend([
        ("filter", etalage.models.GraphFilter(low_pass_factors=4, **o)), ("als", etalage.models.ALS(factors=2, seed=1, **o))],
        method="zscore", candidates=N, **o), lacks=frozenset({"similar_users", "partial_fit"})),
    Case("Blend-rank", lambda **o: etalage.models.Blend([
        ("filter", etalage.models.GraphFilter(low_pass_factors=0, **o)), ("als", etalage.models.ALS(factors=2, seed=1, **o))],
        candidates=N, **o), lacks=frozenset({"similar_users", "partial_fit"})),
    Case("GraphFilter", lambda **o: etalage.models.GraphFilter(low_pass_factors=4, **o),
         lacks=frozenset({"partial_fit"})),
    Case("GraphFilter-chebyshev", lambda **o: etalage.models.GraphFilter.preset(
        "cheby_cf", order=4, beta=0.2, factors=2, **o), lacks=frozenset({"partial_fit"})),
    Case("Popularity", lambda **o: etalage.models.Popularity(**{k: v for k, v in o.items() if k != "num_threads"}),
         personal=False, lacks=frozenset({"similar_items", "similar_users"})),
    Case("RP3beta", lambda **o: etalage.models.RP3beta(beta=0.2, normalize=True, **o), all_similar=False,
         lacks=frozenset({"similar_users", "partial_fit"})),
    Case("LinearSequence", in_order("LinearSequence", backward=1.0, decay=0.0, window=N, query_decay=0.0), matrices=False, lacks=NO_PARTS),
    Case("RepeatPurchase", in_order("RepeatPurchase"), personal=False, matrices=False, lacks=NO_PARTS | {"similar_items"}),
    Case("SequentialRules", in_order("SequentialRules", laps=2, max_gap=N), matrices=False, lacks=NO_PARTS),
    Case("SessionKNN", in_order("SessionKNN"), matrices=False, lacks=NO_PARTS),
    Case("Transitions", in_order("Transitions"), matrices=False, lacks=NO_PARTS),
    Case("Vectors", FactorVectors, matrices=False, lacks=frozenset({"explain"})),
    Case("Vectors-cosine", lambda **o: FactorVectors(metric="cosine", **o), matrices=False, lacks=frozenset({"explain"})),
    Case("UserKNN", lambda **o: etalage.models.UserKNN(**o), all_similar=False, lacks=frozenset({"partial_fit"})),
    Case("UserKNN-tfidf", lambda **o: etalage.models.UserKNN(similarity="tfidf", shrinkage=1, item_damping=0.3, normalize=True, **o),
         all_similar=False, lacks=frozenset({"partial_fit"})),
    Case("WARP", lambda **o: etalage.models.WARP(factors=8, regularization=0.1, max_trials=1, seed=1, **o),
         lacks=frozenset({"partial_fit"})),
]
