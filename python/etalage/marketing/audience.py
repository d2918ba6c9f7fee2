# SPDX-License-Identifier: Apache-2.0
"""Whom to write to: the shoppers most likely to respond, who must not be asked, and who is held out to measure it."""

from __future__ import annotations

import copy
import math
import numbers
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Callable, Optional

import numpy as np

from .. import _core
from .._arrays import asarray
from .._slots import slot
from .._times import to_ms
from ..models._arguments import count as _count
from ..models._arguments import describe
from ._audience_reasons import reasons_of
from ._audience_scores import best, best_by_model, best_by_vector, checked_scores, lookalike_scores
from ._audience_value import BY, scores_by
from ._audience_shoppers import Shoppers, buyers, items_of


@dataclass(frozen=True, eq=False)
class Audience:
    """The shoppers chosen, best first; ties by lower index.

    users      keys of those to write to
    scores     [len(users)], as the model gives them
    held_out   keys of those chosen but not to be written to: the control group of this campaign
    held_out_scores   [len(held_out)]
    groups     {salt: keys held out by that salt}
    excluded   {reason: shoppers}, each shopper under the first reason that applied; with `eligible` they sum to `population`
    eligible   how many could have been chosen
    population how many were looked at
    """

    users: np.ndarray
    scores: np.ndarray
    held_out: np.ndarray
    held_out_scores: np.ndarray
    groups: dict
    excluded: dict
    eligible: int
    population: int
    _explain: Optional[Callable] = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return (f"Audience({len(self.users)} users, {len(self.held_out)} held out, {self.eligible} of {self.population} eligible, "
                f"excluded={self.excluded})")

    @property
    def reasons(self) -> Optional[list]:
        """For each of users at most three (what, weight), the largest first, computed on first access; None with why=False.

        what: a product of their history (model), a seed or a product shared with seeds (lookalikes), a feature (contributions).
        Empty where the model explains nothing.
        """
        if callable(self.__dict__["_explain"]):
            object.__setattr__(self, "_explain", self.__dict__["_explain"]())
        return self.__dict__["_explain"]

    def __getstate__(self):
        self.reasons  # what explains may not be picklable, its answer is
        return self.__dict__

    def to_frame(self):
        """pandas: user, score, held_out (bool), reasons unless why=False; those to write to first."""
        import pandas

        columns = {
            "user": np.concatenate([self.users, self.held_out]), "score": np.concatenate([self.scores, self.held_out_scores]),
            "held_out": np.repeat([False, True], [len(self.users), len(self.held_out)])}
        if self.reasons is not None:
            columns["reasons"] = self.reasons + [[] for _ in self.held_out]
        return pandas.DataFrame(columns)

    def overlap(self, others) -> np.ndarray:
        """int64 [1 + others, 1 + others]: users that two audiences share, this one first; the diagonal is their sizes.

        others: an Audience, or a list or dict of them (or of lists of keys).
        """
        if isinstance(others, Audience):
            others = [others]
        sets = [_key_set(a, "others") for a in [self, *(others.values() if isinstance(others, dict) else others)]]
        return np.array([[len(a & b) for b in sets] for a in sets], dtype=np.int64)


