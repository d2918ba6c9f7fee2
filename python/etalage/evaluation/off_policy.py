# SPDX-License-Identifier: Apache-2.0
"""What another policy would have earned, from the log of the one that ran. Where each estimator misleads: docs/loop.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._arrays import asarray
from .._arrays import labels as _labels
from .._arrays import reals as _reals

TooFewError = _core.TooFewError
_ALIASES = {"ipw": "ips", "snipw": "snips", "switch": "switch_dr", "switchdr": "switch_dr", "dr_shrinkage": "dros", "dr_os": "dros"}


@dataclass(frozen=True)
class Estimate:
    """One estimator's answer; `value` is the reward a row (a whole list, for lists) under the target policy.

    interval        bootstrap over shoppers where `groups` were given, else over rows: at each end the further of percentile
                    (`samples` resamples) and normal interval; normal beyond 200,000. Where no two rows differ, say with no positive reward at all, Clopper and Pearson's for
                    `ess` equal answers (or as many as there are shoppers), and `varied` is False. Of switch_dr and dros wider by the bias that the log shows
    bernstein       empirical Bernstein (Maurer, Pontil, 2009); None for self-normalised estimators. Its range comes from
                    the largest weight in the log
    ess             (sum w)^2 / sum w^2, of lists at the worst place; rows that match, for replay
    largest_weight, mean_weight (1 in expectation), mean_weight_error (its standard error)
    parameter       threshold of switch_dr or shrinkage of dros that was used, else None
    assumes         what must hold for the value to mean anything; notes: what looks wrong
    """

    value: float
    interval: tuple[float, float]
    bernstein: tuple[float, float] | None
    standard_error: float
    ess: float
    largest_weight: float
    mean_weight: float
    mean_weight_error: float
    parameter: float | None
    varied: bool
    rows: int
    groups: int
    assumes: str
    notes: tuple[str, ...] = ()


class OffPolicyResult(Mapping[str, Estimate]):
    """{name as asked for: Estimate}; print() shows a table with what each estimate assumes."""

    def __init__(self, estimates: dict[str, Estimate]) -> None:
        self._estimates = estimates
        self.left_out: dict[str, int] = {}  # of Engine.what_if: answers on record that were not asked, by reason

    def __getitem__(self, name: str) -> Estimate:
        return self._estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._estimates)

    def __len__(self) -> int:
        return len(self._estimates)

    def __str__(self) -> str:
        lines = [f"{'estimator':<10} {'value':>10}  {'interval':<24} {'ess':>9} {'largest':>9}  assumes"]
        for name, e in self.items():
            interval = f"[{e.interval[0]:.6f}, {e.interval[1]:.6f}]"
            lines.append(f"{name:<10} {e.value:>10.6f}  {interval:<24} {e.ess:>9.1f} {e.largest_weight:>9.2f}  {e.assumes}")
            lines.extend(f"{'':<10} note: {note}" for note in e.notes)
        lines.extend(f"left out: {count} answers ({reason})" for reason, count in self.left_out.items())
        return "\n".join(lines)

    __repr__ = __str__


class ConfidenceSequence(NamedTuple):
    """Bounds after each row [n], which hold at all rows at once."""

    low: np.ndarray
    high: np.ndarray


def estimate(rewards: Any, propensities: Any, target_probabilities: Any, estimators: Sequence[str] | None = None,
             reward_model: tuple[Any, Any] | None = None, actions: Any = None, embeddings: Any = None, form: str = "independent",
             groups: Any = None, allow_small: bool = False, seed: int = 0, *, confidence: float = 0.95, samples: int = 1000,
             min_ess: float = 50, switch_threshold: float | None = None, shrinkage: float | None = None,
             reward_range: tuple[float, float] | None = None, num_threads: int = 0) -> OffPolicyResult:
    """The value of a target policy from the log of another.

    rewards                 [n], or [n, places] for lists; a list shorter than that is padded with reward 0, propensity 1, target 1
    propensities            like rewards: the probability, in (0, 1], with which the log's policy did what it did; or [n, actions],
                            of every action (then `actions` say which was logged)
    target_probabilities    like rewards: the target's probability of the same; or [n, actions]
    estimators              of "ips", "snips", "replay" (deterministic targets), with reward_model "dm", "dr", "sndr", "switch_dr",
                            "dros", with embeddings "mips"; by default all that have their inputs, without replay
    reward_model            (q_logged, q_target), each like rewards: what a model that did not learn from the row expects of the
                            logged action, and of the target; see cross_fit. [n, actions] where target_probabilities are so
    actions                 [n], labels of what was logged; column numbers where probabilities are [n, actions]
    embeddings              for mips: one for each action [actions] or [actions, d], or one for each row [n] or [n, d]; rows that are
                            equal are one embedding, so continuous ones must be binned first
    form                    of lists: "independent" (propensities are marginals of each place), "reward_interaction", "cascade" or
                            "whole" (propensities given the places above). In "cascade" q is the reward of the place and all below
    groups                  [n], the shopper of each row; intervals resample shoppers
    allow_small             answer under min_ess as well
    switch_threshold, shrinkage     by default what has the least estimated squared error
    reward_range            lowest and highest reward there can be; by default (0, 1), wider where rewards are

    TooFewError (a ValueError) where the effective sample size is under min_ess and allow_small is not set, and always where the
    target never does what was logged. ValueError: lengths, values out of range, an estimator without its inputs, a log whose
    propensities are all 1 with a target that differs.
    """
    r = _reals(rewards, "rewards")
    if r.ndim not in (1, 2):
        raise ValueError(f"rewards has shape {r.shape}, must be [n] or [n, places]")
    if r.size == 0:
        raise ValueError(f"rewards has shape {r.shape}, must have at least one row and place")
    n = len(r)
    codes, width = _actions(actions, n, r.ndim)
    p, all_p = _probabilities(propensities, "propensities", r, codes, actions)
    t, all_t = _probabilities(target_probabilities, "target_probabilities", r, codes, actions)
    q_logged, q_target = _reward_model(reward_model, r, codes, all_t)
    action_cells, cells = _cells(embeddings, n, codes, width, next((a.shape[1] for a in (all_t, all_p) if a is not None), None))
    options: dict[str, Any] = {"form": form, "allow_small": allow_small, "seed": seed, "confidence": confidence, "samples": samples,
                               "min_ess": min_ess, "num_threads": num_threads}
    options.update({k: v for k, v in (("switch_threshold", switch_threshold), ("shrinkage", shrinkage)) if v is not None})
    if reward_range is not None:
        options["reward_low"], options["reward_high"] = _pair(reward_range)
    if estimators is None:
        estimators = ["ips", "snips"]
        if reward_model is not None:
            estimators += ["dm", "dr", "sndr", "switch_dr", "dros"]
            if r.ndim == 2 and r.shape[1] > 1 and form.replace("-", "_") in ("reward_interaction", "cascade"):
                left_out = {"switch_dr", "dros"} | ({"dm"} if form != "cascade" else set())
                estimators = [e for e in estimators if e not in left_out]
        if embeddings is not None:
            estimators.append("mips")
    elif isinstance(estimators, str):
        estimators = [estimators]
    names = list(estimators)
    if not names:
        raise ValueError("estimators is empty, must name at least one")
    plain = [_plain(name) for name in names]
    as_rows = r.reshape(n, -1)
    found = _core.off_policy_estimate(as_rows, p.reshape(as_rows.shape), t.reshape(as_rows.shape), q_logged, q_target, all_p, all_t,
                                      codes if r.ndim == 1 else None, action_cells, cells, _numbered(groups, n, "groups"), plain, options)
    return OffPolicyResult({name: _estimate(e) for name, e in zip(names, found)})


def confidence_sequence(rewards: Any, propensities: Any, target_probabilities: Any, *, confidence: float = 0.95,
                        reward_range: tuple[float, float] = (0.0, 1.0)) -> ConfidenceSequence:
    """Bounds of the IPS value after each row that hold at all rows at once: look every day, stop at will.

    All [n], in the order of time; rewards within reward_range; weights need no bound. Predictable plug-in empirical Bernstein
    (Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro, "Anytime-valid off-policy inference for contextual bandits", 2022). The value
    must stay the same over time; rows of one shopper that hang together break the guarantee: give one row a shopper then.
    rewards: what came of each shown item; propensities: with which probability it was shown, > 0; target_probabilities: with which
    the policy in question would have shown it.
    """
    low, high = _pair(reward_range)
    return ConfidenceSequence(*_core.confidence_sequence(rewards, propensities, target_probabilities, confidence, low, high))


def cross_fit(contexts: Any, actions: Any, rewards: Any, target_probabilities: Any, *, kind: str = "auto", model: Any = None,
              folds: int = 5, l2: float = 1.0, groups: Any = None, seed: int = 0, num_threads: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(q_logged [n], q_target [n]) for `reward_model`: each fold of shoppers predicted by a model of the other folds.

    contexts [n, d] (None for none), actions [n] column numbers of target_probabilities [n, actions], rewards [n].
    kind: "ridge", "logistic", or "auto", which is logistic where all rewards are 0 or 1; a model over all rows and beneath it one for
    each action, both with penalty l2 on standardised contexts. model: any scikit-learn regressor or classifier in its place, on
    contexts and the action one-hot. groups [n]: the shopper, whose rows stay in one fold.
    """
    r = _reals(rewards, "rewards")
    n = len(r)
    x = np.zeros((n, 0)) if contexts is None else _reals(contexts, "contexts")
    x = x.reshape(n, -1) if x.ndim == 1 and len(x) == n else x
    target = _reals(target_probabilities, "target_probabilities")
    if kind not in ("auto", "ridge", "logistic"):
        raise ValueError(f"kind is {kind!r}, must be 'auto', 'ridge' or 'logistic'")
    numbers = _numbered(groups, n, "groups")
    logistic = kind == "logistic" or (kind == "auto" and bool(np.isin(r, (0, 1)).all()))
    options = {"folds": folds, "l2": l2, "seed": seed, "num_threads": num_threads}
    # Also where a model is given: its checks are those of all.
    if target.ndim == 2 and len(target):
        sums = target.sum(axis=1)
        worst = int(np.argmax(np.abs(sums - 1)))
        if not abs(sums[worst] - 1) <= 1e-3:
            raise ValueError(f"target_probabilities[{worst}] summed over all actions is {sums[worst]:.6g}, must be 1")
    fitted = _core.cross_fitted_rewards(x, actions, r, target, numbers, logistic and model is None, options)
    return fitted if model is None else _cross_fit_sklearn(x, asarray(actions, "actions"), r, target, model, folds, numbers, seed)


