# SPDX-License-Identifier: Apache-2.0
"""How good scores of uplift are, by one definition of our own and those of scikit-uplift and causalml."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from .._arrays import reals, whole_number

DEFINITIONS = ("etalage", "sklift", "sklift_negative", "sklift_no_negative", "causalml")


class Curve(NamedTuple):
    """x, y = curve(...); depth and value [points], the first of both 0. `low` and `high` are in curve_interval()."""

    depth: np.ndarray
    value: np.ndarray


class Measure(float):
    """A float that knows how sure it is: .interval(confidence, samples, seed), bootstrap over customers."""

    def __new__(cls, value: float, of: Any = None) -> Measure:
        self = super().__new__(cls, value)
        self._of = of
        return self

    def interval(self, confidence: float = 0.95, samples: int = 200, seed: int = 0) -> tuple[float, float]:
        """Percentile bootstrap: customers resampled within the treated and within the others, scores as they are."""
        call, data, definition = self._of
        values = _resampled(lambda rows: call(_Data(*(column[rows] for column in data)), definition), data, samples, seed)
        _check(confidence)
        tail = (1 - confidence) / 2
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)

    def __reduce__(self):
        return float, (float(self),)


class _Data(NamedTuple):
    outcome: np.ndarray
    treated: np.ndarray
    score: np.ndarray


def curve(outcome: Any, treated: Any, score: Any, definition: str = "etalage") -> Curve:
    """The gain of treating those of the highest score first.

    outcome [n] (yes/no or money), treated [n] of 0 and 1, score [n], higher is treated earlier.
    "etalage"   depth: share of all customers; value: incremental outcome per customer, depth x (mean outcome of the treated minus that
                of the others, among them). Equal scores are one point. A depth without both kinds is left out
    "sklift"    Qini curve of scikit-uplift 0.5: depth in customers, value: outcome of the treated minus that of the others scaled to
                as many; equal scores are one point ("sklift_negative" and "sklift_no_negative" are the same curve)
    "causalml"  cumulative gain of causalml 0.18 before it is divided: depth in customers, one point a customer; equal scores stand in
                the order of the rows
    definition: whose curve, as in qini().
    """
    data = _checked(outcome, treated, score)
    if _definition(definition) == "etalage":
        return _gain_by_depth(data)
    if definition == "causalml":
        return _causalml_gain(data)
    return _sklift_qini_curve(data.outcome, data.score, data.treated)


def curve_interval(outcome: Any, treated: Any, score: Any, depths: Any = None, *, confidence: float = 0.95) -> tuple[np.ndarray, ...]:
    """(depth, value, low, high) of the curve by "etalage" at `depths` (default 0.1, ..., 1): normal intervals for fixed borders of the
    score, from the variance of both means.
    outcome [n]; treated [n] bool; score [n].
    """
    data = _checked(outcome, treated, score)
    depths = np.arange(1, 11) / 10 if depths is None else np.atleast_1d(reals(depths, "depths"))
    if depths.ndim != 1 or len(depths) == 0:
        raise ValueError(f"depths has shape {depths.shape}, must be [m] with at least one")
    if not ((depths > 0) & (depths <= 1)).all():
        raise ValueError(f"depths is {depths}, must be in (0, 1]")
    _check(confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    order = np.argsort(-data.score, kind="stable")
    rows = []
    for depth in depths:
        border = data.score[order[math.ceil(depth * len(order)) - 1]]
        top = data.score >= border
        effect, se = _effect(data.outcome[top], data.treated[top])
        share = top.mean()
        rows.append((share, share * effect, share * (effect - z * se), share * (effect + z * se)))
    return tuple(np.array(column) for column in zip(*rows))


def qini(outcome: Any, treated: Any, score: Any, definition: str = "etalage", *, negative_effect: bool = True) -> Measure:
    """Area between the curve and what a random order would get.

    "etalage"               of the curve by depth, not divided by anything: outcome per customer, 0 for a random order
    "sklift_negative"       scikit-uplift's qini_auc_score: over the same area of a perfect order, which may do harm at its end
    "sklift_no_negative"    the same with a perfect order that does not (nan where the treatment harms on average: scikit-uplift raises
                            there); "sklift" is one of both by negative_effect, as there
    "causalml"              causalml's qini_score: mean of the Qini curve divided by the size of its end, minus 1/2 for a random order.
                            May exceed 1 where the end is near 0
    Measure: a float with .interval().
    outcome [n]; treated [n] bool; score [n], larger means treat sooner; definition: one of the above.
    """
    data = _checked(outcome, treated, score)
    if _definition(definition) == "sklift" and not negative_effect:
        definition = "sklift_no_negative"
    return Measure(_qini(data, definition), (_qini, data, definition))


def auuc(outcome: Any, treated: Any, score: Any, definition: str = "etalage") -> Measure:
    """Area under the curve.

    "etalage"   under the curve by depth: outcome per customer; a random order gets half of the average effect
    "sklift"    scikit-uplift's uplift_auc_score: area of the uplift curve above the line to its end, over that of a perfect order
    "causalml"  causalml's auuc_score: mean of the gain curve divided by its end
    Measure: a float with .interval().
    outcome [n]; treated [n] bool; score [n], larger means treat sooner; definition: whose area, as in qini().
    """
    data = _checked(outcome, treated, score)
    return Measure(_auuc(data, _definition(definition)), (_auuc, data, definition))


def average_effect(outcome: Any, treated: Any, *, confidence: float = 0.95) -> dict[str, Any]:
    """{"effect", "standard_error", "interval", "treated", "others"} of a randomised treatment: difference of means, variances apart.

    outcome [n]; treated [n] bool.
    """
    data = _checked(outcome, treated, np.zeros(len(np.atleast_1d(np.asarray(outcome)))))
    effect, se = _effect(data.outcome, data.treated)
    _check(confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    count = int(data.treated.sum())
    return {"effect": effect, "standard_error": se, "interval": (effect - z * se, effect + z * se), "treated": count,
            "others": len(data.outcome) - count}


def uplift_at(outcome: Any, treated: Any, score: Any, share: float) -> float:
    """Effect among the best `share` of all customers (not of each arm), those at the border included.

    outcome [n]; treated [n] bool; score [n], larger means treat sooner.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, must be in (0, 1]")
    depth, value, _, _ = curve_interval(outcome, treated, score, [share])
    return float(value[0] / depth[0])


