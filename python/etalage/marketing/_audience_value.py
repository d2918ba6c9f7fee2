# SPDX-License-Identifier: Apache-2.0
"""Scores of an audience by a model of lifetimes, and the stages of a customer's life."""

from __future__ import annotations

import numpy as np

from .._arrays import real_number
from ..models._arguments import describe
from . import lifetime

BY = ("value", "purchases", "alive", "leaving")
STAGES = ("new", "active", "at risk", "lapsed")


def scores_by(model, by, customers, t, money_model):
    """(keys, float64 scores) of all customers."""
    if not isinstance(model, lifetime._PurchaseModel):
        raise TypeError(f"model is {describe(model)}, must be a fitted BGNBD, MBGNBD, ParetoNBD or MBGCNBD with by {by!r}")
    if not isinstance(customers, lifetime.Summaries):
        raise TypeError(f"customers is {describe(customers)}, must be the Summaries of those to choose from with by {by!r}")
    if by != "alive" and t is None:
        raise ValueError(f"t is None with by {by!r}, must be how far to look, in {customers.unit}")
    t = None if by == "alive" else real_number(t, "t")
    if by == "value":
        if money_model is None:
            raise ValueError("money_model is None with by 'value', must be a fitted GammaGamma")
        return customers.customer, np.asarray(lifetime.customer_value(model, money_model, t, customers))
    alive = model.p_alive(customers.frequency, customers.recency, customers.T)
    if by == "alive":
        return customers.customer, alive
    expected = model.expected_purchases(t, customers.frequency, customers.recency, customers.T)
    if by == "purchases":
        return customers.customer, expected
    # What is lost if they have left: purchases of an active customer of this history, less those expected.
    with np.errstate(divide="ignore", invalid="ignore"):
        return customers.customer, np.where(alive > 0, expected / alive - expected, 0.0)


def lifecycle(model, customers, *, at_risk: float = 0.7, lapsed: float = 0.3, new: float = 4.0) -> np.ndarray:
    """Stage of each customer, [n] of "new", "active", "at risk", "lapsed", by P(alive) of a fitted purchase model. customers: lifetime.Summaries.

    lapsed: P(alive) below it; at_risk: below it; new: no repeat purchase yet, and the first no longer ago than `new` (in the summaries' unit); active: the
    others. Profiles.lifecycle judges by gaps alone and needs no fit; this knows each customer's own rate. Churn is 1 - p_alive.
    """
    if not isinstance(model, lifetime._PurchaseModel) or not isinstance(customers, lifetime.Summaries):
        raise TypeError(f"model is {describe(model)} and customers {describe(customers)}, must be a fitted purchase model and Summaries")
    at_risk, lapsed, new = real_number(at_risk, "at_risk"), real_number(lapsed, "lapsed"), real_number(new, "new")
    if not 0 <= lapsed <= at_risk <= 1:
        raise ValueError(f"lapsed is {lapsed} and at_risk {at_risk}, must be 0 <= lapsed <= at_risk <= 1")
    alive = model.p_alive(customers.frequency, customers.recency, customers.T)
    out = np.full(len(customers), "active", dtype=object)
    out[alive < at_risk] = "at risk"
    out[alive < lapsed] = "lapsed"
    out[(customers.frequency == 0) & (customers.T <= new)] = "new"
    return out
