# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._factors import Pairwise


class WARP(Pairwise):
    """Weighted approximate-rank pairwise learning: steps where the order is wrong, larger the further down an item is
    (Weston, Bengio, Usunier, IJCAI 2011).

    factors            latent dimension, 1 to 4096
    learning_rate      > 0
    regularization     L2 weight on every row that a step touches, >= 0
    epochs             passes over the liked pairs, >= 0
    num_threads        0 means all CPUs this process may use
    seed               equal seeds give equal bits on one SIMD level, for any number of threads
    margin             by which a liked item should lead, > 0
    max_trials         items drawn in search of those that violate the margin, in [1, 100000]
    num_violators      draws go on for so many violators, and the step is on the highest-scored of them, in [1, 1024]
    optimizer          "adagrad" (one memory a row) or "sgd"
    decay              epoch e uses learning_rate / (1 + decay e), >= 0
    item_bias          one more factor column: the item's own level
    init_scale         standard deviation of the start, times sqrt(factors), > 0
    fold_in_epochs     passes over the history of somebody who is folded in, >= 1
    compute_objective  put the mean loss of each epoch's samples into the report
    keep_history       keep the rows of Interactions and logs in the model

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became.

    Weights above 0 are likes, all alike; others are as good as absent. People unknown to the model are folded in with the
    item factors fixed; who brings nothing at all gets the ranking of the average user.
    """

    _kind = "WARP"
    _core_class = _core.WarpModel

    def __init__(self, factors="auto", learning_rate=0.05, regularization="auto", epochs="auto", num_threads=0, seed=42, *,
                 margin=1.0, max_trials="auto", num_violators="auto", optimizer="adagrad", decay=0.0, item_bias="auto", init_scale=0.1,
                 fold_in_epochs=20, compute_objective=True, keep_history=True):
        self.margin = margin
        self.max_trials = max_trials
        self.num_violators = num_violators
        self._take(factors, learning_rate, regularization, epochs, num_threads, seed, optimizer, decay, item_bias, init_scale,
                   fold_in_epochs, compute_objective, keep_history)
