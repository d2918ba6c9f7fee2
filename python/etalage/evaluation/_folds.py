# SPDX-License-Identifier: Apache-2.0
"""Models over folds in time: whether the best of one month is the best of the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..models._reuse import trainable
from ._compare import Comparison, _text, compare
from ._report import html_table
from .split import Split


class FoldComparison:
    """Models over folds, best first by the mean of the first metric over folds. print() shows the table; .rows is a list of
    dicts (model, mean, low, high, wins, and a column a fold), .folds the Comparison of each fold, .best the name of the first
    row, .to_frame() a long frame: fold, model, metric, value, users."""

    def __init__(self, folds: list[Comparison]) -> None:
        self.folds = folds
        self.metric = folds[0].metric
        names = [row["model"] for row in folds[0].rows]
        values = {n: [f.evaluations[n][self.metric] for f in folds] for n in names}
        wins = {n: sum(f.best == n for f in folds) for n in names}
        self.rows = [{"model": n, "mean": float(np.mean(values[n])), "low": min(values[n]), "high": max(values[n]), "wins": wins[n],
                      **{f"fold {i + 1}": v for i, v in enumerate(values[n])}} for n in sorted(names, key=lambda n: -np.mean(values[n]))]

    @property
    def best(self) -> str:
        """The name of the model with the highest mean over folds; `wins` says in how many of them it was the best."""
        return self.rows[0]["model"]

    def to_frame(self):
        """One row a fold, model and metric: a pandas DataFrame, or a dict of lists where pandas is not installed."""
        rows = [(i, n, m, e[m], e["users"]) for i, f in enumerate(self.folds) for n, e in f.evaluations.items() for m in e.metrics]
        columns = dict(zip(("fold", "model", "metric", "value", "users"), map(list, zip(*rows))))
        try:
            import pandas
        except ImportError:
            return columns
        return pandas.DataFrame(columns)

    def _shown(self) -> dict[str, list[str]]:
        return {c: [_text(c, row[c]) for row in self.rows] for c in self.rows[0]}

    def _repr_html_(self) -> str:
        return html_table(self._shown())

    def __repr__(self) -> str:
        shown = self._shown()
        widths = {c: max(len(c), *map(len, values)) for c, values in shown.items()}
        lines = [f"{self.metric} over {len(self.folds)} folds", "  ".join(c.rjust(w) for c, w in widths.items())]
        return "\n".join(lines + ["  ".join(shown[c][j].rjust(w) for c, w in widths.items()) for j in range(len(self.rows))])

    __str__ = __repr__


def compare_folds(models: Mapping, folds: Iterable[Split], k=(10, 20), metrics=("recall", "ndcg"), *, recipe=None, params=None,
                  **options) -> FoldComparison:
    """compare() on each of several splits, models fitted anew on every train part.

    models    {name: model}, not fitted: instances or classes of etalage's models
    folds     what split.rolling() gives, or any splits
    k, metrics, recipe, params, options   as in compare()

    A mean over folds says what a shop would have had; low and high are the worst and the best fold, not an interval of the mean,
    for folds share shoppers and history.
    """
    folds = list(folds)
    if not folds or not all(isinstance(f, Split) for f in folds):
        raise TypeError("folds is empty or holds what is no Split, must hold what evaluation.split makes")
    for name, model in models.items() if isinstance(models, Mapping) else ():
        if getattr(model, "_model", None) is not None and hasattr(model, "get_params") and trainable(model):
            raise ValueError(f"models[{name!r}] is fitted, must not be: it is fitted on each fold's train part")
    return FoldComparison([compare(models, f.train, f.test, k, metrics, recipe=recipe, params=params, **options) for f in folds])
