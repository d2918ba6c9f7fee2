# SPDX-License-Identifier: Apache-2.0
"""What was shown, as columns: read from any frame, written to any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import _core
from .._frames import packed
from .._log_frames import columns as log_columns

KEYS = ("request", "user", "placement", "item", "source", "policy")
NUMBERS = ("position", "score", "propensity", "reward")
COLUMNS = ("request", "user", "time", "placement", "position", "item", "source", "score", "propensity", "policy", "reward")
NO_TIME = np.iinfo(np.int64).min


class Impressions:
    """What was shown, one row a product of an answer: the columns of COLUMNS that there are, the others None.

    request, user, placement, item, source, policy   [n] keys, strings or integers; None (masked among integers): unknown
    time            datetime64[ms] [n], UTC, NaT unknown
    position        int64 [n], place in the answer from the top, -1 unknown; score, propensity, reward: float64 [n], NaN unknown.
                    propensity is the probability, in (0, 1], of the product at its place, given those above it
    outcomes        {event type: int32 [n]}, how often it was credited; attribute() fills them and reward
    shown[rows] takes rows by a mask, a slice or numbers. An Arrow stream (pyarrow.table(shown), polars, DuckDB); to_pandas(), to_dict().
    """

    def __init__(self, columns: dict[str, Any], outcomes: dict[str, np.ndarray] | None = None) -> None:
        self._columns = columns  # keys: (codes, IdMap); time: milliseconds; numbers: arrays
        self.outcomes = {} if outcomes is None else outcomes

    def __len__(self) -> int:
        return len(self._columns["item"][0])

    def codes(self, name: str) -> np.ndarray | None:
        """int32 [n], numbers of a column's keys, -1 unknown; None without the column. name: as of ids()."""
        found = self._columns.get(name)
        return None if found is None else found[0]

    def ids(self, name: str) -> Any:
        """IdMap of a column's keys; name: one of request, user, placement, item, source, policy."""
        return self._columns[name][1]

    def times_ms(self) -> np.ndarray | None:
        """UTC milliseconds int64 [n], the smallest integer unknown; None without the column."""
        return self._columns.get("time")

    def _key(self, name: str) -> Any:
        found = self._columns.get(name)
        if found is None:
            return None
        codes, ids = found
        labels = ids.at(codes)
        return np.ma.masked_array(labels, mask=codes < 0) if labels.dtype.kind == "i" and (codes < 0).any() else labels

    request = property(lambda self: self._key("request"), doc="Keys of the answers [n]. None without the column.")
    user = property(lambda self: self._key("user"), doc="Keys of the shoppers [n]. None without the column.")
    placement = property(lambda self: self._key("placement"), doc="Names of the pages [n]. None without the column.")
    item = property(lambda self: self._key("item"), doc="Keys of the products [n]. None without the column.")
    source = property(lambda self: self._key("source"), doc="Names of what proposed them [n]. None without the column.")
    policy = property(lambda self: self._key("policy"), doc="Names of the policies [n]. None without the column.")
    position = property(lambda self: self._columns.get("position"), doc="Places from the top [n]. None without the column.")
    score = property(lambda self: self._columns.get("score"), doc="Scores [n]. None without the column.")
    propensity = property(lambda self: self._columns.get("propensity"), doc="Probabilities [n] of each product at its place. None without the column.")
    reward = property(lambda self: self._columns.get("reward"), doc="Rewards [n]. None without the column.")

    @property
    def time(self) -> np.ndarray | None:
        """Moments, datetime64[ms] [n]; None without the column."""
        times = self._columns.get("time")
        return None if times is None else times.view("datetime64[ms]")

    def __getitem__(self, rows: Any) -> Impressions:
        if isinstance(rows, (int, np.integer, str)):
            raise TypeError(f"rows is {rows!r}, must be a mask, a slice or an array of row numbers")
        at = np.arange(len(self))[rows]
        return Impressions({name: (c[0][at], c[1]) if isinstance(c, tuple) else c[at] for name, c in self._columns.items()},
                           {name: count[at] for name, count in self.outcomes.items()})

    def without_users(self, users: Any) -> Impressions:
        """All rows but those of some shoppers, who asked to be forgotten; unknown ones change nothing. users: a key or a list of them."""
        if self._columns.get("user") is None:
            raise ValueError("the impressions have no column 'user', so nobody's can be left out")
        codes, ids = self._columns["user"]
        gone = ids.find([users] if isinstance(users, (str, int)) else users)
        return self[~np.isin(codes, gone[gone >= 0])]

    def rewarded(self, rewards: Mapping[str, float]) -> Impressions:
        """With a reward made of outcomes: the sum of the numbers of `rewards`, {event type: reward}, that were credited at least once."""
        if not isinstance(rewards, Mapping) or not rewards:
            raise ValueError(f"rewards is {rewards!r}, must be a mapping of event type to reward, with at least one")
        reward = np.zeros(len(self))
        for name, worth in rewards.items():
            if name not in self.outcomes:
                raise ValueError(f"rewards has {name!r}, must be of the outcomes {list(self.outcomes)!r}")
            if isinstance(worth, (bool, np.bool_, str)) or not isinstance(worth, (int, float, np.integer, np.floating)) or not np.isfinite(worth):
                raise ValueError(f"reward of {name!r} is {worth!r}, must be a finite number")
            reward += float(worth) * (self.outcomes[name] > 0)
        return self._with(reward, self.outcomes)

    def _with(self, reward: np.ndarray, outcomes: dict[str, np.ndarray]) -> Impressions:
        return Impressions({**self._columns, "reward": reward}, outcomes)

    def to_dict(self) -> dict[str, np.ndarray]:
        """The columns there are, then outcomes."""
        found = {name: getattr(self, name) for name in COLUMNS if self._columns.get(name) is not None}
        return {**found, **self.outcomes}

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        columns = self.to_dict()
        if "position" in columns:
            columns["position"] = np.ma.masked_array(columns["position"], mask=columns["position"] < 0)
        return _core.arrow_stream(list(columns), packed(columns))

    def to_arrow(self) -> Any:
        """A pyarrow.Table of the columns that there are."""
        import pyarrow

        return pyarrow.table(self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame of the columns that there are."""
        import pandas

        def gaps(values: np.ndarray) -> Any:  # integers stay integers beside gaps
            if not isinstance(values, np.ma.MaskedArray):
                return values
            return pandas.arrays.IntegerArray(np.array(values.data), np.ma.getmaskarray(values).copy())

        return pandas.DataFrame({name: gaps(values) for name, values in self.to_dict().items()})

    def to_polars(self) -> Any:
        """A polars.DataFrame of the columns that there are."""
        import polars

        return polars.DataFrame(self)

    def __repr__(self) -> str:
        return f"Impressions({len(self)} rows: {', '.join(self.to_dict())})"


def from_frame(frame: Any, *, item: str | None = None, request: str | None = None, user: str | None = None, time: str | None = None,
               placement: str | None = None, position: str | None = None, source: str | None = None, score: str | None = None,
               propensity: str | None = None, policy: str | None = None, reward: str | None = None, outcomes: Iterable[str] = (),
               time_unit: str | None = None) -> Impressions:
    """Impressions of any frame: an engine's, an Arrow stream, pandas, polars, or a dict of arrays.

    item, request, user, time, placement, position, source, score, propensity, policy, reward
                         names of the frame's columns; None: the column of the argument's own name, where the frame has one.
                         Only item must be there. Rows without a request are answers of one product each
    outcomes             columns that say how often each row got a click, a purchase, ...
    time_unit            's', 'ms', 'us' or 'ns', of times that are numbers
    ValueError names row, column, value and rule: positions that are no whole numbers >= 0, propensities outside (0, 1], counts below 0,
    cells that cannot be read. Missing cells are unknown, not 0.
    """
    wanted = {"item": item, "request": request, "user": user, "time": time, "placement": placement, "position": position, "source": source,
              "score": score, "propensity": propensity, "policy": policy, "reward": reward}
    extra = [outcomes] if isinstance(outcomes, str) else list(outcomes)
    clash = [name for name in extra if name in COLUMNS]
    if clash:
        raise ValueError(f"outcomes names {clash[0]!r}, which is a column of impressions; give it another name")
    found = read(frame, wanted, time_unit, extra)
    if found.get("item") is None:
        raise ValueError("the frame has no column 'item'; name the one that holds the products: item=...")
    counts = {name: found.pop(name) for name in extra}
    columns = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    _check_numbers(columns, wanted)
    return Impressions(columns, {name: _whole(values, name, 0).astype(np.int32) for name, values in counts.items()})


def as_impressions(shown: Any, outcomes: Iterable[str] = ()) -> Impressions:
    return shown if isinstance(shown, Impressions) else from_frame(shown, outcomes=outcomes)


def read(frame: Any, wanted: dict[str, str | None], time_unit: str | None, extra: Iterable[str] = ()) -> dict[str, Any]:
    """{what it is: column as Impressions keeps it, or None}; extra columns are numbers."""
    known: set[str] | None = None
    names = {}
    for what, name in wanted.items():
        if name is None:
            known = _names(frame) if known is None else known
            name = what if what in known else None
        elif not isinstance(name, str):
            raise TypeError(f"{what} is {name!r}, must be the name of a column")
        names[what] = name
    asked = {what: name for what, name in names.items() if name is not None}
    asked.update({name: name for name in extra})
    kinds = ["keys" if what in KEYS or what == "event" else "times" if what == "time" else "numbers" for what in asked]
    if not asked:
        return {}
    found = _core.read_frame_columns(frame, list(asked.values()), kinds, time_unit)
    return {**dict.fromkeys(wanted), **dict(zip(asked, found))}


def _names(frame: Any) -> set[str]:
    """Names of a frame's columns, whatever made it."""
    if isinstance(frame, _core.EventLog):
        return set(log_columns(frame))
    if isinstance(frame, dict):
        return set(frame)
    for of, attribute in ((frame, "column_names"), (getattr(frame, "schema", None), "names"), (frame, "columns")):
        names = getattr(of, attribute, None)
        if names is not None and not callable(names) and isinstance(names, Iterable):
            levels = getattr(getattr(frame, "index", None), "names", None)
            return {str(n) for n in names} | ({n for n in levels if n is not None} if isinstance(levels, Iterable) else set())
    if hasattr(frame, "__arrow_c_stream__"):
        try:
            import pyarrow
        except ImportError:
            raise ImportError("which columns this frame has is asked of pyarrow: pip install pyarrow, or name every column") from None
        return set(pyarrow.RecordBatchReader.from_stream(frame).schema.names)
    return set()  # read_frame_columns says what a frame is


def _check_numbers(columns: dict[str, Any], names: dict[str, str | None]) -> None:
    if "position" in columns:
        columns["position"] = _whole(columns["position"], names["position"] or "position", -1)
    if "propensity" in columns:
        p = columns["propensity"]
        wrong = np.flatnonzero((p <= 0) | (p > 1))
        if len(wrong):
            raise ValueError(f"row {wrong[0]}: column {names['propensity'] or 'propensity'} is {p[wrong[0]]}, must be in (0, 1], or missing")


def _whole(values: np.ndarray, name: str, missing: int) -> np.ndarray:
    there = ~np.isnan(values)
    wrong = np.flatnonzero(there & ((values < 0) | (values != np.floor(values)) | (values > 2**31 - 1)))
    if len(wrong):
        raise ValueError(f"row {wrong[0]}: column {name} is {values[wrong[0]]:g}, must be a whole number in [0, 2^31)")
    return np.where(there, values, missing).astype(np.int64)
