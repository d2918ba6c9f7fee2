# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._arrays import asarray
from .._recipe import Recipe, for_logs
from . import _arguments as arg
from ._base import _KINDS, Recommender
from ._progress import progress
from ._ranker_data import counts_rates
from ._reuse import fit_check, trainable, unfitted


# Users, or places of lists, on which weights are learned: more where each of them holds little.
_FEWEST, _MOST, _HELD_OUT = 4096, 16384, 32768


class _Members(list):
    """(name, model) pairs, equal when names, types and parameters are."""

    def __eq__(self, other):
        if not isinstance(other, list) or len(self) != len(other):
            return NotImplemented if not isinstance(other, list) else False
        return all(a == b and type(m) is type(n) and m.get_params() == n.get_params() for (a, m), (b, n) in zip(self, other))

    __hash__ = None


class Blend(Recommender):
    """Several models as one: each proposes candidates, and each scores what all of them proposed.

    members       [(name, model), ...], at least one; names are unique
    method        how members' scores become comparable, over the candidates of a user: "rank" (the share of candidates
                  below), "zscore", or "rrf" (reciprocal ranks)
    weights       one number a member, or None: equal ones, or learned when fit() gets `valid`
    candidates    taken from each member
    rrf_constant  of "rrf": 1 / (rrf_constant + rank)
    exclude_last  never recommend what a session shows last: "session"; True, the newest of a history too, where there is no
                  session; False; or "auto": False where a member lists it or none goes by order, else as they do
    num_threads   of batch calls; 0 means all CPUs this process may use

    fit() works on copies of the models that were given; fitted_members has them. The weights in use are `weights_`.
    """

    _kind = "Blend"
    _core_class = _core.BlendModel

    def __init__(self, members, method="rank", weights=None, candidates=500, *, rrf_constant=60.0, exclude_last="auto", num_threads=0):
        self.members, self.method, self.weights, self.candidates = members, method, weights, candidates
        self.rrf_constant, self.exclude_last, self.num_threads = rrf_constant, exclude_last, num_threads
        self._validate()

    def _options(self):
        return {name: value for name, value in self.get_params().items() if name != "members"}

    def _validate(self):
        pairs = self.members if isinstance(self.members, _Members) else _Members(
            self.members.items() if isinstance(self.members, dict) else self.members)
        if not pairs:
            raise ValueError("members is empty, must be a list of (name, model) pairs")
        for pair in pairs:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], Recommender)):
                raise TypeError(f"members holds {arg.describe(pair)}, must hold (name, model) pairs")
            if isinstance(pair[1], Blend):
                raise ValueError(f"member {pair[0]!r} is a Blend, must be a plain model")
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1 or not name:
                raise ValueError(f"members has the name {name!r} {names.count(name)} times, must be unique and not empty")
        self.members = pairs  # the list itself where it is one already: sklearn's clone() looks for the object it gave
        _core.BlendModel.check_options(self._options())
        if self.weights is not None and len(self.weights) != len(pairs):
            raise ValueError(f"weights has {len(self.weights)} entries, must have one for each of the {len(pairs)} members")

    @property
    def _needs_history(self):
        return any(model._needs_history for _, model in self.members)

    @property
    def fitted_members(self):
        """{name: model}: the members as they are in use. They are not to be changed."""
        return {name: _KINDS[model.kind]._from_core(model) for name, model in self._fitted().members}

    @property
    def weights_(self):
        """{name: weight} in use; they sum to 1."""
        return {name: weight for (name, _), weight in zip(self._fitted().members, self._fitted().weights)}

    @property
    def report(self):
        """{name: what the last fit of this member did}; a loaded model's own members know theirs."""
        return {name: model.report for name, model in self.fitted_members.items()}

    def fit(self, train, valid=None, refit_members=True, show_progress=False, callback=None, *, k=20, keep_history=None,
            filter_already_liked_items=None, positions="all", importance=None, recipe=None):
        """Fits the members on train and, where valid is given and no weights are, learns the weights that rank it best.

        train          what the members take: Interactions, a log, Sequences or a CSR matrix
        valid          held-out interactions of the same users and items: Interactions, a log or a CSR matrix; or Sequences,
                       whose items at `positions` ("all", "last") are then predicted from those before, as evaluate_next() does
        refit_members  True: every member is fitted on train and, once the weights are learned, again on train and valid
                       together where both are logs, Interactions or matrices; values of matrices must then be of one scale
                       (both made by the same weights and transform), logs go by one recipe. False: members whose fit held the pairs of train and no others
                       stay as they are, the others are fitted on train; one that holds pairs of valid is a ValueError
        k              length of the lists whose NDCG the weights maximise
        filter_already_liked_items  whether these lists leave out what the user has in train, or before the position. None:
                       unless a hundredth of valid is in train already, for then it is about what is bought again; not for
                       Sequences, where repeats are legitimate
        importance     float [users]: how much each user's list counts (evaluation.inverse_popularity makes some); None means 1
        recipe         an etalage.Recipe, with logs: how they become what each member is fitted on; None means as they stand. The
                       blend keeps it (model.recipe)
        show_progress  a bar on a terminal and in a notebook, a line a minute into a file
        keep_history   of the members: None means as their parameters say
        callback       callback(progress) for each member's fit; returning False ends that member's fit early
        """
        if positions not in ("all", "last"):
            raise ValueError(f"positions is {positions!r}, must be 'all' or 'last'")
        recipe = for_logs(recipe, train, valid)
        if isinstance(train, _core.EventLog):
            recipe = recipe or Recipe()
        models = [(name, unfitted(m) if refit_members and trainable(m) else copy.copy(m)) for name, m in self.members]
        learn = valid is not None and self.weights is None and len(models) > 1
        if not refit_members:
            for name, member in models:
                self._require_honest(name, member, train, valid if learn else None)
        with progress(type(self).__name__, show_progress, callback) as report:
            self._fit_members(models, train, report, refit_members, keep_history, recipe)
            model = self._joined(models)
            if learn:
                if refit_members:
                    _require_one_scale(train, valid)
                whole = self._learn(model, train, valid, arg.count(k), filter_already_liked_items, positions, importance, recipe)
                if refit_members and whole is not None:
                    learned = model.weights
                    self._fit_members(models, whole, report, True, keep_history, recipe)
                    model = self._joined(models, learned)
        self._keep_recipe(model, recipe or getattr(train, "recipe", None))
        self._model = model
        return self

    def _learn(self, model, train, valid, k, masked, positions, importance, recipe):
        """Sets the weights of model; returns train and valid as one, or None where they cannot be joined."""
        if isinstance(valid, _core.Sequences):
            if importance is not None:
                raise ValueError("importance is given with Sequences, must be None there: their places have none")
            model.learn_weights_next(valid, positions == "last", k, _MOST, self.num_threads, bool(masked))
            return None
        rows, held_out = _matrix(train, recipe=recipe), _matrix(valid, train, recipe and recipe.held_out)
        if masked is None:
            masked = rows.shape != held_out.shape or held_out.multiply(rows != 0).nnz < 0.01 * held_out.nnz
        # Logs and lists know an order, which some members go by.
        histories = (recipe or Recipe()).sequences(train, by="user") if isinstance(train, _core.EventLog) else train if isinstance(train, _core.Sequences) else rows
        asked = min(_MOST, max(_FEWEST, _HELD_OUT * np.count_nonzero(np.diff(held_out.indptr)) // max(1, held_out.nnz)))
        model.learn_weights(histories, held_out, k, asked, self.num_threads, bool(masked),
                            [] if importance is None else asarray(importance, "importance").astype(np.float32).ravel())
        return _together(train, valid, held_out)

    @staticmethod
    def _require_honest(name, member, train, valid):
        """Forgets a fit on other data than train; ValueError where it held pairs of valid."""
        if member._model is None or not trainable(member):
            return
        held_out = None if valid is None or isinstance(valid, _core.Sequences) else valid
        is_train, leaked = fit_check(member, train, held_out)
        if leaked:
            raise ValueError(f"member {name!r} was fitted on {leaked} of the pairs of valid, must be fitted on train alone")
        if not is_train:
            member._model = None

    def __sklearn_clone__(self):
        """What sklearn.base.clone makes: the same parameters, nothing fitted but vectors from elsewhere."""
        new = copy.copy(self)
        new._model = None
        new.members = _Members((name, unfitted(m) if trainable(m) else copy.copy(m)) for name, m in self.members)
        return new

    @staticmethod
    def _fit_members(models, data, callback, anew, keep_history, recipe=None, shown=None):
        """shown: impressions for members that count rates of them."""
        by = {"recipe": recipe} if isinstance(data, _core.EventLog) else {}
        for _, model in models:
            if anew or model._model is None:
                takes = inspect.signature(model.fit).parameters
                own = {"impressions": shown} if counts_rates(model) else {}
                if "keep_history" in takes:
                    model.fit(data, callback=callback, keep_history=keep_history, **by, **own)
                elif "callback" in takes:
                    model.fit(data, callback=callback, **by)
                else:
                    # Vectors come fitted: there is nothing to learn from data.
                    model._fitted()

    def _joined(self, models, weights=None):
        options = self._options()
        if weights is not None:
            model = self._core_class([(n, m._fitted()) for n, m in models], {**options, "weights": weights})
            return model
        return self._core_class([(name, model._fitted()) for name, model in models], options)

    @classmethod
    def _from_core(cls, model):
        self = cls.__new__(cls)
        self.members = _Members((name, _KINDS[m.kind]._from_core(m)) for name, m in model.members)
        for name, value in model.options.items():
            setattr(self, name, list(value) if name == "weights" and value is not None else value)
        self._model = model
        return self


def _matrix(data, like=None, recipe=None):
    """data as users x items, in the index space of `like`; of a log by a recipe, or by what makes a matrix of it."""
    if isinstance(data, _core.EventLog):
        make = getattr(recipe, "interactions", recipe) or Recipe().interactions
        data = make(data)
    if isinstance(data, _core.Sequences):
        users = np.arange(len(data)) if data.user_index is None else np.asarray(data.user_index)
        count = len(data) if data.user_ids is None else len(data.user_ids)
        rows = np.repeat(users, np.diff(data.offsets))
        return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, data.items)), (count, data.num_items))
    if isinstance(data, _core.Interactions):
        if isinstance(like, (_core.Interactions, _core.EventLog)):
            for mine, other, name in ((data.user_ids, like.user_ids, "user_ids"), (data.item_ids, like.item_ids, "item_ids")):
                if mine is not None and other is not None and not np.array_equal(mine, other):
                    raise ValueError(f"valid has other {name} than train, must be cut from the same data (evaluation.split)")
        return data.user_items_view
    return arg.rows(data, "valid")


