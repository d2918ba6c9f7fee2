# SPDX-License-Identifier: Apache-2.0
"""Conversion, durability by name, files and threads; what the engine does is tested in C++."""

import datetime
import threading

import numpy as np
import pytest

import etalage
from etalage.serving import Engine, Snapshot


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{rng.integers(10) * 4 + u % 4}") for u in range(80) for _ in range(8)]
    return etalage.Interactions.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows]})


@pytest.fixture(scope="module")
def models(data):
    return {"als": etalage.models.ALS(factors=8, iterations=5).fit(data), "popularity": etalage.models.Popularity().fit(data)}


def catalog(data):
    ids = data.item_ids
    return etalage.Catalog(ids, brands=[f"b{int(k[1:]) % 3}" for k in ids], prices=[float(k[1:]) for k in ids])


def test_answers_and_sees_the_last_event(models):
    engine = Engine(models=models)
    keys, scores = engine.recommend("somebody", k=6)
    assert keys.dtype == object and scores.dtype == np.float32 and len(keys) == len(scores) == 6
    assert engine.observe("somebody", "i2") == 1
    engine.observe("somebody", "i6", "purchase")
    answer = engine.recommend("somebody", k=6, explain=True)
    assert answer.known_user and answer.snapshot == 1 and len(answer.sources) == 6
    assert sum(int(k[1:]) % 4 == 2 for k in answer.keys) >= 4
    assert not {"i2", "i6"} & set(answer.keys)
    assert set(answer.why[0]) == {"sources", "because", "rules"}
    assert any(item in ("i2", "i6") for why in answer.why for item, share in why["because"])
    assert engine.user("somebody")["session"] == ["i2", "i6"]
    assert engine.user("somebody")["purchases"] == {"i6": 1}
    assert engine.user("nobody") is None


def test_filters_and_rules(models, data):
    engine = Engine(models=models, catalog=catalog(data), rules=[{"type": "cap", "by": "brand", "max": 2}])
    answer = engine.recommend("u1", k=30, filter={"price": {"max": 20}}, exclude_seen=False)
    assert len(answer.keys) == 6 and all(int(k[1:]) <= 20 for k in answer.keys)
    with pytest.raises(ValueError, match=r"price"):
        engine.recommend("u1", filter={"price": {"max": "cheap"}})
    with pytest.raises(ValueError, match=r"rules\[0\]"):
        Snapshot(models, catalog(data), rules=[{"type": "wish"}])


def test_journal_and_bundle(models, data, tmp_path):
    engine = Engine(tmp_path / "journal", durability="every event", models=models, catalog=catalog(data))
    engine.observe("ann", "i3", time=datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc))
    engine.observe("ann", "i7", time=np.datetime64("2024-05-02T12:00:00"))
    assert engine.observe("ann", "i7", time=1714651200000) == 2, "a duplicate is taken once"
    assert engine.durable_through() == 2
    with pytest.raises(RuntimeError, match="one writer"):
        Engine(tmp_path / "journal")
    engine.save(tmp_path / "shop.etalage")
    before = list(engine.recommend("ann").keys)
    opened = Engine.load(tmp_path / "shop.etalage")
    assert list(opened.recommend("ann").keys) == before
    assert len(Snapshot.load(tmp_path / "shop.etalage")) == data.user_items.shape[1]
    del engine
    again = Engine(tmp_path / "journal", models=models, catalog=catalog(data))
    assert again.recovery["events"] == 2 and again.recovery["cut_reason"] == ""
    assert list(again.recommend("ann").keys) == before
    again.merge_users("ann", "bob")
    assert [h[0] for h in again.user("bob")["history"]] == ["i3", "i7"]
    again.erase_user("bob")
    again.compact()
    assert again.user("bob") is None
    assert not any(b"ann" in p.read_bytes() for p in (tmp_path / "journal").rglob("*") if p.is_file())


def test_publish_and_roll_back(models):
    engine = Engine(models=models)
    first = list(engine.recommend("u3").keys)
    assert engine.publish(Snapshot({"popularity": models["popularity"]}, label="plain")) == 2
    assert engine.snapshot.label == "plain" and engine.recommend("u3").snapshot == 2
    assert engine.rollback() == 1
    assert list(engine.recommend("u3").keys) == first
    with pytest.raises(RuntimeError, match="roll back"):
        Engine().rollback()


def test_bad_input_is_named(models):
    engine = Engine(models=models)
    for call, error, match in (
        (lambda: engine.observe("u", "i", "wave"), ValueError, "event type is 'wave'"),
        (lambda: engine.observe("u", 1.5), TypeError, "item is"),
        (lambda: engine.observe("u", "i", time="noon"), TypeError, "time is 'noon'"),
        (lambda: engine.observe(2**70, "i"), ValueError, "64 bits"),
        (lambda: engine.observe("x" * 2000, "i"), ValueError, "1024"),
        (lambda: engine.recommend("u", k=-1), ValueError, "k is -1"),
        (lambda: engine.recommend("u", placement="door"), ValueError, "placement is 'door'"),
        (lambda: Engine(durability="often"), ValueError, "durability is 'often'"),
        (lambda: Engine(history_limit=0), ValueError, "history_limit is 0"),
        (lambda: Engine(models={"als": etalage.models.ALS()}), etalage.NotFittedError, "als"),
        (lambda: Snapshot(models, mix={"standard": {"sources": {"nobody": 10}}}) and Engine().publish(
            Snapshot(models, mix={"standard": {"sources": {"nobody": 10}}})), ValueError, "nobody"),
    ):
        with pytest.raises(error, match=match):
            call()


