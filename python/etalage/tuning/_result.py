# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

from .. import _core


class SearchResult:
    """What a search found.

    best_params   every parameter that the search set, as the best trial had it
    best_value    its metric on valid
    metric        the metric's name
    model         a new model with these parameters, not fitted; result.fit(data) fits one, usually on train + valid
    trials        a list of dicts in order: number, params, value (None when pruned before the end or failed), state
                  ("complete", "pruned", "failed"), seconds, values (the metric after each stage), origin, error
    study         the optuna study, for its own plots
    recipe        the etalage.Recipe of the search, which fit() goes on with where data is a log; None without one
    stopped       "budget" or "callback"
    """

    def __init__(self, model, metric, trials, study, stopped, recipe=None):
        self.recipe = recipe
        self.metric, self.trials, self.study, self.stopped = metric, trials, study, stopped
        complete = [t for t in trials if t["state"] == "complete"]
        if not complete:
            reasons = {t["error"] for t in trials if t["error"]}
            raise RuntimeError(f"none of the {len(trials)} trials ran to its end" + (f": {'; '.join(sorted(reasons))}" if reasons else ""))
        best = max(complete, key=lambda t: (t["value"], -t["number"]))
        self.best_params, self.best_value, self.best_trial = dict(best["params"]), best["value"], best["number"]
        self._model = model

    @property
    def model(self):
        """The model searched for, unfitted, with the best parameters."""
        new = copy.copy(self._model)
        new._model = None
        return new.set_params(**self.best_params)

    def fit(self, data, **options):
        """A model with the best parameters, fitted on data; of a log by the recipe of the search. options: as fit() takes them."""
        if self.recipe is not None and isinstance(data, _core.EventLog):
            options.setdefault("recipe", self.recipe)
        return self.model.fit(data, **options)

    def to_dict(self) -> dict[str, list]:
        """One list a column: number, state, the metric, seconds, origin, and each parameter."""
        names = list(dict.fromkeys(n for t in self.trials for n in t["params"]))
        out = {"number": [], "state": [], self.metric: [], "seconds": [], "origin": [], **{n: [] for n in names}}
        for t in self.trials:
            for column, value in (("number", t["number"]), ("state", t["state"]), (self.metric, t["value"]), ("seconds", t["seconds"]),
                                  ("origin", t["origin"]), *((n, t["params"].get(n)) for n in names)):
                out[column].append(value)
        return out

    def to_pandas(self):
        """The same as a pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install etalage[pandas]") from None
        return pandas.DataFrame(self.to_dict())

    def plot(self, path=None, ax=None):
        """Each trial's metric in order, and the best so far; saved to `path` if given. Returns the matplotlib axes."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("plot needs matplotlib: pip install etalage[plot]") from None
        if ax is None:
            ax = Figure(figsize=(6, 3.2), layout="constrained").add_subplot()
        best, reached = [], float("-inf")
        for t in self.trials:
            last = t["value"] if t["value"] is not None else (t["values"][-1] if t["values"] else None)
            if last is not None:
                ax.plot(t["number"], last, "o" if t["state"] == "complete" else "x",
                        color="#4477aa" if t["state"] == "complete" else "#bbbbbb", markersize=5)
            reached = max(reached, t["value"] if t["value"] is not None else reached)
            best.append(reached if reached > float("-inf") else None)
        ax.plot([t["number"] for t in self.trials], [float("nan") if b is None else b for b in best], color="#cc6677", linewidth=1.5,
                label="best so far")
        ax.set_xlabel("trial (crosses were pruned)")
        ax.set_ylabel(f"{self.metric} on valid")
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
        if path is not None:
            ax.figure.savefig(path, dpi=130)
        return ax

    def __repr__(self):
        states = [t["state"] for t in self.trials]
        parts = ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v!r}" for n, v in self.best_params.items())
        return (f"SearchResult({self.metric}={self.best_value:.4f} in trial {self.best_trial} of {len(states)} "
                f"({states.count('pruned')} pruned, {states.count('failed')} failed): {parts})")
