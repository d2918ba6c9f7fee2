# SPDX-License-Identifier: Apache-2.0
"""Events to matrices: weights, decay, duplicates, returns, transforms."""

import datetime
import re

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import EventLog, Interactions
from small_logs import DAY, dense, log_of


def test_signature_of_the_contract():
    log = EventLog.from_frame({"u": ["a", "b"], "i": ["x", "x"], "t": [0, 1]}, user="u", item="i", event=None, time="t", value=None,
                              session=None, time_unit="s", on_error="raise")
    data = log.interactions(event_weights=None, half_life_days=None, now=None, duplicates="sum")
    assert data.user_items.dtype == np.float32 and sp.issparse(data.user_items) and data.user_items.format == "csr"
    assert list(data.user_ids) == ["a", "b"] and list(data.item_ids) == ["x"]
    index = data.user_index(["b", "nobody"])
    assert index.dtype == np.int32 and index.tolist() == [1, -1]
    assert data.item_index(np.array(["x"])).tolist() == [0]
    assert (log.report.rows_read, log.report.rows_kept, log.report.rows_refused) == (2, 2, 0)


@pytest.mark.parametrize("how,expected", [("sum", 6), ("max", 4), ("last", 2), ("binary", 1)])
def test_duplicates(how, expected):
    rows = [("u", "a", "view", 300, 2.0), ("u", "a", "view", 200, 4.0), ("u", "a", "view", 300, 0.0), ("u", "b", "view", 1, 1.0)]
    log = log_of(rows)
    # value 0 weighs nothing and is left out, so the newest of a is the row of weight 2
    assert dense(log.interactions(duplicates=how))[0, 0] == expected


def test_last_without_times_is_the_log_order():
    log = log_of([(1, 1, 5.0), (1, 1, 3.0)], ("user", "item", "value"))
    assert dense(log.interactions(duplicates="last")).tolist() == [[3.0]]


def test_event_weights():
    log = log_of([("u", "a", "view", 0, 1.0), ("u", "a", "buy", 0, 2.0), ("u", "b", "view", 0, 1.0)])
    assert dense(log.interactions(event_weights={"view": 0.5, "buy": 3, "unused": 9})).tolist() == [[6.5, 0.5]]
    assert log.interactions(event_weights={"view": 0, "buy": 1}).nnz == 1
    with pytest.raises(ValueError, match="event_weights has no weight for event type 'buy'"):
        log.interactions(event_weights={"view": 1})
    with pytest.raises(ValueError, match="no event column"):
        log_of([(1, 1)], ("user", "item")).interactions(event_weights={"view": 1})
    with pytest.raises(ValueError, match="event_weights is empty"):
        log.interactions(event_weights={})
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"event_weights\['view'\] is"):
            log.interactions(event_weights={"view": bad, "buy": 1})


def test_half_life_counts_from_the_newest_event_or_now():
    log = log_of([("u", "a", "view", 0, 1.0), ("u", "b", "view", 10 * DAY, 1.0)])
    assert dense(log.interactions(half_life_days=5)).tolist() == [[0.25, 1.0]]
    for now in (20 * DAY, "1970-01-21", "1970-01-21T01:00:00+01:00", datetime.datetime(1970, 1, 21), datetime.date(1970, 1, 21),
                np.datetime64("1970-01-21")):
        assert dense(log.interactions(half_life_days=10, now=now)).tolist() == [[0.25, 0.5]]
    with pytest.raises(ValueError, match="half_life_days is -1"):
        log.interactions(half_life_days=-1)
    with pytest.raises(ValueError, match="no time column"):
        log_of([(1, 1)], ("user", "item")).interactions(half_life_days=1)


def test_minimum_counts_hold_together():
    rows = [(u, i) for u in range(3) for i in range(3)] + [(3, 0), (3, 9), (4, 9)]
    data = log_of(rows, ("user", "item")).interactions(min_user_count=2, min_item_count=3)
    assert data.shape == (5, 4)  # emptied, not removed
    m = dense(data)
    assert m[:3, :3].sum() == 9 and m[3:].sum() == 0 and m[:, 3].sum() == 0


def test_negative_quantities_cancel_earlier_purchases():
    rows = [("u", "a", 1, 5.0), ("u", "a", 2, 3.0), ("u", "a", 3, -4.0),  # 3 of the second, 1 of the first
            ("u", "b", 1, 2.0), ("u", "b", 2, -2.0),                      # returned whole
            ("u", "c", 1, -1.0),                                          # bought before the log begins
            ("u", "d", 2, -1.0), ("u", "d", 1, 3.0)]                      # out of order in the log, in order by time
    log = log_of(rows, ("user", "item", "time", "value"))
    data = log.interactions(negative_values="cancel")
    assert dense(data).tolist() == [[4, 0, 0, 2]] and data.nnz == 2
    assert dense(log.interactions(negative_values="cancel", duplicates="binary")).tolist() == [[1, 0, 0, 1]]
    kept = log.interactions()
    assert dense(kept).tolist() == [[4, 0, -1, 2]] and kept.nnz == 3


