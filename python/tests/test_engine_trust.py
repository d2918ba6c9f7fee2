# SPDX-License-Identifier: Apache-2.0
"""An engine that runs for a year: live and batch agree, damage is found, limits hold, children of a busy parent work."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import etalage
from etalage.serving import Engine

START = 1_700_000_000_000
HOUR = 3_600_000


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{rng.integers(10) * 4 + u % 4}") for u in range(80) for _ in range(8)]
    data = etalage.Interactions.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows]})
    return {"als": etalage.models.ALS(factors=8, iterations=3).fit(data), "popularity": etalage.models.Popularity().fit(data)}


def stream(seed, events=400):
    """What a shop might tell, in the order in which it does: late, twice, merged, erased, returned."""
    rng = np.random.default_rng(seed)
    times = START + rng.permutation(events * 20)[:events] * 1000
    out = []
    for i in range(events):
        user, item = f"u{rng.integers(8)}", f"i{rng.integers(6)}"
        out.append(("event", user, item, ["view", "purchase", "purchase", "return"][rng.integers(4)], int(times[i])))
        if rng.random() < 0.15:
            out.append(out[rng.integers(len(out))])  # told twice
        if rng.random() < 0.02:
            out.append(("merge", f"u{rng.integers(8)}", f"u{rng.integers(8)}"))
        if rng.random() < 0.02:
            out.append(("erase", f"u{rng.integers(8)}"))
    return out


def by_log(steps):
    """The rows that are left in the end, each once, under the name that its shopper has by then."""
    rows = []
    for step in steps:
        if step[0] == "event":
            if not any(row == list(step[1:]) for row in rows):
                rows.append(list(step[1:]))
        elif step[0] == "merge":
            for row in rows:
                if row[0] == step[1]:
                    row[0] = step[2]
        else:
            rows = [row for row in rows if row[0] != step[1]]
    return rows


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_live_and_batch_agree(seed, folder, tmp_path):
    steps = stream(seed)
    engine = Engine(tmp_path / "j" if folder else None, history_limit=4096, durability="none")
    for i, step in enumerate(steps):
        if step[0] == "event":
            engine.observe(*step[1:4], time=step[4])
        elif step[0] == "merge":
            engine.merge_users(*step[1:])
        else:
            engine.erase_user(step[1])
        if folder and i == 200:
            engine.compact()
        if folder and i == 300:
            del engine
            engine = Engine(tmp_path / "j", history_limit=4096, durability="none")
    rows = by_log(steps)
    log = etalage.EventLog.from_frame({name: [row[at] for row in rows] for at, name in enumerate(("user", "item", "event", "time"))},
                                      event="event", time="time", time_unit="ms")
    net = log.interactions(event_weights={"purchase": 1.0, "view": 0.0}, return_event="return", return_cancels=["purchase"])
    matrix = net.user_items
    expected = {}
    for u, user in enumerate(net.user_ids):
        for at in range(matrix.indptr[u], matrix.indptr[u + 1]):
            expected.setdefault(user, {})[net.item_ids[matrix.indices[at]]] = matrix.data[at]
    assert sum(len(v) for v in expected.values()) > 10
    for user in {row[0] for row in rows}:
        live = engine.user(user)
        assert live["purchases"] == expected.get(user, {}), user
        mine = sorted((row for row in rows if row[0] == user), key=lambda row: row[3])
        assert [h[:3] for h in live["history"]] == [(row[1], row[2], row[3]) for row in mine], user
    gone = {f"u{u}" for u in range(8)} - {row[0] for row in rows}
    assert all(engine.user(user) is None for user in gone)


def test_damage_is_an_error_and_repair_says_what_is_lost(tmp_path):
    engine = Engine(tmp_path / "j", durability="every 3600000 ms")
    for i in range(500):
        engine.observe(f"u{i % 9}", f"i{i % 7}", time=START + i)
    engine.sync()
    del engine
    [segment] = (tmp_path / "j").glob("events-*.log")
    whole = bytearray(segment.read_bytes())
    whole[len(whole) // 2] ^= 4
    segment.write_bytes(whole)
    with pytest.raises(etalage.FormatError, match="open it with repair"):
        Engine(tmp_path / "j")
    engine = Engine(tmp_path / "j", repair=True)
    found = engine.recovery
    assert found["lost_events"] == 1 and found["events"] == 499 and found["cut_events"] == 0
    assert (tmp_path / "j" / found["copies"][0]).read_bytes() == whole
    assert engine.observe("u", "i") == 501
    del engine
    assert Engine(tmp_path / "j").recovery["lost_events"] == 0
    segment.unlink()
    with pytest.raises(etalage.FormatError, match="is missing"):
        Engine(tmp_path / "j")


def test_a_journal_keeps_the_meaning_of_its_types(tmp_path):
    engine = Engine(tmp_path / "j")
    for user in ("ann", "bob"):
        for item in ("a", "b"):
            engine.observe(user, item, "purchase")
    del engine
    for types in ({"view": 1}, {"purchase": {"weight": 1}}):
        engine = Engine(tmp_path / "j", event_types=types)
        engine.compact()
        assert engine.user("ann")["purchases"] == {"a": 1, "b": 1}
        del engine
    assert Engine(tmp_path / "j").user("bob")["purchases"] == {"a": 1, "b": 1}


def test_limits_by_name():
    engine = Engine(max_shoppers=3, max_items=4, visitor_prefix="anon-")
    engine.observe("ann", "a")
    for i in range(5):
        engine.observe(f"anon-{i}", "a")
    assert engine.user("ann") and engine.user("anon-4") and engine.user("anon-0") is None
    for item in "bcd":
        engine.observe("ann", item)
    with pytest.raises(ValueError, match="max_items"):
        engine.observe("ann", "e")
    with pytest.raises(ValueError, match="visitor_idle_days is -1, must be >= 0"):
        Engine(visitor_idle_days=-1)


FULL_DISK = """
import resource, sys
from etalage.serving import Engine
engine = Engine(sys.argv[1], durability="every event")
engine.observe("ann", "a")
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
said = []
for user in ("bob", "cat"):
    try:
        engine.observe(user, "b")
    except OSError as e:
        said.append((e.pending, "do not send it again" in str(e), "nothing of it is stored" in str(e)))
