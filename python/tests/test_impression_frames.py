# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.evaluation import impressions, off_policy
from etalage.evaluation.impressions import attribute, counters, estimate, from_frame, from_ubi, wilson_interval
from real_data import frames_of

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ETALAGE_DATA", ROOT / "../shared/data"))
HOUR, DAY = 3_600_000, 86_400_000


def at(ms):
    return np.array(ms, dtype="int64").view("datetime64[ms]")


def shown(**more):
    """Two answers to "ann" an hour apart that share product "b", and one to "bob"."""
    return {"request": ["r1", "r1", "r1", "r2", "r2", "r3"], "user": ["ann"] * 5 + ["bob"], "item": ["a", "b", "c", "b", "d", "a"],
            "time": at([0, 0, 0, HOUR, HOUR, 0]), "position": [0, 1, 2, 0, 1, 0], "placement": ["home"] * 5 + ["cart"], **more}


def happened(*rows):
    """Rows of (user, item, event, time, value, request)."""
    user, item, event, time, value, request = zip(*rows)
    return {"user": list(user), "item": list(item), "event": list(event), "time": at(list(time)), "value": np.array(value, dtype=float),
            "request": np.array(request, dtype=object)}


# -- frames ------------------------------------------------------------------------------------------------------------------

def test_columns_are_named_and_what_is_missing_is_unknown():
    frame = {"q": ["x", "x", None], "sku": [1, 2, 3], "rank": [0, np.nan, 2], "p": [0.5, np.nan, 1.0], "who": [7, None, 9], "at": [0, 1, 2]}
    f = from_frame(frame, request="q", item="sku", position="rank", propensity="p", user="who", time="at", time_unit="s")
    assert len(f) == 3 and f.request.tolist() == ["x", "x", None] and f.item.tolist() == [1, 2, 3] and f.position.tolist() == [0, -1, 2]
    assert f.user.tolist() == [7, None, 9] and np.isnan(f.propensity[1]) and f.time.tolist() == at([0, 1000, 2000]).tolist()
    assert f.source is f.policy is f.score is f.reward is f.placement is None
    half = f[np.array([True, False, True])]
    assert half.item.tolist() == [1, 3] and half.request.tolist() == ["x", None]
    assert f.without_users([7, 12]).item.tolist() == [2, 3] and f.without_users(9).item.tolist() == [1, 2]


def test_columns_of_the_usual_names_need_not_be_named():
    f = from_frame(shown(score=np.arange(6), clicks=[0, 1, 0, 2, 0, 0]), outcomes="clicks")
    assert list(f.to_dict()) == ["request", "user", "time", "placement", "position", "item", "score", "clicks"]
    assert f.outcomes["clicks"].tolist() == [0, 1, 0, 2, 0, 0]


def test_counts_in_the_frame_become_rates_and_rewards():
    frame = shown(view=[1, 0, 0, 2, 0, 0], purchase=[0, 0, 0, 1, 0, 0], snapshot=[1] * 6)  # as an engine's frame has them
    assert counters(frame, "position", ("view", "purchase")).find("view", position=0).reacted == 2
    f = from_frame(frame, outcomes=("view", "purchase")).rewarded({"view": 1, "purchase": 10})
    assert f.reward.tolist() == [1, 0, 0, 11, 0, 0]
    for rewards in ({}, {"click": 1}, {"view": "value"}, {"view": np.inf}):
        with pytest.raises(ValueError, match="reward"):
            f.rewarded(rewards)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_any_frame_comes_in_and_goes_out_as_it_was(library):
    made_by = pytest.importorskip(library)
    pytest.importorskip("pyarrow")
    columns = shown(propensity=[0.5, 0.1, 1, 0.3, 0.2, 0.7], user=["ann", None, "ann", "ann", "ann", "bob"], policy=[1, 2, 3, 4, 5, 6])
    frame = made_by.table(columns) if library == "pyarrow" else made_by.DataFrame(columns)
    plain, read = from_frame(columns), from_frame(frame)
    for name, values in plain.to_dict().items():
        np.testing.assert_array_equal(read.to_dict()[name], values)
    again = from_frame(made_by.table(read) if library == "pyarrow" else made_by.DataFrame(read) if library == "polars" else read.to_pandas())
    for name, values in plain.to_dict().items():
        np.testing.assert_array_equal(again.to_dict()[name], values)


