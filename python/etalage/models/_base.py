# SPDX-License-Identifier: Apache-2.0
"""The interface that all models share."""

from __future__ import annotations

import copy
import inspect
import os
import threading

import numpy as np

from .. import _core
from .._arrays import asarray
from .._option_rules import documented
from .._recipe import Recipe, for_logs
from . import _arguments as arg
from ._by_key import ByKey, known_lists
from ._progress import progress
from ._recommend_frame import RecommendFrame

_KINDS: dict = {}


class Recommender(ByKey, RecommendFrame):
    """Every model: fit, recommend, similar items and users, explain, save.

    A scalar index gives arrays of shape (k,), an array of n indices (n, k). Results are int32 indices and float32
    scores, higher is better, ties by lower index; rows with fewer than k results end in -1 and -inf. A call that a model
    does not have raises NotImplementedError.

    user_index, item_index   one index or an array; None for people unknown to the model, where the call says so
    user_ids, item_ids, keys (user_id, item_id where it is one)   the same by the shop's keys, in the calls named *_ids
    user_items, item_users   CSR rows of those asked for, in place of the kept ones
    session_items, session_ids   a list of items, oldest first, or a list of such lists
    filter_items, items      never, or alone, to be recommended: one list for all, or one a row
    filter_already_liked_items   leave out what the user, or the session, has
    recalculate_user         take the taste from user_items instead of from the fit
    keep_history             keep the fitted rows in the model; without them user_items must be given
    num_threads              0 means all CPUs of this process

    A model is on the outside a set of parameters and on the inside a compiled model that fit() makes anew: results and
    arrays handed out stay valid whatever happens to the model. partial_fit_*(), add_*() and the like change the compiled
    model where nobody else holds it, and else a copy that shares what does not change: any number of threads may ask
    meanwhile, and a snapshot, a Blend or a source that took the model keeps it as it was.
    """

    _kind: str
    _core_class: type
    _model = None
    # Whether scores come from the history itself, so that no question can be answered without rows.
    _needs_history = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "_kind" in cls.__dict__:
            _KINDS[cls._kind] = cls
            cls.__doc__ = documented(cls.__doc__, cls.param_rules())

    # Parameters

    @classmethod
    def _parameter_names(cls):
        return [n for n in inspect.signature(cls.__init__).parameters if n != "self"]

    def get_params(self, deep=True):
        """The constructor's parameters, as scikit-learn reads them."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    @classmethod
    def param_rules(cls):
        """What each parameter must be, in words: {"factors": "in [1, 4096]", "solver": "cholesky, cg or subspace", ...}; "" for
        anything of its type. Errors, the command line and docstrings say the same, and the library checks by it. {} for models
        without such a list."""
        rules = getattr(getattr(cls, "_core_class", None), "rules", dict)()
        return {name: rules[name] for name in cls._parameter_names() if name in rules}

    def set_params(self, **params):
        """Changes parameters (params: by name); the next fit uses them; returns self."""
        before = self.get_params()
        for name in params:
            if name not in before:
                raise ValueError(f"{name} is no parameter of {type(self).__name__}, must be one of {', '.join(before)}")
        try:
            for name, value in params.items():
                setattr(self, name, value)
            self._validate()
        except Exception:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        return self

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        given = (f"{n}={v!r}" for n, v in self.get_params().items() if v is not defaults[n].default and v != defaults[n].default)
        return f"{type(self).__name__}({', '.join(given)})"

    def _options(self):
        return self.get_params()

    def _new(self):
        return self._core_class(self._options())

    def _validate(self):
        self._new()

    # Fitting

    def _training_data(self, data, recipe=None):
        """Interactions, or anything that reads as a users x items matrix."""
        if isinstance(data, _core.EventLog):
            return (recipe or Recipe()).interactions(data)
        if isinstance(data, _core.Sequences):
            raise NotImplementedError(
                f"{type(self).__name__}.fit does not take Sequences; fit it on Interactions or a CSR matrix")
        return arg.rows(data, "data") if not isinstance(data, _core.Interactions) else data

    def fit(self, data, show_progress=False, callback=None, *, keep_history=None, recipe=None):
        """Fits on Interactions, an EventLog or a users x items CSR matrix; returns self.

        data           Interactions and logs leave both id maps and, unless keep_history is False, their rows in the model. A
                       matrix leaves neither
        show_progress  a bar on a terminal and in a notebook, a line a minute into a file
        callback       callback(progress) returning False stops after the current sweep and keeps it
        keep_history   None: as the model's parameter of that name says, else True
        recipe         an etalage.Recipe: how a log becomes what the model is fitted on; None means interactions() as it
                       stands. The model keeps it, in its file too: model.recipe

        Where an exception or Ctrl-C ends the fit the model stays as it was.
        """
        data = self._training_data(data, for_logs(recipe, data))
        model = self._new()
        with progress(type(self).__name__, show_progress, callback) as report:
            self._fit(model, data, report)
        keep = getattr(self, "keep_history", True) if keep_history is None else keep_history
        if not keep or not isinstance(data, (_core.Interactions, _core.EventLog, _core.Sequences)):
            model.set_history(None)
        self._keep_recipe(model, getattr(data, "recipe", None))
        self._model = model
        return self

    @staticmethod
    def _keep_recipe(model, recipe):
        model.recipe = "" if recipe is None else recipe.to_json()

    @property
    def recipe(self):
        """The etalage.Recipe by which the events became what the model was fitted on; None where it was a matrix of which
        nobody said."""
        text = self._fitted().recipe
        return Recipe.from_json(text) if text else None

    def _fit(self, model, data, callback):
        model.fit(data, callback)

    def _fitted(self):
        if self._model is None:
            raise _core.NotFittedError(f"{type(self).__name__} is not fitted; call fit() first")
        return self._model

    def _change(self, change):
        """change(compiled model) gives the compiled model that has the change, as a rule a copy; it is put in place, and self
        returned. Where it raises, nothing has happened. Changes in several threads wait for each other."""
        with self.__dict__.setdefault("_changing", threading.Lock()):
            model = change(self._fitted())
            model.__dict__.pop("_user_items", None)  # made of rows that may have changed
            self._model = model
        return self

    def _no(self, call):
        raise NotImplementedError(f"{type(self).__name__} has no {call}")

    @property
    def report(self):
        """What the last fit did: stop_reason, iterations, objective, phase_seconds, seconds."""
        return self._fitted().report

    @property
    def resolved(self):
        """The parameters as the last fit used them: a dict of all of them, with values in the place of "auto"; {} before a fit."""
        if self._model is None:
            return {}
        used = getattr(self._model, "resolved", None) or {}
        return {name: used.get(name, value) for name, value in self.get_params().items()}

    def _settled(self, *shape):
        """The options on data of (users, items, pairs, pairs an item with any); {} where a fit chooses none."""
        settled = getattr(self._core_class, "settled", None)
        return {} if settled is None else settled(self._options(), *shape)

    @property
    def num_users(self):
        """How many users the model knows."""
        return self._fitted().num_users

    @property
    def num_items(self):
        """How many items the model knows."""
        return self._fitted().num_items

    @property
    def user_ids(self):
        """The shop's keys in index order, or None."""
        ids = self._fitted().user_ids
        return None if ids is None else ids.keys

    @property
    def item_ids(self):
        """The shop's keys in index order, or None."""
        ids = self._fitted().item_ids
        return None if ids is None else ids.keys

    @property
    def user_items(self):
        """The kept rows as a CSR matrix, or None: a private copy, made on first access. What is done to it never reaches
        the model."""
        return self._fitted().user_items

    # Asking

    def _rows(self, value):
        """What callers give as user_items, as the compiled part reads it."""
        return arg.rows(value)

    def _threads(self):
        return getattr(self, "num_threads", 0)

    def _check_rows(self, model, user_items, wanted):
        if user_items is None and wanted and not model.has_history:
            raise ValueError(
                f"user_items is None and this {type(self).__name__} keeps no rows, must be given: one CSR row for each index "
                "asked for" + ("" if self._needs_history else " (or pass filter_already_liked_items=False)"))

    def _who_asks(self, model, user_index, user_items, needs_rows):
        """(indices or None, whether one was asked for alone, rows or None)"""
        user_items = self._rows(user_items)
        if user_index is None:
            if user_items is None:
                raise ValueError("user_index and user_items are both None, must give one of them")
            return None, False, user_items
        index, one = arg.indices(user_index, "user_index")
        self._check_rows(model, user_items, needs_rows or self._needs_history)
        return index, one, user_items

    def recommend(self, user_index, user_items=None, k=10, filter_already_liked_items=True, filter_items=None, items=None,
                  recalculate_user=False):
        """The best k items of each user: (int32 indices, float32 scores).

        user_index   one index, an array of them, or None for people unknown to the model, one a row of user_items
        user_items   one CSR row for each index asked for; None means the rows kept from the fit
        filter_items, items   never these; only these: one list for all, or a CSR or list of lists with a row a user
        recalculate_user      take the user's taste from user_items instead of from the fit
        """
        model = self._fitted()
        k = arg.count(k)
        index, one, user_items = self._who_asks(model, user_index, user_items, filter_already_liked_items or recalculate_user)
        out = model.recommend(index, user_items, None, k, bool(filter_already_liked_items), bool(recalculate_user),
                              arg.lists(items, "items"), arg.lists(filter_items, "filter_items"), False, self._threads())
        return arg.own(out) if one else out

    def recommend_ids(self, user_ids, k=10, user_items=None, filter_already_liked_items=True, filter_items=None, items=None,
                      recalculate_user=False):
        """recommend() in keys: one key or a list of them in, (keys, float32 scores) out.

        filter_items and items are keys too; unknown ones are ignored. Unknown users get the cold-start answer. Short rows
        end in None among string keys, in -1 among integers, and -inf.
        """
        model = self._fitted()
        k = arg.count(k)
        users, catalogue = self._ids("user"), self._ids("item")
        index, one = self._asked(users, user_ids)
        user_items = self._rows(user_items)
        if (index >= 0).any():
            self._check_rows(model, user_items, filter_already_liked_items or recalculate_user or self._needs_history)
        found, scores = model.recommend(
            index, user_items, None, k, bool(filter_already_liked_items), bool(recalculate_user),
            arg.lists(known_lists(catalogue, items, "items"), "items"),
            arg.lists(known_lists(catalogue, filter_items, "filter_items"), "filter_items"), True, self._threads())
        keys = catalogue.at(found)
        return arg.own((keys, scores)) if one else (keys, scores)

    def recommend_session(self, session_items, k=10, filter_already_liked_items=True, filter_items=None, items=None, *,
                          exclude_last="auto"):
        """The best k items after a session: a list of item indices, oldest first, or a list of such lists.

        An empty session gets the cold-start answer. filter_already_liked_items leaves the session's own items out;
        exclude_last at least the newest, the product being looked at: True, False, or "auto", as the model's parameter of
        that name says (models without it, to which order does not matter: False).
        """
        model = self._fitted()
        k = arg.count(k)
        given, one = arg.sessions(session_items)
        out = model.recommend(None, None, given, k, bool(filter_already_liked_items), False, arg.lists(items, "items"),
                              arg.lists(filter_items, "filter_items"), False, self._threads(), arg.auto(exclude_last, "exclude_last"))
        return arg.own(out) if one else out

    def similar_items(self, item_index, k=10, filter_items=None, items=None):
        """The k items most like each item, never itself: (int32 indices, float32 scores)."""
        model = self._fitted()
        k = arg.count(k)
        index, one = arg.indices(item_index, "item_index")
        out = model.similar_items(index, k, arg.lists(items, "items"), arg.lists(filter_items, "filter_items"), self._threads())
        return arg.own(out) if one else out

    def similar_users(self, user_index, k=10):
        """The k users most like each user, never themselves: (int32 indices, float32 scores)."""
        model = self._fitted()
        k = arg.count(k)
        index, one = arg.indices(user_index, "user_index")
        out = model.similar_users(index, k, self._threads())
        return arg.own(out) if one else out

    def explain(self, user_index, user_items, item_index, k=10):
        """Why an item suits one user: (its score, int32 history items, float32 weights), the largest weights first.

        At most k items, without padding; all weights sum to the score. user_items is one CSR row, or None for the kept one.
        """
        model = self._fitted()
        k = arg.count(k)
        item = arg._in_range(arg.integer(item_index, "item_index"), "item_index")
        user_items = self._rows(user_items)
        if user_index is None:
            if user_items is None:
                raise ValueError("user_index and user_items are both None, must give one of them")
            if user_items.shape[0] != 1:
                raise ValueError(f"user_items has {user_items.shape[0]} rows, must have 1")
            index = None
        else:
            index = np.array([arg._in_range(arg.integer(user_index, "user_index"), "user_index")], np.int32)
            if user_items is None and not model.has_history:
                self._check_rows(model, None, True)
        return model.explain(index, user_items, item, k)

    def score(self, user_index, user_items, items, recalculate_user=False):
        """Scores of given items, seen or not: float32 (m,) for one user, (n, m) for n.

        items is one list for all users or an (n, m) array with a row a user.
        """
        model = self._fitted()
        index, one, user_items = self._who_asks(model, user_index, user_items, recalculate_user)
        wanted = asarray(items, "items")
        if wanted.ndim == 0:
            raise TypeError(f"items is {arg.describe(items)}, must be a list of item indices")
        out = model.score(index, user_items, None, wanted.reshape(1, -1) if wanted.ndim == 1 else wanted, bool(recalculate_user),
                          self._threads())
        return out[0].copy() if one else out

    def partial_fit_users(self, user_index, user_items):
        """Learns rows of users, new ones too, without a fit; for models that can."""
        self._fitted()
        self._no("partial_fit_users")

    def partial_fit_items(self, item_index, item_users):
        """Learns columns of items, new ones too, without a fit; for models that can."""
        self._fitted()
        self._no("partial_fit_items")

    def build_index(self, kind="hnsw", **options):
        """Recommends through an index over the item factors from now on, approximately; for models of factors.

        kind and options are those of retrieval.ItemIndex. Lists under an allow list of at most 4096 items, long lists and lists
        that the index leaves short are still exact, and scores are always those of score(). A serving.Snapshot asks the model
        through it too. The index is saved with the model; a fit and changed items forget it. Returns self.
        """
        model = self._fitted()
        if not hasattr(model, "build_index"):
            self._no("build_index")

        def build(model):
            model = model.copy()
            model.build_index({"kind": kind, **options})
            return model

        return self._change(build)

    def drop_index(self):
        """Back to exact results; returns self."""
        model = self._fitted()
        if not hasattr(model, "drop_index"):
            self._no("drop_index")

        def drop(model):
            model = model.copy()
            model.drop_index()
            return model

        return self._change(drop)

    # Keeping

    def save(self, path):
        """Writes the model with its keys and rows to a file that etalage.load and the C++ library read."""
        _core.save(self._fitted(), os.fspath(path))

    @classmethod
    def _from_core(cls, model):
        self = cls.__new__(cls)
        defaults = inspect.signature(cls.__init__).parameters
        for name in cls._parameter_names():
            setattr(self, name, defaults[name].default)
        for name, value in model.options.items():
            setattr(self, name, value)
        self._model = model
        return self

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_changing", None)
        model = state.pop("_model", None)
        state["_bytes"] = None if model is None else _core.save_to_memory(model)
        return state

    def __setstate__(self, state):
        state = dict(state)
        data = state.pop("_bytes")
        self.__dict__.update(state)
        if data is not None:
            self._model = _core.load_from_memory(data)

    def __copy__(self):
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.__dict__.pop("_changing", None)
        if self._model is not None:
            new._model = self._model.copy()
        return new

    def __deepcopy__(self, memo):
        # The compiled model's arrays are shared until one side changes them.
        new = self.__copy__()
        for name, value in new.__dict__.items():
            if name != "_model":
                setattr(new, name, copy.deepcopy(value, memo))
        return new


