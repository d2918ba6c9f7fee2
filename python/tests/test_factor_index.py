# SPDX-License-Identifier: Apache-2.0
"""Models of factors through an index."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS, Blend, GraphFilter, Popularity, Vectors


def vectors(n, seed):
    return np.random.default_rng(seed).standard_normal((n, 16)).astype(np.float32)


def rows(users=60, items=2000, seed=4):
    return sp.random(users, items, 0.01, "csr", np.float32, np.random.default_rng(seed), lambda n: np.ones(n, np.float32))


def test_vectors_with_an_exact_index_answer_as_without(tmp_path):
    plain = Vectors(vectors(60, 1), vectors(2000, 2), user_items=rows())
    indexed = Vectors(vectors(60, 1), vectors(2000, 2), user_items=rows(), index="exact")
    for options in ({}, {"filter_items": [1, 2, 3]}, {"items": [5, 6, 7]}, {"filter_already_liked_items": False}):
        for a, b in zip(indexed.recommend(np.arange(60), k=12, **options), plain.recommend(np.arange(60), k=12, **options)):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(indexed.recommend_vectors(vectors(3, 9))[0], plain.recommend_vectors(vectors(3, 9))[0])


@pytest.mark.parametrize("kind, options", [("ivf_pq", {"nprobe": 64}), ("hnsw", {"ef_search": 300})])
def test_approximate_indexes_find_nearly_all_and_are_kept(kind, options, tmp_path):
    plain = Vectors(vectors(60, 1), vectors(2000, 2), user_items=rows())
    model = Vectors(vectors(60, 1), vectors(2000, 2), user_items=rows(), index=kind, index_options=options)
    got, scores = model.recommend(np.arange(60))
    want, _ = plain.recommend(np.arange(60))
    assert np.mean([np.isin(g, w).mean() for g, w in zip(got, want)]) > 0.85
    np.testing.assert_array_equal(scores, model.score(np.arange(60), None, got))
    model.save(tmp_path / "m.etalage")
    for other in (etalage.load(tmp_path / "m.etalage"), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert other.get_params() == model.get_params() and other._model.index["kind"] == kind
        np.testing.assert_array_equal(other.recommend(np.arange(60))[0], got)
    model.partial_fit_items([2000], vectors(1, 5))
    assert model._model.index["kind"] == kind and model.num_items == 2001
    assert model.drop_index()._model.index is None


def test_als_and_a_blend_of_it():
    data = etalage.Interactions.from_csr(rows())
    als = ALS(factors=8, iterations=3, seed=1).fit(data)
    exact = als.recommend(np.arange(60))[0]
    als.build_index("exact")
    np.testing.assert_array_equal(als.recommend(np.arange(60))[0], exact)
    blend = Blend([("als", als), ("filter", GraphFilter(low_pass_factors=0).fit(data))]).fit(data, refit_members=False)
    assert blend.fitted_members["als"]._model.index["kind"] == "exact"
    assert blend.recommend(np.arange(60))[0].shape == (60, 10)
    assert als.fit(data)._model.index is None


def test_what_is_refused():
    with pytest.raises(ValueError, match="kind is 'tree'"):
        Vectors(index="tree")
    with pytest.raises(TypeError, match="depth is not an option"):
        Vectors(index="hnsw", index_options={"depth": 3})
    with pytest.raises(ValueError, match="index_options"):
        Vectors(index_options={"M": 3})
    with pytest.raises(NotImplementedError, match="Popularity has no build_index"):
        Popularity().fit(rows()).build_index()


def test_a_snapshot_asks_the_model_through_its_index_and_leaves_the_model_as_it_is():
    from etalage.retrieval import ItemIndex
    from etalage.serving import Engine, Snapshot

    data = etalage.Interactions.from_csr(rows())
    als = ALS(factors=8, iterations=3, seed=1).fit(data)
    index = ItemIndex(8, metric="dot", kind="exact")
    index.add(als.item_factors, np.arange(2000))
    answers = []
    for options in ({}, {"factor_index": index}):
        engine = Engine()
        engine.publish(Snapshot({"als": als}, **options))
        answers.append(list(engine.recommend(5, k=10)[0]))
    assert len(answers[0]) == 10 and answers[0] == answers[1] and als._model.index is None
    with pytest.raises(ValueError, match="must come with a model that has factors"):
        Snapshot({"popularity": Popularity().fit(data)}, factor_index=index)
    other = ItemIndex(8, metric="dot", kind="exact")  # of ids that are no rows of the model
    other.add(als.item_factors, 10_000_000 + np.arange(2000))
    engine = Engine()
    engine.publish(Snapshot({"als": als}, factor_index=other))
    assert list(engine.recommend(5, k=10)[0]) == answers[0]
    index.remove(np.arange(1000))
    index.add(als.item_factors[:1000], 2**40 + np.arange(1000))
    engine.publish(Snapshot({"als": als}, factor_index=index))
    assert list(engine.recommend(5, k=10)[0]) == answers[0]
    with pytest.raises(TypeError, match="factor_index is a str"):
        Snapshot({"als": als}, factor_index="index")
    short = ItemIndex(8, metric="dot", kind="exact")
    short.add(als.item_factors[:5], np.arange(5))
    with pytest.raises(ValueError, match="size"):
        Snapshot({"als": als}, factor_index=short)
