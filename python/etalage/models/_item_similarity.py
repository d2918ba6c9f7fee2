# SPDX-License-Identifier: Apache-2.0
"""What the models that are one item x item matrix share."""

from __future__ import annotations

from ._base import Recommender


class ItemSimilarity(Recommender):
    """An item of the history speaks for another item with a weight; a score is the sum over the history.

    A user is their rows: nobody is unknown, new rows count at once, and nothing is folded in. Who brings nothing gets the
    catalogue by popularity. explain() splits the score exactly.
    """

    _needs_history = True

    @property
    def item_weights(self):
        """float32 [num_items x num_items], read-only: row i says what item i speaks for. A CSR matrix, or an array where
        the model keeps all of it."""
        return self._fitted().weights

    def similar_users(self, user_index, k=10):
        self._fitted()
        self._no("similar_users")
