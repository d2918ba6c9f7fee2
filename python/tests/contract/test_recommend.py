# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import scipy.sparse as sp
from models import N, checkerboard, keyed


def same(a, b):
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])


def test_the_held_out_item_comes_first(case, model):
    if not case.personal:
        pytest.skip("the same ranking for everyone")
    items, scores = model.recommend(np.arange(N), k=1)
    assert items[:, 0].tolist() == list(range(N)) and np.isfinite(scores).all()


def test_shapes_and_dtypes(model):
    for index, shape in ((3, (4,)), (np.int64(3), (4,)), ([3], (1, 4)), (np.arange(7, dtype=np.int64), (7, 4)), ([], (0, 4))):
        items, scores = model.recommend(index, k=4)
        assert items.shape == scores.shape == shape
        assert items.dtype == np.int32 and scores.dtype == np.float32
    assert model.recommend(1)[0].shape == (10,)
    assert model.recommend(1, k=0)[0].shape == (0,) and model.recommend([1, 2], k=0)[1].shape == (2, 0)


def test_batch_equals_single(model, rows):
    users = np.array([0, 7, 7, 49, 3])
    for options in ({}, {"recalculate_user": True}, {"filter_already_liked_items": False},
                    {"filter_items": [1, 2, 3]}, {"items": [5, 6, 7, 8]}):
        batch = model.recommend(users, k=60, **options)
        for i, u in enumerate(users):
            same((batch[0][i], batch[1][i]), model.recommend(u, k=60, **options))
    filters = [[1, 2], [], [3], [4, 5, 6], [7]]
    batch = model.recommend(users, rows[users], k=20, filter_items=filters)
    for i, u in enumerate(users):
        same((batch[0][i], batch[1][i]), model.recommend(u, rows[u], k=20, filter_items=filters[i]))


def test_scores_descend_and_rows_are_padded(model, rows):
    items, scores = model.recommend(np.arange(N), k=N + 20)
    for u in range(N):
        n = N - rows[u].nnz
        assert len(set(items[u, :n].tolist())) == n and (items[u, :n] >= 0).all()
        assert (np.diff(scores[u, :n]) <= 0).all() and np.isfinite(scores[u, :n]).all()
        assert (items[u, n:] == -1).all() and np.isneginf(scores[u, n:]).all()


def test_seen_items_stay_away(model, rows):
    items, _ = model.recommend(np.arange(N), k=N)
    for u in range(N):
        assert not set(rows[u].indices) & set(items[u].tolist())
    everything, _ = model.recommend(4, k=N, filter_already_liked_items=False)
    assert sorted(everything.tolist()) == list(range(N))


def test_given_rows_replace_the_kept_ones(model, bare, rows):
    users = np.arange(10)
    same(model.recommend(users, k=5), bare.recommend(users, rows[users], k=5))
    same(model.recommend(users, k=5), model.recommend(users, rows[users], k=5))
    other = sp.csr_matrix(([1.0], ([0], [0])), shape=(1, N))
    items, _ = model.recommend(2, other, k=N)
    assert sorted(items[: N - 1].tolist()) == list(range(1, N))


def test_without_rows_a_question_about_seen_items_is_an_error(case, bare):
    with pytest.raises(ValueError, match="user_items is None .* must be given"):
        bare.recommend(0)
    with pytest.raises(ValueError, match="user_items is None .* must be given"):
        bare.recommend([0, 1], recalculate_user=True, filter_already_liked_items=False)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "csr_array", "float64", "int8", "bool", "int64 indices", "unsorted",
                                  "duplicates", "dense", "non-contiguous"])
def test_any_matrix_that_says_the_same(case, rows, form):
    forms = {
        "csr": lambda: rows, "csc": rows.tocsc, "coo": rows.tocoo, "lil": rows.tolil, "csr_array": lambda: sp.csr_array(rows),
        "float64": lambda: rows.astype(np.float64), "int8": lambda: rows.astype(np.int8), "bool": lambda: rows.astype(bool),
        "dense": rows.toarray, "non-contiguous": lambda: np.asfortranarray(rows.toarray()),
    }
    if form in forms:
        matrix = forms[form]()
    elif form == "int64 indices":
        matrix = rows.copy()
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    elif form == "unsorted":
        matrix = rows.copy()
        for u in range(N):
            part = slice(matrix.indptr[u], matrix.indptr[u + 1])
            matrix.indices[part] = matrix.indices[part][::-1].copy()
        matrix.has_sorted_indices = False
    else:
        half = sp.csr_matrix(rows * 0.5)
        indices = np.concatenate([np.tile(half[u].indices, 2) for u in range(N)])
        matrix = sp.csr_matrix((np.full(2 * half.nnz, 0.5, np.float32), indices, half.indptr * 2), shape=rows.shape)
        assert matrix.nnz == 2 * rows.nnz
    if case.name.startswith("Vectors") and form in ("dense", "non-contiguous"):
        pytest.skip("is fitted on vectors")
    expected = case.fit(rows).recommend(np.arange(N), rows, k=5)
    same(case.fit(matrix).recommend(np.arange(N), matrix, k=5), expected)