def test_gaps_survive_arrow():
    pyarrow = pytest.importorskip("pyarrow")
    f = from_frame({"item": [1, 2], "user": [5, None], "position": [np.nan, 3], "time": np.array(["NaT", "2026-01-01"], dtype="datetime64[ms]"),
                    "propensity": [np.nan, 0.5]})
    table = pyarrow.table(f)
    assert table["user"].to_pylist() == [5, None] and table["position"].to_pylist() == [None, 3] and table["time"].to_pylist()[0] is None
    again = from_frame(table)
    assert again.user.tolist() == [5, None] and again.position.tolist() == [-1, 3] and np.isnat(again.time[0]) and np.isnan(again.propensity[0])


@pytest.mark.parametrize("columns, says", [
    ({"propensity": [0.5, 0.0]}, "row 1: column propensity is 0.0, must be in .0, 1."),
    ({"propensity": [1.5, 0.5]}, "row 0: column propensity is 1.5"),
    ({"propensity": [-0.5, 0.5]}, "row 0: column propensity is -0.5"),
    ({"propensity": [np.inf, 0.5]}, "row 0: column propensity is inf"),
    ({"propensity": ["a", "b"]}, "row 0: column propensity is 'a', must be a finite number"),
    ({"position": [0.5, 1]}, "row 0: column position is 0.5, must be a whole number"),
    ({"position": [-1, 1]}, "row 0: column position is -1, must be a whole number"),
    ({"time": ["2026-01-01", "soon"]}, "row 1: column time is 'soon'"),
    ({"time": [1, 2]}, "time_unit"),
    ({"item": [1.5, 2]}, "row 0: column item is 1.5"),
])
def test_cells_that_cannot_be_read_are_named(columns, says):
    with pytest.raises(ValueError, match=says):
        from_frame({"item": ["a", "b"], **columns})


def test_what_is_no_frame_of_impressions_is_said():
    with pytest.raises(ValueError, match="item=..."):
        from_frame({"product": [1]})
    with pytest.raises(ValueError, match="'sku' is not in the frame"):
        from_frame({"product": [1]}, item="sku")
    with pytest.raises(TypeError, match="frame is"):
        from_frame(3, item="sku")
    with pytest.raises(ValueError, match="outcomes names 'score'"):
        from_frame({"item": [1], "score": [1]}, outcomes=["score"])
    with pytest.raises(TypeError, match="rows is 3"):
        from_frame(shown())[3]
    assert len(from_frame({"item": np.array([], dtype=object), "user": np.array([], dtype=object)})) == 0


# -- credit ------------------------------------------------------------------------------------------------------------------

def test_a_request_that_is_named_decides_and_nothing_is_guessed():
    events = happened(("ann", "b", "click", 2 * HOUR, np.nan, "r1"),          # the older answer, since it is the one named
                      ("ann", "a", "click", 2 * HOUR, np.nan, "r9"),          # never shown, though "a" was
                      ("ann", "d", "click", 2 * HOUR, np.nan, "r1"),          # shown by r2 only
                      ("ann", "d", "click", HOUR - 1, np.nan, "r2"),          # a click before its impression
                      ("eve", "a", "click", 400 * DAY, np.nan, "r3"),         # whoever says it, however late
                      ("ann", "b", "hover", 2 * HOUR, np.nan, "r1"))          # not asked for
    found = attribute(shown(), events, {"click": 1})
    assert found.outcome.tolist() == ["request", "unknown_request", "not_in_request", "before_impression", "request", ""]
    assert found.row.tolist() == [1, -1, -1, -1, 5, -1]
    assert found.impressions.reward.tolist() == [0, 1, 0, 0, 0, 1]
    assert found.counts == {"click": {"request": 2, "unknown_request": 1, "not_in_request": 1, "before_impression": 1}}
    assert "not_in_request" in str(found)


