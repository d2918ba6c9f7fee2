# SPDX-License-Identifier: Apache-2.0
"""GraphFilter against the formulas of its members, in dense NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import GraphFilter

USERS, ITEMS = 70, 45


def rows(seed=3, ones=True):
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 4, USERS)[:, None] == rng.integers(0, 4, ITEMS)[None, :]
    dense = (rng.random((USERS, ITEMS)) < np.where(taste, 0.45, 0.06)).astype(np.float32)
    dense[5] = 0  # somebody without anything
    dense[:, 7] = 0  # what nobody has
    if not ones:
        dense *= rng.integers(1, 5, dense.shape)
    return sp.csr_matrix(dense)


def power(degrees, exponent):
    return np.where(degrees > 0, np.maximum(degrees, 1e-12) ** exponent, 0.0)


class Dense:
    """R, its degrees and the normalised matrix of the papers."""

    def __init__(self, matrix):
        self.r = matrix.toarray().astype(float)
        self.du, self.di = self.r.sum(1), self.r.sum(0)
        self.n = self.normalised(0.5, 0.5)
        self.p = self.n.T @ self.n

    def normalised(self, user, item):
        return power(self.du, -user)[:, None] * self.r * power(self.di, -item)[None, :]

    def vectors(self, k, user=0.5, item=0.5):
        _, s, vt = np.linalg.svd(self.normalised(user, item))
        return vt[:k].T, s[:k]

    def conjugated(self, inner, beta):
        return power(self.di, -beta)[:, None] * inner * power(self.di, beta)[None, :]


def scores_of(model):
    return model.score(np.arange(USERS), None, np.arange(ITEMS))


def asked_rows(matrix):
    """The rows that are asked with: whoever has none is asked as the average row."""
    rows = matrix.toarray().astype(float)
    rows[rows.sum(1) == 0] = rows.mean(0)
    return rows


def expect(model, matrix, operator):
    model = model.fit(etalage.Interactions.from_csr(matrix))
    want = asked_rows(matrix) @ operator
    np.testing.assert_allclose(scores_of(model), want, rtol=2e-4, atol=2e-5 * np.abs(want).max())
    # Somebody whom the fit has not seen is a history like any other.
    stranger = sp.csr_matrix(np.eye(1, ITEMS, 3, dtype=np.float32) + 2 * np.eye(1, ITEMS, 11, dtype=np.float32))
    want = (stranger.toarray() @ operator)[0]
    np.testing.assert_allclose(model.score(None, stranger, np.arange(ITEMS))[0], want, rtol=2e-4, atol=2e-5 * np.abs(want).max())
    return model


@pytest.mark.parametrize("ones", [True, False])
def test_gf_cf(ones):
    matrix = rows(ones=ones)
    d = Dense(matrix)
    v, s = d.vectors(8)
    model = expect(GraphFilter.preset("gf_cf", weight=0.3, factors=8), matrix, d.p + 0.3 * d.conjugated(v @ v.T, 0.5))
    np.testing.assert_allclose(model.singular_values, s, rtol=1e-5)
    np.testing.assert_allclose(model.singular_vectors.T @ model.singular_vectors, np.eye(8), atol=1e-5)


def test_link_prop():
    matrix = rows()
    d = Dense(matrix)
    step = power(d.di, -0.68)[:, None] * (d.r.T @ (power(d.du, -0.77)[:, None] * d.r)) * power(d.di, -0.12)[None, :]
    expect(GraphFilter.preset("link_prop", history_exponent=0.68, user_exponent=0.77, item_exponent=0.12), matrix, step)
    both = GraphFilter(0.68, 0.77, 0.12, coefficients=(0.5, 1, -0.25), low_pass_factors=0, sharpen_factors=0)
    expect(both, matrix, 0.5 * np.eye(ITEMS) + step - 0.25 * step @ step)


def plateau(order, flatness):
    """The published program's target and interpolation, written anew."""
    x = np.round(np.cos(np.pi * (order - np.arange(order + 1)) / order), 3)
    target = np.round(np.where(x < 0, 0.5 + 0.5 * np.abs(x) ** flatness, 0.5 - 0.5 * np.abs(x) ** flatness), 3)
    angles = np.pi * (order + 1.5 - np.arange(1, order + 2)) / (order + 1)
    c = np.array([2 / (order + 1) * (target * np.cos(k * angles)).sum() for k in range(order + 1)])
    c[0] /= 2
    return c


@pytest.mark.parametrize("order, beta", [(1, 0.0), (5, 0.4), (8, 0.3)])
def test_cheby_cf(order, beta):
    matrix = rows()
    d = Dense(matrix)
    v, _ = d.vectors(6)
    laplacian = np.eye(ITEMS) - 2 * d.p
    terms = [np.eye(ITEMS), laplacian]
    while len(terms) <= order:
        terms.append(2 * laplacian @ terms[-1] - terms[-2])
    inner = sum(c * t for c, t in zip(plateau(order, 1.5), terms)) + 0.2 * v @ v.T
    expect(GraphFilter.preset("cheby_cf", order=order, flatness=1.5, beta=beta, weight=0.2, factors=6), matrix,
           d.conjugated(inner, beta))


@pytest.mark.parametrize("early_merge", [True, False])
def test_bspm(early_merge):
    matrix = rows()
    d = Dense(matrix)
    v, _ = d.vectors(6)
    low = 0.3 * d.conjugated(v @ v.T, 0.5)
    y = d.p + low if early_merge else d.p
    for _ in range(2):
        y = y - 0.6 * y @ d.p
    model = GraphFilter.preset("bspm", weight=0.3, factors=6, time=1.2, steps=2, early_merge=early_merge)
    expect(model, matrix, y if early_merge else y + low)


