# SPDX-License-Identifier: Apache-2.0
"""A campaign from end to end: who gets what within a budget and who is held out, and afterwards what that brought."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Optional

import numpy as np

from .._arrays import reals
from .._slots import slot
from ..evaluation._experiment_metrics import per_shopper, sample_ratio
from .allocation import Allocation, allocate
from .audience import _key_set, _share

SENT, HELD_OUT = "sent", "held out"


@dataclass(frozen=True, eq=False)
class CampaignPlan:
    """Who was chosen for what, by falling value of the offer; those held out among them.

    users, offers, values, costs   [chosen] key, name of the offer, worth and cost of giving it (that of the first budget)
    held_out    [chosen] bool: not to be written to, by slot(key, salt) < share * 10000
    hold_out, salt   share and name of the hold-out
    allocation  value, bound, gap, prices of all chosen; budgets are what was given, spending without those held out is `spent`
    population  how many shoppers were looked at
    """

    users: np.ndarray
    offers: np.ndarray
    values: np.ndarray
    costs: np.ndarray
    held_out: np.ndarray
    hold_out: float
    salt: Optional[str]
    allocation: Allocation
    budgets: np.ndarray
    spent: np.ndarray
    population: int

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self):
        return f"CampaignPlan({int((~self.held_out).sum())} to write to, {int(self.held_out.sum())} held out, of {self.population}; {self.allocation!r})"

    def columns(self) -> dict:
        """user, offer, value, cost, group ("sent" or "held out") as arrays: what the list's file holds."""
        return {"user": self.users, "offer": self.offers, "value": self.values, "cost": self.costs, "group": np.where(self.held_out, HELD_OUT, SENT)}

    def save(self, path: Any) -> None:
        """The list as Parquet, CSV (.gz too), TSV or JSON, by the name's ending; whole or not at all."""
        from .._cli_output import write_table

        if not len(self):
            raise ValueError("the plan chose nobody, must have at least one shopper to write a list")
        columns = {name: column.tolist() for name, column in self.columns().items()}
        write_table(path, [dict(zip(columns, row)) for row in zip(*columns.values())])

    def to_frame(self):
        """The same as a pandas frame."""
        import pandas

        return pandas.DataFrame(self.columns())


