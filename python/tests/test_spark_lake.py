# SPDX-License-Identifier: Apache-2.0
"""Batches of events that fold in, recipes, audiences and item shards on a real Spark (local[2])."""

import os

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import spark
from spark_jobs import EVENTS, NAMES, WEIGHTS, digest, equal, lists, local, same, table, wanted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(5)
    return {"who": np.array([f"u{u}" for u in rng.zipf(1.3, EVENTS) % 900], object), "what": rng.integers(-300, 400, EVENTS) * 10**12,
            "kind": np.array(["view", "cart", "buy", "back"], object)[rng.integers(0, 4, EVENTS)],
            "at": np.sort(rng.integers(1767225600_000, 1772409600_000, EVENTS)), "n": np.round(rng.random(EVENTS) * 5, 2)}


def part(columns, first, last):
    return {n: c[int(len(c) * first):int(len(c) * last)] for n, c in columns.items()}


@pytest.fixture(scope="module")
def lake(columns, tmp_path_factory):
    """Parquet in folders by date, as a lake has them."""
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("lake")
    for n, (first, last) in enumerate(((0, .5), (.5, .8), (.8, 1))):
        (path / f"date=2026-01-0{n + 1}").mkdir()
        pq.write_table(table(part(columns, first, last)), path / f"date=2026-01-0{n + 1}" / "events.parquet")
    return str(path)


# Batches

OPTIONS = dict(event_weights=WEIGHTS, half_life_days=20, return_event="back", return_cancels=["buy"])


def test_days_that_are_folded_in_are_one_run_over_all(running, columns, lake, tmp_path):
    days = running.read.parquet(lake)
    everything = spark.interactions(days, **NAMES, **OPTIONS, folder=tmp_path / "all")
    for day in ("2026-01-02", "2026-01-01", "2026-01-03"):
        folded = spark.interactions(days.where(f"date = '{day}'"), **NAMES, **OPTIONS, folder=tmp_path / "days", batch=day)
    assert digest(folded.root) == digest(everything.path) and folded.batches == ["2026-01-01", "2026-01-02", "2026-01-03"]
    equal(folded, local(columns, **OPTIONS))
    assert spark.Blocks(tmp_path / "days").nnz == folded.nnz
    # A day that comes again, late or corrected, takes the place of what was there.
    again = spark.interactions(days.where("date = '2026-01-02'").limit(100), **NAMES, **OPTIONS, folder=tmp_path / "days", batch="2026-01-02")
    assert again.nnz < folded.nnz
    again = spark.interactions(days.where("date = '2026-01-02'"), **NAMES, **OPTIONS, folder=tmp_path / "days", batch="2026-01-02")
    assert digest(again.root) == digest(everything.path)
    # A window that moves on; other weights need no events read again.
    rest = part(columns, .5, 1)
    moved = spark.interactions(days.where("date = '2026-01-03'"), **NAMES, **OPTIONS, folder=tmp_path / "days", batch="2026-01-03", drop=["2026-01-01"])
    equal(moved, local(rest, **OPTIONS))
    model = spark.ALS(factors=8, iterations=2, seed=1).fit(moved, session=running)
    same(model, etalage.models.ALS(factors=8, iterations=2, seed=1).fit(local(rest, **OPTIONS)))
    assert sorted(n.partition("-")[0] for n in os.listdir(tmp_path / "days")) == ["blocks", "blocks", "blocks.json", "events"]


