# SPDX-License-Identifier: Apache-2.0
"""Tasks of audience: a partition's shoppers without those left out, scored, and the best of them."""

from __future__ import annotations

import numpy as np

from .._slots import slot
from ..marketing._audience_scores import best, cosines, model_scores
from . import _models as models
from ._list_tasks import _blocks, _index


def keyed(batches, place, spec):
    """The keys of indices."""
    import pyarrow as pa

    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    for batch in batches:
        yield pa.RecordBatch.from_arrays([model.keys("user", np.asarray(batch.column(0)).astype(np.int32))], ["user"])


def _eligible(batches, spec, model):
    """Indices of a batch's shoppers whom the model knows and who have none of the products."""
    wanted = np.zeros(model.model.num_items, bool)
    if spec["bought"]:
        wanted[spec["items"]] = True
    for batch in _blocks(batches):
        column = batch.column(0)
        index = np.asarray(column).astype(np.int32) if spec["all"] else _index(model, "user", column, "user")
        index = index[index >= 0]
        if spec["bought"] and len(index):
            rows = _rows(model)[index]
            has = np.bincount(np.repeat(np.arange(len(index)), np.diff(rows.indptr)), (wanted[rows.indices] & (rows.data > 0)), len(index))
            index = index[has == 0]
        if spec["seeds"] is not None:
            index = index[~np.isin(index, spec["seeds"])]
        yield index


def _rows(model):
    if not hasattr(model, "rows"):
        model.rows = model.core.user_items
    return model.rows


def eligible(batches, place, spec):
    import pyarrow as pa

    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    count = sum(len(index) for index in _eligible(batches, spec, model))
    yield pa.RecordBatch.from_arrays([pa.array([count], pa.int64())], ["count"])


def chosen(batches, place, spec):
    """Rows (user, score, held_out, place) of the partition's best k."""
    import pyarrow as pa

    model, k = models.opened(spec["model_path"], spec["identity"], spec["shipped"]), spec["k"]
    held = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    waiting = 0

    def cut():
        index, scores = (np.concatenate(h) for h in held)
        order = np.argsort(index, kind="stable")  # ties by lower index
        found, values = best(scores[order], min(k, len(order)))
        held[0][:], held[1][:] = [index[order][found]], [values]

    for index in _eligible(batches, spec, model):
        held[0].append(index)
        held[1].append(_scores(model, index, spec))
        waiting += len(index)
        if waiting > max(k, 1 << 16):
            cut()
            waiting = 0
    cut()
    index, scores = held[0][0], held[1][0]
    for start in range(0, len(index), 10000):
        part = index[start:start + 10000]
        keys = model.keys("user", part)
        out = np.zeros(len(part), bool)
        for name, (numerator, denominator) in spec["groups"].items():
            out |= np.asarray(slot(model.ids("user").at(part), name), np.int64) * denominator < numerator * 10000
        yield pa.RecordBatch.from_arrays([keys, pa.array(scores[start:start + 10000], pa.float32()), pa.array(out), pa.array(part, pa.int32())],
                                         ["user", "score", "held_out", "place"])


def _scores(model, index, spec):
    if not len(index):
        return np.empty(0, np.float32)
    if spec["seeds"] is not None:
        return cosines(model.model.user_factors[index], spec["vector"])
    if spec["vector"] is not None:
        return np.einsum("ij,j->i", model.model.user_factors[index], spec["vector"])
    return model_scores(model.model, index, spec["items"], spec["combine"])