def test_filter_items(model, rows):
    users = np.arange(6)
    denied, _ = model.recommend(users, k=N, filter_items=[0, 1, 2, 3])
    assert not {0, 1, 2, 3} & set(denied.ravel().tolist())
    each = [[u] for u in users]
    sparse = sp.csr_matrix((np.ones(6), (users, users)), shape=(6, N))
    array = users.reshape(-1, 1)
    for form in (each, sparse, array, [np.array(x) for x in each], [tuple(x) for x in each]):
        got, _ = model.recommend(users, k=N, filter_items=form)
        for u in users:
            assert u not in got[u]
            assert (got[u] >= 0).sum() == N - rows[u].nnz - 1


def test_allowed_items(model, rows):
    got, scores = model.recommend([0, 1], k=6, items=[0, 1, 3, 3, 5], filter_already_liked_items=False)
    assert all(sorted(r[:4].tolist()) == [0, 1, 3, 5] and (r[4:] == -1).all() for r in got)
    got, _ = model.recommend([0, 1], k=6, items=[[0, 1], [5]], filter_already_liked_items=False)
    assert sorted(got[0, :2].tolist()) == [0, 1] and got[1].tolist() == [5] + [-1] * 5
    got, _ = model.recommend([0, 1], k=6, items=[2, 3, 4], filter_items=[3])
    assert got[0, :1].tolist() == [-1] and set(got[1, :2].tolist()) == {2, 4}
    got, scores = model.recommend([0, 1], k=3, items=[])
    assert (got == -1).all() and np.isneginf(scores).all()


def test_an_empty_user_is_no_error(case):
    rows = checkerboard().tolil()
    rows[4] = 0
    rows[:, 9] = 0
    model = case.fit(keyed(rows.tocsr()))
    for options in ({}, {"recalculate_user": True}):
        items, scores = model.recommend(4, k=N, **options)
        assert sorted(items.tolist()) == list(range(N)) and not np.isnan(scores).any()


def test_keys_in_and_out(model):
    keys, scores = model.recommend_ids(["user-3", "user-8"], k=40)
    items, same_scores = model.recommend([3, 8], k=40)
    assert keys.dtype == np.int64
    np.testing.assert_array_equal(keys, np.where(items >= 0, items + 1000, -1))
    np.testing.assert_array_equal(scores, same_scores)
    one, _ = model.recommend_ids("user-3", k=40)
    np.testing.assert_array_equal(one, keys[0])
    some, _ = model.recommend_ids(["user-3"], k=5, items=[1001, 1003, 7], filter_items=[1001, 8], filter_already_liked_items=False)
    assert some[0].tolist() == [1003, -1, -1, -1, -1]


def test_unknown_people_get_the_cold_start_answer(model):
    keys, scores = model.recommend_ids(["nobody", "user-3", "nobody else"], k=5)
    assert (keys >= 1000).all() and np.isfinite(scores).all()
    np.testing.assert_array_equal(keys[0], keys[2])
    np.testing.assert_array_equal(keys[1], model.recommend_ids("user-3", k=5)[0])
    np.testing.assert_array_equal(keys[0] - 1000, model.recommend_session([], k=5)[0])
    with pytest.raises(ValueError, match="has no keys"):
        type(model).recommend_ids(_without_keys(model), ["user-3"])


def _without_keys(model):
    import copy

    other = copy.copy(model)
    other._model.set_ids(None, None)
    return other


def test_cold_start_prefers_what_is_popular(case):
    if case.name == "Vectors-cosine":
        pytest.skip("unit vectors know nothing of popularity")
    rng = np.random.default_rng(0)
    share = np.linspace(0.6, 0.02, 40)
    rows = sp.csr_matrix((rng.random((300, 40)) < share).astype(np.float32))
    model = case.fit(keyed(rows))
    keys, _ = model.recommend_ids("nobody", k=10)
    assert (keys - 1000).mean() < 12


def test_sessions(case, model):
    one, scores = model.recommend_session([1, 3, 5], k=6)
    assert one.shape == scores.shape == (6,) and not {1, 3, 5} & set(one.tolist())
    many = model.recommend_session([[1, 3, 5], [2], []], k=6)
    assert many[0].shape == (3, 6)
    same((many[0][0], many[1][0]), (one, scores))
    if case.personal and case.name != "Vectors-cosine":
        assert set(one % 2) == {1}
    kept, _ = model.recommend_session([1, 3], k=N, filter_already_liked_items=False, exclude_last=False)
    assert sorted(kept.tolist()) == list(range(N))
    kept, _ = model.recommend_session([1, 3], k=N, filter_already_liked_items=False, exclude_last=True)
    assert sorted(kept.tolist()) == [-1, *(i for i in range(N) if i != 3)]
    some, _ = model.recommend_session([[1], [2]], k=3, items=[[4, 6], [8]])
    assert set(some[0, :2].tolist()) == {4, 6} and some[1].tolist() == [8, -1, -1]


def test_score_agrees_with_recommend(model):
    users = np.array([2, 9, 30])
    items, scores = model.recommend(users, k=5)
    np.testing.assert_array_equal(model.score(users, None, items), scores)
    np.testing.assert_array_equal(model.score(9, None, items[1]), scores[1])
    for_all = model.score(users, None, [0, 1, 2])
    assert for_all.shape == (3, 3) and for_all.dtype == np.float32
    np.testing.assert_array_equal(for_all[1], model.score(9, None, [0, 1, 2]))
    assert model.score(2, None, []).shape == (0,)


def test_people_without_an_index_are_folded_in(case, model, rows):
    items, _ = model.recommend(None, rows[:4], k=1)
    assert items.shape == (4, 1)
    if case.personal and case.name != "Vectors-cosine":
        assert (items[:, 0] % 2 == np.arange(4) % 2).all()