def test_a_fold_that_fails_leaves_what_was_there(running, lake, tmp_path):
    days = running.read.parquet(lake)
    first = spark.interactions(days.where("date = '2026-01-01'"), **NAMES, folder=tmp_path / "days", batch="1")
    before = digest(first.root)
    bad = days.selectExpr("nullif(who, 'u1') as who", "what", "kind", "at", "n")
    with pytest.raises(ValueError, match="reading events, partition .*null key"):
        spark.interactions(bad, **NAMES, folder=tmp_path / "days", batch="2")
    with pytest.raises(ValueError, match="no weight for event type"):
        spark.interactions(days, **NAMES, folder=tmp_path / "days", batch="2", event_weights={"view": 1})
    opened = spark.Blocks(tmp_path / "days")
    assert opened.batches == ["1"] and digest(opened.root) == before
    for wrong, text in ((dict(batch="2", drop=["x"]), "drop has 'x'"), (dict(drop=["1"]), "must go with the name of a batch"),
                        (dict(batch="2", time=None), "whose batches have the columns"), (dict(), "exists and is not empty")):
        with pytest.raises((ValueError, FileExistsError), match=text):
            spark.interactions(days, **{**NAMES, **wrong}, folder=tmp_path / "days")
    with pytest.raises(ValueError, match="made without batch"):
        spark.interactions(days, **NAMES, folder=tmp_path / "plain")
        spark.interactions(days, **NAMES, folder=tmp_path / "plain", batch="2")


def test_files_of_events_are_cut_and_bad_rows_left_out(running, columns, monkeypatch):
    """Several files a task, several runs of keys, rows without key or time."""
    from etalage.spark import _event_tasks, _events, _worker

    monkeypatch.setattr(_events, "_RUN", 150)
    some = part(columns, 0, .2)
    frame = running.createDataFrame(table(some).to_pandas()).repartition(1)
    bad = running.createDataFrame([(None, 1, "view", None, 1.0), ("nobody", 5, "view", None, 1.0)], frame.schema)
    blocks = spark.interactions(frame.union(bad), **NAMES, duplicates="last", on_error="skip", partitions=4)
    equal(blocks, local(some, duplicates="last"))
    assert len(blocks.settings["keys"]["users"]) > 1
    monkeypatch.setattr(_event_tasks, "_CHUNK", 700)
    batches = table(some).select(["who", "what"]).to_batches(max_chunksize=300)
    path = blocks.path
    reports = list(_event_tasks.encode(iter(batches), _worker.Place(0, 1), path, [("user", "string"), ("item", "int64")], None, "raise", False))
    assert len(reports) == 3


# Recipes

def test_a_recipe_goes_with_the_blocks_and_the_model(running, columns, lake, tmp_path):
    recipe = etalage.Recipe(event_weights=WEIGHTS, half_life_days=20, value_transform="log1p")
    days = running.read.parquet(lake)
    blocks = spark.interactions(days, **NAMES, recipe=recipe)
    assert blocks.recipe == recipe == blocks.interactions().recipe
    equal(blocks, local(columns, event_weights=WEIGHTS, half_life_days=20, value_transform="log1p"))
    model = spark.ALS(factors=4, iterations=1).fit(days, **NAMES, recipe=recipe, folder=tmp_path / "fit")
    assert model.recipe == recipe and etalage.load(tmp_path / "fit" / "model.etalage").recipe == recipe
    assert spark.ALS(factors=4, iterations=1).fit(blocks, session=running).recipe == recipe
    assert spark.interactions(days, **NAMES, half_life_days=3).recipe == etalage.Recipe(half_life_days=3)
    with pytest.raises(ValueError, match="recipe and duplicates are given"):
        spark.interactions(days, **NAMES, recipe=recipe, duplicates="max")
    with pytest.raises(TypeError, match="recipe is"):
        spark.interactions(days, **NAMES, recipe=3)


# Audiences

