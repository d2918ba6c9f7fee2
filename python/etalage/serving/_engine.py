# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import os
import re
import weakref
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._arrays import whole_number
from .._option_rules import documented
from .._times import to_ms
from ..profile import UserProfile
from . import _offers
from ._answer import Answer, checked_score, given_pairs, keys_in
from ._impressions import Impressions, exploration, what_if
from ._rules import to_json
from ._snapshot import Snapshot

_MEANING = ("weight", "trending", "purchase", "returns")
_RULES = {name: rule for name, rule in _core.option_rules()["engine"]["rules"].items() if name not in ("durability", "interval_ms")}


def _milliseconds(time):
    return None if time is None else to_ms(time, "time")


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


def _request_number(value, name="request"):
    """A request_id as it was given: which ones are on record the log says."""
    number = whole_number(value, name, bits=64, signed=False)
    if number == 0:
        raise ValueError(f"{name} is 0, must be the request_id of an answer that was logged and is still kept")
    return number


class Engine:
    """Answers for this shopper, on this page, now: live events on one side, a published snapshot on the other.

    path: folder of the event journal, recovered when it is there; None keeps events in memory alone.
    durability: "every event", "every 50 ms" (any number of ms) or "none": when observe()d events survive a power loss.
    models, catalog, rules, ...: what Snapshot takes; given here, a first snapshot is published at once.
    event_types: {name: weight} or {name: {"weight": 5, "trending": 5, "purchase": True}}; by default view, cart, purchase
      and return.
    visitor_prefix: visitors are those whose key begins with it; by default those who bought nothing and were not merged into. Those of whom
      nothing came for visitor_idle_days are forgotten, and beyond max_shoppers or max_shopper_bytes those idle longest.
    repair: open a damaged journal without the events that are lost; see `recovery`.
    Other options are listed below. param_rules() says what they must be.

    exploration: {placement: what explore() takes}. Impressions: impression_days and impression_bytes are how long and how much of what was
      shown is kept, impression_requests (True) whether with what was asked for, which what_if() of a snapshot needs, attribution_hours how
      long it is credited with events that name no request.

    Every method may be called from any number of threads; none holds the GIL while it works. close(), or leaving `with
    Engine(...) as engine:`, makes what was observed durable, ends the engine's threads and lets go of the folder; calls on a
    closed engine are a ValueError. An engine that is left open is closed when it is collected, or at the exit of the
    interpreter. In a child made by fork, close() leaves everything to the parent.
    """

    def __init__(self, path=None, *, durability="every 50 ms", models=None, catalog=None, event_types=None, exploration=None, **options):
        live = {name: options.pop(name) for name in _RULES if name in options}
        published = list(inspect.signature(Snapshot.__init__).parameters)[3:]
        for name in options:
            if name not in published:
                raise TypeError(f"{name} is not an option of Engine, must be one of {', '.join((*published, *_RULES))}")
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

    @staticmethod
    def param_rules():
        """What each option must be, in words: {"history_limit": "in [1, 65536]", ...}; "" for anything of its type."""
        return dict(_RULES)

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
            given = [checked_score(key, score) for key, score in given_pairs(given)]
            fill = placement != "search" if fill is None else fill
        return Answer(*self._core.recommend(user, whole_number(k, "k", bits=64), placement, None if filter is None else to_json(filter), keys_in(anchors),
                                            keys_in(session), given, query_vector, segment, exclude_seen, explain, _offers.place(place), fill, bool(log)))

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

    def what_if(self, policy_or_snapshot, *, placement=None, reward=None, form="reward_interaction", estimators=None, exploration=None, **options):
        """What another exploration of the same places, or another Snapshot, would have earned, from the log of this one:
        evaluation.off_policy.estimate() on the answers that were drawn. Mapping of estimators to value (reward an answer), interval and
        ess; its `left_out` counts the answers that could not be asked, by reason.

        policy_or_snapshot: what explore() takes; {"policy": "greedy"} asks for the best everywhere, slots, max_share and pool are those
          of the log. Or a Snapshot (a loaded one, another engine's `snapshot`), which is asked each question again as of then: of the
          shopper's events, and of what they were shown, up to that moment. Left out are questions that are not on record
          (without_question), shoppers whose events of then cannot be told any more (shopper_changed), and answers from before the
          snapshot was trained, whose outcome it may know (before_training). Catalogue, offers, trending products, what is bought together and
          fatigue() are as of now. Costs an answer a record.
        exploration: how a snapshot would draw its places, as explore() takes it; by default it shows its best. Not "thompson".
        placement: of one alone. reward: types of events that count 1 each, once a place, or {type: worth}; by default all that take
          nothing back. A purchase that was returned earns nothing, unless `reward` says what the return is worth.
        form, estimators, options: those of off_policy.estimate(); shoppers are its groups. "independent" is given marginals.
        TooFewError under the stated effective sample size; ValueError where no answer can be asked, and where a marginal is not known.
        """
        other = policy_or_snapshot._core if isinstance(policy_or_snapshot, Snapshot) else policy_or_snapshot
        return what_if(self._core, other, placement, reward, self._types, form, estimators, exploration, options)

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


Engine.__doc__ = documented(Engine.__doc__, _RULES, _core.option_rules()["engine"]["defaults"])
