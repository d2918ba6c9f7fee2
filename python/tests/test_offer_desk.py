# SPDX-License-Identifier: Apache-2.0
"""Prices and lifetimes in a snapshot, and requests decided at them: from an audience to an allocation to an engine."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import etalage
from etalage.marketing import OfferPrices, allocate, audience, lifetime
from etalage.models import ALS
from etalage.profile import Profiles
from etalage.serving import Engine, OfferDesk, Snapshot

DAY = 86_400_000


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    n = 6000
    return etalage.EventLog.from_frame({"user": [f"u{i}" for i in rng.integers(0, 300, n)], "item": [f"i{i}" for i in rng.zipf(1.5, n) % 40],
                                        "event": np.array(["view", "purchase"])[rng.integers(0, 2, n)].tolist(), "time": np.sort(rng.integers(0, 200 * DAY, n)) + 10**12},
                                       event="event", time="time", time_unit="ms")


@pytest.fixture(scope="module")
def als(log):
    return ALS(factors=8, iterations=3, seed=1).fit(log.interactions(event_weights={"view": 1, "purchase": 2}))


def test_from_an_audience_to_an_engine(log, als, tmp_path):
    rng = np.random.default_rng(1)
    people = audience(als, item="i1", k=200, hold_out=0.1, salt="spring", exclude_buyers=False)
    values = np.asarray(people.scores, float)[:, None] * [1.0, 1.8] * 100 + 50
    costs = np.tile([40, 90], (len(values), 1))
    plan = allocate(values, costs, 5000)
    assert plan.spent[0] <= 5000 and plan.gap < 0.02
    with Engine(models={"als": als}, offer_prices={"coupons": plan}) as engine, OfferDesk(engine, "coupons", tmp_path / "ledger", 5000) as desk:
        prices = engine.snapshot.offer_prices["coupons"]
        assert np.array_equal(prices.prices, plan.prices) and np.array_equal(prices.offer_prices, plan.offer_prices)
        paid = 0
        for row in rng.integers(0, len(values), 400):
            before = desk.spent[0]
            got, want = desk.decide(values[row], costs[row]), prices.choose(values[row], costs[row])
            if got >= 0:
                paid += costs[row, got]
            assert got == want or 5000 - before < costs[row, want]  # what is left does not pay for it
            assert desk.spent == [paid] and paid <= 5000
        assert paid > 4900
    with Engine() as engine, OfferDesk(engine, "coupons", tmp_path / "ledger", 5000) as desk:
        assert desk.spent == [paid]
        engine.close()
        with pytest.raises(ValueError, match="closed"):
            desk.decide(values[0], costs[0])


def test_publishing_changes_what_the_next_request_gets_and_files_keep_it(als, tmp_path):
    fitted = lifetime.MBGNBD().set_fitted({"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6})
    cheap = Snapshot({"als": als}, offer_prices={"coupons": OfferPrices([0.1, 0.0])}, lifetime=fitted)
    cheap.save(tmp_path / "s.etl")
    again = Snapshot.load(tmp_path / "s.etl")
    assert np.array_equal(again.offer_prices["coupons"].prices, [0.1, 0.0]) and again.offer_prices["coupons"].offer_prices is None
    with Engine() as engine, OfferDesk(engine, "coupons", tmp_path / "ledger", [10**6, 10**6]) as desk:
        with pytest.raises(RuntimeError, match="no offer prices 'coupons'"):
            desk.decide([5.0, 9.0], [[10, 1], [40, 1]])
        engine.publish(again)
        assert desk.decide([5.0, 9.0], [[10, 1], [40, 1]]) == 1
        engine.publish(Snapshot({"als": als}, offer_prices={"coupons": OfferPrices([0.2, 0.0])}))
        assert desk.decide([5.0, 9.0], [[10, 1], [40, 1]]) == 0
        engine.rollback()
        assert desk.decide([5.0, 9.0], [[10, 1], [40, 1]]) == 1
        assert desk.spent == [90, 3]


def test_lifetimes_feed_profiles_and_buying_again(log, als):
    profiles = Profiles().add(log)
    # Shoppers of the log come all the time; by these parameters many would have left.
    model = lifetime.MBGNBD().set_fitted({"r": 0.5, "alpha": 20.0, "a": 0.9, "b": 1.6})
    now = 10**12 + 260 * DAY
    with Engine(models={"als": als}, profiles=profiles) as plain, Engine(models={"als": als}, profiles=profiles, lifetime=model, lifetime_unit="days") as fed:
        plain.now = fed.now = now
        assert not hasattr(plain.profile("u1"), "alive")
        alive = []
        for i in range(40):
            user = f"u{i}"
            a, b = plain.profile(user), fed.profile(user)
            assert a.orders == b.orders and 0 <= b.alive <= 1
            alive.append(b.alive)
            expected = "lapsed" if b.alive < 0.3 else "at risk" if b.alive < 0.7 else "loyal" if b.orders >= 4 else "active"
            assert b.segment == (a.segment if a.segment == "new" else expected)
            x, y = plain.buy_again(user, 5, 30), fed.buy_again(user, 5, 30)
            assert list(x["item"]) == list(y["item"]) and np.allclose(y["probability"], x["probability"] * b.alive)
        assert np.ptp(alive) > 0.05


def test_bad_input(als, tmp_path):
    with Engine(models={"als": als}, offer_prices={"coupons": OfferPrices([0.1])}) as engine:
        with pytest.raises(TypeError, match="must be an Engine"):
            OfferDesk(als, "coupons", tmp_path / "a", 10)
        with pytest.raises(TypeError, match="must be the name"):
            OfferDesk(engine, 3, tmp_path / "a", 10)
        with pytest.raises(ValueError, match="budgets"):
            OfferDesk(engine, "coupons", tmp_path / "a", -1)
        with OfferDesk(engine, "coupons", tmp_path / "b", 100) as desk:
            with pytest.raises(TypeError, match="whole numbers"):
                desk.decide([1.0], [0.5])
            with pytest.raises(ValueError, match=r"costs\[0, 0\] is -1"):
                desk.decide([1.0], [-1])
            with pytest.raises(ValueError, match="costs has shape"):
                desk.decide([1.0], [1, 2])
            with pytest.raises(ValueError, match="values has shape"):
                desk.decide([[1.0]], [1])
            assert desk.decide([], np.empty(0, int)) == -1 and desk.decide([np.nan, 2.0], [1, 0]) == 1
    for wrong in (3, {"a": 3}, {1: OfferPrices([1.0])}):
        with pytest.raises(TypeError, match="offer_prices"):
            Snapshot({"als": als}, offer_prices=wrong)
    with pytest.raises(TypeError, match="lifetime is a"):
        Snapshot({"als": als}, lifetime=als)
    with pytest.raises(etalage.NotFittedError):
        Snapshot({"als": als}, lifetime=lifetime.BGNBD())
    with pytest.raises(ValueError, match="lifetime_unit is 'years'"):
        Snapshot({"als": als}, lifetime=lifetime.BGNBD().set_fitted({"r": 1, "alpha": 1, "a": 1, "b": 1}), lifetime_unit="years")


def test_threads_and_a_kill_never_overdraw(als, tmp_path):
    with Engine(models={"als": als}, offer_prices={"coupons": OfferPrices([0.001])}) as engine, OfferDesk(engine, "coupons", tmp_path / "a", 2000, block=64) as desk:
        paid = []

        def ask(seed):
            rng = np.random.default_rng(seed)
            for cost in rng.integers(1, 9, 60):
                if desk.decide([1.0], [int(cost)]) == 0:
                    paid.append(int(cost))

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(32)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert sum(paid) == desk.spent[0] <= 2000
    code = textwrap.dedent("""
        import sys
        from etalage.marketing import OfferPrices
        from etalage.serving import Engine, OfferDesk
        engine = Engine(offer_prices={"coupons": OfferPrices([0.001])})
        desk = OfferDesk(engine, "coupons", sys.argv[1], 1000, block=50)
        while desk.decide([1.0], [3]) == 0:
            print(3, flush=True)
    """)
    paid = 0
    for life in range(3):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "b")], stdout=subprocess.PIPE, text=True, env=os.environ)
        for line in child.stdout:
            paid += int(line)
            if life < 2 and paid > 250 * (life + 1):
                child.send_signal(signal.SIGKILL)
                break
        paid += sum(map(int, child.stdout))
        child.wait()
    assert 1000 - 3 * 50 - 3 <= paid <= 1000


def test_what_is_bought_together_is_counted_live():
    rng = np.random.default_rng(3)
    with Engine(co_purchase_hours=2) as engine:
        engine.now = 10**12 + 30 * DAY
        bought = {}
        for user in range(30):
            for visit in range(4):
                basket = rng.choice(6, rng.integers(1, 4), replace=False)
                for item in basket:
                    engine.observe(f"u{user}", f"i{item}", "purchase", time=10**12 + visit * DAY + int(item))
                for a in basket:
                    for b in basket:
                        if a != b:
                            bought[user, a, b] = bought.get((user, a, b), 0) + 1
        engine.observe("u1", "i9", "view")

        def counted(item, users):
            total = {}
            for (user, a, b), n in bought.items():
                if a == item and user in users:
                    total[f"i{b}"] = total.get(f"i{b}", 0) + n
            return total

        for item in range(6):
            found = engine.bought_together(f"i{item}")
            assert dict(zip(found["item"].tolist(), found["count"].tolist())) == counted(item, range(30))
            assert (np.diff(found["count"]) <= 0).all()
        engine.erase_user("u7")
        found = engine.bought_together("i2", k=3)
        rest = counted(2, set(range(30)) - {7})
        assert len(found["item"]) == 3 and all(rest[i] == n for i, n in zip(found["item"].tolist(), found["count"].tolist()))
        assert len(engine.bought_together("nobody knows")["item"]) == len(engine.bought_together("i9")["item"]) == 0
        with pytest.raises(TypeError, match="k is"):
            engine.bought_together("i1", k=2.5)
