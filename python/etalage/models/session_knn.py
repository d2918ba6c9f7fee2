# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._sequence import SequenceRecommender


class SessionKNN(SequenceRecommender):
    """Session-based nearest neighbours (VMIS-kNN): what people did whose sessions look like this one.

    num_neighbors      most similar sessions that vote
    recent_sessions    newest sessions with an item of the query that are looked at
    weighting          of the query's items in the similarity: "quadratic" (i / L)^2 of place i of L, "div" i / L, "linear",
                       "log", "same", or "exponential" with place_decay
    score_weighting    of a neighbour by the age of the newest item shared with it: "div", "quadratic", "linear", "log", "same"
    idf_weight         how much rare items are preferred
    item_decay, backward   items of a neighbour far from, or before, the newest shared one weigh less (0, 1: they do not)
    length_exponent    long sessions weigh less
    session_decay_days   old sessions weigh less; needs times
    max_history        newest items of a query that count
    exclude_last       never recommend what a session shows last, the product being looked at: "session"; True, the newest of a
                       history too, where there is no session; False; or "auto": False where the data show that the same product
                       follows itself (a twentieth of the steps or more), else "session"
    """

    _kind = "SessionKNN"
    _core_class = _core.SessionKnnModel

    def __init__(self, num_neighbors=500, recent_sessions=5000, weighting="quadratic", place_decay=2.0, score_weighting="div",
                 idf_weight=5.0, item_decay=0.0, backward=1.0, length_exponent=0.0, session_decay_days=0.0, max_history=50, *,
                 exclude_last="auto", keep_history=True, num_threads=0):
        self.num_neighbors, self.recent_sessions, self.weighting = num_neighbors, recent_sessions, weighting
        self.place_decay, self.score_weighting, self.idf_weight = place_decay, score_weighting, idf_weight
        self.item_decay, self.backward, self.length_exponent = item_decay, backward, length_exponent
        self.session_decay_days, self.max_history, self.exclude_last = session_decay_days, max_history, exclude_last
        self.keep_history, self.num_threads = keep_history, num_threads
        self._validate()

    def add_sessions(self, sequences):
        """Adds sessions, which count as newer than all that are there; kept lists do not change. Items are matched by key
        where both sides have keys, and new ones join the catalogue. Returns self.
        sequences: Sequences, or a log by the recipe of the fit.
        """
        lists = self._training_data(sequences, self.recipe)
        return self._change(lambda model: model.add_sessions(lists))
