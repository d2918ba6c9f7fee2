# SPDX-License-Identifier: Apache-2.0
"""Honest measurement: splits, full-ranking metrics with intervals, next-item evaluation, comparison of models.

Formulas, and what to beware of, are in docs/evaluation.md.
"""

from __future__ import annotations

from . import experiment, impressions, off_policy, split
from ._compare import Comparison, compare
from ._evaluate import Evaluation, evaluate, evaluate_next, evaluate_ranking
from ._folds import FoldComparison, compare_folds
from ._importance import inverse_popularity
from ._metrics import (
    average_precision_at_k,
    capped_recall_at_k,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank_at_k,
)

__all__ = [
    "Comparison",
    "Evaluation",
    "FoldComparison",
    "average_precision_at_k",
    "capped_recall_at_k",
    "compare",
    "compare_folds",
    "evaluate",
    "evaluate_next",
    "evaluate_ranking",
    "experiment",
    "hit_rate_at_k",
    "impressions",
    "inverse_popularity",
    "ndcg_at_k",
    "off_policy",
    "precision_at_k",
    "recall_at_k",
    "reciprocal_rank_at_k",
    "split",
]
