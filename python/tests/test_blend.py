# SPDX-License-Identifier: Apache-2.0
"""Blend in Python: fitting, learned weights, copies and files. The formula is held in tests/models/blend_test.cpp."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.evaluation import split
from etalage.models import ALS, Blend, GraphFilter, P3alpha, Popularity, Transitions, Vectors

USERS, ITEMS = 120, 80


def rows(seed=0):
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 4, USERS)[:, None] == rng.integers(0, 4, ITEMS)[None, :]
    return sp.csr_matrix((rng.random((USERS, ITEMS)) < np.where(taste, 0.5, 0.04)).astype(np.float32))


def keyed(matrix):
    return etalage.Interactions.from_csr(matrix, user_ids=[f"u{u}" for u in range(USERS)], item_ids=np.arange(100, 100 + ITEMS))


def members():
    return [("filter", GraphFilter(low_pass_factors=6)), ("als", ALS(factors=6, iterations=4, seed=3)), ("popular", Popularity())]


def test_weights_are_learned_and_members_refitted():
    whole = keyed(rows())
    part = split.random_holdout(whole, 0.001, valid_share=0.25)
    given = members()
    blend = Blend(given, method="zscore", candidates=40).fit(part.train, part.valid)
    weights = blend.weights_
    assert sum(weights.values()) == pytest.approx(1, abs=1e-6) and weights["popular"] < 0.34
    assert list(weights) == ["filter", "als", "popular"] and all(m._model is None for _, m in given)
    # Refitted on both parts: the same as members fitted on the whole, with these weights.
    both = keyed(part.train.user_items + part.valid.user_items)
    direct = Blend(members(), method="zscore", weights=list(weights.values()), candidates=40).fit(both)
    for a, b in zip(blend.recommend(np.arange(USERS)), direct.recommend(np.arange(USERS))):
        np.testing.assert_array_equal(a, b)
    apart = Blend(members(), method="zscore", candidates=40).fit(part.train, part.valid, refit_members=False)
    assert apart.weights_ == weights and apart.user_items.nnz == part.train.user_items.nnz


def test_members_that_are_fitted_can_stay():
    data = keyed(rows())
    als = ALS(factors=5, iterations=2, seed=9).fit(data)
    blend = Blend([("als", als), ("walk", P3alpha())]).fit(data, refit_members=False)
    np.testing.assert_array_equal(blend.fitted_members["als"].item_factors, als.item_factors)
    vectors = Vectors(als.user_factors, als.item_factors, user_items=data)
    both = Blend([("vectors", vectors), ("walk", P3alpha())], weights=[2, 1]).fit(data, refit_members=False)
    assert both.weights_ == {"vectors": pytest.approx(2 / 3), "walk": pytest.approx(1 / 3)}
    keys, _ = both.recommend_ids(["u3", "nobody"], k=4)
    assert keys.shape == (2, 4)


def test_logs_and_matrices():
    matrix = rows()
    log = etalage.EventLog.from_frame(
        {"user": matrix.tocoo().row.astype(np.int64), "item": matrix.tocoo().col.astype(np.int64)}, user="user", item="item")
    train, valid, _ = split.random_holdout(log, 0.001, valid_share=0.2)
    blend = Blend(members()[:2]).fit(train, valid)
    assert set(blend.weights_) == {"filter", "als"} and blend.recommend_ids([3])[0].shape == (1, 10)
    bare = Blend(members()[:2]).fit(matrix)
    with pytest.raises(ValueError, match="user_items is None"):
        bare.recommend(0)
    np.testing.assert_array_equal(bare.recommend([4], matrix[[4]])[0], Blend(members()[:2]).fit(keyed(matrix)).recommend([4])[0])


def test_files_pickles_and_parameters(tmp_path):
    data = keyed(rows())
    blend = Blend(members(), method="rrf", weights=[1, 2, 0.5], candidates=30, rrf_constant=20).fit(data)
    blend.save(tmp_path / "blend.etalage")
    for other in (etalage.load(tmp_path / "blend.etalage"), pickle.loads(pickle.dumps(blend)), copy.deepcopy(blend)):
        assert other.get_params() == blend.get_params() and other.weights_ == blend.weights_
        for a, b in zip(other.recommend(np.arange(USERS)), blend.recommend(np.arange(USERS))):
            np.testing.assert_array_equal(a, b)
    total, top, parts = blend.explain(3, None, 11, k=ITEMS)
    assert parts.sum() == pytest.approx(total, abs=1e-5) and set(top) <= set(data.user_items[3].indices)
    assert "rrf" in repr(blend)


def test_weights_of_repeats_are_learned_on_lists_with_what_was_bought():
    again = rows()
    model = Blend(members(), method="zscore")
    model.fit(again, valid=again, refit_members=False)
    masked = Blend(members(), method="zscore").fit(again, valid=again, refit_members=False, filter_already_liked_items=True)
    assert max(masked.weights_.values()) == min(masked.weights_.values()), "nothing can be learned from lists without what counts"
    assert model.weights_ != masked.weights_


def walks(seed, count=USERS):
    """Lists that walk a ring of items: the newest item tells the next."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random((count, 8)) < 0.25, rng.integers(0, ITEMS, (count, 8)), -7)
    steps[:, 0] = rng.integers(0, ITEMS, count)
    lists = np.cumsum(steps, axis=1) % ITEMS
    return etalage.Sequences(np.arange(count + 1) * 8, lists.ravel().astype(np.int32), num_items=ITEMS)


