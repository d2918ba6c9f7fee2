# SPDX-License-Identifier: Apache-2.0
"""From candidates to an answer: filters, rules, candidate sources, re-ranking."""

from .._core import CatalogIndex, Filter, category_paths
from ._ranker import GivenSource, IndexSource, ListSource, ModelSource, Ranked, Ranker, rerank
from ._rules import Rules, align_catalog

__all__ = [
    "CatalogIndex",
    "Filter",
    "GivenSource",
    "IndexSource",
    "ListSource",
    "ModelSource",
    "Ranked",
    "Ranker",
    "Rules",
    "align_catalog",
    "category_paths",
    "rerank",
]
