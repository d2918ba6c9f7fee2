# SPDX-License-Identifier: Apache-2.0
"""Jobs on a real Spark: threads of one process (local[2]), then executors of their own (local-cluster)."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import spark

pytestmark = pytest.mark.slow
pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'etalage[spark]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")
if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
    pytest.skip("Spark needs Java 17, and there is no java", allow_module_level=True)

EVENTS = 12_000
WEIGHTS = {"view": 1.0, "cart": 2.0, "buy": 4.0, "back": 1.0}


def session(master, **conf):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = pyspark.sql.SparkSession.builder.master(master).appName("etalage")
    paths = os.pathsep.join([str(Path(etalage.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    for name, value in {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "4",
                        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executorEnv.PYTHONPATH": paths,
                        "spark.task.maxFailures": "2", "spark.sql.session.timeZone": "America/New_York", **conf}.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


@pytest.fixture(scope="module", params=["local[2]", "local-cluster[2,1,1024]"])
def running(request):
    made = session(request.param)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(11)
    return {"who": np.array([f"u{u}" for u in rng.zipf(1.3, EVENTS) % 1500], object),
            "what": rng.integers(-600, 700, EVENTS) * 10**13,
            "kind": np.array(["view", "cart", "buy", "back"], object)[rng.integers(0, 4, EVENTS)],
            "at": rng.integers(1767225600_000, 1772409600_000, EVENTS),
            "n": np.round(rng.random(EVENTS) * 5, 2)}


def table(columns):
    import pyarrow as pa

    return pa.table({"who": pa.array(columns["who"], pa.string()), "what": columns["what"], "kind": pa.array(columns["kind"], pa.string()),
                     "at": pa.array(columns["at"] * 1000, pa.timestamp("us", tz="UTC")), "n": columns["n"]})


@pytest.fixture(scope="module")
def parquet(columns, tmp_path_factory):
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("lake") / "events.parquet"
    pq.write_table(table(columns), path, row_group_size=3000)
    return str(path)


@pytest.fixture(scope="module")
def events(running, parquet):
    return running.read.parquet(parquet)


NAMES = dict(user="who", item="what", event="kind", time="at", value="n")


def ordered(data):
    """Interactions with users and items in the order of their keys."""
    users, items = np.asarray(data.user_ids), np.asarray(data.item_ids)
    a, b = np.argsort(users, kind="stable"), np.argsort(items, kind="stable")
    matrix = data.user_items.tocsr()[a][:, b]
    matrix.sort_indices()
    return etalage.Interactions.from_csr(matrix, user_ids=users[a], item_ids=items[b])


def local(columns, names=NAMES, **options):
    """EventLog.interactions on the same rows, in the order in which Spark's count."""
    keep = np.lexsort([columns[names[n]] for n in ("value", "event", "item", "time", "user") if names.get(n)])
    frame = {n: (c[keep] if n != "at" else c[keep].astype("datetime64[ms]")) for n, c in columns.items()}
    named = {**dict(event=None, time=None, value=None), **names}
    return ordered(etalage.EventLog.from_frame(frame, **named).interactions(**options))


def equal(blocks, expected):
    got = blocks.interactions()
    assert (got.user_ids == expected.user_ids).all() and (got.item_ids == expected.item_ids).all()
    a, b = got.user_items.tocsr(), expected.user_items.tocsr()
    a.sort_indices(), b.sort_indices()
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("indptr", "indices", "data"))
    items = sp.vstack([blocks.rows("items", i) for i in range(len(blocks.ranges("items")))]).tocsr()
    assert (items != b.T.tocsr()).nnz == 0 and blocks.nnz == b.nnz


def digest(path):
    found = hashlib.sha256()
    for folder, _, names in sorted(os.walk(path)):
        if "keys" not in folder:  # runs of keys are a partition's
            for name in sorted(names):
                if not name.endswith(".json"):
                    found.update(name.encode() + Path(folder, name).read_bytes())
    return found.hexdigest()


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

@pytest.fixture(scope="module")
def params():
    return dict(factors=12, iterations=3, seed=4, alpha=2.0)


@pytest.fixture(scope="module")
def expected(columns, params):
    return etalage.models.ALS(**params).fit(local(columns, event_weights=WEIGHTS, half_life_days=30))


