# SPDX-License-Identifier: Apache-2.0
"""What partial_fit_*() and add_sessions() change is what a model of the changed data would hold, beside copies that stay."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import models


def rows(n=60, m=30, seed=1):
    rng = np.random.default_rng(seed)
    return sp.csr_matrix((rng.random((n, m)) < 0.25).astype(np.float32) * rng.integers(1, 4, (n, m)).astype(np.float32))


def same(a, b):
    a, b = sp.csr_matrix(a), sp.csr_matrix(b)
    assert a.shape == b.shape
    np.testing.assert_array_equal(a.indptr, b.indptr)
    np.testing.assert_array_equal(a.indices, b.indices)
    np.testing.assert_array_equal(a.data, b.data)


def test_users_replaced_and_added():
    before = rows()
    model = models.ALS(factors=6, iterations=4).fit(etalage.Interactions.from_csr(before))
    stays = copy.copy(model)
    told = [np.array(a) for a in stays.recommend(np.arange(60), k=5)]
    new = rows(5, 30, 2)
    handed_out = model.user_factors
    kept = handed_out.copy()
    model.partial_fit_users([3, 60, 10, 62, 61], new)
    expected = before.tolil()
    expected.resize((63, 30))
    expected = expected.tocsr()
    lil = expected.tolil()
    for at, row in zip([3, 60, 10, 62, 61], range(5)):
        lil[at] = new[row]
    expected = sp.csr_matrix(lil.tocsr(), dtype=np.float32)
    same(model.user_items, expected)
    assert model.num_users == 63
    np.testing.assert_array_equal(model._model.fitted_on, etalage._core.pair_hash(etalage.Interactions.from_csr(expected)))
    np.testing.assert_array_equal(handed_out, kept)
    for a, b in zip(stays.recommend(np.arange(60), k=5), told):
        np.testing.assert_array_equal(a, b)
    same(stays.user_items, before)
    # Seen items are those of the new rows, in every call and after a file.
    items, _ = model.recommend([3, 60, 61], k=30)
    for user, found in zip([3, 60, 61], items):
        assert not set(found[found >= 0]) & set(expected[user].indices)
    again = pickle.loads(pickle.dumps(model))
    same(again.user_items, expected)
    np.testing.assert_array_equal(again.recommend(np.arange(63), k=5)[0], model.recommend(np.arange(63), k=5)[0])
    # Once more, on top of rows that were brought together by then.
    model.partial_fit_users([3], new[4])
    assert set(model.user_items[3].indices) == set(new[4].indices)


def test_norms_follow_changed_rows():
    model = models.ALS(factors=6, iterations=4).fit(rows())
    model.similar_users(0, k=5)
    model.similar_items(0, k=5)
    model.partial_fit_users([5, 60], rows(2, 30, 3))
    model.partial_fit_items([7, 30], rows(2, 61, 4))
    fresh = pickle.loads(pickle.dumps(model))
    for call, n in (("similar_users", 61), ("similar_items", 31)):
        for a, b in zip(getattr(model, call)(np.arange(n), k=7), getattr(fresh, call)(np.arange(n), k=7)):
            np.testing.assert_array_equal(a, b)


def test_items_replaced_and_added():
    before = rows()
    model = models.ALS(factors=6, iterations=4).fit(etalage.Interactions.from_csr(before))
    model.partial_fit_users([4], rows(1, 30, 9))
    before = sp.csr_matrix(model.user_items)
    new = rows(3, 60, 5)
    model.partial_fit_items([2, 31, 17], new)
    lil = before.tolil()
    lil.resize((60, 32))
    for at, row in zip([2, 31, 17], range(3)):
        lil[:, at] = new[row].T
    expected = sp.csr_matrix(lil.tocsr(), dtype=np.float32)
    same(model.user_items, expected)
    np.testing.assert_array_equal(model._model.fitted_on, etalage._core.pair_hash(etalage.Interactions.from_csr(expected)))


def test_vectors_grow_in_place_and_copies_stay():
    rng = np.random.default_rng(1)
    model = models.Vectors(rng.normal(size=(5, 3)), rng.normal(size=(7, 3)), user_items=rows(5, 7))
    other = copy.copy(model)
    for i in range(40):
        model.partial_fit_users([5 + i], rng.normal(size=(1, 3)))
        model.partial_fit_items([7 + i], rng.normal(size=(1, 3)))
    assert (model.num_users, model.num_items, other.num_users, other.num_items) == (45, 47, 5, 7)
    assert model.user_items.shape == (45, 47) and other.user_items.shape == (5, 7)
    model.recommend(np.arange(45), k=3)
    np.testing.assert_array_equal(model.user_factors[:5], other.user_factors)


@pytest.mark.parametrize("options", [{}, {"row_exponent": 0.0, "column_exponent": 0.0}])
def test_added_sessions_are_as_if_fitted(options):
    rng = np.random.default_rng(7)
    lists = [rng.integers(0, 50, rng.integers(1, 9)) for _ in range(300)]

    def sequences(part, n=50):
        return etalage.Sequences(np.cumsum([0, *map(len, part)]), np.concatenate(part).astype(np.int32), num_items=n)

    whole = models.Transitions(keep_history=False, **options).fit(sequences(lists, 60))
    grown = models.Transitions(keep_history=False, **options).fit(sequences(lists[:100]))
    grown.add_sessions(sequences(lists[100:101], 60))
    copied = copy.copy(grown)
    told = copied.recommend_session([3, 4], k=20)
    for one in lists[101:]:
        grown.add_sessions(sequences([one], 60))
    loaded = pickle.loads(pickle.dumps(grown))
    for model in (grown, loaded):
        for session in ([3, 4], [10], [1, 2, 3, 4, 5]):
            items, scores = model.recommend_session(session, k=20)
            expected_items, expected = whole.recommend_session(session, k=20)
            np.testing.assert_allclose(scores, expected, rtol=1e-5)
            np.testing.assert_allclose(model.score(None, sequences([session], 60), [0, 7]),
                                       whole.score(None, sequences([session], 60), [0, 7]), rtol=1e-5)
        np.testing.assert_allclose(model.similar_items(np.arange(60), k=5)[1], whole.similar_items(np.arange(60), k=5)[1], rtol=1e-5)
    np.testing.assert_array_equal(copied.recommend_session([3, 4], k=20)[1], told[1])


@pytest.mark.parametrize("text", [True, False])
def test_keys_grow_with_their_rows(text):
    def key(kind, i):
        return f"{kind}{i}" if text else 1000 * (kind == "i") + 7 * i

    before = rows()
    data = etalage.Interactions.from_csr(before, user_ids=[key("u", i) for i in range(60)], item_ids=[key("i", i) for i in range(30)])
    model = models.ALS(factors=4, iterations=2).fit(data)
    stays = copy.copy(model)
    for n in range(40):
        model.partial_fit_users([60 + n, n], rows(2, 30, n), user_ids=[key("u", 60 + n), key("u", n)])
    model.partial_fit_items([31, 30, 2], rows(3, 100, 5), item_ids=[key("i", 31), key("i", 30), key("i", 2)])
    assert model.user_index([key("u", i) for i in range(100)]).tolist() == list(range(100))
    assert model.item_index([key("i", i) for i in range(33)]).tolist() == [*range(32), -1]
    assert stays.user_index([key("u", 60)]).tolist() == [-1]
    again = pickle.loads(pickle.dumps(model))
    assert again.user_index([key("u", 99), key("u", 0)]).tolist() == [99, 0]
    assert again.recommend_ids([key("u", 77)], k=3)[0].tolist() == model.recommend_ids([key("u", 77)], k=3)[0].tolist()
    for index, keys, words in (([100], [key("u", 5)], "unique|5"), ([101], [key("u", 101)], "no key for index 100"),
                               ([3], [key("u", 4)], "for index 3"), ([100], [7 if text else "u100"], "strings|integers")):
        with pytest.raises(ValueError, match=words):
            model.partial_fit_users(index, rows(1, 30, 3), user_ids=keys)
    assert model.num_users == 100
