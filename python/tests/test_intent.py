# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest

import etalage
from etalage.profile import Profiles, PurchaseIntent


@pytest.fixture(scope="module")
def store():
    return etalage.datasets.synthetic_store(users=400, items=150, seed=5)


@pytest.fixture(scope="module")
def cut(store):
    return int(np.quantile(store.log.times, 0.8))


@pytest.fixture(scope="module")
def early(store, cut):
    return store.log.filtered(store.log.times <= cut)


@pytest.fixture(scope="module")
def fitted(early, catalog):
    return PurchaseIntent("session", horizon_days=0.02).fit(early, catalog)


def test_it_beats_recency_frequency_money(store, catalog, early, cut, fitted):
    r = fitted.evaluate(store.log, catalog, since=cut)
    rfm = PurchaseIntent("session", horizon_days=0.02, features="rfm").fit(early, catalog).evaluate(store.log, catalog, since=cut)
    difference, low, high = r.compare(rfm, resamples=50)
    assert low > 0 and low <= difference <= high
    low, high = r.interval("auc", resamples=50)
    assert low <= r["auc"] <= high
    assert (r.times > np.datetime64(cut - 1, "ms")).all() and len(r.labels) == r["examples"]
    assert sum(b[2] for b in r.bins) == r["examples"]


def test_metrics_are_those_of_scikit_learn(store, catalog, cut, fitted):
    metrics = pytest.importorskip("sklearn.metrics")
    r = fitted.evaluate(store.log, catalog, since=cut)
    assert r["auc"] == pytest.approx(metrics.roc_auc_score(r.labels, r.probabilities), abs=1e-9)
    assert r["log_loss"] == pytest.approx(metrics.log_loss(r.labels, r.probabilities), abs=1e-9)
    assert r["brier"] == pytest.approx(np.mean((r.probabilities - r.labels) ** 2), abs=1e-12)


def test_training_and_serving_agree_bit_for_bit(store, catalog, fitted):
    e = fitted.examples(store.log, catalog)
    at = e["times"][np.argsort(e["times"])[len(e["times"]) // 2]]
    live = Profiles(catalog)
    live._core.set_catalog(catalog, store.log)
    live.add(store.log.filtered(store.log.times <= at.astype(np.int64)))
    here = np.flatnonzero(e["times"] == at)
    served = fitted.predict(live, e["users"][here], now=at)
    np.testing.assert_array_equal(served, fitted.predict_features(e["features"][here]))


@pytest.mark.parametrize("library", ["scikit-learn", "lightgbm"])
def test_trees_are_scored_as_their_library_scores_them(early, catalog, store, cut, library):
    pytest.importorskip({"scikit-learn": "sklearn", "lightgbm": "lightgbm"}[library], reason=f"{library} is not installed")
    from etalage.profile import _trees

    few = {"n_estimators": 15} if library == "lightgbm" else {"max_iter": 15}
    intent = PurchaseIntent("session", horizon_days=0.02, model="boosting", library=library, calibration="none", boosting_options=few,
                            max_examples=4000).fit(early, catalog)
    e = intent.examples(early, catalog)
    trees, model = _trees.grow(e["features"][e["training"]], e["labels"][e["training"]], library, 42, few)
    expected = model.predict_proba(e["features"])[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-trees.predict(e["features"]))), expected, atol=1e-6)
    np.testing.assert_allclose(intent.predict_features(e["features"]), expected, atol=1e-6)
    back = pickle.loads(pickle.dumps(intent))
    assert back.model == "boosting"
    np.testing.assert_array_equal(back.predict_features(e["features"]), intent.predict_features(e["features"]))
    assert intent.evaluate(store.log, catalog, since=cut)["auc"] > 0.6
    with pytest.raises(NotImplementedError):
        intent.explain(Profiles(catalog).add(early), 0)


