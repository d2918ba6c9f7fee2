# SPDX-License-Identifier: Apache-2.0
"""What models have in common that score by the product of two factor rows."""
from __future__ import annotations

from . import _arguments as arg
from ._base import Recommender, extended_ids


class FactorRecommender(Recommender):
    """A row of factors for each user and each item."""

    @property
    def user_factors(self):
        """float32 [num_users x factors], read-only: with item_bias a last column of ones, with the cosine metric unit rows. Stays
        as it is when the model goes on training."""
        return self._fitted().user_factors

    @property
    def item_factors(self):
        """float32 [num_items x factors], read-only: with item_bias a last column that holds it, with the cosine metric unit rows.
        Stays as it is when the model goes on training."""
        return self._fitted().item_factors


class LeastSquares(FactorRecommender):
    """Factors with an objective that can be asked for."""

    def objective(self, data):
        """The objective of the model as it stands on data of its shape."""
        return self._fitted().objective(self._training_data(data, self.recipe))


class Pairwise(FactorRecommender):
    """Factors by stochastic gradient descent over pairs of items."""

    def _take(self, factors, learning_rate, regularization, epochs, num_threads, seed, optimizer, decay, item_bias, init_scale,
              fold_in_epochs, compute_objective, keep_history):
        self.factors, self.learning_rate, self.regularization = factors, learning_rate, regularization
        self.epochs, self.num_threads, self.seed, self.optimizer = epochs, num_threads, seed, optimizer
        self.decay, self.item_bias, self.init_scale, self.fold_in_epochs = decay, item_bias, init_scale, fold_in_epochs
        self.compute_objective, self.keep_history = compute_objective, keep_history
        self._validate()


def change_rows(model, side, index, rows, keys):
    """partial_fit of these rows of "user" or "item"."""
    at, _ = arg.indices(index, f"{side}_index")
    return model._change(lambda core: getattr(core, f"partial_fit_{side}s")(at, rows, extended_ids(
        getattr(core, f"{side}_ids"), at, keys, getattr(core, f"num_{side}s"), f"{side}_ids")))


def add_rows(model, side, features, keys):
    """New rows of "user" or "item" behind the last, from their features."""
    rows = arg.rows(features, f"{side}_features")

    def add(core):
        known = getattr(core, f"num_{side}s")
        return getattr(core, f"add_{side}s")(
            rows, extended_ids(getattr(core, f"{side}_ids"), range(known, known + rows.shape[0]), keys, known, f"{side}_ids"))

    return model._change(add)
