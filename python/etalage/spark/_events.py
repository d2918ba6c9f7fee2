# SPDX-License-Identifier: Apache-2.0
"""interactions: events of a DataFrame as blocks of rows in a shared folder, by the rules of EventLog.interactions."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
import weakref

import numpy as np

from .. import _core
from .._recipe import Recipe, checked, of_options
from .._times import to_ms
from ..models import _arguments as arg
from . import _blocks as blocks
from . import _event_files as files
from . import _folder as folder
from ._session import check_frame, checked_partitions, column, key_column, need_spark, over, partitions_of, rows, slots
from ._worker import task

_RUN = 1 << 18  # keys of a run, about
_EVENTS = 1 << 20  # events that are enough for a task


def interactions(df, user="user", item="item", event=None, time=None, value=None, *, folder=None, event_weights=None, half_life_days=None,
                 now=None, duplicates="sum", min_user_count=0, min_item_count=0, return_event=None, return_cancels=None,
                 negative_values="keep", value_transform=None, normalize_users=None, recipe=None, time_unit=None, on_error="raise",
                 partitions=None, overwrite=False, batch=None, drop=()):
    """Events as a users x items matrix in blocks of rows: a Blocks, in `folder`.

    user, item, event, time, value   names of columns of df, as for EventLog.from_frame. Keys are strings or whole numbers of up
                 to 64 bits; naive timestamps are UTC; decimals count as float32
    folder       a new folder that driver and executors share; overwrite=True replaces one of earlier blocks. None, for a session
                 on this machine alone: a temporary one that lives as long as the Blocks
    event_weights .. normalize_users   as for EventLog.interactions(), with its meaning. `now` is by default the newest event of
                 all. Rows of a DataFrame have no order: events of one pair and one time count in the order of type and value
    recipe       an etalage.Recipe in the place of these; blocks, and models fitted on them, keep it
    on_error     "raise": a null key or a time or value that is none ends the job, with the partition's name; "skip" leaves them out
    partitions   of each step after the events are read; None: one for each task that may run at once, up to four where there is much to do
    batch        a name for these events, a day's say: the folder keeps them, as codes, and a later call with another batch folds
                 its events in. The result is that of one call with all events of all batches. A batch that is there is replaced
    drop         names of batches that are to be forgotten, with `batch`

    Users and items are numbered in the order of their keys, so that blocks have the same bytes for any number of partitions.
    The events are read once, by Arrow batches; no row comes to the driver, and none is shuffled by Spark.
    """
    transform = dict(value_transform=value_transform, normalize_users=normalize_users)
    weighting = dict(event_weights=event_weights, half_life_days=half_life_days, duplicates=duplicates, return_event=return_event,
                     return_cancels=return_cancels, negative_values=negative_values)
    if (recipe := checked(recipe)) is not None:
        given = [n for n, v in {**weighting, **transform}.items() if v is not None and v != getattr(Recipe, n, None)]
        if given:
            raise ValueError(f"recipe and {', '.join(given)} are given, must be one or the other")
        for options in (weighting, transform):
            options.update({n: getattr(recipe, n) for n in options})
    else:
        recipe = of_options({**weighting, **transform})
    return EventJob(df, dict(user=user, item=item, event=event, time=time, value=value), folder, time_unit, on_error, partitions, overwrite, batch,
                drop).run({**weighting, "now": now}, transform, min_user_count, min_item_count, recipe)


class EventJob:
    """Events of a DataFrame as files of codes, their keys numbered together, and dealt to blocks of users."""

    job = "spark.interactions"

    def __init__(self, df, names, path, time_unit, on_error, partitions, overwrite, batch, drop):
        need_spark()
        check_frame(df, "df")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {arg.describe(on_error)}, must be 'raise' or 'skip'")
        if batch is not None and (not isinstance(batch, str) or not batch):
            raise TypeError(f"batch is {arg.describe(batch)}, must be the name of a batch of events")
        if drop and batch is None:
            raise ValueError(f"drop is {drop!r} and batch None, must go with the name of a batch")
        self.session, self.on_error, self.time_unit, self.batch = df.sparkSession, on_error, time_unit, batch
        self.given_partitions = None if partitions is None else checked_partitions(partitions)
        self.events, self.types = self._selected(df, names)
        self.names = [n for n, _ in self.types]
        self.drop, self.given, self.overwrite = [drop] if isinstance(drop, str) else list(drop), path, overwrite

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

    def run(self, weighting, transform, min_user, min_item, recipe):
        _check_options(weighting, transform, min_user, min_item, self.names)
        self._open()
        strings = {f"{n}s": t == "string" for n, t in self.types[:2]}
        try:
            batches = {**self.kept, self.batch: self._read()}
            reports = [r for name in sorted(batches, key=str) for r in batches[name]]
            self._plan(reports)
            options, kinds = self._held_to_all(reports, weighting)
            keys, shape, firsts = self._keys(reports)
            pairs = self._blocks(reports, kinds, firsts, shape, options, transform, min_user, min_item)
        except BaseException:
            if self.batch is not None:  # the earlier blocks stay as they were
                shutil.rmtree(self.root, ignore_errors=True)
            raise
        more = {"recipe": None if recipe is None else recipe.to_json(),
                "newest_ms": max((r["newest"] for r in reports if r["newest"] is not None), default=None)}
        if self.batch is not None:
            more.update(at=os.path.basename(self.root), batches=sorted(batches))
            folder.write_json(os.path.join(self.root, "events.json"), {"types": self.types, "batches": batches})
        blocks.finish(self.path, shape, pairs, keys, strings, self.root, **more)
        self._tidy(reports)
        out = blocks.Blocks(self.path)
        if self.temporary:
            weakref.finalize(out, shutil.rmtree, self.path, ignore_errors=True)
        return out

    def _open(self):
        """The folder; of one with batches, what it keeps of them."""
        self.kept, self.temporary, self.before = {}, False, None
        if self.batch is None:
            self.path, self.temporary = shared_folder(self.session, self.given, self.overwrite)
            self.root = self.path
            return
        if self.given is None:
            raise ValueError("folder is None with a batch, must be the folder that keeps the batches")
        self.path = os.path.abspath(os.fspath(self.given))
        manifest = folder.read_json(os.path.join(self.path, "blocks.json")) if not self.overwrite else None
        if manifest is None:
            self.path, _ = shared_folder(self.session, self.given, self.overwrite)
        else:
            found = folder.read_json(os.path.join(self.path, manifest.get("at") or ".", "events.json"))
            if found is None:
                raise ValueError(f"folder is {self.path!r}, whose blocks were made without batch, must be one of batches, or new")
            if [list(t) for t in self.types] != found["types"]:
                raise ValueError(f"folder is {self.path!r}, whose batches have the columns {dict(found['types'])}, must be those of df "
                                 f"({dict(self.types)})")
            self.before = manifest["at"]
            self.kept = {n: r for n, r in found["batches"].items() if n != self.batch}
        for name in self.drop:
            if name not in self.kept:
                raise ValueError(f"drop has {name!r}, must be of {', '.join(map(repr, self.kept)) or 'no batch'}")
            del self.kept[name]
        self.root = os.path.join(self.path, f"blocks-{uuid.uuid4().hex}")
        os.makedirs(self.root)

    def _tidy(self, reports):
        """Removes what nothing names: files of attempts that were killed, blocks older than those before."""
        events = os.path.join(self.path, "events")
        if self.batch is None:
            shutil.rmtree(events, ignore_errors=True)
            return
        named = {r["file"] for r in reports}
        for name in os.listdir(events) if os.path.isdir(events) else []:
            if name not in named:
                os.remove(os.path.join(events, name))
        for name in os.listdir(self.path):
            if name.startswith("blocks-") and name not in (os.path.basename(self.root), self.before):
                shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)

    def _read(self):
        """The events as files of codes; what the tasks say of each file, in an order of their own."""
        what = task(f"{self.job}: reading events", "_event_tasks", "encode", self.path, self.types, self.time_unit, self.on_error,
                    self.batch is not None)
        return [json.loads(r["report"]) for r in rows(self.events.mapInArrow(what, "report string"))]

    def _plan(self, reports):
        """How many partitions the steps after the events are read have."""
        self.partitions = partitions_of(self.session, self.given_partitions, max(4 * slots(self.session), sum(r["rows"] for r in reports)), _EVENTS)

    def _held_to_all(self, reports, weighting):
        """(the options for each block, event types in order): types and `now` are those of all events."""
        options = {k: v for k, v in weighting.items() if v is not None}
        empty = {"user": np.empty(0, np.int64), "item": np.empty(0, np.int64)}
        kinds = sorted({k for r in reports for k in r["kinds"]})
        if kinds:  # one row a type: its errors are those of the whole
            few = {"user": np.zeros(len(kinds), np.int64), "item": np.zeros(len(kinds), np.int64), "event": np.array(kinds, object)}
            log = _core.EventLog.from_frame(few, user="user", item="item", event="event", time=None, value=None)
            log.interactions(**{k: v for k, v in options.items() if k in ("event_weights", "return_event", "return_cancels")})
        else:
            _core.EventLog.from_frame(empty, user="user", item="item", event=None, time=None, value=None).interactions(
                **{k: v for k, v in options.items() if k in ("duplicates",)})
        newest = [r["newest"] for r in reports if r["newest"] is not None]
        if options.get("half_life_days") and "now" not in options and newest:
            options["now"] = max(newest)
        if "now" in options:
            options["now"] = int(to_ms(options["now"], "now"))
        return options, kinds

    def _over(self, count):
        return over(self.session, count, max(1, min(self.partitions, count)))

    def _keys(self, reports):
        """(runs of keys by side, (users, items), first number of each run by side)."""
        if not reports:
            return {"users": [], "items": []}, [0, 0], None
        splitters = {}
        for side in ("user", "item"):
            most = sum(r["keys"][side] for r in reports)
            splitters[side] = files.splitters_of(reports, side, max(1, min(self.partitions, -(-most // _RUN))))
        runs = {side: len(splitters[side]) + 1 for side in splitters}
        what = task(f"{self.job}: keys", "_event_tasks", "merge_keys", self.path, self.root, [r["file"] for r in reports], splitters)
        found = {r["task"]: r["keys"] for r in rows(self._over(sum(runs.values())).mapInArrow(what, "task bigint, keys bigint"))}
        require_all(found, sum(runs.values()), "keys")
        firsts, shape = {}, []
        for side, begin in (("user", 0), ("item", runs["user"])):
            counts = [found[begin + r] for r in range(runs[side])]
            firsts[side] = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64).tolist()
            shape.append(int(sum(counts)))
            if shape[-1] > arg.INT32_MAX:
                raise ValueError(f"{side} has {shape[-1]} keys, must have at most {arg.INT32_MAX}")
        return {f"{side}s": list(range(runs[side])) for side in ("user", "item")}, shape, firsts

    def _deal(self, reports, kinds, firsts, shape):
        place = {k: n for n, k in enumerate(kinds)}
        what = task(f"{self.job}: dealing events", "_event_tasks", "deal", self.path, self.root, [r["file"] for r in reports], firsts,
                    blocks.block_rows(shape[0]), [[place[k] for k in r["kinds"]] for r in reports])
        dealt = {r["file"]: r["events"] for r in rows(self._over(len(reports)).mapInArrow(what, "file bigint, events bigint"))}
        require_all(dealt, len(reports), "events")

    def _blocks(self, reports, kinds, firsts, shape, options, transform, min_user, min_item):
        if 0 in shape:
            return 0
        self._deal(reports, kinds, firsts, shape)
        count = len(blocks.ranges(shape[0]))
        minimum = min_user > 1 or min_item > 1
        side = "raw" if minimum else "users"
        each = options if minimum else {**options, **{k: v for k, v in transform.items() if v is not None}}
        what = task("spark.interactions: blocks of users", "_event_tasks", "write_user_blocks", self.root, side, shape, len(reports), kinds, each)
        found = rows(self._over(count).mapInArrow(what, "block bigint, pairs bigint, events bigint"))
        made = {r["block"]: r["pairs"] for r in found}
        require_all(made, count, "users")
        if (in_blocks := sum(r["events"] for r in found)) != (read := sum(r["rows"] for r in reports)):
            raise RuntimeError(f"{read} events were read and {in_blocks} are in blocks, must be as many")
        if minimum:
            made = self._minimum(shape, count, transform, min_user, min_item)
        items = len(blocks.ranges(shape[1]))
        what = task("spark.interactions: blocks of items", "_event_tasks", "write_item_blocks", self.root, shape)
        rest = {r["block"]: r["pairs"] for r in rows(self._over(items).mapInArrow(what, "block bigint, pairs bigint"))}
        require_all(rest, items, "items")
        if sum(made.values()) != sum(rest.values()):
            raise RuntimeError(f"users' blocks hold {sum(made.values())} pairs and items' {sum(rest.values())}, must be as many")
        return int(sum(made.values()))

    def _minimum(self, shape, count, transform, min_user, min_item):
        """Users and items with too little are emptied until none is left; the driver holds a number an item."""
        over_blocks = self._over(count)
        out, step = np.zeros(shape[1], bool), 0
        while True:
            what = task("spark.interactions: minimum counts", "_event_tasks", "count_items", self.root, shape, min_user, step)
            made = [r["block"] for r in rows(over_blocks.mapInArrow(what, "block bigint, pairs bigint"))]
            require_all(dict.fromkeys(made), count, "users")
            total = np.zeros(shape[1], np.int64)
            for b in range(count):
                total += folder.read(os.path.join(self.root, "minimum", f"{step + 1:04d}.counts", f"{b:06d}"))["counts"]
            now_out = out | (total < min_item)
            step += 1
            folder.write(os.path.join(self.root, "minimum", f"{step:04d}"), out=now_out)
            if (now_out == out).all():
                break
            out = now_out
        what = task("spark.interactions: minimum counts", "_event_tasks", "keep_enough", self.root, shape, min_user, step,
                    {k: v for k, v in transform.items() if v is not None})
        return {r["block"]: r["pairs"] for r in rows(over_blocks.mapInArrow(what, "block bigint, pairs bigint"))}


def require_all(made, count, side):
    if sorted(made) != list(range(count)):
        raise RuntimeError(f"{len(made)} of the {count} parts of {side} were reported: the folder is unfinished")


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
            if not (set(os.listdir(path)) & {"blocks.json", "keys", "users", "events"}):
                raise ValueError(f"folder is {path!r}, which holds no blocks of an earlier run, must be new")
            old = f"{path}.{uuid.uuid4().hex}"
            os.rename(path, old)
            shutil.rmtree(old, ignore_errors=True)
    os.makedirs(path, exist_ok=True)
    return path
