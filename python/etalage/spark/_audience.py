# SPDX-License-Identifier: Apache-2.0
"""audience: whom to write to, chosen among all shoppers of a model file by tasks that each send their best."""

from __future__ import annotations

import math

import numpy as np

from .. import _core
from ..marketing._audience_scores import lookalike_centre
from ..marketing._audience_shoppers import Shoppers, items_of
from ..marketing.audience import _hold_outs, _share, _similarity, _vector, _contact_limit
from ..models import _arguments as arg
from ._lists import _DDL, _keys, _kind, _spec
from ._session import check_frame, check_session, column, need_spark, over, partitions_of, rows
from ._worker import task


def audience(session, model_path, item=None, category=None, vector=None, predicate=None, *, seeds=None, catalog=None, users=None, k=None,
             share=None, combine="max", exclude_buyers=None, exclude=None, consent=None, contacted=None, min_days=None, now=None, hold_out=0.0,
             salt=None, user="user", time="time", partitions=None, ship=False):
    """The k shoppers of a model file (or the share of the eligible ones, rounded up) most likely to respond, as marketing.audience()
    chooses them: a DataFrame (user, score float, held_out boolean), best first, ties in the order of the model's users.

    What for, one of: item (a key or a list of them), category or a serving Filter as predicate (both with catalog), vector, or seeds
    (keys of shoppers; by factors), with combine, as for marketing.audience().

    Among whom: users, a DataFrame with keys in column `user`, each once; None: all whom the model knows. Unknown keys are nobody.

    Who is left out, by DataFrames with keys in column `user`:
      exclude_buyers   who has one of the products in the model's rows. None: where the model keeps rows
      exclude          whoever is in it: buyers of a log, opt-outs, those who were written to often enough
      consent          whoever is not in it
      contacted, min_days, now   who has a time (column `time`) less than min_days before now
    hold_out, salt     held_out by slot(key, salt), as for marketing.audience(); {salt: share} for several groups
    partitions, ship   as for recommend()

    Tasks keep their best k; with share the eligible shoppers are counted first. Nothing but a count comes to the driver.
    """
    F = need_spark()
    check_session(session)
    spec, model = _spec(session, model_path, 1, ship, None, None)
    given = [n for n, v in (("item", item), ("category", category), ("vector", vector), ("predicate", predicate), ("seeds", seeds)) if v is not None]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'none of item, category, vector, predicate and seeds'} given, must be one of them")
    if predicate is not None and not isinstance(predicate, _core.Filter):
        raise TypeError(f"predicate is {arg.describe(predicate)}, must be a serving Filter: a mask or function of all shoppers is a DataFrame "
                        "here, users= or exclude=")
    if combine not in ("max", "mean"):
        raise ValueError(f"combine is {arg.describe(combine)}, must be 'max' or 'mean'")
    if (k is None) == (share is None):
        raise ValueError(f"k is {k} and share is {share}, must give one of them")
    k = None if k is None else arg.count(k)
    share = None if share is None else _share(share, "share")
    groups = {n: part for n, part in _hold_outs(hold_out, salt).items() if part}
    local = model.model
    ids_kind = _kind(model, "user")
    items = items_of(local, None, item, category, predicate, catalog)
    if exclude_buyers is not None and not isinstance(exclude_buyers, (bool, np.bool_)):
        raise TypeError(f"exclude_buyers is {arg.describe(exclude_buyers)}, must be True, False or None")
    left_out = items is not None and model.core.has_history and exclude_buyers is not False
    if exclude_buyers and not left_out:
        raise ValueError("exclude_buyers is True without products or kept rows, must be given with item, category or a Filter and a model that "
                         "keeps its rows")
    spec.update(items=items, combine=combine, bought=left_out, vector=None if vector is None else _vector(local, vector), seeds=None,
                groups={n: [part.numerator, part.denominator] for n, part in groups.items()}, k=k)
    if seeds is not None:
        _similarity(local, "factors")
        found = Shoppers(local, None, None, None).model_rows(seeds, "seeds")
        spec.update(seeds=found, vector=lookalike_centre(local.user_factors, found))

    asked = _asked(session, users, user, model, partitions)
    for name, frame in (("exclude", exclude), ("consent", consent), ("contacted", contacted)):
        if frame is None:
            continue
        keys = check_frame(frame, name)
        if name == "contacted":
            keys = keys.where(_late(F, frame, time, min_days, now))
        keys = keys.select(_keys(keys, user, "user", model).alias("user"))
        if asked.columns == ["id"]:
            asked = asked.mapInArrow(task("spark.audience: users", "_audience_tasks", "keyed", spec), f"user {_DDL[ids_kind]}")
        asked = asked.join(keys, "user", "left_semi" if name == "consent" else "left_anti")
    if contacted is None and (min_days is not None or now is not None):
        raise ValueError("contacted is None, must be given with contacted, min_days and now together")

    ddl = f"user {_DDL[ids_kind]}, score float, held_out boolean, place int"
    spec["all"] = asked.columns == ["id"]
    if share is not None:
        counted = asked.mapInArrow(task("spark.audience: counting", "_audience_tasks", "eligible", spec), "count bigint")
        eligible = sum(r["count"] for r in rows(counted))
        spec["k"] = math.ceil(share * eligible)
    best = asked.mapInArrow(task("spark.audience", "_audience_tasks", "chosen", spec), ddl)
    return best.orderBy(F.desc("score"), "place").limit(spec["k"]).drop("place")


def _asked(session, users, user, model, partitions):
    if users is None:
        count = model.model.num_users
        return over(session, count, partitions_of(session, partitions, count, 1 << 16))
    check_frame(users, "users")
    asked = users.select(_keys(users, user, "user", model).alias("user")).distinct()
    return asked if partitions is None else asked.repartition(partitions_of(session, partitions, 1), "user")


def _late(F, frame, time, min_days, now):
    """Whether a contact is less than min_days before now; times as marketing.audience() reads them, in UTC milliseconds."""
    limit = _contact_limit(frame, min_days, now)
    c, kind = column(frame, time, "time"), frame.schema[time].dataType.typeName()
    if kind == "timestamp":
        return F.floor(F.unix_micros(c) / 1000) > limit
    if kind in ("timestamp_ntz", "timestampntz"):  # UTC, whatever the session's zone
        return F.expr(f"timestampdiff(MILLISECOND, timestamp_ntz'1970-01-01 00:00:00', `{time.replace('`', '``')}`)") > limit
    raise TypeError(f"time is column {time!r} of type {frame.schema[time].dataType.simpleString()}, must be of timestamps")
