# SPDX-License-Identifier: Apache-2.0
"""Engines and Python's threads: what holds the GIL and what does not, and how an engine ends: by close(), collected, with
the interpreter, in a forked child, beside calls that run."""

import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import numpy as np
import pytest

import etalage
from etalage.models import ALS, FeatureALS, Popularity, SessionKNN, Transitions, Vectors
from etalage.profile import Profiles, PurchaseIntent
from etalage.serving import Engine, Snapshot

USERS, ITEMS = [f"u{i}" for i in range(60)], [f"i{i}" for i in range(40)]


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    n = 4000
    return etalage.EventLog.from_frame(
        {"user": [USERS[i] for i in rng.integers(0, 60, n)], "item": [ITEMS[i] for i in rng.integers(0, 40, n)],
         "event": [("view", "purchase")[i] for i in rng.integers(0, 2, n)], "time": np.sort(rng.integers(0, 120 * 86_400_000, n)) + 10**12},
        event="event", time="time", time_unit="ms")


@pytest.fixture(scope="module")
def data(log):
    return log.interactions(event_weights={"view": 1, "purchase": 2})


# The GIL


def counted(call, seconds=10.0):
    """How often another thread got to count while this one calls, and how often it called: until it counted, or so long."""
    count, go, stop = [0], threading.Event(), threading.Event()

    def counting():
        go.wait()  # what it counted before the interval was set would be taken for the call's
        while not stop.is_set():
            count[0] += 1
            time.sleep(0)  # lets go at once

    thread = threading.Thread(target=counting)
    interval = sys.getswitchinterval()
    thread.start()
    try:
        # Nobody is asked to give the GIL up, so that the other thread counts when a call lets go of it and at no other time.
        sys.setswitchinterval(10)
        go.set()
        calls, end = 0, time.monotonic() + seconds
        while count[0] < 2 and time.monotonic() < end:
            call()
            calls += 1
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        go.set()
        thread.join()
    return count[0], calls


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the switch interval is CPython's")
def test_the_counting_thread_stands_still_while_the_gil_is_held():
    count, calls = counted(lambda: sorted(range(1000)), seconds=0.1)
    assert calls > 10 and count <= 1


@pytest.mark.parametrize("durability", ["every event", "none"])
def test_every_call_lets_other_threads_run(log, data, durability, tmp_path):
    profiles = Profiles().add(log)
    intent = PurchaseIntent(horizon_days=7.0, max_iterations=3).fit(log)
    with Engine(tmp_path / "journal", durability=durability, models={"als": ALS(factors=4, iterations=2).fit(data)}, profiles=profiles,
                intent=intent, catalog=etalage.Catalog(ITEMS, prices=np.arange(40.0)), metrics=True) as engine:
        engine.observe_log(log.filtered(np.arange(len(log)) < 100))
        number = iter(range(10**9))

        def rollback():  # called until the other thread counted: perhaps once more than there are publications to go back to
            with contextlib.suppress(RuntimeError):
                engine.rollback()

        calls = {
            "observe": lambda: engine.observe("u1", "i1", "purchase", 10**12 + next(number)),
            "recommend": lambda: engine.recommend("u1", 5),
            "recommend, filtered": lambda: engine.recommend("u1", 5, filter={"price": {"max": float(next(number))}}),
            "merge_users": lambda: engine.merge_users("visitor", "u2"),
            "erase_user": lambda: engine.erase_user("u3"),
            "user": lambda: engine.user("u1"), "profile": lambda: engine.profile("u1"), "buy_again": lambda: engine.buy_again("u1", 3),
            "intent": lambda: engine.intent("u1"), "publish": lambda: engine.publish(engine.snapshot), "rollback": rollback,
            "forget_previous": lambda: engine.forget_previous(), "snapshot": lambda: engine.snapshot, "sync": engine.sync,
            "compact": engine.compact, "metrics": engine.metrics, "prometheus": engine.prometheus,
            "failure": lambda: engine.failure, "save": lambda: engine.save(tmp_path / "engine.etalage"),
            "observe_log": lambda: engine.observe_log(log.filtered(np.arange(len(log)) < 3)),
        }
        for name, call in calls.items():
            count, done = counted(call)
            assert count > 1, f"{name}: nothing was counted in {done} calls"


# Published models


def change(name, model, i):
    rows = np.eye(40, dtype=np.float32)[[i % 40]]
    if name == "ALS":
        model.partial_fit_users([i % 60], rows)
        model.partial_fit_items([i % 40], np.eye(60, dtype=np.float32)[[i % 60]])
    elif name == "Popularity":
        model.partial_fit_users([i % 60], rows)
        model.set_segments(np.arange(60) % (2 + i % 3))
    elif name == "Vectors":
        model.partial_fit_users([i % 60], np.full((1, 4), i, np.float32))
        model.partial_fit_items([i % 40], np.full((1, 4), i, np.float32))
        model.build_index("exact") if i % 2 else model.drop_index()
    elif name == "FeatureALS":
        # Users alone grow: keys are the snapshot's too.
        model.add_users(np.ones((1, 3), np.float32), [f"new{i}"])
    else:
        model.add_sessions(etalage.Sequences([0, 3], [i % 40, 1, 2], num_items=40, item_ids=ITEMS))