assert said == [(2, True, False), (None, False, True)], said
assert engine.user("bob") and engine.user("cat") is None
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert engine.observe("cat", "b") == 3 and engine.durable_through() == 3
"""


def test_a_disk_that_takes_no_more_says_what_became_of_the_event(tmp_path):
    run = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path / "j")], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    assert Engine(tmp_path / "j").recovery["events"] == 3


def fork_and_wait(work, seconds=20):
    """The child's exit code; None when it hangs, after it is killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if hasattr(os, "waitstatus_to_exitcode") else os.WEXITSTATUS(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.parametrize("folder", [False, True])
def test_a_child_of_a_busy_parent_works(folder, models, tmp_path):
    engine = Engine(tmp_path / "j" if folder else None, models=models, segment_bytes=65536, compact_bytes=300_000, durability="every 1 ms")
    stop = threading.Event()
    errors = []

    def loop(work):
        try:
            i = 0
            while not stop.is_set():
                work(i)
                i += 1
        except Exception as e:  # shown by the assertion below
            errors.append(e)

    def observe(i):
        engine.observe(f"v{i % 500}", f"i{i % 40}", "purchase" if i % 5 == 0 else "view")

    def change(i):
        engine.merge_users(f"v{i % 500}", f"m{i % 20}")
        engine.erase_user(f"m{(i + 7) % 20}")

    works = [observe, observe, change, lambda i: engine.recommend(f"v{i % 500}"), lambda i: engine.publish(engine.snapshot),
             lambda i: engine.save(tmp_path / "parent.etalage")]
    threads = [threading.Thread(target=loop, args=(work,)) for work in works]
    for thread in threads:
        thread.start()

    def child():
        assert len(engine.recommend("v1", k=5).keys) == 5
        engine.user("v1")
        engine.metrics(), engine.failure, engine.durable_through()
        engine.save(tmp_path / "child.etalage")
        engine.publish(engine.snapshot)
        engine.rollback()
        if folder:
            for call in (lambda: engine.observe("v", "i1"), lambda: engine.erase_user("v1"), engine.sync, engine.compact):
                try:
                    call()
                except RuntimeError:
                    continue
                raise AssertionError("a child wrote its parent's journal")
        else:
            engine.observe("v", "i1")

    try:
        codes = [fork_and_wait(child) for _ in range(12)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 12 and not errors, errors
    assert len(Engine.load(tmp_path / "child.etalage").recommend("v1", k=5).keys) == 5
    del engine
    if folder:
        assert Engine(tmp_path / "j").recovery["cut_reason"] == ""


def test_a_first_key_of_the_other_kind_is_refused_once_models_are_published(models, tmp_path):
    with Engine(tmp_path / "journal", models=models) as engine:
        for wrong in (lambda: engine.observe("u1", 3), lambda: engine.observe(5, "i1"), lambda: engine.set_available(3, False)):
            with pytest.raises(ValueError, match="published snapshot|models' keys"):
                wrong()
        assert engine.observe("u1", "i1") > 0
        engine.set_available("i1", False)
