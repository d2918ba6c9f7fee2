# SPDX-License-Identifier: Apache-2.0
"""Interactions cut into blocks of rows, for users and for items, in a folder: what is trained on where one machine is not enough."""

from __future__ import annotations

import os
import shutil

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._recipe import Recipe, _marked
from . import _folder as folder

_MOST_ROWS = 1 << 16  # rows of a block at most


def block_rows(count):
    """Rows of a block of a side of `count` rows: that of a fit's own sums, so that sums of blocks have its bits (up to 64 blocks
    of 65,536 rows; beyond, blocks stay at that size and are more)."""
    return min(_core.als_block_rows(count), _MOST_ROWS)


def stacked(parts):
    """CSR matrices one below the other; their indices stay in 32 bits, which those of sp.vstack do not."""
    out = sp.csr_matrix((sum(p.shape[0] for p in parts), parts[0].shape[1]), dtype=np.float32)
    out.indices, out.data = (np.concatenate([getattr(p, n) for p in parts]) for n in ("indices", "data"))
    out.indptr = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(p.indptr) for p in parts]))])
    return out


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
        self.root = os.path.join(self.path, found["at"]) if found.get("at") else self.path  # of folded blocks, the newest

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
        return read_keys(self.root, "users", self.settings)

    @property
    def item_ids(self):
        return read_keys(self.root, "items", self.settings)

    def __repr__(self):
        return f"Blocks({self.path!r}: {self.num_users} users, {self.num_items} items, {self.nnz} pairs)"

    def count(self, side):
        return self.settings[side]

    def ranges(self, side):
        """[(first, last)] of each block."""
        return ranges(self.count(side))

    def rows(self, side, block):
        """CSR of one block: its rows x all of the other side."""
        return read_rows(self.root, side, block, self.count("items" if side == "users" else "users"))

    def rows_of(self, users):
        """CSR of these users, ascending, each with all of its items."""
        parts = []
        for block, (begin, end) in enumerate(self.ranges("users")):
            i, j = np.searchsorted(users, [begin, end])
            if j > i:
                parts.append(self.rows("users", block)[users[i:j] - begin])
        return sp.vstack(parts, format="csr") if parts else sp.csr_matrix((0, self.num_items), dtype=np.float32)

    def interactions(self):
        parts = [self.rows("users", b) for b in range(len(self.ranges("users")))]
        matrix = sp.vstack(parts, format="csr") if parts else sp.csr_matrix(self.shape, dtype=np.float32)
        out = _core.Interactions.from_csr(matrix, user_ids=self.user_ids, item_ids=self.item_ids, newest_ms=self.settings.get("newest_ms"))
        return out if self.recipe is None else _marked(out, self.recipe)

    @property
    def recipe(self):
        """The etalage.Recipe by which events became this matrix, None where nobody said."""
        text = self.settings.get("recipe")
        return Recipe.from_json(text) if text is not None else None

    @property
    def batches(self):
        """Names of the batches of events that are folded in, as spark.interactions(batch=) was given them."""
        return list(self.settings.get("batches", []))


def ranges(count):
    size = max(1, block_rows(count))
    return [(a, min(a + size, count)) for a in range(0, count, size)]


def rows_path(path, side, block):
    return os.path.join(path, side, f"{block:06d}")