@pytest.fixture(scope="module")
def fitted(columns, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.etalage"
    model = etalage.models.ALS(factors=12, iterations=3, seed=4).fit(local(columns, event_weights=WEIGHTS))
    model.save(path)
    return model, str(path)


def chosen(frame):
    found = frame.collect()
    return [r["user"] for r in found], [r["score"] for r in found], [r["held_out"] for r in found]


def of_local(audience):
    """The same of an Audience: those chosen and those held out in one order."""
    pairs = sorted([*((-s, u, False) for u, s in zip(audience.users, audience.scores)),
                    *((-s, u, True) for u, s in zip(audience.held_out, audience.held_out_scores))])
    return [u for _, u, _ in pairs], [float(-s) for s, _, _ in pairs], [h for _, _, h in pairs]


def test_audiences_are_those_of_marketing(running, fitted):
    model, path = fitted
    items = [int(i) for i in model._ids("item").keys[[3, 77, 200]]]
    for options in (dict(item=items[0], k=40), dict(item=items, share=.07, combine="mean", hold_out=.3, salt="spring"),
                    dict(item=items, k=30, exclude_buyers=False, hold_out={"a": .1, "b": .2}), dict(vector=model.item_factors[5], k=25),
                    dict(seeds=["u1", "u2"], k=25)):
        expected = of_local(etalage.marketing.audience(model, why=False, **options))
        assert chosen(spark.audience(running, path, **options, partitions=3)) == expected
    product = {"sku": items, "kind": ["Lamp", "Lamp", "Rug"]}
    catalog = etalage.Catalog.from_frame(product, item="sku", category="kind")
    expected = of_local(etalage.marketing.audience(model, category="Lamp", catalog=catalog, k=20, why=False))
    assert chosen(spark.audience(running, path, category="Lamp", catalog=catalog, k=20)) == expected


def test_audiences_among_some_and_without_others(running, fitted):
    model, path = fitted
    item = int(model._ids("item").keys[3])
    everybody = [str(u) for u in model._ids("user").keys]
    some, yes, out = everybody[::2], everybody[::3], everybody[:200]
    late = {u: "2026-01-20" if n % 2 else "2026-01-02" for n, u in enumerate(everybody)}

    def frame(keys):
        return running.createDataFrame([(u,) for u in keys], "user string")

    times = running.createDataFrame(list(late.items()), "user string, t string")
    for zone in ("cast(concat(t, ' 00:00:00+00:00') as timestamp)", "cast(t as timestamp_ntz)"):
        found = spark.audience(running, path, item, k=25, users=frame([*some, "nobody"]), consent=frame(yes), exclude=frame(out),
                               contacted=times.selectExpr("user", f"{zone} as time"), min_days=7, now="2026-01-22")
        allowed = [u for u in some if u in set(yes) - set(out)]
        expected = etalage.marketing.audience(model, item, users=allowed, contacted=late, min_days=7, now="2026-01-22", k=25, why=False)
        assert chosen(found) == of_local(expected) and found.count() > 5
    for wrong, error, text in ((dict(k=3, share=.1), ValueError, "must give one of them"), (dict(k=3, vector=[1.0]), ValueError, "must be one of them"),
                               (dict(k=3, consent=["u1"]), TypeError, "consent is"), (dict(k=3, min_days=2), ValueError, "contacted is None"),
                               (dict(k=3, predicate=lambda u: u), ValueError, "must be one of them"), (dict(k=3, combine="sum"), ValueError, "combine is 'sum'"),
                               (dict(k=3, contacted=times, time="t", min_days=1, now="2026-01-22"), TypeError, "must be of timestamps")):
        with pytest.raises(error, match=text):
            spark.audience(running, path, item, **wrong)


# Item models

@pytest.mark.parametrize("name, params", [("ItemKNN", {}), ("ItemKNN", dict(similarity="bm25", num_neighbors=20, user_damping=.3, normalize=True)),
                                          ("P3alpha", dict(alpha=1.2, num_neighbors=15)), ("RP3beta", dict(beta=.4, normalize=True)), ("RP3beta", {})])
def test_item_models_have_the_bits_of_one_machine(running, columns, lake, tmp_path, monkeypatch, name, params):
    from etalage.spark import _item_steps

    monkeypatch.setattr(_item_steps, "_ROWS", 300)
    expected = getattr(etalage.models, name)(**params).fit(local(columns, event_weights=WEIGHTS))
    model = getattr(spark, name)(**params).fit(running.read.parquet(lake), **NAMES, event_weights=WEIGHTS, folder=tmp_path / "fit", partitions=3)
    assert isinstance(model, getattr(etalage.models, name)) and model.get_params() == expected.get_params() and model.resolved == expected.resolved
    a, b = model.item_weights, expected.item_weights
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("indptr", "indices", "data")) and b.nnz > 1000
    got, wanted_ = model.recommend_ids(["u1", "nobody"], k=4), expected.recommend_ids(["u1", "nobody"], k=4)
    assert all((x == y).all() for x, y in zip(got, wanted_))
    assert model.recipe == etalage.Recipe(event_weights=WEIGHTS) and model._model.newest_ms == int(columns["at"].max())
    with pytest.raises(ValueError, match="other parameters or data"):
        getattr(spark, name)(num_neighbors=3).fit(running.read.parquet(lake), **NAMES, event_weights=WEIGHTS, folder=tmp_path / "fit")
    again = getattr(spark, name)(**params).fit(spark.Blocks(tmp_path / "fit" / "blocks"), session=running)
    assert (again.item_weights != b).nnz == 0


