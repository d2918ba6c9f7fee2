# SPDX-License-Identifier: Apache-2.0
"""The shop engine, and what it is made of: filters, rules, candidate sources, re-ranking."""

from .._core import CatalogIndex, Filter, category_paths
from ._answer import Answer
from ._engine import Engine
from ._impressions import Impressions
from ._offer_desk import OfferDesk
from ._ranker import GivenSource, IndexSource, ListSource, ModelSource, Ranked, Ranker, rerank
from ._rules import Rules, align_catalog
from ._snapshot import Snapshot

__all__ = [
    "Answer",
    "CatalogIndex",
    "Engine",
    "Filter",
    "GivenSource",
    "Impressions",
    "IndexSource",
    "ListSource",
    "ModelSource",
    "OfferDesk",
    "Ranked",
    "Ranker",
    "Rules",
    "Snapshot",
    "align_catalog",
    "category_paths",
    "rerank",
]
