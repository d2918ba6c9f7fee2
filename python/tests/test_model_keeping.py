# SPDX-License-Identifier: Apache-2.0
"""Clones and pickles of what holds other models, and fits in closed form that answer a callback while they run."""

import copy
import pickle
import time

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import evaluation, models


def rows(n=40, m=20):
    rng = np.random.default_rng(4)
    return sp.csr_matrix((rng.random((n, m)) < 0.3).astype(np.float32))


def catalog():
    return etalage.Catalog([f"p{i}" for i in range(20)], names=[f"name {i}" for i in range(20)],
                           categories=[["A", "B"] if i % 2 else ["A"] for i in range(20)], brands=["x", "y"] * 10,
                           prices=np.where(np.arange(20) == 3, np.nan, np.arange(20)), tags=[["t"] * (i % 3) for i in range(20)],
                           texts=["soft red cup"] * 20, vectors=np.eye(20, 4, dtype=np.float32))


def test_clone_of_a_blend():
    base = pytest.importorskip("sklearn.base")
    blend = models.Blend([("ease", models.EASE(l2=7)), ("als", models.ALS(factors=4, seed=3))], method="zscore", exclude_last=False)
    blend.fit(rows())
    new = base.clone(blend)
    assert new.get_params() == blend.get_params() and new._model is None
    assert all(a is not b for (_, a), (_, b) in zip(new.members, blend.members))
    new.fit(rows())
    np.testing.assert_array_equal(new.recommend(0, rows()[0])[0], blend.recommend(0, rows()[0])[0])
    # The constructor keeps the list it was given, as clone() of scikit-learn before __sklearn_clone__ asks.
    same = models.Blend(new.members)
    assert same.members is new.members
    fitted = models.Blend([("ease", models.EASE().fit(rows())), ("als", models.ALS(factors=4))])
    assert base.clone(fitted).members[0][1]._model is None and fitted.members[0][1]._model is not None
    for other in (models.EASE(l2=3), models.Transitions(exclude_last=True)):
        assert base.clone(other).get_params() == other.get_params()


def test_pickles_of_evaluations():
    train = rows()
    train[3] = 0
    train.eliminate_zeros()
    test = sp.csr_matrix((train.toarray() == 0).astype(np.float32))
    e = evaluation.evaluate(models.EASE().fit(train), train, test, k=(3, 5), metrics=("recall", "ndcg", "coverage"))
    for again in (pickle.loads(pickle.dumps(e)), copy.deepcopy(e)):
        assert dict(again) == dict(e) and again.by_history == e.by_history
        np.testing.assert_array_equal(again.per_user["ndcg@5"], e.per_user["ndcg@5"])
        np.testing.assert_array_equal(again.user_index, e.user_index)
        assert again.interval("recall@3") == e.interval("recall@3")
        assert again.compare(e, "ndcg@5")["difference"] == 0
    comparison = evaluation.compare({"a": models.EASE(), "b": models.Popularity()}, train, test, k=3)
    assert str(pickle.loads(pickle.dumps(comparison))) == str(comparison)


def test_pickles_of_catalogues():
    c = catalog()
    for again in (pickle.loads(pickle.dumps(c)), copy.deepcopy(c)):
        for name in ("names", "categories", "brands", "tags", "texts"):
            assert getattr(again, name) == getattr(c, name)
        for name in ("item_ids", "prices", "vectors"):
            np.testing.assert_array_equal(getattr(again, name), getattr(c, name))
    empty = etalage.Catalog(np.arange(3))
    assert list(pickle.loads(pickle.dumps(empty)).item_ids) == [0, 1, 2]


def test_pickles_of_cold_starts():
    data = etalage.Interactions.from_csr(rows(), item_ids=[f"p{i}" for i in range(20)])
    model = models.ALS(factors=4).fit(data)
    learned = models.ColdStart(model, catalog())
    again = pickle.loads(pickle.dumps(learned))
    np.testing.assert_array_equal(again.factors(catalog()), learned.factors(catalog()))
    assert again.options == learned.options
    features = sp.csr_matrix(np.eye(40, 6, dtype=np.float32))
    learned = models.ColdStart(model, features, side="users", power=1)
    again = copy.deepcopy(learned)
    np.testing.assert_array_equal(again.factors(features), learned.factors(features))
    np.testing.assert_array_equal(again.recommend_new(features, k=3)[0], learned.recommend_new(features, k=3)[0])


@pytest.mark.parametrize("method", ["exact", "candidates"])
def test_linear_sequence_answers_while_it_fits(method):
    rng = np.random.default_rng(1)
    n, length, items = 3000, 30, 1500
    data = etalage.Sequences(np.arange(n + 1) * length, rng.integers(0, items, n * length).astype(np.int32), num_items=items)
    model = models.LinearSequence(method=method, num_candidates=400, num_threads=1)
    phases = []

    def listen(progress):
        phases.append((time.process_time(), progress.phase))

    started = time.process_time()
    model.fit(data, callback=listen)
    moments = [started] + [at for at, _ in phases]
    assert len(phases) >= 3, phases
    # CPU time, and against the fit's own length: the machine may be busy.
    assert max(np.diff(moments)) < 0.7 * (moments[-1] - started), phases
    stopped = models.LinearSequence(method=method, num_candidates=400, num_threads=1)
    stopped.fit(data, callback=lambda progress: False)
    assert stopped.report.stop_reason == "cancelled"
    assert len(stopped.recommend_session([1, 2], k=5)[0]) == 5

    class Stop(Exception):
        pass

    def interrupt(progress):
        raise Stop

    with pytest.raises(Stop):
        model.fit(data, callback=interrupt)
    assert model.report.stop_reason == "closed_form", "the model stays as it was"


def test_linear_sequence_has_the_same_bits_watched_or_not():
    rng = np.random.default_rng(1)
    data = etalage.Sequences(np.arange(301) * 10, rng.integers(0, 60, 3000).astype(np.int32), num_items=60)
    plain = models.LinearSequence().fit(data)
    watched = models.LinearSequence().fit(data, callback=lambda p: None)
    for a, b in zip(plain.recommend_session([3, 4], k=20), watched.recommend_session([3, 4], k=20)):
        np.testing.assert_array_equal(a, b)


def test_repeat_purchase_takes_the_time_of_the_question():
    day = 86_400_000
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(5, 9, 40 * 12)).reshape(40, 12) % 200
    times = np.sort(times, axis=1) * day + day
    data = etalage.Sequences(np.arange(41) * 12, np.tile(np.arange(4, dtype=np.int32), 120), times.ravel(), num_items=4)
    model = models.RepeatPurchase().fit(data)
    newest = model._model.newest_ms
    asked = {"k": 4, "filter_already_liked_items": False}
    later = model.at(newest + 30 * day)
    assert model.at(newest).score(0, None, [0, 1, 2, 3]).tolist() == model.score(0, None, [0, 1, 2, 3]).tolist()
    for m in (model, later):
        items, scores = m.recommend(0, **asked)
        np.testing.assert_array_equal(m.score(0, None, items), scores)
        np.testing.assert_array_equal(m.recommend([0, 1], **asked)[1][0], scores)
        assert m.explain(0, None, int(items[0]))[0] == pytest.approx(float(scores[0]))
    assert not np.array_equal(later.score(0, None, [0, 1, 2, 3]), model.score(0, None, [0, 1, 2, 3]))
