# SPDX-License-Identifier: Apache-2.0
"""Batches of events that fold in, recipes, audiences and item shards on a real Spark (local[2])."""

import os

import numpy as np
import pytest

import etalage
from etalage import spark
from test_spark import EVENTS, NAMES, WEIGHTS, digest, equal, lists, local, same, session, table, wanted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running():
    made = session("local[2]")
    yield made
    made.stop()


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
