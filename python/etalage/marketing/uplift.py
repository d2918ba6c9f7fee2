# SPDX-License-Identifier: Apache-2.0
"""Uplift: whom a treatment moves, how well that is known, and what acting on it is worth. Definitions: docs/marketing/uplift.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import labels, reals
from ..evaluation import off_policy
from ._uplift_learners import DRLearner, LinearUplift, SLearner, TLearner, XLearner
from ._uplift_measures import Curve, Measure, auuc, average_effect, curve, curve_interval, qini, uplift_at
from ._uplift_trees import UpliftForest, UpliftTree

__all__ = ["Curve", "DRLearner", "LinearUplift", "Measure", "SLearner", "TLearner", "UpliftForest", "UpliftTree", "XLearner", "auuc", "average_effect",
           "choose", "curve", "curve_interval", "policy_value", "qini", "uplift_at"]


def choose(uplift: Any, *, value: float = 1.0, costs: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(choice int32 [n], gain [n]): the treatment of largest value x uplift - cost for each customer, -1 and 0 where none is above 0.

    uplift [n] or [n, treatments]; value: worth of one unit of the outcome (1 for money); costs: a number, [treatments] or
    [n, treatments], >= 0. Where budgets bind, give value x uplift and costs to etalage.marketing.allocate instead.
    """
    u = reals(uplift, "uplift")
    u = u[:, None] if u.ndim == 1 else u
    c = reals(costs, "costs")
    if u.ndim != 2 or u.shape[1] == 0 or not np.isfinite(u).all():
        raise ValueError(f"uplift has shape {u.shape}, must be [n] or [n, treatments] of finite numbers")
    if c.shape not in ((), (u.shape[1],), u.shape):
        raise ValueError(f"costs has shape {c.shape}, must be a number, ({u.shape[1]},) or {u.shape}")
    if not (np.isfinite(c).all() and (c >= 0).all()):
        raise ValueError(f"costs hold {c[~(np.isfinite(c) & (c >= 0))].flat[0] if c.ndim else c}, must be finite and >= 0")
    if not np.isfinite(value):
        raise ValueError(f"value is {value}, must be finite")
    with np.errstate(over="ignore"):
        gain = value * u - c
    if not np.isfinite(gain).all():
        raise ValueError(f"value x uplift reaches {np.abs(gain).max()}, must be finite")
    choice = gain.argmax(axis=1).astype(np.int32)
    best = gain[np.arange(len(u)), choice]
    choice[best <= 0] = -1
    return choice, np.where(best > 0, best, 0.0)


def policy_value(outcome: Any, treatment: Any, chosen: Any, *, propensities: Any = None, costs: Any = None, reward_model: Any = None,
                 estimators: Any = None, groups: Any = None, allow_small: bool = False, seed: int = 0,
                 **options: Any) -> off_policy.OffPolicyResult:
    """What a rule would have earned a customer, from an experiment that gave treatments at random.

    outcome [n]; treatment [n], what each got; chosen [n], what the rule would give, by the same labels; propensities [n], the
    probability of what each got (default: the arms' shares); costs {label: cost}, taken from the outcome of those who got it. The rest as
    for etalage.evaluation.off_policy.estimate. Choose the rule on other customers, or its value is flattered.
    reward_model, estimators, groups, allow_small: as there.
    """
    y, got, wanted = reals(outcome, "outcome"), labels(treatment, "treatment"), labels(chosen, "chosen")
    if y.ndim != 1 or got.shape != y.shape or wanted.shape != y.shape:
        raise ValueError(f"outcome has shape {y.shape}, treatment {got.shape} and chosen {wanted.shape}, must be [n] all three")
    names, arms, counts = np.unique(got, return_inverse=True, return_counts=True)
    unknown = ~np.isin(wanted, names)
    if unknown.any():
        raise ValueError(f"chosen[{int(np.flatnonzero(unknown)[0])}] is {wanted[unknown][0]!r}, must be a treatment that somebody got: {names.tolist()!r}")
    if costs is not None:
        missing = [name for name in names.tolist() if name not in costs]
        if missing:
            raise ValueError(f"costs has no {missing[0]!r}, must have every treatment, the control with 0")
        y = y - np.array([costs[name] for name in names.tolist()], dtype=np.float64)[arms]
    p = (counts / len(y))[arms] if propensities is None else propensities
    return off_policy.estimate(y, p, (got == wanted).astype(np.float64), estimators, reward_model, groups=groups, allow_small=allow_small,
                               seed=seed, **options)
