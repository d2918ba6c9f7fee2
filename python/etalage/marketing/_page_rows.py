# SPDX-License-Identifier: Apache-2.0
"""Candidate rows, promised places and limits of a page, as the arrays that its composition takes."""

from __future__ import annotations

import hashlib
import itertools
import math
import numbers
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from .._arrays import labels as label_array
from .._arrays import reals
from ..models._arguments import describe, integer

ANYWHERE, MUST_APPEAR = -1, -2


class Candidates:
    """Rows one behind the other, products by number: their own where keys are integers, else by their order."""

    def __init__(self, rows):
        if not isinstance(rows, Mapping) or not rows:
            raise TypeError(f"rows is {describe(rows)}, must be {{name: (products, scores)}} with at least one row")
        self.names = list(rows)
        self.index = {name: r for r, name in enumerate(self.names)}
        self._keys = None  # of strings, by number
        items, scores, kinds = [], [], {}
        for name, row in rows.items():
            if not isinstance(row, (tuple, list)) or len(row) != 2:
                raise TypeError(f"rows[{name!r}] is {describe(row)}, must be (products, scores)")
            keys, worth = row[0], reals(row[1], f"scores of rows[{name!r}]")
            keys = keys if isinstance(keys, np.ndarray) and keys.dtype.kind in "iu" else label_array(keys, f"products of rows[{name!r}]")
            if keys.ndim != 1 or worth.shape != keys.shape:
                raise ValueError(f"rows[{name!r}] has products of shape {keys.shape} and scores of shape {worth.shape}, must be one of each for every candidate")
            if len(keys):
                kinds.setdefault("integers" if keys.dtype.kind in "iub" or keys.dtype.kind == "f" else "strings", name)
                # What the engine pads short answers with is no candidate.
                real = ~((keys == -1) & (worth == -np.inf)) if keys.dtype.kind == "i" else slice(None)
                keys, worth = keys[real], worth[real]
                bad = np.flatnonzero(~(np.isfinite(worth) & (worth >= 0)))
                if len(bad):
                    raise ValueError(f"scores of rows[{name!r}] hold {worth[bad[0]]} at {bad[0]}, must be finite and >= 0: what a place is worth, or the "
                                     "probability of a click")
            items.append(keys)
            scores.append(worth)
        if len(kinds) > 1:
            raise TypeError(f"products of rows[{kinds['integers']!r}] are integers and of rows[{kinds['strings']!r}] strings, must be of one kind")
        self.lengths = [len(i) for i in items]
        if "strings" in kinds:
            number = self._number = {}
            items = [np.array([number.setdefault(key, len(number)) for key in row.tolist()], np.int64) for row in items]
            self._keys = list(number)
        self.items = np.concatenate(items).astype(np.int64)
        self.scores = np.concatenate(scores)

    def _numbered(self, key):
        at = self._number.setdefault(key, len(self._number))
        if at == len(self._keys):
            self._keys.append(key)
        return at

    def number(self, key, name):
        if isinstance(key, (bool, np.bool_)) or not isinstance(key, str if self._keys is not None else (int, np.integer)):
            raise TypeError(f"{name} is {describe(key)}, must be a key as those of the candidates: {'a string' if self._keys is not None else 'an integer'}")
        return int(key) if self._keys is None else self._numbered(key)

    def key(self, number):
        return int(number) if self._keys is None else self._keys[number]

    def row(self, name, argument):
        if name not in self.index:
            raise ValueError(f"{argument} names row {name!r}, must be one of {self.names!r:.200}")
        return self.index[name]

    def promises(self, pins, pin_rows, positions):
        """(position of each row, {(row, slot): (number, score or None)})."""
        for name, value in (("pins", pins), ("pin_rows", pin_rows)):
            if value is not None and not isinstance(value, Mapping):
                raise TypeError(f"{name} is {describe(value)}, must be a dict")
        at = [ANYWHERE] * len(self.names)
        for name, position in (pin_rows or {}).items():
            row = self.row(name, "pin_rows")
            at[row] = MUST_APPEAR
            if position is not None:
                at[row] = integer(position, f"pin_rows[{name!r}]")
                if not 0 <= at[row] < positions:
                    raise ValueError(f"pin_rows[{name!r}] is {position}, must be in [0, {positions})")
                if at.count(at[row]) > 1:
                    other = self.names[at.index(at[row])]
                    raise ValueError(f"pin_rows promises position {position} to {other!r} and to {name!r}, must be one of them")
        places = {}
        for place, product in (pins or {}).items():
            if not isinstance(place, tuple) or len(place) != 2:
                raise TypeError(f"pins names the place {describe(place)}, must be (row, slot)")
            row, slot = self.row(place[0], "pins"), integer(place[1], f"slot of pins[{place!r}]")
            if not 0 <= slot < 2**31:
                raise ValueError(f"pins names slot {slot} of row {place[0]!r}, must be a place of the row")
            score = None
            if isinstance(product, tuple):
                if len(product) != 2:
                    raise TypeError(f"pins[{place!r}] is {describe(product)}, must be a product or (product, score)")
                product, score = product
                score = float(reals(score, f"score of pins[{place!r}]"))
                if not (math.isfinite(score) and score >= 0):
                    raise ValueError(f"score of pins[{place!r}] is {score}, must be finite and >= 0")
            places[row, slot] = (self.number(product, f"pins[{place!r}]"), score)
            at[row] = MUST_APPEAR if at[row] == ANYWHERE else at[row]
        return at, places

    def with_previous(self, promised, previous, slots):
        """The promises, and each place of an earlier page that is still a candidate and stands in nobody's way."""
        at, places = list(promised[0]), dict(promised[1])
        starts = np.cumsum([0, *self.lengths])
        rows = [set(self.items[a:b].tolist()) for a, b in zip(starts[:-1], starts[1:])]
        taken = {number for number, _ in places.values()}
        for position, (name, items) in enumerate(zip(previous.rows, previous.items)):
            row = self.index.get(name)
            if row is None or position >= len(slots) or position in at or at[row] >= 0:
                continue
            numbers_ = [None if i is None else self._number.get(i) if self._keys is not None else i for i in items]
            stay = [(slot, n) for slot, n in enumerate(numbers_[: slots[position]]) if n in rows[row] and n not in taken and (row, slot) not in places]
            if not stay:
                continue
            at[row] = position
            for slot, n in stay:
                places[row, slot] = (n, None)
        return at, places

    def arrays(self, promised):
        """offsets, items, scores with candidates added for promised products that are none, positions of rows, cells and slots of pins."""
        at, places = promised
        position = np.array(at, np.int32)
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        if not places:
            return offsets, self.items, self.scores, position, np.empty(0, np.int64), np.empty(0, np.int32)
        items = [self.items[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:])]
        scores = [self.scores[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:])]
        where = []
        for (row, slot), (number, score) in places.items():
            if number in items[row]:
                cell = items[row].index(number)
                if score is not None:
                    scores[row][cell] = score
            else:
                cell = len(items[row])
                items[row].append(number)
                scores[row].append(score or 0.0)
            where.append((row, cell, slot))
        offsets = np.concatenate([[0], np.cumsum([len(i) for i in items])]).astype(np.int64)
        return (offsets, np.array([i for row in items for i in row], np.int64), np.array([s for row in scores for s in row], np.float64), position,
                np.array([offsets[row] + cell for row, cell, _ in where], np.int64), np.array([slot for *_, slot in where], np.int32))