def test_without_one_the_last_touch_within_the_window():
    events = happened(("ann", "b", "click", HOUR - 1, np.nan, None), ("ann", "b", "click", HOUR, np.nan, None), ("ann", "b", "click", -1, np.nan, None),
                      ("ann", "c", "click", 3 * HOUR, np.nan, None), ("ann", "c", "click", 3 * HOUR + 1, np.nan, None),
                      ("eve", "c", "click", 0, np.nan, None), (None, "c", "click", 0, np.nan, None), ("ann", None, "click", 0, np.nan, None))
    found = attribute(shown(), events, {"click": 1}, window_days=3 / 24)
    assert found.row.tolist() == [1, 3, -1, 2, -1, -1, -1, -1]
    assert found.counts == {"click": {"last_touch": 3, "no_impression": 5}}
    assert attribute(shown(), events, {"click": 1}, window_days=None).impressions.reward.sum() == 0
    windows = attribute(shown(), events, {"click": 1}, window_days={"click": 1})
    assert windows.row.tolist() == [1, 3, -1, 2, 2, -1, -1, -1]


def test_the_same_click_twice_is_one_and_two_clicks_are_one_reward():
    click = ("ann", "b", "click", HOUR, np.nan, None)
    found = attribute(shown(), happened(click, click, ("ann", "b", "click", 2 * HOUR, np.nan, None)), {"click": 0.5})
    assert found.outcome.tolist() == ["last_touch", "repeated", "last_touch"]
    assert found.impressions.outcomes["click"].tolist() == [0, 0, 0, 2, 0, 0] and found.impressions.reward.tolist() == [0, 0, 0, 0.5, 0, 0]


def test_returns_take_credit_back_newest_purchase_first():
    bought = [("ann", "b", "buy", 10, 3.0, None), ("ann", "b", "buy", 2 * HOUR, 2.0, None)]
    for value, rewards, count in ((1.0, (3, 1), (1, 1)), (2.0, (3, 0), (1, 0)), (2.5, (2.5, 0), (1, 0)), (9.0, (0, 0), (0, 0)), (np.nan, (3, 0), (1, 0)),
                                  (-2.0, (3, 0), (1, 0))):
        found = attribute(shown(), happened(*bought, ("ann", "b", "return", 3 * HOUR, value, None)), {"buy": "value"}, returns={"return": "buy"})
        assert tuple(found.impressions.reward[[1, 3]]) == rewards and tuple(found.impressions.outcomes["buy"][[1, 3]]) == count
        assert found.outcome[2] == "took_back" and found.row[2] == 3
    thirds = [("ann", "b", "return", 3 * HOUR + i, v, None) for i, v in enumerate((0.1, 0.2))]
    left = attribute(shown(), happened(("ann", "b", "buy", 10, 0.3, None), *thirds), {"buy": "value"}, returns={"return": "buy"})
    assert left.impressions.reward.sum() == 0 and left.impressions.outcomes["buy"].sum() == 0


def test_a_return_before_its_purchase_or_of_a_purchase_without_credit():
    early = happened(("ann", "b", "return", 5, 1.0, None), ("ann", "b", "buy", 10, 1.0, None))
    found = attribute(shown(), early, {"buy": 1}, returns={"return": "buy"})
    assert found.outcome.tolist() == ["nothing_to_take_back", "last_touch"] and found.impressions.reward.sum() == 1
    # The newest purchase has no credit; it is that one that came back.
    later = happened(("ann", "b", "buy", 2 * HOUR, 1.0, None), ("ann", "b", "buy", 90 * DAY, 1.0, None), ("ann", "b", "return", 91 * DAY, 1.0, None))
    found = attribute(shown(), later, {"buy": 1}, returns={"return": "buy"})
    assert found.outcome.tolist() == ["last_touch", "no_impression", "took_back"] and found.row.tolist() == [3, -1, -1]
    assert found.impressions.reward.sum() == 1
    named = happened(("ann", "b", "buy", 10, 1.0, "r1"), ("ann", "b", "buy", 2 * HOUR, 1.0, "r2"), ("ann", "b", "return", 3 * HOUR, 1.0, "r1"))
    assert attribute(shown(), named, {"buy": 1}, returns={"return": "buy"}).row.tolist() == [1, 3, 1]