def same(model, other):
    assert np.array_equal(model.user_factors, other.user_factors) and np.array_equal(model.item_factors, other.item_factors)
    # Products of float32 are summed in another order, and norms of users before they are turned.
    assert model._model.report.objective == pytest.approx(other._model.report.objective, rel=1e-6)


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


# Lists

@pytest.fixture(scope="module")
def model_path(expected, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.etalage"
    expected.save(path)
    return str(path)


def lists(found, key="user", item="item"):
    return {(r[key], r["rank"]): (r[item], r["score"]) for r in found}


def wanted(model, users, **options):
    keys, scores = model.recommend_ids(users, **options)
    return {(u, j + 1): (int(keys[i, j]), float(scores[i, j])) for i, u in enumerate(users) for j in range(keys.shape[1])
            if scores[i, j] > -np.inf}


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


# Measures and sums

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


# Executors that die, workers that lack the package

def test_executors_that_are_killed(running, events, params, expected, model_path, tmp_path):
    """The first task of each kind kills its worker; the job ends right, or with an error and nothing that looks whole."""
    cluster = running.sparkContext.master.startswith("local-cluster")
    from etalage.spark import _lists, _training

    def killing(job, module, name, *arguments):
        made, flag = real(job, module, name, *arguments), str(tmp_path / f"killed.{name}")

        def run(batches):
            import os
            import signal

            for n, batch in enumerate(made(batches)):
                if n == 0:
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                        os.kill(os.getpid(), signal.SIGKILL)
                    except FileExistsError:
                        pass
                yield batch

        return run

    real = _training.task
    out = tmp_path / "lists"
    for module in (_training, _lists):
        module.task = killing
    try:
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
    finally:
        for module in (_training, _lists):
            module.task = real
    assert len(list(tmp_path.glob("killed.*"))) == 3


def test_workers_that_are_killed_in_jobs_that_add_and_measure(running, events, columns, model_path, tmp_path):
    """The first worker of each kind of task dies after its first rows; what the jobs say is what they say without."""
    if not running.sparkContext.master.startswith("local-cluster"):
        pytest.skip("one attempt a task is all there is")
    import test_spark_profiles as shoppers
    from etalage.spark import _audience, _lists, _measure, _profiles, _summaries, _sums

    def killing(job, module, name, *arguments):
        made, flag = real(job, module, name, *arguments), str(tmp_path / f"killed.{name}")

        def run(batches):
            import os
            import signal

            for n, batch in enumerate(made(batches)):
                yield batch
                if n == 0:
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                        os.kill(os.getpid(), signal.SIGKILL)
                    except FileExistsError:
                        pass

        return run

    real, roles = _lists.task, {"back": "return"}
    modules = (_audience, _lists, _measure, _profiles, _summaries, _sums)
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
    for module in modules:
        module.task = killing
    try:
        assert results() == without
        found = spark.profiles(events, **NAMES, roles=roles, out=tmp_path / "shop")
    finally:
        for module in modules:
            module.task = real
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

    def killing(job, module, name, *arguments):
        made, flag = real(job, module, name, *arguments), str(tmp_path / f"killed.{name}")

        def run(batches):
            import os
            import signal

            for n, batch in enumerate(made(batches)):
                if n == 0:
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                        with open(f"/proc/{os.getppid()}/stat") as f:  # the daemon that forks workers; its parent is the executor
                            os.kill(int(f.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
                    except FileExistsError:
                        pass
                yield batch

        return run

    real = _training.task
    modules = (_events, _lists, _training)
    for module in modules:
        module.task = killing
    try:
        model = spark.ALS(**params).fit(events, **NAMES, event_weights=WEIGHTS, half_life_days=30, folder=tmp_path / "fit")
        same(model, expected)
        found = spark.recommend(running, model_path, k=3, out=tmp_path / "lists", partitions=4)
        assert lists(found.collect()) == wanted(expected, list(expected._ids("user").keys), k=3)
    finally:
        for module in modules:
            module.task = real
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


def test_importing_takes_neither_pyspark_nor_pyarrow():
    code = "import sys; from etalage import spark; print([m for m in ('pyspark', 'pyarrow', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
