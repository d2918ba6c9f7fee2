# SPDX-License-Identifier: Apache-2.0
"""summaries: what models of customer lifetime value are fitted on, customer by customer in the cluster."""

from __future__ import annotations

from .._times import to_ms
from ..marketing.lifetime import _PURCHASES, _unit
from ..models import _arguments as arg
from ._session import by_columns, check_frame, column, key_column, need_spark, rows
from ._worker import task


def summaries(df, user="user", time="time", value=None, event=None, *, events=None, until=None, unit="weeks", utc_offset_minutes=0, grouped=False,
              partitions=None):
    """Summaries of customers, as marketing.lifetime.summarize() makes them of a log: a lazy DataFrame (customer, frequency, recency, T
    double[, money double], log_gaps double), one row a customer who bought.

    user, time, value, event   names of columns of df; times are timestamps, naive ones are UTC; value is the money of a purchase
    events, until, unit, utc_offset_minutes   as for summarize(); until None is the newest purchase's day, which a job looks up

    grouped      True: how many customers have the same history, which is all that a fit of BGNBD, MBGNBD, ParetoNBD or MBGCNBD asks:
                 (frequency, recency, T, customers bigint, log_gaps double, the sum of theirs) in that order, for
                 fit(frequency, recency, T, weights=customers). At most days^2 / 2 rows a frequency, however many customers

    A customer's events come together in one task.
    """
    F = need_spark()
    check_frame(df, "df")
    _unit(unit)
    if grouped and value is not None:
        raise ValueError(f"value is {value!r} and grouped True, must be None: what customers spend is their own")
    offset = arg.integer(utc_offset_minutes, "utc_offset_minutes")
    key, strings = key_column(df, user, "user")
    kind = df.schema[time].dataType.typeName() if time in df.columns else ""
    chosen = [key.alias("user"), column(df, time, "time").alias("time")]
    if kind not in ("timestamp", "timestamp_ntz", "timestampntz"):
        raise TypeError(f"time is column {time!r} of type {df.schema[time].dataType.simpleString()}, must be of timestamps: cast it")
    if value is not None:
        chosen.append(column(df, value, "value").cast("double").alias("value"))
    bought = df
    if event is not None:
        type_of = column(df, event, "event")
        if events is None:
            names = sorted(str(r["event"]) for r in rows(df.select(type_of.alias("event")).distinct()))
            events = [n for n in names if n in _PURCHASES]
            if not events:
                raise ValueError(f"events is None and the log has the types {', '.join(map(repr, names))}, must name those that are purchases")
        bought = df.where(type_of.isin([events] if isinstance(events, str) else list(events)))
    elif events is not None:
        raise ValueError(f"events is {events!r} and event None, must name the column of event types")
    asked = bought.select(*chosen)
    if until is None:
        newest = F.max("time")
        if kind == "timestamp":
            found = rows(asked.agg(F.floor(F.unix_micros(newest) / 1000).alias("t")))[0]["t"]
        else:
            found = rows(asked.agg(F.expr("timestampdiff(MILLISECOND, timestamp_ntz'1970-01-01 00:00:00', max(time))").alias("t")))[0]["t"]
        until = 0 if found is None else found
    else:
        until = int(to_ms(until, "until"))
    what = task("spark.summaries", "_summary_tasks", "summarised", value is not None, int(until), unit, offset)
    each = by_columns(asked, partitions, "user").sortWithinPartitions("user", "time").mapInArrow(
        what, f"customer {'string' if strings else 'bigint'}, frequency double, recency double, T double" + (", money double" if value is not None else "")
        + ", log_gaps double")
    if not grouped:
        return each
    history = ("frequency", "recency", "T")
    return each.groupBy(*history).agg(F.count(F.lit(1)).alias("customers"), F.sum("log_gaps").alias("log_gaps")).orderBy(*history)