class _Ragged:
    """Short rows of numbers, read for many candidates at once: a page is composed while somebody waits."""

    def __init__(self, rows):
        self.begins = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        self.flat = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(self.begins[-1]))

    def rows(self, at, real):
        """offsets and numbers of these rows one behind the other, those that are not real being empty."""
        begins = self.begins[at]
        lengths = np.where(real, self.begins[at + 1] - begins, 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return offsets, self.flat[np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])]


class Limits:
    """Names, minima and maxima by label."""

    def __init__(self, kinds, at_most, at_least):
        self.single = at_least      # {(kind, label): [low, high]}
        self.every = at_most        # {kind: n} for each label
        # Read once, so that a page looks each candidate up once: the numbers of its limits, those of single labels first.
        numbers = {name: i for i, name in enumerate(self.single)}
        table: dict = {}
        for kind, labels in kinds.items() if self.single or self.every else ():
            for key, mine in labels.items():
                found = [numbers.setdefault((kind, label), len(numbers)) if kind in self.every else numbers.get((kind, label)) for label in mine]
                table.setdefault(key, set()).update(n for n in found if n is not None)
        self.table = {key: tuple(sorted(mine)) for key, mine in table.items()}
        self.names = list(numbers)
        whole = sorted((int(key), mine) for key, mine in self.table.items() if isinstance(key, (int, float, np.integer, np.floating)) and key == key // 1 and -2**63 <= key < 2**63)
        self._keys = np.array([key for key, _ in whole] or [0], np.int64)
        self._of_key = _Ragged([mine for _, mine in whole] or [()])

    def cells(self, found, items):
        """limit_offsets, limit_of and the limits of these candidates as (name, low, high)."""
        if not self.names:
            return np.empty(0, np.int64), np.empty(0, np.int32), []
        if found._keys is None:
            at = np.minimum(np.searchsorted(self._keys, items), len(self._keys) - 1)
            offsets, flat = self._of_key.rows(at, self._keys[at] == items)
        else:
            offsets, flat = _Ragged([self.table.get(key, ()) for key in found._keys] or [()]).rows(items, True)
        # Of the limits that hold for every label, those of labels among the candidates.
        fixed = len(self.single)
        used = np.bincount(flat, minlength=len(self.names)) > 0
        used[:fixed] = True
        shown = fixed + np.flatnonzero(used[fixed:])
        limits = [(name, low, high) for name, (low, high) in self.single.items()] + [(self.names[i], 0, self.every[self.names[i][0]]) for i in shown.tolist()]
        return offsets, (np.cumsum(used, dtype=np.int32) - 1)[flat], limits


def limits_of(labels, at_most, at_least, places):
    for name, value in (("labels", labels), ("at_most", at_most), ("at_least", at_least)):
        if value is not None and not isinstance(value, Mapping):
            raise TypeError(f"{name} is {describe(value)}, must be a dict")
    kinds = {}
    for kind, table in (labels or {}).items():
        if not isinstance(table, Mapping):
            raise TypeError(f"labels[{kind!r}] is {describe(table)}, must be {{product: label}}")
        kinds[kind] = {key: tuple(label) if isinstance(label, (list, tuple, set, frozenset)) else () if label is None else (label,)
                       for key, label in table.items()}
    every, single = {}, {}
    most = 2**62
    for name, number in (at_most or {}).items():
        value = _places(number, f"at_most[{name!r}]", places, False)
        if isinstance(name, tuple):
            single[_pair(name, "at_most", kinds)] = [0, value]
        else:
            every[_kind(name, "at_most", kinds)] = value
    for name, number in (at_least or {}).items():
        if not isinstance(name, tuple):
            raise TypeError(f"at_least names {describe(name)}, must be (kind, label): the minimum of one label")
        name = _pair(name, "at_least", kinds)
        single.setdefault(name, [0, every.get(name[0], most)])[0] = _places(number, f"at_least[{name!r}]", places, True)
    return Limits(kinds, every, single)


def _kind(kind, argument, kinds):
    if kind not in kinds:
        raise ValueError(f"{argument} names {kind!r}, must be one of the kinds of labels {list(kinds)!r}")
    return kind


def _pair(name, argument, kinds):
    if len(name) != 2:
        raise TypeError(f"{argument} names {describe(name)}, must be (kind, label)")
    _kind(name[0], argument, kinds)
    return name


def _places(number, name, places, up):
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name} is {describe(number)}, must be a number of places, or a float as a share of them")
    if isinstance(number, numbers.Integral):
        if number < 0:
            raise ValueError(f"{name} is {number}, must be >= 0")
        return min(int(number), 2**62)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {number}, must be in [0, 1]: a share of the page's places")
    share = Fraction(str(float(number))) * places  # as its shortest decimal: .07 of 100 is 7
    return math.ceil(share) if up else math.floor(share)


def rotated(found, rotation, text):
    """Scores times 1 - rotation x u, u in [0, 1) by the product's key and the text."""
    seed = np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))
    if found._keys is None:
        z = found.items.astype(np.uint64)
    else:
        hashes = np.array([int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") for key in found._keys], np.uint64)
        z = hashes[found.items] if len(hashes) else found.items.astype(np.uint64)
    with np.errstate(over="ignore"):
        z = (z ^ seed) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    u = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found.scores * (1 - rotation * u)