def makers(data, log):
    lists = log.sequences()
    return {
        "ALS": lambda: ALS(factors=4, iterations=1).fit(data),
        "Popularity": lambda: Popularity().fit(data),
        "Vectors": lambda: Vectors(np.ones((60, 4)), np.ones((40, 4)), user_items=data),
        "FeatureALS": lambda: FeatureALS(factors=4, iterations=1).fit(data, user_features=np.ones((60, 3), np.float32)),
        "Transitions": lambda: Transitions().fit(lists),
        "SessionKNN": lambda: SessionKNN().fit(lists),
    }


def change_while(ask, stop, change_once, times):
    """Changes while two threads ask until stop."""
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for t in threads:
        t.start()
    for i in range(times):
        change_once(i)
    stop.set()
    for t in threads:
        t.join()


@pytest.mark.parametrize("name", ["ALS", "Popularity", "Vectors", "FeatureALS", "Transitions", "SessionKNN"])
def test_a_published_model_stays_what_it_was(name, data, log):
    model = makers(data, log)[name]()
    with Engine(models={"m": model}) as engine:
        before = [engine.recommend(u, 6, session=["i3", "i4"]).scores.tolist() for u in USERS[:10]]
        wrong, stop = [], threading.Event()

        def ask():
            try:
                while not stop.is_set():
                    for u, scores in zip(USERS[:10], before):
                        if engine.recommend(u, 6, session=["i3", "i4"]).scores.tolist() != scores:
                            wrong.append(u)
                    model.recommend_session([1, 2], k=5)
            except Exception as e:
                wrong.append(repr(e))

        change_while(ask, stop, lambda i: change(name, model, i), 15)
        assert wrong == []


def test_a_small_change_of_a_model_that_nobody_else_holds_is_made_in_place(data):
    rows = np.eye(40, dtype=np.float32)[[3]]
    model = ALS(factors=4, iterations=1).fit(data)
    compiled = model._model
    model.partial_fit_users([0], rows)
    assert model._model is compiled
    model.partial_fit_users(np.arange(40), np.eye(40, dtype=np.float32))
    assert model._model is not compiled, "much work is done without the GIL, and so on a copy"
    for holder in (lambda m: Snapshot({"m": m}), lambda m: etalage.serving.ModelSource("m", m)):
        compiled, held = model._model, holder(model)
        model.partial_fit_users([0], rows)
        assert model._model is not compiled
        compiled = model._model
        model.partial_fit_users([0], rows)
        assert model._model is compiled, "the copy is the model's alone"
        del held


def test_questions_beside_changes_of_the_model_itself(data, log):
    for name, make in makers(data, log).items():
        model, failed, stop = make(), [], threading.Event()

        def ask():
            try:
                while not stop.is_set():
                    items, scores = model.recommend(np.arange(40), np.ones((40, 40), np.float32), k=5, filter_already_liked_items=False)
                    assert np.isfinite(scores[items >= 0]).all()
                    model.recommend_session([1, 2], k=5)
                    assert model.user_items.shape[1] == 40
            except Exception as e:
                failed.append((name, repr(e)))

        change_while(ask, stop, lambda i: change(name, model, i), 20)
        assert failed == []