@pytest.mark.parametrize("positions", ["all", "last"])
def test_weights_of_sequence_models_are_learned_on_next_items(positions):
    near = Transitions(backward=0, window=1, query_decay=0.3)
    around = Transitions(backward=1, decay=0, query_decay=0)
    train, valid = walks(1), walks(2, 150)
    blend = Blend([("near", near), ("around", around)], method="zscore").fit(train, valid, positions=positions)
    assert blend.weights_["near"] > 0.4 and blend.weights_["near"] != 0.5
    alone = etalage.evaluation.evaluate_next(near.fit(train), valid, positions)["ndcg@20"]
    assert etalage.evaluation.evaluate_next(blend, valid, positions)["ndcg@20"] >= alone - 1e-9


def test_logs_keep_the_order_of_histories():
    lists = np.asarray(walks(3).items).reshape(USERS, 8)
    users, items, times = np.repeat(np.arange(USERS), 8), lists.ravel().astype(np.int64), np.tile(np.arange(8), USERS)
    frame = {"user": users, "item": items, "time": (times * 86_400_000).astype("datetime64[ms]")}
    log = etalage.EventLog.from_frame(frame, user="user", item="item", time="time")
    part = split.leave_last_out(log, valid=False, keep_repeats=True)
    blend = Blend([("near", Transitions(backward=0, window=1, query_decay=0.3)), ("around", Transitions(backward=1, decay=0, query_decay=0))],
                  method="zscore").fit(part.train, part.test, refit_members=False, filter_already_liked_items=False)
    alone = etalage.evaluation.evaluate(blend.fitted_members["near"], part.train, part.test, k=(20,), filter_already_liked_items=False)["ndcg@20"]
    assert etalage.evaluation.evaluate(blend, part.train, part.test, k=(20,), filter_already_liked_items=False)["ndcg@20"] >= alone - 1e-9 > 0.3


def test_what_is_refused():
    with pytest.raises(ValueError, match="members is empty"):
        Blend([])
    with pytest.raises(TypeError, match="members holds"):
        Blend([("a", 3)])
    with pytest.raises(ValueError, match="the name 'a'"):
        Blend([("a", Popularity()), ("a", ALS())])
    with pytest.raises(ValueError, match="is a Blend"):
        Blend([("a", Blend(members()))])
    with pytest.raises(ValueError, match="method is 'mean'"):
        Blend(members(), method="mean")
    with pytest.raises(ValueError, match="weights has 2"):
        Blend(members(), weights=[1, 2])
    with pytest.raises(ValueError, match="candidates is 0"):
        Blend(members(), candidates=0)
    with pytest.raises(ValueError, match="positions is 'first'"):
        Blend(members()).fit(rows(), positions="first")
    with pytest.raises(etalage.NotFittedError):
        Blend(members()).recommend(0)
    with pytest.raises(ValueError, match="valid has other"):
        other = etalage.Interactions.from_csr(rows(), user_ids=[f"v{u}" for u in range(USERS)], item_ids=np.arange(ITEMS))
        Blend(members()).fit(keyed(rows()), other)