def test_integer_keys_metrics_and_threads():
    csr = etalage.models.Popularity().fit(etalage.Interactions.from_frame({"user": [10, 11, 12], "item": [100, 101, 100]}))
    engine = Engine(models={"popularity": csr}, metrics=True)
    assert engine.recommend(99, k=2).keys.tolist() == [100, 101]

    def visit(start):
        for i in range(200):
            engine.observe(start + i % 7, 100 + i % 2)
            assert len(engine.recommend(start + i % 7, k=2, exclude_seen=False).keys) == 2

    threads = [threading.Thread(target=visit, args=(n * 1000,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    metrics = engine.metrics()
    assert metrics["events"] == 800 and metrics["requests"] == 801
    assert metrics["stages"]["total"]["p50"] > 0
    assert "etalage_requests_total 801" in engine.prometheus()


def test_log_is_observed_in_order(data):
    log = etalage.EventLog.from_frame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "time": [1000, 2000, 3000], "event": ["view", "purchase", "view"]},
                                      event="event", time="time", time_unit="s")
    engine = Engine()
    assert engine.observe_log(log) == 3
    assert engine.user("a")["history"] == [("x", "view", 1_000_000), ("y", "purchase", 2_000_000)]
    assert list(engine.recommend("b").keys) == ["y"]


@pytest.fixture(scope="module")
def store():
    store = etalage.datasets.synthetic_store(users=200, items=120, seed=3)
    catalog = etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")
    return store.log, catalog


def test_profile_buy_again_and_intent_follow_live_events(store):
    log, catalog = store
    cut = np.sort(np.asarray(log.times))[len(log) // 2]
    before, after = log.filtered(np.asarray(log.times) <= cut), log.filtered(np.asarray(log.times) > cut)
    profiles = etalage.profile.Profiles(catalog).add(before)
    intent = etalage.profile.PurchaseIntent(horizon_days=14).fit(log, catalog)
    engine = Engine(catalog=catalog, profiles=profiles, intent=intent, trained=int(cut), history_limit=60000)
    engine.now = int(cut)
    key = log.user_ids[int(before.users[0])]
    assert engine.profile(key).to_dict()["events"] == profiles.by_id(key).events
    order = np.argsort(after.times, kind="stable")
    for row in order:
        engine.now = int(after.times[row])
        engine.observe(log.user_ids[int(after.users[row])], log.item_ids[int(after.items[row])], after.event_names[after.events[row]],
                       int(after.times[row]), float(after.values[row]))
    whole = etalage.profile.Profiles(catalog).add(log)
    now = np.datetime64(int(after.times.max()), "ms")
    for user in range(0, 200, 7):
        live, batch = engine.profile(log.user_ids[user]), whole.user(user, now)
        assert (live.orders, live.events, live.segment) == (batch.orders, batch.events, batch.segment)
        assert live.money == batch.money and live.hours == batch.hours
        assert engine.intent(log.user_ids[user]) == intent.predict(whole, user, now)
    again = engine.buy_again(key, k=3)
    assert set(again) == set(whole.buy_again(0, k=3)) and (np.diff(again["probability"]) <= 0).all()
    assert engine.profile("nobody").segment == "unknown" and len(engine.buy_again("nobody")["item"]) == 0
    with pytest.raises(RuntimeError, match="intent"):
        Engine(catalog=catalog).intent(key)
    with pytest.raises(RuntimeError, match="snapshot"):
        Engine().profile(key)


def test_new_products_and_newcomers_by_segment(store, tmp_path):
    log, catalog = store
    known = np.unique(log.items)[:-15]
    train = log.filtered(np.isin(log.items, known)).interactions(event_weights={"view": 1, "cart": 3, "purchase": 5, "return": 0})
    als = etalage.models.ALS(factors=8, iterations=5).fit(train)
    cold = etalage.models.ColdStart(als, catalog)
    mix = {"standard": {"sources": {"als": (200, 1.0)}, "normalization": "none"}}
    snapshot = Snapshot({"als": als}, catalog, cold_start=cold, mix=mix, segment_factors={"vip": als.user_factors[3]})
    engine = Engine()
    engine.publish(snapshot)
    user = train.user_ids[5]
    with_cold = engine.recommend(user, k=60).keys
    plain = Engine(models={"als": als}, catalog=catalog, mix=mix).recommend(user, k=60).keys
    touched = set(np.asarray(train.item_ids, object)[np.unique(train.user_items.indices)])
    assert set(with_cold) - touched and len(set(with_cold) - touched) > len(set(plain) - touched)
    vip = engine.recommend("newcomer", k=10, segment="vip").keys
    assert list(vip) != list(engine.recommend("newcomer", k=10).keys)
    snapshot.save(tmp_path / "s.etalage")
    opened = Engine()
    opened.publish(Snapshot.load(tmp_path / "s.etalage"))
    assert list(opened.recommend("newcomer", k=10, segment="vip").keys) == list(vip)
    with pytest.raises(ValueError, match="segment_factors"):
        Snapshot({"als": als}, catalog, segment_factors={"vip": [1.0]})


def test_options_and_models_that_are_none_are_named():
    als = etalage.models.ALS(factors=2, iterations=1).fit(np.eye(3, dtype=np.float32))
    for models in ([als], als):
        with pytest.raises(TypeError, match=r"models is a \w+, must be \{name: model\}"):
            etalage.serving.Engine(models=models)
    with pytest.raises(TypeError, match="trained_at is not an option of Engine, must be one of rules, .*trained, .*session_idle_minutes"):
        etalage.serving.Engine(models={"als": als}, trained_at="2024-01-01")
