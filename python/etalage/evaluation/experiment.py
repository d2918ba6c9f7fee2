# SPDX-License-Identifier: Apache-2.0
"""Experiments: who is in which group, whether a difference is one, and a report of it. The rules are in docs/loop.md."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _core
from .._arrays import whole_number
from .._slots import slot
from ._experiment_metrics import (
    Difference,
    ExperimentResult,
    analyze,
    interleaving_test,
    per_shopper,
    sample_ratio,
    sequential_interval,
)

__all__ = ["Allocation", "Difference", "ExperimentResult", "Layers", "analyze", "assign", "balanced", "balanced_credit",
           "interleaving_test", "per_shopper", "sample_ratio", "sequential_interval", "team_draft"]

_Shares = Any  # a mapping of group to share, or a list of shares for groups 0, 1, ...


def _pairs(shares: _Shares) -> tuple[list[tuple[str, float]], list]:
    """(name, share) for the library, and what each group is called outside."""
    if isinstance(shares, Mapping):
        items = list(shares.items())
        for name, _ in items:
            if not isinstance(name, str):
                raise TypeError(f"shares names the group {name!r}, must be strings")
    elif isinstance(shares, (str, bytes)) or not isinstance(shares, Iterable):
        raise TypeError(f"shares is {shares!r}, must be a mapping of group to share, or a list of shares")
    else:
        items = list(enumerate(shares))
    out = []
    for name, share in items:
        if isinstance(share, (bool, np.bool_)):
            raise TypeError(f"share of {name!r} is {share!r}, must be a number")
        try:
            out.append((str(name), float(share)))
        except (TypeError, ValueError):
            raise TypeError(f"share of {name!r} is {share!r}, must be a number") from None
    return out, [name for name, _ in items]


def _is_key(value: Any) -> bool:
    return isinstance(value, (str, bytes, int, np.integer)) or value is None or not isinstance(value, Iterable)


def assign(key: Any, salt: str, shares: _Shares) -> Any:
    """The group of a shopper, for shares that stay as they are: a name of `shares`, or None for nobody.

    key     a string or an integer (which counts as its decimal text), or an array or list of them, for a list of groups
    shares  {group: share}, or a list of shares for groups 0, 1, ...; what they leave of 1 is nobody's
    The slot is int(sha256(salt + "\\n" + key).hexdigest()[:13], 16) % 10000; groups have slots in their order. Where shares are to
    change later, keep an Allocation. ValueError: shares outside [0, 1] or above 1 together, a share under half a slot.
    """
    allocation = Allocation(salt, shares)
    return allocation.assign(key)


class Allocation:
    """A table of 10,000 slots and whose they are. Immutable; with_share gives another one, in which slots moved between that
    group and nobody alone: no shopper goes from one group to another, whatever the changes.

    salt    of the experiment (or layer); shares: as for assign
    groups  names; shares: {group: share} as the slots have it; table: int16 [10000], number of the group or -1
    """

    def __init__(self, salt: str, shares: _Shares) -> None:
        if not isinstance(salt, str):
            raise TypeError(f"salt is {salt!r}, must be a string")
        pairs, names = _pairs(shares)
        self._core = _core.Allocation(salt, pairs)
        self._numbered = not isinstance(shares, Mapping)
        self._names = names

    @classmethod
    def _from_core(cls, core: Any, numbered: bool = False) -> Allocation:
        self = cls.__new__(cls)
        self._core = core
        self._numbered = numbered
        self._names = [int(g) for g in core.groups] if numbered else list(core.groups)
        return self

    @property
    def salt(self) -> str:
        """The text that, with a key, says which slot a shopper has."""
        return self._core.salt

    @property
    def groups(self) -> list:
        """Names of the groups, in the order of their slots."""
        return list(self._names)

    @property
    def table(self) -> np.ndarray:
        """int16 [10000]: the number of the group of each slot, -1 for nobody."""
        table = self._core.table
        table.flags.writeable = False
        return table

    @property
    def shares(self) -> dict:
        """{group: share of the shoppers}."""
        counts = np.bincount(self._core.table + 1, minlength=len(self._names) + 1)[1:]
        return {name: int(c) / _core.SLOTS for name, c in zip(self._names, counts)}

    def assign(self, key: Any) -> Any:
        """The group of a shopper or None; of an array or list of keys a list.

        key: the shopper's, text or an integer.
        """
        if _is_key(key):
            number = self._core.assign(key)
            return None if number < 0 else self._names[number]
        names = [*self._names, None]
        return [names[g] for g in self._core.table[slot(key, self.salt)]]

    def with_share(self, group: Any, share: float) -> Allocation:
        """The same table but for one group, which may be new: it takes the lowest free slots, or gives up its highest.
        ValueError where fewer are free than it needs."""
        if not isinstance(group, str) and not (self._numbered and isinstance(group, (int, np.integer))):
            raise TypeError(f"group is {group!r}, must be a name, or a number where the shares were a list")
        pairs, _ = _pairs({str(group): share})
        return Allocation._from_core(self._core.with_share(*pairs[0]), self._numbered and str(group).isdecimal())

    def save(self, path: Any) -> None:
        """Writes the table, in the project's file format; C++ reads it by load_allocation."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: Any) -> Allocation:
        """What save() wrote; FormatError for anything else. Groups given as a list come back by the names "0", "1", ..."""
        return cls._from_core(_core.Allocation.load(os.fspath(path)))

    def __reduce__(self):
        return _from_bytes, (self._core.to_bytes(), self._numbered)

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Allocation) and self.salt == other.salt and self.groups == other.groups
                and np.array_equal(self._core.table, other._core.table))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Allocation({self.salt!r}, {self.shares!r})"


