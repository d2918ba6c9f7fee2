# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._arrays import asarray, whole_number
from .._catalogs import as_catalog
from .._times import to_ms
from ._rules import to_json

_SIMILAR = ("item_to_item", "similar", "similar_items")


def _rules(rules):
    if rules is None:
        return ""
    return to_json({"rules": rules} if isinstance(rules, (list, tuple)) else rules)


def _placement(spec):
    """{"sources": {name: quota or (quota, weight)}, "fallback": [names], "normalization": "rank"} made complete."""
    unknown = set(spec) - {"sources", "fallback", "normalization"}
    if unknown:
        raise ValueError(f"a placement's mix has {sorted(unknown)[0]!r}, must have sources, fallback and normalization")
    slots = {}
    for name, slot in spec.get("sources", {}).items():
        quota, weight = slot if isinstance(slot, (tuple, list)) else (slot, 1.0)
        slots[name] = (whole_number(quota, f"the quota of {name!r}"), float(weight))
    out = {"sources": slots, "fallback": list(spec.get("fallback", ()))}
    if "normalization" in spec:
        out["normalization"] = spec["normalization"]
    return out


def _offer_prices(plans):
    from ..marketing import Allocation, OfferPrices

    if not isinstance(plans, Mapping):
        raise TypeError(f"offer_prices is a {type(plans).__name__}, must be {{plan: OfferPrices}}")
    out = {}
    for plan, prices in plans.items():
        prices = OfferPrices.of(prices) if isinstance(prices, Allocation) else prices
        if not isinstance(plan, str) or not isinstance(prices, OfferPrices):
            raise TypeError(f"offer_prices has {plan!r}: {type(prices).__name__}, must have names and OfferPrices or an Allocation")
        out[plan] = prices._core
    return out


def _lifetime(model):
    core = model._fitted() if hasattr(model, "_fitted") else None
    if not isinstance(core, _core.LifetimeModel):
        raise TypeError(f"lifetime is a {type(model).__name__}, must be a fitted BGNBD, MBGNBD, ParetoNBD or MBGCNBD")
    return core


def _through(entries, index):
    """The entries with the first model with factors in a copy that is asked through the index."""
    for at, (name, compiled, ask) in enumerate(entries):
        if isinstance(compiled, _core.FactorModel):
            compiled = compiled.copy()
            compiled.set_index(index)
            return [*entries[:at], (name, compiled, ask), *entries[at + 1:]]
    raise ValueError("factor_index is given, must come with a model that has factors")