def test_sgfcf_and_equal_scale():
    matrix = rows()
    d = Dense(matrix)
    n = d.normalised(0.3, 0.3)
    v, s = d.vectors(7, 0.3, 0.3)
    low = power(d.di, -0.3)[:, None] * (v * (s / s[0]) ** 1.5) @ v.T
    step = power(d.di, -0.3)[:, None] * (d.r.T @ (power(d.du, -0.6)[:, None] * d.r)) * power(d.di, -0.3)[None, :]
    np.testing.assert_allclose(step, n.T @ n, atol=1e-12)
    linear, smooth = d.r @ step, d.r @ low
    scale = np.sqrt((linear**2).sum() / (smooth**2).sum())
    model = expect(GraphFilter.preset("sgfcf", epsilon=0.3, factors=7, power=1.5, weight=0.8), matrix, step + 0.8 * scale * low)
    assert model._model.low_pass_in_use == pytest.approx(0.8 * scale, rel=1e-4)


def test_sharpening_subtracts_the_square_of_the_step():
    matrix = rows()
    d = Dense(matrix)
    step = power(d.di, -0.7)[:, None] * (d.r.T @ (power(d.du, -0.9)[:, None] * d.r)) * power(d.di, -0.2)[None, :]
    whole = GraphFilter(0.7, 0.9, 0.2, low_pass_factors=0, sharpen_factors=ITEMS, sharpen_weight=0.4, equal_scale=False)
    expect(whole, matrix, step - 0.4 * step @ step)
    n = d.normalised(0.45, 0.45)
    _, s, vt = np.linalg.svd(n)
    leading = d.conjugated((vt[:5].T * s[:5] ** 4) @ vt[:5], 0.25)
    linear, square = d.r @ step, d.r @ leading
    scale = np.sqrt((linear**2).sum() / (square**2).sum())
    few = GraphFilter(0.7, 0.9, 0.2, low_pass_factors=0, sharpen_factors=5, sharpen_weight=0.4, power_iterations=30)
    expect(few, matrix, step - 0.4 * scale * leading)


def test_similar_and_explain_follow_the_stated_rules():
    matrix = rows()
    model = GraphFilter(0.6, 0.8, 0.15, low_pass_factors=6, coefficients=(0, 1, -0.3)).fit(etalage.Interactions.from_csr(matrix))
    one = sp.csr_matrix(np.eye(1, ITEMS, 4, dtype=np.float32))
    filtered = model.score(None, one, np.arange(ITEMS))[0]
    items, scores = model.similar_items(4, k=ITEMS - 1)
    np.testing.assert_array_equal(scores, filtered[items])
    assert set(items.tolist()) == set(range(ITEMS)) - {4}
    d = Dense(matrix)
    alike = (d.r * power(d.di, -0.6 - 0.15)) @ d.r.T * power(d.du, -0.8)
    users, scores = model.similar_users(2, k=USERS - 1)
    np.testing.assert_allclose(scores, alike[2, users], rtol=1e-5, atol=1e-7)
    total, top, weights = model.explain(2, None, 9, k=ITEMS)
    assert total == pytest.approx(model.score([2], None, [9])[0, 0], rel=1e-4)
    assert total == pytest.approx(weights.sum(), rel=1e-5)
    for item, weight in zip(top, weights):
        one = sp.csr_matrix(np.eye(1, ITEMS, item, dtype=np.float32))
        assert weight == pytest.approx(model.score(None, one, [9])[0, 0], rel=1e-3, abs=1e-6)


def test_threads_do_not_matter_and_strangers_get_the_average():
    matrix = rows()
    data = etalage.Interactions.from_csr(matrix)
    one, three = (GraphFilter(low_pass_factors=6, num_threads=n).fit(data) for n in (1, 3))
    np.testing.assert_array_equal(one.singular_vectors, three.singular_vectors)
    np.testing.assert_array_equal(one.recommend(np.arange(USERS))[1], three.recommend(np.arange(USERS))[1])
    items, scores = one.recommend_session([], k=ITEMS)
    mean = scores_of(one)[np.diff(matrix.indptr) > 0].sum(0) / USERS
    np.testing.assert_allclose(scores, mean[items], rtol=1e-4)
    assert (np.diff(scores) <= 0).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="low_pass_weight is -1"):
        GraphFilter(low_pass_weight=-1)
    with pytest.raises(ValueError, match="coefficients"):
        GraphFilter(coefficients=[0.0, float("nan")])
    with pytest.raises(TypeError, match="coefficients"):
        GraphFilter(coefficients=3)
    with pytest.raises(ValueError, match="preset|name is"):
        GraphFilter.preset("lightgcn")
    with pytest.raises(ValueError, match=">= 0 for GraphFilter"):
        GraphFilter().fit(sp.csr_matrix(-np.eye(4, dtype=np.float32)))
    # Fewer singular values than asked for, no interactions at all: answers, not errors.
    assert GraphFilter(low_pass_factors=200).fit(rows()).singular_values.size <= ITEMS
    assert GraphFilter().fit(sp.csr_matrix((4, 6), dtype=np.float32)).num_items == 6


def test_callback_and_files(tmp_path):
    data = etalage.Interactions.from_csr(rows())
    stopped = GraphFilter(low_pass_factors=6).fit(data, callback=lambda p: p.step < 2)
    assert stopped.report.stop_reason == "cancelled"
    model = GraphFilter.preset("bspm", factors=6).fit(data)
    model.save(tmp_path / "filter.etalage")
    again = etalage.load(tmp_path / "filter.etalage")
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(scores_of(again), scores_of(model))
