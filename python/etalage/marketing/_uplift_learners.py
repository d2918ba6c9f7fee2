# SPDX-License-Identifier: Apache-2.0
"""Learners of uplift: whom a treatment moves. Each takes any scikit-learn regressor or classifier, or a ridge regression of its own."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from .. import _core
from .._arrays import real_number, reals, whole_number


class Ridge:
    """Ridge regression on standardised features, the intercept free: the learners' own model, so that none needs scikit-learn."""

    def __init__(self, l2: float = 1.0) -> None:
        self.l2 = l2

    def fit(self, X: np.ndarray, y: np.ndarray) -> Ridge:
        self._mean = X.mean(axis=0)
        scale = X.std(axis=0)
        self._scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 1e-12 * (1 + np.abs(self._mean)))
        z = (X - self._mean) * self._scale
        self._intercept = float(y.mean())
        centre = z.mean(axis=0)
        self._w = np.linalg.solve(z.T @ (z - centre) + self.l2 * np.eye(z.shape[1]), z.T @ (y - self._intercept)) if z.shape[1] else np.zeros(0)
        self._intercept -= float(centre @ self._w)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self._intercept + ((X - self._mean) * self._scale) @ self._w


def _new(model: Any) -> Any:
    if model is None:
        return Ridge()
    if hasattr(model, "get_params") and hasattr(model, "fit"):
        try:
            from sklearn.base import clone
        except ImportError:
            return copy.deepcopy(model)
        return clone(model)
    if not (hasattr(model, "fit") and hasattr(model, "predict")):
        raise TypeError(f"model is {type(model).__name__}, must have fit and predict")
    return copy.deepcopy(model)


def _expected(fitted: Any, X: np.ndarray) -> np.ndarray:
    """Expected outcome, of a classifier as well."""
    if hasattr(fitted, "predict_proba") and hasattr(fitted, "classes_"):
        return fitted.predict_proba(X) @ np.asarray(fitted.classes_, dtype=np.float64)
    return np.asarray(fitted.predict(X), dtype=np.float64)


