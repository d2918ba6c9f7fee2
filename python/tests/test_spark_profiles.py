# SPDX-License-Identifier: Apache-2.0
"""Profiles of shoppers, and what lifetime models are fitted on, made by a real Spark (local[2])."""

import os

import numpy as np
import pytest

import etalage
from etalage import _core, spark
from etalage.marketing import lifetime
from etalage.profile import Profiles
from spark_jobs import EVENTS, NAMES, table

pytestmark = pytest.mark.slow
ROLES = {"back": "return"}


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(9)
    return {"who": np.array([f"u{u}" for u in (4000 * rng.random(EVENTS) ** 2).astype(int)], object), "what": rng.integers(-60, 70, EVENTS) * 10**13,
            "kind": np.array(["view", "cart", "buy", "back"], object)[rng.integers(0, 4, EVENTS)],
            "at": rng.integers(1767225600, 1772409600, EVENTS) // 600 * 600_000, "n": np.round(rng.random(EVENTS) * 5 - .5, 2)}


@pytest.fixture(scope="module")
def events(running, columns, tmp_path_factory):
    import pyarrow.parquet as pq

    path = str(tmp_path_factory.mktemp("lake") / "events.parquet")
    pq.write_table(table(columns), path, row_group_size=3000)
    return running.read.parquet(path)


@pytest.fixture(scope="module")
def catalog(columns):
    keys = np.unique(columns["what"])[5:]  # some products are in no catalogue
    rng = np.random.default_rng(1)
    return etalage.Catalog(keys, categories=[f"Home > {k % 7} > {k % 3}" for k in range(len(keys))], brands=[f"brand {k % 11}" for k in range(len(keys))],
                           prices=rng.random(len(keys)).astype(np.float32) * 100)


def local(columns, names, catalog=None, **options):
    """Profiles of a log whose keys are numbered in their order, one shopper's events at one time by item, type and value."""
    order = np.lexsort([columns[names[n]] for n in ("value", "event", "item", "time", "user") if n in names])
    columns = {n: c[order] for n, c in columns.items()}
    users, who = np.unique(columns[names["user"]], return_inverse=True)
    items, what = np.unique(columns[names["item"]], return_inverse=True)
    kinds, kind = np.unique(columns[names["event"]], return_inverse=True) if "event" in names else ([], None)
    log = _core.log_of_codes(who.astype(np.int32), what.astype(np.int32), _core.IdMap(users), _core.IdMap(items),
                             None if kind is None else kind.astype(np.int32), list(kinds), columns[names["time"]],
                             columns[names["value"]].astype(np.float32) if "value" in names else None)
    return Profiles(catalog, **options).add(log)


def rows_are(frame, expected, now=None):
    """Whether a DataFrame has the rows of to_dict()."""
    rows = frame.orderBy("user").collect()
    for name, values in expected.to_dict(now).items():
        found = [r[name] for r in rows]
        if values.dtype.kind == "M":
            milliseconds = values.astype(np.int64).tolist()
            assert [None if v is None else round(v.timestamp() * 1000) for v in found] == [None if np.isnat(v) else n for v, n in zip(values, milliseconds)], name
        elif values.dtype.kind == "f":
            assert np.array_equal(np.array(found, float), values, equal_nan=True), name
        else:
            assert found == values.tolist(), name


@pytest.mark.parametrize("partitions", [1, 5])
def test_profiles_have_the_bits_of_one_machine(running, events, columns, catalog, tmp_path, partitions):
    from etalage.spark import _blocks

    assert len(_blocks.ranges(len(np.unique(columns["who"])))) > 2  # blocks of shoppers
    options = dict(roles=ROLES, utc_offset_minutes=90, half_life_days=20, max_items=5)
    found = spark.profiles(events.repartition(3), **NAMES, catalog=catalog, out=tmp_path / "shop", partitions=partitions, **options)
    expected = local(columns, NAMES, catalog, **options)
    assert (tmp_path / "shop" / "profiles.etalage").read_bytes() == saved(expected, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["expected", "shop"] and sorted(os.listdir(tmp_path / "shop")) == ["profiles.etalage", "table"]
    rows_are(found, expected)
    opened = etalage.load(tmp_path / "shop" / "profiles.etalage")
    assert opened.by_id("u1").to_dict() == expected.by_id("u1").to_dict() and opened.segments() == expected.segments()
    for name, values in opened.buy_again(7).items():
        assert np.array_equal(values, expected.buy_again(7)[name]), name
    opened.observe(7, 3, "view", np.datetime64("2026-03-05"))  # and goes on


def saved(profiles, tmp_path):
    profiles.save(tmp_path / "expected")
    return (tmp_path / "expected").read_bytes()


def test_profiles_of_few_columns_and_of_another_day(running, events, columns, tmp_path):
    names = {n: NAMES[n] for n in ("user", "item", "time")}
    found = spark.profiles(events, **names, now="2026-06-01", file=False, out=tmp_path / "shop")
    rows_are(found, local(columns, names), np.datetime64("2026-06-01"))
    assert os.listdir(tmp_path / "shop") == ["table"]
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        spark.profiles(events, **names, out=tmp_path / "shop")
    assert spark.profiles(events.limit(0), **names, out=tmp_path / "shop", overwrite=True).count() == 0
    assert len(etalage.load(tmp_path / "shop" / "profiles.etalage")) == 0


def test_profiles_that_cannot_be_made_leave_nothing(running, events, tmp_path):
    with pytest.raises(ValueError, match="back"):
        spark.profiles(events, **NAMES, out=tmp_path / "shop")
    with pytest.raises(ValueError, match=r"spark.profiles: reading events, partition \d+ .* column 'user' has a null key"):
        spark.profiles(events.selectExpr("nullif(who, 'u1') as who", "what", "at"), user="who", item="what", time="at", out=tmp_path / "shop")
    with pytest.raises(ValueError, match="time is None"):
        spark.profiles(events, user="who", item="what", time=None, out=tmp_path / "shop")
    with pytest.raises(TypeError, match="nothing is not an option of Profiles"):
        spark.profiles(events, **NAMES, out=tmp_path / "shop", nothing=1)
    with pytest.raises(ValueError, match="idle_minutes"):
        spark.profiles(events, **NAMES, out=tmp_path / "shop", idle_minutes=-1)
    with pytest.raises(TypeError, match="catalog"):
        spark.profiles(events, **NAMES, out=tmp_path / "shop", catalog={"a": 1})
    with pytest.raises(ValueError, match="copy the folder"):
        spark.profiles(events, **NAMES, out="s3://bucket/shop")
    assert os.listdir(tmp_path) == []
    kept = spark.profiles(events.selectExpr("nullif(who, 'u1') as who", "what", "at"), user="who", item="what", time="at", out=tmp_path / "shop", on_error="skip")
    assert kept.where("user = 'u1'").count() == 0 and kept.count() > 100


def test_histories_that_customers_share_are_counted(running, events):
    each = spark.summaries(events, "who", "at", event="kind", events="buy", unit="days").toPandas()
    rows = spark.summaries(events, "who", "at", event="kind", events="buy", unit="days", grouped=True).toPandas()
    assert rows["customers"].sum() == len(each) and len(rows) < len(each) and rows.columns.tolist() == ["frequency", "recency", "T", "customers", "log_gaps"]
    for name in ("BGNBD", "MBGNBD", "ParetoNBD"):
        one = getattr(lifetime, name)().fit(each["frequency"], each["recency"], each["T"])
        other = getattr(lifetime, name)().fit(rows["frequency"], rows["recency"], rows["T"], weights=rows["customers"])
        for a, b in ((one.params_, other.params_), (one.standard_errors_, other.standard_errors_)):  # at a bound there is no error: nan
            assert np.array_equal(list(a.values()), list(b.values()), equal_nan=True), name
    one = lifetime.MBGCNBD().fit(each["frequency"], each["recency"], each["T"], each["log_gaps"])
    other = lifetime.MBGCNBD().fit(rows["frequency"], rows["recency"], rows["T"], rows["log_gaps"], weights=rows["customers"])
    assert one.k_ == other.k_ and other.log_likelihood_ == pytest.approx(one.log_likelihood_)
    with pytest.raises(ValueError, match="must be None: what customers spend is their own"):
        spark.summaries(events, "who", "at", "n", "kind", events="buy", grouped=True)
