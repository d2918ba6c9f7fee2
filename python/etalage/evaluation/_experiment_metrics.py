# SPDX-License-Identifier: Apache-2.0
"""Does a group differ from the control, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._arrays import labels, reals, unmasked

SAMPLE_RATIO_P = 0.001


def _stats() -> Any:
    # Only when it is used: scipy.stats takes half a second to import and starts the threads of a BLAS.
    from scipy import stats

    return stats


@dataclass(frozen=True)
class Difference:
    """A group against the control by one metric, shoppers as units.

    mean, control_mean  per shopper, as they are; difference: group minus control, after CUPED where `before` was given
    interval            of the difference, Welch's t; or valid at all times (sequential). (nan, nan) where no two shoppers differ
    relative            difference / control_mean and its interval (delta method), nan where control_mean is 0
    variance_kept       variance after CUPED over that before; 1 without
    """

    metric: str
    group: Any
    control: Any
    shoppers: int
    control_shoppers: int
    mean: float
    control_mean: float
    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    relative: float
    relative_interval: tuple[float, float]
    variance_kept: float

    @property
    def decided(self) -> bool:
        """The interval leaves 0 out."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass
class ExperimentResult:
    """What analyze() found: `rows` (a list of Difference), `sample_ratio` (or None), and the settings; report() writes it down."""

    rows: list[Difference]
    sample_ratio: dict | None
    control: Any
    counts: dict
    outside: int
    confidence: float
    sequential: bool
    definitions: dict[str, str] = field(default_factory=dict)
    name: str = "experiment"

    def __getitem__(self, at: tuple[str, Any]) -> Difference:
        """r["revenue", "new ranking"]"""
        for row in self.rows:
            if (row.metric, row.group) == at:
                return row
        raise KeyError(at)

    def sentence(self, row: Difference) -> str:
        """What a row means for the shop."""
        percent = f"{100 * self.confidence:g} %"
        if self.sample_ratio is not None and not self.sample_ratio["ok"]:
            return (f"Do not read {row.metric} of {row.group}: the groups are not of the sizes they were given, so something sorts "
                    "shoppers into them.")
        if math.isnan(row.interval[0]):
            return f"No two shoppers differ in {row.metric}, so nothing can be said of {row.group}."
        low, high = (f"{x:+.4g}" for x in row.interval)
        if not row.decided:
            return (f"{row.group} is not told apart from {row.control} in {row.metric}: the difference a shopper may be anything from {low} "
                    f"to {high} ({percent} interval).")
        word = "raises" if row.difference > 0 else "lowers"
        relative = "" if math.isnan(row.relative) else f" ({100 * row.relative:+.2g} %)"
        return (f"{row.group} {word} {row.metric} by {abs(row.difference):.4g} a shopper{relative}, somewhere from {low} to {high} "
                f"({percent} interval).")

    def report(self, path: Any, *, what: str = "", whom: str = "") -> None:
        """One HTML file that needs no network: what ran, on whom, every metric with its interval and definition, what it means.
        what and whom are the shop's own words. Needs Jinja2 (etalage[report])."""
        from ._experiment_report import write

        write(self, path, what, whom)


def per_shopper(keys: Any, event_keys: Any, values: Any = None) -> np.ndarray:
    """Sum of `values` (or number of events) of each shopper [len(keys)]: 0 for those without any, events of others left out.

    The unit that was drawn is the unit that is counted: a shopper with ten visits is one row.
    keys: the shoppers', each once; event_keys: whose each event is, [len(values)].
    """
    if np.ndim(keys) != 1 or len(keys) == 0:
        raise ValueError(f"keys has shape {np.shape(keys)}, must name the shoppers, [n] with n at least 1")
    if np.ndim(event_keys) != 1:
        raise ValueError(f"event_keys has shape {np.shape(event_keys)}, must be [events]")
    keys, event_keys = labels(keys, "keys"), labels(event_keys, "event_keys")
    if len(event_keys) == 0:
        return np.zeros(len(keys))
    if _text(keys) != _text(event_keys):
        raise TypeError(f"event_keys are {_kind(event_keys)}, must be {_kind(keys)} as keys are")
    v = np.ones(len(event_keys)) if values is None else reals(values, "values")
    if not np.isfinite(v).all():
        raise ValueError(f"values[{int(np.flatnonzero(~np.isfinite(v))[0])}] is not finite, must be")
    if v.shape != event_keys.shape or event_keys.ndim != 1:
        raise ValueError(f"values has shape {v.shape} and event_keys {event_keys.shape}, must be one value an event")
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        raise ValueError("keys names a shopper twice, must once")
    at = np.minimum(np.searchsorted(ordered, event_keys), len(keys) - 1)
    known = ordered[at] == event_keys
    return np.bincount(order[at[known]], weights=v[known], minlength=len(keys))


