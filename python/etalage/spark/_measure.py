# SPDX-License-Identifier: Apache-2.0
"""evaluate and its sums: each task measures its users with the local evaluation, the driver adds."""

from __future__ import annotations

import math

import numpy as np

from ..evaluation._beyond import BEYOND
from ..evaluation._evaluate import _k, _metrics
from ._lists import _keys, _spec
from ._session import check_frame, check_session, partitions_of, rows, slots
from ._worker import task

_OF_LISTS = ("coverage", "gini", "popularity_bias")


def evaluate(session, model_path, test, k=(10, 20), metrics=("recall", "ndcg"), *, user="user", item="item", value=None,
             filter_already_liked_items=True, check_fit=True, partitions=None, ship=False):
    """Ranks the full catalogue for every user of `test` and measures the lists: {"recall@10": .., "users": ..}.

    Each metric is the mean that etalage.evaluation.evaluate() has with the model's own rows as train: users with a relevant
    item that train does not hold, exact expectations over ties. Sums are exact, so the result does not depend on partitions.

    test     a DataFrame of pairs, keys in columns `user` and `item`; a pair counts once, and with `value` where the sum of its
             values is > 0. Users and items unknown to the model are left out, as by a test made over the model's keys
    metrics  precision, recall, capped_recall, hit_rate, ndcg, map, mrr (coverage and those beyond accuracy need all lists)
    check_fit, filter_already_liked_items   as for evaluation.evaluate()
    """
    check_session(session)
    check_frame(test, "test")
    k, metrics = _k(k), _metrics(metrics)
    for name in metrics:
        if name in BEYOND or name in _OF_LISTS:
            raise ValueError(f"metrics has {name!r}, must be metrics that each user has: evaluation.evaluate() measures the others")
    spec, model = _spec(session, model_path, 1, ship, None, None)
    if not model.core.has_history:
        raise ValueError("the model keeps no rows, must be fitted with keep_history to be measured")
    chosen = [_keys(test, user, "user", model).alias("user"), _keys(test, item, "item", model).alias("item")]
    if value is not None:
        from ._session import column

        chosen.append(column(test, value, "value").cast("double").alias("value"))
    count = partitions_of(session, partitions, 4 * slots(session))
    pairs = test.select(*chosen).repartition(count, "user").sortWithinPartitions("user", "item")
    found = rows(pairs.mapInArrow(task("spark.evaluate", "_measure_tasks", "measure", spec, k, metrics, bool(filter_already_liked_items),
                                       bool(check_fit)), "name string, part double"))
    names = [f"{m}@{n}" for n in k for m in metrics]
    # A sum of doubles has the same bits in any order when it is exact: fsum of the values that exact partial sums are made of.
    sums = {}
    for r in found:
        sums.setdefault(r["name"], []).append(r["part"])
    users = int(math.fsum(sums.pop("users", [])))
    hidden = int(math.fsum(sums.pop("hidden", [])))
    out = {name: (math.fsum(sums.get(name, [])) / users if users else float("nan")) for name in names}
    return {**out, "users": users, "hidden": hidden}


def exact_parts(values):
    """Doubles whose sum is exactly that of the values (Shewchuk): few, however many values there are."""
    parts = []
    for x in np.asarray(values, np.float64).tolist():
        kept = 0
        for y in parts:
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low:
                parts[kept] = low
                kept += 1
            x = high
        parts[kept:] = [x]
    return parts
