# SPDX-License-Identifier: Apache-2.0
"""Events to blocks, fits and sums over blocks on a real Spark: threads of one process (local[2]), then executors of their own (local-cluster)."""

import os
import subprocess
import sys

import numpy as np
import pytest

import etalage
from etalage import spark
from spark_jobs import NAMES, WEIGHTS, columns, digest, equal, events, expected, local, ordered, params, parquet, running, same  # noqa: F401

pytestmark = pytest.mark.slow

# Events to blocks

OPTIONS = [
    dict(event_weights=WEIGHTS, half_life_days=20, return_event="back", return_cancels=["buy"]),
    dict(event_weights=WEIGHTS, duplicates="last", value_transform="log1p", normalize_users="l2"),
    dict(duplicates="max", min_user_count=5, min_item_count=4, value_transform="rank"),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_interactions_mean_what_those_of_a_log_mean(events, columns, options):
    equal(spark.interactions(events, **NAMES, **options), local(columns, **options))


def test_blocks_have_the_same_bytes_for_any_partitions(running, events, tmp_path):
    some = spark.interactions(events.repartition(3), **NAMES, half_life_days=9.0, folder=tmp_path / "a", partitions=2)
    more = spark.interactions(events.repartition(6), **NAMES, half_life_days=9.0, folder=tmp_path / "b", partitions=5)
    assert digest(some.path) == digest(more.path)
    assert sorted(os.listdir(some.path)) == ["blocks.json", "items", "keys", "users"]


def test_times_with_and_without_zones_and_decimals(running, columns):
    frame = running.createDataFrame([("a", 1, "2026-01-01 00:00:00", "1.50"), ("a", 2, "2026-01-11 00:00:00", "2.25")],
                                    "who string, what int, text string, n string")
    expected = etalage.EventLog.from_frame(
        {"user": np.array(["a", "a"], object), "item": [1, 2], "value": [1.5, 2.25],
         "time": np.array(["2026-01-01", "2026-01-11"], "datetime64[ms]")}, user="user", item="item", time="time", value="value",
        event=None).interactions(half_life_days=10)
    naive = frame.selectExpr("who", "what", "cast(text as timestamp_ntz) as at", "cast(n as decimal(10,2)) as n")
    zoned = frame.selectExpr("who", "what", "cast(concat(text, '+00:00') as timestamp) as at", "cast(n as double) as n")
    text = frame.selectExpr("who", "what", "text as at", "cast(n as float) as n")
    for given in (naive, zoned, text):
        equal(spark.interactions(given, user="who", item="what", time="at", value="n", half_life_days=10), ordered(expected))
    with pytest.raises(TypeError, match="item is column 'd' of type decimal"):
        spark.interactions(frame.selectExpr("who", "cast(what as decimal(10,0)) as d"), user="who", item="d")


def test_empty_partitions_and_no_rows(running, tmp_path):
    one = running.createDataFrame([("a", -(2**62)), ("b", 2**62)], "user string, item bigint").repartition(6)
    blocks = spark.interactions(one)
    assert blocks.item_ids.tolist() == [-(2**62), 2**62] and blocks.nnz == 2
    none = spark.interactions(one.limit(0))
    assert none.shape == (0, 0) and none.nnz == 0
    with pytest.raises(ValueError, match="at least one user"):
        spark.ALS().fit(one.limit(0))


def test_null_keys_and_wrong_names_reach_the_driver(running, events, tmp_path):
    bad = running.createDataFrame([("a", 1), (None, 2)], "user string, item int").repartition(2)
    with pytest.raises(ValueError, match=r"spark.interactions: reading events, partition \d+ .* column 'user' has a null key"):
        spark.interactions(bad)
    assert spark.interactions(bad, on_error="skip").shape == (1, 1)
    with pytest.raises(ValueError, match="no weight for event type 'back'"):
        spark.interactions(events, **NAMES, event_weights={"view": 1, "cart": 1, "buy": 1})
    with pytest.raises(ValueError, match="user is 'nobody', which is no column"):
        spark.interactions(events, user="nobody", item="what")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "theirs").touch()
    with pytest.raises(FileExistsError):
        spark.interactions(events, **NAMES, folder=tmp_path / "full")
    with pytest.raises(ValueError, match="holds no blocks"):
        spark.interactions(events, **NAMES, folder=tmp_path / "full", overwrite=True)


# Training

@pytest.mark.parametrize("partitions", [1, 5])
def test_als_has_the_bits_of_one_machine(events, params, expected, partitions):
    seen = []
    model = spark.ALS(**params).fit(events, **NAMES, event_weights=WEIGHTS, half_life_days=30, partitions=partitions, callback=seen.append)
    assert isinstance(model, etalage.models.ALS) and model.get_params() == expected.get_params() and model.resolved == expected.resolved
    same(model, expected)
    assert [p.step for p in seen] == [1, 2, 3] and seen[-1].objective == pytest.approx(expected._model.report.objective[-1])
    for got, wanted in zip(model.recommend_ids(["u1", "nobody"], k=4), expected.recommend_ids(["u1", "nobody"], k=4)):
        assert (got == wanted).all()


