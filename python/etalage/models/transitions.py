# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._sequence import SequenceRecommender


class Transitions(SequenceRecommender):
    """Decayed directed item-to-item transitions: what tends to come near what, and more so behind it.

    forward, backward   weight of an item behind, before another
    decay, window       places after which a pair's weight falls to 1/e (0: no decay); pairs farther apart do not count
    row_exponent, column_exponent   how strongly an item's sums are divided out of its pairs
    query_decay, max_history        places after which an item of the query weighs 1/e; newest items that count
    exclude_last       never recommend what a session shows last, the product being looked at: "session"; True, the newest of a
                       history too, where there is no session; False; or "auto": False where the data show that the same product
                       follows itself (a twentieth of the steps or more), else "session"
    """

    _kind = "Transitions"
    _core_class = _core.TransitionsModel

    def __init__(self, forward=1.0, backward=0.5, decay=5.0, window=50, row_exponent=0.6, column_exponent=0.2, query_decay=2.0,
                 max_history=50, *, exclude_last="auto", keep_history=True, num_threads=0):
        self.forward, self.backward, self.decay, self.window = forward, backward, decay, window
        self.row_exponent, self.column_exponent, self.query_decay = row_exponent, column_exponent, query_decay
        self.max_history, self.exclude_last, self.keep_history = max_history, exclude_last, keep_history
        self.num_threads = num_threads
        self._validate()

    def add_sessions(self, sequences):
        """Counts more lists in as if they had been there at fit(); kept lists do not change. Items are matched by key where
        both sides have keys, and new ones join the catalogue. Returns self.
        sequences: Sequences, or a log by the recipe of the fit.
        """
        lists = self._training_data(sequences, self.recipe)
        return self._change(lambda model: model.add_sessions(lists))
