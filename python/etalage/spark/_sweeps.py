# SPDX-License-Identifier: Apache-2.0
"""ALS in half-sweeps over blocks of rows, as files: what Spark's tasks, and shards started by hand, do alike.

Half 0 and 1 are the random starts of users and items; half h > 1 solves users (even) or items (odd) against half h - 1, from
their own factors of half h - 2. A block's file holds its factors, their Gram matrix and its parts of the objective; once all
blocks of a half are there, sums over them in the order of their numbers are its record. A file that is there is not made
again, so every step may be stopped, and repeated, at any time.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import scipy.sparse as sp

from .. import _core
from . import _blocks as blocks
from . import _folder as folder

_SIDES = ("users", "items")
_MOST_WHOLE = 512 << 20  # bytes of the other side's factors that each process holds; of more, a block gathers the rows that it names
_FAN = 64  # blocks, or sums of them, that are added one after the other: the tree over block numbers


def side_of(half):
    return _SIDES[half % 2]


def aligned_rows(rows, factors):
    """Memory for so many rows of factors that the kernels read, and turn, without a copy of their own."""
    memory = np.empty(rows * factors + 16, np.float32)
    at = (-memory.ctypes.data % 64) // 4
    return memory[at:at + rows * factors].reshape(rows, factors)


def in_tree(parts):
    """The sum of parts in a tree over their numbers that depends on nothing else: runs of 64 in order, then runs of runs."""
    parts = list(parts)
    while len(parts) > 1:
        parts = [_in_order(parts[i:i + _FAN]) for i in range(0, len(parts), _FAN)]
    return parts[0]


def _in_order(parts):
    total = parts[0].copy() if isinstance(parts[0], np.ndarray) else parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class Fit:
    """A fit in `work`, on the Blocks of `path`."""

    def __init__(self, path, work, options):
        self.path, self.work = path, work
        self.blocks = blocks.Blocks(path)
        self.options = self._settled(options)
        self.model = _core.AlsModel(self.options)
        self._mapped = (None, {})
        self._made = {}  # rows of runs, mapped
        self._bases = {}
        self._memory = {}

    def _settled(self, options):
        """The options with a value for each "auto", as models.ALS chooses on the same rows; kept as a file, for all tasks alike."""
        if "auto" not in options.values():
            return options
        path = os.path.join(self.work, "settled.json")
        kept = folder.read_json(path) or {}
        if kept.get("asked") != options:
            users, items = self.blocks.shape
            met = 0
            for block in range(len(self.blocks.ranges("items"))):
                met += int((np.diff(blocks.read_rows(self.blocks.root, "items", block, users).indptr) > 0).sum())
            chosen = _core.AlsModel.settled(options, users, items, self.blocks.nnz, self.blocks.nnz / max(1, met))
            os.makedirs(self.work, exist_ok=True)
            kept = {"asked": options, "chosen": {n: chosen.get(n, v) for n, v in options.items() if v == "auto"}}
            folder.write_json(path, kept)
        return {**options, **kept["chosen"]}

    # Blocks

    def block_path(self, half, block):
        return os.path.join(self.work, f"{half:05d}", f"{block:06d}")

    def runs(self, half, count):
        """The blocks of a half in at most `count` runs of consecutive ones, [(first, last)]: what one call of the kernels makes."""
        blocks_of = self.count(half)
        count = min(count, blocks_of)
        cuts = [blocks_of * i // count for i in range(count + 1)] if count else []
        return list(zip(cuts, cuts[1:]))

    def make(self, half, block, threads):
        """The file of a block, unless it is there."""
        self.make_run(half, (block, block + 1), threads)

    def make_run(self, half, run, threads):
        """The files of a run of blocks, unless they are there."""
        if all(folder.is_whole(self.block_path(half, b)) for b in range(*run)):
            return
        side, other = side_of(half), side_of(half + 1)
        ranges = self.blocks.ranges(side)[run[0]:run[1]]
        first, last = ranges[0][0], ranges[-1][1]
        others, f = self.blocks.count(other), self.options["factors"]
        model = _core.AlsModel({**self.options, "num_threads": threads})
        rows, needed = self._rows(side, run, others)
        fixed = np.empty((0, f), np.float32)
        if half > 0:
            fixed = self._whole(half - 1, threads) if needed is None else self._turn(self._gathered(half - 1, needed), half, threads)
        if half < 2:
            x = _core.als_start(model, side, first, last - first)
        else:
            x = aligned_rows(last - first, f)
            for block, (begin, end) in zip(range(*run), ranges):
                x[begin - first:end - first] = folder.read(self.block_path(half - 2, block))["x"]
        if half > 1:
            for h in (half - 1, half):
                self._turn(x, h, threads)
            try:
                x = _core.als_half_step(model, side, rows, fixed, others, self._turned_gram(half), x)
            except _core.NumericalError as error:
                raise _core.NumericalError(f"blocks {run[0]} to {run[1] - 1} of {side} (from row {first}): {error}") from None
        for block, (begin, end) in zip(range(*run), ranges):
            own, loss = x[begin - first:end - first], np.nan
            if self.options["compute_objective"]:  # the observed pairs are seen from the items' side
                loss = _core.als_block_loss(model, rows[begin - first:end - first], fixed, others, own, half % 2 == 1)
            folder.write(self.block_path(half, block), durable=False, x=own, gram=_core.als_block_gram(own), loss=np.array([loss]))

    def _rows(self, side, run, others):
        """(rows of a run without stored zeros, None), or, where the other side is too large to be whole in each process, (rows in the
        columns that they use, those columns); kept as a file."""
        whole = others * self.options["factors"] * 4 <= _MOST_WHOLE
        path = os.path.join(self.work, "compact", side, f"{run[0]:06d}-{run[1]:06d}")
        if path in self._made:
            a = self._made[path]
        elif folder.is_whole(path):
            a = folder.read(path)
        else:
            parts = [blocks.read_rows(self.blocks.root, side, b, others) for b in range(*run)]
            rows = blocks.stacked(parts) if len(parts) > 1 else parts[0]  # one is mapped
            if len(rows.data) and not float(np.abs(rows.data).max()) * self.options["alpha"] < 1e18:
                raise ValueError("a weight is too large, must be below 1e18 in magnitude when multiplied by alpha")
            if not rows.data.all():
                rows = rows.copy()
                rows.eliminate_zeros()
            needed, indices = (np.empty(0, np.int32), rows.indices) if whole else np.unique(rows.indices, return_inverse=True)
            a = dict(indptr=np.asarray(rows.indptr, np.int64), indices=np.asarray(indices, np.int32), data=rows.data, needed=needed.astype(np.int32))
            folder.write(path, durable=False, **a)
            a = folder.read(path)
        self._made[path] = a
        rows = sp.csr_matrix((len(a["indptr"]) - 1, others if whole else len(a["needed"])), dtype=np.float32)
        rows.indptr, rows.indices, rows.data = a["indptr"], a["indices"], a["data"]
        return rows, None if whole else a["needed"]

    # The basis of a half

    def _basis(self, half):
        """(eigenvalues, eigenvectors) of the Gram matrix that half > 1 is solved against, kept for the two that need them next."""
        if half not in self._bases:
            self._bases = {h: b for h, b in self._bases.items() if h == half - 1} | {half: _core.als_basis(self.gram(half - 1))}
        return self._bases[half]

    def _turns(self, half):
        return half > 1 and _core.als_uses_basis(self.model, self.blocks.count("users"), self.blocks.count("items"))

    def _turn(self, factors, half, threads):
        """Factors in the basis of the half before become those in that of this one; of memory of our own."""
        if self._turns(half):
            _core.als_turn(self._basis(half)[1], factors, threads, True)
        return factors

    def _turned_gram(self, half):
        """The Gram matrix that a half is solved against, in its basis."""
        return np.diag(self._basis(half)[0]) if self._turns(half) else self.gram(half - 1)

    def _whole(self, half, threads):
        """All factors of a half in the basis of the next, put together once a process for all blocks that it makes of that."""
        if self._mapped[0] != half:
            side = side_of(half)
            if side not in self._memory:  # kept for all halves: new memory costs as much as filling it
                self._memory[side] = aligned_rows(self.blocks.count(side), self.options["factors"])
            x, self._mapped = self._memory[side], (None, {})  # of no half until it is whole
            for block, (first, last) in enumerate(self.blocks.ranges(side_of(half))):
                x[first:last] = folder.read(self.block_path(half, block))["x"]
            self._turn(x, half + 1, threads)
            self._mapped = (half, {"whole": x})
        return self._mapped[1]["whole"]

    def _gathered(self, half, needed):
        """The factors of the needed rows of the other side, from the files of the blocks that hold them."""
        out = aligned_rows(len(needed), self.options["factors"])
        for block, (first, last) in enumerate(self.blocks.ranges(side_of(half))):
            start, stop = np.searchsorted(needed, [first, last])
            if stop > start:
                np.take(self._factors(half, block), needed[start:stop] - first, axis=0, out=out[start:stop])
        return out

    def _factors(self, half, block):
        """A block's factors, mapped once a half for all blocks that need them."""
        if self._mapped[0] != half:
            self._mapped = (half, {})
        held = self._mapped[1]
        if block not in held:
            held[block] = folder.read(self.block_path(half, block))["x"]
        return held[block]

    # One half

    def count(self, half):
        return len(self.blocks.ranges(side_of(half)))

    def missing(self, half):
        try:
            found = set(os.listdir(os.path.join(self.work, f"{half:05d}")))
        except FileNotFoundError:
            found = set()
        return [b for b in range(self.count(half)) if f"{b:06d}" not in found]

    def has_record(self, half):
        return os.path.exists(self._record_path(half))

    def gram(self, half):
        return folder.read(self._record_path(half))["gram"]

    def _record_path(self, half):
        return os.path.join(self.work, "done", f"{half:05d}")

    def finish(self, half):
        """Sums over the blocks of a half, all of which are there, as its record; (objective so far, whether to go on)."""
        if not self.has_record(half):
            parts = (folder.read(self.block_path(half, b)) for b in range(self.count(half)))
            grams, losses = zip(*((p["gram"], float(p["loss"][0])) for p in parts))
            gram, loss = in_tree(grams), in_tree(losses)
            if not np.isfinite(gram).all():
                raise _core.NumericalError(f"{side_of(half)[:-1]} factors left the finite numbers; increase regularization, or lower alpha")
            objective = np.empty(0)
            if half > 0:
                before = folder.read(self._record_path(half - 1))
                objective = before["objective"]
                if half % 2 and self.options["compute_objective"]:
                    cells = float(np.sum(self._turned_gram(half) * gram))
                    objective = np.append(objective, float(before["loss"][0]) + loss + self.options["unobserved_weight"] * cells)
            folder.write(self._record_path(half), gram=gram, loss=np.array([loss]), objective=objective)
        for old in (half - 2, half - 3):
            shutil.rmtree(os.path.join(self.work, f"{old:05d}"), ignore_errors=True)
        return self.objective(half)

    def objective(self, half):
        return folder.read(self._record_path(half))["objective"].tolist()

    def next_half(self):
        """The first half without a record."""
        done = os.path.join(self.work, "done")
        names = [n for n in os.listdir(done) if n.isdigit()] if os.path.isdir(done) else []
        return max(map(int, names), default=-1) + 1

    def resumed(self):
        """The last half with a record, -1 at the beginning; FormatError where its files did not outlive a power cut."""
        half = self.next_half() - 1
        for h in range(max(0, half - 1), half + 1):
            for block in range(self.count(h)):
                if not folder.is_whole(self.block_path(h, block)):
                    raise _core.FormatError(f"{self.block_path(h, block)}: is not as it was written; remove {self.work!r} to train anew")
        return half

    def is_over(self, half):
        """Whether the fit ends with this half: after the last sweep, or where the objective stands."""
        if half % 2 == 0 or half < 1:
            return False
        return half // 2 >= self.options["iterations"] or self._stands(half)

    def _stands(self, half):
        values = self.objective(half)
        tolerance = self.options["tolerance"]
        return bool(tolerance > 0 and len(values) > 1 and values[-2] - values[-1] < tolerance * abs(values[-2]))

    # The end

    def assemble(self, path, half, seconds, keep_history):
        """The model of a half and the one before it as a file, in the memory of this process."""
        stop = "converged" if self._stands(half) else "iterations" if self.is_over(half) else "cancelled"
        sides = [np.concatenate([folder.read(self.block_path(h, b))["x"] for b in range(self.count(h))]) for h in (half - 1, half)]
        if self._turns(half):
            self._turn(sides[0], half, 0)
            back = _core.als_back([_core.als_basis(self.gram(h - 1))[1] for h in range(2, half + 1)])
            sides = [_core.als_turn(back, side, 0) for side in sides]
        data = self.blocks.interactions()
        core = _core.als_from_factors(self.model, *sides, data, self.objective(half), half // 2, float(seconds), stop)
        core.recipe = "" if data.recipe is None else data.recipe.to_json()
        if not keep_history:
            core.set_history(None)
        _core.save(core, path)
