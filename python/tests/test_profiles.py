# SPDX-License-Identifier: Apache-2.0
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.profile import Profiles


@pytest.fixture(scope="module")
def store():
    return etalage.datasets.synthetic_store(users=150, items=120, seed=3)


@pytest.fixture(scope="module")
def profiles(store, catalog):
    return Profiles(catalog).add(store.log)


def test_counts_are_those_of_the_frame(store, profiles):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(store.to_dict())
    table = profiles.to_dict()
    assert list(table["user"]) == list(store.log.user_ids)
    bought = frame[frame.event == "purchase"]
    expected = bought.groupby("user").size().reindex(table["user"]).fillna(0).to_numpy()
    np.testing.assert_array_equal(table["purchases"], expected)
    prices = dict(zip(store.catalog.item_ids, store.catalog.prices.astype(float)))
    sign = frame.event.map({"purchase": 1.0, "return": -1.0}).fillna(0.0)
    money = (sign * frame.value.astype(float) * frame["item"].map(prices)).groupby(frame.user).sum().reindex(table["user"]).to_numpy()
    np.testing.assert_allclose(table["money"], money, rtol=1e-6, atol=1e-3)
    np.testing.assert_array_equal(table["last"], frame.groupby("user").time.max().reindex(table["user"]).to_numpy().astype("datetime64[ms]"))
    assert profiles.to_pandas().shape == (150, len(table))


def test_a_shopper_is_readable(store, profiles):
    key = store.log.user_ids[0]
    one = profiles.by_id(key)
    text = str(one)
    assert key in text and one.segment in text and "o'clock" in text
    assert one.to_dict()["orders"] == one.orders
    assert abs(sum(one.hours) - 1) < 1e-9 and abs(sum(one.weekdays) - 1) < 1e-9
    top = next(iter(one.categories))
    assert one.categories[top] == max(one.categories.values())
    assert profiles.user(10**6).segment == "unknown" and "unknown" in str(profiles.user(10**6))
    with pytest.raises(KeyError):
        profiles.by_id("nobody")


def test_too_few_keys_are_refused_and_change_nothing(store, profiles):
    kept = pickle.loads(pickle.dumps(profiles))
    users, items = list(store.log.user_ids), list(store.log.item_ids)
    for given, words in (((users[:-1], items), "user_ids has 149 keys, must have one for each of the 150 shoppers"),
                         ((users, items[:3]), "item_ids has 3 keys, must have one for each of the [0-9]+ products up to the last that a shopper remembers")):
        with pytest.raises(ValueError, match=words):
            kept._core.set_ids(*(etalage._core.IdMap(keys) for keys in given))
        assert kept.by_id(users[0]).to_dict() == profiles.by_id(users[0]).to_dict()
    kept._core.set_ids(etalage._core.IdMap([f"new {key}" for key in users]), etalage._core.IdMap(items))
    assert kept.by_id(f"new {users[0]}").to_dict()["orders"] == profiles.by_id(users[0]).to_dict()["orders"]


def test_live_events_are_the_batch(store, catalog, profiles):
    log = store.log
    live = Profiles(catalog)
    live._core.set_catalog(catalog, log)
    for u, i, e, t, v in zip(log.users, log.items, log.events, log.times, log.values):
        live.observe(u, i, log.event_names[e], int(t), float(v))
    a, b = live.to_dict(), profiles.to_dict()
    for name in a:
        if name != "user":
            np.testing.assert_array_equal(a[name], b[name])


def test_segments_count_everybody(profiles):
    segments = profiles.segments()
    assert sum(segments.values()) == 150
    names, counts = np.unique(profiles.to_dict()["segment"].astype(str), return_counts=True)
    assert dict(zip(names, counts)) == {k: v for k, v in segments.items() if v}
    later = profiles.segments("2034-01-01")
    assert later["lapsed"] == sum(v for k, v in segments.items() if k not in ("unknown", "prospect"))


