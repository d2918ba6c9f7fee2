# SPDX-License-Identifier: Apache-2.0
import datetime as dt

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import tuning
from etalage.evaluation import evaluate, split
from etalage.tuning import Choice, Float, Int, Tied, defaults, search, shape_of, space_of

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def parts():
    store = etalage.datasets.synthetic_store(users=500, items=200, seed=5)
    return split.random_holdout(store.log.interactions(), 0.2, seed=1)


def als(**params):
    return etalage.models.ALS(factors=8, **params)


def test_finds_better_settings_than_bad_ones_it_starts_from(parts):
    bad = als(regularization=0.0999, unobserved_weight=0.9, alpha=0.9, nu=1.0)
    before = evaluate(etalage.models.ALS(**bad.get_params()).fit(parts.train), parts.train, parts.test, k=(20,))["ndcg@20"]
    space = {"regularization": Float(0.0003, 0.1, log=True), "unobserved_weight": Float(0.002, 1, log=True), "alpha": Tied("unobserved_weight")}
    found = search(bad, parts.train, parts.test, budget=12, space=space, seed=1)
    assert found.best_value > before
    assert found.best_params["alpha"] == found.best_params["unobserved_weight"]
    again = found.fit(parts.train)
    assert evaluate(again, parts.train, parts.test, k=(20,))["ndcg@20"] == pytest.approx(found.best_value, abs=1e-6)
    assert [t["origin"] for t in found.trials[:2]] == ["data", "model"]


def test_equal_seeds_give_equal_searches(parts):
    a, b = (search(als(), parts.train, parts.test, budget=6, seed=3, num_threads=n) for n in (1, 2))
    assert a.trials[-1]["params"] == b.trials[-1]["params"]
    assert [t["values"] for t in a.trials] == [t["values"] for t in b.trials]


def test_what_the_model_has_set_stays(parts):
    found = search(als(unobserved_weight=0.1), parts.train, parts.test, budget=4)
    assert "unobserved_weight" not in found.best_params and found.model.unobserved_weight == 0.1
    assert found.model.factors == 8
    assert found.model._model is None


def test_what_is_not_varied_follows_the_shape_of_the_data():
    rows = sp.random(60, 40, 0.2, format="csr", random_state=2, dtype=np.float32)
    found = search(etalage.models.ALS, rows, rows, budget=2, filter_already_liked_items=False)
    assert all(t["params"]["factors"] == 40 for t in found.trials)
    assert found.best_params["factors"] == defaults("ALS", rows)["factors"]
    assert "factors" not in search(als(), rows, rows, budget=2, filter_already_liked_items=False).best_params


def test_staged_fit_is_the_whole_fit(parts):
    from etalage.tuning._search import _stages

    staged = list(_stages(als(iterations=7, nu=1.0), parts.train))
    whole = als(iterations=7, nu=1.0).fit(parts.train)
    assert len(staged) == 3
    np.testing.assert_array_equal(staged[-1].item_factors, whole.item_factors)


def test_importance_decides_what_is_best(parts):
    counts = np.zeros(parts.train.num_users)
    counts[::7] = 1
    found = search(als(), parts.train, parts.test, budget=2, importance=counts, prune=False)
    r = evaluate(found.fit(parts.train), parts.train, parts.test, k=(20,))
    some = np.isin(r.user_index, np.flatnonzero(counts))
    assert found.best_value == pytest.approx(r.per_user["ndcg@20"][some].mean(), abs=1e-6)


def test_prunes_what_is_below_the_median_early(parts):
    space = {"regularization": Float(1e-4, 1e4, log=True)}
    found = search(als(nu=1.0), parts.train, parts.test, budget=20, space=space, seed=2)
    states = {t["state"] for t in found.trials}
    assert states == {"complete", "pruned"}
    assert all(t["value"] is None and len(t["values"]) < 3 for t in found.trials if t["state"] == "pruned")
    assert {t["state"] for t in search(als(nu=1.0), parts.train, parts.test, budget=20, space=space, seed=2, prune=False).trials} == {"complete"}


def test_a_failed_trial_does_not_end_the_search():
    # Rank 2 in 8 factors without regularization: the equations are singular.
    rows = np.zeros((30, 12), np.float32)
    rows[:, :2] = 1
    train = sp.csr_matrix(rows)
    model = etalage.models.ALS(factors=8, solver="cholesky", unobserved_weight=1e-30, alpha=0.0, iterations=2, nu=1.0)
    found = search(model, train, train, budget=2, space={"regularization": Choice(0.0, 0.1)}, filter_already_liked_items=False,
                   starts=[{"regularization": 0.0}, {"regularization": 0.1}])
    assert [t["state"] for t in found.trials] == ["failed", "complete"]
    assert "NumericalError" in found.trials[0]["error"]
    assert found.best_params == {"regularization": 0.1}
    with pytest.raises(RuntimeError, match="none of the 1 trials"):
        search(model, train, train, budget=1, space={"regularization": Choice(0.0, 0.1)}, starts=[{"regularization": 0.0}])


