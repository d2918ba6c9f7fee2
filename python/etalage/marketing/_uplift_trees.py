# SPDX-License-Identifier: Apache-2.0
"""Trees that split where effects differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import whole_number
from ._uplift_learners import Learner


def _sizes(max_depth: int, min_arm: int, bins: int, max_features: int | None, seed: int) -> tuple[int, int, int, int | None, int]:
    """What a tree is made by, checked."""
    return (whole_number(max_depth, "max_depth", low=1), whole_number(min_arm, "min_arm", low=1, bits=64), whole_number(bins, "bins", low=2),
            None if max_features is None else whole_number(max_features, "max_features", low=1), whole_number(seed, "seed", bits=64, signed=False))


class UpliftTree(Learner):
    """Splits where the squared effects of both sides, weighed by customers, gain most (the squared Euclidean distance of Rzepakowski
    and Jaroszewicz, 2012, for mean outcomes; summed over treatments).

    max_depth, min_arm  of a leaf: every arm has at least min_arm customers
    honest              half of the customers choose the splits, the other half the effects of the leaves (Athey, Imbens, PNAS 2016)
    bins                borders tried a feature, at even quantiles; max_features: tried a node (None: all)
    """

    def __init__(self, *, max_depth: int = 5, min_arm: int = 100, honest: bool = True, bins: int = 32, max_features: int | None = None,
                 control: Any = 0, seed: int = 0) -> None:
        super().__init__(None, control=control)
        self.max_depth, self.min_arm, self.bins, self.max_features, self.seed = _sizes(max_depth, min_arm, bins, max_features, seed)
        self.honest = honest

    def _fit(self, x, arms, y):
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(x))
        split, estimate = (order[::2], order[1::2]) if self.honest else (order, order)
        count = len(self.treatments_) + 1
        whole = _effects(arms, y, count)
        if np.isnan(whole).any():
            raise ValueError("treatment has an arm without rows, must not")
        self._borders = [np.unique(np.quantile(x[:, c], np.arange(1, self.bins) / self.bins)) for c in range(x.shape[1])]
        codes = np.stack([np.searchsorted(b, x[:, c], side="left") for c, b in enumerate(self._borders)], axis=1) if x.shape[1] else np.zeros((len(x), 0), int)
        self._nodes: list[list] = []  # [feature, border, left, right, effects]; feature -1 for a leaf
        self._grow(codes, arms, y, split, estimate, whole, 0, rng, count)

    def _grow(self, codes, arms, y, split, estimate, above, depth, rng, count) -> int:
        # A leaf whose second half lacks an arm says what its parent says.
        own = _effects(arms[estimate], y[estimate], count)
        effects = np.where(np.isnan(own), above, own)
        at = len(self._nodes)
        self._nodes.append([-1, 0.0, -1, -1, effects])
        found = self._best(codes[split], arms[split], y[split], rng, count) if depth < self.max_depth else None
        if found is not None:
            feature, border = found
            parts = [(rows[codes[rows, feature] <= border], rows[codes[rows, feature] > border]) for rows in (split, estimate)]
            self._nodes[at][:2] = [feature, self._borders[feature][border]]
            for side in (0, 1):
                self._nodes[at][2 + side] = self._grow(codes, arms, y, parts[0][side], parts[1][side], effects, depth + 1, rng, count)
        return at

    def _best(self, codes, arms, y, rng, count) -> tuple[int, int] | None:
        """The feature and border of largest gain, if any is above 0."""
        columns = np.arange(codes.shape[1])
        if self.max_features is not None and self.max_features < len(columns):
            columns = np.sort(rng.choice(columns, self.max_features, replace=False))
        n = len(y)
        best, found = 1e-12 * (1 + float((y**2).sum())), None
        none = _effects(arms, y, count)
        base = n * float((none**2).sum()) if not np.isnan(none).any() else 0.0
        for c in columns:
            size = len(self._borders[c]) + 1
            if size < 2:
                continue
            at = codes[:, c] * count + arms
            rows = np.bincount(at, minlength=size * count).reshape(size, count).cumsum(axis=0)
            sums = np.bincount(at, weights=y, minlength=size * count).reshape(size, count).cumsum(axis=0)
            left_n, left_y = rows[:-1], sums[:-1]
            right_n, right_y = rows[-1] - left_n, sums[-1] - left_y
            allowed = ((left_n >= self.min_arm) & (right_n >= self.min_arm)).all(axis=1)
            if not allowed.any():
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                left, right = left_y / left_n, right_y / right_n
            gain = (left_n.sum(1) * ((left[:, 1:] - left[:, :1]) ** 2).sum(1) + right_n.sum(1) * ((right[:, 1:] - right[:, :1]) ** 2).sum(1)) - base
            gain[~allowed] = -np.inf
            border = int(gain.argmax())
            if gain[border] > best:
                best, found = float(gain[border]), (int(c), border)
        return found

    def _predict(self, x):
        out = np.empty((len(x), len(self.treatments_)))
        todo = [(0, np.arange(len(x)))]
        while todo:
            at, rows = todo.pop()
            feature, border, left, right, effects = self._nodes[at]
            if feature < 0:
                out[rows] = effects
            else:
                low = x[rows, feature] <= border
                todo += [(left, rows[low]), (right, rows[~low])]
        return out


class UpliftForest(Learner):
    """The mean of honest uplift trees on samples of half the customers, each node over a third of the features.

    max_depth, min_arm, bins: as of UpliftTree. max_features: tried at a split, None for a third of them.
    """

    def __init__(self, *, trees: int = 50, max_depth: int = 6, min_arm: int = 50, bins: int = 32, max_features: int | None = None,
                 control: Any = 0, seed: int = 0) -> None:
        super().__init__(None, control=control)
        self.trees = whole_number(trees, "trees")
        if not 1 <= self.trees <= 10_000:
            raise ValueError(f"trees is {trees}, must be in [1, 10000]")
        self.max_depth, self.min_arm, self.bins, self.max_features, self.seed = _sizes(max_depth, min_arm, bins, max_features, seed)

    def _fit(self, x, arms, y):
        rng = np.random.default_rng(self.seed)
        features = self.max_features or max(1, -(-x.shape[1] // 3))
        self._trees = []
        for t in range(self.trees):
            # Half of each arm: none is lost.
            rows = np.concatenate([rng.permutation(np.flatnonzero(arms == k))[: max(1, int((arms == k).sum()) // 2)] for k in range(len(self.treatments_) + 1)])
            tree = UpliftTree(max_depth=self.max_depth, min_arm=self.min_arm, bins=self.bins, max_features=features, seed=(self.seed * 100_003 + t) % 2**64)
            tree.treatments_ = self.treatments_
            tree._fit(x[rows], arms[rows], y[rows])
            self._trees.append(tree)

    def _predict(self, x):
        return sum(tree._predict(x) for tree in self._trees) / len(self._trees)


def _effects(arms: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Mean outcome of each treatment minus that of the control [treatments]; nan where an arm is empty."""
    rows, sums = np.bincount(arms, minlength=count), np.bincount(arms, weights=y, minlength=count)
    means = np.divide(sums, rows, out=np.full(count, np.nan), where=rows > 0)
    return means[1:] - means[0]
