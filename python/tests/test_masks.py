# SPDX-License-Identifier: Apache-2.0
"""A masked entry is a missing one, wherever arrays are read."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS, Popularity, Vectors
from etalage.retrieval import ItemFilter, ItemIndex


def masked(values, *hidden, dtype=None):
    out = np.ma.masked_array(np.array(values, dtype=dtype), mask=np.zeros(np.shape(values), bool))
    for at in hidden:
        out[at] = np.ma.masked
    return out


FRAME = {"user": [1, 2, 3], "item": [7, 8, 9], "event": ["view", "view", "buy"], "time": [0, 10, 20], "value": [1.0, 2.0, 3.0],
         "session": ["a", "b", "c"]}
NAMES = {"event": "event", "time": "time", "value": "value", "session": "session", "time_unit": "ms"}


@pytest.mark.parametrize("column", FRAME)
@pytest.mark.parametrize("kind", [None, object, "U5", np.int32, np.uint8, np.float32, "datetime64[s]"])
def test_a_masked_cell_of_a_frame_is_as_good_as_none(column, kind):
    if column in ("time", "value") and kind in (object, "U5") or kind == "datetime64[s]" and column != "time" or (
            column in ("event", "session") and kind not in (None, object, "U5")):
        pytest.skip("no such column")
    none = dict(FRAME, **{column: [None if i == 1 else v for i, v in enumerate(FRAME[column])]})
    values = np.array(FRAME[column]).astype(kind) if kind is not None else np.array(FRAME[column])
    hidden = dict(FRAME, **{column: masked(values, 1)})
    if kind in ("U5", "datetime64[s]"):
        none[column] = np.array(values, object if kind == "U5" else values.dtype)
        none[column][1] = None if kind == "U5" else np.datetime64("NaT")
    expected = etalage.EventLog.from_frame(none, **NAMES, on_error="skip")
    found = etalage.EventLog.from_frame(hidden, **NAMES, on_error="skip")
    assert [place for place, _ in found.report.refusals] == [place for place, _ in expected.report.refusals]
    assert all("missing" in reason for _, reason in found.report.refusals)
    assert [found.users.tolist(), found.times.tolist(), found.values.tolist()] == [
        expected.users.tolist(), expected.times.tolist(), expected.values.tolist()]


def test_the_rows_of_the_report():
    frame = {"user": masked([1, 2, 3], 1), "item": [7, 8, 9]}
    with pytest.raises(ValueError, match="row 1"):
        etalage.EventLog.from_frame(frame)
    log = etalage.EventLog.from_frame(frame, on_error="skip")
    assert log.user_ids.tolist() == [1, 3] and log.report.rows_refused == 1
    frame = {"user": [1, np.ma.masked, 3], "item": [7, 8, 9]}
    assert etalage.EventLog.from_frame(frame, on_error="skip").user_ids.tolist() == [1, 3]


def test_a_mask_without_entries_changes_nothing():
    frame = {k: masked(v) for k, v in FRAME.items()}
    log = etalage.EventLog.from_frame(frame, **NAMES)
    assert len(log) == 3 and log.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize("make", [
    lambda: masked([[1.0, 2, 0], [0, 3, 4]], (0, 1), (1, 2)),
    lambda: masked([[1, 2, 0], [0, 3, 4]], (0, 1), (1, 2)),
    lambda: with_data(sp.csr_matrix, 1, 3), lambda: with_data(sp.csc_matrix, 1, 3), lambda: with_data(sp.coo_matrix, 1, 3)],
    ids=["dense", "dense int", "csr", "csc", "coo"])
def test_a_masked_cell_of_a_matrix_is_a_pair_that_nobody_saw(make):
    data = etalage.Interactions.from_csr(make())
    assert data.user_items.toarray().tolist() == [[1, 0, 0], [0, 3, 0]] and data.nnz == 2
    a = ALS(factors=2, iterations=3).fit(make())
    b = ALS(factors=2, iterations=3).fit(sp.csr_matrix([[1.0, 0, 0], [0, 3, 0]]))
    np.testing.assert_array_equal(a.item_factors, b.item_factors)


def with_data(kind, *_):
    m = kind(np.array([[1.0, 2, 0], [0, 3, 4]], np.float32))
    m.data = np.ma.masked_array(m.data, mask=np.isin(m.data, (2, 4)))
    return m


def test_filtered():
    log = etalage.EventLog.from_frame(FRAME, **NAMES)
    assert log.filtered(masked([True, True, False], 1)).users.tolist() == [0]


def test_keys():
    data = etalage.Interactions.from_frame({"user": [1, 2], "item": ["a", "b"]})
    assert data.user_index(masked([1, 2, 2], 1)).tolist() == [0, -1, 1]
    assert data.item_index(masked(["a", "b"], 0)).tolist() == [-1, 1]
    with pytest.raises(TypeError, match="None"):
        etalage.IdMap(masked([1, 2], 0))
    with pytest.raises(TypeError, match="None"):
        etalage.Interactions.from_csr(np.eye(2), user_ids=masked([1, 2], 0))


def index():
    ix = ItemIndex(2)
    ix.add(np.eye(2, dtype=np.float32), [0, 1])
    return ix


@pytest.fixture(scope="module")
def model():
    return ALS(factors=2, iterations=2).fit(etalage.Interactions.from_csr(np.ones((4, 4), np.float32)))


REFUSED = {
    "user_index": lambda m, a: m.recommend(a, k=2),
    "user_index list": lambda m, a: m.recommend([0, np.ma.masked], k=2),
    "item_index": lambda m, a: m.similar_items(a, k=2),
    "similar_users": lambda m, a: m.similar_users(a, k=2),
    "filter_items": lambda m, a: m.recommend(0, k=2, filter_items=a),
    "filter_items of each": lambda m, a: m.recommend([0, 1], k=2, filter_items=[a, [1]]),
    "items": lambda m, a: m.recommend(0, k=2, items=a),
    "session": lambda m, a: m.recommend_session(a, k=2),
    "sessions": lambda m, a: m.recommend_session([a, [1]], k=2),
    "score": lambda m, a: m.score(0, None, a),
    "partial_fit_users": lambda m, a: m.partial_fit_users(a, np.ones((2, 4), np.float32)),
    "partial_fit_items": lambda m, a: m.partial_fit_items(a, np.ones((2, 4), np.float32)),
    "IdMap.at": lambda m, a: etalage.IdMap([5, 6]).at(a),
    "Sequences": lambda m, a: etalage.Sequences([0, 2], a),
    "ItemIndex.add": lambda m, a: index().add(np.eye(2), a),
    "ItemIndex.remove": lambda m, a: index().remove(a),
    "allow": lambda m, a: index().search(np.eye(2), 1, allow=a),
    "ItemFilter": lambda m, a: ItemFilter(allow=a),
    "evaluate_ranking": lambda m, a: etalage.evaluation.evaluate_ranking(a[None], np.ones((1, 4))),
    "users": lambda m, a: etalage.evaluation.evaluate_ranking([[1], [2]], np.ones((2, 4)), users=a),
    "ListSource": lambda m, a: etalage.serving.ListSource("x", (a, [1.0, 2.0])),
}


@pytest.mark.parametrize("call", REFUSED, ids=str)
def test_an_index_is_never_masked(call, model):
    """An integer has no missing value: what lies under the mask must not be taken for one."""
    with pytest.raises((ValueError, TypeError), match="mask|nan|float"):
        REFUSED[call](model, masked([0, 1], 1))


@pytest.mark.parametrize("call", [
    lambda v: Vectors(v, np.eye(2)), lambda v: Vectors(np.eye(2), v), lambda v: index().search(v, 1), lambda v: index().update(v, [0, 1]),
    lambda v: Vectors(np.eye(2), np.eye(2)).recommend_vectors(v, k=1), lambda v: Vectors(np.eye(2), np.eye(2)).partial_fit_items([0, 1], v)])
def test_a_vector_is_never_masked(call):
    with pytest.raises(ValueError, match="nan|finite"):
        call(masked(np.eye(2), (0, 1)))


def test_what_may_be_unknown_is():
    c = etalage.Catalog(["a", "b"], prices=masked([1.0, 2.0], 1), stock=masked([1, 2], 0, dtype=np.float32))
    assert np.isnan(c.prices).tolist() == [False, True] and np.isnan(c.stock).tolist() == [True, False]
    assert etalage.Catalog(["a", "b"], names=masked(["x", "y"], 1), brands=masked(["p", "q"], 0)).names == ["x", "b"]
    c = etalage.Catalog.from_frame({"item": ["a", "b"], "price": masked([1.0, 2.0], 1), "brand": masked(["p", "q"], 0)}, price="price", brand="brand")
    assert np.isnan(c.prices).tolist() == [False, True] and c.brands == ["", "q"]
    data = etalage.Interactions.from_csr(np.eye(4, dtype=np.float32))
    plain, hidden = Popularity().fit(data), Popularity().fit(data)
    plain.set_segments([0, 1, -1, 0])
    hidden.set_segments(masked([0, 1, 7, 0], 2))
    np.testing.assert_array_equal(plain.recommend([0, 1, 2], k=3)[1], hidden.recommend([0, 1, 2], k=3)[1])


def _marketing_calls():
    from etalage.evaluation import experiment, off_policy
    from etalage.marketing import allocate, baskets, lifetime, loyalty, uplift

    n = 200
    some = np.arange(n) % 2.0
    half, hidden = np.full(n, 0.5), np.ma.masked_array(some, mask=np.arange(n) == 3)
    hidden_int = np.ma.masked_array(some.astype(int), mask=np.arange(n) == 3)
    days = np.array(["2024-01-01", "2024-02-01"], dtype="datetime64[D]")
    x = np.random.default_rng(0).random((n, 2))
    hidden_x = np.ma.masked_array(x, mask=x > 0.9)
    return {
        "rewards": lambda: off_policy.estimate(hidden, half, half),
        "propensities": lambda: off_policy.estimate(some, np.ma.masked_array(half, mask=some == 1), half),
        "target": lambda: off_policy.estimate(some, half, np.ma.masked_array(half, mask=some == 1)),
        "groups of estimate": lambda: off_policy.estimate(some, half, half, groups=hidden_int),
        "actions": lambda: off_policy.estimate(some, np.tile(half, (2, 1)).T, np.tile(half, (2, 1)).T, actions=hidden_int),
        "contexts": lambda: off_policy.cross_fit(hidden_x, some.astype(int), some, np.tile(half, (2, 1)).T),
        "metric": lambda: experiment.analyze(some, {"m": hidden}, control=0.0),
        "values of events": lambda: experiment.per_shopper([1, 2], [1, 2], np.ma.masked_array([1.0, 2.0], mask=[0, 1])),
        "keys of events": lambda: experiment.per_shopper([1, 2], np.ma.masked_array([1, 2], mask=[0, 1])),
        "clicks": lambda: experiment.interleaving_test(hidden, some),
        "outcome": lambda: uplift.qini(hidden, some, half),
        "treated": lambda: uplift.qini(some, hidden_int, half),
        "score": lambda: uplift.auuc(half, some, hidden),
        "features": lambda: uplift.TLearner().fit(hidden_x, some, half),
        "treatment": lambda: uplift.TLearner().fit(x, hidden_int, half),
        "uplift": lambda: uplift.choose(hidden),
        "policy": lambda: uplift.policy_value(hidden, some, some),
        "values": lambda: allocate(hidden_x, x, 1),
        "costs": lambda: allocate(x, hidden_x, 1),
        "budgets": lambda: allocate(x, x, np.ma.masked_array([1.0], mask=[True])),
        "customer": lambda: lifetime.summarize_events(np.ma.masked_array([1, 2], mask=[0, 1]), days),
        "amount": lambda: loyalty.tiers([1, 2], days, np.ma.masked_array([1.0, 2.0], mask=[0, 1]), [loyalty.Tier("a", amount=1)], at="2024-03-01"),
        "points": lambda: loyalty.points_liability([1, 2], days, np.ma.masked_array([1.0, 2.0], mask=[0, 1]), 30, 1.0, "2024-03-01"),
        "labels of baskets": lambda: baskets.frequent_sets([np.ma.masked_array([1, 2], mask=[0, 1])], 1),
    }


@pytest.mark.parametrize("what", _marketing_calls())
def test_a_masked_number_is_missing_in_marketing_and_experiments(what):
    with pytest.raises((ValueError, TypeError), match="nan|NaN|mask|finite|label"):
        _marketing_calls()[what]()


def test_masked_pairs_and_groups():
    from etalage.evaluation import experiment
    from etalage.marketing import allocate, baskets

    nobody = np.ma.masked_array(np.ones((5, 2), bool), mask=True)
    assert allocate(np.ones((5, 2)), np.ones((5, 2)), 5, eligible=nobody).given.tolist() == [0, 0]
    groups = np.ma.masked_array([0, 1, 0, 1, 0, 1], mask=[1, 0, 0, 0, 0, 0])
    assert experiment.analyze(groups, {"m": np.arange(6)}, control=0).counts == {1: 3, 0: 2}
    assert experiment.analyze([np.nan, 1, 0, 1, 0, None], {"m": np.arange(6)}, control=0).outside == 2
    rows = sp.csr_matrix(np.eye(3))
    rows.data = np.ma.masked_array(rows.data, mask=[1, 0, 0])
    assert baskets.frequent_sets(rows, 1)["items"].tolist() == [(1,), (2,)]