def test_als_of_few_rows_and_of_a_side_that_no_process_holds_whole(running, events, params, columns, expected):
    from etalage import _core
    from etalage.spark import _training

    def gathering(job, module, name, *arguments):
        made = real(job, module, name, *arguments)

        def run(batches):
            from etalage.spark import _sweeps

            before = _sweeps._MOST_WHOLE
            _sweeps._MOST_WHOLE = 0
            try:
                yield from made(batches)
            finally:
                _sweeps._MOST_WHOLE = before

        return run

    # Many factors of few rows: the plain steps of "cg", without turning.
    data, many = local(columns, event_weights=WEIGHTS, half_life_days=30), {**params, "factors": 64}
    assert _core.als_uses_basis(_core.AlsModel({"factors": 12}), *data.shape) and not _core.als_uses_basis(_core.AlsModel({"factors": 64}), *data.shape)
    plain = etalage.models.ALS(**many).fit(data)
    blocks = spark.interactions(events, **NAMES, event_weights=WEIGHTS, half_life_days=30)
    same(spark.ALS(**many).fit(blocks, session=running, partitions=2), plain)
    real = _training.task
    _training.task = gathering
    try:
        same(spark.ALS(**params).fit(blocks, session=running, partitions=2), expected)
    finally:
        _training.task = real


def test_als_goes_on_from_its_folder(running, events, params, expected, tmp_path):
    given = dict(event_weights=WEIGHTS, half_life_days=30, folder=tmp_path / "fit")
    stopped = spark.ALS(**params).fit(events, **NAMES, **given, callback=lambda p: p.step < 1)
    assert stopped._model.report.iterations == 1 and stopped._model.report.stop_reason == "cancelled"
    # A half-sweep of which some blocks are there, as when the driver died.
    same(spark.ALS(**params).fit(events, **NAMES, **given), expected)
    same(etalage.load(tmp_path / "fit" / "model.etalage"), expected)
    with pytest.raises(ValueError, match="other parameters"):
        spark.ALS(**{**params, "alpha": 3.0}).fit(events, **NAMES, **given)
    with pytest.raises(ValueError, match="other columns or options"):
        spark.ALS(**params).fit(events, **{**NAMES, "value": None}, folder=tmp_path / "fit")
    with pytest.raises(ValueError, match="warm_start"):
        spark.ALS(warm_start=True)
    blocks = spark.Blocks(tmp_path / "fit" / "blocks")
    same(spark.ALS(**params).fit(blocks, session=running), expected)


def test_numerical_trouble_names_the_block(running, columns):
    frame = running.createDataFrame([("a", 1, 1e14), ("b", 1, 1e14), ("a", 2, 1e14)], "user string, item int, n double")
    with pytest.raises((etalage.NumericalError, ValueError), match="spark.ALS|finite"):
        spark.ALS(factors=4, regularization=0.0, alpha=1e3, solver="cholesky").fit(frame, value="n")


# Sums

def test_sums_over_blocks(running, events, columns):
    data = local(columns, event_weights=WEIGHTS)
    blocks = spark.interactions(events, **NAMES, event_weights=WEIGHTS)
    matrix, keys = data.user_items.tocsr(), np.asarray(data.item_ids)
    got = {r["item"]: (r["weight"], r["users"]) for r in spark.popularity(running, blocks).collect()}
    weight, users = np.asarray(matrix.astype(np.float64).sum(axis=0)).ravel(), np.asarray((matrix > 0).sum(axis=0)).ravel()
    assert np.allclose([got[int(k)] for k in keys], np.stack([weight, users], axis=1), rtol=1e-12) and len(got) == len(keys)
    liked = (matrix > 0).astype(np.int64)
    counts = (liked.T @ liked).tocoo()
    gram = (matrix.astype(np.float64).T @ matrix.astype(np.float64)).tocsr()
    kept = (counts.row != counts.col) & (counts.data >= 4)
    expected = {(int(keys[a]), int(keys[b])): (n, gram[a, b]) for a, b, n in zip(counts.row[kept], counts.col[kept], counts.data[kept])}
    found = {(r["item"], r["other"]): (r["users"], r["product"]) for r in spark.cooccurrence(running, blocks, min_users=4, weighted=True).collect()}
    assert found.keys() == expected.keys() and len(found) > 50
    assert np.allclose([found[p] for p in expected], list(expected.values()), rtol=1e-12)


def test_mistakes_that_need_no_job(running, events):
    with pytest.raises(TypeError, match="session is"):
        spark.recommend(None, "x")
    with pytest.raises(TypeError, match="df is"):
        spark.interactions([1])
    with pytest.raises(ValueError, match="half_life_days is given and time is not"):
        spark.interactions(events, user="who", item="what", half_life_days=3)
    with pytest.raises(ValueError, match="partitions is 0"):
        spark.interactions(events, **NAMES, partitions=0)
    with pytest.raises(ValueError, match="duplicates is 'most'"):
        spark.interactions(events, **NAMES, duplicates="most")


def test_importing_takes_neither_pyspark_nor_pyarrow():
    code = "import sys; from etalage import spark; print([m for m in ('pyspark', 'pyarrow', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
