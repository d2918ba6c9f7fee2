# SPDX-License-Identifier: Apache-2.0
"""Tasks of interactions(): events read and weighted by EventLog itself, block by block."""

from __future__ import annotations

import os

import numpy as np
import scipy.sparse as sp

from .. import _core
from . import _blocks as blocks
from . import _folder as folder

_COLUMNS = ("user", "item", "event", "time", "value")


def _log(table, names, on_error="raise", **options):
    return _core.EventLog.from_frame(table, **{n: n if n in names else None for n in _COLUMNS}, on_error=on_error, **options)


def normalised(batches, place, types, time_unit, on_error):
    """Events as EventLog reads them: keys as they are, times in UTC milliseconds, values in float32. A null key, a time or value
    that is none: the reader's error, with the batch's row."""
    import pyarrow as pa

    names = [n for n, _ in types]
    schema = pa.schema([pa.field(n, pa.type_for_alias(t)) for n, t in types])
    seen = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        table = pa.table(dict(zip(names, batch.columns)))
        for side in ("user", "item"):
            nulls = table.column(side).null_count
            if nulls and on_error == "raise":
                row = int(np.flatnonzero(table.column(side).is_null().to_numpy())[0])
                raise ValueError(f"column {side!r} has a null key in row {seen + row} of the partition, must have none: filter them "
                                 "out, or pass on_error='skip'")
        log = _log(table, names, on_error, time_unit=time_unit if "time" in names else None, num_threads=place.cpus)
        seen += batch.num_rows
        table = _as_read(table, log)
        columns = [table.column(f.name).cast(f.type).combine_chunks() for f in schema]
        if table.num_rows:
            yield from pa.table(columns, schema=schema).to_batches(max_chunksize=10000)


def _as_read(table, log):
    """The log as a table; keys and types are the columns that came, unless rows were left out."""
    import pyarrow as pa

    if len(log) != table.num_rows:
        out = pa.table(log)
        return out if log.times is None else out.set_column(out.schema.get_field_index("time"), "time", pa.array(np.asarray(log.times)))
    columns = {n: table.column(n) for n in table.column_names if n in ("user", "item", "event")}
    if log.times is not None:
        columns["time"] = pa.chunked_array([np.asarray(log.times)])
    if log.values is not None:
        columns["value"] = pa.chunked_array([np.asarray(log.values)])
    return pa.table(columns)


def write_keys(batches, place, path, side):
    """A partition's run of sorted distinct keys as a file; reports (partition, keys)."""
    import pyarrow as pa

    folder.require_seen(path)
    columns = [b.column(0) for b in batches if b.num_rows]
    if not columns:
        return
    column = pa.chunked_array(columns)
    column = column.cast(pa.large_string()) if pa.types.is_string(column.type) else column
    blocks.write_arrow_keys(path, side, place.partition, pa.concat_arrays(column.chunks))
    yield pa.RecordBatch.from_arrays([pa.array([place.partition], pa.int64()), pa.array([len(column)], pa.int64())], ["partition", "keys"])


def numbered(batches, place, path, side, runs):
    """(key, index) of the runs [(partition, first index)] whose place in the list a batch names."""
    import pyarrow as pa

    for batch in batches:
        for n in batch.column(0).to_pylist():
            part, first = runs[n]
            column = blocks.arrow_keys(path, side, part)
            for start in range(0, len(column), 10000):
                key = column.slice(start, 10000)
                key = key.cast(pa.string()) if pa.types.is_large_string(key.type) else key
                index = np.arange(first + start, first + start + len(key), dtype=np.int32)
                yield pa.RecordBatch.from_arrays([key, pa.array(index)], ["key", "index"])


def write_user_blocks(batches, place, path, side, shape, names, options):
    """Rows sorted by block as the files of the blocks of side "users", or "raw" where minimum counts follow; reports (block, rows with something, pairs)."""
    folder.require_seen(path)
    held, current = [], None
    for batch in batches:
        if batch.num_rows == 0:
            continue
        number = np.asarray(batch.column(0))
        cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
        for start, stop in zip(cuts, cuts[1:]):
            if current is not None and number[start] != current:
                yield _finish(path, side, current, held, shape, names, options, place)
                held = []
            current = int(number[start])
            held.append(batch.slice(start, stop - start))
    if current is not None:
        yield _finish(path, side, current, held, shape, names, options, place)


