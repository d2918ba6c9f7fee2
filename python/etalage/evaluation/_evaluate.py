# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

from .. import _core
from .._arrays import asarray, real_number, whole_number
from .._recipe import Recipe
from ..models._arguments import auto as _auto
from ._beyond import BEYOND, OF_ALL_LISTS, BeyondAccuracy, Together, accuracy_among, beyond_among
from ._parts import held_out, histories, recipe_of
from ._lists import ask_foreign, ask_own, history_rows
from ._report import html_table, plot_intervals


class _PerUser(Mapping):
    """Values of each user by metric, float64 in the order of Evaluation.user_index."""

    def __init__(self, core) -> None:
        self._core = core

    def __getitem__(self, name: str) -> np.ndarray:
        return _asked(self._core.per_user, name)

    def __iter__(self) -> Iterator[str]:
        return (n for n in self._core.names if n.rpartition("@")[0] not in OF_ALL_LISTS)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _asked(call, name):
    try:
        return call(name)
    except ValueError as e:
        raise KeyError(str(e)) from None


class Evaluation(Mapping):
    """A mapping: r["recall@20"], r["tied@20"] (share of lists whose cut behind place 20 lies between items of equal score),
    r["users"] (those with a relevant item; means are over them), r["hidden"] (relevant items left out because train has them)
    and r["seconds"]. Metrics are expectations over the order of tied items. r.per_user["recall@20"] is float64,
    r.interval("recall@20") a bootstrap interval, r.compare(other, "recall@20") a paired test. r.by_history has the same means over
    shoppers of whom train holds something, and over those who get the model's cold-start answer. r.to_frame() is a long frame
    of per-user values, r.plot() a picture. It can be pickled and copied."""

    _COUNTS = ("users", "hidden", "seconds")

    def __init__(self, core, has_history=None) -> None:
        self._core = core
        self._has_history = has_history

    @property
    def has_history(self) -> np.ndarray | None:
        """bool [users]: whether train holds anything of the user behind each value of per_user; None where there is no train."""
        if self._has_history is not None:
            return self._has_history
        known = self._core.has_history.astype(bool)
        return known if len(known) == self["users"] else None

    @property
    def by_history(self) -> dict[str, dict]:
        """{"all", "with history", "without history"}: the number of users and the mean of each metric that a user has, nan in
        a group without users. Where there is no train only "all"."""
        known = self.has_history
        groups = {"all": None} if known is None else {"all": None, "with history": known, "without history": ~known}
        out = {}
        for group, mask in groups.items():
            size = self["users"] if mask is None else int(mask.sum())
            means = {n: float(v.mean() if mask is None else v[mask].mean()) if size else float("nan") for n, v in self.per_user.items()}
            out[group] = {"users": size, **means}
        return out

    def by_segment(self, segments) -> dict:
        """{segment: {"users", and the mean of each metric that a user has}}, in order of the segments.

        segments: a label for each user in index order, an array or list with at least as many entries as there are users; users
        whose label is None or NaN are left out.
        """
        labels = np.asarray(segments, dtype=object)
        if labels.ndim != 1 or len(labels) <= self.user_index.max(initial=-1):
            raise ValueError(f"segments has shape {labels.shape}, must have one label for each user, at least {self.user_index.max(initial=-1) + 1}")
        labels = labels[self.user_index]
        groups: dict = {}
        for row, label in enumerate(labels.tolist()):
            if label is not None and label == label:
                groups.setdefault(label, []).append(row)
        order = sorted(groups, key=lambda label: (str(type(label)), label))
        values = dict(self.per_user)
        return {label: {"users": len(groups[label]), **{n: float(v[groups[label]].mean()) for n, v in values.items()}} for label in order}

    def __getitem__(self, name: str):
        if name in self._COUNTS:
            return getattr(self._core, name)
        if name in self._tied():
            return self._core.tied(int(name.partition("@")[2]))
        return _asked(self._core.value, name)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._core.names, *self._tied(), *self._COUNTS])

    def __len__(self) -> int:
        return len(self._core.names) + len(self._tied()) + len(self._COUNTS)

    def _tied(self) -> list[str]:
        return list(dict.fromkeys("tied@" + n.rpartition("@")[2] for n in self._core.names))

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, "recall@10" and so on, in the order in which they were asked for."""
        return self._core.names

    @property
    def per_user(self) -> Mapping:
        """float64 [users] for each metric that a user has (all but coverage, gini and popularity_bias)."""
        return _PerUser(self._core)

    @property
    def user_index(self) -> np.ndarray:
        """int32 [users]: the user (for next-item evaluation, the sequence) behind each value of per_user."""
        return self._core.user_index

    def mean(self, name: str, importance=None) -> float:
        """The mean of a metric over users, each counted by importance[their index] >= 0 (None: all alike).

        name: a metric with its k, "recall@20".
        """
        if importance is None:
            return self[name]
        values = self.per_user[name]
        counts = asarray(importance, "importance").astype(np.float64)
        if counts.ndim != 1 or len(counts) <= self.user_index.max():
            raise ValueError(f"importance has shape {counts.shape}, must have one entry for each user, at least {self.user_index.max() + 1}")
        counts = counts[self.user_index]
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
            raise ValueError("importance must hold finite numbers >= 0, one of them > 0 for a user with a relevant item")
        return float(values @ counts / counts.sum())

    def interval(self, name: str, confidence: float = 0.95, samples: int = 1000, seed: int = 42, num_threads: int = 0):
        """(low, high) of the mean by percentile bootstrap over users.

        name: a metric with its k, "recall@20".
        """
        return self._core.interval(name, whole_number(samples, "samples"), real_number(confidence, "confidence"),
                                   whole_number(seed, "seed", bits=64, signed=False), whole_number(num_threads, "num_threads"))

    def compare(self, other: Evaluation, name: str, confidence: float = 0.95, samples: int = 1000, seed: int = 42,
                num_threads: int = 0) -> dict:
        """This minus other on the same users: {"difference", "interval", "p_value"}; a two-sided sign-flip test.

        name: a metric with its k, "recall@20"; other: an Evaluation of the same users.
        """
        return self._core.compare(other._core, name, whole_number(samples, "samples"), real_number(confidence, "confidence"),
                                  whole_number(seed, "seed", bits=64, signed=False), whole_number(num_threads, "num_threads"))

    def to_frame(self, user_ids=None):
        """One row a user and metric: user, metric ("recall"), k, value, and with_history (whether train holds anything of the
        user) where there is a train. A pandas DataFrame, or a dict of arrays where pandas is not installed.

        user_ids: the shop's keys in index order (train.user_ids); None gives indices."""
        users = self.user_index
        if user_ids is not None:
            keys = asarray(user_ids, "user_ids")
            if keys.ndim != 1 or len(keys) <= users.max(initial=-1):
                raise ValueError(f"user_ids has shape {keys.shape}, must have one key for each user, at least {users.max(initial=-1) + 1}")
            users = keys[users]
        names = list(self.per_user)
        split = [n.rpartition("@") for n in names]
        size, known = self["users"], self.has_history
        columns = {"user": np.tile(users, len(names)), "metric": np.repeat(np.array([n[0] for n in split], object), size),
                   "k": np.repeat(np.array([int(n[2]) for n in split], np.int64), size),
                   "value": np.concatenate([self.per_user[n] for n in names]) if names else np.empty(0)}
        if known is not None:
            columns["with_history"] = np.tile(known, len(names))
        try:
            import pandas
        except ImportError:
            return columns
        return pandas.DataFrame(columns)

    def plot(self, names=None, path=None, ax=None, *, confidence: float = 0.95, samples: int = 1000, seed: int = 42):
        """Means of metrics as dots with their bootstrap intervals; saved to `path` if given. Returns the matplotlib axes.

        names: metrics that each user has, "recall@10" or a list of them; None: all whose scale is from 0 to 1."""
        if names is None:
            names = [n for n, v in self.per_user.items() if n.rpartition("@")[0] not in ("novelty", "popularity") and 0 <= self[n] <= 1]
        names = [names] if isinstance(names, str) else list(names)
        if not names:
            raise ValueError("names is empty, must have a metric that each user has")
        for n in names:
            self.per_user[n]
        return plot_intervals(names, [self[n] for n in names], [self.interval(n, confidence, samples, seed) for n in names],
                              f"mean over {self['users']} users with interval", path, ax)

    def _repr_html_(self) -> str:
        groups = {g: means for g, means in self.by_history.items() if g == "all" or 0 < means["users"] < self["users"]}
        columns = {"metric": ["users", *self.metrics]}
        for group, means in groups.items():
            values = [self[n] if group == "all" else means.get(n) for n in self.metrics]
            columns[group] = [str(means["users"]), *("-" if v is None else f"{v:.4f}" for v in values)]
        return html_table(columns)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={self[n]:.4f}" for n in self._core.names)
        parts = "".join(f"; {group}: {', '.join(f'{n}={v:.4f}' if n != 'users' else f'users={v}' for n, v in means.items())}"
                        for group, means in self.by_history.items() if group != "all" and 0 < means["users"] < self["users"])
        return f"Evaluation({values}, users={self['users']}{parts})"


