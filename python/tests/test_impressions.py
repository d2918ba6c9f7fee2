# SPDX-License-Identifier: Apache-2.0
"""What is shown, on record: ties, frames, kills, and what another policy would have earned. Draws themselves are tested in C++."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import etalage
from etalage.evaluation import impressions, off_policy
from etalage.serving import Engine


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{rng.integers(10) * 4 + u % 4}") for u in range(80) for _ in range(8)]
    data = etalage.Interactions.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows]})
    return {"als": etalage.models.ALS(factors=8, iterations=5, regularization=0.01, alpha=1.0).fit(data), "popularity": etalage.models.Popularity().fit(data)}


def test_an_answer_is_logged_on_request_alone(models):
    engine = Engine(models=models)
    assert engine.recommend("ann").request_id is None and len(engine.impressions()) == 0
    answer = engine.recommend("ann", k=5, placement="email", log=True)
    assert isinstance(answer.request_id, int)
    frame = engine.impressions()
    assert len(frame) == 5 and list(frame["item"]) == list(answer.keys) and list(frame["position"]) == [1, 2, 3, 4, 5]
    assert set(frame["request"]) == {answer.request_id} and set(frame["user"]) == {"ann"} and set(frame["placement"]) == {"email"}
    assert (frame["propensity"] == 1).all() and not frame["explored"].any() and set(frame["policy"]) == {"greedy"}
    assert frame["score"].dtype == np.float32 and np.array_equal(frame["score"], answer.scores) and list(frame["source"]) == answer.sources
    assert engine.impression_bytes() > 0


def test_events_are_tied_by_request_and_by_window(models):
    engine = Engine(models=models)
    engine.now = np.datetime64("2026-01-01T10:00")
    answer = engine.recommend("ann", k=3, log=True)
    engine.now = np.datetime64("2026-01-01T10:01")
    engine.observe("ann", answer.keys[0], request=answer.request_id)
    engine.observe("ann", answer.keys[0], request=answer.request_id, time=engine.now)  # told twice
    engine.observe("ann", answer.keys[1], "purchase")
    engine.observe("ann", answer.keys[1], "return")
    frame = engine.impressions()
    assert list(frame["view"]) == [1, 0, 0] and list(frame["purchase"]) == [0, 0, 0] and list(frame["return"]) == [0, 1, 0]
    assert list(frame["attributed"]) == ["request", "window", ""]
    before = engine.user("ann")
    for error, match, arguments in [
        (ValueError, r"request is 12345, must be the request_id of an answer that was logged", dict(item=answer.keys[0], request=12345)),
        (ValueError, r"item is 'i99', must be one that request \d+ showed", dict(item="i99", request=answer.request_id)),
        (ValueError, r"must not be before its request", dict(item=answer.keys[0], request=answer.request_id, time=np.datetime64("2026-01-01T09:00"))),
        (TypeError, r"integer", dict(item=answer.keys[0], request="one")),
    ]:
        with pytest.raises(error, match=match):
            engine.observe("ann", **arguments)
    assert engine.user("ann") == before
    engine.erase_user("ann")
    assert len(engine.impressions()) == 0
    with pytest.raises(ValueError, match="request is"):
        engine.observe("ann", answer.keys[0], request=answer.request_id)
    assert len(Engine(models=models, attribution_hours=0).impressions()) == 0


def test_a_returned_purchase_earns_nothing_wherever_it_is_counted(models):
    engine = Engine(models=models, exploration={"home": {"policy": "epsilon", "epsilon": 0.5, "slots": [0, 1], "pool": 4}})
    kept, brought_back = engine.recommend("ann", k=3, log=True), engine.recommend("bob", k=3, log=True)
    for user, answer in (("ann", kept), ("bob", brought_back)):
        engine.observe(user, answer.keys[1], "purchase", request=answer.request_id)
    engine.observe("bob", brought_back.keys[1], "return")
    shown = impressions.from_frame(engine.impressions(), outcomes=["purchase", "return"])
    assert shown.rewarded({"purchase": 2}).reward.tolist() == [0, 2, 0, 0, 0, 0]
    assert shown.outcomes["return"].tolist() == [0, 0, 0, 0, 1, 0]
    assert sum(rate.reacted for rate in impressions.counters(shown, "position", "purchase").rows) == 1
    mean = engine.what_if({"policy": "epsilon", "epsilon": 0.5}, reward={"purchase": 2}, estimators=("ips",), form="reward_interaction", allow_small=True)["ips"]
    assert mean.value == pytest.approx(shown.rewarded({"purchase": 2}).reward.sum() / 2)


def test_the_frame_is_read_by_arrow(models):
    pa = pytest.importorskip("pyarrow")
    engine = Engine(models=models, exploration={"home": {"policy": "softmax", "temperature": 0.3, "slots": [1], "pool": 5}})
    answer = engine.recommend("ann", k=3, log=True)
    engine.recommend(k=2, log=True)
    table = pa.table(engine.impressions())
    assert table["user"].to_pylist() == ["ann"] * 3 + [None] * 2
    assert table["item"].to_pylist()[:3] == list(answer.keys)
    assert table["explored"].to_pylist()[:3] == [0, 1, 0] and table["propensity"].to_pylist()[0] == 1 and 0 < table["propensity"].to_pylist()[1] < 1
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    pd = pytest.importorskip("pandas")
    frame = engine.impressions().to_pandas()
    assert isinstance(frame, pd.DataFrame) and frame.groupby("request").size().tolist() == [3, 2]
    numbers = Engine(models={"popularity": etalage.models.Popularity().fit(etalage.Interactions.from_frame({"user": [1, 2], "item": [7, 8]}))})
    numbers.recommend(5, k=2, log=True)
    numbers.recommend(k=1, log=True)
    assert pa.table(numbers.impressions())["user"].to_pylist() == [5, 5, None] and pa.table(numbers.impressions())["item"].type == pa.int64()
    assert len(pa.table(Engine(models=models).impressions())) == 0


def test_what_is_wrong_is_named(models):
    engine = Engine(models=models)
    for error, match, how in [(ValueError, r"policy is 'best' \(str\), must be 'greedy'", "best"), (ValueError, "epsilon is 2", {"epsilon": 2}),
                              (ValueError, "exploration has 'eps'", {"eps": 0.1}), (TypeError, "exploration is 3", 3), (TypeError, "slots is 4", {"slots": 4}),
                              (ValueError, "pool is 1", {"pool": 1}), (ValueError, "temperature is 0", {"policy": "softmax", "temperature": 0.0})]:
        with pytest.raises(error, match=match):
            engine.explore("home", how)
    with pytest.raises(ValueError, match="placement is 'front'"):
        engine.explore("front", "epsilon")
    with pytest.raises(ValueError, match="impression_days is 0"):
        Engine(impression_days=0)
    with pytest.raises(ValueError, match="no answer on record can be asked"):
        engine.what_if("greedy")
    with pytest.raises(ValueError, match="no answer on record can be asked"):
        engine.what_if(engine.snapshot)
    with pytest.raises(TypeError, match="policy_or_snapshot is 3"):
        engine.what_if(3)
    with pytest.raises(ValueError, match="request is 7"):
        engine.replays(7)


def test_what_if_is_what_the_other_policy_earns(models):
    """Clicks fall on known products with known chances, so the value of each policy can be counted by running it."""
    chance = {f"i{n}": 0.05 + 0.6 * (n % 7 == 3) for n in range(40)}

    def run(policy, seed, rounds=4000):
        rng = np.random.default_rng(seed)
        engine = Engine(models=models, attribution_hours=0)
        engine.explore("home", {"slots": [0, 1], "pool": 5, "seed": seed, **policy})
        engine.now = np.datetime64("2026-01-01")
        clicks = 0
        for n in range(rounds):
            answer = engine.recommend(f"u{n % 40}", k=3, log=True)
            for key in answer.keys:
                if rng.random() < chance[key]:
                    engine.observe(f"x{n}", key, request=answer.request_id)  # whoever acts, the answer is u's
                    clicks += 1
            assert n % 500 or engine.replays(answer.request_id)
        return engine, clicks / rounds

    engine, own = run({"policy": "epsilon", "epsilon": 0.8}, 1)
    other = {"policy": "softmax", "temperature": 0.5}
    _, truth = run(other, 2)
    found = engine.what_if(other)
    assert abs(found["ips"].value - truth) < 0.06 and found["ips"].interval[0] < truth + 0.03 and truth - 0.03 < found["ips"].interval[1]
    assert abs(engine.what_if({"policy": "epsilon", "epsilon": 0.8})["ips"].value - own) < 1e-12, "its own policy: every weight is 1"
    assert engine.what_if(other, reward={"view": 2.0})["ips"].value == pytest.approx(2 * found["ips"].value)
    with pytest.raises(ValueError, match="reward names 'click'"):
        engine.what_if(other, reward="click")
    with pytest.raises(off_policy.TooFewError):
        run({"policy": "epsilon", "epsilon": 0.9}, 3, rounds=30)[0].what_if("greedy")


def test_bootstrapped_models_draw_and_are_replayed():
    rng = np.random.default_rng(2)
    rows = [(u, int(rng.integers(10) * 4 + u % 4), 1_700_000_000_000 + int(rng.integers(10**9))) for u in range(80) for _ in range(8)]
    log = etalage.EventLog.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows], "time": [r[2] for r in rows]}, time="time", time_unit="ms")
    sources = {"als": etalage.models.ALS(factors=8, iterations=5), "popularity": etalage.models.Popularity()}
    plain = etalage.models.LearnedRanker(sources, method="linear").fit(log)
    ranker = etalage.models.LearnedRanker(sources, method="linear", bootstraps=5).fit(log)
    assert ranker.get_params()["bootstraps"] == 5 and ranker.linear_weights == plain.linear_weights, "the bag is beside what answers"
    models = {name: model for name, model in ranker.fitted_sources.items()}
    engine = Engine(models=models, ranker=plain)
    with pytest.raises(ValueError, match="policy of placement 'home' is 'bootstrap', which needs a snapshot whose ranker has bootstrapped models"):
        engine.explore("home", "bootstrap")
    engine = Engine(models=models, ranker=ranker, exploration={"home": {"policy": "bootstrap", "epsilon": 0.1, "pool": 6, "slots": [0]}})
    for n in range(600):
        answer = engine.recommend(n % 80, k=3, exclude_seen=False, log=True)
        assert n % 50 or engine.replays(answer.request_id)
        if n % 2:
            engine.observe(n % 80, answer.keys[0], request=answer.request_id)
    shown = engine.impressions(marginals=10)
    p = shown["propensity"][shown["explored"]]
    least = 0.1 / 6
    assert np.allclose((p - least) / 0.9 * 5, np.round((p - least) / 0.9 * 5)) and len(np.unique(p)) > 2, "a share of five models"
    assert np.array_equal(shown["marginal"][shown["explored"]], p) and set(shown["policy"]) == {"bootstrap"}
    found = engine.what_if({"policy": "bootstrap", "epsilon": 0.1})["ips"]
    assert found.value == pytest.approx(0.5) and found.ess == pytest.approx(600), "its own policy"
    assert engine.what_if({"policy": "bootstrap", "epsilon": 0.5})["snips"].ess < 600
    other = Engine(models=models, exploration={"home": "epsilon"})
    other.recommend(1, k=3, log=True)
    with pytest.raises(ValueError, match="policy is 'bootstrap', and request 1 was drawn by 'epsilon'"):
        other.what_if("bootstrap")
    for wrong in (1, -1, 257):
        with pytest.raises(ValueError, match="bootstraps is"):
            etalage.models.LearnedRanker(sources, bootstraps=wrong)


CHILD = """
import sys
import etalage
from etalage.serving import Engine
data = etalage.Interactions.from_frame({"user": ["a", "b", "a"], "item": ["x", "y", "z"]})
engine = Engine(sys.argv[1], durability="every event", models={"popularity": etalage.models.Popularity().fit(data)}, exploration={"home": "thompson"})
while True:
    answer = engine.recommend("ann", k=3, exclude_seen=False, log=True)
    engine.observe("ann", answer.keys[0], request=answer.request_id)
    if answer.request_id % 5 == 0:
        engine.sync()
        print(answer.request_id, answer.keys[0], flush=True)
    if answer.request_id % 400 == 0:
        engine.compact()
"""


def test_a_kill_loses_nothing_that_was_synced(tmp_path):
    told = {}
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path / "engine"], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        for _ in range(40):
            request, item = child.stdout.readline().split()
            told[int(request)] = item
        child.send_signal(signal.SIGKILL)
        child.wait()
        with Engine(tmp_path / "engine") as engine:
            frame = engine.impressions()
            first = dict(zip(frame["request"][frame["position"] == 1].tolist(), frame["item"][frame["position"] == 1]))
            viewed = dict(zip(frame["request"][frame["position"] == 1].tolist(), frame["view"][frame["position"] == 1].tolist()))
            assert all(first[request] == item and viewed[request] == 1 for request, item in told.items())
            assert all(engine.replays(request) for request in told)
    assert len(told) == 160
