# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from . import _arguments as arg
from ._factors import LeastSquares, add_rows


class FeatureALS(LeastSquares):
    """ALS with side features: factor rows are pulled towards what their features say instead of towards zero, so that a
    product nobody has bought yet, or a shopper of whom only features are known, has a row as well.

    feature_regularization   L2 weight on the weights of the features, > 0
    All other parameters are those of ALS.

    Users and items without any observation get the row that their features say.
    """

    _kind = "FeatureALS"
    _core_class = _core.FeatureAlsModel
    _given = (None, None)

    def __init__(self, factors=64, regularization=0.01, alpha=1.0, iterations=15, num_threads=0, seed=42, *,
                 feature_regularization=1.0, unobserved_weight=1.0, nu=0.0, solver="cg", cg_steps=2, block_size=32,
                 init_scale=0.1, compute_objective=True, keep_history=True):
        self.factors, self.regularization, self.alpha, self.iterations = factors, regularization, alpha, iterations
        self.num_threads, self.seed, self.feature_regularization = num_threads, seed, feature_regularization
        self.unobserved_weight, self.nu, self.solver, self.cg_steps = unobserved_weight, nu, solver, cg_steps
        self.block_size, self.init_scale, self.compute_objective = block_size, init_scale, compute_objective
        self.keep_history = keep_history
        self._validate()

    def fit(self, data, show_progress=False, callback=None, *, user_features=None, item_features=None, keep_history=None,
            recipe=None):
        """Fits on Interactions, an EventLog or a users x items CSR matrix; returns self.

        data, show_progress, callback, keep_history, recipe   as in every fit()
        user_features, item_features   sparse or dense matrices with a row for each user, each item, in index order
        """
        self._given = (arg.rows(user_features, "user_features"), arg.rows(item_features, "item_features"))
        try:
            return super().fit(data, show_progress, callback, keep_history=keep_history, recipe=recipe)
        finally:
            del self._given

    def _fit(self, model, data, callback):
        model.fit(data, *self._given, callback)

    @property
    def user_feature_factors(self):
        """float32 [user features x factors], read-only: what each feature adds to a row."""
        return self._fitted().user_feature_factors

    @property
    def item_feature_factors(self):
        """float32 [item features x factors], read-only: what each feature adds to a row."""
        return self._fitted().item_feature_factors

    def user_rows(self, user_features):
        """The rows of users of whom only features are known, float32 [n x factors].

        user_features: sparse or dense [n x features].
        """
        return self._fitted().user_rows(arg.rows(user_features, "user_features"))

    def item_rows(self, item_features):
        """The rows of items of which only features are known, float32 [n x factors].

        item_features: sparse or dense [n x features].
        """
        return self._fitted().item_rows(arg.rows(item_features, "item_features"))

    def add_users(self, user_features, user_ids=None):
        """New users behind the last, from their features alone; a model with keys needs one for each. Returns self.

        user_features: rows of the new ones, sparse or dense; user_ids: their keys.
        """
        return add_rows(self, "user", user_features, user_ids)

    def add_items(self, item_features, item_ids=None):
        """New items behind the last, from their features alone; a model with keys needs one for each. Returns self.

        item_features: rows of the new ones, sparse or dense; item_ids: their keys.
        """
        return add_rows(self, "item", item_features, item_ids)
