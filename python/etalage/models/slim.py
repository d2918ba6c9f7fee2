# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._item_similarity import ItemSimilarity


class SLIM(ItemSimilarity):
    """Each item as a sparse combination of other items, by an elastic net (Ning, Karypis 2011).

    l1, l2          weights of the absolute values and of half the squares of the item weights, >= 0
    non_negative    weights >= 0
    num_candidates  for each item, the most similar items that may have a weight, >= 1
    iterations      at most so many sweeps of coordinate descent an item, >= 1
    tolerance       an item is done when a sweep moves no gradient by more than this share of its largest, >= 0
    keep_history    keep the rows of Interactions and logs in the model
    num_threads     0 means all CPUs this process may use
    """

    _kind = "SLIM"
    _core_class = _core.SlimModel

    def __init__(self, l1=0.2, l2=100.0, *, non_negative=True, num_candidates=300, iterations=100, tolerance=1e-4,
                 keep_history=True, num_threads=0):
        self.l1, self.l2, self.non_negative, self.num_candidates = l1, l2, non_negative, num_candidates
        self.iterations, self.tolerance, self.keep_history = iterations, tolerance, keep_history
        self.num_threads = num_threads
        self._validate()