def plan(users: Any, values: Any, costs: Any, budgets: Any, *, offers: Any = None, hold_out: float = 0.0, salt: Optional[str] = None,
         **options: Any) -> CampaignPlan:
    """Chooses offers for shoppers within budgets and holds a stable part of the chosen out.

    users [n] keys; values [n, offers] and costs [n, offers(, budgets)], budgets: as for allocate(), with one offer also [n]; offers: names;
    options: those of allocate() (eligible, offer_max, ...)
    hold_out, salt   the share of the chosen that is not written to, as for audience(). What they would have cost stays in the budget
    """
    values = reals(values, "values")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}, must be [shoppers] or [shoppers, offers]")
    costs = reals(costs, "costs")
    if costs.ndim == 0 or costs.shape == (values.shape[1],) != (len(values),):
        costs = np.broadcast_to(costs, values.shape)
    costs = costs[:, None] if costs.ndim == 1 else costs
    keys = np.asarray(users)
    if keys.shape != (len(values),):
        raise ValueError(f"users has shape {keys.shape}, must be ({len(values)},) as values has rows")
    if len(np.unique(keys)) < len(keys):
        raise ValueError("users holds a key twice, must hold each shopper once")
    names = [f"offer {o}" for o in range(values.shape[1])] if offers is None else list(offers)
    if len(names) != values.shape[1] or len(set(names)) < len(names):
        raise ValueError(f"offers is {names!r:.100}, must be {values.shape[1]} different names")
    share = _share(hold_out, "hold_out")
    if share and not isinstance(salt, str):
        raise ValueError(f"salt is {salt!r} with hold_out {hold_out}, must be a string: the name of the hold-out")
    found = allocate(values, costs, budgets, **options)
    rows, columns = _given(found.choice)
    order = np.argsort(-values[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    held = np.asarray(slot(keys[rows], salt)) < share * 10000 if share and len(rows) else np.zeros(len(rows), bool)
    table = costs[:, :, None] if costs.ndim == 2 else costs
    spent = table[rows[~held], columns[~held]].sum(axis=0)
    return CampaignPlan(keys[rows], np.array(names, dtype=object)[columns], values[rows, columns], table[rows, columns, 0], held, float(hold_out), salt,
                        found, np.atleast_1d(reals(budgets, "budgets")), spent, len(keys))


def _given(choice):
    if hasattr(choice, "tocoo"):
        pairs = choice.tocoo()
        return np.asarray(pairs.row, np.int64), np.asarray(pairs.col, np.int64)
    rows = np.flatnonzero(choice >= 0)
    return rows, choice[rows].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Effect:
    """One outcome of one offer (or of all, offer None): shoppers and mean outcome of both groups, the difference a shopper and in all, each with its
    interval (normal, variances apart). Without a randomised hold-out everything that compares is nan.

    outcome, offer     what was measured, of which offer          sent, held_out            shoppers of each group
    mean, held_out_mean  of both groups                           difference, standard_error, interval   of one shopper
    total, total_interval  of all who were sent it
    """

    outcome: str
    offer: Optional[str]
    sent: int
    held_out: int
    mean: float
    held_out_mean: float
    difference: float
    standard_error: float
    interval: tuple
    total: float
    total_interval: tuple


@dataclass(frozen=True, eq=False)
class CampaignResult:
    """What a campaign brought: effects (each offer, then all), and whether they may be called so.

    randomised  those held out were drawn by chance, and the list shows it; otherwise `why_not` says what is missing
    cost        of what was sent, None where the list has none
    sent, held_out   shoppers of each group; confidence of the intervals; definitions: {outcome: what it means}, for the report
    """

    effects: list
    randomised: bool
    why_not: str
    cost: Optional[float]
    confidence: float
    sent: int
    held_out: int
    definitions: dict = field(default_factory=dict)

    def __getitem__(self, at) -> Effect:
        """result["revenue"], over all offers, or result["revenue", "coupon"]"""
        outcome, offer = at if isinstance(at, tuple) else (at, None)
        for effect in self.effects:
            if (effect.outcome, effect.offer) == (outcome, offer):
                return effect
        raise KeyError(at)

    def sentences(self) -> list:
        """What was found, in words that it bears."""
        from ._campaign_report import sentences

        return sentences(self)

    def report(self, path: Any, *, plan: Optional[CampaignPlan] = None, name: str = "campaign", what: str = "") -> None:
        """One HTML file that needs no network: whom, what it cost, what it brought with intervals, definitions. It says "incremental" only where
        a randomised hold-out says so. plan: for what was chosen and spent; name and what: title and a sentence on it."""
        from ._campaign_report import write

        write(self, path, plan, name, what)


def measure(users: Any, groups: Any, outcomes: Mapping[str, Any], *, offers: Any = None, costs: Any = None, hold_out: Optional[float] = None,
            salt: Optional[str] = None, randomised: Optional[bool] = None, confidence: float = 0.95,
            definitions: Optional[Mapping[str, str]] = None) -> CampaignResult:
    """Compares those written to with those held out among the same chosen ones.

    users     [n] keys of the list, once each for one offer
    groups    [n] "sent" or "held out", as CampaignPlan.columns() has them
    outcomes  {name: values [n], or (keys, values) of events since: summed by shopper, 0 for who has none}
    offers    [n] names: effects by offer, and over all of them weighted by how many were sent
    costs     [n] of giving
    hold_out, salt   those of the plan: that groups are as slots give them is then checked. Groups drawn by another system: randomised=True is
              your word for it (with hold_out, their sizes are checked). Without either nothing is called an effect.
    definitions   {outcome: a sentence}, for the report
    """
    keys = np.asarray(users)
    groups = np.asarray(groups, dtype=object)
    if keys.ndim != 1 or groups.shape != keys.shape:
        raise ValueError(f"users has shape {keys.shape} and groups {groups.shape}, must be [n] both")
    wrong = [g for g in dict.fromkeys(groups.tolist()) if g not in (SENT, HELD_OUT)]
    if wrong:
        raise ValueError(f"groups holds {wrong[0]!r}, must be {SENT!r} or {HELD_OUT!r}")
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise TypeError(f"outcomes is {outcomes!r:.60}, must be {{name: values}} with at least one")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, must be in (0, 1)")
    sent = groups == SENT
    names = np.full(len(keys), "", dtype=object) if offers is None else np.asarray(offers, dtype=object)
    if names.shape != keys.shape:
        raise ValueError(f"offers has shape {names.shape}, must be ({len(keys)},) as users")
    values = {}
    for name, given in outcomes.items():
        y = per_shopper(keys, *given) if isinstance(given, tuple) else reals(given, f"outcomes[{name!r}]")
        if y.shape != keys.shape or not np.isfinite(y).all():
            raise ValueError(f"outcomes[{name!r}] has shape {y.shape}, must be ({len(keys)},) finite numbers, or (keys, values) of events")
        values[name] = np.asarray(y, np.float64)
    spent = None
    if costs is not None:
        costs = reals(costs, "costs")
        if costs.shape not in ((), keys.shape) or not (np.isfinite(costs).all() and (costs >= 0).all()):
            raise ValueError(f"costs has shape {costs.shape}, must be a number or ({len(keys)},), finite and >= 0")
        spent = float(np.broadcast_to(costs, keys.shape)[sent].sum())
    why_not = _why_not(keys, sent, hold_out, salt, randomised)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    effects = []
    kinds = [k for k in dict.fromkeys(names.tolist()) if k != ""] if offers is not None else []
    for name, y in values.items():
        parts = [_effect(name, kind, y[names == kind], sent[names == kind], z, not why_not) for kind in kinds]
        if len(parts) > 1:
            effects += parts
            effects.append(_together(name, parts, z))
        else:
            effects.append(_effect(name, None, y, sent, z, not why_not))
    return CampaignResult(effects, not why_not, why_not, spent, confidence, int(sent.sum()), int((~sent).sum()), dict(definitions or {}))


def _why_not(keys, sent, hold_out, salt, randomised):
    """What keeps the groups from being compared, or nothing."""
    share = None if hold_out is None else _share(hold_out, "hold_out")
    if sent.all():
        return "nobody was held out"
    if not sent.any():
        return "nobody was written to"
    if randomised is not None and not randomised:
        return "the groups were not drawn at random"
    if salt is not None and share is not None:
        drawn = np.asarray(slot(keys, salt)) < share * 10000
        wrong = np.flatnonzero(drawn == sent)
        if len(wrong):
            who = keys[wrong[0]]
            return (f"{len(wrong)} of {len(keys)} shoppers are not in the group that their slot gives ({who!r} is one): somebody was moved after the "
                    "draw")
    elif not randomised:
        return "nothing says that those held out were drawn at random"
    if share is not None and salt is None:
        check = sample_ratio({"sent": int(sent.sum()), "held out": int((~sent).sum())}, {"sent": float(1 - share), "held out": float(share)})
        if not check["ok"]:
            return f"{int((~sent).sum())} were held out where {float(share) * len(keys):.1f} were to be, so something sorts shoppers into the groups"
    if sent.sum() < 2 or (~sent).sum() < 2:
        return "a group has fewer than two shoppers"
    return ""


def _effect(outcome, offer, y, sent, z, compared):
    a, b = y[sent], y[~sent]
    mean, other = (float(x.mean()) if len(x) else math.nan for x in (a, b))
    difference = se = math.nan
    if compared and len(a) > 1 and len(b) > 1:
        difference, se = mean - other, math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    interval = (difference - z * se, difference + z * se)
    return Effect(outcome, offer, len(a), len(b), mean, other, difference, se, interval, difference * len(a), tuple(x * len(a) for x in interval))


def _together(outcome, parts, z):
    """Offers are weighted by how many were sent; one that nobody was held out from leaves the whole unknown."""
    sent, held = sum(p.sent for p in parts), sum(p.held_out for p in parts)
    total = sum(p.total for p in parts)
    se = math.sqrt(sum((p.standard_error * p.sent) ** 2 for p in parts)) if not math.isnan(total) else math.nan
    mean = sum(p.mean * p.sent for p in parts if p.sent) / max(1, sent)
    other = sum(p.held_out_mean * p.held_out for p in parts if p.held_out) / max(1, held)
    bounds = (total - z * se, total + z * se)
    return Effect(outcome, None, sent, held, mean, other, total / max(1, sent), se / max(1, sent), tuple(x / max(1, sent) for x in bounds), total, bounds)


def in_audience(users: Any, audience: Any) -> np.ndarray:
    """bool [n]: which of users' keys an audience (or a list of keys) chose, those held out included: `eligible` of a plan within it."""
    chosen = _key_set(audience, "audience")
    if hasattr(audience, "held_out"):
        chosen = chosen | set(np.asarray(audience.held_out).tolist())
    return np.array([key in chosen for key in np.asarray(users).tolist()], bool)