def _cross_fit_sklearn(x: np.ndarray, actions: np.ndarray, r: np.ndarray, target: np.ndarray, model: Any, folds: int,
                       groups: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.base import clone

    n, num_actions = target.shape
    units = np.arange(n) if groups is None else groups
    fold = np.random.default_rng(seed).permutation(int(units.max()) + 1)[units] % folds
    one_hot = np.eye(num_actions)
    logged, value = np.zeros(n), np.zeros(n)
    for f in range(folds):
        held = fold == f
        if not held.any() or held.all():
            raise ValueError(f"folds is {folds}, must leave rows in and out of each for {int(units.max()) + 1} shoppers")
        fitted = clone(model).fit(np.hstack([x[~held], one_hot[actions[~held]]]), r[~held])

        def predict(a: np.ndarray, rows: np.ndarray = held, fitted: Any = fitted) -> np.ndarray:
            features = np.hstack([x[rows], a])
            return fitted.predict_proba(features) @ fitted.classes_ if hasattr(fitted, "predict_proba") else fitted.predict(features)

        logged[held] = predict(one_hot[actions[held]])
        for a in range(num_actions):
            if target[held, a].any():
                value[held] += target[held, a] * predict(np.tile(one_hot[a], (int(held.sum()), 1)))
    return logged, value


def _estimate(fields: dict) -> Estimate:
    notes = []
    off = fields["mean_weight"] - 1
    if abs(off) > max(4 * fields["mean_weight_error"], 1e-6) and fields["rows"] > 1:
        notes.append(f"the mean weight is {fields['mean_weight']:.3g} and should be 1: the target does what the log never did, or "
                     "logged probabilities are wrong")
    if fields["groups"] < 50:
        notes.append(f"there are {fields['groups']} shoppers only; the interval is a guess")
    if not fields["varied"]:
        notes.append("no two rows differ; the interval is that of Clopper and Pearson for ess equal answers")
    if math.isnan(fields["parameter"]):
        fields["parameter"] = None
    if math.isnan(fields["bernstein"][0]):
        fields["bernstein"] = None
    return Estimate(**fields, notes=tuple(notes))


def _pair(reward_range: Any) -> tuple[Any, Any]:
    if not isinstance(reward_range, (tuple, list, np.ndarray)) or len(reward_range) != 2:
        raise ValueError(f"reward_range is {reward_range!r}, must be a pair (lowest, highest)")
    return reward_range[0], reward_range[1]


def _plain(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"estimators holds {name!r}, must hold names")
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return _core.off_policy_estimator(_ALIASES.get(plain, plain))


def _numbered(labels: Any, n: int, name: str) -> np.ndarray | None:
    """Any labels as numbers 0, 1, ...; None stays None."""
    if labels is None:
        return None
    if np.shape(labels) != (n,):
        raise ValueError(f"{name} has shape {np.shape(labels)}, must be ({n},)")
    return np.unique(_labels(labels, name), return_inverse=True)[1].reshape(-1).astype(np.int32)


def _actions(actions: Any, n: int, ndim: int) -> tuple[np.ndarray | None, int | None]:
    """Numbers of the logged actions, and how many there are at least; labels other than integers are numbered."""
    if actions is None:
        return None, None
    a = asarray(actions, "actions")
    if a.ndim == 0 or len(a) != n or a.ndim > ndim:
        raise ValueError(f"actions has shape {a.shape}, must have {n} rows as rewards")
    if a.ndim != 1:
        return None, None  # of lists: no estimator looks at them
    if a.dtype.kind not in "iu":
        codes = _numbered(a, n, "actions")
        return codes, None
    if len(a) and (a.min() < 0 or a.max() >= 2**31):
        return _numbered(a, n, "actions"), None  # the shop's own numbers
    return a.astype(np.int32), int(a.max()) + 1


def _probabilities(values: Any, name: str, r: np.ndarray, codes: np.ndarray | None, actions: Any) -> tuple[np.ndarray, np.ndarray | None]:
    p = _reals(values, name)
    if p.shape == r.shape:
        return p, None
    if r.ndim == 1 and p.ndim == 2 and len(p) == len(r):
        if p.shape[1] == 1:
            return p[:, 0], None
        if codes is None or np.asarray(actions).dtype.kind not in "iu":
            raise ValueError(f"actions is {'not given' if actions is None else 'not of integers'}, must be the logged columns with {name} of shape {p.shape}")
        outside = np.flatnonzero((np.asarray(actions) < 0) | (np.asarray(actions) >= p.shape[1]))
        if len(outside):
            raise ValueError(f"actions[{outside[0]}] is {np.asarray(actions)[outside[0]]}, must be a column of {name}, in [0, {p.shape[1]})")
        return np.ascontiguousarray(p[np.arange(len(r)), codes]), p
    raise ValueError(f"{name} has shape {p.shape}, must be {r.shape} as rewards" + (f" or ({len(r)}, actions)" if r.ndim == 1 else ""))


def _reward_model(given: Any, r: np.ndarray, codes: np.ndarray | None, all_targets: np.ndarray | None) -> tuple[Any, Any]:
    if given is None:
        return None, None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError("reward_model is not a pair, must be (q_logged, q_target)")
    out = []
    for at, part in enumerate(given):
        if part is None:
            out.append(None)
            continue
        name = f"reward_model[{at}]"
        q = _reals(part, name)
        if q.shape != r.shape and r.ndim == 1 and q.ndim == 2 and len(q) == len(r):
            if q.shape[1] == 1:
                q = q[:, 0]
            elif all_targets is None or codes is None or q.shape != all_targets.shape:
                raise ValueError(f"{name} has shape {q.shape}, must be {r.shape} unless target_probabilities are [n, actions] of that shape")
            else:
                q = (q * all_targets).sum(axis=1) if at == 1 else q[np.arange(len(r)), codes]
        if q.shape != r.shape:
            raise ValueError(f"{name} has shape {q.shape}, must be {r.shape} as rewards")
        out.append(q.reshape(len(r), -1))
    return out[0], out[1]


def _cells(embeddings: Any, n: int, codes: np.ndarray | None, least: int | None, columns: int | None) -> tuple[Any, Any]:
    """(cell of each action or None, cell of each row)."""
    if embeddings is None:
        return None, None
    e = asarray(embeddings, "embeddings")
    if e.dtype.kind == "O":
        e = _labels(embeddings, "embeddings")
    if e.ndim not in (1, 2):
        raise ValueError(f"embeddings has shape {e.shape}, must be [actions], [actions, d], [n] or [n, d]")
    if e.dtype.kind == "f" and not np.isfinite(e).all():
        raise ValueError("embeddings holds nan or infinity, must be finite")
    by_action = codes is not None and (len(e) == columns or (len(e) != n and least is not None and len(e) >= least))
    if not by_action and len(e) != n:
        raise ValueError(f"embeddings has {len(e)} rows, must have one for each action, with actions, or one for each of the {n} rows")
    numbered = np.unique(e, axis=0 if e.ndim == 2 else None, return_inverse=True)[1].reshape(-1).astype(np.int32)
    return (numbered, numbered[codes]) if by_action else (None, numbered)