def _text(keys: np.ndarray) -> bool:
    return keys.dtype.kind not in "fiub" and not (keys.dtype.kind == "O" and not isinstance(keys[0], str))


def _kind(keys: np.ndarray) -> str:
    return "strings" if _text(keys) else "numbers"


def sample_ratio(counts: Mapping[Any, int], shares: Mapping[Any, float]) -> dict:
    """Are groups of the sizes that their shares say? {"statistic", "p_value", "expected", "ok"}: Pearson's chi-square; ok is
    p_value >= 0.001. A mismatch means that shoppers are lost or sorted, and no metric is to be read.
    counts: {group: shoppers seen}; shares: {group: share}, which need not sum to 1.
    """
    for g, share in shares.items():
        if isinstance(share, (bool, np.bool_)) or not isinstance(share, (int, float, np.integer, np.floating)) or not 0 <= share <= 1:
            raise ValueError(f"share of {g!r} is {share!r}, must be a number in [0, 1]")
    names = [g for g in shares if shares[g] > 0]
    unknown = [g for g in counts if g not in names and counts[g]]
    if unknown:
        raise ValueError(f"counts has {unknown[0]!r}, must be of groups with a share")
    if len(names) < 2:
        raise ValueError(f"shares has {len(names)} groups, must have at least 2 above 0")
    observed = reals([counts.get(g, 0) for g in names], "counts")
    if not (np.isfinite(observed) & (observed >= 0) & (observed == np.floor(observed))).all() or observed.sum() == 0:
        raise ValueError(f"counts is {dict(counts)!r}, must be whole numbers of shoppers, some above 0")
    expected = observed.sum() * np.array([shares[g] for g in names]) / sum(shares[g] for g in names)
    statistic = float(((observed - expected) ** 2 / expected).sum())
    p = float(_stats().chi2.sf(statistic, len(names) - 1))
    return {"statistic": statistic, "p_value": p, "expected": dict(zip(names, expected.tolist())), "ok": p >= SAMPLE_RATIO_P}


def sequential_interval(difference: float, standard_error: float, shoppers: int, *, confidence: float = 0.95,
                        planned: int | None = None) -> tuple[float, float]:
    """An interval that holds at all times at once, for large samples: asymptotic confidence sequence (Waudby-Smith, Arbour,
    Sinha, Kennedy, Ramdas, Annals of Statistics 2024, theorem 2.2), narrowest near `planned` shoppers (default: as many as now;
    fix it beforehand when looking more than once).
    difference and its standard_error over `shoppers` in all groups.
    """
    if shoppers < 2 or not standard_error >= 0:
        raise ValueError(f"shoppers is {shoppers} and standard_error {standard_error}, must be at least 2 and at least 0")
    if not math.isfinite(difference) or not math.isfinite(standard_error):
        raise ValueError(f"difference is {difference} and standard_error {standard_error}, must be finite")
    _check_confidence(confidence)
    if planned is not None and not 2 <= planned < math.inf:
        raise ValueError(f"planned is {planned}, must be at least 2 shoppers, or None")
    alpha = 1 - confidence
    tuned = -2 * math.log(alpha)
    rho2 = (tuned + math.log(tuned + 1)) / (planned or shoppers)
    v = shoppers * rho2 + 1
    half = standard_error * math.sqrt(2 * v / (shoppers * rho2) * math.log(math.sqrt(v) / alpha))
    return difference - half, difference + half


