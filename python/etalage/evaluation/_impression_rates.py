# SPDX-License-Identifier: Apache-2.0
"""How often what was shown got a reaction, by place, source, placement and policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from ._impression_frames import KEYS, as_impressions

_BY = ("position", "source", "placement", "policy")


@dataclass(frozen=True)
class Rate:
    """Of the impressions whose columns `by` hold `key`, how many got at least one `outcome`.

    rate        reacted / shown; interval: Wilson's score interval for `effective` impressions
    effective   shown, or less where those of one shopper are alike: shown over the variance between shoppers relative to that of
                independent rows (at least 1), less for few shoppers (Korn, Graubard, 1998). Where nobody or everybody reacted a
                shopper counts as one impression
    shoppers    0 where they are not known: then rows are taken as independent, and the interval may be too narrow
    """

    by: tuple[str, ...]
    key: tuple[Any, ...]
    outcome: str
    shown: int
    reacted: int
    shoppers: int
    rate: float
    interval: tuple[float, float]
    effective: float


class Counters(Sequence[Rate]):
    """A list of Rate; print() shows a table. rows: the rates."""

    def __init__(self, rows: list[Rate]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.rows[at]

    def find(self, outcome: str, **key: Any) -> Rate:
        """The row of an outcome and of labels: counters.find("click", position=0). key: labels by the names of `by`. KeyError without one."""
        for row in self.rows:
            if row.outcome == outcome and dict(zip(row.by, row.key)) == key:
                return row
        raise KeyError((outcome, key))

    def to_dict(self) -> dict[str, list]:
        """Columns by, key, outcome, shown, reacted, shoppers, rate, low, high, effective, labels as text."""
        out: dict[str, list] = {"by": [", ".join(r.by) for r in self.rows], "key": [", ".join(map(str, r.key)) for r in self.rows]}
        for name in ("outcome", "shown", "reacted", "shoppers", "rate"):
            out[name] = [getattr(r, name) for r in self.rows]
        return {**out, "low": [r.interval[0] for r in self.rows], "high": [r.interval[1] for r in self.rows],
                "effective": [r.effective for r in self.rows]}

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, a row a rate."""
        import pandas

        return pandas.DataFrame(self.to_dict())

    def __str__(self) -> str:
        d = self.to_dict()
        by, key, outcome = (max([len(c) for c in d[name]] + [len(name)]) for name in ("by", "key", "outcome"))
        lines = [f"{'by':<{by}} {'key':<{key}} {'outcome':<{outcome}} {'shown':>9} {'reacted':>8} {'rate':>8}  interval"]
        for b, k, r in zip(d["by"], d["key"], self.rows):
            low, high = r.interval
            lines.append(f"{b:<{by}} {k:<{key}} {r.outcome:<{outcome}} {r.shown:>9} {r.reacted:>8} {r.rate:>8.5f}  [{low:.5f}, {high:.5f}]")
        return "\n".join(lines)

    __repr__ = __str__


def counters(shown: Any, by: Any = None, outcomes: Any = None, *, confidence: float = 0.95, by_shopper: bool = True) -> Counters:
    """Click and conversion rates with intervals.

    shown       Impressions as attribute() leaves them, or a frame of impressions with a column for each of the outcomes (an engine's), or a reward
    by          a column, or several whose labels are crossed: ("placement", "position"); by default each of position, source, placement,
                policy that is there, one after the other; () for all together. Rows without a label have the label None
    outcomes    event types to count; by default all, or "reward", which is a reward above 0
    by_shopper  intervals for shoppers who differ from one another; False: plain Wilson intervals, as if every row were another shopper's
    A rate of places is what was clicked there, not what the place is worth: the first place has the best products as well.
    """
    if isinstance(outcomes, str):
        outcomes = [outcomes]
    where = as_impressions(shown, [name for name in outcomes or () if name != "reward"])
    named = list(where.outcomes) or ["reward"] if outcomes is None else list(outcomes)
    reacted = {name: _reacted(where, name) for name in named}
    if by is None:
        groups = [(name,) for name in _BY if _there(where, name)]
        if not groups:
            raise ValueError(f"the impressions have none of {', '.join(_BY)}; say by what to count, or by=() for all together")
    else:
        groups = [(by,) if isinstance(by, str) else tuple(by)]
    users = where.codes("user") if by_shopper else None
    rows = []
    for names in groups:
        codes, keys = _grouped(where, names)
        for name, hits in reacted.items():
            found = _core.reaction_rates(codes, len(keys), hits, users, confidence)
            rows += [Rate(names, key, name, n, k, shoppers, k / n, (low, high), effective)
                     for key, (n, k, shoppers, effective, low, high) in zip(keys, found)]
    return Counters(rows)


def wilson_interval(share: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of n; (0, 1) for n = 0. n need not be whole."""
    return _core.wilson_interval(share, n, confidence)


def _reacted(where: Any, name: str) -> np.ndarray:
    if name in where.outcomes:
        return (where.outcomes[name] > 0).astype(np.uint8)
    if name != "reward" or where.reward is None:
        known = [*where.outcomes, *(["reward"] if where.reward is not None else [])]
        raise ValueError(f"outcomes has {name!r}, must be of {known!r}" + ("" if known else "; attribute() makes them of events"))
    gaps = np.flatnonzero(np.isnan(where.reward))
    if len(gaps):
        raise ValueError(f"row {gaps[0]}: reward is missing, must be there (0 for none)")
    return (where.reward > 0).astype(np.uint8)


def _there(where: Any, name: str) -> bool:
    return where.position is not None if name == "position" else where.codes(name) is not None


def _grouped(where: Any, names: tuple[str, ...]) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """(group of each row, labels of each group), in the order of numbers, or of first appearance."""
    allowed = ("position", *KEYS)
    if len(where) == 0:
        return np.zeros(0, dtype=np.int32), []
    columns = []
    for name in names:
        if name not in allowed or not _there(where, name):
            raise ValueError(f"by has {name!r}, must be of {[n for n in allowed if _there(where, n)]!r}")
        columns.append(where.position if name == "position" else where.codes(name).astype(np.int64))
    if not columns:
        return np.zeros(len(where), dtype=np.int32), [()]
    codes, cells = np.zeros(len(where), dtype=np.int64), [()]
    for column in columns:  # one after the other: numbers of groups stay below rows x rows
        numbers, inner = np.unique(column, return_inverse=True)
        packed, codes = np.unique(codes * len(numbers) + inner.reshape(-1), return_inverse=True)
        cells = [(*cells[p // len(numbers)], numbers[p % len(numbers)]) for p in packed]
    labels = []
    for name, numbers in zip(names, np.array(cells).T):
        if name == "position":
            labels.append([None if p < 0 else int(p) for p in numbers])
            continue
        keys = where.ids(name).at(numbers.astype(np.int32))
        labels.append([None if c < 0 else k for c, k in zip(numbers, keys.tolist())])
    return codes.reshape(-1).astype(np.int32), list(zip(*labels))
