# SPDX-License-Identifier: Apache-2.0
"""Settings to start with, from the size and shape of the data alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core
from ..models._base import _KINDS


# The rules are those of the fits: src/models/auto_settings.cpp.
_RULES = frozenset({"ALS", "BPR", "EASE", "GraphFilter", "ItemKNN", "P3alpha", "RP3beta", "WARP"})


@dataclass(frozen=True)
class DataShape:
    """What the rules look at."""

    users: int
    items: int
    pairs: int                # distinct (user, item), or events of sequences
    mean_length: float        # pairs a user with any
    item_mean: float          # pairs an item with any
    binary: bool              # every value is 1

    @property
    def density(self) -> float:
        """Share of all (user, item) pairs that are there."""
        return self.pairs / max(1, self.users * self.items)

    @property
    def dense(self) -> bool:
        """Where popular items and long rows overlap so much that what is common says little."""
        return self.density >= 4e-3

    @property
    def row_mean(self) -> float:
        """Pairs a row of factors, of users and items alike."""
        return self.pairs / max(1, self.users + self.items)

    @property
    def short(self) -> bool:
        """Where rows hold so little that what is common is the best guess."""
        return not self.dense and self.row_mean < 6


def shape_of(data) -> DataShape:
    """The shape of Interactions, a CSR matrix, Sequences or an EventLog."""
    if isinstance(data, _core.EventLog):
        data = data.interactions()
    if isinstance(data, _core.Sequences):
        offsets, items = np.asarray(data.offsets), np.asarray(data.items)
        lengths, counts = np.diff(offsets), np.bincount(items, minlength=data.num_items)
        users, values = len(lengths), None
    else:
        rows = data.user_items_view if isinstance(data, _core.Interactions) else data.tocsr()
        lengths, counts = np.diff(rows.indptr), np.bincount(rows.indices, minlength=rows.shape[1])
        users, values = rows.shape[0], rows.data
    pairs = int(lengths.sum())
    return DataShape(users, len(counts), pairs, pairs / max(1, int((lengths > 0).sum())), pairs / max(1, int((counts > 0).sum())),
                     values is None or bool(np.all(values == 1)))


def defaults(model, data) -> dict:
    """Parameters for this model (an instance, a class or a name) on this data; a subset of them, by name.

    They are what a model uses whose parameters are left at "auto", as its resolved shows after a fit; rules and evidence are in
    docs/tuning.md. Models without a rule start from their constructor's defaults, which fit any size.
    """
    kind = model if isinstance(model, str) else model._kind
    if kind not in _RULES:
        return {}
    fresh, s = _KINDS[kind](), shape_of(data)
    settled = fresh._settled(s.users, s.items, s.pairs, s.item_mean)
    # How EASE is solved follows from memory_budget and says nothing about quality; given, it would bind a fit on more data.
    return {n: settled[n] for n, v in fresh.get_params().items() if v == "auto" and n in settled and n != "method"}