def evaluate(model, train, test, k=(10, 20), metrics=("recall", "ndcg"), *, filter_already_liked_items: bool = True,
             recalculate_user: bool = False, check_fit: bool = True, num_threads: int = 0, item_features=None, recipe=None) -> Evaluation:
    """Ranks the full catalogue for every user with a relevant item in `test` and measures the lists.

    train, test: Interactions, EventLog or CSR over one id space; train also Sequences, one list a user, for models to which
    order matters. Relevant is what a user's test row holds with a value > 0 and, with filter_already_liked_items, their
    train row does not.
    Refused with a ValueError: a model of etalage whose fit held pairs that test asks for and train does not hold; its figures
    would be those of its memory. check_fit=False measures it all the same.
    model: any of etalage; or any object with recommend(users, user_items, N=... or k=...) -> (items, scores); or an array
    int [users x k] of item indices, best first, -1 where a list ends, or a tuple of it and its scores.

    Items of equal score have no order of their own: each metric is its exact expectation over all orders of them, so that
    it does not depend on how items are numbered. For that the model is asked for more than k items where place k lies in a
    tie; an array tells of ties only with scores (see evaluate_ranking), and is taken as it stands without.

    recipe: an etalage.Recipe, for parts that are logs: how their events count. None means the one that the model keeps from its
    fit (model.recipe). Held-out events do not decay and are not transformed. A model to which order matters is asked by the
    log's order; where train is a matrix by the lists that it kept from a fit on just its pairs, else in ascending order of the
    items, and a UserWarning says so.
    metrics: precision, recall, capped_recall, hit_rate, ndcg, map, mrr, coverage; and, of lists beyond accuracy, novelty,
    popularity, popularity_bias, gini, diversity, serendipity. A model of etalage is asked a second time for these.
    item_features: what diversity compares items by: numbers [items x d], dense or sparse, or a Catalog (its products by the
    item keys of train, or in the order of the items where train has no keys; its vectors, else its categories). None: the
    shoppers who have them in train.
    recalculate_user: take the taste from the train part instead of from the fit.
    """
    k, metrics, num_threads = _k(k), _metrics(metrics), whole_number(num_threads, "num_threads")
    beyond = beyond_among(metrics)
    if item_features is not None and "diversity" not in metrics:
        raise ValueError("item_features is given, metrics must have 'diversity', which alone reads it")
    core = _recommender(model)
    if core is not None:
        recipe = recipe_of(core, recipe, train, test)
        history = histories(core, train, recipe)
        if not isinstance(history, _core.Sequences):
            history = _interactions(history, "train")
        relevant = _interactions(held_out(test, recipe), "test")
        out = _core.evaluate(core, history, relevant, k, accuracy_among(metrics), filter_already_liked_items, recalculate_user,
                             num_threads, check_fit)
        if beyond:
            started = time.perf_counter()
            rows = history_rows(history, relevant.shape)
            measure = BeyondAccuracy(beyond, k, rows, relevant.user_items_view, hide_seen=filter_already_liked_items,
                                     features=_aligned(item_features, history))
            ask_own(measure, core, rows, out.user_index, max(k), filter_already_liked_items, recalculate_user, num_threads)
            out = measure.joined(out, metrics, time.perf_counter() - started)
        return Evaluation(out)
    recipe = recipe_of(None, recipe, train, test)
    seen, relevant = _interactions(train, "train", recipe), _interactions(held_out(test, recipe), "test")
    _same_shape(seen, relevant)
    if hasattr(model, "recommend"):
        measure = _core.RankingEvaluator(relevant, None, seen if filter_already_liked_items else None, k, accuracy_among(metrics), num_threads)
        if beyond:
            measure = Together(measure, BeyondAccuracy(beyond, k, seen.user_items_view, relevant.user_items_view,
                                                       hide_seen=filter_already_liked_items, features=_aligned(item_features, seen)), metrics)
        ask_foreign(measure, model, seen.user_items_view, max(k, default=0), filter_already_liked_items)
        core = measure.finish()
    else:
        items, scores = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
        core = _measure_lists(items, scores, seen, relevant, None, k, metrics, filter_already_liked_items, num_threads, item_features)
    return Evaluation(core, np.diff(seen.user_items_view.indptr)[core.user_index] > 0)