def _from_bytes(data: bytes, numbered: bool) -> Allocation:
    return Allocation._from_core(_core.Allocation.from_bytes(data), numbered)


class Layers:
    """Several experiments at once, one a layer, and a hold-out that is in none.

    salt        of the shop's programme
    layers      {layer: {group: share}} or {layer: Allocation}; each has a salt of its own, so groups of two layers are independent
    holdout     share of shoppers kept out of every layer
    period      a name such as "2026-H1": the hold-out stays the same shoppers while it stays, and is drawn anew when it changes, so
                that nobody is held out for ever
    """

    def __init__(self, salt: str, layers: Mapping[str, Any], *, holdout: float = 0.0, period: str = "") -> None:
        if not layers:
            raise ValueError("layers is empty, must name at least one")
        self.layers = {name: layer if isinstance(layer, Allocation) else Allocation(f"{salt}/{name}", layer) for name, layer in layers.items()}
        salts = [a.salt for a in self.layers.values()]
        if len(set(salts)) < len(salts):
            raise ValueError("two layers have one salt, must have a salt each: their groups would be the same shoppers")
        self.holdout = Allocation(f"{salt}/holdout/{period}", {"holdout": holdout})

    def assign(self, key: Any) -> dict[str, Any]:
        """{layer: group or None}; all None for a shopper who is held out.

        key: the shopper's, text or an integer.
        """
        held = self.is_held_out(key)
        return {name: None if held else layer.assign(key) for name, layer in self.layers.items()}

    def is_held_out(self, key: Any) -> bool:
        """Whether the shopper of this key is in no layer at all."""
        return self.holdout.assign(key) is not None


def _length_and_seed(k: Any, seed: Any) -> tuple[int, int]:
    return whole_number(k, "k", bits=64), whole_number(seed, "seed", bits=64, signed=False)


def team_draft(first: Any, second: Any, k: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(items, teams): one list of two rankers' lists (item numbers, best first) by team draft (Radlinski, Kurup, Joachims, 2008);
    teams is 0 for the first. A click counts for the team of its item. Give each request a seed of its own.
    second: the other ranker's list.
    """
    return _core.team_draft(first, second, *_length_and_seed(k, seed))


def balanced(first: Any, second: Any, k: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(items, who put each there) by balanced interleaving (Joachims, 2002); judge clicks by balanced_credit.

    first, second: item numbers, best first, of the two rankers.
    """
    return _core.balanced(first, second, *_length_and_seed(k, seed))


def balanced_credit(first: Any, second: Any, shown: Any, clicked: Any) -> tuple[int, int]:
    """Clicks that each list gets: those among its best j items, j the least rank by which one of them shows the lowest click.

    first, second: the two lists; shown: what was listed; clicked: items, or places, as balanced() numbered them.
    """
    return _core.balanced_credit(first, second, shown, [bool(c) for c in clicked])