# Shards of items

def test_shards_of_items_merge_to_the_lists_of_one(running, fitted, tmp_path):
    model, path = fitted
    everybody = list(model._ids("user").keys)
    for shards in (2, 5):
        assert lists(spark.recommend(running, path, k=6, item_shards=shards).collect()) == wanted(model, everybody, k=6)
    users = running.createDataFrame([("u1",), ("nobody",), ("u4",), ("u1",)], "who string").repartition(3)
    never, only = [int(i) for i in model._ids("item").keys[:100]], [int(i) for i in model._ids("item").keys[50:400]]
    options = dict(filter_items=never, items=only, filter_already_liked_items=False)
    frame = spark.recommend(running, path, users, 7, tmp_path / "lists", user="who", item_shards=3, **options)
    found = frame.collect()
    assert lists(found) == wanted(model, ["u1", "nobody", "u4"], k=7, **options) and len(found) == 28
    assert [f.name for f in frame.schema] == ["user", "rank", "item", "score"]
    with pytest.raises(ValueError, match="item_shards is 0"):
        spark.recommend(running, path, item_shards=0)


def test_lists_that_span_batches_are_cut_at_k():
    import pyarrow as pa

    from etalage.spark._list_tasks import merged

    asked = np.repeat(np.arange(5), [3, 9, 1, 6, 4])
    whole = pa.RecordBatch.from_arrays([pa.array([f"u{a}" for a in asked]), pa.array(np.zeros(23, np.int32)), pa.array(np.arange(23)),
                                        pa.array(-np.arange(23, dtype=np.float32)), pa.array(asked), pa.array(np.arange(23, dtype=np.int32))],
                                       ["user", "rank", "item", "score", "asked", "place"])
    one = pa.Table.from_batches(merged(iter([whole]), None, {"k": 4}))
    assert one["rank"].to_pylist() == [r for n in (3, 4, 1, 4, 4) for r in range(1, n + 1)]
    for size in (1, 2, 5):
        parts = [whole.slice(i, size) for i in range(0, 23, size)]
        assert pa.Table.from_batches(merged(iter(parts), None, {"k": 4})).combine_chunks() == one.combine_chunks()


# The driver

def test_what_the_driver_holds_does_not_grow_with_the_users(running, tmp_path):
    """Peak of Python's and numpy's allocations in this process, over a whole batch of n and of 12 n users."""
    import tracemalloc

    def peak(users):
        rng = np.random.default_rng(2)
        who = np.concatenate([np.arange(users), rng.integers(0, users, users)])
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"user": [f"shopper-{u}" for u in who], "item": rng.integers(0, 50, len(who))}), tmp_path / f"{users}.parquet")
        frame = running.read.parquet(str(tmp_path / f"{users}.parquet"))
        tracemalloc.start()
        model = spark.ALS(factors=4, iterations=2).fit(frame, folder=tmp_path / f"fit-{users}")
        count = spark.recommend(running, tmp_path / f"fit-{users}" / "model.etalage", k=2, out=tmp_path / f"lists-{users}", partitions=4).count()
        found = spark.evaluate(running, tmp_path / f"fit-{users}" / "model.etalage", frame.limit(100), check_fit=False, filter_already_liked_items=False)
        out = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert model.num_users == users and count == 2 * users and found["users"] > 0
        return out

    peak(1000)  # what is imported and cached once
    few, many = peak(2000), peak(16_000)
    assert many < few + 500_000, (few, many)  # 14,000 keys as strings alone would be more


