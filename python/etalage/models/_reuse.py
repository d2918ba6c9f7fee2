# SPDX-License-Identifier: Apache-2.0
"""Models that were handed in, as comparisons and blends may use them: copies, and never with a fit on other data."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping

from .. import _core
from . import _arguments as arg
from ._base import Recommender


def prepared(model, train, test, name, params=None):
    """(model, fit): a model of etalage as a copy, and "here" where it is still to be fitted, "anew" where it came fitted on
    other data and its copy is not fitted any more, "as given" where it may be used as it is. Others come back as they are."""
    given = _parameters(params, name)
    if isinstance(model, type) and issubclass(model, Recommender):
        try:
            model = model()
        except TypeError as e:
            raise TypeError(f"models[{name!r}] is the class {model.__name__}, must be an instance: {e}") from None
    if not isinstance(model, Recommender):
        if isinstance(params, Mapping) and name in params:
            raise ValueError(f"params has {name!r}, which is {arg.describe(model)}, must name models of etalage")
        return model, "as given"
    if not trainable(model):
        model._fitted()
        return model, "as given"
    if model._model is not None and given is None:
        is_train, leaked = fit_check(model, train, test)
        if is_train:
            return model, "as given"
        if leaked:
            raise ValueError(f"models[{name!r}] was fitted on {leaked} of the pairs that test asks for, must be fitted on train alone "
                             "or not at all")
        if _has_features(model):
            raise ValueError(f"models[{name!r}] was fitted with features on other data than train, must be fitted on train: its features "
                             "are not known here")
    new = unfitted(model, train, given)
    if model._model is None:
        return new, "here"
    if getattr(new, "weights", 0) is None:
        new.weights = list(model.weights_.values())  # of a blend: what it learned, which no fit on train alone would
    return new, "anew"


def _has_features(model):
    return any(len(getattr(model._model, n, ())) for n in ("user_feature_factors", "item_feature_factors"))


def trainable(model):
    """Whether fit() takes data; vectors from elsewhere come fitted."""
    parameters = inspect.signature(model.fit).parameters
    return "data" in parameters or "train" in parameters


def unfitted(model, train=None, params=None):
    """A copy without its fit, so that nothing of it is gone on from, with other parameters."""
    new = copy.copy(model)
    new._model = None
    if isinstance(params, str):
        from ..tuning import defaults

        own = inspect.signature(type(new).__init__).parameters
        params = {n: v for n, v in defaults(new, train).items() if getattr(new, n) == own[n].default}
    if params:
        new.set_params(**params)
    return new


def _parameters(params, name):
    if params is None or isinstance(params, str) and params == "auto":
        return params
    if isinstance(params, Mapping):
        return params.get(name)
    raise ValueError(f"params is {arg.describe(params)}, must be None, 'auto' or {{name: parameters}}")


def fit_check(model, train, test=None):
    """(whether a fitted model's pairs are those of train, how many pairs to be found in test its fit held)."""
    core, data = model._fitted(), _pairs(model, train)
    if test is None:
        return core.fitted_on is not None and core.fitted_on == _core.pair_hash(data), 0
    if not isinstance(test, _core.Interactions):
        test = test.interactions() if isinstance(test, _core.EventLog) else _core.Interactions.from_csr(arg.rows(test, "test"))
    _, is_train, leaked = _core.check_fit(core, data, test)
    return is_train, leaked


def _pairs(model, train):
    """train in the form that the model is fitted on, as Interactions or Sequences."""
    try:
        data = model._training_data(train, model.recipe)
    except NotImplementedError:
        data = train  # what it does not take it was not fitted on
    if isinstance(data, _core.EventLog):
        data = data.interactions()
    return data if isinstance(data, (_core.Interactions, _core.Sequences)) else _core.Interactions.from_csr(data)
