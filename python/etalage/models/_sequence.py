# SPDX-License-Identifier: Apache-2.0
"""What the models on Sequences share."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._recipe import Recipe
from . import _arguments as arg
from ._base import _KINDS, Recommender


def goes_by_order(model):
    """Whether order matters to a model, its class or its compiled part; to a blend where it does to a member."""
    if isinstance(model, _core.Recommender):
        return any(goes_by_order(m) for _, m in model.members) if isinstance(model, _core.BlendModel) else goes_by_order(_KINDS.get(model.kind))
    if isinstance(getattr(model, "members", None), list):
        return any(goes_by_order(m) for _, m in model.members)
    return issubclass(model if isinstance(model, type) else type(model), SequenceRecommender)


def counted_items(model):
    """How often each user had each item, of a compiled model whose history is in order, with repeats; made once. None without one."""
    if model.has_history and not hasattr(model, "_user_items"):
        rows = model.history.copy()
        rows.has_canonical_format = False
        rows.sum_duplicates()
        model._user_items = rows
    return model.user_items


class SequenceRecommender(Recommender):
    """A model to which order matters: fitted on Sequences or an EventLog.

    A user is asked for by their kept list, by lists given as user_items (Sequences, one list for each index asked for), or
    by a session. user_items may be a CSR too; its rows have no order, so their items are taken ascending, each once.
    """

    _needs_history = True

    def _training_data(self, data, recipe=None):
        if isinstance(data, _core.Sequences):
            return data
        if isinstance(data, _core.EventLog):
            return (recipe or Recipe()).sequences(data)
        if isinstance(data, _core.Interactions) or sp.issparse(data) or isinstance(data, np.ndarray) and data.ndim == 2:
            raise NotImplementedError(
                f"{type(self).__name__}.fit does not take {type(data).__name__}, which has no order; fit it on Sequences or an EventLog")
        raise TypeError(f"data is {arg.describe(data)}, must be Sequences or an EventLog")

    def _rows(self, value):
        if not isinstance(value, _core.Sequences):
            return super()._rows(value)
        items, model = value.items, self._fitted()
        if len(items) and items.max() >= model.num_items:
            raise IndexError(f"user_items holds {items.max()}, must be in [0, {model.num_items})")
        rows = sp.csr_matrix((len(value), model.num_items), dtype=np.float32)
        # Set piece by piece: scipy must not sort the lists.
        rows.data, rows.indices, rows.indptr = np.ones(len(items), np.float32), items, value.offsets
        rows.ordered = True
        return rows

    @property
    def user_items(self):
        """How often each user had each item, from the kept lists, as a CSR matrix of the caller's own, or None."""
        return counted_items(self._fitted())

    @property
    def user_sequences(self):
        """The kept lists with their times as Sequences, one a user, or None."""
        return self._fitted().sequences

    def similar_users(self, user_index, k=10):
        self._no("similar_users")
