# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import json
import operator
import os
import re
import weakref
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._arrays import asarray, whole_number
from .._catalogs import as_catalog
from .._times import to_ms
from ..profile import UserProfile
from . import _offers
from ._impressions import Impressions, exploration, what_if
from ._rules import to_json

_SIMILAR = ("item_to_item", "similar", "similar_items")
_MEANING = ("weight", "trending", "purchase", "returns")
_EVENTS = ("session_idle_minutes", "history_limit", "seen_limit", "trending_half_life_hours", "trending_size", "co_purchase_hours",
           "co_purchase_limit", "max_future_seconds", "compact_bytes", "segment_bytes", "factor_cache", "profile_cache", "filter_cache_bytes", "explain_items", "metrics",
           "visitor_idle_days", "max_shoppers", "max_shopper_bytes", "max_items", "max_erased", "visitor_prefix", "repair",
           "impression_days", "impression_bytes", "attribution_hours")


class Answer(tuple):
    """What Engine.recommend() found: unpacks into keys and scores.

    keys: the shop's, (n,); scores: float32 (n,); sources: the name of the source that named each product first.
    why: with explain=True a dict for each product: "sources" (all that named it, with their parts), "because" (history
    items with their shares), "rules" (what rules did). snapshot: number of the publication that answered.
    request_id: with log=True the number of this answer, for observe(..., request=); None otherwise.
    """

    def __new__(cls, keys, scores, sources, why, about):
        self = super().__new__(cls, (keys, scores))
        self.keys, self.scores, self.sources, self.why = keys, scores, sources, why
        self.__dict__.update(about)
        return self

    def __repr__(self):
        rows = ", ".join(f"{k!r}: {s:.3f} ({source})" for k, s, source in zip(self.keys[:5], self.scores, self.sources))
        return f"Answer({len(self.keys)} products: {rows}{', ...' if len(self.keys) > 5 else ''})"


def _milliseconds(time):
    return None if time is None else to_ms(time, "time")


def _keys(values):
    """A key, or what holds keys: an Answer, a list, an array, a Series, an Arrow array."""
    if isinstance(values, Answer):
        return values.keys
    return values.to_pylist() if hasattr(values, "to_pylist") else values


def _given(given):
    """(key, score) pairs in the caller's order; keys alone get falling scores."""
    if isinstance(given, Answer):
        return list(zip(given.keys, given.scores))
    if isinstance(given, Mapping):
        return list(given.items())
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, (list, np.ndarray)) for part in given):
        keys, scores = given
        if len(keys) != len(scores):
            raise ValueError(f"given has {len(keys)} keys and {len(scores)} scores, must have one for each")
        return list(zip(keys, scores))
    entries = list(_keys(given))
    pairs = [isinstance(entry, (tuple, list)) for entry in entries]
    if any(pairs):
        wrong = next((e for e, pair in zip(entries, pairs) if not pair or len(e) != 2), None)
        if wrong is not None:
            raise ValueError(f"given holds {wrong!r}, must hold (key, score) pairs or keys alone")
        return [tuple(entry) for entry in entries]
    return [(key, 1.0 - i / len(entries)) for i, key in enumerate(entries)]


def _score(key, score):
    """A finite number: one that is not would sort anyhow."""
    try:
        number = float(score)
    except (TypeError, ValueError):
        raise TypeError(f"given has the score {score!r} for {key!r}, must be a number") from None
    if not -3.4e38 <= number <= 3.4e38:
        raise ValueError(f"given has the score {number} for {key!r}, must be a finite float32")
    return key, number


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


def _check_types(event_types):
    if not isinstance(event_types, Mapping):
        raise TypeError(f"event_types is a {type(event_types).__name__}, must be a mapping of name to weight or meaning")
    for name, meaning in event_types.items():
        if not isinstance(name, str):
            raise TypeError(f"event_types names {name!r}, must be strings")
        if isinstance(meaning, Mapping):
            unknown = set(meaning) - set(_MEANING)
            if unknown:
                raise ValueError(f"event_types[{name!r}] has {sorted(map(str, unknown))[0]!r}, must have {', '.join(_MEANING)}")
        elif isinstance(meaning, (bool, np.bool_, str)) or not hasattr(meaning, "__float__"):
            raise TypeError(f"event_types[{name!r}] is {meaning!r}, must be a weight or a mapping")


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
        parts = {"label": label, "trained_ms": _milliseconds(trained) or 0, "segment_strength": float(segment_strength)}
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