def test_a_shopper_whom_nothing_was_shown_by_name_returns_what_a_request_sold():
    events = happened(("eve", "a", "buy", HOUR, 2.0, "r3"), ("eve", "a", "return", 2 * HOUR, 2.0, None), ("zoe", "b", "buy", HOUR, 1.0, "r7"),
                      ("zoe", "b", "buy", HOUR, 1.0, "r8"))
    found = attribute(shown(), events, {"buy": "value"}, returns={"return": "buy"})
    assert found.outcome.tolist() == ["request", "took_back", "unknown_request", "unknown_request"] and found.row[1] == 5
    assert found.impressions.reward.sum() == 0


def test_impressions_of_forgotten_shoppers_get_nothing():
    kept = from_frame(shown()).without_users(["ann"])
    events = happened(("ann", "b", "click", HOUR, np.nan, None), ("ann", "b", "click", HOUR, np.nan, "r1"), ("bob", "a", "click", HOUR, np.nan, None))
    assert attribute(kept, events, {"click": 1}).outcome.tolist() == ["no_impression", "unknown_request", "last_touch"]


def test_an_event_log_is_a_frame_of_events():
    events = etalage.EventLog.from_frame({"user": ["ann", "bob"], "item": ["b", "a"], "event": ["click", "buy"], "time": at([HOUR, DAY]), "value": [1, 20]},
                                         event="event", time="time", value="value")
    found = attribute(shown(), events, {"click": 1, "buy": "value"})
    assert found.impressions.reward.tolist() == [0, 0, 0, 1, 0, 20]
    assert found.mature.all() == False and attribute(shown(), events, {"click": 1}, window_days=0.5).mature.tolist() == [True] * 6  # noqa: E712


def by_hand(frame, events, window, returns):
    """The same rules, event by event over every row."""
    n, m = len(frame["item"]), len(events["item"])
    rows, counts, left = np.full(m, -1), np.zeros(m, bool), events["value"].copy()
    open_, seen = np.zeros(m, bool), set()
    for i in sorted(range(m), key=lambda i: (events["time"][i], events["event"][i] == "return", i)):
        user, item, event, time, value, request = (events[c][i] for c in ("user", "item", "event", "time", "value", "request"))
        key = (user, item, event, time, value, request)
        if key in seen:
            continue
        seen.add(key)
        if event == "return":
            amount = value
            mine = [j for j in range(m) if open_[j] and events["item"][j] == item and request is not None and events["request"][j] == request]
            mine = mine or [j for j in range(m) if open_[j] and events["item"][j] == item and events["user"][j] == user]
            for j in sorted(mine, key=lambda j: (events["time"][j], j), reverse=True):
                taken = min(amount, left[j])
                left[j] -= taken
                amount -= taken
                if left[j] == 0:
                    open_[j] = counts[j] = False
                if amount == 0:
                    break
            continue
        if event == "buy":
            open_[i] = True
        fits = [k for k in range(n) if frame["item"][k] == item and frame["time"][k] <= time
                and (frame["request"][k] == request if request is not None else frame["user"][k] == user and time - frame["time"][k] <= window)]
        if fits:
            rows[i] = max(fits, key=lambda k: (frame["time"][k], k))
            counts[i] = True
    return rows, counts, left