def test_buy_again(store, profiles):
    bought = set(store.log.items[(store.log.users == 0) & (np.array(store.log.event_names)[store.log.events] == "purchase")])
    again = profiles.buy_again(0, k=5)
    assert 0 < len(again["item"]) <= 5
    assert set(again["item_index"]) <= bought
    assert (np.diff(again["probability"]) <= 0).all() and (again["probability"] >= 0).all()
    assert (again["due"] > again["last"]).all() and again["due"].dtype == "datetime64[ms]"


def test_files_and_pickles(tmp_path, profiles):
    profiles.save(tmp_path / "p.etalage")
    for back in (etalage.load(tmp_path / "p.etalage"), Profiles.load(tmp_path / "p.etalage", verify="header"), pickle.loads(pickle.dumps(profiles))):
        assert len(back) == 150
        a, b = back.to_dict(), profiles.to_dict()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    with pytest.raises(etalage.FormatError):
        etalage.profile.PurchaseIntent.load(tmp_path / "p.etalage")


def test_merge_and_erase(store, catalog):
    p = Profiles(catalog).add(store.log)
    together = p.user(3).orders + p.user(4).orders
    p.merge(3, 4)
    assert p.user(3).segment == "unknown" and p.user(4).orders == together
    p.erase(4)
    assert p.user(4).segment == "unknown"


def test_bad_input_is_named(store):
    with pytest.raises(TypeError, match="halflife is not an option"):
        Profiles(halflife=3)
    with pytest.raises(ValueError, match="half_life_days is 0"):
        Profiles(half_life_days=0)
    with pytest.raises(ValueError, match="wish"):
        Profiles().add(etalage.EventLog.from_frame({"user": [1], "item": [2], "event": ["wish"], "time": [0]}, event="event", time="time", time_unit="s"))
    with pytest.raises(ValueError, match="times"):
        Profiles().add(etalage.EventLog.from_frame({"user": [1], "item": [2]}))
    with pytest.raises(IndexError):
        Profiles().observe(-1, 0, "view", 0)
    p = Profiles(roles={"order": "purchase", "wish": "ignore"})
    p.observe(0, 0, "order", "2024-05-01")
    p.observe(0, 0, "wish", "2024-05-02")
    assert p.user(0).orders == 1 and p.user(0).events == 1
    with pytest.raises(ValueError, match="must be .ignore., .view."):
        Profiles(roles={"order": "sale"})


def test_negative_quantities_and_typed_returns_mean_the_same_on_online_retail():
    pq = pytest.importorskip("pyarrow.parquet")
    path = Path(os.environ.get("ETALAGE_DATA", Path(__file__).resolve().parents[2] / "../shared/data")) / "online-retail" / "online_retail.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there (set ETALAGE_DATA)")
    table = pq.read_table(path)
    log = etalage.EventLog.from_frame(table, user="Customer ID", item="StockCode", time="InvoiceDate", value="Quantity", session="Invoice", on_error="skip")
    columns = {"user": log.user_ids[log.users], "item": log.item_ids[log.items], "time": log.times.view("M8[ms]"), "session": log.session_ids[log.sessions],
               "value": np.abs(log.values), "event": np.where(log.values < 0, "return", "purchase")}
    typed = etalage.EventLog.from_frame(columns, time="time", session="session", value="value", event="event")
    signed, named = (Profiles(value_is_amount=True).add(x).to_dict() for x in (log, typed))
    for name, values in signed.items():
        assert [str(v) for v in values] == [str(v) for v in named[name]], name
    invoices = {}
    for user, invoice, quantity in zip(log.users.tolist(), log.sessions.tolist(), log.values.tolist()):
        if quantity > 0:
            invoices.setdefault(user, set()).add(invoice)
    assert signed["orders"].tolist() == [len(invoices.get(u, ())) for u in range(log.num_users)]
    assert (log.interactions(negative_values="cancel").user_items != typed.interactions(return_event="return").user_items).nnz == 0