def evaluate_ranking(items, test, *, train=None, users=None, k=(10, 20), metrics=("recall", "ndcg"), num_threads: int = 0,
                     scores=None, item_features=None) -> Evaluation:
    """Measures lists that were made elsewhere: int [n x k'], best first, -1 where a list ends; row j is for user j, or for
    users[j]. Items of `train`, if given, are not counted as relevant; a list that holds them has them as misses.

    scores: numbers [n x k'] that do not rise along a list. With them items of equal score count by the exact expectation
    over all orders of them. Ties with items that are not listed cannot be seen: hand over more than k places, as many as
    ties may reach. Without scores the order is meant as it stands.
    metrics, item_features: as in evaluate(); those beyond accuracy need `train`.
    test: as in evaluate().
    """
    train = None if train is None else _interactions(train, "train")
    return Evaluation(_measure_lists(items, scores, train, _interactions(test, "test"), users, _k(k), _metrics(metrics), train is not None,
                                     whole_number(num_threads, "num_threads"), item_features))


def _measure_lists(items, scores, train, test, users, k: list[int], metrics: list[str], hide_seen: bool, num_threads: int, item_features):
    """The compiled evaluation of lists made elsewhere."""
    if isinstance(items, np.ma.MaskedArray):
        items = asarray(items, "items")
    elif not isinstance(items, np.ndarray):
        try:
            items = asarray(items, "items")
        except ValueError:
            items = np.empty(0, dtype=object)
    if items.ndim != 2 or items.dtype.kind not in "iu":
        raise TypeError(f"items is {items.dtype} with {items.ndim} dimensions, must be an integer array users x k, or a model "
                        "with a recommend method")
    if scores is not None:
        scores = np.asarray(scores)
        if scores.shape != items.shape or scores.dtype.kind not in "fiu":
            raise ValueError(f"scores is {scores.dtype} {scores.shape}, must be numbers of the shape of items, {items.shape}")
        if scores.dtype not in (np.float32, np.float16):
            scores = _float32_in_same_order(scores)
    beyond = beyond_among(metrics)
    if beyond and train is None:
        raise ValueError(f"metrics has {beyond[0]!r}, which counts shoppers in train, and train is None: must be given")
    measure = _core.RankingEvaluator(test, users, train if hide_seen else None, k, accuracy_among(metrics), num_threads)
    if beyond:
        measure = Together(measure, BeyondAccuracy(beyond, k, train.user_items_view, test.user_items_view, hide_seen=hide_seen, users=users,
                                                   features=_aligned(item_features, train)), metrics)
    measure.add(np.arange(len(items), dtype=np.int32), items, scores)
    return measure.finish()


