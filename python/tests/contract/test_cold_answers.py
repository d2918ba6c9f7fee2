# SPDX-License-Identifier: Apache-2.0
"""A known shopper without training rows gets what an unknown one gets: the model's cold-start answer, in every call."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from models import CASES, FactorVectors, N, checkerboard, keyed

import etalage

NEWCOMERS = [3, 10, 49]


def with_newcomers():
    rows = checkerboard().tolil()
    rows[NEWCOMERS] = 0
    # Items of differing popularity: a cold-start answer that says anything is not in the order of the indices.
    rows[0:40:2, 40] = 0
    rows[1:30:2, 3] = 0
    return sp.csr_matrix(rows.tocsr(), dtype=np.float32)


@pytest.fixture(params=CASES, ids=lambda c: c.name, scope="module")
def cold(request):
    model = request.param.fit(keyed(with_newcomers()))
    if isinstance(model, etalage.models.Vectors):
        # The decomposition leaves rounding where the newcomers' zeros should be.
        users = model.user_factors.copy()
        users[NEWCOMERS] = 0
        model = etalage.models.Vectors(users, model.item_factors.copy(), metric=model.metric, user_items=keyed(with_newcomers()))
    return request.param, model


def test_known_without_rows_is_answered_like_unknown(cold):
    _, model = cold
    unknown_keys, unknown_scores = model.recommend_ids("nobody", k=N)
    for user in NEWCOMERS:
        items, scores = model.recommend(user, k=N)
        keys, key_scores = model.recommend_ids(f"user-{user}", k=N)
        np.testing.assert_array_equal(scores, unknown_scores)
        np.testing.assert_array_equal(key_scores, unknown_scores)
        np.testing.assert_array_equal(keys, unknown_keys)
        np.testing.assert_array_equal(items + 1000, unknown_keys)
        np.testing.assert_array_equal(model.score(user, None, items), scores)
    # In a batch, beside shoppers with rows, and folded in.
    batch, batch_scores = model.recommend([0, *NEWCOMERS, 1], k=N)
    for row in batch[1:-1] + 1000:
        np.testing.assert_array_equal(row, unknown_keys)
    mixed, _ = model.recommend_ids([f"user-{NEWCOMERS[0]}", "nobody", "user-0"], k=N)
    np.testing.assert_array_equal(mixed[0], mixed[1])
    again, _ = model.recommend(NEWCOMERS[0], sp.csr_matrix((1, N), dtype=np.float32), k=N, recalculate_user=True)
    np.testing.assert_array_equal(again + 1000, unknown_keys)


def test_cold_answer_says_something(cold):
    case, model = cold
    items, scores = model.recommend(NEWCOMERS[0], k=N)
    assert scores[0] > scores[-1]
    assert not np.array_equal(items, np.arange(N))


def test_cold_answer_is_part_of_the_file(cold, tmp_path):
    _, model = cold
    before = model.recommend([*NEWCOMERS, 0], k=N)
    model.save(tmp_path / "m")
    for other in (etalage.load(tmp_path / "m"), pickle.loads(pickle.dumps(model))):
        after = other.recommend([*NEWCOMERS, 0], k=N)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])


def test_explanation_of_the_cold_answer_sums_to_the_score(cold):
    case, model = cold
    if not case.has("explain"):
        return
    item = int(model.recommend(NEWCOMERS[0], k=1)[0][0])
    total, items, _ = model.explain(NEWCOMERS[0], None, item)
    assert len(items) == 0
    assert total == pytest.approx(float(model.score(NEWCOMERS[0], None, [item])[0]), rel=1e-5, abs=1e-6)