def write_rows(path, side, block, matrix, durable=True):
    folder.write(rows_path(path, side, block), durable=durable, indptr=matrix.indptr.astype(np.int64), indices=matrix.indices.astype(np.int32),
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
    if matrix.shape[1] <= 4 * matrix.nnz:  # columns in one pass
        by_item = matrix.tocsc()
        items = np.repeat(np.arange(matrix.shape[1], dtype=np.int32), np.diff(by_item.indptr))
        users, values = (by_item.indices + first).astype(np.int32), by_item.data
    else:
        users = np.repeat(np.arange(first, first + matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
        order = np.argsort(matrix.indices, kind="stable")
        items, users, values = matrix.indices[order].astype(np.int32), users[order], matrix.data[order]
    folder.write(pieces_path(path, block), durable=False, items=items, users=users, values=values)


def write_item_block(path, block, user_blocks, users, items, durable=True):
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
    folder.write(rows_path(path, "items", block), durable=durable, indptr=indptr.astype(np.int64), indices=user[order], data=value[order])


def _keys_path(path, side, part):
    return os.path.join(path, "keys", side, f"{part:06d}")


def write_keys(path, side, part, keys):
    """One run of sorted keys: an array of int64, or of strings."""
    keys = np.asarray(keys)
    if keys.dtype != object and keys.dtype.kind != "U":
        folder.write(_keys_path(path, side, part), keys=keys.astype(np.int64))
        return
    encoded = [k.encode() for k in keys.tolist()]
    offsets = np.concatenate([[0], np.cumsum([len(k) for k in encoded], dtype=np.int64)])
    folder.write(_keys_path(path, side, part), offsets=offsets.astype(np.int64), bytes=np.frombuffer(b"".join(encoded), np.uint8))


def key_arrays(column):
    """The arrays of a file of keys, from an Arrow array of large strings or int64."""
    import pyarrow as pa

    if not pa.types.is_large_string(column.type):
        return {"keys": column.to_numpy(zero_copy_only=False).astype(np.int64)}
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, np.int64)[column.offset:column.offset + len(column) + 1] if len(column) else np.zeros(1, np.int64)
    data = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return {"offsets": offsets - offsets[0], "bytes": data[offsets[0]:offsets[-1]]}


def write_arrow_keys(path, side, part, column):
    """One run of sorted keys: an Arrow array of int64, or of large strings."""
    folder.write(_keys_path(path, side, part), **key_arrays(column))


def arrow_keys(path, side, part):
    """One run as an Arrow array of large strings or int64, over the mapped file."""
    import pyarrow as pa

    a = folder.read(_keys_path(path, side, part))
    if "keys" in a:
        return pa.array(a["keys"])
    return pa.LargeStringArray.from_buffers(len(a["offsets"]) - 1, pa.py_buffer(a["offsets"]), pa.py_buffer(a["bytes"]))


def read_keys(path, side, settings):
    """All keys of a side in the order of its indices: an object array of strings, or int64."""
    integers, texts = [np.empty(0, np.int64)], []
    for part in settings["keys"][side]:
        a = folder.read(_keys_path(path, side, part))
        if "keys" in a:
            integers.append(a["keys"])
        else:
            data, offsets = a["bytes"].tobytes(), a["offsets"].tolist()
            texts += [data[i:j].decode() for i, j in zip(offsets, offsets[1:])]
    if not settings["strings"][side]:
        return np.concatenate(integers)
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


def write_blocks(path, data):
    """Blocks of Interactions that are in this process, as spark.interactions() writes them; data has keys."""
    matrix, keys, strings = data.user_items.tocsr(), {}, {}
    orders = []
    for side, ids in (("users", data.user_ids), ("items", data.item_ids)):
        ids = np.asarray(ids)
        order = np.argsort(ids, kind="stable")
        write_keys(path, side, 0, ids[order])
        keys[side], strings[side] = [0], ids.dtype == object
        orders.append(order)
    matrix = matrix[orders[0]][:, orders[1]]
    matrix.sort_indices()
    for block, (first, last) in enumerate(ranges(matrix.shape[0])):
        rows = matrix[first:last]
        write_rows(path, "users", block, rows)
        write_piece(path, block, first, rows)
    for block in range(len(ranges(matrix.shape[1]))):
        write_item_block(path, block, len(ranges(matrix.shape[0])), *matrix.shape)
    finish(path, matrix.shape, matrix.nnz, keys, strings, recipe=None if data.recipe is None else data.recipe.to_json(),
           newest_ms=data.newest_ms)
    return Blocks(path)


def finish(path, shape, pairs, keys, strings, root=None, **more):
    """Makes the blocks whole: what opens them is written last. root: where they are, when that is not path itself."""
    for name in ("pieces", "raw", "minimum", "maps", "dealt"):
        shutil.rmtree(os.path.join(root or path, name), ignore_errors=True)
    folder.write_json(os.path.join(path, "blocks.json"), {
        "users": int(shape[0]), "items": int(shape[1]), "nnz": int(pairs), "keys": keys, "strings": {k: bool(v) for k, v in strings.items()},
        "version": _core.build_info()["version"], **more})
