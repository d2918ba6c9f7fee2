# SPDX-License-Identifier: Apache-2.0
"""ItemKNN, P3alpha and RP3beta against their formulas in NumPy, and what only Python adds."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    return sp.csr_matrix((rng.random((80, 30)) < 0.15) * rng.integers(1, 4, (80, 30)), dtype=np.float32)


def off_diagonal(w):
    w = np.array(w, np.float64)
    np.fill_diagonal(w, 0)
    return w


def test_cosine_with_shrinkage(rows):
    x = rows.toarray().astype(np.float64)
    gram = x.T @ x
    for asymmetry in (0.5, 0.2):
        norm = np.outer(np.diag(gram) ** asymmetry, np.diag(gram) ** (1 - asymmetry))
        model = etalage.models.ItemKNN(num_neighbors=30, shrinkage=5, asymmetry=asymmetry).fit(rows)
        np.testing.assert_allclose(model.item_weights.toarray(), off_diagonal(gram / (norm + 5)), rtol=1e-5, atol=1e-7)


def test_jaccard_and_lift(rows):
    x = (rows.toarray() != 0).astype(np.float64)
    both, n = x.T @ x, x.sum(0)
    model = etalage.models.ItemKNN(num_neighbors=30, similarity="jaccard").fit(rows)
    np.testing.assert_allclose(model.item_weights.toarray(), off_diagonal(both / (n[:, None] + n - both)), rtol=1e-5)
    model = etalage.models.ItemKNN(num_neighbors=30, similarity="lift").fit(rows)
    np.testing.assert_allclose(model.item_weights.toarray(), off_diagonal(80 * both / np.outer(n, n)), rtol=1e-5)


def test_only_the_best_neighbours_are_kept(rows):
    everything = etalage.models.ItemKNN(num_neighbors=30).fit(rows).item_weights.toarray()
    kept = etalage.models.ItemKNN(num_neighbors=4).fit(rows).item_weights.toarray()
    for i in range(30):
        best = np.sort(everything[i])[::-1][:4]
        np.testing.assert_array_equal(np.sort(kept[i])[::-1][:4], best)
        assert (kept[i] != 0).sum() <= 4


@pytest.mark.parametrize("alpha, beta", [(1.0, 0.0), (0.6, 0.0), (1.0, 0.4), (1.3, 0.2)])
def test_walks_of_three_steps(rows, alpha, beta):
    x = rows.toarray().astype(np.float64)
    to_items = (x / x.sum(1, keepdims=True)) ** alpha
    to_users = (x.T / x.sum(0)[:, None]) ** alpha
    w = off_diagonal(to_users @ to_items / (x != 0).sum(0) ** beta)
    model = etalage.models.RP3beta(alpha=alpha, beta=beta, num_neighbors=30).fit(rows)
    np.testing.assert_allclose(model.item_weights.toarray(), w, rtol=1e-5)
    scores = model.score(np.arange(80), rows, np.arange(30))
    np.testing.assert_allclose(scores, x @ w, rtol=1e-4, atol=1e-6)
    if beta == 0:
        other = etalage.models.P3alpha(alpha=alpha, num_neighbors=30).fit(rows)
        assert (other.item_weights != model.item_weights).nnz == 0


def user_knn_by_hand(x, k, similarity, query, excluded=None):
    """Scores of one history by the definition, in float64."""
    both, n = (x != 0).astype(float) @ (query != 0), (x != 0).sum(1)
    if similarity == "cosine":
        s = x @ query / np.sqrt((x**2).sum(1) * (query**2).sum())
    elif similarity == "jaccard":
        s = both / (n + (query != 0).sum() - both)
    else:
        s = both / (both + 0.3 * ((query != 0).sum() - both) + 0.9 * (n - both) + 2)
    s[both == 0] = 0
    if excluded is not None:
        s[excluded] = 0
    best = np.lexsort((np.arange(len(s)), -s.astype(np.float32)))[:k]
    return s, s[best] @ x[best]


@pytest.mark.parametrize("similarity", ["cosine", "jaccard", "tversky"])
def test_user_neighbours(rows, similarity):
    x = rows.toarray().astype(np.float64)
    options = {"tversky_alpha": 0.3, "tversky_beta": 0.9, "shrinkage": 2} if similarity == "tversky" else {}
    model = etalage.models.UserKNN(num_neighbors=7, similarity=similarity, **options).fit(etalage.Interactions.from_csr(rows))
    for u in (0, 5, 79):
        s, expected = user_knn_by_hand(x, 7, similarity, x[u], excluded=u)
        np.testing.assert_allclose(model.score(u, None, np.arange(30)), expected, rtol=1e-4, atol=1e-5)
        users, scores = model.similar_users(u, k=5)
        np.testing.assert_allclose(scores, np.sort(s)[::-1][:5], rtol=1e-5)
        assert u not in users
    stranger = np.zeros(30)
    stranger[[2, 9, 17]] = [1, 2, 1]
    _, expected = user_knn_by_hand(x, 7, similarity, stranger)
    given = sp.csr_matrix(stranger[None], dtype=np.float32)
    np.testing.assert_allclose(model.score(None, given, np.arange(30))[0], expected, rtol=1e-4, atol=1e-5)
    for item in (0, 4):
        total, items, parts = model.explain(None, given, item)
        assert np.isclose(total, expected[item], rtol=1e-4) and np.isclose(parts.sum(), total, rtol=1e-5)
        assert set(items.tolist()) == {2, 9, 17}


def test_old_events_weigh_less():
    day = 86_400_000
    users = ["a", "a", "b", "b", "c", "c"]
    items = ["x", "y", "x", "y", "x", "z"]
    times = [0, 0, 0, 0, 20 * day, 20 * day]
    log = etalage.EventLog.from_frame({"user": users, "item": items, "time": times}, time="time", time_unit="ms")
    plain, decayed = log.interactions(), log.interactions(half_life_days=10)
    x, y, z = plain.item_index(["x", "y", "z"])
    for cls in (etalage.models.ItemKNN, etalage.models.P3alpha):
        assert cls().fit(plain).similar_items(x, k=1)[0][0] == y
        assert cls().fit(decayed).similar_items(x, k=1)[0][0] == z
    # x was weighed 1/4, 1/4 and 1, z 1: the cosine by hand.
    cosine = etalage.models.ItemKNN(similarity="cosine").fit(decayed).item_weights[x, z]
    assert np.isclose(cosine, 1 / np.sqrt(1 + 2 / 16), rtol=1e-6)


def test_histories_count_by_their_values_in_any_order(rows):
    model = etalage.models.P3alpha().fit(rows)
    one = sp.csr_matrix((np.array([2.0, 1.0], np.float32), np.array([7, 3]), np.array([0, 2])), shape=(1, 30))
    other = sp.csr_matrix((np.array([1.0, 1.0, 1.0], np.float32), np.array([3, 7, 7]), np.array([0, 3])), shape=(1, 30))
    np.testing.assert_array_equal(model.score(None, one, np.arange(30)), model.score(None, other, np.arange(30)))
    total, items, parts = model.explain(None, one, 5)
    assert set(items.tolist()) == {3, 7} and np.isclose(total, model.score(None, one, [5])[0, 0])
    w = model.item_weights.toarray()
    assert np.isclose(dict(zip(items.tolist(), parts))[7], 2 * w[7, 5])


def test_the_cold_start_answer_is_popularity(rows):
    data = etalage.Interactions.from_csr(rows)
    items, scores = etalage.models.ItemKNN().fit(data).recommend_session([], k=30)
    share = (rows.toarray() > 0).mean(0)
    np.testing.assert_allclose(scores, np.sort(share)[::-1], rtol=1e-6)
    np.testing.assert_array_equal(items, np.lexsort((np.arange(30), -share)))


def test_bad_options():
    for name, value in (("num_neighbors", 0), ("shrinkage", -1.0), ("asymmetry", 1.5), ("similarity", "euclid"),
                        ("user_damping", float("nan")), ("bm25_b", 2.0)):
        with pytest.raises(ValueError, match=f"{name} is .*must be"):
            etalage.models.ItemKNN(**{name: value})
    with pytest.raises(ValueError, match="alpha is 0.*must be"):
        etalage.models.P3alpha(alpha=0)
    with pytest.raises(ValueError, match="beta is -1.*must be"):
        etalage.models.RP3beta(beta=-1)
    with pytest.raises(ValueError, match="must be >= 0"):
        etalage.models.RP3beta().fit(sp.csr_matrix(np.array([[1.0, -1.0]])))
