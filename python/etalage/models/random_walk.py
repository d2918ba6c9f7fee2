# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._item_similarity import ItemSimilarity


class P3alpha(ItemSimilarity):
    """Where a random walk of three steps from a user ends: user, item, user, item (Cooper et al. 2014).

    alpha          exponent of the transition probabilities, > 0
    num_neighbors  kept for each item, >= 1
    normalize      divide an item's weights by their sum
    keep_history   keep the rows of Interactions and logs in the model
    num_threads    0 means all CPUs this process may use

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became.

    Weights must be >= 0. Old events weigh less when the Interactions were made with half_life_days.
    """

    _kind = "P3alpha"
    _core_class = _core.RandomWalkModel

    def __init__(self, alpha="auto", num_neighbors=500, *, normalize=False, keep_history=True, num_threads=0):
        self.alpha, self.num_neighbors, self.normalize, self.keep_history = alpha, num_neighbors, normalize, keep_history
        self.num_threads = num_threads
        self._validate()

    def _new(self):
        return self._core_class(self._options(), False)

    def _settled(self, *shape):
        return self._core_class.settled(self._options(), False, *shape)

    @classmethod
    def _from_core(cls, model):
        self = super()._from_core(model)
        del self.beta  # a walk without one
        return self


class RP3beta(ItemSimilarity):
    """P3alpha whose weights are divided by (users of the item)^beta (Paudel et al. 2017).

    alpha          exponent of the transition probabilities, > 0
    beta           >= 0; larger values bring up what few have
    num_neighbors  kept for each item, >= 1
    normalize      divide an item's weights by their sum
    keep_history   keep the rows of Interactions and logs in the model
    num_threads    0 means all CPUs this process may use

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became.

    Weights must be >= 0. Old events weigh less when the Interactions were made with half_life_days.
    """

    _kind = "RP3beta"
    _core_class = _core.RandomWalkModel

    def __init__(self, alpha="auto", beta="auto", num_neighbors="auto", *, normalize=False, keep_history=True, num_threads=0):
        self.alpha, self.beta, self.num_neighbors, self.normalize = alpha, beta, num_neighbors, normalize
        self.keep_history, self.num_threads = keep_history, num_threads
        self._validate()

    def _new(self):
        return self._core_class(self._options(), True)

    def _settled(self, *shape):
        return self._core_class.settled(self._options(), True, *shape)