def _aligned(features, train):
    """A Catalog with its rows in the order of train's items, where train has keys; other features as they are."""
    if not isinstance(features, _core.Catalog):
        return features
    if train.item_id_map is not None:
        return _core.align_catalog(features, train.item_id_map)
    if len(features) != train.num_items:
        raise ValueError(f"item_features is a Catalog of {len(features)} products and train has {train.num_items} items without keys, must "
                         "have as many")
    return features


def _float32_in_same_order(scores: np.ndarray) -> np.ndarray:
    """Small integers that rise, fall and are equal along each row where the scores are: float32 would make ties of its own."""
    before, after = scores[:, :-1], scores[:, 1:]
    out = np.zeros(scores.shape, np.float32)
    out[:, 1:] = np.cumsum((after > before).astype(np.int64) - (after < before), axis=1)
    out[scores != scores] = np.nan
    return out


def evaluate_next(model, sequences, positions: str = "last", k=(10, 20), metrics=("hit_rate", "mrr", "ndcg"), *,
                  filter_already_liked_items: bool = False, known_users: bool = False, exclude_last="auto",
                  num_threads: int = 0, recipe=None) -> Evaluation:
    """Next-item prediction: from the items before a position, rank the catalogue for the item at it.

    positions: "last" of each sequence, or "all". sequences: Sequences or EventLog (one list a user). The items before the
    position are given as session; with known_users the fitted user of the sequence is asked for too. exclude_last: never
    list the item before the position, as in recommend_session(): True, False or "auto". recipe: of a log, what of it counts and
    whether lists are shoppers or visits; None means the one that the model keeps. One value a position:
    r["users"] counts positions and r.user_index names their sequences.
    k, metrics: as in evaluate(). filter_already_liked_items: leave out, and do not count, the items before the position.
    """
    core = _recommender(model)
    if core is None:
        raise TypeError(f"model is a {type(model).__name__}, must be a model of etalage")
    metrics = _metrics(metrics)
    for name in metrics:
        if name in BEYOND:
            raise ValueError(f"metrics has {name!r}, must be metrics of accuracy or coverage for next items; evaluate() measures the others")
    if isinstance(sequences, _core.EventLog):
        sequences = (recipe_of(core, recipe, sequences) or Recipe()).sequences(sequences)
    elif recipe is not None:
        raise ValueError("recipe is given and sequences is no EventLog, must go with the log")
    if not isinstance(sequences, _core.Sequences):
        raise TypeError(f"sequences is a {type(sequences).__name__}, must be Sequences or EventLog")
    return Evaluation(_core.evaluate_next(core, sequences, positions, _k(k), metrics, filter_already_liked_items,
                                          known_users, whole_number(num_threads, "num_threads"), _auto(exclude_last, "exclude_last")))


