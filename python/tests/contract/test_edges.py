# SPDX-License-Identifier: Apache-2.0
"""Empty data, products nobody bought, values at the ends of float32: one rule for every model."""

import numpy as np
import pytest
import scipy.sparse as sp
from models import CASES, FactorVectors, InOrder, N, checkerboard, keyed

import etalage

TRAINED = [c for c in CASES if not c.name.startswith("Vectors")]


@pytest.mark.parametrize("case", TRAINED, ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_data_without_users_or_items_are_refused(case, shape):
    rows = sp.csr_matrix(shape, dtype=np.float32)
    with pytest.raises(ValueError, match="at least one user and one item"):
        case.fit(rows)
    with pytest.raises(ValueError, match="at least one user and one item"):
        case.fit(etalage.Interactions.from_csr(rows))


@pytest.mark.parametrize("case", TRAINED, ids=lambda c: c.name)
def test_data_without_entries_are_answered(case):
    model = case.fit(keyed(sp.csr_matrix((4, 5), dtype=np.float32)))
    one, one_scores = model.recommend(0, k=9)
    other, scores = model.recommend_ids("nobody", k=9)
    np.testing.assert_array_equal(one[:5] + 1000, other[:5])
    assert sorted(one[:5]) == list(range(5)) and np.isfinite(one_scores[:5]).all()
    assert (one[5:] == -1).all()
    if case.has("similar_items"):
        assert (model.similar_items([0, 4], k=3)[0] == -1).all()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_nothing_is_like_what_nobody_bought(case):
    if not case.has("similar_items"):
        return
    rows = checkerboard().tolil()
    rows[:, [7, 20]] = 0
    model = case.fit(keyed(sp.csr_matrix(rows.tocsr(), dtype=np.float32)))
    if isinstance(model, etalage.models.Vectors):
        items = model.item_factors.copy()
        items[[7, 20]] = 0
        model = etalage.models.Vectors(model.user_factors.copy(), items, metric=model.metric)
    found, scores = model.similar_items([7, 20, 8], k=5)
    assert (found[:2] == -1).all() and np.isneginf(scores[:2]).all()
    assert (found[2] >= 0).all()
    assert (model.similar_items(7, k=5)[0] == -1).all()


@pytest.mark.parametrize("case", TRAINED, ids=lambda c: c.name)
@pytest.mark.parametrize("value", [1e10, 1e15, 1e19, 1e30, 3e38])
def test_extreme_values_are_finite_or_refused(case, value, tmp_path):
    rows = checkerboard()
    rows.data[:] = np.float32(value)
    rows.data[::3] = np.float32(value / 2)
    try:
        model = case.fit(keyed(rows))
    except (ValueError, etalage.NumericalError) as e:
        assert str(e)
        return
    items, scores = model.recommend(np.arange(N), k=10)
    assert np.isfinite(scores[items >= 0]).all()
    model.save(tmp_path / "m")
    again = etalage.load(tmp_path / "m")
    np.testing.assert_array_equal(again.recommend(np.arange(N), k=10)[1], scores)
    if case.has("similar_items"):
        found, scores = model.similar_items(np.arange(N), k=5)
        assert np.isfinite(scores[found >= 0]).all()


@pytest.mark.parametrize("metric", ["dot", "cosine"])
@pytest.mark.parametrize("size", [1e-30, 1e-19, 1e18, 1e19, 1e20, 3e38])
def test_extreme_vectors_are_finite_or_refused(metric, size):
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(30, 3)).astype(np.float32)
    users = rng.normal(size=(4, 3)).astype(np.float32)
    try:
        with np.errstate(over="ignore"):
            big = (plain.astype(np.float64) * size).astype(np.float32)
        model = etalage.models.Vectors(users, big, metric=metric)
    except ValueError as e:
        assert "item_vectors" in str(e)
        return
    items, scores = model.recommend([0, 1, 2, 3], k=10, filter_already_liked_items=False)
    assert np.isfinite(scores).all()
    expected = etalage.models.Vectors(users, plain, metric=metric)
    np.testing.assert_array_equal(items[:, 0], expected.recommend([0, 1, 2, 3], k=10, filter_already_liked_items=False)[0][:, 0])
    similar, scores = model.similar_items(np.arange(30), k=5)
    np.testing.assert_array_equal(similar, expected.similar_items(np.arange(30), k=5)[0])
    assert np.isfinite(scores).all() and (scores <= 1.0001).all()
    with pytest.raises(ValueError, match="vector"):
        model.recommend_vectors(np.full(3, 1e30, np.float32))