def test_cancelled_purchases_keep_the_age_of_what_is_left():
    rows = [("u", "a", 0, 2.0), ("u", "a", 10 * DAY, 2.0), ("u", "a", 10 * DAY + 1, -2.0), ("u", "b", 10 * DAY + 1, 1.0)]
    m = dense(log_of(rows, ("user", "item", "time", "value")).interactions(negative_values="cancel", half_life_days=10, now=10 * DAY))
    assert m[0, 0] == 1.0  # what is left is the old one, at half weight


def test_return_events_cancel():
    rows = [("u", "a", "view", 0, 1.0), ("u", "a", "buy", 1, 2.0), ("u", "a", "return", 2, 1.0), ("u", "b", "buy", 1, 1.0),
            ("u", "b", "return", 2, 1.0), ("v", "b", "return", 1, 1.0), ("v", "b", "buy", 2, 1.0)]
    log = log_of(rows)
    weights = {"view": 1, "buy": 10}
    assert dense(log.interactions(weights, return_event="return")).tolist() == [[11, 0], [0, 10]]
    rows[1], rows[0] = ("u", "a", "buy", 0, 1.0), ("u", "a", "view", 1, 1.0)
    log = log_of(rows)
    assert dense(log.interactions(weights, return_event="return"))[0, 0] == 10  # the latest event goes first
    assert dense(log.interactions(weights, return_event="return", return_cancels="buy"))[0, 0] == 1
    assert dense(log.interactions(weights, return_event="return", return_cancels=["view"]))[0, 0] == 10
    with pytest.raises(ValueError, match="return_cancels"):
        log.interactions(return_cancels=["view"])


def test_interactions_equal_scipy_on_random_events():
    rng = np.random.default_rng(3)
    n = 200000
    users, items = rng.integers(0, 9000, n), rng.integers(0, 700, n)
    values = rng.integers(1, 9, n).astype(np.float32)
    log = EventLog.from_frame({"user": users, "item": items, "value": values}, value="value")
    data = log.interactions(num_threads=2)
    expected = sp.coo_matrix((values, (log.users, log.items)), shape=data.shape).tocsr()
    assert (data.user_items != expected).nnz == 0 and data.user_items.has_sorted_indices
    for threads in (1, 3):
        other = log.interactions(num_threads=threads).user_items
        assert (other.data == data.user_items.data).all() and (other.indices == data.user_items.indices).all()


def test_both_orders_of_merging_agree():
    rng = np.random.default_rng(4)
    n = 20000
    columns = {"user": rng.integers(0, 500, n), "item": rng.integers(0, 60, n), "time": rng.permutation(n), "value": rng.integers(1, 5, n)}
    log = EventLog.from_frame(columns, time="time", value="value", time_unit="s")
    by_time, by_log = log.interactions(negative_values="cancel").user_items, log.interactions().user_items
    assert (by_time != by_log).nnz == 0
    last = {}
    for j in np.argsort(columns["time"]):
        last[log.users[j], log.items[j]] = columns["value"][j]
    m = log.interactions(duplicates="last").user_items
    assert m.nnz == len(last) and all(m[u, i] == v for (u, i), v in list(last.items())[:500])


def test_from_frame_in_one_step():
    data = Interactions.from_frame({"user": ["a", "a"], "item": ["x", "x"], "event": ["buy", "view"]}, event="event",
                                   event_weights={"buy": 2, "view": 1})
    assert dense(data).tolist() == [[3.0]]


def test_a_sum_beyond_float32_is_an_error():
    with pytest.raises(ValueError, match="beyond float32"):
        log_of([(1, 1, 3e38), (1, 1, 3e38)], ("user", "item", "value")).interactions()