def _request_number(value, name="request"):
    """A request_id as it was given: which ones are on record the log says."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), must be the request_id of a logged answer, an integer")
    number = operator.index(value)
    if not 0 < number < 2**64:
        raise ValueError(f"{name} is {number}, must be the request_id of an answer that was logged and is still kept")
    return number


class Engine:
    """Answers for this shopper, on this page, now: live events on one side, a published snapshot on the other.

    path: folder of the event journal, recovered when it is there; None keeps events in memory alone.
    durability: "every event", "every 50 ms" (any number of ms) or "none": when observe()d events survive a power loss.
    models, catalog, rules, ...: what Snapshot takes; given here, a first snapshot is published at once.
    event_types: {name: weight} or {name: {"weight": 5, "trending": 5, "purchase": True}}; by default view, cart, purchase
      and return.
    Options with their defaults: session_idle_minutes=30, history_limit=256, seen_limit=4096, trending_half_life_hours=24,
      co_purchase_hours=24, max_future_seconds=300, compact_bytes=2**28, factor_cache=100000, profile_cache=20000,
      filter_cache_bytes=192 * 2**20, metrics=False.
    What is kept: visitor_idle_days=365, max_shoppers=10**7, max_shopper_bytes=2**33, max_items=10**7, max_erased=10**6 (0: no
      limit), visitor_prefix="" (visitors are those whose key begins with it; by default those who bought nothing and were not
      merged into). repair=True opens a damaged journal without the events that are lost; see `recovery`.

    exploration: {placement: what explore() takes}. Impressions: impression_days=90 and impression_bytes=2**28 are how long and how much of
      what was shown is kept, attribution_hours=24 how long it is credited with events that name no request (0: not at all).

    Every method may be called from any number of threads; none holds the GIL while it works. close(), or leaving `with
    Engine(...) as engine:`, makes what was observed durable, ends the engine's threads and lets go of the folder; calls on a
    closed engine are a ValueError. An engine that is left open is closed when it is collected, or at the exit of the
    interpreter. In a child made by fork, close() leaves everything to the parent.
    """

    def __init__(self, path=None, *, durability="every 50 ms", models=None, catalog=None, event_types=None, exploration=None, **options):
        live = {name: options.pop(name) for name in _EVENTS if name in options}
        published = list(inspect.signature(Snapshot.__init__).parameters)[3:]
        for name in options:
            if name not in published:
                raise TypeError(f"{name} is not an option of Engine, must be one of {', '.join((*published, *_EVENTS))}")
        self._clock = _core.Clock()
        self._hold(_core.Engine(None if path is None else os.fspath(path), self._options(durability, event_types, live, self._clock)))
        self._types = list(event_types) if event_types is not None else ["view", "cart", "purchase", "return"]
        if exploration is not None:
            try:
                for placement, how in dict(exploration).items():
                    self.explore(placement, how)
            except BaseException:
                self.close()
                raise
        if models is not None or catalog is not None or options:
            try:
                self.publish(Snapshot(models, catalog, **options))
            except BaseException:
                self.close()
                raise

    def _hold(self, core):
        self._core = core
        # Also at the interpreter's exit, before its modules go: threads that live on would find nothing of it any more.
        self._closing = weakref.finalize(self, core.close)

    def close(self):
        """Waits for calls that are running, makes what was observed durable, ends the engine's threads. A second call does
        nothing."""
        self._closing()

    @property
    def closed(self):
        """Whether close() was called."""
        return self._core.closed

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @staticmethod
    def _options(durability, event_types, live, clock):
        out = dict(live, clock=clock)
        every = re.fullmatch(r"every (\d+) ms", durability) if isinstance(durability, str) else None
        if every:
            out.update(durability="interval", interval_ms=int(every[1]))
        elif durability in ("every event", "none"):
            out["durability"] = durability
        else:
            raise ValueError(f"durability is {durability!r}, must be 'every event', 'every <n> ms' or 'none'")
        if not isinstance(live.get("visitor_prefix", ""), str):
            raise TypeError(f"visitor_prefix is {live['visitor_prefix']!r}, must be a string")
        if event_types is not None:
            _check_types(event_types)
            out["event_types"] = [{"name": name, **(meaning if isinstance(meaning, Mapping) else
                                                    {"weight": meaning, "trending": max(0.0, meaning), "purchase": name == "purchase",
                                                     "returns": name == "return"})}
                                  for name, meaning in event_types.items()]
        return out

    @property
    def now(self):
        """The engine's time, numpy.datetime64[ms]. Set it to replay a past day; None goes back to the system's clock."""
        return np.datetime64(self._clock.now(), "ms")

    @now.setter
    def now(self, time):
        self._clock.set(_milliseconds(time) or 0)

    def observe(self, user, item, event="view", time=None, value=1.0, request=None):
        """Tells the engine what happened, and returns the event's sequence number. The shopper's next request sees it.

        request: request_id of the answer, logged, that the shopper acted upon; ValueError, and nothing is stored, where it was not logged
        or is forgotten, did not show the product, or was answered later. None: the newest logged answer that showed the product to the
        shopper within attribution_hours, if any.

        time: a datetime (naive is UTC), numpy.datetime64, or milliseconds since 1970; None is now. ValueError for an event
        type that is not known, a time in the future, or a key of another kind; OSError when the journal cannot be written:
        its `pending` is the event's number when it was taken all the same and must not be sent again, None when it was refused.
        user, item: the shop's keys. value: an amount or a count; below 0 it is a return.
        """
        return self._core.observe(user, item, event, _milliseconds(time), value, None if request is None else _request_number(request))

    def observe_log(self, log, event="purchase"):
        """Observes every row of an EventLog, in its order; `event` is the type where the log has none."""
        return self._core.observe_log(log, event)

    def recommend(self, user=None, k=10, placement="home", *, filter=None, anchors=None, session=None, given=None, query_vector=None,
                  segment="", exclude_seen=None, explain=False, place=None, fill=None, log=False):
        """The k best products for a shopper on a page: keys, scores = engine.recommend(user).

        placement: "home", "product_page", "basket", "category_page", "search" or "email". filter: a Filter, or the same as a
        dict or JSON, {"price": {"max": 50}}. anchors: the page's product or the basket's; session: items of this visit that
        were not observed; a key, a list or array of keys, or an Answer. given: what to re-rank, best first: an Answer,
        {key: score}, (key, score) pairs, or keys. place: where it is asked, for what set_available() and set_price() said of
        products there.
        exclude_seen: leave out what the shopper has seen; by default on the home page, category pages and in mails, while
        product page and basket leave out the anchors alone and a search page only what rules forbid.
        fill: may products appear that were not given? By default everywhere but on a search page with `given`.
        log: put on record that this is shown, for impressions() and what_if(), and draw the places that explore() names; the answer's
        request_id is what observe(..., request=) takes.
        An unknown shopper or item is no error. See Answer.
        query_vector: of what is searched for, in the space of the content index. segment: whose ranking a fallback takes. explain: answers
        say why.
        """
        if given is not None:
            if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
                raise TypeError(f"given is {given!r}, must be an Answer, a mapping, (key, score) pairs or keys")
            given = [_score(key, score) for key, score in _given(given)]
            fill = placement != "search" if fill is None else fill
        return Answer(*self._core.recommend(user, whole_number(k, "k", bits=64), placement, None if filter is None else to_json(filter), _keys(anchors),
                                            _keys(session), given, query_vector, segment, exclude_seen, explain, _offers.place(place), fill, bool(log)))

    def explore(self, placement, how):
        """How logged answers of a placement explore from the next request on; not kept on disk. None: the best is shown everywhere.

        how: a policy's name, or a mapping of
          policy       "epsilon" (uniform among the pool with probability epsilon, else the best), "softmax" (p ~ exp(value / temperature);
                       place after place this is Plackett-Luce), "thompson" (p that the product's rate of reactions is the highest, Beta
                       posteriors of what is on record), "squarecb" (p = 1 / (n + gamma x what it is worse by)), "bootstrap" (p = (1 - epsilon) share
                       of the bootstrapped models of the snapshot's ranker whose best it is + epsilon / n: a LearnedRanker with bootstraps > 0
                       must be published), "greedy"
          epsilon=0.1, temperature=0.1, gamma=100    of values in (0, 1] times boosts
          slots        places from 0 that are drawn; by default all         max_share=1  at most this share of an answer's places
          pool=20      best candidates that a place draws from, 2 to 256    seed=42
        What filters, caps, pins, shares and variety forbid is settled before a place is drawn: it never appears, and propensities are
        given it.
        """
        _core.engine_explore(self._core, placement, exploration(how))

    def fatigue(self, placement, after=3, factor=0.5, *, days=30, answers=50):
        """How what a shopper passed over sinks in a placement from the next request on; not kept on disk.

        A product that was shown to them n >= after times since they last reacted to it is worth factor^(n - after + 1) of what it would be,
        before variety and before places are drawn. Logged answers count, of the last `days` and at most their newest `answers` ones.
        after: None for no fatigue. ValueError for a factor outside [0, 1], after or days below 1, answers outside [1, 256].
        """
        _core.engine_fatigue(self._core, placement, None if after is None else {"after": after, "factor": factor, "days": days, "answers": answers})

    def impressions(self, marginals=0, seed=0):
        """What logged answers showed and what it caused: Impressions, a frame for whoever reads Arrow.

        marginals: a number of draws adds the columns marginal and marginal_error: the probability of the product at its place over all
        that could have stood above, as against propensity, which is given these. Exact (error 0) with at most one drawn place above,
        else the mean over so many walks with its standard error; NaN where variety, caps or shares keep the record from saying it.
        seed: of these walks.
        """
        return Impressions(_core.engine_impressions(self._core, whole_number(marginals, "marginals"), whole_number(seed, "seed", bits=64, signed=False)))

    def impression_bytes(self):
        """Memory of what is on record."""
        return _core.engine_impression_bytes(self._core)

    def replays(self, request_id):
        """Whether drawing again from what was recorded gives the same products with the same probabilities, bit for bit.

        request_id: of the answer; ValueError where it is not on record.
        """
        return _core.engine_replays(self._core, _request_number(request_id, "request_id"))

    def what_if(self, policy, *, placement=None, reward=None, form="reward_interaction", estimators=None, **options):
        """What another exploration of the same places would have earned, from the log of this one: evaluation.off_policy.estimate() on the
        answers that were drawn. Mapping of estimators to value (reward an answer), interval and ess.

        policy: what explore() takes; {"policy": "greedy"} asks for the best everywhere. slots, max_share and pool are those of the log.
        placement: of one alone. reward: types of events that count 1 each, once a place, or {type: worth}; by default all but "return".
        form, estimators, options: those of off_policy.estimate(); shoppers are its groups.
        TooFewError under the stated effective sample size; ValueError where nothing was drawn.
        """
        return what_if(self._core, policy, placement, reward, self._types, form, estimators, options)

    def set_available(self, item, available, place=None):
        """A product is sold out (False), or to be had (True), from the next request on and without publishing; None takes
        back what was said, so that the catalogue's stock holds again. Returns the number that durable_through() reaches.

        place: a store, a warehouse or a region by the shop's own name; None is everywhere. What a place says goes before what
        is said everywhere, and that before the catalogue. A product that is unavailable where a request asks is in no answer,
        and Filter.in_stock() is false for it. Kept in the journal, and by every snapshot that is published.
        item: its key; available: True, False or None.
        """
        return self._core.set_available(item, _offers.available(available), _offers.place(place))

    def set_price(self, item, price, place=None):
        """A product's price from the next request on, for filters and rules; None takes it back. See set_available().

        item: its key; place: as there.
        """
        return self._core.set_price(item, _offers.price(price), _offers.place(place))

    def set_attribute(self, item, name, value, place=None):
        """What a product says of an attribute from the next request on: the tags "name:..." become "name:value". value: text, a
        list of texts, or None to take it back. See set_available().
        item: its key; place: as there.
        """
        return self._core.set_attribute(item, _offers.attribute_name(name), _offers.attribute_values(value), _offers.place(place))

    def offer(self, item, place=None):
        """What set_available() and set_price() said that holds at a place: {"available": bool or None, "price": float or None}.

        item: its key.
        """
        return self._core.offer(item, _offers.place(place))

    def availability_bytes(self):
        """Memory of what set_available() said of all products at all places."""
        return self._core.availability_bytes()

    def publish(self, snapshot):
        """Serves another snapshot from the next request on; returns the publication's number."""
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"snapshot is a {type(snapshot).__name__}, must be a Snapshot")
        return self._core.publish(snapshot._core)

    def rollback(self):
        """Back to the snapshot before; a second call comes back."""
        return self._core.rollback()

    def forget_previous(self):
        """Lets go of the snapshot to roll back to."""
        self._core.forget_previous()

    @property
    def snapshot(self):
        """The snapshot in use, or None."""
        core = self._core.snapshot
        return None if core is None else Snapshot._from_core(core)

    def merge_users(self, from_user, to_user):
        """An anonymous visitor has logged in: their history joins the customer's.

        from_user: the visitor's key; to_user: the customer's.
        """
        return self._core.merge_users(from_user, to_user)

    def erase_user(self, user):
        """Takes a user out of everything; compact() takes their events off the disk now, the next compaction otherwise."""
        return self._core.erase_user(user)

    def user(self, user):
        """What is live about a user: a dict of history, session and purchases; None for one without events."""
        return self._core.user(user)

    def profile(self, user):
        """UserProfile of a shopper as they stand now: what the snapshot's profiles say, and every live event since. One whom
        nobody knows has an empty profile. With a lifetime model in the snapshot it has `alive`, the chance that they are still a customer,
        once they have ordered.
        user: the shopper's key.
        """
        return UserProfile(user, self._core.profile(user))

    def buy_again(self, user, k=10, horizon_days=7.0):
        """Products that they bought and may want again, the likeliest within horizon_days first: the dict of arrays that
        Profiles.buy_again() gives.
        user: the shopper's key.
        """
        keys, out = self._core.buy_again(user, whole_number(k, "k", bits=64), horizon_days)
        return {"item": np.array(keys, "int64" if keys and isinstance(keys[0], int) else object), **out,
                "last": out["last"].astype("datetime64[ms]"), "due": out["due"].astype("datetime64[ms]")}

    def bought_together(self, item, k=10):
        """What shoppers buy with a product, counted live: a dict of arrays item and count, most often first, at most k. A pair counts where one shopper
        bought both within co_purchase_hours; what an erased shopper bought is taken back. For significance and direction see marketing.baskets.
        item: the product's key; k: how many partners.
        """
        keys, counts = self._core.bought_together(item, whole_number(k, "k", low=0))
        return {"item": np.array(keys, "int64" if keys and isinstance(keys[0], int) else object), "count": counts}

    def intent(self, user):
        """The probability that they buy within the horizon of the snapshot's PurchaseIntent.

        user: the shopper's key.
        """
        return self._core.intent(user)

    def durable_through(self):
        """The last sequence number that survives a power loss."""
        return self._core.durable_through()

    def sync(self):
        """Makes everything observed and logged so far durable."""
        self._core.sync()
        _core.engine_sync_impressions(self._core)

    def compact(self):
        """Replaces the journal's events by what they amount to, and takes impressions that are gone off the disk; happens by itself."""
        self._core.compact()
        _core.engine_compact_impressions(self._core)

    @property
    def recovery(self):
        """What opening the journal found: events, last_sequence, cut_bytes, cut_events and cut_reason of a torn tail; with
        repair=True lost_events and copies (names of damaged files as they were). None without a path."""
        return self._core.recovery()

    @property
    def failure(self):
        """Why events are held back (a full disk, say); empty when all is well."""
        return self._core.failure()

    def metrics(self):
        """Counters and latencies as a dict; with metrics=True."""
        return self._core.metrics()

    def prometheus(self):
        """The same in Prometheus' text format."""
        return self._core.prometheus()

    def save(self, path):
        """Writes the snapshot and everything live to one file."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path, *, event_types=None, **live):
        """Opens a file that save() wrote; its events are in memory alone."""
        engine = cls.__new__(cls)
        engine._clock = _core.Clock()
        engine._types = list(event_types) if event_types is not None else ["view", "cart", "purchase", "return"]
        engine._hold(_core.Engine.load(os.fspath(path), cls._options("none", event_types, live, engine._clock)))
        return engine

    def __repr__(self):
        if self.closed:
            return "Engine(closed)"
        return f"Engine({self.snapshot!r}, {self._core.last_sequence()} events)"
