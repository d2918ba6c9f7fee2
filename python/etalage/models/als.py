# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from . import _arguments as arg
from ._factors import LeastSquares, change_rows


class ALS(LeastSquares):
    """Matrix factorisation for implicit feedback by alternating least squares (Hu, Koren, Volinsky; Rendle et al.).

    factors            latent dimension, 1 to 4096
    regularization     L2 weight of every factor row, >= 0; scaled by row counts to the power nu
    alpha              confidence slope, c = 1 + alpha |r|, >= 0
    iterations         sweeps over users and items, >= 0
    num_threads        0 means all CPUs this process may use
    seed               of the random start; equal seeds give equal bits for any number of threads
    unobserved_weight  weight of every cell that was not observed, > 0; 1 is Hu, Koren and Volinsky's
    nu                 exponent of the frequency scaling of regularization, 0 to 2
    solver             "cg" (fast), "cholesky" (exact), "subspace" (iALS++): the same objective
    cg_steps           steps a row and sweep of "cg", >= 1; one more where users and items together are fewer than 128 a factor
    block_size         factors solved at a time by "subspace", >= 1
    init_scale         standard deviation of the start, times sqrt(factors), > 0
    compute_objective  put the objective after every sweep into the report
    tolerance          stop once a sweep lowers the objective by less than this share, >= 0; 0 never
    warm_start         fit() goes on from the factors at hand
    keep_history       keep the rows of Interactions and logs in the model

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became. Where alpha is
    given and unobserved_weight is not, the latter keeps its proportion to it.

    Negative weights are dislikes. People unknown to the model are folded in; who brings nothing at all, a known user
    without training rows too, gets the ranking of the average user.
    """

    _kind = "ALS"
    _core_class = _core.AlsModel

    def __init__(self, factors="auto", regularization="auto", alpha="auto", iterations="auto", num_threads=0, seed=42, *,
                 unobserved_weight="auto", nu="auto", solver="cg", cg_steps=2, block_size=32, init_scale=0.1,
                 compute_objective=True, tolerance=0.0, warm_start=False, keep_history=True):
        self.factors, self.regularization, self.alpha, self.iterations = factors, regularization, alpha, iterations
        self.num_threads, self.seed, self.unobserved_weight, self.nu = num_threads, seed, unobserved_weight, nu
        self.solver, self.cg_steps, self.block_size, self.init_scale = solver, cg_steps, block_size, init_scale
        self.compute_objective, self.tolerance, self.warm_start = compute_objective, tolerance, warm_start
        self.keep_history = keep_history
        self._validate()

    def _fit(self, model, data, callback):
        model.fit(data, callback, self._model if self.warm_start else None)

    def _options(self):
        options = self.get_params()
        warm_start = options.pop("warm_start")
        if not isinstance(warm_start, bool):
            raise TypeError(f"warm_start is {arg.describe(warm_start)}, must be True or False")
        return options

    def partial_fit_users(self, user_index, user_items, user_ids=None):
        """Solves these users anew against the item factors, and stores them with their rows where rows are kept.

        One CSR row for each index. Indices beyond the model's users make it grow; a model with keys then needs user_ids,
        one key for each index.
        """
        return change_rows(self, "user", user_index, arg.rows(user_items), user_ids)

    def partial_fit_items(self, item_index, item_users, item_ids=None):
        """The same for items: one CSR row over users for each index."""
        return change_rows(self, "item", item_index, arg.rows(item_users, "item_users"), item_ids)