# Summaries of customers

@pytest.mark.parametrize("zone", ["at", "cast(convert_timezone(current_timezone(), 'UTC', cast(at as timestamp_ntz)) as timestamp_ntz) as at"])
def test_summaries_are_those_of_a_log(running, columns, lake, monkeypatch, zone):
    from etalage.spark import _summary_tasks

    days = running.read.parquet(lake).selectExpr("who", "kind", "n", zone)
    buys = columns["kind"] == "buy"
    frame = {"who": columns["who"][buys], "what": columns["what"][buys], "at": columns["at"][buys].astype("datetime64[ms]"), "n": columns["n"][buys]}
    log = etalage.EventLog.from_frame(frame, user="who", item="what", time="at", value="n", event=None)
    for options in ({}, dict(unit="days", utc_offset_minutes=120), dict(until="2026-02-10")):
        expected = etalage.marketing.lifetime.summarize(log, **options).to_dict()
        got = spark.summaries(days, "who", "at", "n", "kind", events="buy", partitions=3, **options).toPandas().set_index("customer")
        assert len(got) == len(expected["customer"]) > 100
        got = got.loc[list(expected["customer"])]
        for name in ("frequency", "recency", "T", "money", "log_gaps"):
            assert np.allclose(got[name], expected[name], rtol=1e-6), name
    # Customers whose purchases cross the pieces that a task takes.
    import pyarrow as pa

    table_ = pa.table({"user": np.repeat(["a", "b", "c"], [5, 9, 2]), "time": pa.array(np.arange(16) * 86_400_000_000 * 3, pa.timestamp("us", tz="UTC"))})
    whole = pa.Table.from_batches(_summary_tasks.summarised(iter(table_.to_batches()), None, False, 86_400_000 * 100, "days", 0))
    monkeypatch.setattr(_summary_tasks, "_EVENTS", 4)
    assert pa.Table.from_batches(_summary_tasks.summarised(iter(table_.to_batches(max_chunksize=3)), None, False, 86_400_000 * 100, "days", 0)).equals(
        whole) and whole.num_rows == 3
    with pytest.raises(ValueError, match="events is None and the log has the types"):
        spark.summaries(days.where("kind != 'buy'"), "who", "at", event="kind")
    with pytest.raises(TypeError, match="must be of timestamps"):
        spark.summaries(days, "who", "n")


# EASE, and lists made elsewhere

@pytest.mark.parametrize("params", [dict(l2=40.0), dict(num_neighbors=12, popularity_penalty=.3)])
def test_ease_has_the_bits_of_one_machine(running, columns, lake, tmp_path, monkeypatch, params):
    from etalage.spark import _item_steps

    monkeypatch.setattr(_item_steps, "_ROWS", 300)
    for folder, frame in (("items", columns), ("users", part(columns, 0, .1))):
        data = local(frame, event_weights=WEIGHTS)
        expected = etalage.models.EASE(**params).fit(data)
        over_items = data.num_users >= .8 * data.num_items
        assert over_items == (folder == "items")
        model = spark.EASE(**params).fit(running.createDataFrame(table(frame).to_pandas()), **NAMES, event_weights=WEIGHTS, folder=tmp_path / folder, partitions=3)
        assert isinstance(model, etalage.models.EASE) and model.get_params() == expected.get_params() and model.resolved == expected.resolved
        a, b = (w.toarray() if hasattr(w, "toarray") else np.asarray(w) for w in (model.item_weights, expected.item_weights))
        assert np.array_equal(a, b) and np.count_nonzero(b) > 1000
        got, wanted_ = model.recommend_ids(["u1", "nobody"], k=4), expected.recommend_ids(["u1", "nobody"], k=4)
        assert all((x == y).all() for x, y in zip(got, wanted_))
        assert (tmp_path / folder / "weights" / "gram").exists() == over_items