@pytest.mark.parametrize("seed", range(20))
def test_credit_is_what_a_search_over_every_row_finds(seed):
    rng = np.random.default_rng(seed)
    n, m = 120, 200
    request = rng.integers(0, 40, n)
    frame = {"request": request, "user": (request % 5).astype(str).astype(object), "item": rng.integers(0, 6, n), "time": at(rng.integers(0, 100, n))}
    kinds = np.array(["click", "buy", "return"], dtype=object)[rng.integers(0, 3, m)]
    events = {"user": rng.integers(0, 6, m).astype(str).astype(object), "item": rng.integers(0, 7, m), "event": kinds, "time": at(rng.integers(0, 120, m)),
              "value": rng.integers(1, 4, m).astype(float), "request": np.where(rng.random(m) < 0.4, rng.integers(0, 45, m).astype(object), None)}
    found = attribute(frame, events, {"click": 0, "buy": "value"}, window_days=20 / DAY, returns={"return": "buy"})
    rows, counts, left = by_hand(frame, events, np.timedelta64(20, "ms"), "return")
    sold = kinds != "return"
    np.testing.assert_array_equal(found.row[sold], rows[sold])
    want = np.zeros(n)
    np.add.at(want, rows[counts & (kinds == "buy")], left[counts & (kinds == "buy")])
    np.testing.assert_allclose(found.impressions.reward, want)
    np.testing.assert_array_equal(found.impressions.outcomes["click"], np.bincount(rows[counts & (kinds == "click")], minlength=n))
    assert sum(sum(c.values()) for c in found.counts.values()) == m and want.sum() > 0


@pytest.mark.parametrize("change, options, says", [
    ({}, {"rewards": {}}, "rewards is"),
    ({}, {"rewards": {"click": "price"}}, "must be a number or 'value'"),
    ({}, {"rewards": {"click": np.nan}}, "must be a finite number"),
    ({}, {"rewards": {"score": 1}}, "is a column of impressions"),
    ({}, {"returns": {"return": "buy"}}, "returns has 'return': 'buy'"),
    ({}, {"window_days": 0}, "window_days is 0"),
    ({}, {"window_days": {"buy": 1}}, "window_days has no 'click'"),
    ({"event": None}, {}, "no column 'event'"),
    ({"time": None}, {}, "must both or neither"),
    ({"value": [-1.0]}, {}, "row 0: value is -1, must be at least 0"),
    ({"event": ["tap"]}, {}, "none of .'click'.*they have .'tap'"),
    ({"value": [np.nan]}, {"rewards": {"click": "value"}}, "row 0: value is missing"),
    ({"value": None}, {"rewards": {"click": "value"}}, "no column 'value'"),
    ({"item": [4]}, {}, "'item' is not of the kind"),
])
def test_credit_refuses(change, options, says):
    events = {**happened(("ann", "b", "click", HOUR, 1.0, None)), **change}
    with pytest.raises(ValueError, match=says):
        attribute(shown(), {k: v for k, v in events.items() if v is not None}, **{"rewards": {"click": 1}, **options})


def test_nothing_that_happened_is_a_reward_of_nothing():
    events = {"user": np.array([], dtype=object), "item": np.array([], dtype=object), "event": np.array([], dtype=object), "time": at([])}
    found = attribute(shown(), events, {"click": 1})
    assert found.impressions.reward.tolist() == [0] * 6 and found.counts == {"click": {}} and found.mature.all()
    assert all(r.rate == 0 and r.interval[1] > 0 for r in counters(found.impressions))


def test_no_times_need_no_window():
    frame, events = shown(), happened(("ann", "b", "click", 0, 1.0, "r2"), ("ann", "b", "click", 0, 1.0, None))
    del events["time"]
    assert attribute(frame, events, {"click": 1}, window_days=None).outcome.tolist() == ["request", "no_impression"]


# -- counters ----------------------------------------------------------------------------------------------------------------

