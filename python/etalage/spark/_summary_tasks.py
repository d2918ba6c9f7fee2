# SPDX-License-Identifier: Apache-2.0
"""Tasks of summaries: whole customers at a time, summarized by the local code."""

from __future__ import annotations

import numpy as np

from .. import _core
from ..marketing.lifetime import summarize

_EVENTS = 1 << 18  # purchases at a time


def summarised(batches, place, with_money, until, unit, offset):
    """Rows (customer, frequency, recency, T[, money], log_gaps) of a partition whose customers' purchases come together."""
    held, count = [], 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        if batch.column(0).null_count:
            raise ValueError("column 'user' has a null key, must have none: filter them out")
        held.append(batch)
        count += batch.num_rows
        if count >= _EVENTS:
            whole, held = _cut(held)
            yield from _made(whole, with_money, until, unit, offset)
            count = sum(b.num_rows for b in held)
    if held:
        yield from _made(held, with_money, until, unit, offset)


def _cut(held):
    """The batches up to the last customer, who may go on, and the rest."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_batches(held).combine_chunks()
    keys = table.column("user")
    end = len(keys)
    last = keys[end - 1]
    first = int(np.argmax(np.asarray(pc.equal(keys, last))))
    return table.slice(0, first).to_batches(), table.slice(first).to_batches()


def _made(held, with_money, until, unit, offset):
    import pyarrow as pa

    table = pa.Table.from_batches(held) if held else None
    if table is None or not table.num_rows:
        return
    table = table.append_column("item", pa.array(np.zeros(table.num_rows, np.int64)))
    log = _core.EventLog.from_frame(table, user="user", item="item", event=None, time="time", value="value" if with_money else None)
    found = summarize(log, until=until, unit=unit, utc_offset_minutes=offset).to_dict()
    columns = [pa.array(found["customer"].tolist() if found["customer"].dtype == object else found["customer"])]
    names = ["customer"]
    for name in ("frequency", "recency", "T", *(["money"] if with_money else []), "log_gaps"):
        names.append(name)
        columns.append(pa.array(np.asarray(found[name], np.float64)))
    if len(columns[0]):
        yield from pa.Table.from_arrays(columns, names).to_batches(max_chunksize=10000)