def _check_confidence(confidence: float) -> None:
    if isinstance(confidence, (bool, np.bool_)) or not isinstance(confidence, (int, float, np.integer, np.floating)):
        raise TypeError(f"confidence is {confidence!r}, must be a number in (0, 1)")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, must be in (0, 1)")


def _groups(groups: Any) -> np.ndarray:
    """Labels as objects; what is missing in the way of a frame (NaN, NaT, NA, masked) is None: nobody."""
    if isinstance(groups, np.ma.MaskedArray):
        groups = unmasked(groups.astype(object), "groups")
    labels = np.asarray(groups, dtype=object)
    if labels.ndim == 1:
        labels = np.array([None, *(None if _missing(g) else g for g in labels)], dtype=object)[1:]
    return labels


def _missing(label: Any) -> bool:
    different = label != label  # pandas.NA answers with itself
    return different is True or (not isinstance(different, (bool, np.bool_))) or bool(different)


def analyze(groups: Any, metrics: Mapping[str, Any], *, control: Any, before: Mapping[str, Any] | None = None,
            shares: Mapping[Any, float] | None = None, definitions: Mapping[str, str] | None = None, confidence: float = 0.95,
            sequential: bool = False, planned: int | None = None, name: str = "experiment") -> ExperimentResult:
    """Every group against the control by every metric; one row a shopper.

    groups      [n] group of each shopper, None (or NaN, NA, masked) for nobody (left out, counted)
    metrics     {name: values [n]}, per shopper, see per_shopper
    before      {name: values [n]} of the same metric in the time before: CUPED (Deng, Xu, Kohavi, Walker, WSDM 2013), with one slope
                for all groups, from within them, so that an effect does not enter it
    shares      {group: share}, for the check of the sample ratio
    sequential  intervals that hold however often one looks, in place of Welch's; `planned` as for sequential_interval
    Intervals are for each row by itself: of twenty rows without any effect, one will look decided.
    definitions: {name: text} that the report prints beside each metric.
    """
    if not isinstance(metrics, Mapping) or not isinstance(before or {}, Mapping):
        raise TypeError(f"metrics is a {type(metrics).__name__}, and before a {type(before).__name__}, must be mappings of name to values")
    wrong = next((m for m in metrics if not isinstance(m, str)), None)
    if wrong is not None:
        raise TypeError(f"metrics names {wrong!r}, must be strings")
    labels = _groups(groups)
    if labels.ndim != 1 or not metrics:
        raise ValueError(f"groups has shape {labels.shape} and metrics {len(metrics)} entries, must be [n] and at least one")
    _check_confidence(confidence)
    inside = np.array([g is not None for g in labels], dtype=bool)
    names = list(dict.fromkeys(labels[inside].tolist()))
    if control not in names:
        raise ValueError(f"control is {control!r}, must be one of the groups {names[:10]!r}")
    if len(names) < 2:
        raise ValueError(f"groups has only {names!r}, must have one beside the control")
    members = {g: np.flatnonzero(np.array([x is not None and x == g for x in labels], dtype=bool)) for g in names}
    counts = {g: len(m) for g, m in members.items()}
    for g, count in counts.items():
        if count < 2:
            raise ValueError(f"group {g!r} has {count} shopper, must have at least 2")
    before = before or {}
    unknown = [m for m in before if m not in metrics]
    if unknown:
        raise ValueError(f"before has {unknown[0]!r}, must be of the metrics {list(metrics)!r}")
    rows = []
    for metric, values in metrics.items():
        y = _values(values, metric, len(labels))
        adjusted, kept = y, 1.0
        if metric in before:
            adjusted, kept = _cuped(y, _values(before[metric], f"before[{metric!r}]", len(labels)), members)
        rows.extend(_difference(metric, g, control, y, adjusted, members, kept, confidence, sequential, planned)
                    for g in names if g != control)
    return ExperimentResult(rows, None if shares is None else sample_ratio(counts, shares), control, counts, int((~inside).sum()), confidence,
                            sequential, dict(definitions or {}), name)


