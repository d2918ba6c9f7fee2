# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

from .. import _core
from .._arrays import whole_number
from .._times import to_ms
from ._sequence import SequenceRecommender


class RepeatPurchase(SequenceRecommender):
    """What a shopper is about to buy again, from the times between purchases of the same item.

    Ask with filter_already_liked_items=False: what is due again has been bought before. Beyond the history the list goes on
    with what is bought again most.

    min_gap_days     purchases of an item closer than this are one
    item_shrinkage   an item's own rates count as n / (n + this) against those of all items
    user_shrinkage   a shopper's own gaps against those of the item
    now_ms           when questions are asked, UTC milliseconds; 0 means the newest event. See also at()
    """

    _kind = "RepeatPurchase"
    _core_class = _core.RepeatPurchaseModel

    def __init__(self, min_gap_days=0.5, item_shrinkage=10.0, user_shrinkage=2.0, now_ms=0, *, keep_history=True, num_threads=0):
        self.min_gap_days, self.item_shrinkage, self.user_shrinkage = min_gap_days, item_shrinkage, user_shrinkage
        self.now_ms, self.keep_history, self.num_threads = now_ms, keep_history, num_threads
        self._validate()

    def at(self, now):
        """The same model asked at another time (a datetime, a numpy datetime64 or UTC milliseconds). Shares its memory."""
        self._fitted()
        new = copy.copy(self)
        new.now_ms = to_ms(now)
        new._validate()
        new._model.set_now(new.now_ms)
        return new

    def again(self, item_index, purchases=1):
        """The chance that the `purchases`-th purchase of an item is followed by another."""
        return self._fitted().again(whole_number(item_index, "item_index"), whole_number(purchases, "purchases"))

    def median_gap_days(self, item_index):
        """The median days between two purchases of an item; 0 when fitted without times."""
        return self._fitted().median_gap_days(whole_number(item_index, "item_index"))

    def similar_items(self, item_index, k=10, filter_items=None, items=None):
        self._no("similar_items")
