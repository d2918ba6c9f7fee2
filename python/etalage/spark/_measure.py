# SPDX-License-Identifier: Apache-2.0
"""evaluate and its sums: each task measures its users with the local evaluation, the driver adds."""

from __future__ import annotations

import math

import numpy as np

from .. import _core
from ..evaluation._beyond import BEYOND
from ..evaluation._evaluate import _k, _metrics
from ._lists import _keys, _spec
from ._session import by_columns, check_frame, check_session, column, key_column, rows
from ._worker import _MARK, task

_OF_LISTS = ("coverage", "gini", "popularity_bias")
_PARTS = "name string, part double"


def evaluate(session, model_path, test, k=(10, 20), metrics=("recall", "ndcg"), *, lists=None, user="user", item="item", rank="rank", value=None,
             filter_already_liked_items=True, check_fit=True, partitions=None, ship=False):
    """Ranks the full catalogue for every user of `test` and measures the lists: {"recall@10": .., "users": ..}; or measures `lists`.

    Each metric is the mean that etalage.evaluation.evaluate() has with the model's own rows as train: users with a relevant
    item that train does not hold, exact expectations over ties. Sums are exact, so the result does not depend on partitions.

    test     a DataFrame of pairs, keys in columns `user` and `item`; a pair counts once, and with `value` where the sum of its
             values is > 0. Users and items unknown to the model are left out, as by a test made over the model's keys
    metrics  precision, recall, capped_recall, hit_rate, ndcg, map, mrr (coverage and those beyond accuracy need all lists)
    check_fit, filter_already_liked_items   as for evaluation.evaluate()
    lists    a DataFrame of lists made elsewhere, as evaluation.evaluate_ranking() measures them: columns `user`, `item` and `rank`
             (numbers, the best lowest: as of recommend()), or `user` and `item` with an array of items, best first. Nothing is ranked
             then, and model_path may be None; with a model, users, items and rows that it keeps count as above. A user of test
             without a list counts with an empty one; an item that a list holds twice is a ValueError
    """
    check_session(session)
    check_frame(test, "test")
    k, metrics = _k(k), _metrics(metrics)
    for name in metrics:
        if name in BEYOND or name in _OF_LISTS:
            raise ValueError(f"metrics has {name!r}, must be metrics that each user has: evaluation.evaluate() measures the others")
        _core.metric_at_k(name, [0], [0], 1)  # a name that is none is told before any job
    names = [f"{m}@{n}" for n in k for m in metrics]
    if lists is not None:
        return _summed(_of_lists(session, model_path, test, lists, k, metrics, (user, item, rank, value), bool(filter_already_liked_items),
                                 partitions, ship), names)
    if model_path is None:
        raise ValueError("model_path and lists are None, must be a model's file, or lists that are there")
    spec, model = _spec(session, model_path, 1, ship, None, None)
    if not model.core.has_history:
        raise ValueError("the model keeps no rows, must be fitted with keep_history to be measured")
    chosen = [_keys(test, user, "user", model).alias("user"), _keys(test, item, "item", model).alias("item")]
    if value is not None:
        chosen.append(column(test, value, "value").cast("double").alias("value"))
    pairs = by_columns(test.select(*chosen), partitions, "user").sortWithinPartitions("user", "item")
    return _summed(pairs.mapInArrow(task("spark.evaluate", "_measure_tasks", "measure", spec, k, metrics, bool(filter_already_liked_items),
                                         bool(check_fit)), _PARTS), names)


def _of_lists(session, model_path, test, lists, k, metrics, columns, hide_seen, partitions, ship):
    """Partial sums over lists that are there: each user's relevant and listed items in one row."""
    from pyspark.sql import functions as F

    check_frame(lists, "lists")
    user, item, rank, value = columns
    model, spec = None, None
    if model_path is not None:
        spec, model = _spec(session, model_path, 1, ship, None, None)
        if hide_seen and not model.core.has_history:
            raise ValueError("the model keeps no rows, must be fitted with keep_history, or measured with filter_already_liked_items=False")

    def keys(df, name, side):
        return _keys(df, name, side, model) if model is not None else key_column(df, name, side)[0]

    liked = test.select(keys(test, user, "user").alias("user"), keys(test, item, "item").alias("item"),
                        *([] if value is None else [column(test, value, "value").cast("double").alias("value")]))
    if value is not None:
        liked = liked.groupBy("user", "item").agg(F.sum("value").alias("value")).where(F.col("value") > 0)
    # In structs: collect_list leaves nulls out, which are to be told.
    liked = liked.groupBy("user").agg(F.collect_list(F.struct("item")).getField("item").alias("liked"))
    listed = _as_arrays(lists, user, item, rank, keys(lists, user, "user"), key_column(test, item, "item")[1])
    if partitions is not None:
        liked, listed = (by_columns(df, partitions, "user") for df in (liked, listed))
    joined = liked.join(listed, "user", "left")
    return joined.select("user", "liked", "listed").mapInArrow(task("spark.evaluate", "_measure_tasks", "measure_lists", spec, k, metrics, hide_seen),
                                                                _PARTS)


def _as_arrays(lists, user, item, rank, key, strings):
    """Lists as rows (user, listed: the items, best first)."""
    from pyspark.sql import functions as F

    def told(c, name):
        text = f"{_MARK}ValueError: spark.evaluate: lists: column {name!r} has a null, must have none: filter them out"
        return F.coalesce(c, F.raise_error(F.lit(text)).cast(lists.select(c).schema[0].dataType))

    key = told(key, user)
    kind = lists.schema[item].dataType if item in lists.columns else None
    wanted = "string" if strings else "bigint"
    if kind is not None and kind.typeName() == "array":
        of = kind.elementType.typeName()
        if (of == "string") != strings or of not in ("string", "byte", "short", "integer", "long"):
            raise ValueError(f"item is column {item!r} of {kind.simpleString()} in lists, must be of arrays of {wanted}, as the items of test")
        pairs = lists.select(key.alias("user"), column(lists, item, "item").cast(f"array<{wanted}>").alias("listed"))
        twice = F.raise_error(F.lit(f"{_MARK}ValueError: spark.evaluate: lists has a user in two rows, must have one row a user"))
        return pairs.groupBy("user").agg(F.when(F.count(F.lit(1)) > 1, twice.cast(f"array<{wanted}>")).otherwise(F.first("listed")).alias("listed"))
    what, of_strings = key_column(lists, item, "item")
    if of_strings != strings:
        raise ValueError(f"item is column {item!r} of {kind.simpleString()} in lists, must be of {wanted}, as the items of test")
    place = told(column(lists, rank, "rank").cast("double"), rank)
    pairs = lists.select(key.alias("user"), F.struct(place.alias("rank"), told(what, item).alias("item")).alias("at"))
    return pairs.groupBy("user").agg(F.sort_array(F.collect_list("at")).getField("item").alias("listed"))


def _summed(parts, names):
    """Means of the partial sums of tasks."""
    found = rows(parts)
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
