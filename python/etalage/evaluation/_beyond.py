# SPDX-License-Identifier: Apache-2.0
"""Measures of lists beyond their accuracy. Formulas, sources and when each misleads: docs/evaluation.md."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._arrays import asarray

BEYOND = ("novelty", "popularity", "popularity_bias", "gini", "diversity", "serendipity")
# Metrics of all lists together: no shopper has a value of their own.
OF_ALL_LISTS = ("coverage", "gini", "popularity_bias")

_PLACES = 1 << 20  # places of lists measured at a time
_ENTRIES = 1 << 22  # entries of item vectors added up at a time
_GRAM = 2048  # items whose inner products are held: 32 MB


def beyond_among(metrics: list[str]) -> list[str]:
    """Those of `metrics` that are measured here, each once; ValueError with every name there is for one that nobody measures."""
    for name in metrics:
        if not isinstance(name, str):
            raise TypeError(f"metrics holds {name!r}, must be names")
        if name not in BEYOND and name != "coverage":
            try:
                _core.metric_at_k(name, [0], [0], 1)
            except ValueError as e:
                raise ValueError(f"{e}, {', '.join(BEYOND)}") from None
    return [name for name in dict.fromkeys(metrics) if name in BEYOND]


def accuracy_among(metrics: list[str]) -> list[str]:
    """What the compiled evaluator is asked for; it needs one metric to find the users by."""
    return [name for name in metrics if name not in BEYOND] or (["hit_rate"] if metrics else [])


def gini(counts: np.ndarray) -> float:
    """Gini index of numbers >= 0: 0 where all are equal, (n - 1) / n where one of n has everything, nan where their sum is 0."""
    x = np.sort(np.asarray(counts, np.float64))
    total = x.sum()
    return float(((2 * np.arange(1, len(x) + 1) - len(x) - 1) * x).sum() / (len(x) * total)) if total > 0 else float("nan")


class BeyondAccuracy:
    """Adds up lists that come block by block, beside _core.RankingEvaluator.

    Every value is the expectation over all orders of items with equal scores, as for the metrics of accuracy: a group of g
    items of which the first k places hold n shows each of them with probability n / g, and two of them together with
    probability n (n - 1) / (g (g - 1)).

    seen      users x items, what train holds; popularity, novelty and the default vectors of items are counted in it
    test      users x items; relevant is an entry > 0 that, with hide_seen, `seen` does not hold
    users     the user of each row of lists, None: row j is user j
    features  see item_vectors()
    """

    def __init__(self, names: list[str], k: list[int], seen, test, *, hide_seen: bool, users=None, features=None) -> None:
        self._names, self._k = names, list(dict.fromkeys(k))
        held = _pattern(seen, np.ones(len(seen.data), bool))
        relevant = _pattern(test, test.data > 0)
        if hide_seen:
            relevant = sp.csr_matrix(relevant - relevant.multiply(held))
            relevant.eliminate_zeros()
        self._num_items = held.shape[1]
        self._users = np.arange(held.shape[0]) if users is None else np.asarray(users, np.int64)
        measured = np.diff(relevant.indptr)[self._users] > 0
        # Place of each row of lists among those of users with a relevant item, -1 for others.
        self._at = np.where(measured, np.cumsum(measured) - 1, -1)
        self._history = _pattern(seen, seen.data != 0)
        self._count = np.bincount(self._history.indices, minlength=self._num_items).astype(np.float64)
        num_users = max(int((np.diff(self._history.indptr) > 0).sum()), 1)
        self._information = np.log2(num_users / np.maximum(self._count, 1.0))
        # 1 for the items with most users, 2 for those with the next number, ...; behind all items where nobody has it.
        _, place = np.unique(-self._count, return_inverse=True)
        self._rank = np.where(self._count > 0, place.ravel() + 1, self._num_items + 1).astype(np.float64)
        relevant.sort_indices()
        row = np.repeat(np.arange(held.shape[0], dtype=np.int64), np.diff(relevant.indptr))
        self._relevant = row * self._num_items + relevant.indices
        if "diversity" in names:
            self._vectors = item_vectors(features, self._history)
            self._squares = _dot(self._vectors, self._vectors)
        self._shown = {length: np.zeros(self._num_items) for length in self._k}
        self._values = {f"{n}@{length}": np.zeros(int(measured.sum())) for n in ("popularity", *names) for length in self._k}

    def add(self, rows, items, scores=None) -> None:
        """Lists of users[rows]: items [n x places], -1 where a list ends; scores [n x places] do not rise along a list, None: no
        ties. The evaluator beside has checked them."""
        keep = self._at[rows] >= 0
        rows, items = np.asarray(rows)[keep], np.asarray(items)[keep]
        scores = None if scores is None else np.asarray(scores)[keep]
        at_once = max(_PLACES // max(items.shape[1], 1), 1)
        for j in range(0, len(rows) if items.shape[1] else 0, at_once):
            self._add(rows[j : j + at_once], items[j : j + at_once], None if scores is None else scores[j : j + at_once])

    def _add(self, rows: np.ndarray, items: np.ndarray, scores) -> None:
        listed = np.cumsum(items < 0, axis=1) == 0
        items = np.where(listed, items, 0).astype(np.int64)
        begin, end = _tie_groups(listed, scores)
        lengths, at = listed.sum(axis=1), self._at[rows]
        for k in self._k:
            share = np.where(listed, np.clip((k - begin) / (end - begin), 0.0, 1.0), 0.0)
            n = np.minimum(lengths, k)
            self._shown[k] += np.bincount(items.ravel(), share.ravel(), minlength=self._num_items)
            per_place = np.maximum(n, 1)
            self._values[f"popularity@{k}"][at] = (share * self._count[items]).sum(axis=1) / per_place
            if "novelty" in self._names:
                self._values[f"novelty@{k}"][at] = (share * self._information[items]).sum(axis=1) / per_place
            if "serendipity" in self._names:
                self._values[f"serendipity@{k}"][at] = self._serendipity(rows, items, listed, begin, end, k)
            if "diversity" in self._names:
                self._values[f"diversity@{k}"][at] = self._diversity(items, listed, share, begin, end, n, k)

    def _serendipity(self, rows, items, listed, begin, end, k: int) -> np.ndarray:
        asked = self._users[rows][:, None] * self._num_items + items
        place = np.minimum(np.searchsorted(self._relevant, asked), len(self._relevant) - 1)
        hit = listed & (self._relevant[place] == asked) & (begin < k)
        # The sum over ranks r = begin + 1 .. last of max(R - r, 0), as a difference of triangular numbers.
        rank, last = self._rank[items], np.minimum(end, k)
        over = _triangle(rank - 1 - begin) - _triangle(rank - 1 - last)
        return np.where(hit, over / (end - begin), 0.0).sum(axis=1) / (self._num_items * k)

    def _diversity(self, items, listed, share, begin, end, n, k: int) -> np.ndarray:
        whole = share == 1.0
        cut = (share > 0.0) & ~whole  # at most one group a list
        out = np.zeros(len(items))
        factor, squares, place, is_gram = self._factor(np.unique(items[whole | cut]))
        items = place[items]
        costs = np.diff(factor.indptr) if sp.issparse(factor) else np.full(factor.shape[0], factor.shape[1])
        cost = np.where(whole | cut, costs[items], 0).sum(axis=1) if len(costs) else np.zeros(len(items), np.int64)
        for part in np.split(np.arange(len(items)), np.flatnonzero(np.diff(np.cumsum(cost) // _ENTRIES)) + 1):
            members = [_members(items[part], mask[part], factor.shape[0]) for mask in (whole, cut)]
            sums = [m @ factor for m in members]
            others = members if is_gram else sums
            size = np.where(cut[part], end[part] - begin[part], 0).max(axis=1)
            shown = np.where(size > 0, k - np.where(cut[part], begin[part], 0).max(axis=1), 0)
            both = shown * (shown - 1) / np.maximum(size * (size - 1), 1)
            cosines = (_dot(sums[0], others[0]) - members[0] @ squares) / 2 + shown / np.maximum(size, 1) * _dot(sums[0], others[1])
            cosines += both * (_dot(sums[1], others[1]) - members[1] @ squares) / 2
            pairs = n[part] * (n[part] - 1) / 2
            out[part] = np.where(pairs > 0, 1.0 - cosines / np.maximum(pairs, 1), 0.0)
        return np.maximum(out, 0.0)  # a mean cosine is at most 1, but for rounding

    def _factor(self, listed: np.ndarray):
        """(factor, squares, row of each item in them, whether the factor is the matrix of all inner products). Few items with
        long vectors, bestsellers above all, are cheaper by their inner products."""
        length = self._vectors[listed].nnz / max(len(listed), 1) if sp.issparse(self._vectors) else self._vectors.shape[1]
        if len(listed) == 0 or len(listed) > min(length, _GRAM):
            return self._vectors, self._squares, np.arange(self._num_items), False
        vectors = self._vectors[listed]
        gram = sp.csr_matrix(vectors) @ vectors.T  # a dense product may have other bits with another number of threads
        place = np.zeros(self._num_items, np.int64)
        place[listed] = np.arange(len(listed))
        return gram.toarray() if sp.issparse(gram) else gram, self._squares[listed], place, True

    def _bias(self, k: int) -> float:
        """Listed popularity of users with history over the popularity of what they have, minus 1."""
        lengths = np.diff(self._history.indptr)
        users = self._users[self._at >= 0]
        known = lengths[users] > 0
        if not known.any():
            return float("nan")
        own = (self._history @ self._count)[users[known]] / lengths[users[known]]
        return float(self._values[f"popularity@{k}"][known].mean() / own.mean() - 1.0)

    def column(self, name: str, k: int):
        """(value, float64 [users] or None where users have no value of their own)."""
        if name == "gini":
            return gini(self._shown[k]), None
        if name == "popularity_bias":
            return self._bias(k), None
        values = self._values[f"{name}@{k}"]
        return float(values.mean()), values

    def joined(self, core, metrics: list[str], seconds: float = 0.0):
        """The compiled evaluation with these metrics beside its own, in the order of `metrics`, and `seconds` more."""
        names, values, per_user, *rest = core.__getstate__()
        known = {n: (v, p) for n, v, p in zip(names, values, per_user)}
        names = list(dict.fromkeys(f"{m}@{k}" for m in metrics for k in self._k))
        columns = [self.column(m, int(k)) if m in BEYOND else known[f"{m}@{k}"] for m, _, k in (n.rpartition("@") for n in names)]
        rest[-1] += seconds
        out = _core.Evaluation.__new__(_core.Evaluation)
        out.__setstate__((names, [float(v) for v, _ in columns], [np.empty(0) if p is None else p for _, p in columns], *rest))
        return out


class Together:
    """_core.RankingEvaluator and BeyondAccuracy as one: each list is asked for once."""

    def __init__(self, measure, beyond: BeyondAccuracy, metrics: list[str]) -> None:
        self._measure, self._beyond, self._metrics = measure, beyond, metrics

    def add(self, rows, items, scores=None) -> None:
        self._measure.add(rows, items, scores)
        self._beyond.add(rows, items, scores)

    def finish(self):
        return self._beyond.joined(self._measure.finish(), self._metrics)


def item_vectors(features, history):
    """Unit vectors of items, float64 [items x d], sparse or dense; a row of zeros where nothing is known of an item.

    features: None: the columns of train, one entry a user who has the item; a dense or sparse matrix [items x d]; or a Catalog in
    the order of the items: its vectors, or its categories with all that lie above them where it has no vectors.
    """
    num_items = history.shape[1]
    if features is None:
        vectors = history.T.tocsr()
    elif isinstance(features, _core.Catalog):
        vectors = _catalog_vectors(features, num_items)
    elif sp.issparse(features):
        vectors = sp.csr_matrix(features, dtype=np.float64, copy=True)
        vectors.sum_duplicates()
    else:
        vectors = asarray(features, "item_features")
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiub":
            raise TypeError(f"item_features is {vectors.dtype} with {vectors.ndim} dimensions, must be numbers [items x d], or a Catalog")
        vectors = vectors.astype(np.float64)
    if vectors.shape[0] != num_items:
        raise ValueError(f"item_features has {vectors.shape[0]} rows, must have one for each of the {num_items} items")
    if not np.isfinite(vectors.data if sp.issparse(vectors) else vectors).all():
        raise ValueError("item_features holds values that are not finite, must be finite numbers")
    # The largest entry first, so that squares neither overflow nor vanish.
    for of_row in (_largest, lambda v: np.sqrt(_dot(v, v))):
        length = of_row(vectors)
        length[length == 0] = 1.0
        if sp.issparse(vectors):
            vectors.data /= np.repeat(length, np.diff(vectors.indptr))
        else:
            vectors = vectors / length[:, None]
    return vectors


def _catalog_vectors(catalog, num_items: int):
    vectors = np.asarray(catalog.vectors)
    if vectors.ndim == 2 and vectors.shape[1]:
        return vectors[:num_items].astype(np.float64)
    paths = [[tuple(path[: j + 1]) for j in range(len(path))] for path in catalog.categories[:num_items]]
    if not any(paths):
        raise ValueError("item_features is a Catalog without vectors and categories, must have one of them")
    place = {name: j for j, name in enumerate(sorted(set().union(*paths)))}
    columns = [place[name] for of_item in paths for name in of_item]
    indptr = np.concatenate([[0], np.cumsum([len(p) for p in paths])])
    return sp.csr_matrix((np.ones(len(columns)), columns, indptr), (len(paths), len(place)))


def _pattern(matrix, keep: np.ndarray):
    """1 where `keep` marks an entry, float64, each pair once."""
    out = sp.csr_matrix((keep.astype(np.float64), matrix.indices, matrix.indptr), matrix.shape, copy=True)
    out.sum_duplicates()
    out.eliminate_zeros()
    out.data[:] = 1.0
    return out


def _tie_groups(listed: np.ndarray, scores):
    """(begin, end) of the group of equal scores at each place: places begin .. end - 1."""
    width = listed.shape[1]
    places = np.arange(width)
    starts = np.ones(listed.shape, bool)
    if scores is not None:
        starts[:, 1:] = (scores[:, 1:] != scores[:, :-1]) | (listed[:, 1:] != listed[:, :-1])
    begin = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    ends = np.concatenate([starts[:, 1:], np.ones((len(listed), 1), bool)], axis=1)
    end = np.minimum.accumulate(np.where(ends, places + 1, width)[:, ::-1], axis=1)[:, ::-1]
    return begin, end


def _members(items: np.ndarray, mask: np.ndarray, num_items: int):
    """1 at the items in `mask`, lists x items."""
    chosen = items[mask]
    return sp.csr_matrix((np.ones(len(chosen)), chosen, np.concatenate([[0], np.cumsum(mask.sum(axis=1))])), (len(items), num_items))


def _triangle(m: np.ndarray) -> np.ndarray:
    m = np.maximum(m, 0.0)
    return m * (m + 1) / 2


def _largest(vectors) -> np.ndarray:
    largest = abs(vectors).max(axis=1) if vectors.shape[1] else np.zeros(vectors.shape[0])
    return np.asarray(largest.todense() if sp.issparse(largest) else largest, np.float64).ravel()


def _dot(a, b) -> np.ndarray:
    """Inner products of rows."""
    if sp.issparse(b):
        return np.asarray(b.multiply(a).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", a, b)
