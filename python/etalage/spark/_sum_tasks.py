# SPDX-License-Identifier: Apache-2.0
"""Tasks of popularity and cooccurrence: blocks of items, each with all of its users."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from . import _blocks as blocks
from . import _folder as folder

_OPEN: dict = {}
_ROWS = 256  # items a product: what is in memory is their counts


class _Keys:
    def __init__(self, found):
        import pyarrow as pa

        self.blocks = found
        parts = [blocks.arrow_keys(found.root, "items", p) for p in found.settings["keys"]["items"]]
        column = pa.chunked_array(parts)
        self.all = column.cast(pa.string()) if pa.types.is_large_string(column.type) else column

    def take(self, index):
        import pyarrow as pa

        out = self.all.take(pa.array(np.asarray(index, np.int64)))
        return out.combine_chunks() if out.num_chunks != 1 else out.chunk(0)


def _opened(path):
    folder.require_seen(path)
    found = blocks.Blocks(path)
    if _OPEN.get("root") != (found.root, found.settings):
        _OPEN.update(root=(found.root, found.settings), keys=_Keys(found))
    return _OPEN["keys"]


def _tables(columns):
    """Batches of (name, Arrow array or numpy array) columns, small enough for a JVM."""
    import pyarrow as pa

    names = [n for n, _ in columns]
    batch = pa.RecordBatch.from_arrays([a if isinstance(a, pa.Array) else pa.array(a) for _, a in columns], names)
    for start in range(0, batch.num_rows, 10000):
        yield batch.slice(start, 10000)


def popularity(batches, place, path):
    keys = _opened(path)
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first, last = keys.blocks.ranges("items")[block]
            rows = keys.blocks.rows("items", block)
            item = np.repeat(np.arange(last - first), np.diff(rows.indptr))
            weight = np.bincount(item, rows.data.astype(np.float64), last - first)
            users = np.bincount(item[rows.data > 0], minlength=last - first)
            yield from _tables([("item", keys.take(np.arange(first, last))), ("weight", weight), ("users", users.astype(np.int64))])


def cooccurrence(batches, place, path, least, weighted):
    keys = _opened(path)
    found = keys.blocks
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first, _ = found.ranges("items")[block]
            rows = found.rows("items", block)
            for start in range(0, rows.shape[0], _ROWS):
                yield from _pairs(keys, rows[start:start + _ROWS], first + start, least, weighted)


def _pairs(keys, own, first, least, weighted):
    """The pairs of a few items, by the rows of the users who have them."""
    users = np.unique(own.indices)
    if not len(users):
        return
    others = keys.blocks.rows_of(users)
    own = sp.csr_matrix((own.data, np.searchsorted(users, own.indices), own.indptr), shape=(own.shape[0], len(users)))
    counts = (_liked(own) @ _liked(others)).tocoo()
    kept = (counts.row + first != counts.col) & (counts.data >= least)
    item, other, users_of = counts.row[kept], counts.col[kept], counts.data[kept]
    columns = [("item", keys.take(item + first)), ("other", keys.take(other)), ("users", users_of)]
    if weighted:
        products = (own.astype(np.float64) @ others.astype(np.float64)).tocsr()
        columns.append(("product", np.asarray(products[item, other]).ravel()))
    yield from _tables(columns)


def _liked(matrix):
    out = sp.csr_matrix(((matrix.data > 0).astype(np.int64), matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    out.eliminate_zeros()
    return out