def audience(model: Any = None, item: Any = None, category: Any = None, vector: Any = None, scores: Any = None, predicate: Any = None, *,
             seeds: Any = None, by: Optional[str] = None, catalog: Any = None, users: Any = None, k: Optional[int] = None,
             share: Optional[float] = None, combine: str = "max", log: Any = None, buy_event: Optional[str] = None,
             exclude_buyers: Optional[bool] = None, bought_since: Any = None, contacted: Any = None, min_days: Optional[float] = None,
             now: Any = None, consent: Any = None, campaigns: Any = None, max_contacts: Optional[int] = None, hold_out: Any = 0.0,
             salt: Optional[str] = None, contributions: Any = None, why: bool = True, customers: Any = None, t: Optional[float] = None, money_model: Any = None) -> Audience:
    """The k shoppers (or the share of the eligible ones, rounded up) most likely to respond.

    What for, one of:
      item       a product's key, or a list of them (indices where the model has no keys), ranked by model.score()
      category   a path ("Home/Kitchen", or a list of names) with catalog: all its products that the model knows
      predicate  a serving Filter with catalog, likewise
      vector     [factors], against the user factors of a model that has them, by dot product
      seeds      keys of shoppers whom the model knows: those like them (see lookalikes())
      scores     numbers [users], higher is better: intent, uplift, any model's; -inf is never chosen. May come with item or
                 category, which then only say whose buyers are left out
      by         "value", "purchases", "alive" or "leaving", with customers (lifetime.Summaries) and a model of etalage.marketing.lifetime: money
                 (with money_model) or purchases expected within t, P(alive), or purchases at stake if they have left
    predicate may instead be bool [users], or a function of an array of keys that gives one: only these, with any of the above or alone.
    combine      "max" or "mean" of a shopper's scores over several products

    Among whom: users, keys, in whose order scores and masks come; None: all the model (else log, else scores) has.

    Who is left out:
      exclude_buyers   who ever bought one of the products: by log (events buy_event, None: all), else by the model's rows. None: where
                       either is there; True: or an error
      bought_since     a moment: only who bought since, by log; without products who bought anything
      contacted, min_days, now   {key: last time}: whose last time is less than min_days before now
      consent          {key: bool}, a set or list of keys, or bool [users]: nobody without a yes
      campaigns, max_contacts    a list of earlier audiences or lists of keys: who was written to in max_contacts of them or more
    Keys that are nobody among the users are ignored in these four.

    hold_out     share of those chosen who are not written to: slot(key, salt) < hold_out * 10000. Nothing else decides, so a shopper
                 stays held out when k, other exclusions or other groups change, and whoever is held out at 5 % is so at 10 %.
                 {salt: share} for several groups, each by its own salt. k counts those held out.
    contributions  {feature: numbers [users]}: what each feature adds to scores, for reasons
    why            keep what Audience.reasons needs

    Models of factors are scored by one matrix product, then exactly near the limit; others in blocks. TypeError and ValueError name
    argument, value and rule.
    """
    if by in BY:
        if scores is not None or users is not None or seeds is not None or vector is not None:
            raise ValueError(f"by is {by!r} beside scores, users, seeds or vector, must come with model and customers alone")
        users, scores = scores_by(model, by, customers, t, money_model)
        model, by = None, None
    elif customers is not None or t is not None or money_model is not None:
        raise ValueError(f"customers, t or money_model are given and by is {by!r}, must be one of {', '.join(map(repr, BY))}")
    given = [n for n, v in (("item", item), ("category", category), ("vector", vector), ("seeds", seeds)) if v is not None]
    if isinstance(predicate, _core.Filter):
        given.append("predicate")
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given, must be one of them")
    if scores is not None and given and given[0] in ("vector", "seeds"):
        raise ValueError(f"scores and {given[0]} are given, must be one of them")
    if not given and scores is None and predicate is None:
        raise ValueError("item, category, vector, scores, predicate and seeds are all None, must give one of them")
    if by is not None and seeds is None:
        raise ValueError(f"by is {by!r} without seeds, must be None")
    if combine not in ("max", "mean"):
        raise ValueError(f"combine is {describe(combine)}, must be 'max' or 'mean'")
    if (k is None) == (share is None):
        raise ValueError(f"k is {k} and share is {share}, must give one of them")
    k = None if k is None else _count(k)
    share = None if share is None else _share(share, "share")
    hold_out = _hold_outs(hold_out, salt)
    if scores is not None:
        scores = checked_scores(scores)
    model = _frozen(model)
    if log is not None and not isinstance(log, _core.EventLog):
        raise TypeError(f"log is {describe(log)}, must be an EventLog")
    ranked_by_model = scores is None and bool(given)
    if ranked_by_model and model is None:
        raise ValueError(f"model is None, must be given to rank shoppers by {given[0]}")
    who = Shoppers(model, log, users, scores)
    vector = None if vector is None else _vector(model, vector)
    items = items_of(model, log, item, category, predicate if isinstance(predicate, _core.Filter) else None, catalog)

    out = np.zeros(who.count, bool)
    excluded: dict = {}

    def exclude(reason, mask):
        before = int(out.sum())
        np.logical_or(out, mask, out=out)
        excluded[reason] = int(out.sum()) - before

    if predicate is not None and not isinstance(predicate, _core.Filter):
        exclude("predicate", ~who.mask(predicate(who.keys()) if callable(predicate) else predicate, "predicate"))
    if consent is not None:
        exclude("consent", ~_consenting(who, consent))
    bought = buyers(who, model, log, items, buy_event, exclude_buyers, bought_since)
    if bought is not None:
        exclude("bought", bought)
    if contacted is not None or min_days is not None or now is not None:
        exclude("contacted", _contacted(who, contacted, min_days, now))
    if campaigns is not None or max_contacts is not None:
        exclude("frequency cap", _capped(who, campaigns, max_contacts))
    if seeds is not None:
        seeds = who.model_rows(seeds, "seeds")
        exclude("seed", np.isin(who.rows(np.arange(who.count)), seeds))
    if scores is not None:
        exclude("no score", scores == -np.inf)

    places = np.flatnonzero(~out)
    wanted = min(len(places), k if share is None else math.ceil(share * len(places)))
    similarity = _similarity(model, by) if seeds is not None else None
    if scores is not None:
        found, values = best(scores[places], wanted)
    elif seeds is not None:
        found, values = best(lookalike_scores(model, seeds, similarity)[who.rows(places)], wanted)
    elif vector is not None:
        found, values = best_by_vector(model.user_factors, who.rows(places), vector, wanted)
    elif items is not None:
        found, values = best_by_model(model, who.rows(places), items, combine, wanted)
    else:
        found, values = best(np.ones(len(places), np.float32), wanted)
    places = places[found]
    keys = who.keys(places)
    held = np.zeros(len(keys), bool)
    groups = {}
    for name, part in hold_out.items():
        if part:
            mine = np.asarray(slot(keys, name)) < part * 10000 if len(keys) else held
            groups[name] = keys[mine]
            held = held | mine
    explain = None
    if why or contributions is not None:
        explain = reasons_of(model if ranked_by_model else None, who, places[~held], items, similarity, seeds, combine, contributions)
    return Audience(keys[~held], values[~held], keys[held], values[held], groups, excluded, int((~out).sum()), who.count, explain)


