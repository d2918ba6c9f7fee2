# SPDX-License-Identifier: Apache-2.0
"""Tasks of profiles: whole blocks of shoppers, each with the events that were dealt to it."""

from __future__ import annotations

import os
import pickle

import numpy as np

from .. import _core
from . import _blocks as blocks
from . import _event_files as files
from . import _folder as folder


def _products_path(root):
    return os.path.join(root, "products.etalage")


def _part_path(root, first):
    return os.path.join(root, "parts", f"{first:012d}.etalage")


def _row(names, *values):
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([int(v)], pa.int64()) for v in values], names)


def _unfinished(root):
    """A name for a file that is being written: in the folder that goes with the job, also where a worker dies."""
    return os.path.join(root, f"{os.urandom(8).hex()}.tmp")


def _save(profiles, root, path):
    temporary = _unfinished(root)
    try:
        profiles.save(temporary)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def known_products(batches, place, root, options):
    """Profiles of nobody that know all products by their numbers: what the others begin with."""
    for batch in batches:
        if batch.num_rows:
            folder.require_seen(root)
            made = _core.Profiles(options)
            made.set_ids(None, _core.IdMap(blocks.read_keys(root, "items", folder.read_json(os.path.join(root, "keys.json")))))
            try:
                with open(os.path.join(root, "catalog"), "rb") as f:
                    made.set_catalog(pickle.load(f), None)
            except FileNotFoundError:
                pass
            made.set_ids(None, None)  # their keys are in the file at the end alone
            _save(made, root, _products_path(root))
        yield batch


def make_parts(batches, place, root, shape, count, kinds):
    """The profiles of the blocks of a task, one after the other, as one file; reports (first user, users, events, newest)."""
    folder.require_seen(root)
    numbers = [n for batch in batches for n in batch.column(0).to_pylist()]
    if not numbers:
        return
    ranges = blocks.ranges(shape[0])
    none = _core.Profiles.load(_products_path(root), "header")
    made, events = none.copy(), 0
    for block in numbers:
        first, last = ranges[block]
        columns = files.of_block(root, block, count)
        order = np.lexsort([columns[n] for n in ("value", "event", "item", "time", "user") if n in columns])
        columns = {n: c[order] for n, c in columns.items()}
        log = _core.log_of_codes((columns["user"] - first).astype(np.int32), columns["item"].astype(np.int32), None, None,
                                 columns["event"].astype(np.int32) if "event" in columns else None, kinds, columns["time"], columns.get("value"))
        part = none.copy()
        part.add(log, place.cpus)
        if len(part) != last - first:
            raise RuntimeError(f"block {block} has events of {len(part)} shoppers, must have those of {last - first}")
        made.append(part)
        events += len(order)
    _save(made, root, _part_path(root, ranges[numbers[0]][0]))
    yield _row(["first", "users", "events", "newest"], ranges[numbers[0]][0], len(made), events, made.newest_ms)


def write_table(batches, place, stage, root, firsts, now):
    """The rows of parts as Parquet files; reports (first user, rows)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    settings = folder.read_json(os.path.join(root, "keys.json"))
    keys = pa.chunked_array([blocks.arrow_keys(root, "users", p) for p in settings["keys"]["users"]])
    for batch in batches:
        for number in batch.column(0).to_pylist():
            part = _core.Profiles.load(_part_path(root, firsts[number]), "header")
            columns = {"user": keys.slice(firsts[number], len(part)), **part.table(now)}
            for name in ("first", "last", "last_purchase"):
                never = columns[name] == np.iinfo(np.int64).min
                columns[name] = pa.array(np.where(never, 0, columns[name]), pa.int64(), mask=never).cast(pa.timestamp("ms", tz="UTC"))
            table = pa.table({n: c if isinstance(c, (pa.Array, pa.ChunkedArray)) else pa.array(c, pa.string()) if c.dtype == object else pa.array(c)
                              for n, c in columns.items()})
            temporary = _unfinished(root)
            pq.write_table(table, temporary)
            os.replace(temporary, os.path.join(stage, "table", f"part-{number:06d}.parquet"))
            yield _row(["first", "rows"], firsts[number], table.num_rows)


def assemble(batches, place, root, firsts, path):
    """The file of all shoppers and products, with their keys."""
    for batch in batches:
        if batch.num_rows:
            folder.require_seen(root)
            settings = folder.read_json(os.path.join(root, "keys.json"))
            made = _core.Profiles.load(_products_path(root), "header")
            for first in firsts:
                made.append(_core.Profiles.load(_part_path(root, first), "header"))
            made.set_ids(*(_core.IdMap(blocks.read_keys(root, side, settings)) for side in ("users", "items")))
            _save(made, root, path)
        yield batch
