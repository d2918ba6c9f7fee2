# SPDX-License-Identifier: Apache-2.0
"""Tasks of recommend, similar_items and score: Arrow batches in, Arrow batches out, a mapped model between."""

from __future__ import annotations

import os
import uuid

import numpy as np

from . import _models as models

_BLOCK = 1 << 14  # questions a call: what is in memory beside the model


def _index(model, side, column, name):
    """Indices of a batch's keys, -1 for unknown ones. A null key is an error."""
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise ValueError(f"column {name!r} has a null key in row {row} of a batch, must have none: filter them out")
    return model.ids(side).find(column)


def _blocks(batches):
    for batch in batches:
        for start in range(0, batch.num_rows, _BLOCK):
            yield batch.slice(start, _BLOCK)


def _long(found, scores, asked, key_name, model, answer):
    """n x k answers as rows; asked is the Arrow column of the n keys."""
    import pyarrow as pa

    at, place = np.nonzero(found >= 0)
    names = [key_name, "rank", answer, "score"]
    columns = [asked.take(pa.array(at)), pa.array((place + 1).astype(np.int32)), model.keys("item", found[at, place]),
               pa.array(scores[at, place], pa.float32())]
    return pa.RecordBatch.from_arrays(columns, names)


def lists(batches, place, kind, spec):
    """Rows (key, rank, item, score) of each key of the batches, in their order. kind: "recommend" or "similar_items"."""
    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    side, core = ("user", model.core) if kind == "recommend" else ("item", model.core)
    never, only = spec["never"], spec["only"]
    for batch in _blocks(batches):
        column = batch.column(0)
        if spec["all"]:
            index = np.asarray(column).astype(np.int32)
            column = model.keys(side, index)
        else:
            index = _index(model, side, column, spec["column"])
        if kind == "recommend":
            found, scores = core.recommend(index, None, None, spec["k"], spec["hide_seen"], False, only, never, True, place.cpus)
            yield _long(found, scores, column, "user", model, "item")
        else:
            known = index >= 0
            found, scores = core.similar_items(index[known], spec["k"], only, never, place.cpus)
            yield _long(found, scores, column.filter(_mask(known)), "item", model, "similar_item")


def _mask(values):
    import pyarrow as pa

    return pa.array(values)


def scores(batches, place, spec):
    """Rows (user, item, score) of pairs, by score_ids(): unknown users by the cold-start answer, unknown items -inf."""
    import pyarrow as pa

    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    for batch in _blocks(batches):
        users = _index(model, "user", batch.column(0), spec["user"])
        items = _index(model, "item", batch.column(1), spec["item"])
        wanted = np.maximum(items, 0).reshape(-1, 1)
        out = np.empty(len(users), np.float32)
        known = users >= 0
        if known.any():
            out[known] = model.core.score(users[known], None, None, wanted[known], False, place.cpus)[:, 0]
        if not known.all():
            rows = model.model._nothing(int((~known).sum()))
            out[~known] = model.core.score(None, rows, None, wanted[~known], False, place.cpus)[:, 0]
        out[items < 0] = -np.inf
        yield pa.RecordBatch.from_arrays([batch.column(0), batch.column(1), pa.array(out)], ["user", "item", "score"])


def merged(batches, place, spec):
    """The best k of the rows (user, rank, item, score, asked, place) of each question, which come together and in order."""
    import pyarrow as pa

    last, count = None, 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        asked = np.asarray(batch.column(4))
        first = np.concatenate([[0 if asked[0] == last else 1], asked[1:] != asked[:-1]]).astype(bool)
        start = np.maximum.accumulate(np.where(first, np.arange(len(asked)), -1))
        rank = np.arange(len(asked)) - start + 1  # where the question began in an earlier batch, start is -1
        rank = np.where(start < 0, np.arange(len(asked)) + count + 1, rank)
        last, count = asked[-1], int(rank[-1])
        kept = pa.array(np.flatnonzero(rank <= spec["k"]))
        yield pa.RecordBatch.from_arrays([batch.column(0).take(kept), pa.array(rank[rank <= spec["k"]].astype(np.int32)),
                                          batch.column(2).take(kept), batch.column(3).take(kept)], ["user", "rank", "item", "score"])


def into_files(batches, place, folder, fields, kind, spec):
    """The rows of lists() or scores() as one Parquet file a partition, whole or not there; reports (partition, rows, found).

    A file that is there is a finished partition of an earlier run of the same job and is kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not os.path.isdir(folder):
        raise FileNotFoundError(f"folder {folder!r} is not on this host: out must lie in a folder that driver and executors share")
    path = os.path.join(folder, f"part-{place.partition:06d}.parquet")
    found = os.path.exists(path)
    if not found:
        schema = pa.schema([pa.field(n, pa.type_for_alias(t)) for n, t in fields])
        made = {"score": scores, "merge": merged}.get(kind)
        tables = made(batches, place, spec) if made else lists(batches, place, kind, spec)
        temporary = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
        try:
            repeated = [n for n, t in fields if t != "float32"]  # scores are all different: a dictionary of them is tried in vain
            with pq.ParquetWriter(temporary, schema, use_dictionary=repeated) as writer:
                for table in tables:
                    if table.num_rows:
                        writer.write_batch(table.cast(schema))
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
    rows = pq.ParquetFile(path).metadata.num_rows
    yield pa.RecordBatch.from_arrays([pa.array([place.partition], pa.int64()), pa.array([rows], pa.int64()), pa.array([found])],
                                     ["partition", "rows", "found"])
