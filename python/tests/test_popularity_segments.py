# SPDX-License-Identifier: Apache-2.0
"""Popularity by segment against its formula in NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return sp.csr_matrix((rng.random((60, 20)) < 0.2) * rng.integers(1, 4, (60, 20)), dtype=np.float32)


def test_a_segment_has_its_own_ranking_drawn_to_that_of_all(rows, tmp_path):
    data = etalage.Interactions.from_csr(rows)
    labels = np.array(["north", "south", None], dtype=object)[np.arange(60) % 3]
    model = etalage.models.Popularity().fit(data).set_segments(labels, prior=7)
    x = rows.toarray().astype(np.float64)
    everyone = x.sum(0)
    expected = [x[np.arange(60) % 3 == g].sum(0) + 7 * everyone / everyone.sum() for g in (0, 1)] + [everyone]
    model.save(tmp_path / "popularity.etalage")
    for m in (model, etalage.load(tmp_path / "popularity.etalage")):
        for u in (0, 1, 2, 30, 31, 32):
            scores = m.score(u, None, np.arange(20))
            np.testing.assert_allclose(scores, expected[u % 3], rtol=1e-6)
            items, _ = m.recommend(u, k=20, filter_already_liked_items=False)
            np.testing.assert_array_equal(items, np.lexsort((np.arange(20), -scores)))
            few, _ = m.recommend(u, k=3, items=[3, 9, 11, 15], filter_already_liked_items=False)
            np.testing.assert_array_equal(few, [i for i in items if i in (3, 9, 11, 15)][:3])
            assert m.explain(u, None, 4)[0] == scores[4]
        np.testing.assert_allclose(m.recommend_session([], k=20)[1], np.sort(everyone)[::-1])
    model.partial_fit_users([0], sp.csr_matrix(([50.0], ([0], [6])), shape=(1, 20)))
    assert model.recommend(3, k=1, filter_already_liked_items=False)[0][0] == 6
    model.set_segments([])
    np.testing.assert_array_equal(model.score(0, None, np.arange(20)), model.item_scores)


def test_decay_counts_within_a_segment_too():
    day = 86_400_000
    log = etalage.EventLog.from_frame({"user": ["a", "b", "b", "c"], "item": ["x", "x", "y", "y"], "time": [0, 0, 20 * day, 20 * day]},
                                      time="time", time_unit="ms")
    model = etalage.models.Popularity(half_life_days=10).fit(log).set_segments([0, 0, 1], prior=0)
    x, y = log.interactions().item_index(["x", "y"])
    np.testing.assert_allclose(model.score(0, None, [x, y]), [0.5, 1.0])
    np.testing.assert_allclose(model.score(2, None, [x, y]), [0.0, 1.0])


def test_bad_segments(rows):
    model = etalage.models.Popularity().fit(etalage.Interactions.from_csr(rows))
    with pytest.raises(ValueError, match="user_segments.* is 3.*must be"):
        model.set_segments([0, 1, 1])
    with pytest.raises(ValueError, match="user_segments is -2, must be"):
        model.set_segments([-2] * 60)
    with pytest.raises(ValueError, match="prior is -1"):
        model.set_segments([0] * 60, prior=-1)
    with pytest.raises(ValueError, match="no rows"):
        etalage.models.Popularity().fit(rows).set_segments([0] * 60)