def extended_ids(ids, index, keys, size, name):
    """The IdMap after partial_fit: keys has one key for each index, those beyond `size` are new. None without keys."""
    if keys is None:
        return None
    if ids is None and size:
        raise ValueError(f"{name} are given, but the model has none: fit it on data with keys")
    keys = [keys] if isinstance(keys, (str, int, np.integer)) else list(keys)
    if len(keys) != len(index):
        raise ValueError(f"{name} has {len(keys)} keys, must have one for each of the {len(index)} indices")
    # What is there already is looked up by index: all keys are never gone through.
    have = 0 if ids is None else len(ids)
    new = {}
    known = [(i, key) for i, key in zip(index, keys) if 0 <= i < have]
    for (i, key), held in zip(known, ids.at(np.asarray([i for i, _ in known], np.int32)) if known else ()):
        if held != key:
            raise ValueError(f"{name} holds {key!r} for index {i}, whose key is {held!r}")
    for i, key in zip(index, keys):
        if i >= have:
            new[int(i)] = key
    if not new:
        return ids
    for i in range(have, max(new) + 1):
        if new.get(i) is None:
            raise ValueError(f"{name} has no key for index {i}, must have one for every new index")
    added = [new[i] for i in range(have, max(new) + 1)]
    return _core.IdMap(added) if ids is None else ids.extended(added)
