# SPDX-License-Identifier: Apache-2.0
"""Rows and places of one page together: a home page, an e-mail, the screen of an app."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .. import _core
from .._arrays import reals
from .._times import to_ms
from ..models._arguments import describe, integer
from ._page_rows import Candidates, limits_of, rotated


@dataclass(frozen=True)
class PageLayout:
    """A page that keeps its promises, with its certificate.

    rows     name of the candidate row in each position, None: nothing to show
    items    [positions] lists of products, place by place; None: an empty place
    scores   [positions, most slots] float64, as given, nan where empty
    value    by the click model, of the scores as given (rotated, with rotation)
    bound    no page that keeps the limits, the promised and the kept places is worth more
    gap      (bound - value) / bound
    prices   {limit: worth of one place more}, above 0 where a maximum binds, below 0 where a minimum does
    given    {limit: places}
    period   number of the period that the page is for, None without stable_for
    """

    rows: list
    items: list
    scores: np.ndarray
    value: float
    bound: float
    gap: float
    prices: dict
    given: dict
    period: Optional[int] = None

    def __iter__(self):
        """(row, products) from the top, without empty places."""
        return ((row, [i for i in items if i is not None]) for row, items in zip(self.rows, self.items) if row is not None)

    def __repr__(self):
        shown = sum(len(items) for _, items in self)
        return f"PageLayout({sum(r is not None for r in self.rows)} rows, {shown} products, value={self.value:.6g}, gap={self.gap:.2g})"

    def to_frame(self):
        """pandas: position, row, slot, item, score; empty places are left out."""
        import pandas

        table = [(at, row, slot, item, self.scores[at, slot]) for at, (row, items) in enumerate(zip(self.rows, self.items))
                 for slot, item in enumerate(items) if item is not None]
        return pandas.DataFrame(table, columns=["position", "row", "slot", "item", "score"])


class Page:
    """A kind of page: its places, how they are looked at, and what must hold on it. compose() fills it for one visit.

    slots        places of each row from the top, [positions]: [12] * 20, or [1, 3, 3] for an e-mail with one large picture
    weights      [positions] lists of the probability that a place is looked at; None: 1 / (log2(2 + position) log2(2 + slot))
    click_model  "position": a place is worth weight x score. "cascade": places are looked at in the falling order of their weights (equal
                 ones in the order of the page) and the first click ends the visit; scores are probabilities of a click, below 1
    temperature  0: nothing repeats on the page. Above 0, at most 1: a product may stand in up to max_showings rows, and its n-th place in
                 the order of looking is worth temperature^(n - 1) of its score
    min_items    a row with fewer products is not shown, unless it was promised
    labels       {kind: {product: label, or list of labels}}: brand, category, promotion
    at_most      {kind: n} for every label of the kind, or {(kind, label): n}, on the page; a float is a share of the page's places
    at_least     {(kind, label): n}, likewise; a share is rounded up
    stable_for   seconds or a timedelta: within such a period of a shopper's own compose(previous=...) keeps what it can
    salt         names the page in the hashes of periods and rotation
    rotation     in [0, 1): scores are multiplied by 1 - rotation x u, u in [0, 1) by product, shopper and period, so that another
                 period shows others of nearly equal worth
    target_gap, max_steps   the search ends at this gap, or after so many changes of its prices
    """

    def __init__(self, slots, *, weights=None, click_model="position", temperature=0.0, max_showings=3, min_items=1, labels=None, at_most=None,
                 at_least=None, stable_for=None, salt="page", rotation=0.0, target_gap=5e-3, max_steps=3):
        if isinstance(slots, (str, bytes)) or not hasattr(slots, "__iter__"):
            raise TypeError(f"slots is {describe(slots)}, must be a list: the places of each row")
        self.slots = [integer(s, "slots") for s in slots]
        if not self.slots or not all(1 <= s <= 4096 for s in self.slots):
            raise ValueError(f"slots is {self.slots!r:.60}, must hold at least one number, all in [1, 4096]")
        if click_model not in ("position", "cascade"):
            raise ValueError(f"click_model is {describe(click_model)}, must be 'position' or 'cascade'")
        self.click_model = click_model
        self._weights = self._checked_weights(weights)
        self.temperature = _number(temperature, "temperature", 0, 1)
        self.max_showings = integer(max_showings, "max_showings")
        if not 1 <= self.max_showings < 2**31:
            raise ValueError(f"max_showings is {max_showings}, must be in [1, 2^31)")
        self.rotation = _number(rotation, "rotation", 0, 1, open_end=True)
        self.limits = limits_of(labels, at_most, at_least, sum(self.slots))
        if not isinstance(salt, str) or "\n" in salt:
            raise TypeError(f"salt is {describe(salt)}, must be one line of text")
        self.salt = salt
        self._period_ms = _milliseconds(stable_for)
        self._options = {"target_gap": _number(target_gap, "target_gap", 0, math.inf), "max_steps": integer(max_steps, "max_steps"),
                         "min_items": integer(min_items, "min_items")}

    @property
    def weights(self) -> list:
        """[positions] arrays: how often each place is looked at."""
        return np.split(self._weights, np.cumsum(self.slots)[:-1])

    def period(self, shopper, now) -> int:
        """Number of the shopper's period at a moment; it changes every stable_for, at a moment of the shopper's own."""
        if self._period_ms is None:
            raise ValueError("stable_for is None, must be given to have periods")
        if isinstance(shopper, (bool, np.bool_)) or not isinstance(shopper, (str, numbers.Integral)):
            raise TypeError(f"shopper is {describe(shopper)}, must be a string or an integer with stable_for")
        return _core.page_period(str(shopper), self.salt, to_ms(now, "now"), self._period_ms)

    def compose(self, rows, *, pins=None, pin_rows=None, shopper=None, now=None, previous=None) -> PageLayout:
        """One page from candidate rows.

        rows      {name: (products, scores)}: keys as the engine gives them (all strings or all integers) and numbers >= 0; more rows than the
                  page has positions is normal
        pins      {(row, slot): product, or (product, score)}: promised places. Such a row appears. A product that is no candidate of its row
                  has score 0 unless one is given
        pin_rows  {row: position, or None for anywhere}: promised rows
        shopper, now    key and moment, for stable_for and rotation
        previous  the shopper's last PageLayout: in the same period every place of it that is still a candidate stays

        Promises that cannot hold: ValueError says which clash, and whether that was proved by counting or only not found.
        """
        period = None
        if self._period_ms is not None:
            if shopper is None or now is None:
                raise ValueError(f"shopper is {shopper!r} and now {now!r}, must be given with stable_for")
            period = self.period(shopper, now)
        if previous is not None and not isinstance(previous, PageLayout):
            raise TypeError(f"previous is {describe(previous)}, must be a PageLayout")
        found = Candidates(rows)
        if self.rotation:
            found.scores = rotated(found, self.rotation, f"{self.salt}\n{shopper}\n{period}")
        kept = previous is not None and period is not None and previous.period == period
        promised = found.promises(pins, pin_rows, len(self.slots))
        if kept:
            try:
                return self._composed(found, found.with_previous(promised, previous, self.slots), period)
            except ValueError:
                pass  # what stood there clashes with today's promises: a page anew, which says so where these clash by themselves
        return self._composed(found, promised, period)

    def _composed(self, found, promised, period):
        offsets, items, scores, position, pin_cells, pin_slots = found.arrays(promised)
        limit_offsets, limit_of, limits = self.limits.cells(found, items)
        answer = _core.compose_page(
            offsets, items, scores, np.array(self.slots, np.int32), self._weights, self.click_model == "cascade", self.temperature, self.max_showings,
            limit_offsets, limit_of, [str(name) for name, *_ in limits], np.array([low for _, low, _ in limits], np.int64),
            np.array([high for *_, high in limits], np.int64), position, pin_cells, pin_slots, self._options)
        out_items, shown, place = [], np.full((len(self.slots), max(self.slots)), np.nan), 0
        cells = answer["cells"].tolist()
        for at, width in enumerate(self.slots):
            mine = cells[place:place + width]
            out_items.append([None if c < 0 else found.key(items[c]) for c in mine])
            shown[at, :width] = [math.nan if c < 0 else scores[c] for c in mine]
            place += width
        names = [None if r < 0 else found.names[r] for r in answer["rows"].tolist()]
        keys = [name for name, *_ in limits]
        return PageLayout(names, out_items, shown, answer["value"], answer["bound"], answer["gap"], dict(zip(keys, answer["limit_prices"].tolist())),
                          dict(zip(keys, answer["given"].tolist())), period)

    def _checked_weights(self, weights):
        if weights is None:
            weights = [1 / (np.log2(2 + at) * np.log2(2 + np.arange(width))) for at, width in enumerate(self.slots)]
        if isinstance(weights, (str, bytes, Mapping)) or not hasattr(weights, "__len__") or len(weights) != len(self.slots):
            raise ValueError(f"weights is {describe(weights)}, must be {len(self.slots)} lists, one for each row of the page")
        out = [reals(w, f"weights[{at}]") for at, w in enumerate(weights)]
        for at, (w, width) in enumerate(zip(out, self.slots)):
            if w.shape != (width,):
                raise ValueError(f"weights[{at}] has shape {w.shape}, must be ({width},) as slots says")
        out = np.concatenate(out)
        most = 1.0 if self.click_model == "cascade" else 1e150
        if not ((out >= 0) & (out <= most)).all():
            raise ValueError(f"weights holds {out[~((out >= 0) & (out <= most))][0]}, must be finite and >= 0{' and at most 1 in a cascade' if most == 1 else ''}")
        return out


def _number(value, name, low, high, open_end=False):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {describe(value)}, must be a number")
    if not (low <= value <= high) or (open_end and value == high) or not math.isfinite(value):
        raise ValueError(f"{name} is {value}, must be {f'in [{low}, {high}' + (')' if open_end else ']') if high < math.inf else f'finite and >= {low}'}")
    return float(value)


def _milliseconds(stable_for):
    if stable_for is None:
        return None
    seconds = stable_for.total_seconds() if isinstance(stable_for, datetime.timedelta) else stable_for
    if isinstance(seconds, (bool, np.bool_)) or not isinstance(seconds, numbers.Real):
        raise TypeError(f"stable_for is {describe(stable_for)}, must be seconds or a timedelta")
    if not 0.001 <= seconds <= 1e12:
        raise ValueError(f"stable_for is {stable_for}, must be at least a millisecond, and at most 1e12 seconds")
    return round(seconds * 1000)
