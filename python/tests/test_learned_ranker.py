# SPDX-License-Identifier: Apache-2.0
"""The learned second stage: the same features for learning and answering, no look ahead, missing values, impressions."""

import importlib.util
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import _core, evaluation, models

DAY = 86_400_000
USERS, ITEMS = 150, 60
LIGHTGBM = importlib.util.find_spec("lightgbm") is not None


def events(seed=0, days=60):
    """Users of five tastes who buy a new product of their taste every few days; every third day's product is in fashion."""
    rng = np.random.default_rng(seed)
    user, item, time = [], [], []
    for u in range(USERS):
        for day in range(int(rng.integers(5)), days, 5):
            user.append(u)
            item.append(int(rng.integers(ITEMS)) if rng.random() < 0.2 else 5 * int((day // 6 + rng.integers(3)) % (ITEMS // 5)) + u % 5)
            time.append(day * DAY + int(rng.integers(DAY)))
    return {"u": np.array(user), "i": np.array([f"p{i}" for i in item]), "t": np.array(time)}


def log_of(columns):
    return etalage.EventLog.from_frame(columns, user="u", item="i", time="t", time_unit="ms")


def new(**options):
    return models.LearnedRanker([("ease", models.EASE(l2=20)), ("knn", models.ItemKNN()), ("steps", models.Transitions())],
                                **{"method": "linear", "candidates": 30, **options})


@pytest.fixture(scope="module")
def log():
    return log_of(events())


@pytest.fixture(scope="module")
def fitted(log):
    return new().fit(log)


def test_it_answers_like_other_models(log, fitted):
    items, scores = fitted.recommend(np.arange(5), k=7)
    assert items.shape == (5, 7) and items.dtype == np.int32 and scores.dtype == np.float32
    assert (np.diff(scores, axis=1) <= 0).all()
    np.testing.assert_array_equal(fitted.score(0, None, items[0]), scores[0])
    keys, _ = fitted.recommend_ids([log.user_ids[3], 10**6], k=4)
    assert keys.shape == (2, 4) and all(k.startswith("p") for k in keys[0])
    assert fitted.recommend_session([0, 1], k=5)[0].shape == (5,)
    assert fitted.report["method"] == "linear" and 0 < fitted.report["lists"] <= fitted.report["asked"]
    assert set(fitted.linear_weights) == set(fitted.feature_names)


def test_it_orders_better_than_its_sources_mixed_alike():
    columns = events(3)
    cut = int(np.quantile(columns["t"], 0.85))
    parts = evaluation.split.temporal(log_of(columns), cut)
    ranker = new().fit(parts.train)
    blend = models.Blend(list(new().sources)).fit(parts.train)
    test = parts.test.interactions()
    learned = evaluation.evaluate(ranker, parts.train, test, k=(10,), metrics=("ndcg",))
    mixed = evaluation.evaluate(blend, parts.train, test, k=(10,), metrics=("ndcg",))
    assert learned["ndcg@10"] > mixed["ndcg@10"]


def test_learning_and_answering_see_the_same_bits(log, fitted):
    model = fitted._fitted()
    held = sp.random(USERS, ITEMS, 0.1, "csr", dtype=np.float32, random_state=2)
    held.resize((model.num_users, model.num_items))
    lists = model.lists(held, 10**6, True, 10**6)
    users = np.flatnonzero(np.diff(held.indptr))[lists["queries"]]
    for n, user in enumerate(users[:40]):
        part = slice(lists["offsets"][n], lists["offsets"][n + 1])
        x = fitted.features(int(user), lists["items"][part])
        np.testing.assert_array_equal(x.view(np.uint32), lists["rows"][part].view(np.uint32))
        np.testing.assert_array_equal(model.linear.predict(x).astype(np.float32), fitted.score(int(user), None, lists["items"][part]))
    alone = model.lists(held, 10**6, True, 10**6, 0, 1)
    for name in ("items", "offsets", "gains"):
        np.testing.assert_array_equal(alone[name], lists[name])
    np.testing.assert_array_equal(alone["rows"].view(np.uint32), lists["rows"].view(np.uint32))


def test_what_comes_after_the_cut_reaches_no_feature(monkeypatch):
    """A leak is planted: after the cut one product is taken by everybody. What is learned from must not differ by it."""
    columns = events(1)
    # Somebody took everything first, so that products have the same numbers in both logs.
    everything = {"u": np.full(ITEMS, USERS), "i": np.array([f"p{i}" for i in range(ITEMS)]), "t": np.zeros(ITEMS, int)}
    columns = {n: np.concatenate([everything[n], c]) for n, c in columns.items()}
    cut = int(np.quantile(columns["t"], 0.9, method="nearest"))
    seen = []
    real = _core.LearnedRankerModel.lists

    def lists(self, *args):
        seen.append(real(self, *args))
        return seen[-1]

    monkeypatch.setattr(_core.LearnedRankerModel, "lists", lists)
    new().fit(log_of(columns), filter_already_liked_items=False)
    planted = {n: c.copy() for n, c in columns.items()}
    late = np.flatnonzero(planted["t"] >= cut)
    planted["i"][late[::2]] = "p0"
    new().fit(log_of(planted), filter_already_liked_items=False)
    rows = [{(q, i): x for q, i, x in zip(np.repeat(s["queries"], np.diff(s["offsets"])), s["items"], s["rows"].view(np.uint32).tolist())} for s in seen]
    shared = rows[0].keys() & rows[1].keys()
    assert len(shared) > 100
    # Queries are numbered among those who took something later, who are the same.
    same = sum(rows[0][key] == rows[1][key] for key in shared)
    assert same == len(shared)


def test_a_source_that_saw_the_targets_is_found(log):
    parts = evaluation.split.temporal(log, int(np.quantile(log.times, 0.9)))
    leaking = models.EASE(l2=20).fit(log)
    with pytest.raises(ValueError, match="'ease' was fitted on .* of the pairs of valid"):
        models.LearnedRanker([("ease", leaking), ("knn", models.ItemKNN())], "linear").fit(
            parts.train, parts.test.interactions(), refit_sources=False)
    honest = models.EASE(l2=20).fit(parts.train)
    ranker = models.LearnedRanker([("ease", honest)], "linear").fit(parts.train, parts.test.interactions(), refit_sources=False)
    assert ranker.fitted_sources["ease"].report is not None
    # With refit_sources the given fit does not count.
    models.LearnedRanker([("ease", leaking)], "linear").fit(parts.train, parts.test)


def test_unknown_is_missing(log):
    n = len(log.item_ids)
    prices = np.arange(1, n + 1, dtype=np.float32)
    prices[3] = np.nan
    categories = np.arange(n) % 5
    categories[3] = -1
    vectors = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    vectors[3] = 0
    ranker = new().fit(log, prices=prices, categories=categories, vectors=vectors)
    x = ranker.features(0, [3, 4])
    at = {name: x[:, c] for c, name in enumerate(ranker.feature_names)}
    for name in ("price", "price_gap", "price_band", "category_share", "vector_best"):
        assert np.isnan(at[name][0]) and np.isfinite(at[name][1]), name
    assert np.isnan(at["position"]).all()
    assert np.isfinite(ranker.recommend(0, k=20)[1]).all()
    plain = models.LearnedRanker([models.EASE(l2=20), models.ItemKNN()], "linear").fit(log.interactions())
    for name, column in zip(plain.feature_names, plain.features(0, [3]).T):
        if name in ("age_days", "days_since", "recent", "trend", "shopper_idle_days"):
            assert np.isnan(column[0]), name


def test_bad_input_is_named(log):
    for options, error, text in ((dict(method="net"), ValueError, "method"), (dict(l2=0), ValueError, "l2"), (dict(candidates=0), ValueError, "candidates"),
                                 (dict(folds=1), ValueError, "folds"), (dict(anchors=0), ValueError, "anchors"), (dict(learning_rate="x"), TypeError, "learning_rate")):
        with pytest.raises(error, match=text):
            new(**options)
    with pytest.raises(ValueError, match="empty"):
        models.LearnedRanker([])
    with pytest.raises(ValueError, match="first stage"):
        models.LearnedRanker([("a", new())])
    with pytest.raises(TypeError, match="sources"):
        models.LearnedRanker([("a", 3)])
    with pytest.raises(ValueError, match="prices"):
        new().fit(log, prices=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="share"):
        new().fit(log, share=1)
    with pytest.raises(_core.NotFittedError):
        new().recommend(0)


def test_kept_whole(tmp_path, fitted):
    fitted.save(tmp_path / "ranker")
    again = etalage.load(tmp_path / "ranker")
    assert type(again) is models.LearnedRanker and again.candidates == 30 and again.method == "linear" and again.report == fitted.report
    for other in (again, pickle.loads(pickle.dumps(fitted))):
        for a, b in zip(other.recommend(np.arange(20), k=10), fitted.recommend(np.arange(20), k=10)):
            np.testing.assert_array_equal(a, b)


def test_clone():
    base = pytest.importorskip("sklearn.base")
    ranker = new(l2=0.5)
    other = base.clone(ranker)
    assert other.get_params() == ranker.get_params() and other._model is None


def test_a_blend_and_sequences(log):
    blend = models.Blend([("steps", models.Transitions()), ("knn", models.SessionKNN())])
    ranker = models.LearnedRanker(blend, "linear", 30).fit(log.sequences())
    assert [name for name, _ in ranker.sources] == ["steps", "knn"]
    result = evaluation.evaluate_next(ranker, log.sequences(), "last", k=(10,), metrics=("hit_rate",))
    assert result["hit_rate@10"] > 0
    before = ranker.recommend(0, k=5)[1]
    ranker.refit(log.sequences())
    np.testing.assert_array_equal(ranker.recommend(0, k=5)[1], before)


def impressions(log, seed=0, requests=600, examined=(1.0, 0.3, 0.15, 0.1)):
    """Lists of four at random places; even products please three times as much as odd ones, and low places are seen less."""
    rng = np.random.default_rng(seed)
    out = {n: [] for n in ("request", "user", "item", "position", "reward", "time", "propensity")}
    for r in range(requests):
        shown = rng.permutation(len(log.item_ids))[:4]
        for place, item in enumerate(shown):
            out["request"].append(r)
            out["user"].append(log.user_ids[r % USERS])
            out["item"].append(log.item_ids[item])
            out["position"].append(place + 1)
            pleases = 0.6 if int(log.item_ids[item][1:]) % 2 == 0 else 0.2
            out["reward"].append(float(rng.random() < examined[place] * pleases))
            out["time"].append(int(log.times.max()) + 1 + r)
            out["propensity"].append(1 / len(log.item_ids))
    return {n: np.array(v) for n, v in out.items()}


def test_impressions_give_the_place_its_due(log):
    shown = impressions(log)
    # One number a product says whether it pleases; half of the odd ones stood first always.
    prices = np.array([2.0 if int(k[1:]) % 2 == 0 else 1.0 for k in log.item_ids], np.float32)
    ranker = new().fit(log, impressions=shown, prices=prices)
    weights = ranker.linear_weights
    # Within a list price and what is made of it go together, and share the weight.
    assert weights["position"][0] < -0.2 and sum(weights[n][0] for n in ("price", "price_gap", "price_band")) > 0.3
    at = {name: c for c, name in enumerate(ranker.feature_names)}
    assert (ranker.features(0, [1, 2])[:, at["position"]] == 1).all()
    renamed = {**{n: v for n, v in shown.items() if n != "reward"}, "bought": shown["reward"]}
    same = new().fit(log, impressions=renamed, prices=prices, columns={"reward": "bought"})
    np.testing.assert_array_equal(same.recommend(0)[1], ranker.recommend(0)[1])
    clicked = {**{n: v for n, v in shown.items() if n not in ("reward", "propensity")}, "clicked": shown["reward"].astype(int)}
    new().fit(log, impressions=clicked)


def test_what_was_hardly_ever_shown_counts_no_more_than_max_weight(log):
    shown = impressions(log, requests=200)
    rng = np.random.default_rng(2)
    shown["propensity"] = np.where(rng.random(len(shown["item"])) < 0.5, 1e-4, 1 / 3)

    def weights(frame, **options):
        return [w[0] for w in new(**options).fit(log, impressions=frame).linear_weights.values()]

    unweighted = {n: v for n, v in shown.items() if n != "propensity"}
    cut = {**shown, "propensity": np.maximum(shown["propensity"], 1 / 20)}
    np.testing.assert_array_equal(weights(shown, max_weight=1), weights(unweighted))
    np.testing.assert_array_equal(weights(shown, max_weight=20), weights(cut, max_weight=1e6))
    assert weights(shown, max_weight=1e6) != weights(shown, max_weight=20)
    with pytest.raises(ValueError, match="max_weight is 0.5, must be >= 1"):
        new(max_weight=0.5).fit(log, impressions=shown)


def test_bad_impressions_are_named(log):
    shown = impressions(log, requests=20)
    for change, error, text in (
            ({"propensity": 0 * shown["propensity"]}, ValueError, "propensity"), ({"reward": 0 * shown["reward"]}, ValueError, "nothing was taken"),
            ({"position": 0 * shown["position"]}, ValueError, "position"), ({"time": shown["time"] * 1.5}, TypeError, "time"),
            ({"user": log.user_ids[np.arange(80) % USERS]}, ValueError, "several users"), ({"time": 0 * shown["time"]}, ValueError, "before the first"),
            ({"reward": -shown["reward"]}, ValueError, "reward"), ({"request": shown["request"][:3]}, ValueError, "lengths")):
        with pytest.raises(error, match=text):
            new().fit(log, impressions={**shown, **change})
    with pytest.raises(KeyError, match="item"):
        new().fit(log, impressions={n: v for n, v in shown.items() if n != "item"})
    with pytest.raises(ValueError, match="both given"):
        new().fit(log, log, impressions=shown)


@pytest.mark.skipif(not LIGHTGBM, reason="lightgbm is not installed")
def test_trees_are_scored_natively(log, tmp_path):
    ranker = new(method="lambdarank", num_trees=40, min_rows_in_leaf=20, learning_rate=0.1).fit(log, share=0.3)
    report = ranker.report
    assert report["method"] == "lambdarank" and report["ndcg_trees"] >= report["ndcg_linear"] and report["trees"] % 10 == 0
    assert report["start"] in ("linear", "nothing") and (ranker.linear_weights is None) == (report["start"] == "nothing")
    model = ranker._fitted()
    x = ranker.features(0, np.arange(20, dtype=np.int32))
    expected = sum(part.predict(x) for part in (model.linear, model.trees) if part is not None)
    np.testing.assert_array_equal(ranker.score(0, None, np.arange(20)), expected.astype(np.float32))
    ranker.save(tmp_path / "r")
    np.testing.assert_array_equal(etalage.load(tmp_path / "r").recommend(1)[1], ranker.recommend(1)[1])
    again = new(method="lambdarank", num_trees=40, min_rows_in_leaf=20, learning_rate=0.1).fit(log, share=0.3)
    np.testing.assert_array_equal(again.recommend(1)[1], ranker.recommend(1)[1])


def test_without_lightgbm(log, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "lightgbm" else find(name, *a))
    assert new(method="auto").fit(log).report["method"] == "linear"


def linear_loss(w, m, ranker, rows, offsets, gains, l2):
    z = (rows - ranker.means) * ranker.inverse_deviations
    scores = np.where(np.isnan(rows), m, np.nan_to_num(z) * w).sum(axis=1)
    losses = []
    for b, e in zip(offsets[:-1], offsets[1:]):
        if gains[b:e].sum() > 0:
            t = gains[b:e] / gains[b:e].sum()
            losses.append(np.log(np.exp(scores[b:e]).sum()) - t @ scores[b:e])
    return np.mean(losses) + l2 / 2 * ((w**2).sum() + (m**2).sum())


def test_the_linear_ranker_is_at_its_optimum():
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    rows = rng.normal(size=(120, 3)).astype(np.float32)
    rows[rng.random((120, 3)) < 0.1] = np.nan
    offsets = np.arange(0, 121, 6)
    gains = np.zeros(120, np.float32)
    gains[[b + int(np.nanargmax(rows[b:b + 6, 0])) for b in offsets[:-1]]] = 1
    ranker = _core.LinearRanker.fit(rows, offsets, gains, None, 0.05)
    found = minimize(lambda v: linear_loss(v[:3], v[3:], ranker, rows, offsets, gains, 0.05), np.zeros(6), tol=1e-12)
    assert ranker.report["loss"] == pytest.approx(found.fun, abs=1e-9)
    np.testing.assert_allclose(np.concatenate([ranker.weights, ranker.missing_weights]), found.x, atol=1e-4)
    with pytest.raises(ValueError, match="gain above 0"):
        _core.LinearRanker.fit(rows, offsets, 0 * gains)


def test_the_linear_ranker_keeps_to_what_its_lists_held():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(120, 2)).astype(np.float32)
    offsets = np.arange(0, 121, 6)
    gains = np.zeros(120, np.float32)
    gains[[b + int(rows[b:b + 6, 0].argmax()) for b in offsets[:-1]]] = 1
    ranker = _core.LinearRanker.fit(rows, offsets, gains, None, 0.05)
    low, high = rows[:, 0].min(), rows[:, 0].max()
    at = lambda x: ranker.predict(np.array([[x, 0.5]], np.float32))[0]
    assert at(low) < at(0) < at(high)
    assert [at(low - 1), at(high + 1), at(high * 1e6)] == [at(low), at(high), at(high)]


def test_an_engine_serves_it(log, fitted):
    from etalage.serving import Engine

    engine = Engine(models={"ranker": fitted})
    answer = engine.recommend(user=log.user_ids[2], k=5)
    assert len(answer.keys) == 5 and set(answer.sources) == {"ranker"}
    seen = set(log.item_ids[log.items[log.users == 2]])
    assert not seen & set(answer.keys)
