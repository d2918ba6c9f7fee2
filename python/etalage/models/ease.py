# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._item_similarity import ItemSimilarity


class EASE(ItemSimilarity):
    """Each item regressed on all the others with a ridge, in closed form (Steck 2019).

    l2              ridge on the weights, > 0; the one setting that matters; "auto" is read from the data's shape
    popularity_penalty  p, 0 to 1: weights for an item are divided by (its users)^p, so that bestsellers do not fill every list
    num_neighbors   weights kept of each item, those of largest size, >= 0; 0 keeps all, 4 num_items^2 bytes
    method          "exact", "approximate" (each item on its num_candidates most similar items alone), or "auto": exact
                    where its memory fits memory_budget
    memory_budget   bytes that an exact fit may take, > 0
    num_candidates  of the approximate method, >= 1
    keep_history    keep the rows of Interactions and logs in the model
    num_threads     0 means all CPUs this process may use
    """

    _kind = "EASE"
    _core_class = _core.EaseModel

    def __init__(self, l2="auto", *, popularity_penalty=0.0, num_neighbors=0, method="auto", memory_budget=8 * 2**30, num_candidates=500,
                 keep_history=True, num_threads=0):
        self.l2, self.popularity_penalty, self.num_neighbors, self.method = l2, popularity_penalty, num_neighbors, method
        self.memory_budget, self.num_candidates, self.keep_history = memory_budget, num_candidates, keep_history
        self.num_threads = num_threads
        self._validate()
