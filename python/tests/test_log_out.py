# SPDX-License-Identifier: Apache-2.0
"""A log seen from outside: as a frame again, from Parquet, and described."""

import numpy as np
import pytest

from etalage import Catalog, EventLog

FRAME = {"user": ["a", "b", "a", "a"], "item": ["85123A", "85123A", "POST", "22423"], "event": ["view", "buy", "buy", "view"],
         "time": np.array(["2024-01-05", "2024-01-31T23:59:59.999", "2024-03-01", "2024-03-02"], "M8[ms]"), "value": [1.0, 2.0, -1.0, 0.5],
         "session": [1, 1, 2, 2]}
NAMED = {"event": "event", "time": "time", "value": "value", "session": "session"}


@pytest.fixture
def log():
    return EventLog.from_frame(FRAME, **NAMED)


def same(a, b):
    for name in ("users", "items", "events", "times", "values", "sessions"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None) and (x is None or x.tolist() == y.tolist()), name
    assert a.event_names == b.event_names and list(a.user_ids) == list(b.user_ids) and list(a.item_ids) == list(b.item_ids)


@pytest.mark.parametrize("way", ["to_pandas", "to_polars", "to_arrow", "itself"])
def test_a_log_goes_out_and_comes_back(log, way):
    for library in {"to_pandas": ["pandas"], "to_polars": ["polars"], "to_arrow": ["pyarrow"], "itself": []}[way]:
        pytest.importorskip(library)
    out = log if way == "itself" else getattr(log, way)()
    same(log, EventLog.from_frame(out, **NAMED))
    bare = EventLog.from_frame({"user": [2**53 + 1, 1], "item": [5, 6]})
    again = bare if way == "itself" else getattr(bare, way)()
    same(bare, EventLog.from_frame(again))
    if way != "itself":
        assert list(again.columns if way != "to_arrow" else again.column_names) == ["user", "item"]
    empty = EventLog.from_frame({"user": [], "item": []})
    assert len(EventLog.from_frame(empty if way == "itself" else getattr(empty, way)())) == 0


def test_duckdb_reads_a_log(log):
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.connect().from_arrow(log.to_arrow()).filter("\"user\" = 'a'").sum("value").fetchall() == [(0.5,)]


def test_parquet_files_and_folders(log, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = log.to_arrow()
    pq.write_table(table, tmp_path / "one.parquet")
    same(log, EventLog.from_parquet(tmp_path / "one.parquet", **NAMED))
    folder = tmp_path / "days"
    for day, rows in (("2024-01-01", table.slice(0, 1)), ("2024-01-02", table.slice(1))):
        (folder / f"day={day}").mkdir(parents=True)
        pq.write_table(rows, folder / f"day={day}" / "part.parquet")
    same(log, EventLog.from_parquet(str(folder), **NAMED))
    assert EventLog.from_parquet(folder, time="day").times.tolist() == [1704067200000] + [1704153600000] * 3
    with pytest.raises(ValueError, match="column 'sku' is not in .*, must be one of 'user', 'item', "):
        EventLog.from_parquet(folder, item="sku")
    for absent in (tmp_path / "absent.parquet", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError):
            EventLog.from_parquet(absent)
    assert pa.table(log).num_rows == 4


def test_parquet_is_read_column_by_column(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    n = 40_000
    rng = np.random.default_rng(3)
    table = pa.table({"user": [f"u{i}" for i in rng.integers(3000, size=n)], "item": rng.integers(500, size=n), "event": rng.choice(["view", "buy"], n),
                      "time": pa.array(rng.integers(0, 10**9, n)).cast(pa.timestamp("s")), "value": rng.random(n), "session": rng.integers(9000, size=n)})
    pq.write_table(table, tmp_path / "events.parquet", row_group_size=7_000)
    same(EventLog.from_frame(table, **NAMED), EventLog.from_parquet(tmp_path / "events.parquet", **NAMED))
    twice = EventLog.from_parquet(tmp_path / "events.parquet", user="item", item="item")
    assert twice.num_users == twice.num_items == 500
    # Rows that one column refuses are refused in all, and said in the words of that column.
    bad = table.set_column(0, "user", pa.array(["a", None, "b", "a"], pa.string()).take(pa.array(np.arange(n) % 4)))
    bad = bad.set_column(4, "value", pa.array(np.where(np.arange(n) == 7, np.nan, 1.0)))
    pq.write_table(bad, tmp_path / "bad.parquet", row_group_size=7_000)
    for make in (EventLog.from_frame, EventLog.from_parquet):
        source = bad if make is EventLog.from_frame else tmp_path / "bad.parquet"
        with pytest.raises(ValueError, match="row 1: user is missing"):
            make(source, **NAMED)
        log = make(source, on_error="skip", **NAMED)
        assert (log.report.rows_read, log.report.rows_kept, log.num_users) == (n, n - n // 4 - 1, 2)
        assert log.report.refusals[0][1].startswith("user is missing") and any("value" in why for _, why in log.report.refusals)


def test_description(log):
    d = log.describe()
    assert (d.rows, d.users, d.items, d.pairs) == (4, 2, 3, 4) and d.density == pytest.approx(4 / 6) and d.repeat_share == 0
    assert d.event_counts == {"view": 2, "buy": 2} and d.negative_share == 0.25
    assert str(d.first)[:10] == "2024-01-05" and str(d.last)[:10] == "2024-03-02"
    assert [str(m) for m in d.months] == ["2024-01", "2024-02", "2024-03"]
    assert d.month_counts["view"].tolist() == [1, 0, 1] and d.month_counts["buy"].tolist() == [1, 0, 1]
    assert d.heavy_users == [("a", 3), ("b", 1)] and d.events_per_user[1] == 3 and d.events_per_user[0.5] == 1
    text = repr(d)
    assert "4 rows: 2 users, 3 items" in text and "25.0% below 0: returns?" in text
    catalogue = Catalog(["85123A", "POST", "22423"], names=["White heart", "Parcel", "Sample pack"])
    found = log.describe(catalogue).suspects
    assert ("22423", 1, "Sample pack") in found
    names = [f"{i:05d}" for i in range(20)] + ["POST", "GIFT-VOUCHER 10"]
    shop = EventLog.from_frame({"user": [1] * 23, "item": [*names, "POST"]})
    assert shop.describe().suspects == [("POST", 2, ""), ("GIFT-VOUCHER 10", 1, "")]
    assert shop.describe().repeat_share == pytest.approx(1 / 23) and shop.describe().first is None
    assert repr(EventLog.from_frame({"user": [], "item": []}).describe()).startswith("0 rows: 0 users, 0 items")
    part = log.filtered(np.array([False, True, False, False])).describe()
    assert (part.users, part.items) == (1, 1) and part.event_counts == {"view": 0, "buy": 1}


def test_a_picture_of_a_log(log):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = log.describe().plot()
    assert len(axes) == 2 and axes[0].get_ylabel() == "rows a month"
    assert sum(p.get_height() for p in axes[0].patches) == 4