def test_wilson_is_the_published_interval():
    # Newcombe (Statistics in Medicine, 1998), table I, method 3.
    for k, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        assert wilson_interval(k / n, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson_interval(1, 20)[1] == 1 and wilson_interval(0.5, 0) == (0, 1)
    for share, n, confidence in ((1.1, 3, 0.95), (np.nan, 3, 0.95), (0.5, -1, 0.95), (0.5, 3, 1.0)):
        with pytest.raises(ValueError, match="must be"):
            wilson_interval(share, n, confidence)


def test_counters_count_and_group():
    f = from_frame(shown(source=["knn", "als", None, "als", "als", "knn"], click=[1, 0, 0, 3, 0, 0], buy=[0, 0, 0, 1, 0, 0]), outcomes=("click", "buy"))
    c = counters(f, by_shopper=False)
    assert {r.by for r in c} == {("position",), ("source",), ("placement",)}
    row = c.find("click", position=0)
    assert (row.shown, row.reacted, row.rate, row.shoppers, row.effective) == (3, 2, 2 / 3, 0, 3) and row.interval == wilson_interval(2 / 3, 3)
    assert c.find("buy", source="als").reacted == 1 and c.find("click", source=None).shown == 1
    crossed = counters(f, ("placement", "position"), "click")
    assert [(r.key, r.shown, r.reacted) for r in crossed] == [(("home", 0), 2, 2), (("home", 1), 2, 0), (("home", 2), 1, 0), (("cart", 0), 1, 0)]
    assert counters(f, (), "buy")[0].shown == 6
    assert "0.66667" in str(c) and set(c.to_dict()) >= {"by", "key", "outcome", "rate", "low", "high"}
    with pytest.raises(KeyError):
        c.find("click", position=9)
    with pytest.raises(ValueError, match="by has 'policy'"):
        counters(f, "policy")
    with pytest.raises(ValueError, match="outcomes has 'view'"):
        counters(f, outcomes="view")
    with pytest.raises(ValueError, match="none of position"):
        counters({"item": [1], "reward": [1.0]})
    with pytest.raises(ValueError, match="confidence"):
        counters(f, confidence=1.0)


def test_intervals_count_shoppers_where_they_differ():
    """Shoppers with rates of their own: plain intervals hold the truth too seldom, those by shopper as often as they say."""
    rng = np.random.default_rng(0)
    held = {True: 0, False: 0}
    runs = 1000
    for _ in range(runs):
        users = np.repeat(np.arange(100), rng.integers(1, 60, 100))
        rates = rng.beta(0.5, 4.5, 100)  # mean .1
        f = from_frame({"item": users, "user": users, "reward": (rng.random(len(users)) < rates[users]).astype(float)})
        for by_shopper in held:
            low, high = counters(f, (), by_shopper=by_shopper)[0].interval
            held[by_shopper] += low <= 0.1 <= high
    assert held[True] / runs > 0.925 and held[False] / runs < 0.65


def test_shoppers_alike_or_alone():
    n = 1000
    independent = from_frame({"item": np.arange(n), "user": np.arange(n), "reward": (np.arange(n) % 7 == 0).astype(float)})
    one = counters(independent, ())[0]
    assert one.effective == pytest.approx(n, rel=0.01) and one.shoppers == n
    assert counters({"item": np.arange(n), "user": np.zeros(n, int), "reward": np.arange(n) % 2}, ())[0].effective == 1  # one shopper is no evidence
    none = counters({"item": np.arange(n), "user": np.arange(n) % 10, "reward": np.zeros(n)}, ())[0]
    assert none.effective == 10 and none.rate == 0 and none.interval == wilson_interval(0, 10)
    unknown = counters({"item": np.arange(4), "user": ["a", "a", None, None], "reward": [1, 0, 1, 0]}, ())[0]
    assert unknown.shoppers == 3


# -- other policies ----------------------------------------------------------------------------------------------------------

def lists(n=3000, places=3, seed=0):
    """Lists of three of five products drawn in proportion to weights; the target draws the other way round."""
    rng = np.random.default_rng(seed)
    weights, other = np.arange(1.0, 6), np.arange(5.0, 0, -1)
    rows = []
    for request in range(n):
        left = np.ones(5, bool)
        for place in range(places if request % 10 else 2):
            p, t = (np.where(left, w, 0) / w[left].sum() for w in (weights, other))
            item = rng.choice(5, p=p)
            rows.append((request, f"u{request % 300}", place, item, p[item], t[item], float(rng.random() < 0.02 + 0.05 * item)))
            left[item] = False
    request, user, position, item, p, t, r = map(np.array, zip(*rows))
    return {"request": request, "user": user, "position": position, "item": item, "propensity": p, "reward": r}, t


def test_estimates_are_those_of_the_arrays_in_any_order_of_rows():
    frame, target = lists()
    requests = frame["request"]
    padded = [np.full((3000, 3), filler) for filler in (0.0, 1.0, 1.0)]
    for to, values in zip(padded, (frame["reward"], frame["propensity"], target)):
        to[requests, frame["position"]] = values
    users = np.array([f"u{i % 300}" for i in range(3000)])
    want = off_policy.estimate(*padded, ("ips", "snips"), form="reward_interaction", groups=users, samples=100)
    mixed = np.random.default_rng(1).permutation(len(target))
    found = estimate(from_frame(frame)[mixed], target[mixed], ("ips", "snips"), samples=100)
    for name in want:
        assert found[name].value == pytest.approx(want[name].value, rel=1e-12) and found[name].ess == pytest.approx(want[name].ess)
        assert found[name].groups == 300
    first = estimate(frame, lambda where: target, ("ips",), places=1, samples=100)
    top = frame["position"] == 0
    assert first["ips"].value == pytest.approx((frame["reward"] * target / frame["propensity"])[top].mean())
    alone = {k: v[top] for k, v in frame.items() if k != "request"}  # rows without a request are answers of one product
    assert estimate(alone, target[top], ("ips",), samples=100)["ips"].value == pytest.approx(first["ips"].value)
    q = np.full(len(target), 0.1)
    assert estimate(frame, target, ("dr",), reward_model=(q, q), samples=100)["dr"].value > 0


def test_what_the_log_cannot_say_is_refused():
    frame, target = lists(200)
    shown_ = from_frame(frame)
    with pytest.raises(ValueError, match="no column 'reward'"):
        estimate({k: v for k, v in frame.items() if k != "reward"}, target)
    with pytest.raises(ValueError, match="no column 'propensity': a log without"):
        estimate({k: v for k, v in frame.items() if k != "propensity"}, target)
    with pytest.raises(ValueError, match="row 3: propensity is missing .1 rows."):
        estimate({**frame, "propensity": np.where(np.arange(len(target)) == 3, np.nan, frame["propensity"])}, target)
    with pytest.raises(ValueError, match="two products at position 0"):
        estimate({**frame, "position": np.zeros(len(target))}, target)
    with pytest.raises(ValueError, match="position is missing"):
        estimate({**frame, "position": np.where(np.arange(len(target)) == 5, np.nan, frame["position"])}, target)
    with pytest.raises(ValueError, match=r"target_probabilities has shape \(2,\)"):
        estimate(shown_, target[:2])
    with pytest.raises(ValueError, match="places is 0"):
        estimate(shown_, target, places=0)
    with pytest.raises(ValueError, match="reward_model is not a pair"):
        estimate(shown_, target, reward_model=target)
    with pytest.raises(TypeError, match="groups"):
        estimate(shown_, target, groups=target)
    with pytest.raises(ValueError, match="no impressions"):
        estimate(shown_[:0], target[:0])
    with pytest.raises(off_policy.TooFewError):
        estimate(shown_[:90], target[:90])  # of 30 lists
    with pytest.raises(ValueError, match="propensities"):  # one policy, which never varied
        estimate({**frame, "propensity": np.ones(len(target))}, target)
    nothing = estimate({**frame, "reward": np.zeros(len(target))}, frame["propensity"], ("snips",), samples=100)["snips"]
    assert nothing.value == 0 and not nothing.varied and nothing.interval[1] > 0


@pytest.mark.data
def test_the_open_bandit_data_through_frames():
    pandas, folder = frames_of("obd-small")
    chances = pandas.read_csv(folder / "bts_probabilities.csv")
    log = pandas.read_csv(folder / "random" / "men" / "men.csv.xz")
    target = log.merge(chances[chances.campaign == "men"], on=["item_id", "position"], how="left").probability.fillna(0)
    shown_ = from_frame(log, item="item_id", propensity="propensity_score", reward="click", position="position", time="timestamp")
    found = estimate(shown_, target.to_numpy(), ("ips", "snips"), samples=100)
    assert found["ips"].value == pytest.approx(0.004534, abs=5e-7) and found["snips"].value == pytest.approx(0.004604, abs=5e-7)
    assert sum(r.shown for r in counters(shown_, "position")) == 10_000


# -- logs in the UBI form -----------------------------------------------------------------------------------------------------

def document(action="impression", item="p1", ordinal=0, request="q1", **more):
    return {"application": "shop", "action_name": action, "query_id": request, "client_id": "c1", "timestamp": "2026-01-01T00:00:00.5Z",
            "event_attributes": {"object": {"object_id": item}, "position": {"ordinal": ordinal}}, **more}


def test_ubi_documents(tmp_path):
    import gzip
    import json

    documents = [{"query_id": "q1", "user_query": "shoes"}, document(), document(item="p2", ordinal=1), document("click", "p2"), document("brand_filter", "x"),
                 document("click", None), document("purchase", "p2", request="", timestamp=1767225660000)]
    path = tmp_path / "log.ndjson.gz"
    with gzip.open(path, "wt") as out:
        for d in documents:
            out.write(json.dumps({"index": {"_index": "ubi"}}) + "\n" + json.dumps(d) + "\n\n")
    for source in (documents, path):
        shown_, events, left_out = from_ubi(source)
        assert shown_.to_dict()["request"].tolist() == ["q1", "q1"] and shown_.position.tolist() == [0, 1] and shown_.placement.tolist() == ["shop"] * 2
        assert left_out == {"no action_name (a query)": 1, "action brand_filter": 1, "click without object_id": 1}
        assert shown_.time[0] == np.datetime64("2026-01-01T00:00:00.500") and events["request"].tolist() == ["q1", None]
        assert attribute(shown_, events, {"click": 1, "purchase": 10}).impressions.reward.tolist() == [0, 11]
    for wrong, says in ((document(timestamp="noon"), "document 0: timestamp is 'noon'"), (document(ordinal=1.5), "document 0: position.ordinal is 1.5"),
                        (document(event_attributes=3), "document 0: event_attributes is a int")):
        with pytest.raises(ValueError, match=says):
            from_ubi([wrong])
    with pytest.raises(TypeError, match="document 0 is a str"):
        from_ubi(["x"])
    (tmp_path / "bad.json").write_text("{}\n{")
    with pytest.raises(ValueError, match="line 2: is no JSON"):
        from_ubi(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="actions has 'impression'"):
        from_ubi([], actions=["impression"])


@pytest.mark.data
def test_ubi_events_of_open_search():
    path = DATA / "esci-us-judgments" / "ubi_queries_events.ndjson.xz"
    if not path.exists():
        pytest.skip(f"{path} is not there (set ETALAGE_DATA)")
    shown_, events, left_out = from_ubi(path)
    assert len(shown_) == 1999 and len(events["item"]) == 287 + 234 + 6 and left_out["no action_name (a query)"] == 473
    found = attribute(shown_, events, {"click": 1, "add_to_cart": 1})
    assert found.counts["click"] == {"request": 246, "unknown_request": 12, "not_in_request": 29}
    assert found.counts["add_to_cart"]["request"] == 186
    row = counters(found.impressions, "placement").find("click", placement="esci_ubi_sample")
    assert row.shown == 1000 and 0 < row.rate < 0.1 and row.interval[0] < row.rate < row.interval[1]
