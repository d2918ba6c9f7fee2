# SPDX-License-Identifier: Apache-2.0
"""Lists, scores and measures of a fitted model on a real Spark: threads of one process (local[2]), then executors of their own (local-cluster)."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import spark
from spark_jobs import columns, events, expected, lists, model_path, params, parquet, running, wanted  # noqa: F401

pytestmark = pytest.mark.slow


def test_lists_are_those_of_recommend_ids(running, model_path, expected):
    everybody = list(expected._ids("user").keys)
    found = spark.recommend(running, model_path, k=5)
    assert [(f.name, f.dataType.simpleString()) for f in found.schema] == [("user", "string"), ("rank", "int"), ("item", "bigint"), ("score", "float")]
    assert lists(found.collect()) == wanted(expected, everybody, k=5)
    users = running.createDataFrame([("u1",), ("nobody",), ("u4",)], "who string").repartition(4)
    never = [int(i) for i in expected._ids("item").keys[:900]]
    got = spark.recommend(running, model_path, users, 7, user="who", filter_items=never, filter_already_liked_items=False).collect()
    assert lists(got) == wanted(expected, ["u1", "nobody", "u4"], k=7, filter_items=never, filter_already_liked_items=False)


def test_similar_items_and_scores(running, model_path, expected):
    items = [int(i) for i in expected._ids("item").keys[:50]]
    got = lists(spark.similar_items(running, model_path, k=3).where(f"item in ({','.join(map(str, items))})").collect(), "item", "similar_item")
    keys, scores = expected.similar_items_ids(items, 3)
    assert got == {(i, j + 1): (int(keys[n, j]), float(scores[n, j])) for n, i in enumerate(items) for j in range(3) if scores[n, j] > -np.inf}
    pairs = [("u1", items[3]), ("nobody", items[4]), ("u2", 7)]
    got = spark.score(running, model_path, running.createDataFrame(pairs, "user string, item bigint")).collect()
    each = [expected.score_ids(u, [i])[0] for u, i in pairs]
    assert {(r["user"], r["item"]): r["score"] for r in got} == {p: float(s) for p, s in zip(pairs, each)}


def test_lists_into_a_folder(running, model_path, expected, tmp_path):
    out = tmp_path / "lists"
    first = spark.recommend(running, model_path, k=3, out=out, partitions=4)
    everybody = list(expected._ids("user").keys)
    assert lists(first.collect()) == wanted(expected, everybody, k=3)
    assert sorted(os.listdir(out)) == ["_SUCCESS", *(f"part-{p:06d}.parquet" for p in range(4))] and os.listdir(tmp_path) == ["lists"]
    with pytest.raises(FileExistsError):
        spark.recommend(running, model_path, k=3, out=out)
    users = running.createDataFrame([("u1",)], "user string").repartition(3)  # partitions without rows
    assert lists(spark.recommend(running, model_path, users, 3, out, overwrite=True).collect()) == wanted(expected, ["u1"], k=3)


def test_a_job_that_failed_leaves_nothing_that_looks_whole_and_goes_on(running, model_path, expected, tmp_path):
    from etalage.spark import _lists

    out, stage = tmp_path / "lists", tmp_path / ".lists.unfinished"
    bad = running.createDataFrame([("u1",), ("u2",), (None,), ("u3",)], "user string")
    with pytest.raises(ValueError, match=r"spark.recommend, partition \d+ .*null key"):
        spark.recommend(running, model_path, bad, 3, out, partitions=3)
    assert not out.exists() and stage.exists()
    good = running.createDataFrame([("u1",), ("u2",), ("u4",), ("u3",)], "user string")
    real = _lists._commit
    try:
        def killed(*_):
            raise KeyboardInterrupt
        _lists._commit = killed
        with pytest.raises(KeyboardInterrupt):
            spark.recommend(running, model_path, good, 3, out, partitions=3)
    finally:
        _lists._commit = real
    os.remove(stage / "part-000001.parquet")
    kept = {p.name: p.stat().st_mtime_ns for p in stage.glob("part-*")}
    assert len(kept) == 2 and not out.exists()
    assert lists(spark.recommend(running, model_path, good, 3, out, partitions=3).collect()) == wanted(expected, ["u1", "u2", "u4", "u3"], k=3)
    assert all((out / n).stat().st_mtime_ns == t for n, t in kept.items())


def test_models_that_are_missing_or_of_another_kind(running, model_path, expected, tmp_path):
    with pytest.raises(FileNotFoundError, match="model_path"):
        spark.recommend(running, tmp_path / "nothing")
    gone = str(tmp_path / "gone.etalage")
    shutil.copy(model_path, gone)
    lazy = spark.recommend(running, gone, k=2)
    os.remove(gone)
    with pytest.raises(Exception, match=r"spark.recommend, partition \d+ .*is not on this host"):
        lazy.count()
    etalage.models.ALS(factors=3, iterations=1).fit(expected._model.user_items).save(gone)
    with pytest.raises(Exception, match="is not the driver's"):
        lazy.count()
    with pytest.raises(ValueError, match="has no keys of"):
        spark.recommend(running, gone)
    with pytest.raises(ValueError, match="must be of strings"):
        spark.recommend(running, model_path, running.createDataFrame([(1,)], "user int"))
    shipped = spark.recommend(running, model_path, k=2, ship=True)
    assert shipped.count() == len(wanted(expected, list(expected._ids("user").keys), k=2))


def test_measures_are_those_of_evaluate(running, model_path, expected, columns):
    rng = np.random.default_rng(2)
    known = expected._ids("user").keys, expected._ids("item").keys
    u, i = rng.integers(0, len(known[0]), 3000), rng.integers(0, len(known[1]), 3000)
    test = sp.coo_matrix((np.ones(3000, np.float32), (u, i)), shape=(len(known[0]), len(known[1]))).tocsr()
    train = etalage.Interactions.from_csr(expected._model.user_items)
    metrics = ("precision", "recall", "ndcg", "map", "mrr", "hit_rate")
    by = etalage.evaluation.evaluate(expected, train, test, (5, 20), metrics)
    pairs = [(known[0][a], int(known[1][b])) for a, b in zip(u, i)] + [("nobody", 1)]
    frame = running.createDataFrame(pairs, "user string, item bigint")
    found = [spark.evaluate(running, model_path, frame, (5, 20), metrics, partitions=p) for p in (1, 3)]
    assert found[0] == found[1]
    assert found[0]["users"] == by["users"] and found[0]["hidden"] == by["hidden"]
    assert {n: found[0][n] for n in by.metrics} == pytest.approx({n: by[n] for n in by.metrics}, abs=1e-13)
    with pytest.raises(ValueError, match="coverage"):
        spark.evaluate(running, model_path, frame, metrics="coverage")


def test_the_page_runs(running, tmp_path, monkeypatch):
    import re

    import pyarrow as pa
    import pyarrow.parquet as pq

    log = pa.table(etalage.datasets.synthetic_store(seed=1, users=300, items=120).log)
    log = log.set_column(log.schema.get_field_index("time"), "time", log.column("time").cast(pa.timestamp("us", tz="UTC")))
    pq.write_table(log, tmp_path / "events.parquet")
    page = (Path(__file__).resolve().parents[2] / "docs" / "spark.md").read_text()
    monkeypatch.chdir(tmp_path)

    class Here:
        """The session, whose relative paths are the test's."""
        class read:
            schema = staticmethod(lambda fields: running.read.schema(fields))
            parquet = staticmethod(lambda name: running.read.parquet(str(tmp_path / name)))

        def __getattr__(self, name):
            return getattr(running, name)

    names = {"session": Here()}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(block, names)
    assert (tmp_path / "lists" / "_SUCCESS").exists() and names["lists"].count() == 300 * 10