def test_ease_beyond_its_memory_is_refused_before_the_sums(running, columns, lake, tmp_path):
    events = running.read.parquet(lake)
    items = len(np.unique(columns["what"]))
    with pytest.raises(ValueError, match=rf"data has {items} items, whose Gram matrix takes {4 * items**2} bytes .* at most 100 with memory_budget=40000"):
        spark.EASE(memory_budget=40_000).fit(events, **NAMES, folder=tmp_path / "fit")
    assert not (tmp_path / "fit" / "weights" / "gram").exists() and not (tmp_path / "fit" / "model.etalage").exists()
    with pytest.raises(ValueError, match="method is 'approximate', must be 'exact' or 'auto'"):
        spark.EASE(method="approximate").fit(events, **NAMES, folder=tmp_path / "other")


def of_lists(rows, data, k, **options):
    """evaluate_ranking over the same lists, for every user of data that has something in it."""
    users = np.flatnonzero(np.diff(data.user_items.tocsr().indptr))
    at = {key: i for i, key in enumerate(np.asarray(data.item_ids).tolist())}
    items = np.full((len(users), max(map(len, rows.values()))), -1)
    for j, key in enumerate(np.asarray(data.user_ids)[users]):
        for p, item in enumerate(rows.get(key, [])):
            items[j, p] = at.setdefault(item, len(at))
    test = etalage.Interactions.from_csr(sp.csr_matrix((data.user_items.data, data.user_items.indices, data.user_items.indptr),
                                                       shape=(data.num_users, len(at))))
    return etalage.evaluation.evaluate_ranking(items, test, users=users.astype(np.int32), k=k, **options)


def test_lists_made_elsewhere_are_measured(running, columns, lake):
    from pyspark.sql import functions as F

    rng = np.random.default_rng(2)
    test = running.read.parquet(lake).select("who", "what", "n").limit(4000).cache()
    frame = {n: np.array([r[n] for r in test.collect()], object if n == "who" else None) for n in ("who", "what", "n")}
    data = local({**frame}, dict(user="who", item="what"))
    everything = np.unique(columns["what"])
    rows = {u: rng.choice(everything, rng.integers(1, 13), replace=False).tolist() for u in np.unique(frame["who"])[::2].tolist()}
    rows["nobody"] = [1, 2]
    expected = of_lists(rows, data, [5, 10], metrics=("recall", "ndcg", "map", "precision"))
    long = running.createDataFrame([(u, int(i), 3 * r) for u, items in rows.items() for r, i in enumerate(items)], "who string, what bigint, rank int")
    arrays = running.createDataFrame([(u, items) for u, items in rows.items()], "who string, what array<bigint>")
    named = dict(user="who", item="what", k=[5, 10], metrics=("recall", "ndcg", "map", "precision"))
    for lists in (long.orderBy(F.rand(3)), arrays):
        for partitions in (1, 5):
            found = spark.evaluate(running, None, test, lists=lists, partitions=partitions, **named)
            assert found["users"] == expected["users"] and found["hidden"] == 0
            for name in expected.metrics:
                assert found[name] == pytest.approx(expected[name], rel=1e-12), name
    # Values that sum to nothing make nothing relevant, as in a test of a log.
    signed = test.withColumn("n", F.when(F.col("what") % 3 == 0, -F.col("n")).otherwise(F.col("n")))
    kept = np.where(frame["what"] % 3 == 0, -frame["n"], frame["n"])
    data = local({**frame, "n": kept}, dict(user="who", item="what", value="n"))
    liked = data.user_items.tocsr()
    liked.data = (liked.data > 0).astype(np.float32)
    liked.eliminate_zeros()
    data = etalage.Interactions.from_csr(liked, user_ids=data.user_ids, item_ids=data.item_ids)
    found = spark.evaluate(running, None, signed, lists=arrays, value="n", **named)
    expected = of_lists(rows, data, [5, 10], metrics=("recall", "ndcg"))
    assert found["users"] == expected["users"] and found["ndcg@10"] == pytest.approx(expected["ndcg@10"], rel=1e-12)