@pytest.mark.parametrize("how", ["sum", "max", "last", "binary"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_decay_removes_nothing(how, shuffled):
    rows = [("u", "old", 0, 2.0), ("u", "older", -3000 * DAY, 1.0), ("u", "bad", 0, -3.0), ("v", "old", 5 * DAY, 1e-30), ("u", "new", 4000 * DAY, 1.0),
            ("u", "both", 0, 5.0), ("u", "both", 0, -3.0), ("u", "gone", 0, 5.0), ("u", "gone", 0, -5.0)]
    rows = rows[::-1] if shuffled else rows
    log = log_of(rows, ("user", "item", "time", "value"))
    plain = log.interactions(duplicates=how)
    for half_life in (0.001, 1, 26, 27, 30, 1e9):
        data = log.interactions(duplicates=how, half_life_days=half_life)
        assert data.nnz == plain.nnz
        assert np.sign(dense(data)).tolist() == np.sign(dense(plain)).tolist()
        assert (np.abs(data.user_items.data) >= np.finfo(np.float32).tiny).all()
    if not shuffled:  # the log's order decides between events of one time
        assert log.interactions(duplicates=how, half_life_days=1, negative_values="cancel").nnz == 5


def test_weights_of_events_far_after_now_are_named():
    log = log_of([("u", "a", 0, 1.0), ("u", "b", 9000 * DAY, 1.0)], ("user", "item", "time", "value"))
    for how in ("sum", "max", "last", "binary"):
        with pytest.raises(ValueError, match="the weight of user index 0 and item index 1 is beyond float32"):
            log.interactions(duplicates=how, half_life_days=1, now=0)


def test_decay_of_old_weights_that_are_still_told_apart():
    log = log_of([("u", "a", 0, 1.0), ("u", "a", 0, 1.0), ("u", "b", 100 * DAY, 1.0)], ("user", "item", "time", "value"))
    assert dense(log.interactions(half_life_days=1))[0].tolist() == [2.0**-99, 1]


def test_binary_decays_with_its_newest_event():
    rows = [("u", "a", 0, 1.0), ("u", "a", 10 * DAY, 3.0), ("u", "b", 10 * DAY, -2.0), ("u", "c", 20 * DAY, 1.0), ("u", "d", 0, 2.0), ("u", "d", 10 * DAY, -2.0)]
    log = log_of(rows, ("user", "item", "time", "value"))
    assert dense(log.interactions(duplicates="binary")).tolist() == [[1, -1, 1, 0]]
    assert dense(log.interactions(duplicates="binary", half_life_days=10)).tolist() == [[0.5, -0.5, 1, -0.5]]
    # a return takes a purchase's age with it
    data = log.interactions(duplicates="binary", half_life_days=10, negative_values="cancel")
    assert dense(data).tolist() == [[0.5, 0, 1, 0]]


def test_popularity_and_neighbours_after_a_very_short_half_life():
    log = log_of([(u, i, "buy", u * DAY, 1.0) for u in range(400) for i in (u % 7, 7 + u % 3)])
    plain = etalage.models.Popularity().fit(log)
    assert plain.user_items.nnz == 800
    for data in (log, log.sequences()):
        for count in ("weights", "users"):
            model = etalage.models.Popularity(count, half_life_days=0.5).fit(data)
            assert model.user_items.nnz == 800
            items, _ = model.recommend(0, k=3)
            assert 0 not in items and 7 not in items  # what was seen long ago stays seen
    near = etalage.models.ItemKNN().fit(log.interactions(half_life_days=0.5))
    assert set(near.recommend(0, k=10)[0]) >= {8, 9}


@pytest.mark.parametrize("bought,returned", [([.3], [.1, .2]), ([.1, .2], [.3]), ([.1] * 10, [1.0]), ([1.0], [.1] * 10), ([.7, .1], [.8]), ([1e6 + .3], [1e6, .3])])
def test_fractions_returned_whole_leave_nothing(bought, returned):
    for sign, kw in ((-1, {"negative_values": "cancel"}), (1, {"return_event": "return"}), (-1, {})):
        what = "return" if sign == 1 else "buy"
        rows = [("u", "a", "buy", t, v) for t, v in enumerate(bought)] + [("u", "a", what, 100 + t, sign * v) for t, v in enumerate(returned)]
        log = log_of([*rows, ("u", "b", "buy", 1, .25)])
        for how in ("sum", "binary"):
            m = dense(log.interactions(duplicates=how, **kw))
            assert m[0].tolist() == [0, 1 if how == "binary" else .25], kw


def test_what_is_left_of_fractions_and_of_whole_numbers_stays():
    left = lambda *values, **kw: dense(log_of([("u", "a", v) for v in values], ("user", "item", "value")).interactions(negative_values="cancel", **kw))[0, 0]
    assert left(.3, -.1) == np.float32(.3) - np.float32(.1)
    assert left(2.0**24, -(2.0**24 - 1)) == 1 and left(*[3.0] * 1000, *[-1.0] * 2999, duplicates="binary") == 1
    assert left(1000.0, -999.99) == pytest.approx(.01, rel=.01)


@pytest.mark.parametrize("kw,text", [
    ({"return_event": "retrun"}, "return_event names 'retrun', which is no event type of the log, must be one of 'buy', 'return'"),
    ({"return_event": "return", "return_cancels": "bye"}, "return_cancels names 'bye', which is no event type of the log, must be one of 'buy', 'return'"),
    ({"return_event": "return", "return_cancels": ["buy", "view"]}, "return_cancels names 'view'"),
])
def test_mistyped_event_types(kw, text):
    log = log_of([("u", "a", "buy", 0, 1.0), ("u", "a", "return", 1, 1.0)])
    for call in (log.interactions, log.filtered(np.array([True, False])).interactions,
                 lambda **k: Interactions.from_frame({"user": [1, 1], "item": [1, 1], "e": ["buy", "return"]}, event="e", **k)):
        with pytest.raises(ValueError, match=text):
            call(**kw)


@pytest.mark.parametrize("given, said", [(3, "return_cancels is 3 (int)"), (b"buy", "return_cancels is b'buy' (bytes)"), ({"buy": 1}, "return_cancels is {'buy': 1} (dict)"),
                                         (["buy", 3], "return_cancels holds 3 (int)"), ([None], "return_cancels holds None")])
def test_what_is_no_event_type_to_cancel_is_refused_by_name(given, said):
    log = log_of([("u", "a", "buy", 0, 1.0), ("u", "a", "return", 1, 1.0)])
    for call in (log.interactions, lambda **k: Interactions.from_frame({"user": [1, 1], "item": [1, 1], "e": ["buy", "return"]}, event="e", **k)):
        with pytest.raises(TypeError, match=re.escape(said) + ", must be an event type, a list of event types or None"):
            call(return_event="return", return_cancels=given)
        assert call(return_event="return", return_cancels=("buy",)).nnz == 0


@pytest.mark.parametrize("transform,expected", [
    (None, [4, -9, 1, 1]), ("log1p", [np.log1p(4), -np.log1p(9), np.log1p(1), np.log1p(1)]), ("sqrt", [2, -3, 1, 1]),
    ("rank", [.75, -1, .375, .375]), (("cap", 2.5), [2.5, -2.5, 1, 1]), (("cap", 100), [4, -9, 1, 1])])
def test_value_transforms_come_after_duplicates_and_keep_signs(transform, expected):
    rows = [("u", "a", 1.0), ("u", "b", -9.0), ("u", "c", 1.0), ("u", "d", 1.0), ("u", "a", 3.0), ("v", "a", 7.0)]
    log = log_of(rows, ("user", "item", "value"))
    for data in (log.interactions(value_transform=transform, num_threads=2),
                 Interactions.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows], "value": [r[2] for r in rows]}, value="value",
                                         value_transform=transform)):
        np.testing.assert_allclose(dense(data)[0], np.array(expected, np.float32), rtol=1e-6)


