# SPDX-License-Identifier: Apache-2.0
"""Executors that die and workers that lack the package: threads of one process (local[2]), then executors of their own (local-cluster)."""

import pytest

import etalage
from etalage import spark
from spark_jobs import (NAMES, WEIGHTS, columns, events, expected, killed_once, lists, model_path, params, parquet, running,  # noqa: F401
                        same, wanted)

pytestmark = pytest.mark.slow


def test_executors_that_are_killed(running, events, params, expected, model_path, tmp_path):
    """The first task of each kind kills its worker; the job ends right, or with an error and nothing that looks whole."""
    cluster = running.sparkContext.master.startswith("local-cluster")
    from etalage.spark import _lists, _training

    out = tmp_path / "lists"
    with killed_once(tmp_path, _training, _lists):
        def fit():
            return spark.ALS(**params).fit(events, **NAMES, event_weights=WEIGHTS, half_life_days=30, folder=tmp_path / "fit")

        def recommend():
            return spark.recommend(running, model_path, k=3, out=out, partitions=4)

        if not cluster:  # one attempt a task there
            for attempt, job in ((1, fit), (2, fit), (1, recommend)):
                with pytest.raises(Exception, match="exited unexpectedly|crashed|Connection reset|EOF"):
                    job()
            assert not out.exists()
        same(fit(), expected)
        assert lists(recommend().collect()) == wanted(expected, list(expected._ids("user").keys), k=3)
    assert len(list(tmp_path.glob("killed.*"))) == 3


def test_workers_that_are_killed_in_jobs_that_add_and_measure(running, events, columns, model_path, tmp_path):
    """The first worker of each kind of task dies after its first rows; what the jobs say is what they say without."""
    if not running.sparkContext.master.startswith("local-cluster"):
        pytest.skip("one attempt a task is all there is")
    import test_spark_profiles as shoppers
    from etalage.spark import _audience, _lists, _measure, _profiles, _summaries, _sums

    roles = {"back": "return"}
    blocks = spark.interactions(events, **NAMES)
    pairs = events.selectExpr("who as user", "what as item").distinct().limit(300).cache()

    def results():
        return [sorted(map(str, rows)) for rows in (
            spark.score(running, model_path, pairs).collect(), spark.similar_items(running, model_path, k=2).collect(),
            spark.audience(running, model_path, int(columns["what"][0]), k=9).collect(), spark.popularity(running, blocks).collect(),
            spark.cooccurrence(running, blocks, min_users=3).collect(),
            spark.summaries(events, "who", "at", event="kind", events="buy", partitions=2).collect(),
            spark.evaluate(running, model_path, pairs, 5, check_fit=False, filter_already_liked_items=False).items())]

    without = results()
    with killed_once(tmp_path, _audience, _lists, _measure, _profiles, _summaries, _sums, after_rows=True):
        assert results() == without
        found = spark.profiles(events, **NAMES, roles=roles, out=tmp_path / "shop")
    expected = shoppers.local(columns, NAMES, roles=roles)
    shoppers.rows_are(found, expected)
    assert etalage.load(tmp_path / "shop" / "profiles.etalage")._core.to_bytes() == expected._core.to_bytes()
    assert {p.name for p in tmp_path.glob("killed.*")} >= {f"killed.{n}" for n in (
        "assemble", "chosen", "cooccurrence", "known_products", "lists", "make_parts", "measure", "popularity", "scores", "summarised", "write_table")}


def test_executors_whose_jvm_is_killed(running, events, params, expected, model_path, tmp_path):
    """While events are read, dealt and put into blocks, in the middle of the sweeps, while lists are written: each once."""
    if not running.sparkContext.master.startswith("local-cluster"):
        pytest.skip("one JVM is all there is: driver and executor")
    from etalage.spark import _events, _lists, _training

    with killed_once(tmp_path, _events, _lists, _training, jvm=True):
        model = spark.ALS(**params).fit(events, **NAMES, event_weights=WEIGHTS, half_life_days=30, folder=tmp_path / "fit")
        same(model, expected)
        found = spark.recommend(running, model_path, k=3, out=tmp_path / "lists", partitions=4)
        assert lists(found.collect()) == wanted(expected, list(expected._ids("user").keys), k=3)
    assert sorted(p.name for p in tmp_path.glob("killed.*")) == [f"killed.{n}" for n in (
        "assemble", "deal", "encode", "into_files", "merge_keys", "sweeps", "write_item_blocks", "write_user_blocks")]


def test_workers_without_the_package_or_with_another_version(running, model_path, tmp_path):
    import pyarrow  # noqa: F401

    from etalage.spark._worker import task

    made = task("spark.test", "_list_tasks", "lists")

    def without(batches):
        import sys

        hidden = {n: m for n, m in sys.modules.items() if n == "etalage" or n.startswith("etalage.")}
        paths = list(sys.path)
        try:
            for name in hidden:
                del sys.modules[name]
            sys.path[:] = [p for p in sys.path if "etalage" not in p and not __import__("os").path.isdir(p + "/etalage")]
            yield from made(batches)
        finally:
            sys.path[:] = paths
            sys.modules.update(hidden)

    with pytest.raises(Exception, match=r"spark.test, partition 0 .*cannot import etalage.*install etalage"):
        running.range(1).coalesce(1).mapInArrow(without, "id bigint").collect()

    def older(batches):
        import etalage

        before = etalage.__version__
        etalage.__version__ = "0.0.9"
        try:
            yield from made(batches)
        finally:
            etalage.__version__ = before

    with pytest.raises(Exception, match=r"this worker has etalage 0.0.9"):
        running.range(1).mapInArrow(older, "id bigint").collect()
