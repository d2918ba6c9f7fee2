# SPDX-License-Identifier: Apache-2.0
"""Metrics of one list. `relevant`: item indices in any order; `ranked`: best first, a negative entry ends it; `scores`:
float32, one for each place of `ranked`, descending, for the expectation over all orders of tied items."""

from __future__ import annotations

from .. import _core
from .._arrays import whole_number


def _metric(name: str, text: str):
    def at_k(relevant, ranked, k: int, scores=None) -> float:
        return _core.metric_at_k(name, relevant, ranked, whole_number(k, "k"), scores)

    at_k.__doc__ = text + """

    relevant: item indices in any order; ranked: indices, best first, a negative entry ends the list; k: places that count.
    scores: float32, one for each place of ranked, descending: then the expectation over all orders of tied items.
    """
    return at_k


precision_at_k = _metric("precision", "Hits / k.")
recall_at_k = _metric("recall", "Hits / number of relevant items.")
capped_recall_at_k = _metric("capped_recall", "Hits / min(k, number of relevant items).")
hit_rate_at_k = _metric("hit_rate", "1.0 with a hit, else 0.0.")
ndcg_at_k = _metric("ndcg", "Gain 1, discount 1 / log2(rank + 1), ideal over min(k, number of relevant items).")
average_precision_at_k = _metric("map", "Precision at each hit, summed, / min(k, number of relevant items).")
reciprocal_rank_at_k = _metric("mrr", "1 / rank of the first hit, or 0.0.")
for _name in ("precision", "recall", "capped_recall", "hit_rate", "ndcg", "average_precision", "reciprocal_rank"):
    globals()[f"{_name}_at_k"].__name__ = globals()[f"{_name}_at_k"].__qualname__ = f"{_name}_at_k"
