# SPDX-License-Identifier: Apache-2.0
"""Tasks of recommend(item_shards=): lists from a range of the items alone."""

from __future__ import annotations

import numpy as np

from . import _models as models
from ._list_tasks import _blocks, _index


def shard_lists(batches, place, spec, cuts):
    """Rows (user, rank, item, score, asked, place) from batches (key or index, asked, shard), a shard's rows together."""
    import pyarrow as pa

    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    for batch in _blocks(batches):
        column, asked, shard = batch.columns
        if spec["all"]:
            index = np.asarray(column).astype(np.int32)
            column = model.keys("user", index)
        else:
            index = _index(model, "user", column, spec["column"])
        shard, asked = np.asarray(shard), np.asarray(asked)
        for s in np.unique(shard):
            rows = np.flatnonzero(shard == s)
            only = np.arange(cuts[s], cuts[s + 1], dtype=np.int32)
            if spec["only"] is not None:
                only = np.intersect1d(only, spec["only"]).astype(np.int32)
            if not len(only):
                continue
            found, scores = model.core.recommend(index[rows], None, None, spec["k"], spec["hide_seen"], False, only, spec["never"], True, place.cpus)
            at, rank = np.nonzero(found >= 0)
            yield pa.RecordBatch.from_arrays(
                [column.take(pa.array(rows[at])), pa.array((rank + 1).astype(np.int32)), model.keys("item", found[at, rank]),
                 pa.array(scores[at, rank], pa.float32()), pa.array(asked[rows[at]]), pa.array(found[at, rank].astype(np.int32))],
                ["user", "rank", "item", "score", "asked", "place"])