def _recommender(model):
    """The compiled model behind one of ours, or None."""
    for candidate in (model, getattr(model, "_model", None)):
        if isinstance(candidate, _core.Recommender):
            return candidate
    return None


def _interactions(data, argument: str, recipe=None):
    if isinstance(data, _core.Interactions):
        return data
    if isinstance(data, _core.EventLog):
        return data.interactions() if recipe is None else recipe.interactions(data)
    if isinstance(data, _core.Sequences):
        raise TypeError(f"{argument} is Sequences, must be Interactions, EventLog or a sparse matrix here")
    return _core.Interactions.from_csr(data)


def _same_shape(train, test) -> None:
    if train.shape != test.shape:
        raise ValueError(f"train has shape {train.shape} and test {test.shape}, both must have the same users and items")


def _k(k) -> list[int]:
    values = [k] if np.ndim(k) == 0 else list(k)
    for v in values:
        if isinstance(v, (bool, np.bool_)) or not isinstance(v, (int, np.integer)):
            raise TypeError(f"k holds {v!r}, must be integers >= 1")
        if v < 1:
            raise ValueError(f"k is {v}, must be >= 1")
        whole_number(v, "k")
    return [int(v) for v in values]


def _metrics(metrics) -> list[str]:
    return [metrics] if isinstance(metrics, str) else list(metrics)
