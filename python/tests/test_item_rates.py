# SPDX-License-Identifier: Apache-2.0
"""Popularity by reactions per look of what was shown, alone and as a source of a learned ranker."""

import numpy as np
import pytest

import etalage
from etalage import models
from etalage.models import _ranker_data

DAY = 86_400_000
USERS, ITEMS, PLACES = 60, 30, 4
LOOKED = np.array([1.0, 0.6, 0.4, 0.25])


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), 8)
    item = rng.integers(ITEMS, size=len(user))
    item[:ITEMS] = np.arange(ITEMS)
    return etalage.EventLog.from_frame({"u": user, "i": np.array([f"p{i}" for i in item]), "t": np.sort(rng.integers(20 * DAY, size=len(user)))},
                                       user="u", item="i", time="t", time_unit="ms")


RATES = np.where(np.arange(ITEMS) % 5 == 0, 0.7, 0.1)  # of p0, p1, ...


def shown(requests=1200, seed=1):
    """Lists drawn at random; every fifth product is a hit."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(ITEMS)[:PLACES] for _ in range(requests)])
    return {"request": np.repeat(np.arange(requests), PLACES), "user": np.repeat(np.arange(requests) % USERS, PLACES),
            "item": np.array([f"p{i}" for i in items.ravel()]), "position": np.tile(np.arange(1, PLACES + 1), requests),
            "reward": (rng.random(items.shape) < LOOKED * RATES[items]).ravel().astype(float),
            "time": np.repeat(21 * DAY + np.arange(requests) * 60_000, PLACES)}


def rate_of(model, log):
    """By the number of the product."""
    return dict(zip((int(k[1:]) for k in log.item_ids), model.item_scores))


def test_scores_are_rates_per_look(log, tmp_path):
    frame = shown()
    model = models.Popularity("rate").fit(log, impressions=frame)
    found = rate_of(model, log)
    np.testing.assert_allclose([found[i] for i in range(ITEMS)], RATES, atol=0.2)
    assert np.mean([abs(found[i] - RATES[i]) for i in range(ITEMS)]) < 0.05
    items, scores = model.recommend(0, k=5, filter_already_liked_items=False)
    assert all(int(log.item_ids[i][1:]) % 5 == 0 for i in items) and (np.diff(scores) <= 0).all()
    model.save(tmp_path / "rates.etalage")
    again = etalage.load(tmp_path / "rates.etalage")
    assert again.count == "rate"
    np.testing.assert_array_equal(again.item_scores, model.item_scores)
    # What the log does not know is passed over; other names of columns do.
    strange = {n: np.concatenate([v, v[:1]]) for n, v in frame.items()}
    strange["item"][-1] = "who"
    strange["clicks"] = strange.pop("reward")
    same = models.Popularity("rate").fit(log, impressions=strange, columns={"reward": "clicks"})
    np.testing.assert_array_equal(same.item_scores, model.item_scores)


def test_a_place_below_is_not_held_against_a_product(log):
    rng = np.random.default_rng(2)
    n = 6000
    # p1 stands first and p2 last, p3 everywhere; all please alike, so only the place differs.
    item, position = rng.integers(1, 4, n), rng.integers(1, 5, n)
    position = np.where(item == 1, 1, np.where(item == 2, 4, position))
    frame = {"item": np.array([f"p{i}" for i in item]), "position": position, "reward": (rng.random(n) < 0.5 * LOOKED[position - 1]).astype(float)}
    found = rate_of(models.Popularity("rate").fit(log, impressions=frame), log)
    share = [frame["reward"][item == i].mean() for i in (1, 2)]
    assert share[0] > 3 * share[1] and found[1] < 1.25 * found[2] and found[2] < 1.25 * found[1]


def test_what_does_not_fit_together_is_refused(log):
    frame = shown(20)
    with pytest.raises(ValueError, match="impressions are not given, must be where count is 'rate'"):
        models.Popularity("rate").fit(log)
    with pytest.raises(ValueError, match="count is 'weights', must be 'rate'"):
        models.Popularity().fit(log, impressions=frame)
    with pytest.raises(ValueError, match="half_life_days is 7.0+, must be 0 where count"):
        models.Popularity("rate", half_life_days=7)
    with pytest.raises(NotImplementedError, match="Sequences"):
        models.Popularity("rate").fit(log.sequences(), impressions=frame)
    with pytest.raises(KeyError, match="position"):
        models.Popularity("rate").fit(log, impressions={n: v for n, v in frame.items() if n != "position"})
    for change, text in (({"reward": -frame["reward"] - 1}, "reward"), ({"position": 0 * frame["position"]}, "position"), ({"reward": 0 * frame["reward"]}, "above 0")):
        with pytest.raises(ValueError, match=text):
            models.Popularity("rate").fit(log, impressions={**frame, **change})
    model = models.Popularity("rate").fit(log, impressions=frame)
    with pytest.raises(ValueError, match="segments need one that counts events"):
        model.set_segments(np.zeros(USERS, np.int32))


def ranker(**options):
    return models.LearnedRanker([("knn", models.ItemKNN()), ("rate", models.Popularity("rate"))], method="linear", candidates=ITEMS, **options)


def test_a_ranker_learns_what_rates_are_worth(log):
    frame = shown()
    model = ranker().fit(log, impressions=frame, filter_already_liked_items=False)
    top = model.recommend(np.arange(USERS), k=6, filter_already_liked_items=False)[0]
    assert np.mean(RATES[[int(log.item_ids[i][1:]) for i in top.ravel()]] > 0.5) > 0.9
    with pytest.raises(ValueError, match="impressions are not given"):
        model.refit(log)
    # The weeks go on, other products are hits: what was learned of rates stays, rates are new.
    moved = {**frame, "item": np.array([f"p{(int(k[1:]) + 1) % ITEMS}" for k in frame["item"]])}
    top = model.refit(log, impressions=moved).recommend(np.arange(USERS), k=6, filter_already_liked_items=False)[0]
    assert np.mean([int(log.item_ids[i][1:]) % 5 == 1 for i in top.ravel()]) > 0.9


def test_rates_are_counted_on_what_is_older_than_what_is_learned_from(log):
    frame = shown(400)
    lists, head, counted = _ranker_data.impression_lists(log, frame, {}, ranker(max_lists=50), True)
    cut = 21 * DAY + 200 * 60_000
    np.testing.assert_array_equal(counted["reward"], frame["reward"][frame["time"] < cut])
    assert head.times.max() < cut
    model = ranker(max_lists=50).fit(log, impressions=frame)
    assert model.report["lists"] == 50 and model.report["asked"] == 200
    # Rewards of the newer half that have nothing to do with products teach that rates are worth nothing, however much they would fit themselves.
    rng = np.random.default_rng(4)
    newer = frame["time"] >= cut
    noise = {**frame, "reward": np.where(newer, rng.random(len(newer)) < 0.3, frame["reward"]).astype(float)}
    weight = {name: sum(abs(w[0]) for n, w in ranker().fit(log, impressions=f).linear_weights.items() if n.startswith("rate."))
              for name, f in (("noise", noise), ("true", frame))}
    assert weight["noise"] < 0.5 * weight["true"]
    for change, error, text in (({"time": 0 * frame["time"] + 21 * DAY}, ValueError, "all of one time"),
                                ({"reward": np.where(newer, frame["reward"], 0.0)}, ValueError, "older half")):
        with pytest.raises(error, match=text):
            ranker().fit(log, impressions={**frame, **change})
    with pytest.raises(KeyError, match="time"):
        ranker().fit(log, impressions={n: v for n, v in frame.items() if n != "time"})
