# SPDX-License-Identifier: Apache-2.0
"""recommend, similar_items and score: lists and scores of a model file for every row of a DataFrame."""

from __future__ import annotations

import json
import os
import shutil
import uuid

import numpy as np

from ..models import _arguments as arg
from ..models._by_key import known_lists
from . import _models as models
from ._session import check_frame, check_session, key_column, over, partitions_of, rows, slots
from ._worker import task


def recommend(session, model_path, users=None, k=10, out=None, *, user="user", filter_already_liked_items=True, filter_items=None,
              items=None, item_shards=1, partitions=None, ship=False, overwrite=False):
    """The best k items of each user: a DataFrame (user, rank int from 1, item, score float), as recommend_ids() has them.

    model_path   a file of Model.save, on every host or a shared folder; it is mapped, once a Python worker
    users        a DataFrame with the keys in column `user` (its order is kept within a partition), or None for everybody whom
                 the model knows. Unknown users get the cold-start answer; a null key is a ValueError
    filter_items, items   keys never, or alone, recommended; one list for all
    item_shards  more than 1, for catalogues larger than a host's memory: a task answers from one of as many ranges of the items, of
                 whose factors alone it touches pages, and the lists of a user are merged. The rows are those of one shard
    out          a folder for Parquet, on a file system that driver and executors share. It appears when it is complete, under
                 its name, and not before; a run that was stopped goes on with the partitions that it lacks when it is called
                 again with the same arguments. None: a lazy DataFrame, computed anew by each action
    partitions   None: one for each task that may run at once, up to four where users are many (a DataFrame without out keeps its own)
    ship         True copies the model to each executor with addFile, where there is no shared folder
    overwrite    replace `out` where it exists

    Users with fewer than k results have fewer rows. Errors of tasks are those of the task, with the partition's name.
    """
    check_session(session)
    spec, model = _spec(session, model_path, k, ship, filter_items, items)
    hide_seen = bool(filter_already_liked_items)
    model.model._check_rows(model.core, None, hide_seen or model.model._needs_history)
    spec.update(all=users is None, column=user, hide_seen=hide_seen)
    fields = [("user", _kind(model, "user")), ("rank", "int32"), ("item", _kind(model, "item")), ("score", "float32")]
    asked = _asked(session, users, user, "user", model, model.model.num_users, partitions, out)
    item_shards = arg.integer(item_shards, "item_shards")
    if item_shards < 1:
        raise ValueError(f"item_shards is {item_shards}, must be >= 1")
    if item_shards > 1:
        lists = _sharded(asked, spec, model.model.num_items, item_shards, fields)
        return _answer(session, "spark.recommend", "merge", lists, {**spec, "kind": "merged"}, fields, out, overwrite, asked)
    return _answer(session, "spark.recommend", "recommend", asked, spec, fields, out, overwrite)


