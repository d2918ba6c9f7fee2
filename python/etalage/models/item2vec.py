# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._sequence import SequenceRecommender


class Item2Vec(SequenceRecommender):
    """Item vectors from sessions, by skip-gram with negative sampling (Mikolov et al.; Barkan, Koenigstein): items that
    are met in the same company get similar vectors. Scores are cosines with the history, the newest items first.

    factors             length of the vectors, 1 to 4096
    window              places that a context may be away; nearer ones count more
    num_negatives       drawn for each pair
    epochs              passes over the pairs
    learning_rate       > 0; falls in a straight line to a hundredth
    subsample           share of all events above which an item is thinned out; 0 keeps all
    negative_exponent   negatives are drawn by (occurrences)^this
    query_decay, max_history   places after which an item of the query weighs 1/e; newest items that count
    compute_objective   put the mean loss of each epoch's pairs into the report
    seed                equal seeds give equal bits on one SIMD level, for any number of threads
    exclude_last       never recommend what a session shows last, the product being looked at: "session"; True, the newest of a
                       history too, where there is no session; False; or "auto": False where the data show that the same product
                       follows itself (a twentieth of the steps or more), else "session"
    """

    _kind = "Item2Vec"
    _core_class = _core.Item2VecModel

    def __init__(self, factors=64, window=5, num_negatives=5, epochs=20, learning_rate=0.1, subsample=1e-3,
                 negative_exponent=0.75, query_decay=5.0, max_history=50, *, compute_objective=True, exclude_last="auto", keep_history=True,
                 num_threads=0, seed=42):
        self.factors, self.window, self.num_negatives, self.epochs = factors, window, num_negatives, epochs
        self.learning_rate, self.subsample, self.negative_exponent = learning_rate, subsample, negative_exponent
        self.query_decay, self.max_history, self.compute_objective = query_decay, max_history, compute_objective
        self.exclude_last, self.keep_history, self.num_threads, self.seed = exclude_last, keep_history, num_threads, seed
        self._validate()

    @property
    def item_vectors(self):
        """float32 [num_items x factors], rows of unit length, read-only; zero rows for items that never occurred."""
        return self._fitted().item_vectors