def interleaving_test(first: Any, second: Any, *, confidence: float = 0.95) -> dict:
    """Do shoppers prefer one of two interleaved rankers? first, second: [shoppers] clicks credited to each, summed by shopper.

    {"preference": share of shoppers who prefer the second, ties half, minus 1/2, "interval", "p_value": two-sided sign test,
    "shoppers", "ties"}: a sign, and cheaper to get than a difference in money, but not one.
    """
    a, b = (reals(x, name) for x, name in ((first, "first"), (second, "second")))
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise ValueError(f"first has shape {a.shape} and second {b.shape}, must be [shoppers] both, at least 1")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("first or second holds nan or infinity, must be finite")
    _check_confidence(confidence)
    wins = np.sign(b - a)
    ahead, behind = int((wins > 0).sum()), int((wins < 0).sum())
    p = float(_stats().binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    low, high = _centre_interval(wins / 2, confidence)
    return {"preference": float(wins.mean() / 2), "interval": (low, high), "p_value": p, "shoppers": len(a), "ties": len(a) - ahead - behind}


def _centre_interval(x: np.ndarray, confidence: float) -> tuple[float, float]:
    if len(x) < 2 or x.std() == 0:
        return math.nan, math.nan
    half = float(_stats().t.ppf(0.5 + confidence / 2, len(x) - 1)) * x.std(ddof=1) / math.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)


def _values(values: Any, name: str, n: int) -> np.ndarray:
    y = reals(values, name)
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}, must be ({n},): one value a shopper")
    if not np.isfinite(y).all():
        raise ValueError(f"{name}[{int(np.flatnonzero(~np.isfinite(y))[0])}] is not finite, must be")
    return y


def _cuped(y: np.ndarray, x: np.ndarray, members: Mapping[Any, np.ndarray]) -> tuple[np.ndarray, float]:
    together = np.concatenate(list(members.values()))
    covariance = sum(float(((y[m] - y[m].mean()) * (x[m] - x[m].mean())).sum()) for m in members.values())
    spread = sum(float(((x[m] - x[m].mean()) ** 2).sum()) for m in members.values())
    if spread == 0:
        return y, 1.0
    adjusted = y - covariance / spread * (x - x[together].mean())
    was = sum(float(((y[m] - y[m].mean()) ** 2).sum()) for m in members.values())
    now = sum(float(((adjusted[m] - adjusted[m].mean()) ** 2).sum()) for m in members.values())
    return adjusted, now / was if was > 0 else 1.0


def _difference(metric: str, group: Any, control: Any, y: np.ndarray, adjusted: np.ndarray, members: Mapping[Any, np.ndarray], kept: float,
                confidence: float, sequential: bool, planned: int | None) -> Difference:
    a, b = adjusted[members[group]], adjusted[members[control]]
    difference = float(a.mean() - b.mean())
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    se = math.sqrt(va + vb)
    control_mean = float(y[members[control]].mean())
    interval, p = (math.nan, math.nan), math.nan
    if se > 0:
        freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
        p = float(2 * _stats().t.sf(abs(difference) / se, freedom))
        half = float(_stats().t.ppf(0.5 + confidence / 2, freedom)) * se
        interval = (difference - half, difference + half)
        if sequential:
            interval = sequential_interval(difference, se, len(a) + len(b), confidence=confidence, planned=planned)
            p = math.nan  # a p-value for one look only
    relative, relative_interval = math.nan, (math.nan, math.nan)
    if control_mean != 0 and se > 0:
        relative = difference / control_mean
        # Delta method, (difference) / (mean of the control), the two correlated by -vb.
        spread = math.sqrt(max(va + vb + relative**2 * vb + 2 * relative * vb, 0.0)) / abs(control_mean)
        half = spread * (interval[1] - interval[0]) / (2 * se)
        relative_interval = (relative - half, relative + half)
    return Difference(metric, group, control, len(a), len(b), float(y[members[group]].mean()), control_mean, difference, se, interval, p, relative,
                      relative_interval, kept)
