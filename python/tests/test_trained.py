# SPDX-License-Identifier: Apache-2.0
"""What was fitted on a log knows how far the log goes: Interactions, models, files, snapshots."""

import pickle

import numpy as np
import pytest

import etalage
from etalage.serving import Engine, Snapshot

NEWEST = 1_700_000_900_000
LIGHT = {"ALS": {"factors": 4, "iterations": 2}, "BPR": {"factors": 4, "epochs": 1}, "WARP": {"factors": 4, "epochs": 1},
         "FeatureALS": {"factors": 4, "iterations": 2}, "Item2Vec": {"factors": 4, "epochs": 1}}
KINDS = [m for m in ("ALS", "BPR", "WARP", "FeatureALS", "EASE", "SLIM", "ItemKNN", "UserKNN", "P3alpha", "RP3beta", "GraphFilter", "Popularity",
                     "SessionKNN", "Transitions", "SequentialRules", "LinearSequence", "RepeatPurchase", "Item2Vec")]


def columns(times=True):
    rng = np.random.default_rng(3)
    n = 400
    out = {"user": [f"u{u}" for u in rng.integers(0, 20, n)], "item": [f"i{i}" for i in rng.integers(0, 12, n)]}
    if times:
        out["time"] = NEWEST - rng.permutation(n) * 60_000
    return out


def log(times=True):
    return etalage.EventLog.from_frame(columns(times), time="time" if times else None, time_unit="ms" if times else None)


def test_interactions_carry_it_and_their_pickles_do():
    data = log().interactions()
    assert data.newest_ms == NEWEST == pickle.loads(pickle.dumps(data)).newest_ms
    assert etalage.Interactions.from_frame(columns(), time="time", time_unit="ms").newest_ms == NEWEST
    assert log(times=False).interactions().newest_ms is None
    assert etalage.Interactions.from_csr(data.user_items).newest_ms is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_of_a_log_carries_it_and_its_files_do(kind, tmp_path):
    model = getattr(etalage.models, kind)(**LIGHT.get(kind, {}))
    model.fit(log())
    assert model._model.newest_ms == NEWEST
    model.save(tmp_path / "m.etalage")
    for again in (etalage.load(tmp_path / "m.etalage"), pickle.loads(pickle.dumps(model))):
        assert again._model.newest_ms == NEWEST
        assert Snapshot({"m": again})._core.trained_ms == NEWEST
    assert Snapshot({"m": model}, trained=17)._core.trained_ms == 17
    assert Snapshot({"m": model, "p": etalage.models.Popularity().fit(log(times=False))})._core.trained_ms == NEWEST
    if kind != "RepeatPurchase":  # which needs times
        assert model.fit(log(times=False))._model.newest_ms is None  # of the last fit, not of one before


def test_a_blend_knows_what_its_members_know():
    blend = etalage.models.Blend({"knn": etalage.models.ItemKNN(), "popularity": etalage.models.Popularity()}).fit(log())
    assert blend._model.newest_ms == NEWEST and Snapshot({"m": blend})._core.trained_ms == NEWEST


def test_the_log_of_the_fit_told_again_changes_no_answer():
    """Without `trained` each event of the log would count twice: in the factors and as a live event."""
    model = etalage.models.ALS(factors=8, iterations=4, alpha=10.0).fit(log())
    only = {"standard": {"sources": {"als": (50, 1.0)}, "fallback": []}}  # what is popular now may change
    with Engine() as told, Engine() as silent:
        for engine in (told, silent):
            engine.publish(Snapshot({"als": model}, mix=only))
        told.now = silent.now = NEWEST + 3_600_000
        told.observe_log(log(), "view")
        for user in ("u1", "u5", "u19"):
            a = told.recommend(user, k=5, exclude_seen=False)
            b = silent.recommend(user, k=5, exclude_seen=False)
            assert list(a.keys) == list(b.keys)
            np.testing.assert_array_equal(a.scores, b.scores)
        told.observe("u1", "i3", time=NEWEST + 1)
        assert not np.array_equal(told.recommend("u1", k=5, exclude_seen=False).scores, silent.recommend("u1", k=5, exclude_seen=False).scores)


def test_a_customer_of_a_year_is_not_new():
    day = 86_400_000
    start = 1_700_000_000_000
    catalog = etalage.Catalog(["a", "b"], prices=[10.0, 3.0])
    with Engine(catalog=catalog, history_limit=4) as engine:
        for week in range(52):
            engine.now = start + week * 7 * day
            engine.observe("ann", "a", "purchase", value=2)
            for _ in range(5):
                engine.now = start + week * 7 * day + 60_000
                engine.observe("ann", "b", "view")
        engine.now = start + 364 * day
        ann = engine.profile("ann")
        assert ann.segment == "loyal" and ann.orders == 52 and ann.money == pytest.approx(52 * 20)
