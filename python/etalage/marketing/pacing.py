# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import operator
import os

import numpy as np

from .. import _core
from .._arrays import real_number, reals, whole_number


class OfferPrices:
    """What an allocation found out about scarcity, for shoppers who were not in it: published beside a snapshot, it decides a request in
    O(offers x budgets), without memory of what was spent (BudgetPacer has one). Any number of threads may share it; pickles.

    prices, offer_prices   of an Allocation: OfferPrices.of(plan), or the numbers themselves
    """

    def __init__(self, prices, offer_prices=None):
        self.prices = np.atleast_1d(reals(prices, "prices")).copy()
        self.offer_prices = None if offer_prices is None else np.atleast_1d(reals(offer_prices, "offer_prices")).copy()
        for name, array in (("prices", self.prices), ("offer_prices", self.offer_prices)):
            if array is not None and array.ndim != 1:
                raise ValueError(f"{name} has shape {array.shape}, must have 1 dimension")
        self._core = _core.OfferPrices(self.prices.tolist(), [] if self.offer_prices is None else self.offer_prices.tolist())

    @classmethod
    def of(cls, allocation):
        """The prices of what allocate() gave."""
        return cls(allocation.prices, allocation.offer_prices)

    def choose(self, values, costs):
        """The offer of the highest value less prices x costs, -1 where none is above 0: an int for values [offers], costs [offers(, budgets)];
        int32 [requests] for values [requests, offers], costs [requests, offers(, budgets)]."""
        values, costs = reals(values, "values"), reals(costs, "costs")
        one = values.ndim == 1
        values, costs = (values[None], costs[None]) if one else (values, costs)
        if costs.ndim == 2 and len(self.prices) == 1:
            costs = costs[:, :, None]
        if values.ndim != 2 or costs.shape != (*values.shape, len(self.prices)):
            raise ValueError(f"values has shape {values.shape[one:]} and costs {costs.shape[one:]}, must be [offers] and [offers, {len(self.prices)}], or of "
                             "several requests")
        found = self._core.choose(np.ascontiguousarray(values), np.ascontiguousarray(costs))
        return int(found[0]) if one else found

    def __reduce__(self):
        return type(self), (self.prices, self.offer_prices)


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
        def numbers(values, name):
            if values is None:
                return []
            out = np.atleast_1d(reals(values, name))
            if out.ndim != 1:
                raise ValueError(f"{name} has shape {out.shape}, must be a number or have 1 dimension")
            return out.tolist()

        one = [reals(value, name) for value, name in ((expected_requests, "expected_requests"), (step, "step"))]
        if any(value.ndim for value in one):
            raise TypeError(f"expected_requests is {expected_requests!r} and step {step!r}, must be numbers")
        self._budgets = len(numbers(budgets, "budgets"))
        self._pacer = _core.BudgetPacer(numbers(budgets, "budgets"), float(one[0]), numbers(prices, "prices"), numbers(profile, "profile"), float(one[1]))

    def decide(self, values, costs, progress=None) -> int:
        """The offer to give, or -1; spends and learns. values [offers], costs [offers] or [offers, budgets].

        progress is the part of the period that has passed, in [0, 1]; None counts requests against the expected ones.
        """
        values, costs = reals(values, "values"), reals(costs, "costs")
        if values.ndim != 1:
            raise ValueError(f"values has shape {values.shape}, must be [offers]")
        allowed = [(len(values), self._budgets)] + [values.shape] * (self._budgets == 1)
        if costs.shape not in allowed:
            raise ValueError(f"costs has shape {costs.shape}, must be {' or '.join(map(str, allowed))}")
        if progress is not None and not 0 <= real_number(progress, "progress") <= 1:
            raise ValueError(f"progress is {progress}, must be in [0, 1], or None to count requests")
        return self._pacer.decide(values, costs.reshape(-1), -1.0 if progress is None else float(progress))

    def replay(self, values, costs):
        """int32 [requests]: decide() for each row of values [requests, offers], costs [requests, offers(, budgets)], in order."""
        values, costs = np.ascontiguousarray(reals(values, "values")), reals(costs, "costs")
        if costs.ndim == 2:
            costs = costs[:, :, None]
        return self._pacer.replay(values, np.ascontiguousarray(costs))

    @property
    def prices(self):
        """float64 [budgets]: what a unit of each budget costs at the moment, in units of value.

        float64 [budgets]: what a unit of each budget costs at the moment, in units of value.
        """
        return self._pacer.prices

    @property
    def spent(self):
        """float64 [budgets]: spent so far.

        float64 [budgets]: spent so far.
        """
        return self._pacer.spent

    @property
    def requests(self) -> int:
        """Requests decided so far.

        Requests decided so far.
        """
        return self._pacer.requests

    def spending_profile(self, parts=96):
        """float64 [parts], share of the spending in each equal part of the period: the next one's profile."""
        return self._pacer.spending_profile(whole_number(parts, "parts", low=1))


def _units(value, name):
    """A whole number that 63 bits hold."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__") or np.ma.is_masked(value):
        raise TypeError(f"{name} is {value!r}, must be a whole number of units")
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{name} is {number}, must fit in 64 bits")
    return number


def _budget_units(budgets):
    """Whole numbers, one a budget: of a number, or of one for each."""
    return [_units(b, "budgets") for b in (budgets if isinstance(budgets, (list, tuple, np.ndarray)) and np.ndim(budgets) else [budgets])]


class SpendLedger:
    """Spending that survives a crash: budgets are reserved in blocks on disk before they are used, and used from memory.

    folder   where the ledger lies; made when it is not there. One process at a time
    budgets  a whole number, or [budgets], in units of your choice (cents): the whole of each, over all lives of the ledger
    block    reserved at a time; None: a thousandth of each budget

    What spend() allowed never exceeds a budget, also after a kill at any moment; then what was reserved and not yet spent is lost, at most a
    block a budget. close(), or leaving a with block, gives it back. spend() may be called from any number of threads.
    """

    def __init__(self, folder, budgets, block=None):
        self._ledger = _core.SpendLedger(os.fspath(folder), _budget_units(budgets), 0 if block is None else _units(block, "block"))

    def spend(self, *amounts) -> bool:
        """All of the amounts, one for each budget, or nothing: False when a budget does not have its amount any more."""
        return self._ledger.spend([_units(a, "amounts") for a in amounts])

    @property
    def spent(self) -> list[int]:
        """Units of each budget that were spent, over all lives; after a crash with what was lost."""
        return self._ledger.spent

    @property
    def reserved(self) -> list[int]:
        """Units of each budget reserved on disk: what a crash now would count as spent."""
        return self._ledger.reserved

    def close(self):
        """Closes the file; what was written stays.

        Closes the file; what was written stays.
        """
        self._ledger.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
