# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._sequence import SequenceRecommender


class SequentialRules(SequenceRecommender):
    """Sequential rules: who took i took j some places later. The score is the rules' confidence, gaps weighing less.

    weighting       of a gap of d places: "div" 1/d, "quadratic" 1/d^2, "linear", "log", "same"
    max_gap         a rule's items are at most this many places apart
    min_support     rules whose weights sum to less are dropped
    num_neighbors   strongest rules kept for each item
    max_history     newest items of a query whose rules count; query_decay: places after which one weighs 1/e
    exclude_last       never recommend what a session shows last, the product being looked at: "session"; True, the newest of a
                       history too, where there is no session; False; or "auto": False where the data show that the same product
                       follows itself (a twentieth of the steps or more), else "session"
    """

    _kind = "SequentialRules"
    _core_class = _core.SequentialRulesModel

    def __init__(self, weighting="div", max_gap=10, min_support=0.0, num_neighbors=500, query_decay=0.0, max_history=1, *,
                 exclude_last="auto", keep_history=True, num_threads=0):
        self.weighting, self.max_gap, self.min_support = weighting, max_gap, min_support
        self.num_neighbors, self.query_decay, self.max_history = num_neighbors, query_decay, max_history
        self.exclude_last, self.keep_history, self.num_threads = exclude_last, keep_history, num_threads
        self._validate()
