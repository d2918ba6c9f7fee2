# SPDX-License-Identifier: Apache-2.0
"""Training, scoring and evaluation on Spark with the library's own kernels: `from etalage import spark`.

A session of PySpark 3.5 or 4 is the caller's; this package starts none and imports neither pyspark nor pyarrow until a call
needs them (`pip install 'etalage[spark]'`). docs/spark.md has the plan of every job.
"""

from __future__ import annotations

from ._als import ALS
from ._audience import audience
from ._blocks import Blocks
from ._events import interactions
from ._items import EASE, ItemKNN, P3alpha, RP3beta
from ._lists import recommend, score, similar_items
from ._measure import evaluate
from ._profiles import profiles
from ._summaries import summaries
from ._sums import cooccurrence, popularity

__all__ = ["ALS", "EASE", "Blocks", "ItemKNN", "P3alpha", "RP3beta", "audience", "cooccurrence", "evaluate", "interactions", "popularity", "profiles", "recommend", "score",
           "similar_items", "summaries"]