# Values of one recipe lie closer together than this, from part to part of one record.
_ONE_SCALE, _ENOUGH = 3.0, 20


def _require_one_scale(train, valid):
    """ValueError where the values of valid are of another scale than those of train, which they are to be added to."""
    if isinstance(train, (_core.EventLog, _core.Sequences)) or isinstance(valid, (_core.EventLog, _core.Sequences)):
        return
    seen, held_out = (np.abs(_matrix(data).data.astype(np.float64)) for data in (train, valid))
    seen, held_out = seen[seen > 0], held_out[held_out > 0]
    if min(len(seen), len(held_out)) < _ENOUGH:
        return
    for what, share in (("median", 50), ("95th percentile", 95)):
        a, b = np.percentile(seen, share), np.percentile(held_out, share)
        if max(a, b) > _ONE_SCALE * min(a, b):
            raise ValueError(f"valid has values of another scale than train ({what} {b:g} beside {a:g}), must be made by the same weights "
                             "and transform: its values are added to those of train when the members are fitted again "
                             "(refit_members=False does without)")


def _together(train, valid, held_out):
    """train and valid as one, or None where they cannot be joined as rows."""
    if isinstance(train, _core.Interactions):
        both = (train.user_items_view + held_out).tocsr()
        return _core.Interactions.from_csr(both, user_ids=train.user_ids, item_ids=train.item_ids)
    if isinstance(train, _core.EventLog) and isinstance(valid, _core.EventLog):
        whole = _core.EventLog.concat([train, valid])
        same = whole.num_users == train.num_users and whole.num_items == train.num_items and (train.user_ids is None or np.array_equal(
            whole.user_ids, train.user_ids) and np.array_equal(whole.item_ids, train.item_ids))
        return whole if same else None
    if isinstance(train, (_core.EventLog, _core.Sequences)):
        return None
    return (arg.rows(train, "train") + held_out).tocsr()