def _finish(path, side, block, held, shape, names, options, place):
    import pyarrow as pa

    first, last = blocks.ranges(shape[0])[block]
    table = pa.Table.from_batches(held).select([n for n in names])
    if "time" in names and pa.types.is_integer(table.schema.field("time").type):
        at = names.index("time")
        table = table.set_column(at, "time", table.column("time").cast(pa.timestamp("ms", tz="UTC")))
    log = _log(table, names, num_threads=place.cpus)
    matrix = _weighted(log, dict(options), place)
    users, items = np.asarray(log.user_ids), np.asarray(log.item_ids)
    coo = matrix.tocoo()
    rows = sp.csr_matrix((coo.data, (users[coo.row] - first, items[coo.col])), shape=(last - first, shape[1]), dtype=np.float32)
    rows.sort_indices()
    blocks.write_rows(path, side, block, rows)
    if side == "users":
        blocks.write_piece(path, block, first, rows)
    return pa.RecordBatch.from_arrays([pa.array([n], pa.int64()) for n in (block, rows.nnz, len(log))], ["block", "pairs", "events"])


def _weighted(log, options, place):
    """The log's matrix. Event types that this block lacks cannot be named in it; the driver has held the names to all events."""
    here = set(log.event_names)
    if options.get("return_event") is not None and options["return_event"] not in here:
        options["return_event"] = options["return_cancels"] = None
    if options.get("return_cancels"):
        cancels = [n for n in options["return_cancels"] if n in here]
        if not cancels:  # nothing that a return could take back: returns alone count for nothing, as they do there
            cancels = None
            log = log.filtered(np.asarray(log.events) != log.event_names.index(options["return_event"])) if len(log) else log
            options["return_event"] = None
        options["return_cancels"] = cancels
    return log.interactions(num_threads=place.cpus, **options).user_items


def count_items(batches, place, path, shape, least, dropped):
    """Pairs of each item among users that have enough of the items left, one file a block; reports (block, users emptied)."""
    import pyarrow as pa

    out = folder.read(os.path.join(path, "minimum", f"{dropped:04d}"))["out"] if dropped else np.zeros(shape[1], bool)
    for batch in batches:
        for block in batch.column(0).to_pylist():
            matrix = blocks.read_rows(path, "raw", block, shape[1])
            kept = ~out[matrix.indices]
            user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
            enough = np.bincount(user[kept], minlength=matrix.shape[0]) >= least
            kept &= enough[user]
            folder.write(os.path.join(path, "minimum", f"{dropped + 1:04d}.counts", f"{block:06d}"),
                         counts=np.bincount(matrix.indices[kept], minlength=shape[1]).astype(np.int64))
            yield pa.RecordBatch.from_arrays([pa.array([block], pa.int64()), pa.array([int(kept.sum())], pa.int64())], ["block", "pairs"])


def keep_enough(batches, place, path, shape, least, dropped, transform):
    """The users' blocks without what is too little, transformed; reports (block, pairs)."""
    import pyarrow as pa

    out = folder.read(os.path.join(path, "minimum", f"{dropped:04d}"))["out"]
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first, last = blocks.ranges(shape[0])[block]
            matrix = blocks.read_rows(path, "raw", block, shape[1])
            kept = ~out[matrix.indices]
            user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
            kept &= (np.bincount(user[kept], minlength=matrix.shape[0]) >= least)[user]
            rows = sp.csr_matrix((matrix.data[kept], (user[kept], matrix.indices[kept])), shape=(last - first, shape[1]), dtype=np.float32)
            if transform and rows.nnz:
                coo = rows.tocoo()
                log = _core.EventLog.from_frame({"user": coo.row.astype(np.int64), "item": coo.col.astype(np.int64), "value": coo.data},
                                                user="user", item="item", event=None, time=None, value="value")
                again = log.interactions(num_threads=place.cpus, **transform).user_items.tocoo()
                users, items = np.asarray(log.user_ids), np.asarray(log.item_ids)
                rows = sp.csr_matrix((again.data, (users[again.row], items[again.col])), shape=rows.shape, dtype=np.float32)
            rows.sort_indices()
            blocks.write_rows(path, "users", block, rows)
            blocks.write_piece(path, block, first, rows)
            yield pa.RecordBatch.from_arrays([pa.array([block], pa.int64()), pa.array([rows.nnz], pa.int64())], ["block", "pairs"])


def write_item_blocks(batches, place, path, shape):
    """The items' blocks from the pieces; reports (block, pairs)."""
    import pyarrow as pa

    count = len(blocks.ranges(shape[0]))
    for batch in batches:
        for block in batch.column(0).to_pylist():
            blocks.write_item_block(path, block, count, *shape)
            pairs = len(folder.read(blocks.rows_path(path, "items", block))["data"])
            yield pa.RecordBatch.from_arrays([pa.array([block], pa.int64()), pa.array([pairs], pa.int64())], ["block", "pairs"])
