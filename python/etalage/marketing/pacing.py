# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from .. import _core


class BudgetPacer:
    """Decides request by request what to give, so that budgets last for the period and go where they are worth most.

    budgets            a number, or [budgets], of the whole period
    expected_requests  of the whole period
    prices             [budgets] to begin with: ``allocate(...).prices`` of yesterday's requests; None: 0
    profile            shares of spending in equal parts of the period, as ``spending_profile()`` of yesterday gives them; None: even
    step               length of a step of the prices; 0: 1 / sqrt(expected_requests). Larger follows drift faster and pays more for noise

    Dual mirror descent (Balseiro, Lu, Mirrokni 2023). No budget is ever exceeded. Not for several threads at once.
    """

    def __init__(self, budgets, expected_requests, prices=None, profile=None, step=0.0):
        def numbers(values):
            return [] if values is None else np.atleast_1d(np.asarray(values, np.float64)).tolist()

        self._pacer = _core.BudgetPacer(numbers(budgets), float(expected_requests), numbers(prices), numbers(profile), float(step))
        self._budgets = len(numbers(budgets))

    def decide(self, values, costs, progress=None) -> int:
        """The offer to give, or -1; spends and learns. values [offers], costs [offers] or [offers, budgets].

        progress is the part of the period that has passed, in [0, 1]; None counts requests against the expected ones.
        """
        values = np.asarray(values, np.float64)
        costs = np.asarray(costs, np.float64).reshape(-1)
        return self._pacer.decide(values, costs, -1.0 if progress is None else float(progress))

    def replay(self, values, costs):
        """int32 [requests]: decide() for each row of values [requests, offers], costs [requests, offers(, budgets)], in order."""
        values = np.ascontiguousarray(values, np.float64)
        costs = np.ascontiguousarray(costs, np.float64)
        if costs.ndim == 2:
            costs = costs[:, :, None]
        return self._pacer.replay(values, np.ascontiguousarray(costs))

    @property
    def prices(self):
        return self._pacer.prices

    @property
    def spent(self):
        return self._pacer.spent

    @property
    def requests(self) -> int:
        return self._pacer.requests

    def spending_profile(self, parts=96):
        """float64 [parts], share of the spending in each equal part of the period: the next one's profile."""
        return self._pacer.spending_profile(parts)
