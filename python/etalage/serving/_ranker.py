# SPDX-License-Identifier: Apache-2.0
"""Candidate sources, and the ranker that makes an answer of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _core
from .._arrays import whole_number
from ._rules import Rules


def rerank(relevance, k, method="mmr", *, diversity=0.3, vectors=None, catalog=None, items=None, groups=None, target=None,
           window=300, smoothing=0.01):
    """Indices of the k best candidates, int32, chosen one by one for relevance and variety.

    relevance   float32 (n,), in [0, 1]
    method      "mmr", "dpp": against likeness of vectors (n, dim), or of the categories of `items` (n,) in a CatalogIndex;
                "calibrated": towards the shares `target` of the groups, where groups (n,) holds each candidate's or -1;
                "none": by relevance
    diversity   0 keeps the order of relevance, 1 looks at variety alone
    window      the most relevant so many take part, the others follow as they are
    smoothing: of the shares, > 0, so that a share of nothing can be compared. catalog: a CatalogIndex.
    """
    options = {"method": method, "diversity": diversity, "window": window, "smoothing": smoothing}
    if vectors is None and items is not None:
        options["likeness"] = "categories"
    return _core.rerank(relevance, whole_number(k, "k", bits=64), options, vectors, catalog, items, groups, target)


def ModelSource(name, model, ask="shopper"):
    """Any fitted model. ask: "shopper" for user, history and session; "anyone", with the cold-start answer for the
    others; "similar" for what is like the page's products, or like the session's last.
    name: what mixes call it.
    """
    return _core.RecommenderSource(name, model._fitted(), ask)


def IndexSource(name, index, ask="content", vectors=None, recent=5):
    """An ItemIndex whose ids are catalogue rows, asked by the request's "user_vector" or "query_vector", or by "content":
    the mean direction of the page's products, or of the `recent` last of session or history, in vectors (n, dim).
    name: what mixes call it; ask: as said above.
    """
    return _core.IndexSource(name, index._core, ask, vectors, whole_number(recent, "recent", low=0, bits=64))


def ListSource(name, lists, recent=10):
    """Lists made beforehand, best first: (items, scores) for everybody, {segment: (items, scores)} with "" for other
    segments, or a CSR matrix with a row a product (co-purchase counts, say), added up over the page's products or the
    `recent` last.
    name: what mixes call it; lists: as said above.
    """
    recent = whole_number(recent, "recent", low=0, bits=64)
    if hasattr(lists, "tocsr"):
        rows = lists.tocsr()
        return _core.ListSource(name, rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data.astype(np.float32), recent)
    if not isinstance(lists, dict):
        lists = {"": lists}
    return _core.ListSource(name, {k: tuple(v) for k, v in lists.items()})


def GivenSource(name="given"):
    """The request's own candidates: search results to re-rank.

    name: what mixes call it.
    """
    return _core.GivenSource(name)


class Ranked(NamedTuple):
    """An answer. items int32 (catalogue rows) and scores float32, best first; sources: the name of the one that speaks
    loudest for each, None for pins and what filled up; trace: a dict of the whole way, when asked for."""

    items: np.ndarray
    scores: np.ndarray
    sources: list
    trace: dict | None


class Ranker:
    """Sources -> union -> filters -> relevance -> boosts -> re-ranking with pins, caps and shares -> answer.

    catalog      a CatalogIndex; models and indexes number their items as its rows (see align_catalog)
    sources      ModelSource, IndexSource, ListSource, GivenSource
    mix          {"sources": [(name, quota, weight), ...], "fallback": [name, ...], "normalization": "rank" | "min_max" | "none"}
                 or only the list of sources; without one every source gives 100 at weight 1
    placements   {"basket": mix, ...} where it differs
    rules        Rules, or a list of dicts
    rerank       {"method": "none" | "mmr" | "dpp" | "calibrated", "diversity": 0.3, "likeness": "vectors" | "categories", ...}
    vectors      float32 (n, dim) of the products, for mmr and dpp by vectors
    calibrate_by: attribute whose shares method "calibrated" keeps, "category:1" by default.
    """

    def __init__(self, catalog, sources, mix=None, placements=None, rules=(), rerank=None, vectors=None, calibrate_by="category:1"):
        self.catalog = catalog
        self.sources = list(sources)
        self.rules = rules if isinstance(rules, Rules) else Rules(rules)
        if mix is None:
            mix = [(s.name, 100, 1.0) for s in self.sources]
        placements = {name: self._mix(m) for name, m in (placements or {}).items()}
        self._core = _core.Ranker(catalog, self.sources, self._mix(mix), placements, self.rules._core, dict(rerank or {}), vectors,
                                  calibrate_by)

    @staticmethod
    def _mix(mix):
        return mix if isinstance(mix, dict) else {"sources": list(mix)}

    def rank(self, k=10, *, placement="home", user=None, history=None, session=None, anchors=None, seen=None, purchases=None, filter=None,
             given=None, segment="", user_vector=None, query_vector=None, target=None, now_ms=0, exclude_seen=True, audit_id=0, trace=False):
        """The answer to one request: min(k, eligible) products, none of which a filter, a rule or the request forbids.

        user       row of the models, or None; history, session: items, oldest first; anchors: the page's products
        purchases  (items, times in UTC milliseconds), for rules of the type not_again; now_ms the time they count from
        filter     a Filter; given: (items, scores) of the caller's
        placement: whose mix is taken; seen: items that are left out with exclude_seen; segment: of ListSource and Popularity; user_vector,
        query_vector: for sources that are asked by them; target: shares for method "calibrated"; trace: the answer says how each product
        came about, and audit_id is its name.
        """
        items, scores, sources, traced = self._core.rank(whole_number(k, "k", bits=64), self._request(
            placement, user, history, session, anchors, seen, purchases, filter, given, segment, user_vector, query_vector, target,
            now_ms, exclude_seen, audit_id), bool(trace))
        return Ranked(items, scores, [None if s < 0 else self.sources[s].name for s in sources], traced)

    def explain(self, item, source, k=10, *, user=None, history=None, session=None, anchors=None):
        """(total, int32 items, float32 weights): the request's items that speak for a product, by a source's name.

        item: a catalogue row; user, history, session, anchors: the request, as in rank().
        """
        index = next((i for i, s in enumerate(self.sources) if s.name == source), None)
        if index is None:
            raise ValueError(f"source is {source!r}, must be one of {', '.join(s.name for s in self.sources)}")
        request = self._request("home", user, history, session, anchors, None, None, None, None, "", None, None, None, 0, True, 0)
        return self._core.explain(request, index, whole_number(item, "item"), whole_number(k, "k", bits=64))

    @staticmethod
    def _request(placement, user, history, session, anchors, seen, purchases, filter, given, segment, user_vector, query_vector, target,
                 now_ms, exclude_seen, audit_id):
        def ints(values):
            return None if values is None else np.empty(0, np.int32) if np.size(values) == 0 else values

        for name, text in (("placement", placement), ("segment", segment)):
            if not isinstance(text, str):
                raise TypeError(f"{name} is {text!r:.60}, must be a string")
        return {"placement": placement, "user": user, "history": ints(history), "session": ints(session), "anchors": ints(anchors),
                "seen": ints(seen), "purchases": purchases, "filter": filter, "given": given, "segment": segment,
                "user_vector": user_vector, "query_vector": query_vector, "target": target, "now_ms": whole_number(now_ms, "now_ms", bits=64),
                "exclude_seen": bool(exclude_seen), "audit_id": whole_number(audit_id, "audit_id", bits=64, signed=False)}
