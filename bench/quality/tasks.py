# SPDX-License-Identifier: Apache-2.0
"""What is asked of each data set: on what settings are chosen, on what they are fitted, and what is measured once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import scipy.sparse as sp

import datasets
import etalage
from etalage.evaluation import evaluate, evaluate_next, inverse_popularity


@dataclass(frozen=True)
class Task:
    name: str
    protocol: str
    choose: Callable[[str], tuple[Any, Any, dict]]  # data -> (train, valid, options of tuning.search)
    final: Callable[[str], Any]                     # data -> what the chosen model is fitted on
    measure: Callable[[str, Any], Any]              # data, fitted model -> Evaluation
    metrics: tuple[str, ...]
    relevant: Callable[[str], Any] | None = None    # data -> test rows, where peers are measured too


def _matrix_task(name, load, protocol, metrics, k, choose_by, by_chance=False):
    """by_chance: validation rows were drawn at random, and count by the inverse popularity of what they hold."""
    names = tuple(dict.fromkeys(m.split("@")[0] for m in metrics))

    def measure(data, model):
        parts = load(data)
        return evaluate(model, parts["all"], parts["test"], k=k, metrics=names)

    def choose(data):
        head, tail = load(data)["head"], load(data)["tail"]
        counts = {"importance": inverse_popularity(head, tail)} if by_chance else {}
        return etalage.Interactions.from_csr(head), tail, {"metric": choose_by, **counts}

    return Task(name, protocol, choose,
                lambda data: etalage.Interactions.from_csr(load(data)["all"]), measure, metrics, lambda data: load(data)["test"])


def _log_task(name, load, protocol, masked: bool, new_only: bool = False, known_only: bool = True):
    """Splits of a log: what is masked is neither recommended nor relevant."""

    def part(data, which):
        history, held = load(data)["head" if which == "choose" else "all"], load(data)["tail" if which == "choose" else "test"]
        seen, relevant = history.interactions().user_items, held.interactions().user_items
        if known_only:  # of customers who bought before
            relevant = sp.diags((np.diff(seen.indptr) > 0).astype(np.float32)) @ relevant
        if new_only:
            relevant = relevant - relevant.multiply(seen > 0)
        relevant = sp.csr_matrix(relevant, dtype=np.float32)
        relevant.eliminate_zeros()
        return history, relevant

    def measure(data, model):
        history, relevant = part(data, "final")
        return evaluate(model, history, relevant, k=(20,), metrics=("recall", "ndcg"), filter_already_liked_items=masked)

    return Task(name, protocol, lambda data: (*part(data, "choose"), {"metric": "ndcg@20", "filter_already_liked_items": masked}),
                lambda data: part(data, "final")[0], measure, ("recall@20", "ndcg@20"), lambda data: part(data, "final")[1])


def _beauty(name, protocol, fitted_on):
    def measure(data, model):
        return evaluate_next(model, datasets.beauty(data)["query_test"], "last", k=(10,), metrics=("hit_rate", "ndcg"),
                             filter_already_liked_items=True)

    return Task(name, protocol, lambda data: (datasets.beauty(data)["head"], datasets.beauty(data)["query_valid"],
                                              {"metric": "ndcg@10", "positions": "last", "filter_already_liked_items": True}),
                lambda data: datasets.beauty(data)[fitted_on], measure, ("hit_rate@10", "ndcg@10"))


def _yoochoose_measure(data, model):
    """Both ways: as the model decides (a quarter of these clicks are on the product looked at last, so it may be listed), and
    without the current product, which is then a miss wherever it is clicked again."""
    test = datasets.yoochoose(data)["test"]
    asked = {"positions": "all", "k": (20,), "metrics": ("hit_rate", "mrr")}
    result = evaluate_next(model, test, **asked)
    without = evaluate_next(model, test, **asked, exclude_last=True)
    return {**result, **{f"current left out, {name}": without[name] for name in without.metrics}}


TASKS = {
    t.name: t
    for t in (
        _matrix_task("gowalla", datasets.gowalla, "LightGCN split; settings chosen on the last fifth of each row of train, refit on "
                     "train + valid, train items masked, whole catalogue ranked", ("recall@20", "ndcg@20"), (20,), "ndcg@20"),
        _matrix_task("beibei", datasets.beibei, "buys only, one held-out buy a user; settings chosen on one random training buy a user, counted "
                     "by the inverse root of its product's buyers", ("hit_rate@10", "ndcg@10", "hit_rate@50"), (10, 50), "ndcg@10", by_chance=True),
        _matrix_task("beibei, newest", datasets.beibei_newest, "the same test; settings chosen on the training buy with the largest item id (ids seem to "
                     "grow with time, as comparing train with test shows: not blind to test)", ("hit_rate@10", "ndcg@10", "hit_rate@50"), (10, 50), "ndcg@10"),
        _beauty("beauty", "fitted on all but the last two, queried with all but the last, history masked; settings chosen on the last but "
                "one", "head"),
        _beauty("beauty, refit", "the same, the validation item also in the model", "all_but_last"),
        Task("yoochoose", "100k sample, the next item at every test position, nothing masked; settings chosen on the last training day",
             lambda data: (datasets.yoochoose(data)["head"], datasets.yoochoose(data)["tail"], {"metric": "mrr@20", "positions": "all"}),
             lambda data: datasets.yoochoose(data)["all"], _yoochoose_measure, ("hit_rate@20", "mrr@20", "current left out, hit_rate@20", "current left out, mrr@20")),
        _log_task("movielens", datasets.movielens, "newest 20 % of each user's ratings; settings chosen on the 20 % before", True),
        _log_task("online retail, all", datasets.online_retail, "purchases from 2010-11-01 on of known customers, nothing masked; settings "
                  "chosen on October", False),
        _log_task("online retail, new", datasets.online_retail, "the same, products new to the customer only", True, new_only=True),
        _log_task("online retail, everyone", datasets.online_retail, "the same, with the customers whose first purchase is in the test part; settings of "
                  "'online retail, new'", True, new_only=True, known_only=False),
    )
}
