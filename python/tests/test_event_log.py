# SPDX-License-Identifier: Apache-2.0
"""Events read, kept, refused and handed out, and what bad input gets for an answer."""

import datetime
import pickle

import numpy as np
import pytest

import etalage
from etalage import EventLog
from small_logs import dense, log_of


def test_memory_is_shared_and_read_only():
    data = log_of([(1, 1, 2.0), (2, 2, 3.0)], ("user", "item", "value")).interactions()
    a, b = data.user_items_view, data.user_items_view
    assert np.shares_memory(a.data, b.data) and not np.shares_memory(a.data, data.user_items.data)
    with pytest.raises(ValueError):
        a.data[0] = 1
    del data
    assert a.sum() == 5


def test_filtered_keeps_the_id_space():
    log = log_of([("u", "a", 3), ("v", "b", 1)], ("user", "item", "time"))
    part = log.filtered(log.times > 2)
    assert len(part) == 1 and part.num_users == 2 and part.interactions().shape == (2, 2)
    with pytest.raises(ValueError, match="keep has 1 entries"):
        log.filtered(np.array([True]))
    with pytest.raises(TypeError, match="must be a boolean"):
        log.filtered([1, 0])


def test_pickles():
    log = log_of([("u", "a", "view", 0, 1.0), ("v", "b", "buy", 5, 2.0)])
    again = pickle.loads(pickle.dumps(log))
    assert again.times.tolist() == [0, 5] and list(again.user_ids) == ["u", "v"] and again.event_names == ["view", "buy"]
    data = pickle.loads(pickle.dumps(log.interactions()))
    assert dense(data).tolist() == [[1, 0], [0, 2]] and data.item_index(["b"]).tolist() == [1]
    s = pickle.loads(pickle.dumps(log.sequences()))
    assert [x.tolist() for x in s] == [[0], [1]] and list(s.item_ids) == ["a", "b"]


def test_bad_rows_raise_or_are_skipped_and_reported():
    rows = [("u", "a", 1.0), ("", "a", 1.0), ("v", None, 1.0), ("w", "b", float("nan")), ("u", "b", 2.0)]
    with pytest.raises(ValueError, match=r"row 1: user is empty, must not be \(3 of 5 rows are bad; on_error=\"skip\""):
        log_of(rows, ("user", "item", "value"))
    log = log_of(rows, ("user", "item", "value"), on_error="skip")
    assert (log.report.rows_read, log.report.rows_kept, log.report.rows_refused) == (5, 2, 3)
    assert log.report.refusals == [(1, "user is empty, must not be"), (2, "item is missing"), (3, "value is nan, must be a finite number")]
    assert log.report.place == "row" and "row 2: item is missing" in repr(log.report)
    # keys of refused rows leave no trace
    assert list(log.user_ids) == ["u"] and list(log.item_ids) == ["a", "b"]


def test_only_the_first_thousand_refusals_are_listed_and_all_counted():
    log = EventLog.from_frame({"user": [None] * 5000 + ["a"], "item": ["x"] * 5001}, on_error="skip")
    assert log.report.rows_refused == 5000 and len(log.report.refusals) == 1000 and len(log) == 1


@pytest.mark.parametrize("kw,text", [
    ({"user": "nope"}, "column 'nope' is not in the frame, must be one of 'user', 'item'"),
    ({"on_error": "ignore"}, "on_error is 'ignore', must be 'raise' or 'skip'"),
    ({"time": "item", "time_unit": "h"}, "time_unit is 'h', must be 's', 'ms', 'us' or 'ns'"),
    ({"num_threads": -1}, "num_threads is -1"),
])
def test_bad_arguments_name_argument_value_and_rule(kw, text):
    with pytest.raises(ValueError, match=text):
        EventLog.from_frame({"user": [1], "item": [1]}, **kw)


def test_frames_that_are_none():
    for bad in ([1, 2], None, 3, "file.csv"):
        with pytest.raises(TypeError, match="frame is"):
            EventLog.from_frame(bad)
    with pytest.raises(ValueError, match="'item' has 2 rows, must have as many as 'user', 1"):
        EventLog.from_frame({"user": [1], "item": [1, 2]})
    with pytest.raises(ValueError, match="must have 1 dimension"):
        EventLog.from_frame({"user": np.ones((2, 2), int), "item": [1, 2]})
    with pytest.raises(TypeError, match="must be all strings"):
        EventLog.from_frame({"user": ["a", 1], "item": [1, 2]})
    with pytest.raises(ValueError, match="duplicates is 'mean'"):
        log_of([(1, 1)], ("user", "item")).interactions(duplicates="mean")
    with pytest.raises(ValueError, match="negative_values is 'drop'"):
        log_of([(1, 1)], ("user", "item")).interactions(negative_values="drop")
    with pytest.raises(ValueError, match="min_user_count is -1"):
        log_of([(1, 1)], ("user", "item")).interactions(min_user_count=-1)