def test_changes_in_two_threads_are_all_there(data):
    model = ALS(factors=4, iterations=1).fit(data)

    def work(users):
        for u in users:
            model.partial_fit_users([u], np.eye(40, dtype=np.float32)[[u % 40]])

    threads = [threading.Thread(target=work, args=(range(b, 60, 2),)) for b in (0, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    np.testing.assert_array_equal(model.user_items.toarray(), np.eye(40, dtype=np.float32)[np.arange(60) % 40])


def test_a_change_that_fails_has_not_happened(data):
    model = ALS(factors=4, iterations=1).fit(data)
    before = model.user_factors.tobytes()
    with pytest.raises(ValueError):
        model.partial_fit_users([0], np.full((1, 40), np.nan, np.float32))
    assert model.user_factors.tobytes() == before
    model.partial_fit_users([0], np.ones((1, 40), np.float32))
    assert model.user_factors.tobytes() != before


def test_published_profiles_stay_what_they_were(log):
    profiles = Profiles().add(log)
    with Engine(profiles=profiles, catalog=etalage.Catalog(ITEMS)) as engine:
        before = engine.profile("u1").to_dict()
        profiles.observe(1, 2, "purchase", 2 * 10**12)
        profiles.merge(2, 1)
        profiles.erase(1)
        profiles.add(log)
        after = engine.profile("u1").to_dict()
        np.testing.assert_equal(dict(after, recency_days=0), dict(before, recency_days=0))
    assert profiles.user(2).to_dict()["events"] > 0


# The end


def test_close(tmp_path, data):
    engine = Engine(tmp_path, models={"als": ALS(factors=4, iterations=1).fit(data)}, durability="every 60000 ms")
    last = engine.observe("u1", "i1")
    assert not engine.closed
    engine.close()
    engine.close()
    assert engine.closed and repr(engine) == "Engine(closed)"
    for call in (lambda: engine.observe("u1", "i2"), lambda: engine.recommend("u1"), lambda: engine.snapshot, lambda: engine.user("u1"),
                 engine.sync, engine.compact, engine.metrics, engine.durable_through, lambda: engine.save(tmp_path / "x")):
        with pytest.raises(ValueError, match="closed"):
            call()
    with Engine(tmp_path) as again:
        assert again.recovery["last_sequence"] == last and again.user("u1")["session"] == ["i1"]


def test_with_closes_and_lets_exceptions_through(tmp_path):
    with pytest.raises(KeyError):
        with Engine(tmp_path) as engine:
            engine.observe("a", "b")
            raise KeyError("mine")
    assert engine.closed
    with pytest.raises(ValueError, match="closed"):
        with engine:
            engine.observe("a", "b")


def test_an_engine_that_failed_to_publish_lets_go_of_its_folder(tmp_path):
    for _ in range(2):
        with pytest.raises(etalage.NotFittedError):
            Engine(tmp_path, models={"als": ALS()})
    Engine(tmp_path).close()


def test_close_waits_for_calls_that_run(tmp_path, data):
    engine = Engine(tmp_path, models={"als": ALS(factors=4, iterations=1).fit(data)}, durability="every event")
    said, started = [], threading.Barrier(5)

    def work(i):
        started.wait()
        try:
            while True:
                said.append(engine.observe(f"u{i}", "i1"))
                engine.recommend(f"u{i}", 3)
        except ValueError as e:
            assert "closed" in str(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    started.wait()
    time.sleep(0.2)
    engine.close()
    last = max(said)
    for t in threads:
        t.join(timeout=60)
        assert not t.is_alive()
    with Engine(tmp_path) as again:
        assert again.recovery["last_sequence"] == max(said) >= last


def test_a_collected_engine_joins_its_threads_without_the_gil(tmp_path, data):
    """Publishing starts a thread that frees what was replaced; its destructor has to let that thread end."""
    als = ALS(factors=4, iterations=1).fit(data)
    collected = []
    for i in range(20):
        engine = Engine(tmp_path / str(i), models={"als": als}, durability="every 1 ms")
        weakref.finalize(engine, collected.append, i)
        holder = engine.snapshot
        for _ in range(3):
            engine.publish(Snapshot({"als": ALS(factors=4, iterations=0).fit(data)}))
            engine.observe("u", "i1")
        del holder, engine
    gc.collect()
    # Each went, and let go of its folder, which another can open.
    assert sorted(collected) == list(range(20))
    for i in range(20):
        with Engine(tmp_path / str(i)) as again:
            assert again.recovery["last_sequence"] == 3


def run(script, timeout=120):
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stderr == "", done.stderr
    return done.stdout, time.monotonic() - start


@pytest.mark.parametrize("left", ["engine", "import builtins; builtins.kept = engine", "loop = [engine]; loop.append(loop)"])
def test_the_interpreter_ends_with_an_open_engine(tmp_path, left):
    out, _ = run(f"""
        import threading, etalage, numpy as np
        from etalage.serving import Engine, Snapshot
        data = etalage.Interactions.from_frame({{"user": ["a", "b"], "item": ["x", "y"]}})
        engine = Engine({str(tmp_path / "j")!r}, durability="every 60000 ms", models={{"als": etalage.models.ALS(factors=2, iterations=1).fit(data)}})
        engine.publish(Snapshot({{"als": etalage.models.ALS(factors=2, iterations=1).fit(data)}}))
        def work():
            try:
                while True:
                    engine.recommend("a", 2)
            except ValueError:
                pass
        threading.Thread(target=work, daemon=True).start()
        {left}
        print(engine.observe("a", "y"))
    """)
    with Engine(tmp_path / "j") as again:
        assert again.recovery["last_sequence"] == int(out), "what was observed is on disk though nobody closed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("end", ["engine.close()", "del engine; gc.collect()", "sys.exit(0)", "pass"])
def test_a_forked_child_leaves_the_engine_to_its_parent(tmp_path, end):
    out, _ = run(f"""
        import gc, os, sys, signal, threading, etalage
        from etalage.serving import Engine
        signal.alarm(100)
        data = etalage.Interactions.from_frame({{"user": ["a", "b"], "item": ["x", "y"]}})
        engine = Engine({str(tmp_path / "j")!r}, durability="every 60000 ms", models={{"als": etalage.models.ALS(factors=2, iterations=1).fit(data)}})
        engine.observe("a", "y")
        if os.fork() == 0:
            signal.alarm(30)
            assert len(engine.recommend("c", 1).keys) == 1
            try:
                engine.observe("a", "x")
                print("observed", flush=True)
            except Exception as e:
                assert "parent" in str(e), e
            {end}
        else:
            pid, status = os.wait()
            assert status == 0, status
            print(engine.observe("b", "x"), flush=True)
            engine.close()
    """)
    assert out == "2\n"
    with Engine(tmp_path / "j") as again:
        assert again.recovery["last_sequence"] == 2 and again.recovery["cut_bytes"] == 0