def _effect(outcome: np.ndarray, treated: np.ndarray) -> tuple[float, float]:
    a, b = outcome[treated == 1], outcome[treated == 0]
    if len(a) == 0 or len(b) == 0:
        return math.nan, math.nan
    variance = sum(x.var(ddof=1) / len(x) if len(x) > 1 else math.nan for x in (a, b))
    return float(a.mean() - b.mean()), math.sqrt(variance)


def _checked(outcome: Any, treated: Any, score: Any) -> _Data:
    columns = []
    for name, values in (("outcome", outcome), ("treated", treated), ("score", score)):
        a = reals(values, name)
        if a.ndim != 1 or (columns and len(a) != len(columns[0])):
            raise ValueError(f"{name} has shape {a.shape}, must be [n]" + (f" with n = {len(columns[0])} as outcome" if columns else ""))
        if not np.isfinite(a).all():
            raise ValueError(f"{name}[{int(np.flatnonzero(~np.isfinite(a))[0])}] is not finite, must be")
        columns.append(a)
    t = columns[1]
    wrong = np.flatnonzero((t != 0) & (t != 1))
    if len(wrong):
        raise ValueError(f"treated[{int(wrong[0])}] is {t[wrong[0]]:g}, must be 0 or 1; take one treatment and the control at a time")
    if not (t == 1).any() or not (t == 0).any():
        raise ValueError(f"treated is {t[0]:g} throughout, must have both: without a control nothing is known of an effect" if len(t)
                         else "treated is empty, must have both treated and others")
    return _Data(*columns)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, must be in (0, 1)")


def _definition(name: str) -> str:
    if name not in DEFINITIONS:
        raise ValueError(f"definition is {name!r}, must be one of {', '.join(map(repr, DEFINITIONS))}")
    return name


def _resampled(statistic: Any, data: _Data, samples: int, seed: int) -> np.ndarray:
    if not isinstance(samples, (int, np.integer)) or not 2 <= samples <= 10**6:
        raise ValueError(f"samples is {samples!r}, must be a whole number in [2, 1000000]")
    rng = np.random.default_rng(whole_number(seed, "seed", bits=64, signed=False))
    arms = [np.flatnonzero(data.treated == arm) for arm in (0, 1)]
    return np.array([statistic(np.concatenate([rng.choice(arm, len(arm)) for arm in arms])) for _ in range(samples)])


