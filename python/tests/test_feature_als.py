# SPDX-License-Identifier: Apache-2.0
"""FeatureALS against its objective in NumPy: values, minimum of every part, cold rows, files."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS, FeatureALS

OPTIONS = dict(factors=5, regularization=0.02, alpha=0.7, unobserved_weight=0.1, nu=1.0, feature_regularization=0.5, seed=3)


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(1)
    users, items = 30, 24
    kind, taste = rng.integers(0, 3, items), rng.integers(0, 3, users)
    likes = (rng.random((users, items)) < np.where(taste[:, None] == kind, 0.5, 0.1)) * rng.integers(1, 4, (users, items))
    likes[:, -2:] = 0  # items that nobody had
    likes[-1] = 0
    likes[3, 4] = -2
    return (sp.csr_matrix(likes, dtype=np.float32), sp.csr_matrix(np.eye(3)[taste], dtype=np.float32),
            sp.csr_matrix(np.hstack([np.eye(3)[kind], rng.random((items, 1))]), dtype=np.float32))


def ridges(model, rows):
    seen, other = np.diff(rows.indptr), rows.shape[1]
    return np.where(seen > 0, model.regularization * (seen + model.unobserved_weight * other) ** model.nu, 0)


def objective(model, rows, a, b):
    dense, x, y = rows.toarray().astype(float), model.user_factors.astype(float), model.item_factors.astype(float)
    u, v = model.user_feature_factors.astype(float), model.item_feature_factors.astype(float)
    warm = np.outer(np.diff(rows.indptr) > 0, np.diff(rows.tocsc().indptr) > 0)
    c = np.where(dense == 0, model.unobserved_weight, 1 + model.alpha * abs(dense)) * warm
    return ((c * ((dense > 0) - x @ y.T) ** 2).sum()
            + (ridges(model, rows) * ((x - a @ u) ** 2).sum(1)).sum() + (ridges(model, rows.T.tocsr()) * ((y - b @ v) ** 2).sum(1)).sum()
            + model.feature_regularization * ((u**2).sum() + (v**2).sum()))


@pytest.mark.parametrize("solver", ["cg", "cholesky", "subspace"])
def test_objective_is_the_formula_and_falls(shop, solver):
    rows, a, b = shop
    model = FeatureALS(**OPTIONS, solver=solver, iterations=8).fit(rows, user_features=a, item_features=b)
    falls = np.array(model.report.objective)
    assert (np.diff(falls) <= 1e-6 * falls[0]).all()
    assert np.isclose(falls[-1], objective(model, rows, a, b), rtol=1e-5)
    assert np.isclose(model.objective(rows), falls[-1], rtol=1e-5)


def test_every_part_is_at_its_minimum(shop):
    rows, a, b = shop
    model = FeatureALS(**OPTIONS, solver="cholesky", iterations=400).fit(rows, user_features=a, item_features=b)
    dense, x, y = rows.toarray().astype(float), model.user_factors.astype(float), model.item_factors.astype(float)
    warm = np.diff(rows.tocsc().indptr) > 0
    prior = a @ model.user_feature_factors.astype(float)
    for user, ridge in enumerate(ridges(model, rows)):
        if ridge == 0:
            np.testing.assert_allclose(x[user], prior[user], atol=1e-5)
            continue
        c = np.where(dense[user] == 0, model.unobserved_weight, 1 + model.alpha * abs(dense[user])) * warm
        expected = np.linalg.solve((y.T * c) @ y + ridge * np.eye(5), (y.T * c) @ (dense[user] > 0) + ridge * prior[user])
        np.testing.assert_allclose(x[user], expected, atol=2e-3)
    weights = ridges(model, rows.T.tocsr())
    expected = np.linalg.solve((b.T.toarray() * weights) @ b.toarray() + model.feature_regularization * np.eye(b.shape[1]),
                               (b.T.toarray() * weights) @ y)
    np.testing.assert_allclose(model.item_feature_factors, expected, atol=1e-5)
    np.testing.assert_allclose(y[~warm], (b @ model.item_feature_factors)[~warm], atol=1e-5)


def test_without_features_it_is_als(shop):
    rows = shop[0][:-1, :-2]
    shared = {k: v for k, v in OPTIONS.items() if k != "feature_regularization"}
    mine = FeatureALS(**OPTIONS, solver="cholesky", iterations=300).fit(rows)
    other = ALS(**shared, solver="cholesky", iterations=300).fit(rows)
    assert np.isclose(mine.report.objective[-1], other.report.objective[-1], rtol=1e-2)  # two starts


def test_same_bits_for_any_number_of_threads(shop):
    rows, a, b = shop
    one, three = (FeatureALS(**OPTIONS, iterations=3, num_threads=n).fit(rows, user_features=a, item_features=b) for n in (1, 3))
    np.testing.assert_array_equal(one.item_factors, three.item_factors)
    np.testing.assert_array_equal(one.user_feature_factors, three.user_feature_factors)


def test_newcomers_from_features_and_files(shop, tmp_path):
    rows, a, b = shop
    data = etalage.Interactions.from_csr(rows, user_ids=[f"u{u}" for u in range(rows.shape[0])], item_ids=np.arange(rows.shape[1]))
    model = FeatureALS(**OPTIONS, iterations=10).fit(data, user_features=a, item_features=b)
    new = sp.csr_matrix(np.array([[1, 0, 0, 0.5], [0, 1, 0, 0.5]], np.float32))
    np.testing.assert_allclose(model.item_rows(new), new @ model.item_feature_factors, atol=1e-6)
    rows_before = model.item_rows(new)
    model.add_items(new, item_ids=[900, 901]).add_users(a[:1], user_ids=["new"])
    assert model.num_items == rows.shape[1] + 2 and model.num_users == rows.shape[0] + 1
    np.testing.assert_array_equal(model.item_factors[-2:], rows_before)
    keys, scores = model.recommend_ids("new", k=model.num_items)
    assert {900, 901} <= set(keys.tolist()) and np.isfinite(scores).all()
    taste = a[0].indices[0]
    order = model.recommend_ids("new", k=2, items=[900, 901])[0].tolist()
    assert order[0] == 900 + taste or taste == 2
    model.save(tmp_path / "m")
    loaded = etalage.load(tmp_path / "m")
    assert type(loaded) is FeatureALS and loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.recommend(np.arange(5), k=9)[1], model.recommend(np.arange(5), k=9)[1])
    np.testing.assert_array_equal(loaded.item_rows(new), rows_before)
    np.testing.assert_array_equal(loaded.recommend(2, recalculate_user=True)[1], model.recommend(2, recalculate_user=True)[1])
    total, top, parts = model.explain(2, None, 5, k=50)
    assert len(top) == len(parts) and np.isfinite(total)
    with pytest.raises(ValueError, match="item_features has 2 columns, must have the 4"):
        model.item_rows(sp.csr_matrix((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="item_ids"):
        model.add_items(new)


def test_bad_features_are_named(shop):
    rows, a, b = shop
    with pytest.raises(ValueError, match="user_features has 24 rows, must have one for each of the 30"):
        FeatureALS(**OPTIONS).fit(rows, user_features=b)
    with pytest.raises(ValueError, match="feature_regularization is 0"):
        FeatureALS(feature_regularization=0.0)
    model = FeatureALS(**OPTIONS, iterations=1).fit(rows)
    with pytest.raises(ValueError, match="item_features is given, but the model was fitted without"):
        model.item_rows(b)
    with pytest.raises(NotImplementedError, match="FeatureALS has no partial_fit_users"):
        model.partial_fit_users([0], rows[:1])
