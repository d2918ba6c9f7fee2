# SPDX-License-Identifier: Apache-2.0
"""interactions: events of a DataFrame as blocks of rows in a shared folder, by the rules of EventLog.interactions."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import weakref

import numpy as np

from .. import _core
from .._times import to_ms
from ..models import _arguments as arg
from . import _blocks as blocks
from . import _folder as folder
from ._session import check_frame, column, key_column, need_spark, over, partitions_of, rows, slots
from ._worker import _MARK, task

_BROADCAST = 32 << 20  # bytes of keys that go to every executor; more are joined by a shuffle


def interactions(df, user="user", item="item", event=None, time=None, value=None, *, folder=None, event_weights=None, half_life_days=None,
                 now=None, duplicates="sum", min_user_count=0, min_item_count=0, return_event=None, return_cancels=None,
                 negative_values="keep", value_transform=None, normalize_users=None, time_unit=None, on_error="raise", partitions=None,
                 overwrite=False):
    """Events as a users x items matrix in blocks of rows: a Blocks, in `folder`.

    user, item, event, time, value   names of columns of df, as for EventLog.from_frame. Keys are strings or whole numbers of up
                 to 64 bits; naive timestamps are UTC; decimals count as float32
    folder       a new folder that driver and executors share; overwrite=True replaces one of earlier blocks. None, for a session
                 on this machine alone: a temporary one that lives as long as the Blocks
    event_weights .. normalize_users   as for EventLog.interactions(), with its meaning. `now` is by default the newest event of
                 all. Rows of a DataFrame have no order: events of one pair and one time count in the order of type and value
    on_error     "raise": a null key or a time or value that is none ends the job, with the partition's name; "skip" leaves them out
    partitions   of the shuffle; None: four for each task that may run at once

    Users and items are numbered in the order of their keys, so that blocks have the same bytes for any number of partitions.
    No row comes to the driver: key maps are made and joined in the cluster.
    """
    return _Job(df, dict(user=user, item=item, event=event, time=time, value=value), folder, time_unit, on_error, partitions, overwrite).run(
        dict(event_weights=event_weights, half_life_days=half_life_days, now=now, duplicates=duplicates, return_event=return_event,
             return_cancels=return_cancels, negative_values=negative_values),
        dict(value_transform=value_transform, normalize_users=normalize_users), min_user_count, min_item_count)


class _Job:
    def __init__(self, df, names, path, time_unit, on_error, partitions, overwrite):
        self.F = need_spark()
        check_frame(df, "df")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {arg.describe(on_error)}, must be 'raise' or 'skip'")
        self.key_bytes = {}
        self.session, self.on_error, self.time_unit = df.sparkSession, on_error, time_unit
        self.partitions = partitions_of(self.session, partitions, 4 * slots(self.session))
        self.path, self.temporary = shared_folder(self.session, path, overwrite)
        self.events, self.types = self._selected(df, names)
        self.names = [n for n, _ in self.types]
        # Times that Spark orders itself need no reading before; all else goes through the reader of logs first.
        self.as_they_come = on_error == "raise" and (names["time"] is None or df.schema[names["time"]].dataType.typeName() in (
            "timestamp", "timestamp_ntz", "timestampntz"))

    def _selected(self, df, names):
        """The columns under their own names, and their types as Arrow has them afterwards."""
        chosen, types = [], []
        for side in ("user", "item"):
            c, strings = key_column(df, names[side], side)
            chosen.append(c.alias(side))
            types.append((side, "string" if strings else "int64"))
        if names["event"] is not None:
            chosen.append(column(df, names["event"], "event").cast("string").alias("event"))
            types.append(("event", "string"))
        if names["time"] is not None:
            c = column(df, names["time"], "time")
            if df.schema[names["time"]].dataType.typeName() == "decimal":
                raise TypeError(f"time is column {names['time']!r} of decimals, must be of timestamps, dates, text or whole numbers")
            chosen.append(c.alias("time"))
            types.append(("time", "int64"))
        if names["value"] is not None:
            c = column(df, names["value"], "value")
            kind = df.schema[names["value"]].dataType.typeName()
            chosen.append((c.cast("double") if kind == "decimal" else c).alias("value"))
            types.append(("value", "float"))
        return df.select(*chosen), types

    def run(self, weighting, transform, min_user, min_item):
        _check_options(weighting, transform, min_user, min_item, self.names)
        events = self._read().persist()
        try:
            options = self._held_to_all(events, weighting)
            keys, shape, tables = {}, [], {}
            for side in ("user", "item"):
                keys[side + "s"], count, tables[side] = self._keys(events, side)
                shape.append(count)
            pairs = self._blocks(events, tables, shape, options, transform, min_user, min_item)
        finally:
            events.unpersist()
        blocks.finish(self.path, shape, pairs, keys, {f"{n}s": t == "string" for n, t in self.types[:2]})
        out = blocks.Blocks(self.path)
        if self.temporary:
            weakref.finalize(out, shutil.rmtree, self.path, ignore_errors=True)
        return out

    def _read(self):
        """The events with keys that are none told, and times in an order."""
        if not self.as_they_come:
            ddl = ", ".join(f"{n} {dict(string='string', int64='bigint', float='float')[t]}" for n, t in self.types)
            return self.events.mapInArrow(task("spark.interactions: reading events", "_event_tasks", "normalised", self.types, self.time_unit,
                                               self.on_error), ddl)
        F, out = self.F, []
        for name in self.names:
            c = F.col(name)
            if name in ("user", "item"):
                told = F.concat(F.lit(f"{_MARK}ValueError: spark.interactions: reading events, partition "), F.spark_partition_id().cast("string"),
                                F.lit(f" of the scan: column '{name}' has a null key, must have none: filter them out, or pass on_error='skip'"))
                c = F.when(c.isNull(), F.raise_error(told)).otherwise(c).alias(name)
            out.append(c)
        return self.events.select(*out)

    def _newest(self, events):
        """The newest time of all events in UTC milliseconds, None without events."""
        F = self.F
        newest = F.max("time")
        kind = events.schema["time"].dataType.typeName()
        if kind == "timestamp":
            return rows(events.agg(F.floor(F.unix_micros(newest) / 1000).alias("time")))[0]["time"]
        found = rows(events.agg(newest.alias("time")))[0]["time"]
        return found if found is None or kind in ("long", "bigint") else to_ms(found, "time")

    def _held_to_all(self, events, weighting):
        """The options for each block: names of event types and `now` are those of all events."""
        options = {k: v for k, v in weighting.items() if v is not None}
        empty = {"user": np.empty(0, np.int64), "item": np.empty(0, np.int64)}
        kinds = []
        if "event" in self.names:
            kinds = sorted(r["event"] for r in rows(events.select("event").distinct()) if r["event"] is not None)
        if kinds:  # one row a type: its errors are those of the whole
            few = {"user": np.zeros(len(kinds), np.int64), "item": np.zeros(len(kinds), np.int64), "event": np.array(kinds, object)}
            log = _core.EventLog.from_frame(few, user="user", item="item", event="event", time=None, value=None)
            log.interactions(**{k: v for k, v in options.items() if k in ("event_weights", "return_event", "return_cancels")})
        else:
            _core.EventLog.from_frame(empty, user="user", item="item", event=None, time=None, value=None).interactions(
                **{k: v for k, v in options.items() if k in ("duplicates",)})
        if options.get("half_life_days") and "now" not in options:
            newest = self._newest(events)
            if newest is not None:
                options["now"] = newest
        if "now" in options:
            options["now"] = int(to_ms(options["now"], "now"))
        return options

    def _keys(self, events, side):
        """(partitions of the sorted runs, number of keys, DataFrame of (key, index))."""
        kind = dict(self.types)[side]
        sorted_keys = events.select(side).distinct().sort(side)
        made = sorted((r["partition"], r["keys"]) for r in rows(sorted_keys.mapInArrow(
            task(f"spark.interactions: keys of {side}s", "_event_tasks", "write_keys", self.path, side + "s"), "partition bigint, keys bigint")))
        first, runs = 0, []
        for partition, count in made:
            runs.append((partition, first))
            first += count
        self.key_bytes[side] = sum(os.path.getsize(os.path.join(self.path, "keys", side + "s", f"{p:06d}")) for p, _ in made)
        if first > arg.INT32_MAX:
            raise ValueError(f"{side} has {first} keys, must have at most {arg.INT32_MAX}")
        table = over(self.session, len(runs), max(1, len(runs))).mapInArrow(
            task(f"spark.interactions: numbers of {side}s", "_event_tasks", "numbered", self.path, side + "s", runs),
            f"{side} {'string' if kind == 'string' else 'bigint'}, {side}_index int")
        return [p for p, _ in made], first, table

    def _blocks(self, events, tables, shape, options, transform, min_user, min_item):
        F = self.F
        if 0 in shape:
            return 0
        size = blocks.block_rows(shape[0])
        count = len(blocks.ranges(shape[0]))
        minimum = min_user > 1 or min_item > 1
        joined = events
        for side in ("item", "user"):
            small = self.key_bytes[side] <= _BROADCAST
            joined = joined.join(F.broadcast(tables[side]) if small else tables[side], side)
        others = [n for n in self.names if n not in ("user", "item")]
        block = F.floor(F.col("user_index") / F.lit(size)).cast("int").alias("block")
        joined = joined.select(block, F.col("user_index").cast("bigint").alias("user"), F.col("item_index").cast("bigint").alias("item"), *others)
        order = ["block", "user", *(["time"] if "time" in others else []), "item", *(n for n in others if n != "time")]
        joined = joined.repartition(min(self.partitions, count), "block").sortWithinPartitions(*order)
        side = "raw" if minimum else "users"
        each = options if minimum else {**options, **{k: v for k, v in transform.items() if v is not None}}
        what = task("spark.interactions: blocks of users", "_event_tasks", "write_user_blocks", self.path, side, shape, self.names, each)
        found = rows(joined.mapInArrow(what, "block bigint, pairs bigint, events bigint"))
        made = {r["block"]: r["pairs"] for r in found}
        _require_all(made, count, "users")
        if (joined_events := sum(r["events"] for r in found)) != (read := events.count()):
            raise RuntimeError(f"{read} events were read and {joined_events} have keys, must be as many: the DataFrame does not give the same "
                               "rows each time; write it to Parquet first")
        if minimum:
            made = self._minimum(shape, count, transform, min_user, min_item)
        items = len(blocks.ranges(shape[1]))
        what = task("spark.interactions: blocks of items", "_event_tasks", "write_item_blocks", self.path, shape)
        rest = {r["block"]: r["pairs"] for r in rows(over(self.session, items, min(self.partitions, items)).mapInArrow(what, "block bigint, pairs bigint"))}
        _require_all(rest, items, "items")
        if sum(made.values()) != sum(rest.values()):
            raise RuntimeError(f"users' blocks hold {sum(made.values())} pairs and items' {sum(rest.values())}, must be as many")
        return int(sum(made.values()))

    def _minimum(self, shape, count, transform, min_user, min_item):
        """Users and items with too little are emptied until none is left; the driver holds a number an item."""
        over_blocks = over(self.session, count, min(self.partitions, count))
        out, step = np.zeros(shape[1], bool), 0
        while True:
            what = task("spark.interactions: minimum counts", "_event_tasks", "count_items", self.path, shape, min_user, step)
            made = [r["block"] for r in rows(over_blocks.mapInArrow(what, "block bigint, pairs bigint"))]
            _require_all(dict.fromkeys(made), count, "users")
            total = np.zeros(shape[1], np.int64)
            for b in range(count):
                total += folder.read(os.path.join(self.path, "minimum", f"{step + 1:04d}.counts", f"{b:06d}"))["counts"]
            now_out = out | (total < min_item)
            step += 1
            folder.write(os.path.join(self.path, "minimum", f"{step:04d}"), out=now_out)
            if (now_out == out).all():
                break
            out = now_out
        what = task("spark.interactions: minimum counts", "_event_tasks", "keep_enough", self.path, shape, min_user, step,
                    {k: v for k, v in transform.items() if v is not None})
        return {r["block"]: r["pairs"] for r in rows(over_blocks.mapInArrow(what, "block bigint, pairs bigint"))}


def _require_all(made, count, side):
    if sorted(made) != list(range(count)):
        raise RuntimeError(f"{len(made)} of the {count} blocks of {side} were reported: the folder is unfinished")


def _check_options(weighting, transform, min_user, min_item, names):
    """Mistakes that need no data are told before any job runs."""
    for name, v in (("min_user_count", min_user), ("min_item_count", min_item)):
        if arg.integer(v, name) < 0:
            raise ValueError(f"{name} is {v}, must be >= 0")
    if weighting["half_life_days"] and "time" not in names:
        raise ValueError("half_life_days is given and time is not, must name the column of times")
    for name in ("event_weights", "return_event"):
        if weighting[name] is not None and "event" not in names:
            raise ValueError(f"{name} is given and event is not, must name the column of event types")
    if weighting["negative_values"] == "cancel" and "value" not in names:
        raise ValueError("negative_values is 'cancel' and value is not given, must name the column of values")
    few = {"user": np.array([0]), "item": np.array([0]), "event": np.array(["a"], object), "time": np.array([0], "datetime64[ms]"),
           "value": np.array([1.0])}
    log = _core.EventLog.from_frame(few, user="user", item="item", event="event", time="time", value="value")
    log.interactions(**{k: v for k, v in {**weighting, **transform}.items()
                        if v is not None and k not in ("event_weights", "return_event", "return_cancels")})


def shared_folder(session, path, overwrite):
    """(a new folder that driver and executors share, whether it is a temporary one)."""
    if path is not None:
        return _new_folder(path, overwrite), False
    master = session.conf.get("spark.master", "")
    if not master.startswith("local"):
        raise ValueError(f"folder is None and the session runs on {master or 'a cluster'!r}, must be a folder that driver and executors share")
    return tempfile.mkdtemp(prefix="etalage-spark-"), True


def _new_folder(path, overwrite):
    path = os.path.abspath(os.fspath(path))
    if os.path.lexists(path):
        if not overwrite and (not os.path.isdir(path) or os.listdir(path)):
            raise FileExistsError(f"folder is {path!r}, which exists and is not empty; pass overwrite=True to replace it")
        if overwrite and os.path.isdir(path) and os.listdir(path):
            if not (set(os.listdir(path)) & {"blocks.json", "keys", "users"}):
                raise ValueError(f"folder is {path!r}, which holds no blocks of an earlier run, must be new")
            old = f"{path}.{uuid.uuid4().hex}"
            os.rename(path, old)
            shutil.rmtree(old, ignore_errors=True)
    os.makedirs(path, exist_ok=True)
    return path
