# SPDX-License-Identifier: Apache-2.0
"""Loyalty: tiers by rules with dates, what outstanding points will cost, early signs of leaving.

    loyalty.tiers(customer, time, amount, [loyalty.Tier("silver", amount=200), loyalty.Tier("gold", amount=1000)], at="2024-06-30")
    loyalty.points_liability(customer, time, points, expire_days=365, value=0.01, at="2024-06-30")
    loyalty.early_signs(model, summaries)
    loyalty.lifecycle(model, summaries)

docs/marketing/value.md has the rules.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import real_number, whole_number
from ._audience_value import lifecycle
from ._columns import days_of, keys_of, numbers_of
from .lifetime import Summaries, _PurchaseModel

__all__ = ["Tier", "early_signs", "lifecycle", "points_liability", "tiers"]


@dataclass(frozen=True)
class Tier:
    """Earned on the day on which purchases of the last `window_days` days (that day among them) reach amount and number, both;
    held for `hold_days` days from the last day on which they did. window_days None: since ever.
    name: what the shop calls it.
    """

    name: str
    amount: float = 0.0
    purchases: int = 0
    window_days: int | None = 365
    hold_days: int = 365

    def __post_init__(self) -> None:
        real_number(self.amount, "amount")
        whole_number(self.purchases, "purchases", bits=64)
        for name in ("window_days", "hold_days"):
            if name == "hold_days" or self.window_days is not None:
                whole_number(getattr(self, name), name)
        if not (math.isfinite(self.amount) and self.amount >= 0 and self.purchases >= 0) or (self.amount == 0 and self.purchases == 0):
            raise ValueError(f"tier {self.name!r} has amount {self.amount} and purchases {self.purchases}, must ask for at least one of them, both finite and >= 0")
        if (self.window_days is not None and self.window_days < 1) or self.hold_days < 1:
            raise ValueError(f"tier {self.name!r} has window_days {self.window_days} and hold_days {self.hold_days}, must be >= 1 (window_days may be None)")


def tiers(customer: object, time: object, amount: object, ladder: list[Tier], at: object) -> dict[str, np.ndarray]:
    """Each customer's tier on the day `at`, from raw purchases in any order; those after `at` do not count.

    ladder: tiers, lowest first; the highest held one counts. Returns columns: customer, tier (its name, or None), since (the day from
    which it is held without a break), until (the last day on which it is held if nothing more is bought), missing (amount that would
    earn the next tier today, 0 at the top or where only purchases are missing). Negative amounts (returns) take away; a purchase is an entry with an amount > 0.
    """
    keys, index = keys_of(customer)
    days, amounts = days_of(time, "time", len(index)), numbers_of(amount, "amount", len(index))
    now = int(days_of([at], "at", 1)[0])
    if not ladder or len({t.name for t in ladder}) != len(ladder):
        raise ValueError("ladder is empty or has a name twice, must hold tiers of different names")
    kept = days <= now
    index, days, amounts = index[kept], days[kept], amounts[kept]
    order = np.lexsort((days, index))
    index, days, amounts = index[order], days[order], amounts[order]
    n = len(keys)
    tier, since, until = np.full(n, None, dtype=object), np.full(n, "NaT", "datetime64[D]"), np.full(n, "NaT", "datetime64[D]")
    level = np.full(n, -1)
    # One row a customer and day: what is bought on a day counts on that day, whatever its order.
    starts = np.flatnonzero(np.r_[True, (np.diff(index) != 0) | (np.diff(days) != 0)]) if len(index) else np.zeros(0, dtype=np.int64)
    who, day = index[starts], days[starts]
    spent = np.add.reduceat(amounts, starts) if len(starts) else np.zeros(0)
    bought = np.add.reduceat((amounts > 0).astype(np.int64), starts) if len(starts) else np.zeros(0, dtype=np.int64)
    ends = np.cumsum(np.bincount(who, minlength=n))
    for c in range(n):
        rows = slice(ends[c - 1] if c else 0, ends[c])
        for rank, rule in enumerate(ladder):
            held = _held(day[rows], spent[rows], bought[rows], rule, now)
            if held is not None:
                level[c], tier[c] = rank, rule.name
                since[c], until[c] = np.datetime64(held[0], "D"), np.datetime64(held[1], "D")
    missing = np.zeros(n)
    for rank, rule in enumerate(ladder):
        window = np.ones(len(day), dtype=bool) if rule.window_days is None else day > now - rule.window_days
        has = np.bincount(who[window], weights=spent[window], minlength=n)
        missing = np.where(level == rank - 1, np.maximum(rule.amount - has, 0), missing)
    return {"customer": keys, "tier": tier, "since": since, "until": until, "missing": missing}


def _held(day, spent, bought, rule, now):
    """First and last day of the unbroken time around `now` for which the tier is held, or None."""
    begin, total, number = 0, 0.0, 0
    since = last = None
    for i in range(len(day)):
        total, number = total + spent[i], number + int(bought[i])
        while rule.window_days is not None and day[begin] <= day[i] - rule.window_days:
            total, number = total - spent[begin], number - int(bought[begin])
            begin += 1
        if total >= rule.amount - 1e-9 * max(1.0, rule.amount) and number >= rule.purchases:
            if last is None or day[i] > last + rule.hold_days:
                since = day[i]
            last = day[i]
    if last is None or last + rule.hold_days - 1 < now:
        return None
    return int(since), int(last + rule.hold_days - 1)


def points_liability(customer: object, time: object, points: object, expire_days: int, value: float, at: object) -> dict[str, Any]:
    """What the points outstanding on the day `at` will cost, from raw bookings: points > 0 are earned, < 0 redeemed, oldest first.

    Points live for expire_days days from the day they were earned. The share of points that is redeemed is estimated from those bookings by age:
    the chance of a point of age d, neither redeemed nor expired, to be redeemed on that day is redemptions at age d over points that
    were outstanding at age d (Kaplan and Meier), so young points count as far as they were seen. Returns outstanding (points), expected_redeemed
    (points), liability (money: expected_redeemed x value), undiscounted_maximum (outstanding x value), expired, redeemed, and by_age:
    columns age_days, outstanding, redeem_share. A redemption beyond the balance is a ValueError with customer and day.
    """
    if expire_days < 1:
        raise ValueError(f"expire_days is {expire_days}, must be >= 1")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"value is {value}, must be finite and >= 0")
    keys, index = keys_of(customer)
    days, booked = days_of(time, "time", len(index)), numbers_of(points, "points", len(index))
    now = int(days_of([at], "at", 1)[0])
    kept = days <= now
    index, days, booked = index[kept], days[kept], booked[kept]
    # Of one day, earning comes before redeeming.
    order = np.lexsort((booked < 0, days, index))
    at_risk_ends = np.zeros(expire_days + 1)  # points that leave the risk set at an age unredeemed
    redeemed_at = np.zeros(expire_days + 1)
    outstanding_at = np.zeros(expire_days + 1)
    expired = 0.0
    lots: deque[list[float]] = deque()
    current = -1

    def close(lots, day):
        """Takes out what expired before `day`."""
        gone = 0.0
        while lots and day - lots[0][0] >= expire_days:
            gone += lots.popleft()[1]
        return gone

    def finish(lots):
        nonlocal expired
        expired += close(lots, now)
        for day, left in lots:
            outstanding_at[now - int(day)] += left
            at_risk_ends[now - int(day)] += left
        lots.clear()

    for i in order.tolist():
        if index[i] != current:
            finish(lots)
            current = index[i]
        day, amount = int(days[i]), float(booked[i])
        expired += close(lots, day)
        if amount > 0:
            lots.append([day, amount])
        while amount < -1e-9:
            if not lots:
                raise ValueError(f"points of customer {str(keys[current])!r} on {np.datetime64(day, 'D')} redeem {-amount:g} more than they had, must be covered by earlier ones")
            used = min(-amount, lots[0][1])
            redeemed_at[day - int(lots[0][0])] += used
            lots[0][1] -= used
            amount += used
            if lots[0][1] <= 1e-9:
                lots.popleft()
    finish(lots)
    # At risk at age d: what was redeemed at d or later, expired, or is outstanding at an age of d or more.
    later = (redeemed_at + at_risk_ends)[::-1].cumsum()[::-1] + expired
    hazard = np.divide(redeemed_at, later, out=np.zeros_like(later), where=later > 0)
    unredeemed = np.concatenate([np.cumprod((1 - hazard)[::-1])[::-1], [1.0]])
    share = 1 - unredeemed[1:]  # from the day after age d to the end of life
    age = np.flatnonzero(outstanding_at)
    expected = float((outstanding_at * share).sum())
    outstanding = float(outstanding_at.sum())
    return {"outstanding": outstanding, "expected_redeemed": expected, "liability": expected * value, "undiscounted_maximum": outstanding * value,
            "expired": expired, "redeemed": float(redeemed_at.sum()),
            "by_age": {"age_days": age, "outstanding": outstanding_at[age], "redeem_share": share[age]}}


def early_signs(model: _PurchaseModel, summaries: Summaries, t: float = 13.0, alarm: float = 0.05) -> dict[str, np.ndarray]:
    """Who is silent for longer than they would be if they were still active, most at stake first.

    chance_of_silence: that a customer with these purchases, if active, buys nothing from the last purchase until T, by their own
    rate as the model estimates it: ((alpha + t_x) / (alpha + T))^(r + x), for MBG/CNBD-k with its phases. sign: that chance is below
    `alarm`. at_stake: purchases expected in t units from an active customer of this history, less those expected now. Returns columns
    customer, silence (T - t_x), chance_of_silence, p_alive, at_stake, sign.
    summaries: of the customers.
    """
    if not 0 < alarm < 1:
        raise ValueError(f"alarm is {alarm}, must be in (0, 1)")
    p, x, tx, T = model.params_, summaries.frequency, summaries.recency, summaries.T
    k = int(p.get("k", 1))
    shape = p["r"] + k * x
    log_ratio = -np.log1p((T - tx) / (p["alpha"] + tx))
    term = np.ones(len(x))
    total = np.ones(len(x))
    for j in range(1, k):
        term = term * (shape + j - 1) / j * (T - tx) / (p["alpha"] + T)
        total = total + term
    silent = np.minimum(np.exp(shape * log_ratio) * total, 1.0)
    alive = model.p_alive(x, tx, T)
    expected = model.expected_purchases(t, x, tx, T)
    with np.errstate(divide="ignore", invalid="ignore"):
        stake = np.where(alive > 0, expected / alive - expected, 0.0)
    order = np.argsort(-stake, kind="stable")
    columns = {"customer": np.asarray(summaries.customer), "silence": T - tx, "chance_of_silence": silent, "p_alive": alive, "at_stake": stake,
               "sign": silent < alarm}
    return {name: column[order] for name, column in columns.items()}
