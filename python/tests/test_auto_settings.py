# SPDX-License-Identifier: Apache-2.0
"""What is left at "auto" a fit reads from the shape of the data, shows and keeps."""

import copy
import gzip
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
