# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._sequence import SequenceRecommender


class LinearSequence(SequenceRecommender):
    """Closed-form linear sequence model: ridge regression from what is near a place of a list to what stands there.

    l2, ridge_exponent  the ridge on a source is l2 x (its square sum)^ridge_exponent
    forward, backward   weight as sources of the items before, behind a target
    decay, window       places after which a source's weight falls to 1/e (0: no decay); farthest source
    column_exponent     how strongly a target's popularity is divided out
    query_decay, max_history   places after which an item of the query weighs 1/e; newest items that count
    method              "exact", "candidates" (the num_candidates strongest sources of each target) or "auto": exact where
                        the Gram matrix, 4 items^2 bytes, fits memory_budget
    num_neighbors       weights kept for each source; 0 keeps all
    l2, ridge_exponent, decay, column_exponent and query_decay are "auto": tried at fit on the last items of some of the
    lists by models that have not seen them (four to six smaller fits, fewer where some are given; `resolved` says what they became). With fewer than 200 such
    items they are 100, 0.4, 2, 0.2 and 2. Give all five and one fit is all there is.
    exclude_last       never recommend what a session shows last, the product being looked at: "session"; True, the newest of a
                       history too, where there is no session; False; or "auto": False where the data show that the same product
                       follows itself (a twentieth of the steps or more), else "session"
    """

    _kind = "LinearSequence"
    _core_class = _core.LinearSequenceModel

    def __init__(self, l2="auto", ridge_exponent="auto", forward=1.0, backward=0.3, decay="auto", window=20, column_exponent="auto", query_decay="auto",
                 max_history=50, method="auto", memory_budget=256 << 20, num_candidates=200, num_neighbors=0, *, exclude_last="auto", keep_history=True,
                 num_threads=0):
        self.l2, self.ridge_exponent, self.forward, self.backward = l2, ridge_exponent, forward, backward
        self.decay, self.window, self.column_exponent, self.query_decay = decay, window, column_exponent, query_decay
        self.max_history, self.method, self.memory_budget = max_history, method, memory_budget
        self.num_candidates, self.num_neighbors, self.exclude_last = num_candidates, num_neighbors, exclude_last
        self.keep_history, self.num_threads = keep_history, num_threads
        self._validate()