def lookalikes(seeds: Any, model: Any, *, by: Optional[str] = None, **options: Any) -> Audience:
    """The shoppers most like a list of seeds, who are not among them: audience(model, seeds=seeds, by=by, ...).

    by   "factors": the mean cosine of a shopper's factors and the seeds'; "items": of their rows of products, each weighted
         log((users + 1) / (its users + 1)), so that what everybody has says nothing. None: factors where the model has them.
    """
    return audience(model, seeds=seeds, by=by, **options)


def _frozen(model):
    """The model as it is now: a later fit of the caller's leaves this one alone."""
    if model is None:
        return None
    if not hasattr(model, "_fitted") or not hasattr(model, "score"):
        raise TypeError(f"model is {describe(model)}, must be a model of etalage.models")
    model._fitted()
    return copy.copy(model)


def _share(value, name):
    """An exact fraction: a share is read as its shortest decimal, so that .07 of 100 is 7."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {describe(value)}, must be a number in [0, 1]")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, must be in [0, 1]")
    return Fraction(str(value))


def _hold_outs(hold_out, salt):
    """{salt: share}."""
    if isinstance(hold_out, dict):
        if salt is not None:
            raise ValueError(f"salt is {salt!r} beside hold_out by salts, must be None")
        for name in hold_out:
            if not isinstance(name, str):
                raise TypeError(f"hold_out holds the salt {describe(name)}, must be a string")
        return {name: _share(part, f"hold_out[{name!r}]") for name, part in hold_out.items()}
    part = _share(hold_out, "hold_out")
    if salt is not None and not isinstance(salt, str):
        raise TypeError(f"salt is {describe(salt)}, must be a string")
    if part and salt is None:
        raise ValueError(f"salt is None with hold_out {hold_out}, must be a string: the name of the hold-out")
    return {} if salt is None else {salt: part}


def _vector(model, vector):
    factors = getattr(model, "user_factors", None)
    if factors is None:
        raise ValueError(f"vector is given and {type(model).__name__} has no user_factors, must be a model that has them")
    out = asarray(vector, "vector")
    if out.dtype.kind not in "fiu":
        raise TypeError(f"vector has dtype {out.dtype}, must be numbers")
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(out, np.float32)
    if out.shape != (factors.shape[1],):
        raise ValueError(f"vector has shape {out.shape}, must be ({factors.shape[1]},) as the model's factors")
    if not np.isfinite(out).all():
        where = int(np.flatnonzero(~np.isfinite(out))[0])
        raise ValueError(f"vector[{where}] is {out[where]}, must be finite in float32")
    return out


def _similarity(model, by):
    has_factors = getattr(model, "user_factors", None) is not None
    if by is None:
        by = "factors" if has_factors else "items"
    if by not in ("factors", "items"):
        raise ValueError(f"by is {describe(by)}, must be 'factors', 'items' or None")
    if by == "factors" and not has_factors:
        raise ValueError(f"by is 'factors' and {type(model).__name__} has no user_factors, must be 'items'")
    if by == "items" and model.user_items is None:
        raise ValueError(f"by is 'items' and this {type(model).__name__} keeps no rows, must be 'factors' or a model with keep_history")
    return by


def _consenting(who, consent):
    if hasattr(consent, "items") and not isinstance(consent, np.ndarray):
        keys, said = [], []
        for key, yes in consent.items():
            if not isinstance(yes, (bool, np.bool_)):
                raise TypeError(f"consent[{key!r}] is {describe(yes)}, must be True or False")
            keys.append(key)
            said.append(bool(yes))
        return who.mask_of(who.find([key for key, yes in zip(keys, said) if yes], "consent"))
    if isinstance(consent, (list, np.ndarray)) and len(consent) and asarray(consent, "consent").dtype == bool:
        return who.mask(consent, "consent")
    return who.mask_of(who.find(consent, "consent"))


def _contact_limit(contacted, min_days, now):
    """UTC milliseconds after which a contact is less than min_days before now."""
    for name, value in (("contacted", contacted), ("min_days", min_days), ("now", now)):
        if value is None:
            raise ValueError(f"{name} is None, must be given with contacted, min_days and now together")
    if isinstance(min_days, (bool, np.bool_)) or not isinstance(min_days, numbers.Real):
        raise TypeError(f"min_days is {describe(min_days)}, must be a number of days")
    if not 0 <= min_days < math.inf:
        raise ValueError(f"min_days is {min_days}, must be finite and >= 0")
    return math.floor(to_ms(now, "now") - Fraction(str(min_days)) * 86400000)


def _contacted(who, contacted, min_days, now):
    limit = _contact_limit(contacted, min_days, now)
    if not hasattr(contacted, "items"):
        raise TypeError(f"contacted is {describe(contacted)}, must be a dict of keys to last times")
    late = []
    for key, time in contacted.items():
        try:
            if to_ms(time) > limit:
                late.append(key)
        except ValueError:
            to_ms(time, f"contacted[{key!r}]")  # the name is worth making only where it is said
            raise
    return who.mask_of(who.find(late, "contacted"))


def _capped(who, campaigns, max_contacts):
    if campaigns is None or max_contacts is None:
        name = "campaigns" if campaigns is None else "max_contacts"
        raise ValueError(f"{name} is None, must be given with the other of campaigns and max_contacts")
    if isinstance(max_contacts, (bool, np.bool_)) or not isinstance(max_contacts, numbers.Integral) or max_contacts < 1:
        raise ValueError(f"max_contacts is {describe(max_contacts)}, must be an integer >= 1")
    if not isinstance(campaigns, (list, tuple)):
        raise TypeError(f"campaigns is {describe(campaigns)}, must be a list of audiences or of lists of keys")
    times = np.zeros(who.count, np.int32)
    for number, campaign in enumerate(campaigns):
        times += who.mask_of(who.find(_key_set(campaign, f"campaigns[{number}]"), f"campaigns[{number}]"))
    return times >= max_contacts


def _key_set(value, name):
    if isinstance(value, Audience):
        value = value.users
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} holds {describe(value)}, must hold audiences or lists of keys")
    return set(value.tolist() if isinstance(value, np.ndarray) else value)
