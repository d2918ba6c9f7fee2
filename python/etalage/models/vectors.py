# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from .. import _core
from .._arrays import asarray
from ..retrieval import ItemIndex
from . import _arguments as arg
from ._factors import FactorRecommender, change_rows


class Vectors(FactorRecommender):
    """Serves the user and item vectors of any outside model: a two-tower network, text embeddings, another library.

    user_vectors, item_vectors   float32 [n_users x dim] and [n_items x dim], finite; user_vectors may be None
    user_items       rows to keep, for seen items
    user_ids, item_ids   the shop's keys
    metric           "dot" or "cosine"
    num_threads      of batch calls; 0 means all CPUs this process may use
    index            None, "exact", "hnsw" or "ivf_pq": recommend through an index over the item vectors
    index_options    its options as a dict, those of retrieval.ItemIndex

    Without arrays the model is fitted later by fit(user_vectors, item_vectors). People known by their items alone are the
    mean of these items' vectors; who brings nothing at all gets the ranking of the average user.
    """

    _kind = "Vectors"
    _core_class = _core.VectorsModel

    def __init__(self, user_vectors=None, item_vectors=None, *, metric="dot", num_threads=0, user_items=None, user_ids=None,
                 item_ids=None, index=None, index_options=None):
        self.metric, self.num_threads, self.index, self.index_options = metric, num_threads, index, index_options
        self._validate()
        if item_vectors is not None:
            self.fit(user_vectors, item_vectors, user_items=user_items, user_ids=user_ids, item_ids=item_ids)
        elif user_vectors is not None:
            raise ValueError("item_vectors is None, must be given with user_vectors")

    @classmethod
    def _parameter_names(cls):
        return ["metric", "num_threads", "index", "index_options"]

    def _options(self):
        return {"metric": self.metric}

    def _validate(self):
        _core.VectorsModel.check_options(self._options())
        threads = arg.integer(self.num_threads, "num_threads")
        if self.index is not None:
            # The vectors may come later, so any number of dimensions that pq_m divides will do; build_index() knows theirs.
            options = dict(self.index_options or {})
            parts = options.get("pq_m", 0)
            ItemIndex(parts if isinstance(parts, int) and 0 < parts <= 1 << 20 else 1, "dot", self.index, **options)
        elif self.index_options:
            raise ValueError(f"index_options is {self.index_options!r} without an index, must be None")
        if threads < 0:
            raise ValueError(f"num_threads is {threads}, must be >= 0 (0 means all CPUs)")

    def fit(self, user_vectors, item_vectors, *, user_items=None, user_ids=None, item_ids=None):
        """Takes the vectors; returns self."""
        if user_vectors is None:
            items = asarray(item_vectors, "item_vectors")
            user_vectors = np.empty((0, items.shape[1] if items.ndim == 2 else 1), np.float32)
        model = self._core_class(user_vectors, item_vectors, self._options())
        users, catalogue = (None if keys is None else _core.IdMap(keys) for keys in (user_ids, item_ids))
        if hasattr(user_items, "user_id_map"):
            users = users or user_items.user_id_map
            catalogue = catalogue or user_items.item_id_map
        model.set_ids(users, catalogue)
        if user_items is not None:
            model.set_history(arg.rows(user_items))
        self._model = model
        return self._with_index()

    def _with_index(self):
        return self if self.index is None else self.build_index(self.index, **(self.index_options or {}))

    def build_index(self, kind="hnsw", **options):
        super().build_index(kind, **options)
        self.index, self.index_options = kind, options or None
        return self

    def drop_index(self):
        super().drop_index()
        self.index = self.index_options = None
        return self

    @classmethod
    def _from_core(cls, model):
        self = super()._from_core(model)
        if model.index is not None:
            given = dict(model.index)
            self.index = given.pop("kind")
            defaults = _core.ItemIndex(1, {"metric": "dot", "kind": self.index}).options()
            self.index_options = {name: v for name, v in given.items() if v != defaults[name]} or None
        return self

    @property
    def report(self):
        """None: nothing is trained."""
        self._fitted()

    def recommend_vectors(self, vectors, k=10, filter_items=None, items=None):
        """The best k items for vectors of the caller's: one (dim,) gives (k,), (n, dim) gives (n, k)."""
        model = self._fitted()
        k = arg.count(k)
        given = asarray(vectors, "vectors")
        one = given.ndim == 1
        out = model.recommend_vectors(given.reshape(1, -1) if one else given, k, arg.lists(items, "items"),
                                      arg.lists(filter_items, "filter_items"), self._threads())
        return arg.own(out) if one else out

    def explain(self, user_index, user_items, item_index, k=10):
        self._no("explain")

    def partial_fit_users(self, user_index, user_vectors, user_ids=None):
        """These vectors, one for each index, replace or extend the model's; new users need keys where it has keys."""
        return change_rows(self, "user", user_index, np.atleast_2d(asarray(user_vectors, "user_vectors")), user_ids)

    def partial_fit_items(self, item_index, item_vectors, item_ids=None):
        """The same for items."""
        change_rows(self, "item", item_index, np.atleast_2d(asarray(item_vectors, "item_vectors")), item_ids)
        return self._with_index()
