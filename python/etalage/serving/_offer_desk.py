# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import numpy as np

from .. import _core
from .._arrays import asarray, reals
from ..marketing.pacing import _budget_units, _units


class OfferDesk:
    """Gives offers request by request: at the prices that the snapshot in use has for a plan, paid from a ledger on disk.

    engine   whose snapshot says the prices: Snapshot(offer_prices={plan: allocate(...)}); publish() changes them for the next request
    plan     the name of the prices
    folder   of the ledger, as of marketing.SpendLedger; made when it is not there. One process at a time
    budgets  a whole number, or [budgets], in units of your choice (cents) that costs and the allocation's budgets are in too
    block    reserved on disk at a time; None: a thousandth of each budget

    A request costs O(offers x budgets). Budgets hold over all lives of the desk, also after a kill at any moment. decide() may be called from any
    number of threads. close(), or leaving a with block, gives back what was reserved and not spent.
    """

    def __init__(self, engine, plan, folder, budgets, block=None):
        from ._engine import Engine

        if not isinstance(engine, Engine):
            raise TypeError(f"engine is a {type(engine).__name__}, must be an Engine")
        if not isinstance(plan, str):
            raise TypeError(f"plan is {plan!r}, must be the name of prices in the snapshot")
        numbers = _budget_units(budgets)
        self._budgets = len(numbers)
        self._desk = _core.OfferDesk(engine._core, plan, os.fspath(folder), numbers, 0 if block is None else _units(block, "block"))

    def decide(self, values, costs) -> int:
        """The offer given, paid for, or -1: none is worth its price, or none that is can be paid for any more.

        values [offers]; costs [offers], or [offers, budgets], whole numbers of units, >= 0. RuntimeError where the snapshot has no prices under the
        plan's name.
        """
        values, costs = np.ascontiguousarray(reals(values, "values")), asarray(costs, "costs")
        if costs.dtype.kind not in "iu":
            raise TypeError(f"costs is an array of {costs.dtype}, must hold whole numbers of units")
        if costs.dtype == np.uint64 and (costs > np.uint64(2**63 - 1)).any():
            raise ValueError("costs holds a number beyond 64 bits with a sign")
        if values.ndim != 1:
            raise ValueError(f"values has shape {values.shape}, must be [offers]")
        if costs.shape == values.shape and self._budgets == 1:
            costs = costs[:, None]
        if costs.shape != (len(values), self._budgets):
            raise ValueError(f"costs has shape {costs.shape}, must be ({len(values)}, {self._budgets})")
        return self._desk.decide(values, np.ascontiguousarray(costs, np.int64))

    @property
    def spent(self) -> list[int]:
        """Units of each budget that were spent, over all lives; after a crash with what was lost."""
        return self._desk.spent

    @property
    def reserved(self) -> list[int]:
        """Units of each budget reserved on disk: what a crash now would count as spent."""
        return self._desk.reserved

    def close(self):
        """Gives back what was reserved and not spent, and closes the ledger."""
        self._desk.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