def test_lists_of_a_model_measure_as_the_model(running, fitted, columns):
    _, path = fitted
    test = running.createDataFrame(table(part(columns, .2, .6)).to_pandas()).select("who", "what").withColumnRenamed("who", "user").withColumnRenamed("what", "item")
    more = running.createDataFrame([("nobody", int(columns["what"][0])), ("u1", 5)], "user string, item bigint")
    test = test.union(more)
    by_model = spark.evaluate(running, path, test, 10, check_fit=False, filter_already_liked_items=False)
    lists = spark.recommend(running, path, k=10, filter_already_liked_items=False)
    by_lists = spark.evaluate(running, path, test, 10, lists=lists, filter_already_liked_items=False)
    assert by_lists == pytest.approx(by_model, rel=1e-6) and by_model["users"] > 100
    hidden = spark.evaluate(running, path, test, 10, lists=lists)
    assert hidden["hidden"] == spark.evaluate(running, path, test, 10, check_fit=False)["hidden"] > 100 and hidden["users"] < by_model["users"] + 1


def test_lists_that_are_wrong_are_named(running):
    test = running.createDataFrame([("a", 1), ("b", 2)], "user string, item bigint")
    good = running.createDataFrame([("a", 1, 1), ("a", 2, 2)], "user string, item bigint, rank int")
    frame = running.createDataFrame
    for lists, error, text in ((frame([("a", [1, 2, 1])], "user string, item array<bigint>"), ValueError, "item twice in the list of user 'a'"),
                               (frame([("a", [1, None])], "user string, item array<bigint>"), ValueError, "'item' of lists has a null key for user 'a'"),
                               (frame([(None, [1])], "user string, item array<bigint>"), ValueError, "lists: column 'user' has a null"),
                               (frame([("a", [1]), ("b", [2]), ("a", [2])], "user string, item array<bigint>"), ValueError, "a user in two rows"),
                               (frame([("a", ["1"])], "user string, item array<string>"), ValueError, "must be of arrays of bigint"),
                               (frame([("a", 1, None)], "user string, item bigint, rank int"), ValueError, "lists: column 'rank' has a null"),
                               (frame([("a", "x", 1)], "user string, item string, rank int"), ValueError, "must be of bigint"),
                               (good.drop("rank"), ValueError, "rank is 'rank', which is no column"), (3, TypeError, "lists is 3")):
        with pytest.raises(error, match=text):
            spark.evaluate(running, None, test, 2, lists=lists)
    for wrong, text in (([("a", None)], "'item' of test has a null key for user 'a'"), ([(None, 1)], "'user' has a null key")):
        with pytest.raises(ValueError, match=text):
            spark.evaluate(running, None, frame(wrong, "user string, item bigint"), 2, lists=good)
    with pytest.raises(ValueError, match="metrics has 'coverage'"):
        spark.evaluate(running, None, test, 2, ["coverage"], lists=good)
    with pytest.raises(ValueError, match="metric is 'bogus', must be one of precision"):
        spark.evaluate(running, None, test, 2, ["bogus"], lists=good)
    with pytest.raises(ValueError, match="model_path and lists are None"):
        spark.evaluate(running, None, test, 2)
    with pytest.raises(ValueError, match="column 'item' has a null"):
        spark.evaluate(running, None, test, 2, lists=frame([("zz", None, 1)], "user string, item bigint, rank int"))
    found = spark.evaluate(running, None, test, 2, lists=frame([], "user string, item bigint, rank int"))
    assert found["users"] == 2 and found["recall@2"] == 0
    assert spark.evaluate(running, None, test.limit(0), 2, lists=good)["users"] == 0