def test_starts_come_first_and_earlier_results_are_starts(parts):
    first = search(als(), parts.train, parts.test, budget=5, seed=4)
    second = search(als(), parts.train, parts.test, budget=1, starts=first)
    assert second.trials[0]["origin"] == "start"
    assert second.best_value == pytest.approx(first.best_value)


def test_ends_by_time_by_callback_and_keeps_what_it_has(parts):
    timed = search(als(), parts.train, parts.test, budget=dt.timedelta(milliseconds=1))
    assert len(timed.trials) == 1
    seen = []

    def callback(trial):
        seen.append(trial)
        return len(seen) < 2

    stopped = search(als(), parts.train, parts.test, budget=10, callback=callback)
    assert len(stopped.trials) == 2 and stopped.stopped == "callback"


def test_table_and_picture(parts, tmp_path):
    found = search(als(), parts.train, parts.test, budget=3, metric="recall@10")
    table = found.to_dict()
    assert table["recall@10"] == [t["value"] for t in found.trials]
    assert len({len(v) for v in table.values()}) == 1
    assert list(found.to_pandas().columns) == list(table)
    found.plot(tmp_path / "search.png")
    assert (tmp_path / "search.png").stat().st_size > 1000
    assert "recall@10" in repr(found)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"budget": 0}, ValueError, "budget is 0"),
        ({"budget": True}, TypeError, "budget is True"),
        ({"budget": "5 parsecs"}, ValueError, "budget is '5 parsecs'"),
        ({"metric": "ndcg"}, ValueError, "metric is 'ndcg'"),
        ({"metric": "swag@10"}, ValueError, "swag"),
        ({"space": {}}, ValueError, "space is {}"),
        ({"space": {"warmth": Float(0, 1)}}, ValueError, "warmth"),
        ({"space": {"alpha": Tied("beta")}}, ValueError, "tied to 'beta'"),
        ({"space": {"alpha": "high"}}, TypeError, "alpha"),
        ({"starts": [{"warmth": 1}]}, ValueError, "starts names 'warmth'"),
        ({"callback": 3}, TypeError, "callback is 3"),
        ({"importance": [1.0, 2.0]}, ValueError, "importance has shape"),
    ],
)
def test_bad_input_names_argument_value_and_rule(parts, options, error, text):
    with pytest.raises(error, match=text):
        search(als(), parts.train, parts.test, **{"budget": 1} | options)


def test_bad_ranges_and_models(parts):
    with pytest.raises(ValueError, match="low is 2"):
        Float(2, 1)
    with pytest.raises(ValueError, match="low is 0"):
        Float(0, 1, log=True)
    with pytest.raises(ValueError, match="Choice has no values"):
        Choice()
    with pytest.raises(TypeError, match="model is a int"):
        search(3, parts.train, parts.test)
    with pytest.raises(ValueError, match="no ready space for Vectors"):
        space_of(etalage.models.Vectors)


def test_every_ready_space_fits_its_model():
    ready = sorted(set(etalage.models.__all__) & set(tuning._space._SPACES))
    assert len(ready) > 8
    for kind in ready:
        model = getattr(etalage.models, kind)()
        space = tuning._space.checked(space_of(model), model)
        for name, p in space.items():
            if isinstance(p, (Float, Int)):
                for value in (p.low, p.high):
                    type(model)(**{name: value})
            elif isinstance(p, Choice):
                for value in p.values:
                    type(model)(**{name: value})


def test_shape_and_defaults_follow_the_data(parts):
    shape = shape_of(parts.train)
    rows = parts.train.user_items
    assert (shape.users, shape.items, shape.pairs) == (*rows.shape, rows.nnz)
    assert shape == shape_of(parts.train.user_items)
    assert shape.density == pytest.approx(rows.nnz / rows.shape[0] / rows.shape[1])
    sequences = etalage.Sequences(np.array([0, 2, 5]), np.array([0, 1, 1, 1, 3]))
    assert shape_of(sequences).pairs == 5 and shape_of(sequences).mean_length == 2.5
    for kind in tuning._defaults._RULES:
        model = getattr(etalage.models, kind)
        assert model(**defaults(model, parts.train)).get_params().items() >= defaults(kind, parts.train).items()
    for kind in ("ALS", "BPR", "WARP"):
        assert defaults(kind, sp.random(20, 10, 0.3, format="csr"))["factors"] <= 10
        assert defaults(kind, sp.csr_matrix((3, 4)))["factors"] >= 1
    for kind in tuning._defaults._RULES:
        getattr(etalage.models, kind)(**defaults(kind, sp.csr_matrix((3, 4))))
    dense, sparse = sp.random(300, 200, 0.05, format="csr", random_state=1), sp.random(4000, 3000, 0.0004, format="csr", random_state=1)
    assert defaults("RP3beta", dense)["beta"] > defaults("RP3beta", sparse)["beta"]
    assert defaults("EASE", dense)["l2"] > defaults("EASE", sparse)["l2"]
    assert defaults("WARP", dense)["regularization"] < defaults("WARP", sparse)["regularization"]
    assert defaults("GraphFilter", dense)["sharpen_weight"] > defaults("GraphFilter", sparse)["sharpen_weight"]
