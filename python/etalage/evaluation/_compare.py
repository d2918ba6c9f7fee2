# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Mapping

from .. import _core
from .._recipe import for_logs
from ..models._reuse import prepared
from ..models._sequence import goes_by_order
from ._beyond import OF_ALL_LISTS, beyond_among
from ._evaluate import Evaluation, _k, _metrics, evaluate
from ._parts import held_out, kept_order, takes_logs, to_fit
from ._report import html_table, plot_intervals

_STATUS = "/proc/self/status"


class Comparison:
    """Models side by side, best first by the first metric. print() shows the table; also .rows (a list of dicts),
    .to_dict() (column to list), .to_pandas(), .plot(), .best (the name of the first row) and .evaluations[name] with everything behind it."""

    def __init__(self, rows: list[dict], metric: str, evaluations: dict[str, Evaluation]) -> None:
        self.rows = rows
        self.metric = metric
        self.evaluations = evaluations

    @property
    def best(self) -> str:
        """The name of the model with the highest mean of the first metric; whether the others are worse for certain say
        the p-values."""
        return self.rows[0]["model"]

    def to_dict(self) -> dict[str, list]:
        """One list a column: model, every metric, low, high, difference, p_value, users, "with history" and "without history"
        (the first metric over shoppers of whom train holds something, and over the others), "users with history", fit_seconds,
        seconds, memory_mb, fit, tied."""
        return {c: [row[c] for row in self.rows] for c in self.rows[0]}

    def to_pandas(self):
        """The same as a pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.to_dict())

    def plot(self, path=None, ax=None):
        """Dots with intervals, best on top; saved to `path` if given. Returns the matplotlib axes."""
        return plot_intervals([row["model"] for row in self.rows], [row[self.metric] for row in self.rows],
                              [(row["low"], row["high"]) for row in self.rows], f"{self.metric}, mean over users with interval", path, ax)

    def _shown(self) -> dict[str, list[str]]:
        return {c: [_text(c, v) for v in values] for c, values in self.to_dict().items()}

    def _repr_html_(self) -> str:
        return html_table(self._shown())

    def __str__(self) -> str:
        shown = self._shown()
        widths = {c: max(len(c), *map(len, values)) for c, values in shown.items()}
        lines = ["  ".join(c.ljust(widths[c]) if c == "model" else c.rjust(widths[c]) for c in shown)]
        for j in range(len(self.rows)):
            lines.append("  ".join(v[j].ljust(widths[c]) if c == "model" else v[j].rjust(widths[c]) for c, v in shown.items()))
        return "\n".join(lines)

    __repr__ = __str__


def _text(column: str, value) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if column == "memory_mb" else f"{value:.2f}" if column.endswith("seconds") else f"{value:.4f}"
    return str(value)


def compare(models: Mapping, train, test, k=(10, 20), metrics=("recall", "ndcg"), *, params=None,
            filter_already_liked_items: bool = True, confidence: float = 0.95, samples: int = 1000, seed: int = 42, num_threads: int = 0,
            item_features=None, recipe=None) -> Comparison:
    """Evaluates every model of {name: model} on the same users, one row a model, best first by the first metric and k.

    models   {name: model}. An instance or a class of etalage's models is fitted on `train`, in a copy: what was handed in
             stays as it is. A fitted instance is used as it is only when its fit held the (user, item) pairs of train and no
             others; one that was fitted on other data is fitted anew, and one that holds pairs of test is a ValueError.
             Vectors, which nothing is fitted for, foreign models and arrays are taken as in evaluate()
    params   "auto": models are fitted with what tuning.defaults() reads from the shape of train, where a parameter was not
             set away from its default; {name: parameters} sets those of single models; None takes models as they are
    train, test   Interactions, logs or CSR over one id space, as evaluation.split makes them. With logs every model gets what
             suits it: a matrix, or lists in the order of the events. A model to which order matters is a ValueError on a
             matrix, unless it was fitted on just its pairs and kept their order
    recipe   an etalage.Recipe, with logs: event weights, decay, returns, transform, visits. Held-out events do not decay and are
             not transformed
    k, metrics    list lengths and measures, as in evaluate(); rows are ordered by the first of both
    filter_already_liked_items, item_features, num_threads   as in evaluate()
    confidence, samples, seed   of the bootstrap intervals and the paired tests

    Columns: every metric; low and high, the bootstrap interval of the first; difference and p_value, a paired test of it
    against the best row; users; tied, the share of lists that the first k cuts inside a tie; the first metric with and without history; fit_seconds (None where nothing was fitted here);
    seconds for recommending and measuring; memory_mb, by how much the process grew at most while fitting (None where the
    system does not say); fit: "here", "as given", or "anew" for one that came fitted on other data.
    """
    if not isinstance(models, Mapping) or not models:
        raise ValueError("models is empty or not a mapping, must be {name: model, ...}")
    if isinstance(params, Mapping) and not set(params) <= set(models):
        raise ValueError(f"params has {sorted(set(params) - set(models))!r}, must name models: {sorted(models)!r}")
    k, metrics = _k(k), _metrics(metrics)
    if not k or not metrics:
        raise ValueError(f"k is {k} and metrics {metrics}, each must have an entry")
    beyond_among(metrics)
    if metrics[0] in OF_ALL_LISTS:
        raise ValueError(f"metrics begins with {metrics[0]!r}, must begin with one that each user has")
    first = f"{metrics[0]}@{k[0]}"
    recipe = for_logs(recipe, train, test)
    of_log = isinstance(train, _core.EventLog)
    test = held_out(test, recipe)
    matrix = to_fit(None, train, recipe)
    if of_log and filter_already_liked_items and recipe is not None and min((recipe.event_weights or {"": 0}).values()) < 0:
        test = _without(test, matrix)  # lists do not hold what is disliked, and all models are to be asked for the same
    evaluations, costs, lists = {}, {}, {}
    for name, model in models.items():
        fit_seconds = memory = None
        ordered = _in_order(model, name, train)
        parts = matrix
        if of_log and takes_logs(model, recipe):
            parts = train
        elif of_log and ordered:
            parts = lists.setdefault("to fit", to_fit(model, train, recipe))
        model, fit = prepared(model, parts, test, name, params)
        if fit in ("here", "anew"):
            fit_seconds, memory = _fitted(name, model, parts, recipe if parts is train else None, of_log and recipe is None)
        started = time.perf_counter()
        evaluations[str(name)] = evaluate(model, train if of_log and ordered else matrix, test, k, metrics, num_threads=num_threads,
                                          filter_already_liked_items=filter_already_liked_items, item_features=item_features,
                                          recipe=recipe if of_log and ordered else None)
        costs[str(name)] = (fit_seconds, time.perf_counter() - started, memory, fit)
    return side_by_side(evaluations, costs, first, confidence, samples, seed, num_threads)


def _fitted(name, model, parts, recipe, plain_log):
    """fit_cost(); what a model refuses says which model, and where a log could have been read otherwise, how."""
    try:
        return fit_cost(model, parts, recipe)
    except (ValueError, _core.NumericalError) as error:
        if type(error) not in (ValueError, _core.NumericalError):  # others are made of more than a text
            raise
        about_values = plain_log and ("user_items value" in str(error) or isinstance(error, _core.NumericalError))
        hint = "; recipe=Recipe(negative_values=..., value_transform=...) says what returns and amounts mean" if about_values else ""
        raise type(error)(f"model {name!r}: {error}{hint}") from error


def _without(test, train):
    """test without the pairs of train."""
    rows = test.user_items
    rows = rows - rows.multiply(train.user_items_view != 0)
    rows.eliminate_zeros()
    return _core.Interactions.from_csr(rows.tocsr(), user_ids=test.user_ids, item_ids=test.item_ids)


def _in_order(model, name, train) -> bool:
    """Whether order matters to the model; ValueError where it does and train, a matrix, cannot tell it."""
    if not goes_by_order(model):
        return False
    core = getattr(model, "_model", None)
    if not isinstance(train, (_core.EventLog, _core.Sequences)) and train is not None and (core is None or kept_order(core, train) is None):
        raise ValueError(f"models[{name!r}] goes by the order of events and train has none, must be compared on logs: "
                         "compare(models, train_log, test_log, recipe=...)")
    return True


def fit_cost(model, data, recipe=None) -> tuple[float, float | None]:
    """Fits the model: (seconds, by how many MB the process grew at most, None where the system does not say)."""
    start_mb = _reset_peak()
    started = time.perf_counter()
    model.fit(data) if recipe is None else model.fit(data, recipe=recipe)
    seconds = time.perf_counter() - started
    peak = _memory_mb("VmHWM")
    return seconds, None if start_mb is None or peak is None else max(peak - start_mb, 0.0)


def side_by_side(evaluations, costs, first, confidence=0.95, samples=1000, seed=42, num_threads=0) -> Comparison:
    """The Comparison of {name: Evaluation} of the same users, best first by the metric `first`; costs: {name: (fit seconds, seconds,
    memory in MB, fit)}."""
    k = int(first.partition("@")[2])
    order = sorted(evaluations, key=lambda n: -evaluations[n][first])
    best = evaluations[order[0]]
    rows = []
    for name in order:
        e = evaluations[name]
        low, high = e.interval(first, confidence, samples, seed, num_threads)
        test_ = e.compare(best, first, confidence, samples, seed, num_threads)
        fit_seconds, seconds, memory, fit = costs[name]
        groups = e.by_history
        means = {g: groups[g][first] if g in groups else None for g in ("with history", "without history")}
        means["users with history"] = groups["with history"]["users"] if "with history" in groups else None
        rows.append({"model": name, **{m: e[m] for m in e.metrics}, "low": low, "high": high,
                     "difference": test_["difference"], "p_value": None if e is best else test_["p_value"], "users": e["users"], "tied": e[f"tied@{k}"], **means,
                     "fit_seconds": fit_seconds, "seconds": seconds, "memory_mb": memory, "fit": fit})
    return Comparison(rows, first, evaluations)


def _memory_mb(field: str) -> float | None:
    try:
        with open(_STATUS, encoding="ascii") as lines:
            for line in lines:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        pass
    return None


def _reset_peak() -> float | None:
    """Memory in use now, with the peak counted from here; None where the system has no such counter."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as out:
            out.write("5")
    except OSError:
        return None
    return _memory_mb("VmRSS")
