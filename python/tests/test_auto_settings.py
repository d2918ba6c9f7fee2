# SPDX-License-Identifier: Apache-2.0
"""What is left at "auto" a fit reads from the shape of the data, shows and keeps."""

import copy
import gzip
import inspect
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.tuning import defaults

DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[2] / "../shared/data"))
KINDS = ["ALS", "BPR", "EASE", "GraphFilter", "ItemKNN", "P3alpha", "RP3beta", "WARP"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    taste = rng.random((90, 3)) @ rng.random((3, 60))
    return sp.csr_matrix((rng.random((90, 60)) < 0.25 * taste).astype(np.float32))


def answers(model, rows):
    return model.recommend(np.arange(rows.shape[0]), rows, k=7)


@pytest.mark.parametrize("kind", KINDS)
def test_auto_is_the_rule_and_is_kept(kind, rows, tmp_path):
    cls = getattr(etalage.models, kind)
    model = cls()
    chosen = defaults(kind, rows)
    assert chosen and all(model.get_params()[n] == "auto" for n in chosen)
    assert model.resolved == {} and repr(model) == f"{kind}()"
    model.fit(rows)
    assert {n: model.resolved[n] for n in chosen} == chosen
    assert set(model.resolved) == set(model.get_params())
    assert all(model.get_params()[n] == "auto" for n in chosen)  # the next fit chooses anew
    given = cls(**model.resolved).fit(rows)
    assert given.resolved == model.resolved and given.get_params() == model.resolved
    for a, b in zip(answers(model, rows), answers(given, rows)):
        np.testing.assert_array_equal(a, b)
    path = tmp_path / "model"
    model.save(path)
    for other in (etalage.load(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.get_params() == model.get_params() and other.resolved == model.resolved
    given.save(path)
    assert etalage.load(path).get_params() == given.get_params()


@pytest.mark.parametrize("kind", KINDS)
def test_auto_fits_whatever_there_is(kind):
    for shape in ((1, 1), (2, 3), (3, 2)):
        model = getattr(etalage.models, kind)().fit(sp.csr_matrix(np.ones(shape, np.float32)))
        assert model.resolved.get("factors", 1) <= min(shape)
    getattr(etalage.models, kind)().fit(sp.csr_matrix((3, 4), dtype=np.float32))


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(6)
    n = 900
    return etalage.EventLog.from_frame({"user": rng.integers(0, 60, n), "item": rng.integers(0, 25, n), "time": np.arange(n) * 3600}, time="time",
                                       time_unit="s")


MODELS = [n for n in etalage.models.__all__ if inspect.isclass(getattr(etalage.models, n)) and issubclass(getattr(etalage.models, n), etalage.models.Recommender)
          and n != "Recommender"]
SEVERAL = {"Blend": "members", "LearnedRanker": "sources"}
MORE = {"partial_fit_users", "partial_fit_items", "add_sessions"}


def fitted(name, log):
    """As constructed, on the log; what holds others on one that goes by order and one that does not."""
    cls = getattr(etalage.models, name)
    if name in SEVERAL:
        return cls([("next", etalage.models.Transitions()), ("rows", etalage.models.EASE())]).fit(log)
    if name == "Vectors":
        rng = np.random.default_rng(1)
        return cls().fit(rng.random((log.num_users, 4), np.float32), rng.random((log.num_items, 4), np.float32))
    return cls().fit(log)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_that_is_resolved_is_auto(name, log, tmp_path):
    model = fitted(name, log)
    own = {n: v for n, v in model.resolved.items() if n not in SEVERAL.values()}
    assert set(model.resolved) == set(model.get_params())
    assert "auto" not in [v for v in own.values() if isinstance(v, str)], own
    held = getattr(model, "fitted_members", None) or getattr(model, "fitted_sources", None) or {}
    assert all("auto" not in [v for v in m.resolved.values() if isinstance(v, str)] for m in held.values())
    model.save(tmp_path / "model")
    for other in (etalage.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert {n: other.resolved[n] for n in own} == own
        assert {n: other.get_params()[n] for n in own} == {n: model.get_params()[n] for n in own}  # still chosen by the next fit
    given = type(model)(**own, **{n: getattr(model, n) for n in SEVERAL.values() if hasattr(model, n)})  # each a value that may be given
    assert {n: given.get_params()[n] for n in own if own[n] != given.get_params()[n]} == {}
    row = sp.csr_matrix(np.eye(1, log.num_items, dtype=np.float32))
    for call in MORE & set(dir(model)):
        if call == "add_sessions":
            getattr(model, call)(log)
        elif name == "Vectors":
            getattr(model, call)([0], np.ones((1, 4), np.float32))
        else:
            try:
                getattr(model, call)([0], row if call == "partial_fit_users" else sp.csr_matrix(np.eye(1, log.num_users, dtype=np.float32)))
            except NotImplementedError:
                continue
        assert "auto" not in [v for v in model.resolved.values() if isinstance(v, str)], call


@pytest.mark.parametrize("name", ["Transitions", "SequentialRules", "SessionKNN", "LinearSequence", "Item2Vec"])
def test_exclude_last_says_what_the_data_decided(name):
    ring = np.arange(2000) // 10 % 7 + np.tile(np.arange(10), 200)
    lists = {again: etalage.Sequences(np.arange(201) * 10, (ring // (2 if again else 1) % 17).astype(np.int32), num_items=17) for again in (False, True)}
    cls = getattr(etalage.models, name)
    session, no = (cls().fit(lists[again]) for again in (False, True))
    assert (session.resolved["exclude_last"], no.resolved["exclude_last"]) == ("session", False)
    assert session.exclude_last == "auto" and cls(exclude_last=True).fit(lists[True]).resolved["exclude_last"] is True
    asked = {"k": 17, "filter_already_liked_items": False}
    given = cls(exclude_last="session").fit(lists[True])
    assert given.resolved["exclude_last"] == "session" and 5 not in given.recommend_session([4, 5], **asked)[0]
    assert 5 in no.recommend_session([4, 5], **asked)[0] and 5 not in session.recommend_session([4, 5], **asked)[0]
    blend = etalage.models.Blend([("a", cls()), ("b", etalage.models.Transitions(exclude_last=True))])
    assert [blend.fit(lists[again]).resolved["exclude_last"] for again in (False, True)] == ["session", False]
    if hasattr(session, "add_sessions"):
        session.add_sessions(lists[True])
        assert session.resolved["exclude_last"] is False and 5 in session.recommend_session([4, 5], **asked)[0]
    with pytest.raises(ValueError, match="exclude_last is 'visit' .str., must be 'auto', 'session', True or False"):
        cls(exclude_last="visit")


def test_methods_say_how_it_was_solved(rows):
    assert etalage.models.EASE().fit(rows).resolved["method"] == "exact"
    tight = etalage.models.EASE(memory_budget=1000).fit(rows)
    assert tight.resolved["method"] == "approximate" and tight.method == "auto"
    assert tight.fit(rows[:5]).resolved["method"] == "approximate"
    assert tight.set_params(memory_budget=1 << 30).fit(rows).resolved["method"] == "exact"
    with pytest.raises(ValueError, match="memory_budget is 1000, must be at least"):
        etalage.models.EASE(method="exact", memory_budget=1000).fit(rows)
    lists = etalage.Sequences(np.arange(101) * 10, np.tile(np.arange(20), 50).astype(np.int32), num_items=20)
    for budget, method in ((1 << 20, "exact"), (100, "candidates")):
        model = etalage.models.LinearSequence(memory_budget=budget).fit(lists)
        assert model.resolved["method"] == method and model.method == "auto"
    with pytest.raises(ValueError, match="method is 'fast' .str., must be 'auto', 'exact' or 'candidates'"):
        etalage.models.LinearSequence(method="fast")


def test_what_is_given_stays_and_leads(rows):
    model = etalage.models.ALS(factors=5, unobserved_weight=0.25).fit(rows)
    assert model.user_factors.shape[1] == model.resolved["factors"] == 5
    assert model.resolved["unobserved_weight"] == model.resolved["alpha"] == 0.25
    plain = etalage.models.ItemKNN(similarity="jaccard").fit(rows)
    assert plain.resolved["user_damping"] == plain.resolved["shrinkage"] == 0
    assert etalage.models.ItemKNN().fit(rows).resolved["user_damping"] > 0
    model.set_params(factors="auto").fit(rows)
    assert model.resolved["factors"] == 60 and "factors" not in repr(model)
    with pytest.raises(TypeError, match="factors is 'many'.*must be an integer or 'auto'"):
        etalage.models.ALS(factors="many")
    with pytest.raises(ValueError, match="similarity is 'car'"):
        etalage.models.ItemKNN(similarity="car")


def test_a_fit_that_fails_or_goes_on_leaves_what_was_chosen(rows):
    model = etalage.models.ALS(warm_start=True).fit(rows)
    before = model.resolved
    bad = rows.copy()
    bad.data[0] = np.nan
    with pytest.raises(ValueError):
        model.fit(bad)
    assert model.resolved == before
    model.fit(sp.vstack([rows, rows]).tocsr())  # from the factors at hand
    assert model.resolved["factors"] == before["factors"]


def test_search_and_compare_take_models_as_they_are(rows):
    pytest.importorskip("optuna")
    found = etalage.tuning.search(etalage.models.ALS, rows, rows, budget=3, filter_already_liked_items=False, seed=1)
    assert found.trials[0]["params"]["factors"] == defaults("ALS", rows)["factors"]
    space = {"nu": [0.0, 1.0]}
    found = etalage.tuning.search(etalage.models.ALS(), rows, rows, budget=2, space=space, filter_already_liked_items=False)
    assert found.model.unobserved_weight == "auto" and len(found.trials[0]["values"]) == 3  # in stages


def test_feature_als_has_no_rule():
    assert defaults("FeatureALS", sp.eye(4).tocsr()) == {}
    assert etalage.models.FeatureALS().get_params()["factors"] == 64


@pytest.fixture(scope="module")
def gowalla():
    if not (DATA / "gowalla").exists():
        pytest.skip(f"{DATA / 'gowalla'} is not there (set ETALAGE_DATA)")

    def part(name):
        with gzip.open(DATA / "gowalla" / f"{name}.txt.gz", "rt") as lines:
            lists = [np.array(line.split(), np.int64) for line in lines if line.strip()]
        return np.concatenate([np.full(len(x) - 1, x[0]) for x in lists]), np.concatenate([x[1:] for x in lists])

    train, valid, test = part("train"), part("valid"), part("test")
    shape = tuple(1 + max(int(p[side].max()) for p in (train, valid, test)) for side in (0, 1))

    def matrix(*parts):
        users, items = (np.concatenate([p[side] for p in parts]) for side in (0, 1))
        m = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
        m.data[:] = 1
        return m

    return matrix(train, valid), matrix(test)


@pytest.mark.slow
@pytest.mark.parametrize("kind, floor", [("ALS", 0.165), ("RP3beta", 0.184), ("ItemKNN", 0.173), ("BPR", 0.170), ("WARP", 0.175), ("P3alpha", 0.186)])
def test_recall_on_gowalla_of_models_as_they_stand(gowalla, kind, floor):
    train, test = gowalla
    model = getattr(etalage.models, kind)().fit(train)
    found = etalage.evaluation.evaluate(model, train, test, k=(20,), metrics=("recall",))["recall@20"]
    assert round(found, 3) >= floor, (found, model.resolved)