def _sharded(asked, spec, items, count, fields):
    """Lists of each shard of the items, those of a user together and the best first."""
    from pyspark.sql import functions as F

    cuts = [items * s // count for s in range(count + 1)]
    ddl = ", ".join(f"{n} {_DDL[t]}" for n, t in fields) + ", asked bigint, place int"
    # A user that is asked about twice has two answers, so rows are told apart by a number.
    asked = asked.withColumn("asked", F.col("id") if asked.columns == ["id"] else F.monotonically_increasing_id())
    parts = asked.rdd.getNumPartitions() if hasattr(asked, "rdd") else 4 * slots(asked.sparkSession)
    shards = asked.withColumn("shard", F.explode(F.array(*(F.lit(s) for s in range(count))))).repartition(parts * count, "shard", *asked.columns)
    shards = shards.sortWithinPartitions("shard", "asked")
    lists = shards.mapInArrow(task("spark.recommend: shards of items", "_shard_tasks", "shard_lists", spec, cuts), ddl)
    return lists.repartition(parts, "user").sortWithinPartitions("user", "asked", F.desc("score"), "place")


def similar_items(session, model_path, items=None, k=10, out=None, *, item="item", filter_items=None, only_items=None, partitions=None,
                  ship=False, overwrite=False):
    """The k items most like each item: a DataFrame (item, rank, similar_item, score), as similar_items_ids() has them.

    items: a DataFrame with the keys in column `item`, or None for all. Unknown items have no rows. The rest is as in recommend().
    """
    check_session(session)
    spec, model = _spec(session, model_path, k, ship, filter_items, only_items)
    spec.update(all=items is None, column=item)
    kind = _kind(model, "item")
    fields = [("item", kind), ("rank", "int32"), ("similar_item", kind), ("score", "float32")]
    asked = _asked(session, items, item, "item", model, model.model.num_items, partitions, out)
    return _answer(session, "spark.similar_items", "similar_items", asked, spec, fields, out, overwrite)


def score(session, model_path, pairs, out=None, *, user="user", item="item", partitions=None, ship=False, overwrite=False):
    """The score of each pair of a DataFrame: a DataFrame (user, item, score float), as score_ids() has it.

    Unknown users have the scores of the cold-start answer, unknown items -inf. The rest is as in recommend().
    """
    check_session(session)
    check_frame(pairs, "pairs")
    spec, model = _spec(session, model_path, 1, ship, None, None)
    model.model._check_rows(model.core, None, model.model._needs_history)
    columns = [_keys(pairs, user, "user", model), _keys(pairs, item, "item", model)]
    asked = pairs.select(columns[0].alias("user"), columns[1].alias("item"))
    if out is not None or partitions is not None:
        asked = asked.repartition(partitions_of(session, partitions, 1 << 30), "user", "item")
    spec.update(user=user, item=item)
    fields = [("user", _kind(model, "user")), ("item", _kind(model, "item")), ("score", "float32")]
    return _answer(session, "spark.score", "score", asked, spec, fields, out, overwrite)


def _kind(model, side):
    return "string" if model.strings(side) else "int64"


def _spec(session, model_path, k, ship, never, only):
    path = models.checked_path(model_path)
    model = models.Model(path)
    k = min(arg.count(k), model.model.num_items)  # a table needs no padding
    catalogue = model.ids("item")
    if ship:
        session.sparkContext.addFile(path)
    return {"model_path": path, "identity": models.identity(path), "shipped": bool(ship), "k": k,
            "never": arg.lists(_one_list(catalogue, never, "filter_items"), "filter_items"),
            "only": arg.lists(_one_list(catalogue, only, "items"), "items")}, model


def _one_list(catalogue, keys, name):
    if arg._many(keys) if keys is not None else False:
        raise ValueError(f"{name} holds lists, must be one list of keys for all")
    return known_lists(catalogue, keys, name)


def _keys(df, name, side, model):
    c, strings = key_column(df, name, side)
    if strings != model.strings(side):
        raise ValueError(f"{side} is column {name!r} of {'strings' if strings else 'integers'}, must be of "
                         f"{'strings' if model.strings(side) else 'integers'} as the keys of the model")
    return c


def _asked(session, keys, name, side, model, count, partitions, out):
    """One column of keys, or of all indices."""
    if keys is None:
        return over(session, count, partitions_of(session, partitions, count, 1 << 14))
    check_frame(keys, side + "s")
    asked = keys.select(_keys(keys, name, side, model).alias(side))
    if out is not None or partitions is not None:
        # By the key alone, so that a second run finds the same rows in a partition.
        asked = asked.repartition(partitions_of(session, partitions, 4 * slots(session)), side)
    return asked


_DDL = {"string": "string", "int64": "bigint", "int32": "int", "float32": "float"}


def _answer(session, job, kind, asked, spec, fields, out, overwrite, keys=None):
    """The job over `asked`; `keys`: what it was made from, where it is more than the keys asked about."""
    ddl = ", ".join(f"{n} {_DDL[t]}" for n, t in fields)
    if out is None:
        name, given = {"score": ("scores", ()), "merge": ("merged", ())}.get(kind, ("lists", (kind,)))
        return asked.mapInArrow(task(job, "_list_tasks", name, *given, spec), ddl)
    out, stage = _staged(out, overwrite)
    keys = asked if keys is None else keys
    count = keys.rdd.getNumPartitions() if hasattr(keys, "rdd") else None
    settings = {"job": job, "fields": fields, "partitions": count, "asked": _fingerprint(keys, spec),
                **{n: v for n, v in spec.items() if n != "model_path"}}
    _begin(stage, settings)
    done = rows(asked.mapInArrow(task(job, "_list_tasks", "into_files", stage, fields, kind, spec),
                                 "partition bigint, rows bigint, found boolean"))
    _commit(stage, out, {r["partition"]: r["rows"] for r in done}, count, overwrite)
    return session.read.schema(ddl).parquet(_uri(out))


def _uri(path):
    return "file://" + path


def _staged(out, overwrite, instead="leave out as None and write the DataFrame"):
    """(the folder, where its parts are gathered until it is whole)."""
    out = os.fspath(out)
    if out.startswith("file:"):
        out = out[5:].replace("//", "", 1) if out.startswith("file://") else out[5:]
    if "://" in out:
        raise ValueError(f"out is {out!r}, must be a folder of a file system that driver and executors share (mounted); for other storage "
                         f"{instead}")
    out = os.path.abspath(out)
    if os.path.lexists(out) and not overwrite:
        raise FileExistsError(f"out is {out!r}, which exists; pass overwrite=True to replace it")
    parent, name = os.path.split(out)
    os.makedirs(parent, exist_ok=True)
    return out, os.path.join(parent, f".{name}.unfinished")


def _fingerprint(asked, spec):
    """The keys asked about, whatever their order: a resumed run must be about the same."""
    if spec.get("all"):
        return "all"
    from pyspark.sql import functions as F

    total = rows(asked.agg(F.count(F.lit(1)).alias("n"), F.bit_xor(F.xxhash64(*asked.columns)).alias("x")))[0]
    return [total["n"], str(total["x"])]


def _begin(stage, settings):
    """Opens the stage of the same job, or a new one in the place of another's."""
    text = json.dumps(settings, sort_keys=True, default=lambda a: a.tolist() if isinstance(a, np.ndarray) else str(a))
    manifest = os.path.join(stage, "job.json")
    try:
        with open(manifest, encoding="utf-8") as f:
            if f.read() == text:
                return
    except FileNotFoundError:
        pass
    shutil.rmtree(stage, ignore_errors=True)
    os.makedirs(stage)
    temporary = manifest + "." + uuid.uuid4().hex
    with open(temporary, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(temporary, manifest)


def _commit(stage, out, counts, partitions, overwrite):
    """Gives the stage its name once every partition's file is there with the rows that were reported."""
    import pyarrow.parquet as pq

    if partitions is not None and sorted(counts) != list(range(partitions)):
        raise RuntimeError(f"{len(counts)} of {partitions} partitions reported, {out!r} is not written")
    for partition, expected in counts.items():
        path = os.path.join(stage, f"part-{partition:06d}.parquet")
        found = pq.ParquetFile(path).metadata.num_rows
        if found != expected:
            raise RuntimeError(f"{path!r} has {found} rows, {expected} were reported; {out!r} is not written")
    wanted = {f"part-{p:06d}.parquet" for p in counts} | {"job.json"}
    for name in os.listdir(stage):  # of attempts that were killed, or of a run with more partitions
        if name not in wanted:
            os.remove(os.path.join(stage, name))
    os.replace(os.path.join(stage, "job.json"), os.path.join(stage, "_SUCCESS"))
    give_name(stage, out, overwrite)


def give_name(stage, out, overwrite):
    """The finished folder `stage` becomes `out`."""
    if os.path.lexists(out):
        if not overwrite:
            raise FileExistsError(f"out is {out!r}, which exists by now; the result is in {stage!r}")
        old = f"{stage}.{uuid.uuid4().hex}"
        os.rename(out, old)
        os.rename(stage, out)
        shutil.rmtree(old, ignore_errors=True) if os.path.isdir(old) else os.remove(old)
    else:
        os.rename(stage, out)
