# SPDX-License-Identifier: Apache-2.0
"""The models. All share one interface, see Recommender."""

from ._base import Recommender
from .als import ALS
from .popularity import Popularity
from .vectors import Vectors

__all__ = ["ALS", "Popularity", "Recommender", "Vectors"]
