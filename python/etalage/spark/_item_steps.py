# SPDX-License-Identifier: Apache-2.0
"""Item weights by blocks of items, as files: totals of each item, |i|^2, rows of W or of a Gram matrix, and the model put together from them."""

from __future__ import annotations

import os
import uuid

import numpy as np

from .. import _core
from . import _blocks as blocks
from . import _folder as folder

_ROWS = 1024  # items whose users' rows are in memory at a time


class ItemFit:
    """A fit of kind "ItemKNN", "P3alpha", "RP3beta" or "EASE" in `work`, on the Blocks of `path`. options: settled, once totals are there."""

    def __init__(self, path, work, kind, options):
        self.path, self.work, self.kind, self.options = path, work, kind, options
        self.blocks = blocks.Blocks(path)
        self._held = {}  # arrays of all items, read once

    def block_path(self, step, block):
        return os.path.join(self.work, step, f"{block:06d}")

    def missing(self, step):
        return [b for b in range(len(self.blocks.ranges("items"))) if not folder.is_whole(self.block_path(step, b))]

    def make(self, step, block, threads):
        if not folder.is_whole(self.block_path(step, block)):
            folder.write(self.block_path(step, block), **getattr(self, f"_{step}")(block, threads))

    def _of_all(self, step, name):
        """An array of all items from the files of their blocks."""
        if (step, name) not in self._held:
            parts = [folder.read(self.block_path(step, b))[name] for b in range(len(self.blocks.ranges("items")))]
            self._held[step, name] = np.ascontiguousarray(np.concatenate(parts))
        return self._held[step, name]

    # Totals: users and sum of values of each item

    def _totals(self, block, threads):
        rows = self.blocks.rows("items", block)
        lengths = np.zeros(rows.shape[0])
        np.add.at(lengths, np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.data.astype(np.float64))  # in order, as a loop adds
        return {"users": np.diff(rows.indptr).astype(np.int64), "lengths": lengths}

    def totals(self):
        """(users of each item, its length, the mean length added in order)."""
        lengths = self._of_all("totals", "lengths")
        mean = float(np.add.accumulate(lengths / len(lengths))[-1])
        return self._of_all("totals", "users"), lengths, mean

    # Rows of the users of some items

    def _parts(self, block):
        """(first, count, whole rows of all users of these items) for runs of a block's items."""
        first, last = self.blocks.ranges("items")[block]
        own = self.blocks.rows("items", block)
        for start in range(0, last - first, _ROWS):
            part = own[start:start + _ROWS]
            yield first + start, part.shape[0], self.blocks.rows_of(np.unique(part.indices))

    def _given(self, threads):
        return {**self.options, "num_threads": threads}

    def _squares(self, block, threads):
        _, lengths, mean = self.totals()
        return {"squares": np.concatenate([_core.item_knn_squares(self._given(threads), users, first, count, self.blocks.num_users, lengths, mean)
                                           for first, count, users in self._parts(block)])}

    def _rows(self, block, threads):
        counts, lengths, mean = self.totals()
        made = []
        for first, count, users in self._parts(block):
            if self.kind == "ItemKNN":
                made.append(_core.item_knn_rows(self._given(threads), users, first, count, self.blocks.num_users, lengths, mean,
                                                self._of_all("squares", "squares")))
            else:
                made.append(_core.random_walk_rows(self._given(threads), users, first, count, counts))
        return _arrays(made)

    def _gram(self, block, threads):
        return _arrays([_core.ease_gram_rows(users, first, count, threads) for first, count, users in self._parts(block)])

    # The end

    def _of_blocks(self, step):
        return [blocks.read_rows(self.work, step, b, self.blocks.num_items) for b in range(len(self.blocks.ranges("items")))]

    def assemble(self, path, keep_history, seconds, threads):
        """The model's file, in the memory of this process."""
        data, options = self.blocks.interactions(), {**self.options, "keep_history": keep_history}
        if self.kind == "EASE":
            over_items = _core.EaseModel.over_items(options, *self.blocks.shape)
            core = _core.EaseModel.from_gram(options, data, self._of_blocks("gram") if over_items else [], threads, float(seconds))
        elif self.kind == "ItemKNN":
            core = _core.ItemKnnModel.from_rows(options, data, blocks.stacked(self._of_blocks("rows")), float(seconds))
        else:
            core = _core.RandomWalkModel.from_rows(options, self.kind == "RP3beta", data, blocks.stacked(self._of_blocks("rows")), float(seconds))
        core.recipe = "" if data.recipe is None else data.recipe.to_json()
        temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}.tmp")
        _core.save(core, temporary)
        os.replace(temporary, path)


def _arrays(parts):
    """Rows one below the other as a file holds them."""
    whole = blocks.stacked(parts)
    return {"indptr": whole.indptr.astype(np.int64), "indices": whole.indices.astype(np.int32), "data": whole.data}
