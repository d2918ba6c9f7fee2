# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._factors import Pairwise


class BPR(Pairwise):
    """Bayesian personalized ranking: a liked item should score above one that is not (Rendle et al., UAI 2009).

    factors            latent dimension, 1 to 4096
    learning_rate      > 0
    regularization     L2 weight on every row that a sample touches, >= 0
    epochs             passes over the liked pairs, >= 0
    num_threads        0 means all CPUs this process may use
    seed               equal seeds give equal bits on one SIMD level, for any number of threads
    negatives          "uniform", "popularity", or "dynamic": the best scored of num_candidates uniform ones
    num_candidates     of "dynamic", in [1, 1024]
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

    _kind = "BPR"
    _core_class = _core.BprModel

    def __init__(self, factors="auto", learning_rate=0.05, regularization="auto", epochs="auto", num_threads=0, seed=42, *,
                 negatives="dynamic", num_candidates="auto", optimizer="adagrad", decay=0.0, item_bias="auto", init_scale=0.1,
                 fold_in_epochs=20, compute_objective=True, keep_history=True):
        self.negatives = negatives
        self.num_candidates = num_candidates
        self._take(factors, learning_rate, regularization, epochs, num_threads, seed, optimizer, decay, item_bias, init_scale,
                   fold_in_epochs, compute_objective, keep_history)
