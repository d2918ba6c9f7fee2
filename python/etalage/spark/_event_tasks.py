# SPDX-License-Identifier: Apache-2.0
"""Tasks of interactions(): events are read once, dealt to blocks of users as codes, and weighted by EventLog itself."""

from __future__ import annotations

import json
import os
import uuid

import numpy as np
import scipy.sparse as sp

from .. import _core
from . import _blocks as blocks
from . import _event_files as files
from . import _folder as folder

_COLUMNS = ("user", "item", "event", "time", "value")
_CHUNK = 1 << 22  # events of a file at most: what a task holds
_SAMPLE = 64  # keys of a file that the driver sees of each side, to cut the keys into runs


def encode(batches, place, path, types, time_unit, on_error, durable):
    """The partition's events as files of codes, with the sorted keys they stand for; reports each file."""
    import pyarrow as pa

    folder.require_seen(path)
    held, count, before = [], 0, 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        held.append(batch)
        count += batch.num_rows
        if count >= _CHUNK:
            yield from _encoded(held, before, place, path, types, time_unit, on_error, durable)
            held, before, count = [], before + count, 0
    if held:
        yield from _encoded(held, before, place, path, types, time_unit, on_error, durable)


def _encoded(held, before, place, path, types, time_unit, on_error, durable):
    import pyarrow as pa

    names = [n for n, _ in types]
    table = pa.Table.from_batches(held).rename_columns(names)
    for side in ("user", "item"):
        nulls = table.column(side).null_count
        if nulls and on_error == "raise":
            row = int(np.flatnonzero(table.column(side).is_null().to_numpy())[0])
            raise ValueError(f"column {side!r} has a null key in row {before + row} of the partition, must have none: filter them "
                             "out, or pass on_error='skip'")
        if nulls:
            table = table.filter(table.column(side).is_valid())
    arrays, keys = {}, {}
    for side in ("user", "item"):
        arrays[side], keys[side] = files.sorted_codes(table.column(side))
    kinds = []
    if len(names) > 2:

        def read(users, items):
            columns = [pa.array(users, pa.int64()), pa.array(items, pa.int64()), *table.columns[2:]]
            return _core.EventLog.from_frame(pa.Table.from_arrays(columns, names), **{n: n if n in names else None for n in _COLUMNS}, on_error=on_error,
                                             time_unit=time_unit if "time" in names else None, num_threads=place.cpus)

        none = np.zeros(table.num_rows, np.int64)  # one key each, which a log finds quicker than many
        log = read(none, none)
        if len(log) != table.num_rows:  # rows were left out, and keys with them
            log = read(arrays["user"], arrays["item"])
            for side, ids, index in (("user", log.user_ids, log.users), ("item", log.item_ids, log.items)):
                used, codes = np.unique(np.asarray(ids)[np.asarray(index)] if len(log) else np.empty(0, np.int64), return_inverse=True)
                arrays[side], keys[side] = codes.astype(np.int32), keys[side].take(pa.array(used, pa.int64()))
        if log.events is not None:
            kinds, arrays["event"] = list(log.event_names), np.asarray(log.events).astype(np.int32)
        if log.times is not None:
            arrays["time"] = np.asarray(log.times).view(np.int64)
        if log.values is not None:
            arrays["value"] = np.asarray(log.values)
    if not len(arrays["user"]):
        return
    name = uuid.uuid4().hex
    files.write_events(path, name, arrays, keys, durable)
    newest = int(arrays["time"].max()) if "time" in arrays else None
    sample = {n: keys[n].take(pa.array(np.linspace(0, len(keys[n]) - 1, min(_SAMPLE, len(keys[n]))).astype(np.int64))).to_pylist()
              for n in ("user", "item")}
    yield pa.RecordBatch.from_arrays(
        [pa.array([json.dumps({"file": name, "rows": len(arrays["user"]), "newest": newest, "kinds": kinds, "sample": sample,
                               "keys": {n: len(keys[n]) for n in keys}})])], ["report"])


def merge_keys(batches, place, source, root, names, splitters):
    """Runs of the sorted keys of all files, and of each file's keys their places in the run; reports (task, keys). Task t is run
    t of users, then of items."""
    import pyarrow as pa

    folder.require_seen(root)
    sides = [("user", r) for r in range(len(splitters["user"]) + 1)] + [("item", r) for r in range(len(splitters["item"]) + 1)]
    for batch in batches:
        for number in batch.column(0).to_pylist():
            side, run = sides[number]
            count = files.merge_run(source, root, names, side, run, splitters[side])
            yield pa.RecordBatch.from_arrays([pa.array([number], pa.int64()), pa.array([count], pa.int64())], ["task", "keys"])


def deal(batches, place, source, root, names, firsts, size, kinds):
    """The events of files by block of users, under the numbers of all; reports (file, events)."""
    import pyarrow as pa

    for batch in batches:
        for number in batch.column(0).to_pylist():
            count = files.deal(source, root, names[number], number, firsts, size, kinds[number])
            yield pa.RecordBatch.from_arrays([pa.array([number], pa.int64()), pa.array([count], pa.int64())], ["file", "events"])


def write_user_blocks(batches, place, root, side, shape, count, kinds, options):
    """The files of the blocks of side "users", or "raw" where minimum counts follow; reports (block, pairs, events)."""
    import pyarrow as pa

    written = []
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first, last = blocks.ranges(shape[0])[block]
            columns = files.of_block(root, block, count)
            order = files.order_of(columns, first, shape[1])
            columns = {n: c[order] for n, c in columns.items()}
            events = len(columns["user"])
            rows = sp.csr_matrix((last - first, shape[1]), dtype=np.float32)
            if events:
                rows = _rows_of(columns, kinds, dict(options), first, rows.shape, place)
            rows.sort_indices()
            blocks.write_rows(root, side, block, rows, durable=False)
            written.append(blocks.rows_path(root, side, block))
            if side == "users":
                blocks.write_piece(root, block, first, rows)
            yield pa.RecordBatch.from_arrays([pa.array([n], pa.int64()) for n in (block, rows.nnz, events)], ["block", "pairs", "events"])
    folder.sync(written)


def _rows_of(columns, kinds, options, first, shape, place):
    events, names = None, []
    if "event" in columns:
        here, events = np.unique(columns["event"], return_inverse=True)
        names, events = [kinds[n] for n in here], events.astype(np.int32)
    log = _core.log_of_codes((columns["user"] - first).astype(np.int32), columns["item"].astype(np.int32), None, None, events, names,
                             columns.get("time"), columns.get("value"))
    coo = _weighted(log, options, place).tocoo()
    return sp.csr_matrix((coo.data, (coo.row, coo.col)), shape=shape, dtype=np.float32)


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

    count, written = len(blocks.ranges(shape[0])), []
    for batch in batches:
        for block in batch.column(0).to_pylist():
            blocks.write_item_block(path, block, count, *shape, durable=False)
            written.append(blocks.rows_path(path, "items", block))
            pairs = len(folder.read(written[-1])["data"])
            yield pa.RecordBatch.from_arrays([pa.array([block], pa.int64()), pa.array([pairs], pa.int64())], ["block", "pairs"])
    folder.sync(written)
