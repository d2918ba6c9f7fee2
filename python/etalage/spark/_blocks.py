# SPDX-License-Identifier: Apache-2.0
"""Interactions cut into blocks of rows, for users and for items, in a folder: what is trained on where one machine is not enough."""

from __future__ import annotations

import os

import numpy as np
import scipy.sparse as sp

from .. import _core
from . import _folder as folder

_MOST_ROWS = 1 << 16  # rows of a block at most


def block_rows(count):
    """Rows of a block of a side of `count` rows: that of a fit's own sums, so that sums of blocks have its bits (up to 64 blocks
    of 65,536 rows; beyond, blocks stay at that size and are more)."""
    return min(_core.als_block_rows(count), _MOST_ROWS)


class Blocks:
    """A users x items matrix in a folder: what spark.interactions() returns, and what spark.ALS.fit() takes.

    Blocks(path) opens a finished one. num_users, num_items, nnz; user_ids and item_ids (arrays of keys, sorted, read when
    asked for); interactions() has all of it as etalage.Interactions, in the memory of this process.
    """

    def __init__(self, path):
        self.path = os.path.abspath(os.fspath(path))
        found = folder.read_json(os.path.join(self.path, "blocks.json"))
        if found is None:
            raise FileNotFoundError(f"path is {self.path!r}, which holds no finished blocks (blocks.json)")
        self.settings = found

    @property
    def num_users(self):
        return self.settings["users"]

    @property
    def num_items(self):
        return self.settings["items"]

    @property
    def nnz(self):
        return self.settings["nnz"]

    @property
    def shape(self):
        return self.num_users, self.num_items

    @property
    def user_ids(self):
        return read_keys(self.path, "users")

    @property
    def item_ids(self):
        return read_keys(self.path, "items")

    def __repr__(self):
        return f"Blocks({self.path!r}: {self.num_users} users, {self.num_items} items, {self.nnz} pairs)"

    def count(self, side):
        return self.settings[side]

    def ranges(self, side):
        """[(first, last)] of each block."""
        return ranges(self.count(side))

    def rows(self, side, block):
        """CSR of one block: its rows x all of the other side."""
        return read_rows(self.path, side, block, self.count("items" if side == "users" else "users"))

    def interactions(self):
        parts = [self.rows("users", b) for b in range(len(self.ranges("users")))]
        matrix = sp.vstack(parts, format="csr") if parts else sp.csr_matrix(self.shape, dtype=np.float32)
        return _core.Interactions.from_csr(matrix, user_ids=self.user_ids, item_ids=self.item_ids)


def ranges(count):
    size = max(1, block_rows(count))
    return [(a, min(a + size, count)) for a in range(0, count, size)]


def rows_path(path, side, block):
    return os.path.join(path, side, f"{block:06d}")


def write_rows(path, side, block, matrix):
    folder.write(rows_path(path, side, block), indptr=matrix.indptr.astype(np.int64), indices=matrix.indices.astype(np.int32),
                 data=matrix.data.astype(np.float32))


def read_rows(path, side, block, columns):
    a = folder.read(rows_path(path, side, block))
    out = sp.csr_matrix((len(a["indptr"]) - 1, columns), dtype=np.float32)
    out.indptr, out.indices, out.data = a["indptr"], a["indices"], a["data"]
    return out


def pieces_path(path, block):
    return os.path.join(path, "pieces", f"{block:06d}")


def write_piece(path, block, first, matrix):
    """The pairs of a block of users, by item and then user: from these the items' blocks are put together."""
    users = np.repeat(np.arange(first, first + matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    order = np.argsort(matrix.indices, kind="stable")
    folder.write(pieces_path(path, block), items=matrix.indices[order].astype(np.int32), users=users[order], values=matrix.data[order])


def write_item_block(path, block, user_blocks, users, items):
    """The rows of one block of items from all pieces, users ascending."""
    first, last = ranges(items)[block]
    found = []
    for b in range(user_blocks):
        piece = folder.read(pieces_path(path, b))
        start, stop = np.searchsorted(piece["items"], [first, last])
        if stop > start:
            found.append((piece["items"][start:stop], piece["users"][start:stop], piece["values"][start:stop]))
    item, user, value = (np.concatenate(c) for c in zip(*found)) if found else (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    order = np.argsort(item, kind="stable")  # pieces come by user
    indptr = np.concatenate([[0], np.cumsum(np.bincount(item - first, minlength=last - first))])
    folder.write(rows_path(path, "items", block), indptr=indptr.astype(np.int64), indices=user[order], data=value[order])


def write_keys(path, side, part, column):
    """One run of sorted keys, an Arrow column of strings or int64."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    table = pa.table({"key": column})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    folder.write_bytes(os.path.join(path, "keys", side, f"{part:06d}.arrow"), [sink.getvalue()])


def read_key_part(path, side, part):
    """An Arrow column of one run of keys."""
    import pyarrow as pa

    with pa.memory_map(os.path.join(path, "keys", side, f"{part:06d}.arrow")) as source:
        return pa.ipc.open_file(source).read_all().column("key")


def read_keys(path, side):
    """All keys of a side in the order of its indices: an object array of strings, or int64."""
    parts = [read_key_part(path, side, p) for p in folder.read_json(os.path.join(path, "blocks.json"))["keys"][side]]
    if not parts:
        return np.empty(0, np.int64)
    return np.concatenate([c.to_numpy() for c in parts])
