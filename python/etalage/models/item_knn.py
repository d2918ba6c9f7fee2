# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._item_similarity import ItemSimilarity


class ItemKNN(ItemSimilarity):
    """Item-based nearest neighbours: the items most like those of the history, by the users they share.

    num_neighbors       kept for each item, >= 1
    similarity          "cosine", "tfidf", "bm25", "jaccard", "tversky", "conditional" (P(j | i)) or "lift"
    shrinkage           >= 0, added to the denominator: similarities that rest on few users fall
    asymmetry           0 to 1; share of the norm that the history's item takes, 0.5 is the plain cosine
    user_damping        >= 0; what two items share in a user counts by (their items)^-user_damping
    normalize           divide an item's weights by their sum
    tversky_alpha, tversky_beta   weight of the users of the history's item alone, of the other alone
    popularity_penalty  of "conditional", 0 to 1: divides by the other item's users to this power
    bm25_k1, bm25_b     of "bm25"
    keep_history        keep the rows of Interactions and logs in the model
    num_threads         0 means all CPUs this process may use

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became. The similarity
    is chosen as a whole: where it, shrinkage, asymmetry, user_damping or popularity_penalty is given, the others of them are the textbook's:
    "cosine", 0, 0.5, 0, 0.5.

    Old events weigh less when the Interactions were made with half_life_days.
    """

    _kind = "ItemKNN"
    _core_class = _core.ItemKnnModel

    def __init__(self, num_neighbors="auto", similarity="auto", shrinkage="auto", asymmetry="auto", *, user_damping="auto",
                 normalize=False, tversky_alpha=1.0, tversky_beta=1.0, popularity_penalty="auto", bm25_k1=1.2, bm25_b=0.75,
                 keep_history=True, num_threads=0):
        self.num_neighbors, self.similarity, self.shrinkage = num_neighbors, similarity, shrinkage
        self.asymmetry, self.user_damping, self.normalize = asymmetry, user_damping, normalize
        self.tversky_alpha, self.tversky_beta, self.popularity_penalty = tversky_alpha, tversky_beta, popularity_penalty
        self.bm25_k1, self.bm25_b, self.keep_history, self.num_threads = bm25_k1, bm25_b, keep_history, num_threads
        self._validate()
