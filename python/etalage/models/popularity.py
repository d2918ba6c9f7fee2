# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from .. import _core
from .._arrays import asarray
from . import _arguments as arg
from ._base import Recommender
from ._ranker_data import item_indices, shown_items


class Popularity(Recommender):
    """The same ranking for everyone: what is bought most, less what this shopper has. The baseline to beat.

    count           "weights" adds up the weights of an item's events, "users" counts its users, "rate" is reactions per look of what was
                    shown: fit(data, impressions=...)
    half_life_days  an event's weight halves in this time; needs times, so a log or Sequences; None means no decay
    event_weights   weight of each event type when fitted on a log; None means 1 for all
    keep_history    keep the rows in the model
    """

    _kind = "Popularity"
    _core_class = _core.PopularityModel

    def __init__(self, count="weights", half_life_days=None, *, event_weights=None, keep_history=True):
        self.count, self.half_life_days, self.event_weights = count, half_life_days, event_weights
        self.keep_history = keep_history
        self._validate()

    def fit(self, data, show_progress=False, callback=None, *, keep_history=None, recipe=None, impressions=None, columns=None):
        """Fits on Interactions, an EventLog, Sequences or a users x items CSR matrix; returns self.

        impressions  for count "rate", and only there: a frame of what was shown (dict of arrays, pandas, polars, Arrow), one row a
                     product in a list, columns item, position (from 1) and reward (reactions, >= 0); `columns` maps these names to
                     others. Rows whose item data does not know are passed over. Scores are then rates per look with the place taken
                     out (docs/models/popularity.md), and data only says who has what; Sequences are not taken

        data, show_progress, callback, keep_history, recipe: as every model's fit.
        """
        if (self.count == "rate") != (impressions is not None):
            raise ValueError("impressions are not given, must be where count is 'rate'" if impressions is None else
                             f"impressions are given and count is {self.count!r}, must be 'rate'")
        if columns and impressions is None:
            raise ValueError("columns is given without impressions, must name columns of these")
        self._shown = None if impressions is None else shown_items(impressions, columns or {})
        try:
            return super().fit(data, show_progress, callback, keep_history=keep_history, recipe=recipe)
        finally:
            del self._shown

    def _training_data(self, data, recipe=None):
        if self.count == "rate":
            return super()._training_data(data, recipe)
        if isinstance(data, _core.EventLog) and recipe is not None:
            return recipe.interactions(data)
        if isinstance(data, (_core.EventLog, _core.Sequences, _core.Interactions)):
            return data
        return arg.rows(data, "data")

    def _fit(self, model, data, callback):
        if self.count != "rate":
            model.fit(data, self.event_weights)
            return
        keys, position, reward = self._shown
        items = item_indices(keys, getattr(data, "item_id_map", None), data.shape[1])
        known = items >= 0
        model.fit_rates(data, items[known], position[known], reward[known])

    def set_segments(self, user_segments, prior=100.0):
        """A ranking for each segment of users: a country, a tier of loyalty, new and old.

        user_segments   one entry a user: a number >= 0 or -1 for none, or labels (strings, None for none)
        prior           weight of the overall ranking in each, in events: a segment of few events follows it

        A user of a segment is from now on answered by what their segment buys, everybody else by what all buy. Needs kept
        rows; kept in the file; the next fit takes the segments away. An empty list does too.
        """
        if isinstance(user_segments, np.ma.MaskedArray) and user_segments.dtype.kind in "iu":
            user_segments = user_segments.astype(np.int64).filled(-1)
        segments = asarray(user_segments, "user_segments")
        if segments.dtype.kind in "OUS":
            known = sorted({str(s) for s in segments.tolist() if s is not None})
            number = {label: i for i, label in enumerate(known)}
            segments = np.array([-1 if s is None else number[str(s)] for s in segments.tolist()], np.int32)
        elif segments.size == 0:
            segments = np.empty(0, np.int32)
        return self._change(lambda model: model.set_segments(segments, float(prior)))

    def similar_items(self, item_index, k=10, filter_items=None, items=None):
        self._no("similar_items")

    def similar_users(self, user_index, k=10):
        self._no("similar_users")

    def partial_fit_users(self, user_index, user_items):
        """The rows of these users replace the kept ones, and the scores follow."""
        index, _ = arg.indices(user_index, "user_index")
        rows = arg.rows(user_items)
        return self._change(lambda model: model.partial_fit_users(index, rows))

    def partial_fit_items(self, item_index, item_users):
        """The columns of these items (one CSR row over users each) replace the kept ones, and the scores follow."""
        index, _ = arg.indices(item_index, "item_index")
        rows = arg.rows(item_users, "item_users")
        return self._change(lambda model: model.partial_fit_items(index, rows))

    @property
    def item_scores(self):
        """float32 [num_items], read-only."""
        return self._fitted().scores
