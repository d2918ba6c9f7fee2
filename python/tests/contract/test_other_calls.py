# SPDX-License-Identifier: Apache-2.0
import copy
import pickle

import numpy as np
import pytest
from models import N, checkerboard, keyed

import etalage


def same(a, b):
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])


def test_similar_items(case, model):
    if not case.has("similar_items"):
        with pytest.raises(NotImplementedError, match=f"{type(model).__name__}.*similar_items"):
            model.similar_items(0)
        return
    items, scores = model.similar_items(np.arange(N), k=N + 3)
    for i in range(N):
        expected = [j for j in range(N) if j != i and (case.all_similar or j % 2 == i % 2)]
        n = len(expected)
        assert sorted(items[i, :n].tolist()) == expected
        assert (items[i, n:] == -1).all() and np.isneginf(scores[i, n:]).all()
        assert set(items[i, :20] % 2) == {i % 2}
        same((items[i], scores[i]), model.similar_items(i, k=N + 3))
    assert model.similar_items(3)[0].shape == (10,) and model.similar_items(3, k=0)[0].shape == (0,)
    some, _ = model.similar_items([3, 4], k=4, items=[[3, 5, 7], [6]])
    assert set(some[0, :2].tolist()) == {5, 7} and some[1].tolist() == [6, -1, -1, -1]
    some, _ = model.similar_items(3, k=N, filter_items=[5, 7])
    assert not {3, 5, 7} & set(some.tolist())


def test_similar_users(case, model):
    if not case.has("similar_users"):
        with pytest.raises(NotImplementedError, match=f"{type(model).__name__}.*similar_users"):
            model.similar_users(0)
        return
    users, scores = model.similar_users([0, 7], k=N)
    for row, u in enumerate((0, 7)):
        assert sorted(users[row, : N - 1].tolist()) == [v for v in range(N) if v != u] and users[row, -1] == -1
        same((users[row], scores[row]), model.similar_users(u, k=N))
    assert users.dtype == np.int32


def test_explain(case, model, rows):
    if not case.has("explain"):
        with pytest.raises(NotImplementedError, match=f"{type(model).__name__}.*explain"):
            model.explain(0, rows[0], 0)
        return
    total, top, weights = model.explain(4, rows[4], 4, k=N)
    assert isinstance(total, float) and top.dtype == np.int32 and weights.dtype == np.float32 and len(top) == len(weights)
    assert set(top.tolist()) <= set(rows[4].indices.tolist())
    if len(top):
        assert np.isclose(weights.sum(), total, rtol=1e-3, atol=1e-4) and (np.diff(weights) <= 0).all()
        assert len(model.explain(4, None, 4, k=3)[1]) == 3
    assert model.explain(4, None, 4, k=0)[1].shape == (0,)


def test_keeps_nothing_of_a_refit(case):
    fitted = case.fit(keyed(checkerboard()))
    if not case.matrices:
        pytest.skip("is not fitted on matrices")
    for n in (80, 20):
        data = keyed(checkerboard(n))
        fitted.fit(data)
        fresh = case.fit(data)
        users = np.arange(n)
        same(fitted.recommend(users, k=n), fresh.recommend(users, k=n))
        assert fitted.num_items == n and len(fitted.user_ids) == n
        with pytest.raises(IndexError):
            fitted.recommend(n)


def test_save_and_load(case, model, rows, tmp_path):
    path = tmp_path / "model.etalage"
    model.save(path)
    for name in (path, str(path)):
        loaded = etalage.load(name)
        assert type(loaded) is type(model) and loaded.get_params() == model.get_params()
        same(loaded.recommend(np.arange(N), k=12), model.recommend(np.arange(N), k=12))
        keys, scores = loaded.recommend_ids(["user-5", "nobody"], k=3)
        np.testing.assert_array_equal(keys, model.recommend_ids(["user-5", "nobody"], k=3)[0])
        same(loaded.recommend_session([2, 4], k=5), model.recommend_session([2, 4], k=5))
        assert (loaded.user_items != model.user_items).nnz == 0
    same(etalage.load(path, verify="header").recommend(3), model.recommend(3))
    with pytest.raises(ValueError, match="verify is 'maybe'"):
        etalage.load(path, verify="maybe")


def test_pickles_and_copies(model):
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        same(other.recommend([0, 9], k=7), model.recommend([0, 9], k=7))
        assert other.get_params() == model.get_params()
        np.testing.assert_array_equal(other.item_ids, model.item_ids)


def test_what_cannot_be_fitted_in_part_says_so(case, model, rows):
    if case.has("partial_fit"):
        pytest.skip("has partial_fit")
    for call in (lambda: model.partial_fit_users([0], rows[0]), lambda: model.partial_fit_items([0], rows.T.tocsr()[0])):
        with pytest.raises(NotImplementedError, match=f"{type(model).__name__} has no partial_fit"):
            call()


def test_copies_go_their_own_way(case, rows):
    if not case.has("partial_fit"):
        pytest.skip("has no partial_fit")
    model = case.fit(keyed(rows))
    before = model.recommend(np.arange(N), k=5)
    other = copy.copy(model)
    if isinstance(model, etalage.models.Vectors):
        other.partial_fit_users([0], np.array([[1.0, -3.0]]))
    else:
        other.partial_fit_users([0], rows[1])
    same(model.recommend(np.arange(N), k=5), before)
    assert not np.array_equal(other.recommend(0, k=5, filter_already_liked_items=False)[1],
                              model.recommend(0, k=5, filter_already_liked_items=False)[1]) or not case.personal


def test_partial_fit_of_the_same_rows_changes_little(case, rows):
    if not case.has("partial_fit"):
        pytest.skip("has no partial_fit")
    model = case.fit(keyed(rows))
    if isinstance(model, etalage.models.Vectors):
        model.partial_fit_users([3, 1], model.user_factors[[3, 1]])
        model.partial_fit_items([2], model.item_factors[[2]])
    else:
        model.partial_fit_users([3, 1], rows[[3, 1]])
        model.partial_fit_items([2], rows.T.tocsr()[[2]])
    items, _ = model.recommend(np.arange(N), k=1)
    if case.personal:
        assert (items[:, 0] == np.arange(N)).mean() > 0.9


def test_any_number_of_threads_gives_the_same_bits(case, rows):
    data = keyed(rows)
    one, four = (case.fit(data, num_threads=n) for n in (1, 4))
    same(one.recommend(np.arange(N), k=9), four.recommend(np.arange(N), k=9))
    same(one.recommend_session([[1], [2, 4]] * 9, k=9), four.recommend_session([[1], [2, 4]] * 9, k=9))


def test_parameters(model):
    params = model.get_params()
    other = type(model)(**params)
    assert other.get_params() == params and repr(other) == repr(model)
    assert eval(repr(model), vars(etalage.models)).get_params() == params
    with pytest.raises(ValueError, match="no_such is no parameter"):
        other.set_params(no_such=1)
    assert other.set_params(**params) is other


def test_unfitted_models_say_so(case, model):
    fresh = type(model)(**model.get_params())
    for call in (lambda: fresh.recommend(0), lambda: fresh.recommend_ids("a"), lambda: fresh.recommend_session([1]),
                 lambda: fresh.score(0, None, [1]), lambda: fresh.report, lambda: fresh.save("nowhere"), lambda: fresh.num_items):
        with pytest.raises(etalage.NotFittedError, match="is not fitted; call fit"):
            call()
    assert issubclass(etalage.NotFittedError, ValueError)