def test_files_pickles_and_parameters(tmp_path, store, catalog, fitted):
    fitted.save(tmp_path / "i.etalage")
    x = fitted.examples(store.log, catalog)["features"][:50]
    for back in (etalage.load(tmp_path / "i.etalage"), PurchaseIntent.load(tmp_path / "i.etalage", verify="header"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(back.predict_features(x), fitted.predict_features(x))
        assert back.unit == "session" and back.horizon_days == 0.02
    assert "unit='session'" in repr(fitted)


def test_explain_names_features(store, catalog, fitted):
    p = Profiles(catalog).add(store.log)
    parts = fitted.explain(p, 0)
    assert set(parts) == set(fitted.feature_names)
    sizes = [abs(v) for v in parts.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 <= fitted.predict(p, 0) <= 1


def test_reliability_curve_is_drawn(store, catalog, cut, fitted):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = fitted.evaluate(store.log, catalog, since=cut).plot()
    assert axes.get_xlabel() and len(axes.lines) >= 2


def test_walking_forward_uses_only_the_past(store, catalog, early, cut, fitted):
    once = fitted.walk_forward(store.log, catalog, since=cut, refit_days=10000)
    r = fitted.evaluate(store.log, catalog, since=cut)
    np.testing.assert_array_equal(once.probabilities, r.probabilities)
    often = fitted.walk_forward(store.log, catalog, since=cut, refit_days=30)
    np.testing.assert_array_equal(np.sort(often.times), np.sort(r.times))
    first = often.times < np.datetime64(cut + 30 * 86_400_000, "ms")
    np.testing.assert_array_equal(often.probabilities[first], r.probabilities[r.times < np.datetime64(cut + 30 * 86_400_000, "ms")])
    with pytest.raises(ValueError, match="refit_days"):
        fitted.walk_forward(store.log, catalog, since=cut, refit_days=0)


def test_bad_input_is_named(store, catalog, fitted):
    with pytest.raises(ValueError, match="unit is 'visit'"):
        PurchaseIntent("visit")
    with pytest.raises(ValueError, match="horizon_days is 0"):
        PurchaseIntent(horizon_days=0)
    with pytest.raises(ValueError, match="model is 'forest'"):
        PurchaseIntent(model="forest")
    with pytest.raises(TypeError, match="half_life is not an option"):
        PurchaseIntent(profile_options={"half_life": 1})
    with pytest.raises(etalage.NotFittedError):
        PurchaseIntent().predict(Profiles())
    with pytest.raises(ValueError, match="moments"):
        PurchaseIntent(horizon_days=5000).fit(store.log, catalog)
    with pytest.raises(ValueError, match="shape"):
        fitted.predict_features(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="other moments"):
        fitted.evaluate(store.log, catalog).compare(fitted.evaluate(store.log, catalog, since="2024-10-01"))


@pytest.mark.parametrize("library, option, few", [("scikit-learn", "monotonic_cst", {"max_iter": 8, "early_stopping": False}),
                                                  ("lightgbm", "monotone_constraints", {"n_estimators": 8})])
def test_boosting_holds_the_signs_that_it_is_given(library, option, few):
    """docs/intent.md: constraints are handed through to the library, one a feature."""
    pytest.importorskip("sklearn" if library == "scikit-learn" else "lightgbm")
    store = etalage.datasets.synthetic_store(users=150, items=60, seed=2)
    rows = PurchaseIntent(horizon_days=14).examples(store.log)["features"]
    held = PurchaseIntent(horizon_days=14, model="boosting", library=library, boosting_options={option: [1] * rows.shape[1], **few}).fit(store.log)
    moved = 0
    for j, name in enumerate(held.feature_names):
        asked = np.tile(rows[len(rows) // 2], (20, 1))
        asked[:, j] = np.quantile(rows[:, j], np.linspace(0, 1, 20))
        steps = np.diff(held.predict_features(asked))
        assert (steps >= -1e-12).all(), name
        moved += bool((steps > 0).any())
    assert moved > 0