class Snapshot:
    """One state of everything that is not live: models, indexes, catalogue and rules. Made in the background, published whole.

    models: {name: model}, all fitted on one id space; the name is what placements call the source. A model is asked about
      the shopper, one named "item_to_item" or "similar" for what is like the page's products, Popularity for everybody;
      (model, "shopper" | "similar" | "anyone") says it outright.
    catalog: an etalage.Catalog; products that no model knows are new arrivals. content_index: an ItemIndex of its vectors.
    factor_index: an ItemIndex of the item factors of the first model with factors, as build_index() makes one: this snapshot asks
      that model through it; the model itself stays as it is.
    rules: a list of rules, a dict or JSON. rerank: {"method": "mmr" | "dpp" | "calibrated", "diversity": 0.3, ...}.
    mix: {placement or "standard": {"sources": {name: (quota, weight)}, "fallback": [names]}}; without one, the default.
    profiles: etalage.profile.Profiles of the same log; live events go on from there. intent: a fitted PurchaseIntent.
    cold_start: models.ColdStart(model, catalog) of the first model with factors: it names new products too, by the factors
      that their attributes predict. segment_factors: {segment: factor row} of newcomers, by recommend(segment=...);
      ColdStart(model, features, side="users").factors() makes them. segment_strength: events that a segment counts for (5).
    ranker: a fitted models.LearnedRanker of the same products and shoppers. It scores anew what a placement's sources propose, before
      boosts, caps and variety; its own sources say what they think of these products and propose nothing.
    trained: the moment up to which the models know events (datetime or milliseconds); later ones count as live. By default
      the newest event that profiles or a model was fitted on (a model on Interactions without times says none).
    A snapshot keeps models and profiles as they are: what partial_fit_*() and observe() do to them later is in the next one.
    segments: {segment: a fitted model that its shoppers without history get}. new_arrivals: keys, newest first; None means
    products that no model knows.
    offer_prices: {plan: marketing.OfferPrices or an Allocation}; an OfferDesk decides requests at them.
    lifetime: a fitted model of marketing.lifetime (BGNBD, MBGNBD, ParetoNBD, MBGCNBD) of the same log: Engine.profile() then says how
      likely somebody is still a customer (alive; churn is 1 - alive) and takes the segments "at risk" (below .7) and "lapsed" (below .3) from it,
      and buy_again() multiplies by it. lifetime_unit: "weeks" or "days", as it was fitted.
    """

    def __init__(self, models=None, catalog=None, *, rules=None, rerank=None, mix=None, factor_index=None, content_index=None,
                 segments=None, new_arrivals=None, profiles=None, intent=None, cold_start=None, segment_factors=None, segment_strength=5.0,
                 ranker=None, trained=None, label="", offer_prices=None, lifetime=None, lifetime_unit="weeks"):
        if models is not None and not isinstance(models, Mapping):
            raise TypeError(f"models is a {type(models).__name__}, must be {{name: model}}")
        entries = []
        for name, model in (models or {}).items():
            model, ask = model if isinstance(model, tuple) else (model, None)
            compiled = self._compiled(model, name)
            if ask is None:
                ask = "similar" if name in _SIMILAR else "anyone" if compiled.kind == "Popularity" else "shopper"
            entries.append((name, compiled, ask))
        if factor_index is not None:
            index = getattr(factor_index, "_core", factor_index)
            if not isinstance(index, _core.ItemIndex):
                raise TypeError(f"factor_index is a {type(factor_index).__name__}, must be an ItemIndex of a kind other than 'faiss'")
            entries = _through(entries, index)
        parts = {"label": label, "trained_ms": 0 if trained is None else to_ms(trained, "trained"), "segment_strength": float(segment_strength)}
        if profiles is not None:
            parts["profiles"] = profiles._core
        if intent is not None:
            parts["intent"] = intent._fitted()
        if ranker is not None:
            if getattr(type(ranker), "_kind", None) != "LearnedRanker":
                raise TypeError(f"ranker is a {type(ranker).__name__}, must be a models.LearnedRanker")
            parts["ranker"] = self._compiled(ranker, "ranker")
        if cold_start is not None:
            if not isinstance(cold_start._core, _core.ColdStartItems):
                raise TypeError("cold_start learned from a matrix, must have learned from a Catalog")
            parts["cold_start"] = cold_start._core
        if segment_factors:
            parts["segment_factors"] = {name: np.ascontiguousarray(asarray(row, "segment_factors"), np.float32) for name, row in segment_factors.items()}
        if offer_prices:
            parts["offer_prices"] = _offer_prices(offer_prices)
        if lifetime is not None:
            parts["lifetime"] = _lifetime(lifetime)
            if not isinstance(lifetime_unit, str) or lifetime_unit not in ("days", "weeks"):
                raise ValueError(f"lifetime_unit is {lifetime_unit!r}, must be 'days' or 'weeks'")
            parts["lifetime_unit_days"] = {"days": 1.0, "weeks": 7.0}[lifetime_unit]
        self._core = _core.Snapshot(
            entries, as_catalog(catalog), parts,
            getattr(content_index, "_core", None), {k: self._compiled(m, k) for k, m in (segments or {}).items()}, new_arrivals,
            {name: _placement(spec) for name, spec in (mix or {}).items()}, _rules(rules), dict(rerank or {}))

    @staticmethod
    def _compiled(model, name):
        core = getattr(model, "_model", None)
        if core is None:
            raise _core.NotFittedError(f"model {name!r} is not fitted; call fit() first")
        return core

    @classmethod
    def _from_core(cls, core):
        snapshot = cls.__new__(cls)
        snapshot._core = core
        return snapshot

    @property
    def label(self):
        """The text that it was given, for logs and metrics."""
        return self._core.label

    @property
    def offer_prices(self):
        """{plan: marketing.OfferPrices} that it was given."""
        from ..marketing import OfferPrices

        return {plan: OfferPrices(budget, offer if len(offer) else None) for plan, (budget, offer) in self._core.offer_prices.items()}

    def __len__(self):
        """Number of products."""
        return self._core.num_products

    def save(self, path):
        """Writes models, indexes, catalogue and rules to one file."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path):
        """Opens a file that Snapshot.save() or Engine.save() wrote; arrays are mapped, nothing is rebuilt."""
        return cls._from_core(_core.Snapshot.load(os.fspath(path)))

    def __repr__(self):
        return f"Snapshot({len(self)} products, sources: {', '.join(self._core.sources)})"
