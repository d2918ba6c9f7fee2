# SPDX-License-Identifier: Apache-2.0
"""Events as files of codes: written once where they are read, numbered by runs of sorted keys, dealt to blocks of users.

A file in events/ holds columns (user, item as places in the file's own sorted keys; event, time, value where there are) and
those keys. No row is compared as a string again, nor sent through a shuffle of Spark.
"""

from __future__ import annotations

import os

import numpy as np

from . import _blocks as blocks
from . import _folder as folder


def sorted_codes(column):
    """(int32 places in the sorted distinct keys, those keys) of an Arrow column of strings or integers without nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type):
        column = column.cast(pa.large_string())
    encoded = column.dictionary_encode().combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(order))


def _events_path(path, name):
    return os.path.join(path, "events", name)


def write_events(path, name, arrays, keys, durable):
    parts = {}
    for side, column in keys.items():
        for n, a in blocks.key_arrays(column).items():
            parts[f"{side}_{n}"] = a
    folder.write(_events_path(path, name), durable=durable, **arrays, **parts)


def read_events(path, name):
    return folder.read(_events_path(path, name))


class _Keys:
    """The sorted keys of one side of a file, found by bisection."""

    def __init__(self, arrays, side):
        self.whole = arrays.get(f"{side}_keys")
        if self.whole is None:
            self.offsets, self.data = arrays[f"{side}_offsets"], arrays[f"{side}_bytes"]

    def __len__(self):
        return len(self.offsets) - 1 if self.whole is None else len(self.whole)

    def lower(self, key):
        """The first place whose key is not below `key`."""
        if self.whole is not None:
            return int(np.searchsorted(self.whole, key))
        key, first, last = key.encode(), 0, len(self)
        while first < last:
            middle = (first + last) // 2
            if self.data[self.offsets[middle]:self.offsets[middle + 1]].tobytes() < key:
                first = middle + 1
            else:
                last = middle
        return first

    def cut(self, run, splitters):
        """(first, last) of the keys that belong to a run."""
        return (self.lower(splitters[run - 1]) if run else 0, self.lower(splitters[run]) if run < len(splitters) else len(self))

    def part(self, first, last):
        import pyarrow as pa

        if self.whole is not None:
            return pa.array(self.whole[first:last])
        offsets = self.offsets[first:last + 1]
        data = self.data[offsets[0]:offsets[-1]]
        return pa.LargeStringArray.from_buffers(last - first, pa.py_buffer(np.ascontiguousarray(offsets - offsets[0])), pa.py_buffer(data))


def splitters_of(reports, side, runs):
    """At most runs - 1 keys that cut all keys into runs of about one length, from the samples of the files."""
    weighed = sorted((key, r["keys"][side] / len(r["sample"][side])) for r in reports for key in r["sample"][side])
    total, out, sum_ = sum(w for _, w in weighed), [], 0.0
    for key, weight in weighed:
        sum_ += weight
        if sum_ >= total * (len(out) + 1) / runs and len(out) < runs - 1 and (not out or key > out[-1]):
            out.append(key)
    return out


def _map_path(root, side, run):
    return os.path.join(root, "maps", side, f"{run:06d}")


def merge_run(path, root, names, side, run, splitters):
    """One run of all files' keys as a file of keys, and each file's places in it; the number of keys."""
    import pyarrow as pa

    parts, lengths = [], []
    for name in names:
        keys = _Keys(read_events(path, name), side)
        first, last = keys.cut(run, splitters)
        parts.append(keys.part(first, last))
        lengths.append(last - first)
    codes, merged = sorted_codes(pa.chunked_array(parts)) if sum(lengths) else (np.empty(0, np.int32), parts[0])
    blocks.write_arrow_keys(root, side + "s", run, merged)
    folder.write(_map_path(root, side, run), durable=False, codes=codes, offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    return len(merged)


def _numbers(root, side, number, firsts):
    """The numbers of a file's keys among all, in the order of its keys."""
    out = []
    for run, first in enumerate(firsts):
        a = folder.read(_map_path(root, side, run))
        out.append(a["codes"][a["offsets"][number]:a["offsets"][number + 1]].astype(np.int64) + first)
    return np.concatenate(out).astype(np.int32)


def _dealt_path(root, number):
    return os.path.join(root, "dealt", f"{number:06d}")


def deal(path, root, name, number, firsts, size, kinds):
    """A file's events under the numbers of all, those of a block of users together. kinds: the file's event codes among all."""
    a = read_events(path, name)
    columns = {side: _numbers(root, side, number, firsts[side])[a[side]] for side in ("user", "item")}
    if "event" in a:
        columns["event"] = np.asarray(kinds, np.int32)[a["event"]]
    for n in ("time", "value"):
        if n in a:
            columns[n] = a[n]
    block = (columns["user"] // size).astype(np.uint16)
    order = np.argsort(block, kind="stable")
    cuts = np.concatenate([[0], np.cumsum(np.bincount(block))]).astype(np.int64)
    folder.write(_dealt_path(root, number), durable=False, cuts=cuts, **{n: c[order] for n, c in columns.items()})
    return len(order)


def of_block(root, block, count):
    """The columns of all events of a block of users."""
    found = []
    for number in range(count):
        a = folder.read(_dealt_path(root, number))
        if block + 1 < len(a["cuts"]):
            start, stop = a["cuts"][block:block + 2]
            if stop > start:
                found.append({n: c[start:stop] for n, c in a.items() if n != "cuts"})
    if not found:
        return {"user": np.empty(0, np.int32), "item": np.empty(0, np.int32)}
    return {n: np.concatenate([f[n] for f in found]) for n in found[0]}


def order_of(columns, first, items):
    """An order of events that does not depend on files: by user and item, and within a pair by time, type and value."""
    pair = (columns["user"].astype(np.int64) - first) * items + columns["item"]
    order = np.argsort(pair)
    further = [columns[n] for n in ("value", "event", "time") if n in columns]
    if not len(order) or not further:
        return order
    ordered = pair[order]
    same = ordered[1:] == ordered[:-1]
    again = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    if again.any():  # those with company; pairs keep their places
        rows = order[again]
        order[again] = rows[np.lexsort([*(c[rows] for c in further), pair[rows]])]
    return order
