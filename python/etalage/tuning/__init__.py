# SPDX-License-Identifier: Apache-2.0
"""Settings from data: what to start with, and a search for better ones on held-out data (docs/tuning.md)."""

from __future__ import annotations

from ._defaults import DataShape, defaults, shape_of
from ._search import search
from ._result import SearchResult
from ._space import Choice, Float, Int, Tied, space_of

__all__ = ["Choice", "DataShape", "Float", "Int", "SearchResult", "Tied", "defaults", "search", "shape_of", "space_of"]
