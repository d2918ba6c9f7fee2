# SPDX-License-Identifier: Apache-2.0
"""A learned ranker in a snapshot, fatigue, marginals, impressions in an engine's file; members that know nobody."""

import numpy as np
import pytest

import etalage
from etalage.models import ALS, Blend, LearnedRanker, Popularity, Transitions, Vectors
from etalage.serving import Engine, Snapshot


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 10)
    items = rng.integers(0, 10, 800) * 4 + users % 4
    log = etalage.EventLog.from_frame({"user": [f"u{u}" for u in users], "item": [f"i{i}" for i in items],
                                       "time": np.arange(800) * 60_000 + 1_700_000_000_000}, user="user", item="item", time="time", time_unit="ms")
    data = log.interactions()
    return log, {"als": ALS(factors=8, iterations=5, regularization=0.01, alpha=1.0).fit(data), "popularity": Popularity().fit(data)}


def test_a_snapshot_takes_a_ranker(shop, tmp_path):
    log, models = shop
    ranker = LearnedRanker([ALS(factors=8, iterations=5, regularization=0.01, alpha=1.0), Popularity()], method="linear").fit(log)
    mix = {"standard": {"sources": {"popularity": 40}}}
    snapshot = Snapshot(models, ranker=ranker, mix=mix)
    plain, second = Engine(models=models, mix=mix), Engine()
    second.publish(snapshot)
    everything = {"k": 40, "exclude_seen": False}
    before, after = plain.recommend("u5", **everything), second.recommend("u5", **everything)
    assert set(before.keys) == set(after.keys) and list(before.keys) != list(after.keys)
    assert list(Engine(models=models, ranker=ranker, mix=mix).recommend("u5", **everything).keys) == list(after.keys)
    snapshot.save(tmp_path / "s.snapshot")
    again = Engine()
    again.publish(Snapshot.load(tmp_path / "s.snapshot"))
    assert list(again.recommend("u5", **everything).keys) == list(after.keys)
    with pytest.raises(TypeError, match="ranker is a ALS, must be a models.LearnedRanker"):
        Snapshot(models, ranker=models["als"])
    with pytest.raises(etalage.NotFittedError, match="ranker"):
        Snapshot(models, ranker=LearnedRanker([ALS()]))


def test_fatigue(shop):
    engine = Engine(models=shop[1])
    ask = {"k": 5, "exclude_seen": False}
    top = engine.recommend("u1", log=True, **ask).keys[0]
    engine.recommend("u1", log=True, **ask)
    engine.fatigue("home", after=2, factor=0.0)
    assert top not in engine.recommend("u1", **ask).keys
    engine.fatigue("home", None)
    assert engine.recommend("u1", **ask).keys[0] == top
    for match, how in [("after", {"after": 0}), ("factor", {"factor": 2.0}), ("days", {"days": 0}), ("answers", {"answers": 300})]:
        with pytest.raises(ValueError, match=match):
            engine.fatigue("home", **how)


@pytest.mark.parametrize("number", ["x", 1.5, True, -1, 0, 2**70, 999])
def test_a_request_that_never_was_is_named(shop, number):
    engine = Engine(models=shop[1])
    key = engine.recommend("u1", k=5, exclude_seen=False, log=True).keys[0]
    with pytest.raises((TypeError, ValueError), match=f"request is {number!r}"):
        engine.observe("u1", key, "view", request=number)
    with pytest.raises((TypeError, ValueError), match=f"request(_id)? is {number!r}"):
        engine.replays(number)


def test_marginals_are_columns(shop):
    engine = Engine(models=shop[1], exploration={"home": {"policy": "softmax", "temperature": 0.3, "pool": 5}})
    for user in range(20):
        engine.recommend(f"u{user}", k=3, log=True)
    assert "marginal" not in engine.impressions().columns
    frame = engine.impressions(marginals=200)
    first, second, third = (frame["position"] == p for p in (1, 2, 3))
    assert np.array_equal(frame["marginal"][first], frame["propensity"][first])
    assert (frame["marginal_error"][first | second] == 0).all() and (frame["marginal_error"][third] > 0).all()
    assert ((frame["marginal"] > 0) & (frame["marginal"] < 1)).all()
    assert np.array_equal(frame["marginal"], engine.impressions(200)["marginal"])
    assert not np.array_equal(frame["marginal"], engine.impressions(200, seed=1)["marginal"])
    with pytest.raises(ValueError, match="marginals is -1"):
        engine.impressions(-1)


def test_impressions_are_in_an_engines_file(shop, tmp_path):
    engine = Engine(models=shop[1], exploration={"home": "softmax"})
    answer = engine.recommend("u1", k=3, log=True)
    engine.observe("u1", answer.keys[1], "purchase", request=answer.request_id)
    engine.save(tmp_path / "shop.engine")
    again = Engine.load(tmp_path / "shop.engine")
    before, after = engine.impressions(), again.impressions()
    assert all(np.array_equal(before[name], after[name]) for name in before.columns) and len(after) == 3
    assert again.replays(answer.request_id) and again.recommend("u1", log=True).request_id > answer.request_id


def brute(vectors, row):
    """Cosine of each item with the mean of a row's unit vectors."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit[row].mean(0)
    return unit @ (mean / np.linalg.norm(mean))


def test_vectors_of_items_alone_join_models_that_know_shoppers(shop):
    """They are asked by what the shopper did: kept, given, or in a session."""
    lists = shop[0].sequences()
    vectors = np.random.default_rng(3).normal(size=(40, 6)).astype(np.float32)
    content = Vectors(None, vectors, metric="cosine")
    blend = Blend([("content", content), ("steps", Transitions())], weights=[1, 0], method="zscore").fit(lists)
    assert blend.num_users == 80
    kept, scores = blend.recommend(np.arange(80), k=5, filter_already_liked_items=False)
    for user in range(80):
        row = np.asarray(lists.items[lists.offsets[user]:lists.offsets[user + 1]])
        expected = np.argsort(-brute(vectors, row), kind="stable")[:5]
        assert list(kept[user]) == list(expected)
    one, _ = blend.recommend(3, k=5, filter_already_liked_items=False)
    assert np.array_equal(one, kept[3])
    visit, _ = blend.recommend_session([1, 2, 7], k=5, exclude_last=False, filter_already_liked_items=False)
    assert list(visit) == list(np.argsort(-brute(vectors, [1, 2, 7]), kind="stable")[:5])
    ranker = LearnedRanker([("content", content), ("steps", Transitions())], method="linear").fit(lists)
    assert ranker.num_users == 80 and len(ranker.recommend(np.arange(3), k=5)[0]) == 3
    with pytest.raises(ValueError, match="knows 80 users and 40 items, must know as many as the first: 3"):
        Blend([("content", Vectors(np.zeros((3, 6), np.float32), vectors)), ("steps", Transitions())]).fit(lists)