def test_dict_columns_of_many_kinds():
    day = np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="datetime64[D]")
    log = EventLog.from_frame({"user": np.array(["a", "b", "é"]), "item": np.array([1, 2, 3], ">i4"), "time": day,
                               "value": np.arange(6, dtype=np.int64)[::2]}, time="time", value="value", on_error="skip")
    assert list(log.user_ids) == ["a", "é"] and log.item_ids.tolist() == [1, 3] and log.values.tolist() == [0, 4]
    assert log.times.tolist() == [1577836800000, 1577923200000]
    log = EventLog.from_frame({"user": [b"x".decode(), "y"], "item": np.array([b"p", b"q"]), "time": [datetime.datetime(2020, 1, 1), "z"][:1] * 2},
                              time="time")
    assert list(log.item_ids) == ["p", "q"] and log.times.tolist() == [1577836800000] * 2


def test_concat():
    a = log_of([("u", "a", "view", 1, 1.0), ("v", "b", "buy", 2, 1.0)])
    b = log_of([("w", "b", "buy", 3, 2.0), ("u", "c", "return", 4, 1.0)])
    both = EventLog.concat([a, b])
    assert list(both.user_ids) == ["u", "v", "w"] and list(both.item_ids) == ["a", "b", "c"] and both.event_names == ["view", "buy", "return"]
    assert both.users.tolist() == [0, 1, 2, 0] and both.items.tolist() == [0, 1, 1, 2] and both.events.tolist() == [0, 1, 1, 2]
    assert both.times.tolist() == [1, 2, 3, 4] and both.values.tolist() == [1, 1, 2, 1] and both.report.rows_read == 4
    whole = log_of([("u", "a", "view", 1, 1.0), ("v", "b", "buy", 2, 1.0), ("w", "b", "buy", 3, 2.0), ("u", "c", "return", 4, 1.0)])
    assert (both.interactions().user_items != whole.interactions().user_items).nnz == 0
    assert len(EventLog.concat([])) == 0 and len(EventLog.concat([a])) == 2
    with pytest.raises(ValueError, match="log 1 has no time column and another has"):
        EventLog.concat([log_of([(1, 1, 5)], ("user", "item", "time")), log_of([(1, 1)], ("user", "item"))])
    with pytest.raises(ValueError, match="user keys are strings in one log and integers in another"):
        EventLog.concat([log_of([("a", 1)], ("user", "item")), log_of([(1, 1)], ("user", "item"))])


def test_arguments_are_named_whatever_they_hold(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,2\n3,4\n")
    log = EventLog.from_csv(path, header=np.True_, num_threads=np.int64(1))
    assert len(log) == 2
    for argument, value, error, rule in (
            ("num_threads", np.True_, TypeError, "an integer"), ("num_threads", np.array([1, 2]), TypeError, "an integer"),
            ("user", "\ud800", ValueError, "text that UTF-8 can write"), ("header", "a" + "\u00e9" * 100, TypeError, "True or False")):
        with pytest.raises(error, match=f"^{argument} is .*must be {rule}"):
            EventLog.from_csv(path, **{argument: value})
    for value, error, rule in ((np.True_, TypeError, "a number"), (np.array([3.0, 4.0]), TypeError, "a number"),
                               (10**400, ValueError, "a number that a float64 holds")):
        with pytest.raises(error, match=f"^idle_minutes is .*must be {rule}"):
            log.sequences(idle_minutes=value)
    for argument in ("duplicates", "negative_values", "normalize_users", "value_transform"):
        with pytest.raises(ValueError, match=f"^{argument} is '.ud800', must be '"):
            log.interactions(**{argument: "\ud800"})
    for call, argument in ((etalage.serving.Filter.brand, "brand"), (etalage.serving.Filter.items, "items"),
                           (lambda text: etalage.models.LinearSequence(l2=text), "l2")):
        with pytest.raises((TypeError, ValueError), match=f"^{argument} is '.ud800'"):
            call("\ud800")
