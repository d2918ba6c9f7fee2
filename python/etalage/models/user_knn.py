# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._base import Recommender


class UserKNN(Recommender):
    """User-based nearest neighbours: what the users most like this one have, by the items that they share.

    num_neighbors       users who are listened to, >= 1
    similarity          "cosine", "tfidf", "bm25", "jaccard", "tversky", "conditional" or "lift", of ItemKNN with users and
                        items in each other's place
    shrinkage           >= 0, added to the denominator: similarities that rest on few items fall
    asymmetry           0 to 1; share of the norm that the user who asks takes, 0.5 is the plain cosine
    item_damping        >= 0; what two users share in an item counts by (its users)^-item_damping
    normalize           divide the neighbours' weights by their sum
    tversky_alpha, tversky_beta   weight of the items of the user who asks alone, of the other alone
    popularity_penalty  of "conditional", 0 to 1: divides by the other user's items to this power
    bm25_k1, bm25_b     of "bm25"
    keep_history        keep the rows of Interactions and logs as the users' histories
    num_threads         of batches; 0 means all CPUs this process may use

    A user is their rows: nobody is unknown, and new rows count at once. Who brings nothing gets the catalogue by popularity.
    explain() splits the score exactly. Old events weigh less when the Interactions were made with half_life_days.
    """

    _kind = "UserKNN"
    _core_class = _core.UserKnnModel
    _needs_history = True

    def __init__(self, num_neighbors=100, similarity="cosine", shrinkage=0.0, asymmetry=0.5, *, item_damping=0.0,
                 normalize=False, tversky_alpha=1.0, tversky_beta=1.0, popularity_penalty=0.5, bm25_k1=1.2, bm25_b=0.75,
                 keep_history=True, num_threads=0):
        self.num_neighbors, self.similarity, self.shrinkage = num_neighbors, similarity, shrinkage
        self.asymmetry, self.item_damping, self.normalize = asymmetry, item_damping, normalize
        self.tversky_alpha, self.tversky_beta, self.popularity_penalty = tversky_alpha, tversky_beta, popularity_penalty
        self.bm25_k1, self.bm25_b, self.keep_history, self.num_threads = bm25_k1, bm25_b, keep_history, num_threads
        self._validate()
