# SPDX-License-Identifier: Apache-2.0
"""The models. All share one interface, see Recommender."""

from ._base import Recommender
from .als import ALS
from .blend import Blend
from .ease import EASE
from .cold_start import ColdStart, ExplorationSlot
from .bpr import BPR
from .feature_als import FeatureALS
from .graph_filter import GraphFilter
from .item2vec import Item2Vec
from .item_knn import ItemKNN
from .learned_ranker import LearnedRanker
from .linear_sequence import LinearSequence
from .popularity import Popularity
from .random_walk import P3alpha, RP3beta
from .repeat_purchase import RepeatPurchase
from .sequential_rules import SequentialRules
from .session_knn import SessionKNN
from .slim import SLIM
from .transitions import Transitions
from .tree_ensemble import TreeEnsemble
from .user_knn import UserKNN
from .vectors import Vectors
from .warp import WARP

__all__ = [
    "ALS",
    "Blend",
    "EASE",
    "ColdStart",
    "ExplorationSlot",
    "BPR",
    "FeatureALS",
    "GraphFilter",
    "Item2Vec",
    "ItemKNN",
    "LearnedRanker",
    "LinearSequence",
    "P3alpha",
    "Popularity",
    "RP3beta",
    "Recommender",
    "RepeatPurchase",
    "SLIM",
    "SequentialRules",
    "SessionKNN",
    "Transitions",
    "TreeEnsemble",
    "UserKNN",
    "Vectors",
    "WARP",
]
