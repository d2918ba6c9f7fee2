# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core
from .._arrays import asarray, real_number, reals, whole_number


@dataclass(frozen=True)
class Allocation:
    """A feasible allocation with its certificate.

    choice        int32 [shoppers], -1 for none; with per_shopper above 1 a SciPy CSR [shoppers, offers] of ones
    value         what was given is worth
    bound         no feasible allocation, not even a fractional one, is worth more
    gap           (bound - value) / max(|bound|, |value|)
    prices        [budgets], worth of one more unit of each budget
    offer_prices  [offers], above 0 where a maximum binds, below 0 where a minimum does
    spent         [budgets]; given [offers], how often each offer was given
    """

    choice: object
    value: float
    bound: float
    gap: float
    prices: np.ndarray
    offer_prices: np.ndarray
    spent: np.ndarray
    given: np.ndarray

    def __repr__(self):
        return f"Allocation(value={self.value:.6g}, bound={self.bound:.6g}, gap={self.gap:.2g}, given={int(self.given.sum())})"


def _groups(exclusive, offers):
    """Group of each offer, -1 for none."""
    out = np.full(offers, -1, np.int32)
    listed = (list, tuple, set, frozenset, np.ndarray)
    if not isinstance(exclusive, listed) or not all(isinstance(group, listed) for group in exclusive):
        raise TypeError(f"exclusive is {exclusive!r:.100}, must be lists of offers")
    for number, group in enumerate(exclusive):
        for offer in group:
            if isinstance(offer, (bool, np.bool_)) or not hasattr(offer, "__index__"):
                raise TypeError(f"exclusive holds offer {offer!r}, must hold integers")
            if not 0 <= int(offer) < offers:
                raise ValueError(f"exclusive holds offer {offer}, must be in [0, {offers})")
            if out[int(offer)] >= 0:
                raise ValueError(f"exclusive holds offer {offer} twice, must hold each offer at most once")
            out[int(offer)] = number
    return out


def _counts(values, name, offers):
    if values is None:
        return np.empty(0, np.int64)
    out = reals(values, name)
    if out.ndim == 0:
        out = np.full(offers, out)
    # Beyond any number of shoppers all are alike: inf is no limit.
    out = np.where(out > 2.0**62, 2.0**62, out)
    if not (np.isfinite(out) & (out == np.floor(out))).all():
        raise ValueError(f"{name} must hold whole numbers, and holds {out[~(np.isfinite(out) & (out == np.floor(out)))].flat[0]}")
    if out.shape != (offers,):
        raise ValueError(f"{name} has shape {out.shape}, must be ({offers},): one for each offer")
    return out.astype(np.int64)


def allocate(values, costs, budgets, per_shopper=1, eligible=None, offer_min=None, offer_max=None, exclusive=None, *, target_gap=1e-4,
             max_steps=400, full_steps=12, sample=20_000, num_threads=0) -> Allocation:
    """Chooses offers for shoppers under budgets, with a bound on what any choice could be worth.

    values       [shoppers, offers], worth of giving the offer (expected profit, uplift); negative ones are never given unless a minimum asks
    costs        [shoppers, offers] of the one budget, or [shoppers, offers, budgets], >= 0; where all shoppers cost alike [offers] of the
                 one budget, or [offers, budgets] of several
    budgets      a number, or [budgets], >= 0
    per_shopper  how many different offers a shopper gets at most
    eligible     [shoppers, offers] bool, False: never; or a function of (shopper, offer) index arrays that gives it
    offer_min, offer_max   [offers] or one number: how often an offer is given at least and at most
    exclusive    lists of offers, disjoint: a shopper gets at most one of each list
    target_gap   where the search for prices ends: gap of bound and value. max_steps, full_steps: steps on a sample, and on all
    sample       shoppers of the sample

    Lagrangian relaxation; its dual is minimised by a proximal bundle method on a sample of shoppers and then on all, and the choices at
    those prices are repaired by the exchanges that lose least. The bits do not depend on num_threads.

    ValueError names the argument, the value and the rule; for minima that clash with eligibility or budgets it names them.
    """
    values = np.ascontiguousarray(reals(values, "values"))
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}, must be [shoppers, offers]")
    shoppers, offers = values.shape
    budgets = np.atleast_1d(reals(budgets, "budgets"))
    if budgets.ndim != 1:
        raise ValueError(f"budgets has shape {budgets.shape}, must be a number or [budgets]")
    costs = reals(costs, "costs")
    if isinstance(per_shopper, (bool, np.bool_)) or not hasattr(per_shopper, "__index__"):
        raise TypeError(f"per_shopper is {per_shopper!r}, must be an integer")
    per_shopper = min(whole_number(per_shopper, "per_shopper", bits=64), 2**31 - 1)
    if costs.shape == (offers,) and len(budgets) == 1:
        costs = np.broadcast_to(costs[:, None], (shoppers, offers, 1))
    elif costs.shape == (offers, len(budgets)) and len(budgets) > 1:
        costs = np.broadcast_to(costs, (shoppers, offers, len(budgets)))
    elif costs.shape == (shoppers, offers) and len(budgets) == 1:
        costs = costs[:, :, None]
    if costs.shape != (shoppers, offers, len(budgets)):
        raise ValueError(f"costs has shape {costs.shape}, must be ({shoppers}, {offers}, {len(budgets)}), or ({shoppers}, {offers}) with one budget; "
                         f"({offers}, {len(budgets)}), or ({offers},) with one budget, where all shoppers cost alike")
    if callable(eligible):
        rows, columns = np.divmod(np.arange(shoppers * offers), offers)
        found = asarray(eligible(rows, columns), "what eligible gives")
        if found.shape != rows.shape:
            raise ValueError(f"what eligible gives has shape {found.shape}, must be {rows.shape}: one for each pair")
        eligible = found.reshape(shoppers, offers)
    if eligible is None:
        eligible = np.empty((0, 0), np.uint8)
    else:
        eligible = asarray(eligible.toarray() if hasattr(eligible, "toarray") else eligible, "eligible")
        if eligible.shape != (shoppers, offers):
            raise ValueError(f"eligible has shape {eligible.shape}, must be ({shoppers}, {offers})")
        if eligible.dtype.kind != "b":
            eligible = reals(eligible, "eligible")
            if np.isnan(eligible).any():
                raise ValueError("eligible holds NaN, must hold True or False")
            eligible = eligible != 0
        eligible = np.ascontiguousarray(eligible).astype(np.uint8)
    groups = np.empty(0, np.int32) if exclusive is None else _groups(exclusive, offers)
    found = _core.allocate(values, np.ascontiguousarray(costs), budgets, per_shopper, eligible, _counts(offer_min, "offer_min", offers),
                           _counts(offer_max, "offer_max", offers), groups, real_number(target_gap, "target_gap"), whole_number(max_steps, "max_steps"),
                           whole_number(full_steps, "full_steps"), whole_number(sample, "sample", low=100, bits=63), whole_number(num_threads, "num_threads"))
    offsets, chosen = found.pop("offsets"), found.pop("offers")
    if per_shopper == 1:
        choice = np.full(shoppers, -1, np.int32)
        choice[np.diff(offsets) == 1] = chosen
    else:
        from scipy.sparse import csr_matrix

        choice = csr_matrix((np.ones(len(chosen), np.int8), chosen, offsets), shape=(shoppers, offers))
    return Allocation(choice=choice, **found)