@pytest.mark.parametrize("norm,divisor", [("l1", 7), ("l2", 5), ("max", 4), ("mean", 3.5)])
def test_users_may_be_normalised_after_the_transform(norm, divisor):
    log = log_of([("u", "a", 9.0), ("u", "b", -16.0), ("v", "a", 1e-20)], ("user", "item", "value"))
    m = dense(log.interactions(value_transform="sqrt", normalize_users=norm))
    np.testing.assert_allclose(m, np.array([[3 / divisor, -4 / divisor], [1, 0]], np.float32), rtol=1e-6)


def test_minimum_counts_come_before_the_transform():
    log = log_of([(1, 1, 1.0), (1, 2, 2.0), (2, 1, 5.0), (3, 1, 1.0)], ("user", "item", "value"))
    data = log.interactions(value_transform="rank", min_item_count=2)
    assert data.user_items.data.tolist() == [1, 1, 1]


@pytest.mark.parametrize("kw,text", [
    ({"value_transform": "log"}, r"value_transform is 'log', must be 'log1p', 'sqrt', 'rank', \('cap', x\) or None"),
    ({"value_transform": ("cap",)}, r"value_transform is \('cap',\)"), ({"value_transform": ("cap", "x")}, r"value_transform is \('cap', 'x'\)"),
    ({"value_transform": ("cap", 0)}, "value_cap is 0"), ({"value_transform": ("cap", float("nan"))}, "value_cap is nan"),
    ({"value_transform": 3}, "value_transform is 3"), ({"normalize_users": "sum"}, "normalize_users is 'sum', must be 'l1', 'l2', 'max', 'mean' or None"),
])
def test_transforms_that_are_none(kw, text):
    with pytest.raises(ValueError, match=text):
        log_of([(1, 1)], ("user", "item")).interactions(**kw)