def _sums(outcome: np.ndarray, treated: np.ndarray, score: np.ndarray, grouped: bool) -> tuple[np.ndarray, ...]:
    """Customers, treated, outcome of the treated, outcome of the others, from the best score down to each border."""
    order = np.argsort(-score, kind="stable")
    y, t, s = outcome[order], treated[order], score[order]
    ends = np.r_[np.flatnonzero(np.diff(s)), len(s) - 1] if grouped else np.arange(len(s))
    return ends + 1.0, np.cumsum(t)[ends], np.cumsum(y * t)[ends], np.cumsum(y * (1 - t))[ends]


def _divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a, dtype=np.float64), where=b != 0)


def _gain_by_depth(data: _Data) -> Curve:
    n, nt, yt, yc = _sums(*data, grouped=True)
    both = (nt > 0) & (nt < n)
    n, nt, yt, yc = n[both], nt[both], yt[both], yc[both]
    depth = n / len(data.outcome)
    return Curve(np.r_[0.0, depth], np.r_[0.0, depth * (yt / nt - yc / (n - nt))])


def _area(c: Curve) -> float:
    return float(((c.value[1:] + c.value[:-1]) * np.diff(c.depth)).sum() / 2)


def _qini(data: _Data, definition: str) -> float:
    if definition == "etalage":
        c = _gain_by_depth(data)
        return _area(c) - float(c.value[-1]) / 2
    if definition == "causalml":
        n, nt, yt, yc = _sums(*data, grouped=False)
        q = yt - yc * _divided(nt, n - nt)
        return float(np.r_[0.0, q].mean() / abs(q[-1])) - 0.5 if q[-1] != 0 else math.nan
    y, t = data.outcome, data.treated
    actual = _sklift_qini_curve(y, data.score, t)
    if definition in ("sklift", "sklift_negative"):
        perfect = _sklift_qini_curve(y, y * t - y * (1 - t), t)
    else:
        gain = y[t == 1].sum() - (t == 1).sum() * y[t == 0].sum() / (t == 0).sum()
        if gain < 0:
            return math.nan
        perfect = Curve(np.array([0.0, gain, len(y)]), np.array([0.0, gain, gain]))
    return _over_perfect(actual, perfect)


def _auuc(data: _Data, definition: str) -> float:
    if definition == "etalage":
        return _area(_gain_by_depth(data))
    if definition == "causalml":
        gain = _causalml_gain(data).value
        return float(gain.mean() / abs(gain[-1])) if gain[-1] != 0 else math.nan
    y, t = data.outcome, data.treated
    lost, saved = ((y == 1) & (t == 0)).sum(), ((y == 0) & (t == 1)).sum()
    perfect = 2 * (y == t) + (y if lost > saved else t)
    return _over_perfect(_sklift_uplift_curve(y, data.score, t), _sklift_uplift_curve(y, perfect.astype(np.float64), t))


def _over_perfect(actual: Curve, perfect: Curve) -> float:
    # Both against the line to the end of the perfect curve, as scikit-uplift has it.
    line = perfect.depth[-1] * perfect.value[-1] / 2
    best = _area(perfect) - line
    return (_area(actual) - line) / best if best != 0 else math.nan


def _sklift_qini_curve(y: np.ndarray, score: np.ndarray, t: np.ndarray) -> Curve:
    n, nt, yt, yc = _sums(y, t, score, grouped=True)
    return Curve(np.r_[0.0, n], np.r_[0.0, yt - yc * _divided(nt, n - nt)])


def _sklift_uplift_curve(y: np.ndarray, score: np.ndarray, t: np.ndarray) -> Curve:
    n, nt, yt, yc = _sums(y, t, score, grouped=True)
    return Curve(np.r_[0.0, n], np.r_[0.0, (_divided(yt, nt) - _divided(yc, n - nt)) * n])


def _causalml_gain(data: _Data) -> Curve:
    n, nt, yt, yc = _sums(*data, grouped=False)
    lift = np.full(len(n), np.nan)
    both = (nt > 0) & (nt < n)
    lift[both] = yt[both] / nt[both] - yc[both] / (n - nt)[both]
    # Before both kinds were met there is no lift: it is 0 at the start and straight to the first one.
    points = np.r_[0, np.flatnonzero(both) + 1]
    x = np.arange(len(n) + 1.0)
    whole = np.interp(x, points, np.r_[0.0, lift[both]])
    return Curve(x, whole * x)
