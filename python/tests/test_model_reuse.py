# SPDX-License-Identifier: Apache-2.0
"""Nothing that takes models uses one that was fitted on other data without a word."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import models
from etalage.evaluation import compare, evaluate, evaluate_ranking, split


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(5)
    taste = rng.random((120, 3)) @ rng.random((3, 40))
    rows = sp.csr_matrix((taste > np.quantile(taste, 0.8)).astype(np.float32))
    data = etalage.Interactions.from_csr(rows)
    cut = split.random_holdout(data, 0.3, 1)
    return data, cut.train, cut.test


def test_compare_fits_copies(parts):
    _, train, test = parts
    given = {"ease": models.EASE(), "popular": models.Popularity, "als": models.ALS(factors=8, iterations=3)}
    result = compare(given, train, test, k=10)
    assert given["ease"]._model is None and given["als"]._model is None
    assert {r["model"]: r["fit"] for r in result.rows} == {"ease": "here", "popular": "here", "als": "here"}
    assert all(r["fit_seconds"] is not None for r in result.rows)


@pytest.mark.parametrize("keep_history", [True, False])
def test_what_has_seen_test_is_refused(parts, keep_history):
    data, train, test = parts
    everything = models.EASE().fit(data, keep_history=keep_history)
    with pytest.raises(ValueError, match="'ease'.* was fitted on .* of the pairs"):
        compare({"ease": everything}, train, test, k=10)
    with pytest.raises(ValueError, match="must be fitted on train alone"):
        evaluate(everything, train, test, k=10)
    assert evaluate(everything, train, test, k=10, check_fit=False)["recall@10"] > evaluate(models.EASE().fit(train), train, test, k=10)["recall@10"]


def test_what_was_fitted_on_train_is_used_as_it_is(parts):
    _, train, test = parts
    fitted = models.ALS(factors=8, iterations=3).fit(train)
    # Values, and the order of the entries, do not matter.
    values = models.EASE().fit(etalage.Interactions.from_csr(train.user_items * 3))
    loaded = copy.deepcopy(fitted)
    result = compare({"a": fitted, "b": values, "c": loaded}, train, test, k=10)
    assert {r["fit"] for r in result.rows} == {"as given"}
    assert all(r["fit_seconds"] is None for r in result.rows)


def test_other_data_are_fitted_anew(parts):
    _, train, test = parts
    half = train.user_items[:, :].copy()
    half.data[::2] = 0
    half.eliminate_zeros()
    other = models.ALS(factors=8, iterations=3, warm_start=True).fit(etalage.Interactions.from_csr(half))
    factors = other.user_factors.copy()
    result = compare({"other": other, "fresh": models.ALS(factors=8, iterations=3)}, train, test, k=10)
    assert {r["model"]: r["fit"] for r in result.rows} == {"other": "anew", "fresh": "here"}
    assert result.evaluations["other"]["recall@10"] == result.evaluations["fresh"]["recall@10"]
    np.testing.assert_array_equal(other.user_factors, factors)


def test_params_auto_and_by_name(parts):
    _, train, test = parts
    result = compare({"als": models.ALS, "mine": models.ALS(factors=4)}, train, test, k=10, params="auto")
    assert {r["fit"] for r in result.rows} == {"here"}
    byname = compare({"als": models.ALS(factors=8)}, train, test, k=10, params={"als": {"iterations": 0}})
    assert byname.rows[0]["users"] == result.rows[0]["users"]
    with pytest.raises(ValueError, match="params"):
        compare({"als": models.ALS}, train, test, params=3)
    with pytest.raises(TypeError, match="Blend"):
        compare({"blend": models.Blend}, train, test)


def test_partial_fits_move_the_mark(parts):
    data, train, test = parts
    model = models.ALS(factors=8, iterations=3).fit(train)
    before = model._model.fitted_on
    user = int(np.flatnonzero(np.diff(test.user_items.indptr))[0])
    model.partial_fit_users([user], data.user_items[user])
    assert model._model.fitted_on != before
    with pytest.raises(ValueError, match="of the pairs"):
        evaluate(model, train, test)
    model.partial_fit_users([user], train.user_items[user])
    assert model._model.fitted_on == before
    evaluate(model, train, test)
    item = int(test.user_items.indices[0])
    model.partial_fit_items([item], data.user_items.T.tocsr()[item])
    with pytest.raises(ValueError, match="of the pairs"):
        evaluate(model, train, test)
    model.partial_fit_items([item], train.user_items.T.tocsr()[item])
    assert model._model.fitted_on == before


def test_sequences_and_logs_are_known_too():
    rng = np.random.default_rng(2)
    log = etalage.EventLog.from_frame({"user": np.repeat(np.arange(60), 8), "item": rng.integers(0, 30, 480), "time": np.arange(480)},
                                      time="time", time_unit="s")
    cut = split.leave_last_out(log, valid=False)
    for model in (models.Transitions(), models.SessionKNN(), models.EASE(), models.Popularity()):
        fitted = copy.copy(model).fit(cut.train)
        assert compare({"m": fitted}, cut.train, cut.test, k=5).rows[0]["fit"] == "as given"
        with pytest.raises(ValueError, match="of the pairs"):
            compare({"m": copy.copy(model).fit(log)}, cut.train, cut.test, k=5)


def test_blend_members(parts):
    data, train, test = parts
    seen = models.EASE().fit(data)
    with pytest.raises(ValueError, match="'ease' was fitted on .* pairs of valid"):
        models.Blend([("ease", seen), ("als", models.ALS(factors=4))]).fit(train, test, refit_members=False)
    fitted = models.EASE().fit(train)
    blend = models.Blend([("ease", fitted), ("als", models.ALS(factors=4))]).fit(train, test, refit_members=False)
    np.testing.assert_array_equal(blend.fitted_members["ease"].recommend([1, 2], train.user_items[[1, 2]])[0],
                                  fitted.recommend([1, 2], train.user_items[[1, 2]])[0])
    assert blend._model.members[0][1].fitted_on == fitted._model.fitted_on
    half = models.EASE().fit(sp.csr_matrix(train.user_items.shape, dtype=np.float32))
    blend = models.Blend([("ease", half), ("als", models.ALS(factors=4))]).fit(train, refit_members=False)
    assert blend._model.members[0][1].fitted_on == fitted._model.fitted_on != half._model.fitted_on


def test_blend_refuses_values_of_another_scale(parts):
    _, train, test = parts
    rng = np.random.default_rng(1)
    raw, held = train.user_items.copy(), test.user_items.copy()
    raw.data = np.exp(rng.normal(4, 1, raw.nnz)).astype(np.float32)
    held.data = np.exp(rng.normal(4, 1, held.nnz)).astype(np.float32)
    log = raw.copy()
    log.data = np.log1p(raw.data)
    members = [("ease", models.EASE()), ("popular", models.Popularity())]
    with pytest.raises(ValueError, match="another scale than train"):
        models.Blend(members).fit(log, held)
    models.Blend(members).fit(raw, held)
    models.Blend(members).fit(log, held, refit_members=False)


def test_with_and_without_history(parts):
    _, train, test = parts
    rows = train.user_items.tolil()
    asked = np.diff(test.user_items.indptr) > 0
    newcomers = [int(u) for u in np.flatnonzero(asked)[:7]]
    newcomers = sorted({*newcomers, *(int(u) for u in np.flatnonzero(asked & (np.diff(train.user_items.indptr) == 0)))})
    rows[newcomers] = 0
    train = etalage.Interactions.from_csr(sp.csr_matrix(rows.tocsr(), dtype=np.float32))
    result = compare({"ease": models.EASE(), "als": models.ALS(factors=8, iterations=3)}, train, test, k=10)
    for row in result.rows:
        e = result.evaluations[row["model"]]
        groups = e.by_history
        assert groups["without history"]["users"] == len(newcomers) and groups["all"]["users"] == e["users"]
        assert sorted(e.user_index[~e.has_history]) == newcomers
        n = groups["with history"]["users"]
        mixed = (groups["with history"]["recall@10"] * n + groups["without history"]["recall@10"] * len(newcomers)) / (n + len(newcomers))
        assert mixed == pytest.approx(e["recall@10"])
        assert row["with history"] == groups["with history"]["recall@10"]
        assert row["without history"] == groups["without history"]["recall@10"]
        assert f"without history: users={len(newcomers)}" in repr(e)
    assert "without history" in str(result)
    lists = np.tile(np.arange(10, dtype=np.int32), (test.num_users, 1))
    assert evaluate(lists, train, test, k=10, filter_already_liked_items=False).by_history["without history"]["users"] == len(newcomers)
    assert list(evaluate_ranking(lists, test, k=10).by_history) == ["all"]


def test_search_prunes_only_what_can_go_on(parts):
    optuna = pytest.importorskip("optuna")
    assert optuna
    _, train, test = parts
    found = etalage.tuning.search(models.EASE(), train, test, budget=20, metric="ndcg@10")
    assert {t["state"] for t in found.trials} == {"complete"}
    found = etalage.tuning.search(models.ItemKNN(), train, test, budget=20, metric="ndcg@10")
    assert {t["state"] for t in found.trials} == {"complete"}


def test_what_a_model_refuses_names_the_model_and_how_the_log_could_be_read():
    rng = np.random.default_rng(0)
    n = 2000
    log = etalage.EventLog.from_frame({"user": rng.integers(0, 60, n), "item": rng.integers(0, 40, n), "value": rng.choice([3.0, 2.0, -1.0], n),
                                       "time": rng.integers(1_600_000_000, 1_650_000_000, n)}, user="user", item="item", value="value", time="time",
                                      time_unit="s")
    train, test = log.filtered(np.arange(n) < 1600), log.filtered(np.arange(n) >= 1600)
    models = {"popular": etalage.models.Popularity(), "graph": etalage.models.GraphFilter()}
    with pytest.raises(ValueError, match=r"model 'graph': user_items value is .*must be >= 0.*negative_values"):
        compare(models, train, test)
    with pytest.raises(ValueError, match=r"model 'ease': memory_budget is 1000, (?!.*negative_values)"):
        compare({"ease": etalage.models.EASE(memory_budget=1000, method="exact")}, train, test)
    found = compare(models, train, test, recipe=etalage.Recipe(negative_values="cancel"))
    assert len(found.rows) == 2
