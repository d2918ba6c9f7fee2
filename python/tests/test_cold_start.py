# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS, ColdStart, ExplorationSlot


@pytest.fixture(scope="module")
def store():
    return etalage.datasets.synthetic_store(users=400, items=200, seed=9)


@pytest.fixture(scope="module")
def cold_items(store):
    return np.random.default_rng(0).permutation(200)[:40]


@pytest.fixture(scope="module")
def model(store, cold_items):
    log = store.log.filtered(~np.isin(store.log.items, cold_items))
    data = log.interactions(event_weights={"view": 1, "cart": 3, "purchase": 5, "return": 0})
    return ALS(factors=16, iterations=6, alpha=0.1, unobserved_weight=0.1, regularization=0.05).fit(data)


def recall(model_factors, cold_factors, store, cold_items):
    log = store.log
    bought = sp.csr_matrix((np.ones(len(log), np.float32), (log.users, log.items)), shape=(log.num_users, log.num_items))[:, cold_items]
    wanted = bought.toarray() > 0
    users = wanted.any(axis=1)
    top = np.argsort(-(model_factors[users] @ cold_factors.T), axis=1)[:, :10]
    return (np.take_along_axis(wanted[users], top, 1).sum(1) / wanted[users].sum(1)).mean()


def test_new_products_are_ranked_better_than_by_chance(store, catalog, model, cold_items):
    cold = ColdStart(model, catalog)
    rows = catalog.item_index(list(np.asarray(store.log.item_ids)[cold_items]))
    found = recall(model.user_factors, cold.factors(catalog)[rows], store, cold_items)
    chance = recall(model.user_factors, np.random.default_rng(1).standard_normal((40, 16)), store, cold_items)
    assert found > 1.25 * chance
    assert set(cold.options) == {"power", "regularization", "support_power", "target_power", "evenness", "max_rows", "num_threads"}


def test_extended_model_keeps_what_is_known(store, catalog, model, cold_items):
    cold = ColdStart(model, catalog)
    extended = cold.extended(catalog)
    assert set(extended.item_ids) == set(catalog.item_ids)
    warm = np.setdiff1d(np.arange(200), cold_items)
    touched = [i for i in warm if (model.item_factors[i] != 0).any()]
    np.testing.assert_array_equal(extended.item_factors[touched], model.item_factors[touched])
    keys = np.asarray(store.log.item_ids)
    np.testing.assert_array_equal(extended.item_factors[cold_items], cold.factors(catalog)[catalog.item_index(list(keys[cold_items]))])
    items, _ = extended.recommend(3, k=200)
    assert np.isin(items, cold_items).any()


def test_a_matrix_of_features_is_the_closed_form(model):
    rng = np.random.default_rng(2)
    x = (rng.random((model.num_items, 8)) < 0.4).astype(np.float32)
    cold = ColdStart(model, sp.csr_matrix(x), power=2, regularization=1.5, support_power=0.5)
    y = np.asarray(model.item_factors, np.float64)
    known = (y != 0).any(axis=1)
    counts = np.bincount(model.user_items.indices, minlength=model.num_items)[known]
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    z = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0).astype(np.float64)
    c = z @ z.T
    k = (c + c**2) / 2
    w = np.sqrt(np.maximum(counts, 1))
    w = w / w.mean()
    has = z[known].any(axis=1)
    mean = (w[:, None] * y[known]).sum(0) / w.sum()
    a = np.linalg.solve(k[np.ix_(known, known)][np.ix_(has, has)] + 1.5 * np.diag(1 / w[has]), (y[known] - mean)[has])
    expected = mean + k[:, known][:, has] @ a
    np.testing.assert_allclose(cold.factors(x), expected, atol=2e-5)


def test_new_people_from_attributes_and_session(store, model):
    groups = np.eye(store._core.num_segments, dtype=np.float32)[store.segments]
    cold = ColdStart(model, groups, side="users")
    features = np.eye(store._core.num_segments, dtype=np.float32)[:3]
    items, scores = cold.recommend_new(features, k=5)
    assert items.shape == (3, 5) and (np.diff(scores, axis=1) <= 0).all()
    session = [int(items[0, 0]), int(items[0, 1])]
    again, _ = cold.recommend_new(features, k=5, session_items=[session, [], []])
    assert not set(again[0]) & set(session)
    np.testing.assert_array_equal(again[1], items[1])
    alone, _ = cold.recommend_new(features, k=5, session_items=[session, [], []], strength=0.0)
    expected, _ = model.recommend_session(session, k=5)
    np.testing.assert_array_equal(alone[0], expected)


def test_files(tmp_path, catalog, model):
    cold = ColdStart(model, catalog, power=2)
    cold.save(tmp_path / "c.etalage")
    np.testing.assert_array_equal(ColdStart.load(tmp_path / "c.etalage", model).factors(catalog), cold.factors(catalog))


def test_bad_input_is_named(catalog, model):
    with pytest.raises(ValueError, match="side is 'shops'"):
        ColdStart(model, catalog, side="shops")
    with pytest.raises(ValueError, match="features has 3 rows"):
        ColdStart(model, np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="regularization is 0"):
        ColdStart(model, catalog, regularization=0)
    with pytest.raises(TypeError, match="factors"):
        ColdStart(etalage.models.Popularity().fit(model.user_items), catalog)
    with pytest.raises(etalage.NotFittedError):
        ColdStart(ALS(), catalog)
    with pytest.raises(ValueError, match="share"):
        ExplorationSlot(share=2)


def test_exploration_slot():
    slot = ExplorationSlot(share=1.0, position=1)
    items, scores, place = slot.place(np.array([5, 6, 7], np.int32), np.array([3, 2, 1], np.float32), np.array([9], np.int32), 0)
    assert place == 1 and list(items) == [5, 9, 6] and list(scores) == [3, 2, 2]
    assert slot.place(items, scores, np.array([9], np.int32), 0)[2] is None
    slot.shown(9)
    slot.clicked(9)
    assert slot.rate(9) == pytest.approx(2 / 21)
