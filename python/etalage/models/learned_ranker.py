# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
import math

import numpy as np

from .. import _core
from . import _arguments as arg
from ._base import _KINDS, Recommender
from ._progress import progress
from ._ranker_data import counts_rates, history_lists, impression_lists, renamed, split_off
from ._ranker_learning import METHODS, learn
from ._reuse import trainable, unfitted
from ._sequence import counted_items
from .blend import Blend, _Members, _matrix, _require_one_scale, _together


class LearnedRanker(Recommender):
    """A second stage: other models propose candidates, and a ranker learned from what was taken puts them in order.

    sources        [(name, model), ...], a list of models, or a Blend, whose members are taken
    method         "lambdarank": LightGBM's trees, on what a linear ranker leaves or from nothing, whatever cross-validation says
                   (needs lightgbm, to learn only);
                   "linear": the native linear ranker alone; "auto": lambdarank where lightgbm is installed
    candidates     taken from each source
    l2             penalty of the linear ranker (mean loss of a list + l2 / 2 |w|^2)
    num_trees, num_leaves, learning_rate, min_rows_in_leaf
                   of lambdarank; num_trees is the most: cross-validation over lists takes as many as help, also none
    folds          of that cross-validation, >= 2
    max_lists, max_negatives
                   lists to learn from, and how many candidates that were not taken are kept of each
    max_weight     a reward of an impression counts 1 / propensity, but no more than this: what was hardly ever shown must not outweigh
                   everything else (truncated importance weights, Ionides, 2008)
    position_bias  of impressions. "column": the position is a feature while learning, 1 when answering. "weights": a reward counts 1 / how often
                   its position is looked at (Joachims et al., 2017), as the impressions say where the same products stood at several
                   positions (C++ ItemRates), and the position is 1 in both. Where a ranker's own pages are what it learns from, its scores
                   and the position are nearly one, and "column" can put down to the one what is the other's
    anchors        newest items of a history that similarities are measured to
    half_life_days of recent popularity
    neighbors      of each item, for the similarity by shared shoppers
    bootstraps     models of a bag, 0 or 2 to 256, each learned as the ranker is from a bootstrap resample (Poisson(1) counts of shoppers where
                   they are known, else of lists): for Engine.explore("bootstrap") alone, answers do not read them. Learning takes as many
                   times longer, and so does scoring an answer that explores by them
    exclude_last   never recommend what a session shows last: "session"; True, the newest of a history too, where there is no
                   session; False; or "auto": False where a source lists it or none goes by order, else as they do
    seed           of drawn candidates, folds and trees
    num_threads    of batch calls and of learning; 0 means all CPUs this process may use

    fit() works on copies of the models that were given; fitted_sources has them. Answers need no LightGBM.
    """

    _kind = "LearnedRanker"
    _core_class = _core.LearnedRankerModel

    def __init__(self, sources, method="auto", candidates=200, *, l2=1e-3, num_trees=300, num_leaves=15, learning_rate=0.05,
                 min_rows_in_leaf=100, folds=3, max_lists=8192, max_negatives=500, max_weight=20.0, anchors=10, half_life_days=30.0, neighbors=100,
                 exclude_last="auto", seed=0, num_threads=0, bootstraps=0, position_bias="column"):
        self.sources, self.method, self.candidates, self.l2, self.num_trees = sources, method, candidates, l2, num_trees
        self.num_leaves, self.learning_rate, self.min_rows_in_leaf = num_leaves, learning_rate, min_rows_in_leaf
        self.folds, self.max_lists, self.max_negatives, self.max_weight, self.anchors = folds, max_lists, max_negatives, max_weight, anchors
        self.half_life_days, self.neighbors, self.exclude_last, self.seed = half_life_days, neighbors, exclude_last, seed
        self.num_threads, self.bootstraps, self.position_bias = num_threads, bootstraps, position_bias
        self._validate()

    _CORE_OPTIONS = ("candidates", "anchors", "exclude_last", "half_life_days", "neighbors", "num_threads")

    def _options(self):
        return {name: getattr(self, name) for name in self._CORE_OPTIONS}

    def _validate(self):
        given = self.sources
        if isinstance(given, Blend):
            given = given.members
        if not isinstance(given, _Members):
            given = list(given.items()) if isinstance(given, dict) else list(given)
            if given and all(isinstance(m, Recommender) for m in given):
                given = _named(given)
            given = _Members(given)
        if not given:
            raise ValueError("sources is empty, must be a list of models, of (name, model) pairs, or a Blend")
        names = []
        for pair in given:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], Recommender)):
                raise TypeError(f"sources holds {arg.describe(pair)}, must hold models or (name, model) pairs")
            if isinstance(pair[1], LearnedRanker):
                raise ValueError(f"source {pair[0]!r} is a LearnedRanker, must be a first stage")
            names.append(pair[0])
        for name in names:
            if names.count(name) > 1 or not name:
                raise ValueError(f"sources has the name {name!r} {names.count(name)} times, must be unique and not empty")
        self.sources = given
        if self.position_bias not in ("column", "weights"):
            raise ValueError(f"position_bias is {self.position_bias!r}, must be 'column' or 'weights'")
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, must be one of {', '.join(METHODS)}")
        for name, least in (("num_trees", 1), ("num_leaves", 2), ("min_rows_in_leaf", 1), ("folds", 2), ("max_lists", 1), ("max_negatives", 1), ("seed", 0)):
            if arg.integer(getattr(self, name), name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, must be >= {least}")
        if arg.integer(self.bootstraps, "bootstraps") not in (0, *range(2, 257)):
            raise ValueError(f"bootstraps is {self.bootstraps}, must be 0, or in [2, 256]")
        for name in ("l2", "learning_rate", "max_weight"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
                raise TypeError(f"{name} is {arg.describe(value)}, must be a number")
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value}, must be finite and > 0")
        if self.max_weight < 1:
            raise ValueError(f"max_weight is {self.max_weight}, must be >= 1")
        _core.LearnedRankerModel.check_options(self._options())

    @property
    def _needs_history(self):
        return any(model._needs_history for _, model in self.sources)

    @property
    def fitted_sources(self):
        """{name: model}: the sources as they are in use. They are not to be changed."""
        return {name: _KINDS[model.kind]._from_core(model) for name, model in self._fitted().sources}

    @property
    def feature_names(self):
        """Names of the columns, in order; docs/models/learned_ranker.md says what they are."""
        return self._fitted().feature_names

    @property
    def user_items(self):
        """How often each user had each item, from the kept histories, as a CSR matrix of the caller's own, or None."""
        return counted_items(self._fitted())

    @property
    def report(self):
        """What was learned: method, lists, trees, what they start from, cross-validated ndcg of linear and trees."""
        return json.loads(self._fitted().learning).get("report", {})

    @property
    def resolved(self):
        """The parameters as the last fit used them: a dict of all of them, with values in the place of "auto"; {} before a fit."""
        used = super().resolved
        return used | {"method": self.report.get("method", used["method"])} if used else used

    @property
    def linear_weights(self):
        """{feature: (weight of the scaled feature, what a missing one adds)}, or None without a linear part."""
        linear = self._fitted().linear
        if linear is None:
            return None
        return {n: (float(w), float(m)) for n, w, m in zip(self.feature_names, linear.weights, linear.missing_weights)}

    def fit(self, train, valid=None, impressions=None, refit_sources=True, show_progress=False, callback=None, *, share=0.1, k=20,
            filter_already_liked_items=None, positions="all", prices=None, categories=None, vectors=None, columns=None):
        """Fits the sources before a cut, learns from what was taken after it, and fits the sources again on everything.

        train         what the sources take: Interactions, a log, Sequences or a CSR matrix
        valid         what came after train, of the same users and items, as Blend.fit takes it. None: it is cut off train: the
                      newest `share` of a log's events; the last item of each list of Sequences; a random `share` of pairs of
                      a matrix, which knows no time
        impressions   a frame of what was shown (dict of arrays, pandas, polars, Arrow), one row a product in a list: columns
                      request, user, item, position, reward, and where known time, propensity, placement; `columns` maps these
                      names to others. Lists are then those that were shown, and sources see only what is older than the first
                      of them. propensity is the probability with which the product stood there: a reward counts 1 / it, at most max_weight.
                      Where a source is Popularity("rate") (time is needed then) the newer half of the requests is learned from, and rates are
                      of the older half while it is, of all of them when answering
        refit_sources False: sources whose fit held train and no pair of valid stay; one that saw valid is a ValueError; and
                      nothing is fitted again on both (refit() does that, when wanted)
        share         of the events that are learned from
        positions     "all" or "last": of which of the lists' later items one is asked; show_progress: a bar
        k             length of the lists whose ndcg decides the number of trees
        filter_already_liked_items  whether lists leave out what the shopper has. None: unless a hundredth of what was taken
                      after the cut was had before
        prices, categories, vectors  what is known of products: float [items], int [items] (-1 unknown), float [items, d]; NaN
                      where unknown
        callback      callback(progress) for each source's fit; returning False ends that fit early
        """
        if positions not in ("all", "last"):
            raise ValueError(f"positions is {positions!r}, must be 'all' or 'last'")
        if valid is not None and impressions is not None:
            raise ValueError("valid and impressions are both given, must be one of them")
        if not 0 < share < 1:
            raise ValueError(f"share is {share}, must be in (0, 1)")
        facts = {"prices": prices, "categories": categories, "vectors": vectors}
        whole = None
        shown = counted = None
        if impressions is not None:
            shown, head, counted = impression_lists(train, impressions, columns or {}, self, any(counts_rates(m) for _, m in self.sources))
            whole = train
        elif valid is None:
            head, valid, positions = split_off(train, share, positions, self.seed)
            whole = train
        else:
            head = train
        refit = refit_sources or whole is not None
        models = [(n, unfitted(m) if refit and trainable(m) else copy.copy(m)) for n, m in self.sources]
        if not refit:
            for name, model in models:
                Blend._require_honest(name, model, head, valid)
        with progress(type(self).__name__, show_progress, callback) as report:
            Blend._fit_members(models, head, report, refit, None, shown=counted)
            model = self._joined(models, head, facts)
            k = arg.count(k)
            if shown is not None:
                lists = shown(model, filter_already_liked_items is not False)
            else:
                lists, filter_already_liked_items = self._lists(model, head, valid, positions, filter_already_liked_items)
            linear, trees, bag, said = learn(lists, model.feature_names, self, k)
            placement, position = lists.get("served_at", (math.nan, math.nan))
            if refit and whole is None and not isinstance(valid, _core.Sequences):
                _require_one_scale(train, valid)
                whole = _together(train, valid, _matrix(valid, train))
            if refit and whole is not None:
                Blend._fit_members(models, whole, report, True, None, shown=None if counted is None else renamed(impressions, columns))
                model = self._joined(models, whole, facts)
            model.set_scorer(linear, trees)
            model.set_bag(bag)
            model.set_served_at(placement, position)
            model.learning = json.dumps({"report": said, "parameters": self._learning()}, default=lambda v: v.item())
        self._facts = facts
        self._model = model
        return self

    def refit(self, data, show_progress=False, callback=None, *, prices=None, categories=None, vectors=None, impressions=None, columns=None):
        """Fits the sources again on newer data, of the same sources and features, and keeps what the ranker learned.

        impressions, columns: what was shown, for sources that count rates, as fit() takes them.
        data, prices, categories, vectors, show_progress, callback: those of fit(); facts of products that are not given stay.
        """
        old = self._fitted()
        given = {"prices": prices, "categories": categories, "vectors": vectors}
        facts = {n: v if v is not None else getattr(self, "_facts", {}).get(n) for n, v in given.items()}
        models = [(n, unfitted(m) if trainable(m) else copy.copy(m)) for n, m in self.sources]
        with progress(type(self).__name__, show_progress, callback) as report:
            Blend._fit_members(models, data, report, True, None, shown=None if impressions is None else renamed(impressions, columns))
            model = self._joined(models, data, facts)
        model.set_scorer(old.linear, old.trees)
        model.set_bag(old.bag)
        model.set_served_at(*old.served_at)
        model.learning = old.learning
        self._facts = facts
        self._model = model
        return self

    def features(self, user, items, session=(), filter_already_liked_items=True, now=None):
        """The features of items for one shopper, float32 [items, features]: what learning saw and answers use.

        user   an index, or None for somebody unknown, with the items of a visit in `session`
        now    when the question is asked; None: the newest event
        """
        from .._times import to_ms

        index = -1 if user is None else arg._in_range(arg.integer(user, "user"), "user")
        return self._fitted().features(index, np.asarray(session, np.int32), np.asarray(items, np.int32), bool(filter_already_liked_items),
                                       None if now is None else to_ms(now))

    def _lists(self, model, head, valid, positions, masked):
        if isinstance(valid, _core.Sequences):
            return model.lists_next(valid, positions == "last", self.max_lists, bool(masked), self.max_negatives, self.seed, self.num_threads), masked
        rows, held_out = _matrix(head), _matrix(valid, head)
        known = np.diff(rows.indptr) > 0
        held_out = held_out.multiply(known[:, None]).tocsr() if not known.all() else held_out.copy()  # of those with a past
        held_out.eliminate_zeros()
        if masked is None:
            masked = held_out.multiply(rows != 0).nnz < 0.01 * held_out.nnz
        if masked:
            held_out = (held_out - held_out.multiply(rows != 0)).tocsr()
            held_out.eliminate_zeros()
        return model.lists(held_out, self.max_lists, bool(masked), self.max_negatives, self.seed, self.num_threads), masked

    def _joined(self, models, data, facts):
        histories = history_lists(data)
        if facts.get("categories") is not None:
            facts = {**facts, "categories": np.asarray(facts["categories"])}
        return self._core_class([(n, m._fitted()) for n, m in models], histories, self._options(), **facts)

    def _learning(self):
        return {n: getattr(self, n) for n in self._parameter_names() if n not in self._CORE_OPTIONS and n != "sources"}

    def __sklearn_clone__(self):
        """What sklearn.base.clone makes: the same parameters, nothing fitted but vectors from elsewhere."""
        new = copy.copy(self)
        new._model = None
        new.sources = _Members((n, unfitted(m) if trainable(m) else copy.copy(m)) for n, m in self.sources)
        return new

    @classmethod
    def _from_core(cls, model):
        self = cls.__new__(cls)
        self.sources = _Members((n, _KINDS[m.kind]._from_core(m)) for n, m in model.sources)
        kept = json.loads(model.learning).get("parameters", {}) if model.learning else {}
        defaults = LearnedRanker([_KINDS[m.kind]._from_core(m) for _, m in model.sources]).get_params()
        for name in cls._parameter_names():
            if name != "sources":
                setattr(self, name, kept.get(name, defaults[name]))
        for name, value in model.options.items():
            setattr(self, name, value)
        self._model = model
        return self


def _named(models):
    """Pairs named by kind, numbered where a kind comes again."""
    kinds = [type(m).__name__ for m in models]
    return [(kind if kinds.count(kind) == 1 else f"{kind}{1 + kinds[:i].count(kind)}", m) for i, (kind, m) in enumerate(zip(kinds, models))]
