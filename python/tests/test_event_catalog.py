# SPDX-License-Identifier: Apache-2.0
"""A catalogue from lines where a product occurs many times; what a reader refused."""

import numpy as np
import pytest

from etalage import Catalog, EventLog

LINES = {"item": ["b", "a", "a", "b", "a", "c", "a"], "name": ["mug ", "lamp", "LAMP", "mug", "LAMP", None, "lamp"],
         "price": [2.0, 5.0, 6.0, 3.0, 6.0, np.nan, -1.0], "at": ["2024-01-0%d" % d for d in (7, 1, 2, 1, 3, 4, 5)]}


def columns(of):
    return {"item": LINES["item"], **{c: LINES[c] for c in of}}


def test_the_most_frequent_value_stands():
    c = Catalog.from_events(LINES, name="name", price="price")
    assert c.item_ids.tolist() == ["b", "a", "c"] and c.names[:2] == ["mug", "lamp"]  # two each: the newest
    assert c.prices[:2].tolist() == [3, 6] and np.isnan(c.prices[2])
    assert c.conflicts == {"name": 1, "price": 2}
    assert Catalog.from_frame({"item": ["a"]}).conflicts is None


def test_the_newest_value_stands_by_time_or_by_line():
    assert Catalog.from_events(LINES, price="price", keep="newest").prices[:2].tolist() == [3, 6]
    assert Catalog.from_events(LINES, price="price", time="at", keep="newest").prices[:2].tolist() == [2, 6]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames(library):
    module = pytest.importorskip(library)
    frame = module.table(LINES) if library == "pyarrow" else module.DataFrame(LINES)
    c = Catalog.from_events(frame, name="name", price="price", time="at")
    assert c.item_ids.tolist() == ["b", "a", "c"] and c.prices[:2].tolist() == [2, 6] and c.conflicts == {"name": 1, "price": 2}


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="keep is 'first', must be 'most frequent' or 'newest'"):
        Catalog.from_events(LINES, name="name", keep="first")
    with pytest.raises(ValueError, match="column 'title' is not in frame, must be one of item, name, price, at"):
        Catalog.from_events(LINES, name="title")


def test_online_retail_names(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"StockCode": [10002, 10002, 10080], "Description": ["INFLATABLE GLOBE", "check", None]})
    c = Catalog.from_events(frame, item="StockCode", name="Description")
    assert c.item_ids.tolist() == [10002, 10080] and c.conflicts == {"name": 1} and c.names[1] == "10080"


def test_all_refused_rows_are_told_without_a_limit(tmp_path):
    bad = np.zeros(5000, bool)
    bad[np.random.default_rng(0).choice(5000, 3000, replace=False)] = True
    times = ["never" if b else "2024-01-02" for b in bad]
    log = EventLog.from_frame({"user": np.arange(5000), "item": np.arange(5000), "time": times}, time="time", on_error="skip")
    assert log.report.rows_refused == 3000 and len(log.report.refusals) == 1000
    assert log.report.refused.dtype == np.int64
    np.testing.assert_array_equal(log.report.refused, np.flatnonzero(bad))
    path = tmp_path / "e.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("user,item,time\n")
        for i, t in enumerate(times):
            file.write(f"{i},1\n" if i % 10 == 0 and bad[i] else f"{i},1,{t}\n")  # too few fields, and no time
    log = EventLog.from_csv(path, time="time", on_error="skip")
    np.testing.assert_array_equal(log.report.refused, np.flatnonzero(bad) + 2)
    assert [place for place, _ in log.report.refusals] == log.report.refused[:1000].tolist()
