# SPDX-License-Identifier: Apache-2.0
"""Measures do not depend on how items are numbered."""
import itertools

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.evaluation import compare, evaluate, evaluate_next, evaluate_ranking, ndcg_at_k, split

ALL = ("precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr", "coverage")


@pytest.fixture(scope="module")
def parts():
    log = etalage.datasets.synthetic_store(users=500, items=300, seed=3).log
    whole = split.random_holdout(log.interactions(), 0.2, seed=1)
    return whole.train.user_items, whole.test.user_items


def level(train):
    """Every item has one score."""
    return etalage.models.Vectors(np.ones((train.shape[0], 1), np.float32), np.ones((train.shape[1], 1), np.float32))


def counts(train):
    """Few different scores, exact in float32."""
    buyers = np.minimum(np.diff(train.tocsc().indptr), 6).astype(np.float32)
    return etalage.models.Vectors(np.ones((train.shape[0], 1), np.float32), buyers[:, None])


MODELS = {
    "level": (level, 1e-12),
    "counts": (counts, 1e-12),
    "Popularity": (lambda train: etalage.models.Popularity().fit(train), 1e-12),
    # Sums of weights in another order may differ in the last bit, which breaks a tie or makes one.
    "ItemKNN": (lambda train: etalage.models.ItemKNN(num_neighbors=300).fit(train), 2e-3),
}


@pytest.mark.parametrize("name", MODELS)
def test_figures_do_not_change_when_items_are_numbered_anew(parts, name):
    train, test = parts
    make, tolerance = MODELS[name]
    r = evaluate(make(train), train, test, k=(5, 20), metrics=ALL)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(train.shape[1])
        a, b = (sp.csr_matrix(m[:, order]) for m in (train, test))
        again = evaluate(make(a), a, b, k=(5, 20), metrics=ALL)
        for metric in r.metrics:
            assert again[metric] == pytest.approx(r[metric], abs=tolerance), metric
        assert again["tied@20"] == pytest.approx(r["tied@20"], abs=10 * tolerance)


def test_equal_scores_are_worth_what_chance_is(parts):
    train, test = parts
    r = evaluate(level(train), train, test, k=20, metrics=("recall", "precision"))
    seen = np.diff(train.indptr)[r.user_index]
    np.testing.assert_allclose(r.per_user["recall@20"], 20 / (train.shape[1] - seen), rtol=1e-12)
    assert r["tied@20"] == 1.0
    assert "tied@20" in dict(r) and len(dict(r)) == len(r)
    with pytest.raises(KeyError):
        r["tied@7"]


def test_expectation_is_the_mean_over_orders():
    ranked, scores, relevant = [4, 0, 3, 1, 2], [3, 2, 2, 2, 1], [0, 2]
    orders = [[4, *middle, 2] for middle in itertools.permutations([0, 3, 1])]
    for k in range(6):
        assert ndcg_at_k(relevant, ranked, k, scores) == pytest.approx(np.mean([ndcg_at_k(relevant, o, k) for o in orders]))


def test_agrees_with_ranx_where_nothing_ties(parts):
    ranx = pytest.importorskip("ranx")
    train, test = parts
    rng = np.random.default_rng(1)
    model = etalage.models.Vectors(*(rng.standard_normal((n, 8)).astype(np.float32) for n in train.shape))
    r = evaluate(model, train, test, k=20, metrics=("precision", "recall", "hit_rate", "ndcg", "mrr"))
    assert r["tied@20"] == 0.0
    users = r.user_index
    items, scores = model.recommend(users, train[users], k=20)
    relevant = sp.csr_matrix(test - test.multiply(train > 0))
    relevant.eliminate_zeros()
    qrels = ranx.Qrels({str(u): {str(i): 1 for i in relevant[u].indices} for u in users})
    run = ranx.Run({str(u): {str(i): float(s) for i, s in zip(items[j], scores[j]) if i >= 0} for j, u in enumerate(users)})
    for name, value in ranx.evaluate(qrels, run, [m for m in r.metrics], make_comparable=True).items():
        assert r[name] == pytest.approx(value, abs=1e-6), name


class Foreign:
    """Speaks implicit's words; float64 scores; pads with the lowest float."""

    def __init__(self, model, asked):
        self.model, self.asked = model, asked

    def recommend(self, userid, user_items, N=10, filter_already_liked_items=True):
        self.asked.append((len(userid), N))
        ids, scores = self.model.recommend(userid, user_items, k=N, filter_already_liked_items=filter_already_liked_items)
        return np.where(ids < 0, 0, ids), np.where(ids < 0, np.finfo(np.float32).min, scores.astype(np.float64))


@pytest.mark.parametrize("name", MODELS)
def test_models_from_elsewhere_and_lists_with_scores_count_ties_too(parts, name):
    train, test = parts
    model = MODELS[name][0](train)
    own = evaluate(model, train, test, k=(5, 20), metrics=ALL)
    asked = []
    foreign = evaluate(Foreign(model, asked), train, test, k=(5, 20), metrics=ALL)
    whole = model.recommend(np.arange(train.shape[0]), train, k=train.shape[1])
    lists = evaluate(whole, train, test, k=(5, 20), metrics=ALL)
    for metric in [*own.metrics, "tied@5", "tied@20"]:
        assert own[metric] == foreign[metric] == lists[metric], metric
    assert asked[0] == (500, 21)
    stands = evaluate(whole[0], train, test, k=(5, 20), metrics=ALL)
    assert stands["tied@20"] == 0.0


def test_scores_that_differ_in_double_precision_alone_are_no_tie():
    test = sp.csr_matrix(np.array([[0, 1, 0]], np.float32))
    items, scores = np.array([[0, 1, 2]]), np.array([[1 + 1e-12, 1.0, 0.5]])
    assert evaluate_ranking(items, test, k=1, metrics="recall", scores=scores)["recall@1"] == 0.0
    assert evaluate_ranking(items, test, k=1, metrics="recall", scores=scores.astype(np.float32))["recall@1"] == 0.5
    whole = np.array([[7, 7, 7]])
    assert evaluate_ranking(items, test, k=1, metrics="recall", scores=whole)["recall@1"] == pytest.approx(1 / 3)
    for bad, told in ((scores[:, ::-1], "must not rise"), (np.array([[np.nan, 1, 0]]), "NaN"), (scores[:, :2], "shape of items")):
        with pytest.raises(ValueError, match=told):
            evaluate_ranking(items, test, k=1, metrics="recall", scores=bad)


def test_next_items_comparisons_and_searches_count_them(parts):
    train, test = parts
    log = etalage.EventLog.from_frame({"user": np.arange(8) // 2, "item": np.array([0, 1, 0, 2, 0, 3, 0, 4]), "time": np.arange(8)},
                                      time="time", time_unit="s")
    r = evaluate_next(level(sp.csr_matrix((4, 5), dtype=np.float32)), log, "last", k=2, metrics="hit_rate", known_users=True)
    np.testing.assert_allclose(r.per_user["hit_rate@2"], 2 / 5)
    table = compare({"level": level(train), "counts": counts(train)}, train, test, k=(20,))
    assert {row["model"]: row["tied"] for row in table.rows}["level"] == 1.0
    assert table.evaluations["level"]["recall@20"] == evaluate(level(train), train, test)["recall@20"]


def test_lists_that_users_get_stay_in_the_order_of_indices(parts):
    items, _ = level(parts[0]).recommend(0, parts[0][0], k=10, filter_already_liked_items=False)
    np.testing.assert_array_equal(items, np.arange(10))
