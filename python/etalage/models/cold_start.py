# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import numpy as np

from .. import _core
from .._arrays import asarray
from .._catalogs import as_catalog
from . import _arguments as arg
from .vectors import Vectors


class ColdStart:
    """Factors for products or people that nobody has touched yet, from their attributes.

    model           a fitted model with factors (ALS, Vectors, ...)
    features        of the model's items: an etalage.Catalog (categories, brands, tags, words of name and text, price, vectors;
                    matched by key), or a CSR or dense matrix with a row for each item of the model
    side            "items", or "users": features is then a matrix with a row for each user
    attributes      with a Catalog, weights of its kinds: {"text": 1, "price": 0, ...}, min_count, max_words
    power, regularization, support_power, target_power, evenness    of the regression; None has them chosen on known items
                    left out for it, where the model keeps its rows
    max_rows        different rows of attributes that are learned from, those of most support

    Kernel ridge regression on the cosine of attributes; docs/cold_start.md has the formula and what it gains.
    """

    _DEFAULTS = {"power": 2, "regularization": 0.3, "support_power": 0.5, "target_power": 0.0, "evenness": 0.0}

    def __init__(self, model, features, *, side="items", attributes=None, power=None, regularization=None, support_power=None,
                 target_power=None, evenness=None, max_rows=4096, num_threads=0):
        if side not in ("items", "users"):
            raise ValueError(f"side is {side!r}, must be 'items' or 'users'")
        core = model._fitted()
        if not isinstance(core, _core.FactorModel):
            raise TypeError(f"model is a {type(model).__name__}, must be one with factors")
        given = {"power": power, "regularization": regularization, "support_power": support_power, "target_power": target_power,
                 "evenness": evenness}
        options = {**self._DEFAULTS, **{n: v for n, v in given.items() if v is not None}, "max_rows": max_rows, "num_threads": num_threads}
        choose = all(v is None for v in given.values())
        if hasattr(features, "to_catalog"):
            features = as_catalog(features, "features")
        self.side = side
        self._model = core
        if isinstance(features, _core.Catalog):
            if side == "users":
                raise TypeError("features is a Catalog, must be a matrix with side='users'")
            self._core = _core.ColdStartItems(core, features, dict(attributes or {}), options, choose)
            return
        if attributes is not None:
            raise ValueError("attributes is given, must be None unless features is a Catalog")
        rows = arg.rows(features, "features")
        factors, others = np.asarray(model.item_factors), np.asarray(model.user_factors)
        history = core.history
        if side == "users":
            factors, others = others, factors
            history = None if history is None else history.T.tocsr()
        if rows.shape[0] != len(factors):
            raise ValueError(f"features has {rows.shape[0]} rows, must have one for each of the {len(factors)} {side}")
        touched = (factors != 0).any(axis=1)
        support = touched.astype(np.float32)
        if history is not None:
            counts = np.bincount(history.indices, minlength=len(factors)).astype(np.float32)
            support = np.where(touched, np.maximum(counts, 1), 0).astype(np.float32)
            if choose:
                options = _core.ColdStart.chosen(rows, factors, support, others, history, options)
        self._core = _core.ColdStart(options)
        self._core.fit(rows, factors, support)

    def __getstate__(self):
        return {"side": self.side, "kind": type(self._core).__name__, "learned": self._core.to_bytes(), "model": _core.save_to_memory(self._model)}

    def __setstate__(self, state):
        self.side = state["side"]
        self._core = getattr(_core, state["kind"]).from_bytes(state["learned"])
        self._model = _core.load_from_memory(state["model"])

    @property
    def options(self):
        """power, regularization and the others, as chosen or given."""
        return self._core.options

    def factors(self, features):
        """float32 (n, factors) for the products of a Catalog, or for the rows of a matrix, whichever was learned from."""
        if isinstance(self._core, _core.ColdStartItems):
            if features is None:
                raise TypeError("features is None, must be a Catalog like the one learned from")
            return self._core.predict(as_catalog(features, "features"))
        return self._core.predict(arg.rows(features, "features"))

    def extended(self, catalog):
        """A Vectors model of the model's users and items with the new products of a Catalog behind them. Factors of items
        that somebody touched stay, all others are predicted; keys and kept rows stay."""
        if not isinstance(self._core, _core.ColdStartItems):
            raise TypeError("this ColdStart learned from a matrix, must have learned from a Catalog; use factors()")
        return Vectors._from_core(self._core.extended(self._model, as_catalog(catalog)))

    def recommend_new(self, features, k=10, session_items=None, strength=5.0, filter_items=None, items=None):
        """The best k items for new people by their attributes, and by what they did already: (items, scores), (n, k).

        session_items: one list a row of features. Somebody with m items is m / (m + strength) of their fold-in and the
        rest of their attributes' factors. Needs side="users".
        """
        if self.side != "users":
            raise ValueError("side is 'items', must be 'users' to recommend to new people")
        vectors = self.factors(features)
        seen = None
        if session_items is not None:
            if len(session_items) != len(vectors):
                raise ValueError(f"session_items has {len(session_items)} lists, must have one for each of the {len(vectors)} rows of features")
            for row, session in enumerate(session_items):
                m = len(session)
                if m:
                    own = _core.session_factor(self._model, session)
                    vectors[row] = (m * own + strength * vectors[row]) / (m + strength)
            seen = [list(s) for s in session_items]
        if filter_items is not None and seen is not None:
            blocked = list(asarray(filter_items, "filter_items").ravel())
            seen = [[*s, *blocked] for s in seen]
        deny = filter_items if seen is None else seen
        return self._model.recommend_vectors(vectors, arg.count(k), arg.lists(items, "items"), arg.lists(deny, "filter_items"), 0)

    def save(self, path):
        """Writes what was learned from a Catalog; etalage.models.ColdStart.load and the C++ library read it."""
        if not isinstance(self._core, _core.ColdStartItems):
            raise TypeError("this ColdStart learned from a matrix, must have learned from a Catalog to be saved")
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path, model, verify="full"):
        """Opens what save() wrote, for the model that it belongs to."""
        self = cls.__new__(cls)
        self.side = "items"
        self._model = model._fitted()
        self._core = _core.ColdStartItems.load(os.fspath(path), verify)
        return self


class ExplorationSlot:
    """One place in some lists for products that nobody knows yet, so that they get known.

    policy          "thompson": each candidate draws from what is known of its click rate, the highest gets the place;
                    "uniform": any
    share           of requests that get a slot; position: its place in the list, 0 is the first
    prior_clicks, prior_shown       what a product never shown is taken for
    """

    def __init__(self, policy="thompson", share=0.2, position=4, prior_clicks=1.0, prior_shown=20.0, seed=42):
        self._core = _core.ExplorationSlot({"policy": policy, "share": share, "position": position, "prior_clicks": prior_clicks,
                                            "prior_shown": prior_shown, "seed": seed})

    def place(self, items, scores, candidates, request):
        """(items, scores, place): the list with one candidate in it, or as it was and None. request: a number of the
        request; equal numbers draw alike.
        items, scores: the list, best first; candidates: items that may take the place.
        """
        return self._core.place(items, scores, candidates, request)

    def shown(self, item):
        """Counts that the item was shown."""
        self._core.shown(item)

    def clicked(self, item):
        """Counts a click on the item."""
        self._core.clicked(item)

    def rate(self, item):
        """Expected click rate.

        item: its number.
        """
        return self._core.rate(item)
