# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import os
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._arrays import asarray, whole_number
from .._catalogs import as_catalog
from .._times import to_ms
from . import _trees
from ._profiles import Profiles


class IntentEvaluation(Mapping):
    """r["auc"], r["log_loss"], r["brier"], r["calibration_error"], r["examples"], r["positives"]; what each moment got in
    probabilities, labels, users and times; bins (low, high, count, mean predicted, share observed), the reliability curve.

    calibration_error is the expected one: over bins of equally many moments, the mean distance of predicted and observed.
    """

    def __init__(self, fields):
        self._summary = fields["summary"]
        self.bins = self._summary.pop("bins")
        self.probabilities = fields["probabilities"]
        self.labels = fields["labels"]
        self.users = fields["users"]
        self.times = fields["times"].astype("datetime64[ms]")

    def __getitem__(self, name):
        return self._summary[name]

    def __iter__(self):
        return iter(self._summary)

    def __len__(self):
        return len(self._summary)

    def _resampled(self, statistic, resamples, seed):
        """statistic(rows) over bootstrap samples of shoppers: one's moments hang together and stay together."""
        order = np.argsort(self.users, kind="stable")
        _, begins = np.unique(self.users[order], return_index=True)
        groups = np.split(order, begins[1:])
        rng = np.random.default_rng(whole_number(seed, "seed", bits=64, signed=False))
        out = []
        for _ in range(whole_number(resamples, "resamples", low=1)):
            rows = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
            out.append(statistic(rows))
        return np.array(out)

    def interval(self, metric="auc", confidence=0.95, resamples=200, seed=0):
        """Bootstrap interval of a metric, shoppers resampled whole."""
        def one(rows):
            return _core.evaluate_probabilities(self.probabilities[rows], self.labels[rows])[metric]

        tail = (1 - confidence) / 2
        return tuple(np.nanquantile(self._resampled(one, resamples, seed), [tail, 1 - tail]))

    def compare(self, other, metric="auc", confidence=0.95, resamples=200, seed=0):
        """(difference to another evaluation of the same moments, low, high): paired bootstrap, shoppers resampled whole.

        other: an IntentEvaluation; metric: "auc", "log_loss", "brier" or "calibration_error".
        """
        if not (np.array_equal(self.users, other.users) and np.array_equal(self.times, other.times)):
            raise ValueError("other was evaluated at other moments, must be at the same ones")

        def one(rows):
            a, b = (_core.evaluate_probabilities(e.probabilities[rows], e.labels[rows])[metric] for e in (self, other))
            return a - b

        tail = (1 - confidence) / 2
        low, high = np.nanquantile(self._resampled(one, resamples, seed), [tail, 1 - tail])
        return self[metric] - other[metric], low, high

    def plot(self, ax=None, label=None):
        """The reliability curve, with the size of the bins below it; returns the axes. Needs matplotlib."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError("plot needs matplotlib: pip install matplotlib") from None
        if ax is None:
            _, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
        predicted = [b[3] for b in self.bins]
        observed = [b[4] for b in self.bins]
        errors = [1.96 * np.sqrt(max(o * (1 - o), 1e-9) / b[2]) for o, b in zip(observed, self.bins)]
        top = min(1.0, 1.1 * max([*predicted, *observed, 0.01]))
        ax.plot([0, top], [0, top], color="#999999", linewidth=1, linestyle="--")
        ax.errorbar(predicted, observed, yerr=errors, marker="o", markersize=4, capsize=2, linewidth=1.2,
                    label=label or f"ECE {self['calibration_error']:.3f}, AUC {self['auc']:.3f}")
        ax.set_xlabel("predicted probability of a purchase")
        ax.set_ylabel("share that bought, 95 % interval")
        ax.legend(loc="upper left", frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    def __repr__(self):
        return (f"IntentEvaluation({self['examples']} moments, {self['positives']} with a purchase, auc={self['auc']:.4f}, "
                f"log_loss={self['log_loss']:.4f}, calibration_error={self['calibration_error']:.4f})")


class PurchaseIntent:
    """The probability that a shopper, or a session, buys within a horizon.

    unit            "shopper": asked at cut-offs step_days apart; "session": asked at each event of a visit
    horizon_days    a purchase in (now, now + horizon] is what is predicted
    step_days       between cut-offs; 0 means horizon_days. warmup_days: no moment before the log's begin and this
    max_idle_days   leaves out shoppers whose last event is longer ago; 0 keeps all
    model           "logistic": regularised, with `knots` bends a feature; "boosting": trees of scikit-learn or, with
                    library="lightgbm", of LightGBM, needed to train and not to predict; boosting_options go to it
    features        "all", or "rfm": recency, frequency and money alone, the model to beat
    calibration     "platt", "isotonic" or "none", on the latest calibration_share of the time
    l2, knots, max_iterations       of the regression
    max_examples    a fixed sample where there are more; seed: of the sample and of the trees
    profile_options what Profiles takes: roles, value_is_amount, ...
    """

    def __init__(self, unit="shopper", horizon_days=7.0, *, step_days=0.0, warmup_days=0.0, max_idle_days=0.0, model="logistic",
                 features="all", calibration="platt", calibration_share=0.1, l2=10.0, knots=3, max_iterations=50, max_examples=100000,
                 seed=42, num_threads=0, library="scikit-learn", boosting_options=None, profile_options=None):
        self.unit, self.horizon_days, self.step_days, self.warmup_days = unit, horizon_days, step_days, warmup_days
        self.max_idle_days, self.model, self.features, self.calibration = max_idle_days, model, features, calibration
        self.calibration_share, self.l2, self.knots, self.max_iterations = calibration_share, l2, knots, max_iterations
        self.max_examples, self.seed, self.num_threads, self.library = max_examples, seed, num_threads, library
        self.boosting_options, self.profile_options = boosting_options, profile_options
        self._core = None
        self._catalog = None
        self._new()

    @classmethod
    def _names(cls):
        return [n for n in inspect.signature(cls.__init__).parameters if n != "self"]

    def get_params(self, deep=True):
        """The constructor's parameters, as scikit-learn reads them."""
        return {name: getattr(self, name) for name in self._names()}

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        return f"PurchaseIntent({', '.join(f'{n}={v!r}' for n, v in self.get_params().items() if v != defaults[n].default)})"

    def _new(self):
        for name, value, known in (("model", self.model, ("logistic", "boosting")), ("library", self.library, ("scikit-learn", "lightgbm"))):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, must be one of {', '.join(map(repr, known))}")
        profile = dict(self.profile_options or {})
        Profiles._check(profile)
        python_only = ("model", "library", "boosting_options", "profile_options")
        return _core.PurchaseIntent({n: v for n, v in self.get_params().items() if n not in python_only}, profile)

    def fit(self, log, catalog=None, *, horizon_days=None):
        """Learns from an EventLog with times; returns self. catalog: an etalage.Catalog. Moments whose horizon ends after
        the log's last event are left out, so a log cut at a time holds nothing of what comes later."""
        if horizon_days is not None:
            self.horizon_days = horizon_days
        catalog = as_catalog(catalog)
        core = self._new()
        if self.model == "logistic":
            core.fit(log, catalog)
        else:
            if self.features == "rfm":
                raise ValueError("features is 'rfm', must be 'all' with model='boosting'")
            e = core.examples(log, catalog)
            training, held = e["training"], e["calibration"]
            if not len(training) or not len(held):
                raise ValueError(f"log has {len(e['labels'])} moments, {len(training)} to train and {len(held)} to calibrate, must have both: "
                                 "give a longer log, or shorten horizon_days or step_days")
            trees, _ = _trees.grow(e["features"][training], e["labels"][training], self.library, self.seed, dict(self.boosting_options or {}))
            core.set_trees(trees, e["features"][held], e["labels"][held])
        self._core, self._catalog = core, catalog
        return self

    def _fitted(self):
        if self._core is None:
            raise _core.NotFittedError("PurchaseIntent is not fitted; call fit() first")
        return self._core

    @property
    def report(self):
        """What the fit did: training and calibration moments and those with a purchase, iterations, gradient, ..."""
        return self._fitted().report

    @property
    def feature_names(self):
        """Names of the features, in the order of their columns."""
        return _core.intent_feature_names()

    def examples(self, log, catalog=None, since=None):
        """The moments of a log: features float32 (n, d), labels, users, times; for models of your own."""
        e = (self._core or self._new()).examples(log, as_catalog(catalog) or self._catalog, None if since is None else to_ms(since, "since"))
        e["times"] = e["times"].astype("datetime64[ms]")
        return e

    def evaluate(self, log, catalog=None, since=None, bins=10):
        """IntentEvaluation over the moments of a log from `since` on. The log must hold what came before, too.

        bins: of the reliability curve and of the calibration error.
        """
        core = self._fitted()
        return IntentEvaluation(core.evaluate(log, as_catalog(catalog) or self._catalog, None if since is None else to_ms(since, "since"), whole_number(bins, "bins")))

    def walk_forward(self, log, catalog=None, since=None, refit_days=28.0):
        """IntentEvaluation of a model that is refitted every refit_days, as a shop would: each moment from `since` on is judged
        by the last fit before it, which saw nothing later. `self` stays as it is. Needs `since`."""
        begin, step = to_ms(since, "since"), round(refit_days * 86_400_000)
        if step <= 0:
            raise ValueError(f"refit_days is {refit_days}, must be > 0")
        last = int(log.times.max()) - round(self.horizon_days * 86_400_000)
        parts = []
        while begin <= last:
            model = type(self)(**self.get_params()).fit(log.filtered(log.times <= begin), as_catalog(catalog) or self._catalog)
            e = model._core.evaluate(log, model._catalog, begin, 10)
            chosen = e["times"] < begin + step
            parts.append({n: e[n][chosen] for n in ("probabilities", "labels", "users", "times")})
            begin += step
        if not parts or not sum(len(p["labels"]) for p in parts):
            raise ValueError(f"since is {since}, must be a horizon before the log's end")
        fields = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        return IntentEvaluation({**fields, "summary": _core.evaluate_probabilities(fields["probabilities"], fields["labels"])})

    def predict(self, profiles, user_index=None, now=None):
        """Probabilities float64 (n,) for shoppers of Profiles, all by default; a scalar index gives a number. now: by default
        the newest event.
        profiles: Profiles, made with the same options.
        """
        core = self._fitted()
        one = user_index is not None and np.ndim(user_index) == 0
        users = np.arange(len(profiles), dtype=np.int32) if user_index is None else np.atleast_1d(asarray(user_index, "user_index")).astype(np.int32, casting="same_kind")
        out = core.predict(profiles._core, users, profiles._now(now))
        return float(out[0]) if one else out

    def predict_features(self, features):
        """Probabilities for rows of features, float32 (n, len(feature_names))."""
        return self._fitted().predict_features(features)

    def explain(self, profiles, user_index, now=None):
        """{feature: what it adds to ln(p / (1 - p))}, the largest first; of the regression.

        profiles: Profiles that have the shopper.
        """
        parts = self._fitted().explain(profiles._core, whole_number(user_index, "user_index"), profiles._now(now))
        order = np.argsort(-np.abs(parts), kind="stable")
        return {self.feature_names[i]: float(parts[i]) for i in order}

    def save(self, path):
        """Writes a file that PurchaseIntent.load, etalage.load and the C++ library read."""
        self._fitted().save(os.fspath(path))

    @classmethod
    def load(cls, path, verify="full"):
        """Opens a file that save() wrote."""
        return cls._from_core(_core.PurchaseIntent.load(os.fspath(path), verify))

    @classmethod
    def _from_core(cls, core):
        self = cls(**core.options)
        self.model = "boosting" if core.has_trees else "logistic"
        self._core = core
        return self

    def __getstate__(self):
        return {**self.__dict__, "_catalog": None, "_core": None if self._core is None else self._core.to_bytes()}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if state["_core"] is not None:
            self._core = _core.PurchaseIntent.from_bytes(state["_core"])