def checked(X: Any, treatment: Any, outcome: Any, control: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """Features [n, d], number of the arm [n] with 0 the control, outcome [n], names of the treatments."""
    x = features(X)
    labels = np.asarray(treatment)
    y = reals(outcome, "outcome")
    if isinstance(treatment, np.ma.MaskedArray) and np.ma.is_masked(treatment):
        raise ValueError(f"treatment is masked at {int(np.flatnonzero(np.ma.getmaskarray(treatment))[0])}, must have a label in every place")
    if labels.shape != (len(x),) or y.shape != (len(x),) or len(x) == 0:
        raise ValueError(f"treatment has shape {labels.shape} and outcome {y.shape}, must be ({len(x)},) as the rows of X, at least 1")
    for name, a in (("outcome", y), ("X", x)):
        if not np.isfinite(a).all():
            raise ValueError(f"{name} holds nan or infinity, must be finite")
    names = list(dict.fromkeys(labels.tolist()))
    if control not in names:
        raise ValueError(f"treatment has nobody with {control!r}, must have a control: {', '.join(map(repr, names[:5]))} alone says nothing of an effect")
    treatments = sorted((name for name in names if name != control), key=lambda name: (str(type(name)), name))
    if not treatments:
        raise ValueError(f"treatment is {control!r} throughout, must have a treated row")
    number = {control: 0, **{name: k + 1 for k, name in enumerate(treatments)}}
    arms = np.array([number[label] for label in labels.tolist()], dtype=np.int32)
    return x, arms, y, treatments


def features(X: Any) -> np.ndarray:
    try:
        x = reals(X, "X")
    except TypeError as error:
        raise TypeError(f"{error}; code categories as columns of 0 and 1") from None
    if x.ndim != 2:
        raise ValueError(f"X has shape {x.shape}, must be [n, features]")
    return x


class Learner:
    """fit(X [n, d], treatment [n], outcome [n]) -> self; predict(X) -> uplift [n] of one treatment, [n, treatments] of several.

    model       any scikit-learn regressor or classifier; by default a ridge regression
    control     the label in `treatment` of those who got nothing
    outcome     yes/no or money; uplift is in its unit
    After fit: treatments_, the labels in the order of the columns.
    """

    def __init__(self, model: Any = None, *, control: Any = 0) -> None:
        self.model = model
        self.control = control
        self._fitted = False

    def fit(self, X: Any, treatment: Any, outcome: Any) -> Any:
        """X: features [n, d]; treatment [n], what each got; outcome [n]."""
        x, arms, y, self.treatments_ = checked(X, treatment, outcome, self.control)
        self._features = x.shape[1]
        self._fit(x, arms, y)
        self._fitted = True
        return self

    def predict(self, X: Any) -> np.ndarray:
        """X: features [n, d]. The effect of each treatment on each row, as the class says."""
        if not self._fitted:
            raise _core.NotFittedError(f"{type(self).__name__} was asked before it was fitted: call fit() first")
        x = features(X)
        if x.shape[1] != self._features:
            raise ValueError(f"X has {x.shape[1]} columns, must have {self._features} as in fit")
        if not np.isfinite(x).all():
            raise ValueError("X holds nan or infinity, must be finite")
        out = self._predict(x)
        return out[:, 0] if out.shape[1] == 1 else out

    def _fit(self, x: np.ndarray, arms: np.ndarray, y: np.ndarray) -> None:
        raise NotImplementedError

    def _predict(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class SLearner(Learner):
    """One model with the treatment as a feature (and, for the ridge regression, its products with all others). Draws effects towards
    none: good where they are small, blind where a model leaves the treatment out."""

    def _rows(self, x: np.ndarray, arms: np.ndarray) -> np.ndarray:
        one_hot = np.eye(len(self.treatments_) + 1)[arms][:, 1:]
        products = [x * one_hot[:, [k]] for k in range(one_hot.shape[1])] if self.model is None else []
        return np.hstack([x, one_hot, *products])

    def _fit(self, x, arms, y):
        self._model = _new(self.model).fit(self._rows(x, arms), y)

    def _predict(self, x):
        under = [_expected(self._model, self._rows(x, np.full(len(x), k))) for k in range(len(self.treatments_) + 1)]
        return np.stack([u - under[0] for u in under[1:]], axis=1)


class TLearner(Learner):
    """A model for each arm, and their difference. The baseline: the errors of both add up."""

    def _fit(self, x, arms, y):
        self._models = [_new(self.model).fit(x[arms == k], y[arms == k]) for k in range(len(self.treatments_) + 1)]

    def _predict(self, x):
        base = _expected(self._models[0], x)
        return np.stack([_expected(m, x) - base for m in self._models[1:]], axis=1)


class XLearner(Learner):
    """Effects imputed from the other arm's model and learned themselves (Kuenzel, Sekhon, Bickel, Yu, PNAS 2019), weighed by the share
    of the treated. For arms of very unequal size. effect_model: of the imputed effects, a regressor; by default `model`, or the ridge
    regression where that is a classifier."""

    def __init__(self, model: Any = None, *, effect_model: Any = None, control: Any = 0) -> None:
        super().__init__(model, control=control)
        self.effect_model = effect_model

    def _effects(self) -> Any:
        return _new(self.effect_model if self.effect_model is not None else None if hasattr(self.model, "predict_proba") else self.model)

    def _fit(self, x, arms, y):
        base = _new(self.model).fit(x[arms == 0], y[arms == 0])
        self._models = []
        for k in range(1, len(self.treatments_) + 1):
            own, none = arms == k, arms == 0
            treated = _new(self.model).fit(x[own], y[own])
            of_treated = self._effects().fit(x[own], y[own] - _expected(base, x[own]))
            of_others = self._effects().fit(x[none], _expected(treated, x[none]) - y[none])
            self._models.append((own.sum() / (own.sum() + none.sum()), of_treated, of_others))

    def _predict(self, x):
        return np.stack([g * _expected(others, x) + (1 - g) * _expected(own, x) for g, own, others in self._models], axis=1)


class DRLearner(Learner):
    """Doubly robust pseudo-outcomes, cross-fitted, and a regression on them (Kennedy, 2020): right where the propensities or the models
    of the arms are.

    propensities    [n, treatments + 1] given to fit by `fit(..., propensities=)`, the control first; by default the arms' shares, as
                    in a randomised experiment
    effect_model    as of XLearner; folds, seed: of the cross-fitting
    """

    def __init__(self, model: Any = None, *, effect_model: Any = None, control: Any = 0, folds: int = 3, seed: int = 0) -> None:
        super().__init__(model, control=control)
        self.effect_model = effect_model
        self.folds = whole_number(folds, "folds")
        self.seed = whole_number(seed, "seed", bits=64, signed=False)

    _effects = XLearner._effects

    def fit(self, X: Any, treatment: Any, outcome: Any, *, propensities: Any = None) -> Any:
        """X: features [n, d]; treatment [n], what each got; outcome [n]; propensities: the probability of what each got, None: the shares."""
        self._propensities = propensities
        try:
            return super().fit(X, treatment, outcome)
        finally:
            del self._propensities

    def _fit(self, x, arms, y):
        if self.folds < 2:
            raise ValueError(f"folds is {self.folds}, must be at least 2")
        count = len(self.treatments_) + 1
        if self._propensities is None:
            e = np.tile(np.bincount(arms, minlength=count) / len(arms), (len(x), 1))
        else:
            e = reals(self._propensities, "propensities")
            if e.shape != (len(x), count) or not ((e > 0) & (e < 1)).all():
                raise ValueError(f"propensities has shape {e.shape}, must be ({len(x)}, {count}), the control first, each in (0, 1)")
        # Each arm is cut evenly: no fold is left without one of them.
        rng = np.random.default_rng(self.seed)
        fold = np.empty(len(x), dtype=np.int64)
        for k in range(count):
            rows = rng.permutation(np.flatnonzero(arms == k))
            if len(rows) < self.folds:
                raise ValueError(f"treatment has {len(rows)} rows of an arm, must have at least folds = {self.folds} of each")
            fold[rows] = np.arange(len(rows)) % self.folds
        mu = np.empty((len(x), count))
        for f in range(self.folds):
            held = fold == f
            for k in range(count):
                learn = ~held & (arms == k)
                mu[held, k] = _expected(_new(self.model).fit(x[learn], y[learn]), x[held])
        robust = mu.copy()
        rows = np.arange(len(x))
        robust[rows, arms] += (y - mu[rows, arms]) / e[rows, arms]
        self._models = [self._effects().fit(x, robust[:, k] - robust[:, 0]) for k in range(1, count)]

    def _predict(self, x):
        return np.stack([_expected(m, x) for m in self._models], axis=1)


class LinearUplift(Learner):
    """A ridge regression for each arm, compiled: saved to a file, loaded by C++, one dot product a treatment when serving.

    coefficients_ [treatments, d + 1], the intercept last.
    l2: penalty of the weights, >= 0.
    """

    def __init__(self, l2: float = 1.0, *, control: Any = 0) -> None:
        super().__init__(None, control=control)
        self.l2 = l2

    def _fit(self, x, arms, y):
        self._core = _core.LinearUplift()
        self._core.fit(x, arms, y, real_number(self.l2, "l2"))

    def _predict(self, x):
        return self._core.predict(x)

    @property
    def coefficients_(self) -> np.ndarray:
        """float64 [treatments, d + 1], the intercept last."""
        if not self._fitted:
            raise _core.NotFittedError("LinearUplift was asked before it was fitted: call fit() first")
        return self._core.coefficients

    def save(self, path: Any) -> None:
        """Writes the coefficients; C++ reads them by load_linear_uplift. The labels of the treatments are not in the file."""
        if not self._fitted:
            raise _core.NotFittedError("LinearUplift was asked before it was fitted: call fit() first")
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: Any) -> LinearUplift:
        """What save() wrote, from Python or C++; treatments_ are 1, 2, ... then. FormatError for anything else."""
        self = cls()
        self._core = _core.LinearUplift.load(os.fspath(path))
        self._features = self._core.num_features
        self.treatments_ = list(range(1, self._core.num_treatments + 1))
        self._fitted = True
        return self

    def __getstate__(self):
        state = self.__dict__.copy()
        if "_core" in state:
            state["_core"] = state["_core"].to_bytes()
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        if "_core" in state:
            self._core = _core.LinearUplift.from_bytes(state["_core"])
