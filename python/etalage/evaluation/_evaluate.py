# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import numpy as np

from .. import _core

_BLOCK = 4096
_PLACES = 1 << 22  # places of a foreign model's long lists held at a time


class _PerUser(Mapping):
    """Values of each user by metric, float64 in the order of Evaluation.user_index."""

    def __init__(self, core) -> None:
        self._core = core

    def __getitem__(self, name: str) -> np.ndarray:
        return _asked(self._core.per_user, name)

    def __iter__(self) -> Iterator[str]:
        return (n for n in self._core.names if not n.startswith("coverage@"))

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
    and r["seconds"]. Metrics are expectations over the order of tied items. r.per_user["recall@20"] is float64, r.interval("recall@20") a
    bootstrap interval, r.compare(other, "recall@20") a paired test."""

    _COUNTS = ("users", "hidden", "seconds")

    def __init__(self, core) -> None:
        self._core = core

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
        """float64 [users] for each metric that a user has (all but coverage)."""
        return _PerUser(self._core)

    @property
    def user_index(self) -> np.ndarray:
        """int32 [users]: the user (for next-item evaluation, the sequence) behind each value of per_user."""
        return self._core.user_index

    def mean(self, name: str, importance=None) -> float:
        """The mean of a metric over users, each counted by importance[his index] >= 0 (None: all alike)."""
        if importance is None:
            return self[name]
        values = self.per_user[name]
        counts = np.asarray(importance, np.float64)
        if counts.ndim != 1 or len(counts) <= self.user_index.max():
            raise ValueError(f"importance has shape {counts.shape}, must have one entry for each user, at least {self.user_index.max() + 1}")
        counts = counts[self.user_index]
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
            raise ValueError("importance must hold finite numbers >= 0, one of them > 0 for a user with a relevant item")
        return float(values @ counts / counts.sum())

    def interval(self, name: str, confidence: float = 0.95, samples: int = 1000, seed: int = 42, num_threads: int = 0):
        """(low, high) of the mean by percentile bootstrap over users."""
        return self._core.interval(name, samples, confidence, seed, num_threads)

    def compare(self, other: Evaluation, name: str, confidence: float = 0.95, samples: int = 1000, seed: int = 42,
                num_threads: int = 0) -> dict:
        """This minus other on the same users: {"difference", "interval", "p_value"}; a two-sided sign-flip test."""
        return self._core.compare(other._core, name, samples, confidence, seed, num_threads)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={self[n]:.4f}" for n in self._core.names)
        return f"Evaluation({values}, users={self['users']})"


def evaluate(model, train, test, k=(10, 20), metrics=("recall", "ndcg"), *, filter_already_liked_items: bool = True,
             recalculate_user: bool = False, num_threads: int = 0) -> Evaluation:
    """Ranks the full catalogue for every user with a relevant item in `test` and measures the lists.

    train, test: Interactions, EventLog or CSR over one id space; train also Sequences, one list a user, for models to which
    order matters. Relevant is what a user's test row holds with a value > 0 and, with filter_already_liked_items, his
    train row does not.
    model: any of etalage; or any object with recommend(users, user_items, N=... or k=...) -> (items, scores); or an array
    int [users x k] of item indices, best first, -1 where a list ends, or a tuple of it and its scores.

    Items of equal score have no order of their own: each metric is its exact expectation over all orders of them, so that
    it does not depend on how items are numbered. For that the model is asked for more than k items where place k lies in a
    tie; an array tells of ties only with scores (see evaluate_ranking), and is taken as it stands without.
    """
    k, metrics = _k(k), _metrics(metrics)
    core = _recommender(model)
    if core is not None:
        history = train.sequences() if isinstance(train, _core.EventLog) else train
        if not isinstance(history, _core.Sequences):
            history = _interactions(history, "train")
        return Evaluation(_core.evaluate(core, history, _interactions(test, "test"), k, metrics, filter_already_liked_items,
                                         recalculate_user, num_threads))
    seen, relevant = _interactions(train, "train"), _interactions(test, "test")
    _same_shape(seen, relevant)
    if hasattr(model, "recommend"):
        measure = _core.RankingEvaluator(relevant, None, seen if filter_already_liked_items else None, k, metrics, num_threads)
        _measure_foreign(measure, model, seen.user_items, max(k, default=0), filter_already_liked_items)
        return Evaluation(measure.finish())
    items, scores = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    return evaluate_ranking(items, relevant, train=seen if filter_already_liked_items else None, k=k, metrics=metrics,
                            num_threads=num_threads, scores=scores)


def evaluate_ranking(items, test, *, train=None, users=None, k=(10, 20), metrics=("recall", "ndcg"), num_threads: int = 0,
                     scores=None) -> Evaluation:
    """Measures lists that were made elsewhere: int [n x k'], best first, -1 where a list ends; row j is for user j, or for
    users[j]. Items of `train`, if given, are not counted as relevant; a list that holds them has them as misses.

    scores: numbers [n x k'] that do not rise along a list. With them items of equal score count by the exact expectation
    over all orders of them. Ties with items that are not listed cannot be seen: hand over more than k places, as many as
    ties may reach. Without scores the order is meant as it stands.
    """
    if not isinstance(items, np.ndarray):
        try:
            items = np.asarray(items)
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
    train = None if train is None else _interactions(train, "train")
    measure = _core.RankingEvaluator(_interactions(test, "test"), users, train, _k(k), _metrics(metrics), num_threads)
    measure.add(np.arange(len(items), dtype=np.int32), items, scores)
    return Evaluation(measure.finish())


def _float32_in_same_order(scores: np.ndarray) -> np.ndarray:
    """Small integers that rise, fall and are equal along each row where the scores are: float32 would make ties of its own."""
    before, after = scores[:, :-1], scores[:, 1:]
    out = np.zeros(scores.shape, np.float32)
    out[:, 1:] = np.cumsum((after > before).astype(np.int64) - (after < before), axis=1)
    out[scores != scores] = np.nan
    return out


def evaluate_next(model, sequences, positions: str = "last", k=(10, 20), metrics=("hit_rate", "mrr", "ndcg"), *,
                  filter_already_liked_items: bool = False, known_users: bool = False, num_threads: int = 0) -> Evaluation:
    """Next-item prediction: from the items before a position, rank the catalogue for the item at it.

    positions: "last" of each sequence, or "all". sequences: Sequences or EventLog (one list a user). The items before the
    position are given as session; with known_users the fitted user of the sequence is asked for too. One value a position:
    r["users"] counts positions and r.user_index names their sequences.
    """
    core = _recommender(model)
    if core is None:
        raise TypeError(f"model is a {type(model).__name__}, must be a model of etalage")
    if isinstance(sequences, _core.EventLog):
        sequences = sequences.sequences()
    if not isinstance(sequences, _core.Sequences):
        raise TypeError(f"sequences is a {type(sequences).__name__}, must be Sequences or EventLog")
    return Evaluation(_core.evaluate_next(core, sequences, positions, _k(k), _metrics(metrics), filter_already_liked_items,
                                          known_users, num_threads))


def _recommender(model):
    """The compiled model behind one of ours, or None."""
    for candidate in (model, getattr(model, "_model", None)):
        if isinstance(candidate, _core.Recommender):
            return candidate
    return None


def _interactions(data, argument: str):
    if isinstance(data, _core.Interactions):
        return data
    if isinstance(data, _core.EventLog):
        return data.interactions()
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
    return [int(v) for v in values]


def _metrics(metrics) -> list[str]:
    return [metrics] if isinstance(metrics, str) else list(metrics)


def _measure_foreign(measure, model, user_items, k: int, filter_seen: bool) -> None:
    """Lists of a model that speaks implicit's words, whatever it pads with. Where place k lies in a tie, it is asked again for
    more, until the tie ends."""
    try:
        known = inspect.signature(model.recommend).parameters
    except (TypeError, ValueError):
        known = {"N": None, "filter_already_liked_items": None}
    any_name = any(getattr(p, "kind", None) is inspect.Parameter.VAR_KEYWORD for p in known.values())
    length = "k" if "k" in known and "N" not in known else "N"
    options = {}
    if any_name or "filter_already_liked_items" in known:
        options["filter_already_liked_items"] = filter_seen
    # Foreign code may write to what it is given.
    rows = user_items.copy()
    num_users, num_items = rows.shape

    def ask(users: np.ndarray, places: int) -> np.ndarray:
        """Measures the users whose lists `places` show whole, and returns the others."""
        answer = model.recommend(users, rows[users], **{length: places}, **options)
        items, scores = answer if isinstance(answer, tuple) else (answer, None)
        items = np.array(items)[:, :places]
        levels = None
        unseen = np.zeros(len(users), bool)
        if scores is not None:
            scores = np.asarray(scores)[:, : items.shape[1]]
            # Some libraries pad with an id and the lowest float, and return filtered items behind it.
            items[scores <= np.finfo(np.float32).min] = -1
        items[np.cumsum(items < 0, axis=1) > 0] = -1
        if scores is not None:
            # A library may order by more than it says: only neighbours that are equal tie.
            levels = np.zeros(items.shape, np.float32)
            levels[:, 1:] = -np.cumsum(scores[:, 1:] != scores[:, :-1], axis=1)
            if items.shape[1] == places and k < places < num_items:
                unseen = (items[:, -1] >= 0) & (levels[:, -1] == levels[:, k - 1])
        if items.shape[1] < min(k, num_items):
            missing = min(k, num_items) - items.shape[1]
            items = np.pad(items, ((0, 0), (0, missing)), constant_values=-1)
            levels = None if levels is None else np.pad(levels, ((0, 0), (0, missing)), constant_values=-np.inf)
        measure.add(users[~unseen], items[~unseen], None if levels is None else levels[~unseen])
        return users[unseen]

    for begin in range(0, num_users, _BLOCK):
        users = np.arange(begin, min(begin + _BLOCK, num_users), dtype=np.int32)
        places = min(k + 1, num_items)
        users = ask(users, places)
        while len(users):
            places = min(8 * places, num_items)
            at_once = max(_PLACES // places, 1)
            users = np.concatenate([ask(users[j : j + at_once], places) for j in range(0, len(users), at_once)])
