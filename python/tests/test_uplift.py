# SPDX-License-Identifier: Apache-2.0
import pickle
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.marketing import uplift
from etalage.marketing.uplift import auuc, average_effect, curve, curve_interval, qini
from real_data import frames_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hillstrom():
    pandas, file = frames_of("hillstrom/hillstrom.csv.xz")
    return pandas.read_csv(file)


@pytest.fixture(scope="module")
def women(hillstrom):
    d = hillstrom[hillstrom.segment.isin(["Womens E-Mail", "No E-Mail"])]
    assert len(d) == 42_693
    return d.visit.to_numpy(), (d.segment == "Womens E-Mail").to_numpy(int), (100 * d.womens - d.recency).to_numpy()


@pytest.mark.data
def test_the_numbers_of_the_other_libraries(women):
    assert qini(*women, definition="sklift") == pytest.approx(0.060575, abs=5e-7)
    assert qini(*women, definition="sklift_negative") == qini(*women, "sklift")
    assert qini(*women, definition="sklift_no_negative") == pytest.approx(0.329482, abs=5e-7)
    assert qini(*women, "sklift", negative_effect=False) == qini(*women, "sklift_no_negative")
    assert auuc(*women, definition="sklift") == pytest.approx(0.027967, abs=5e-7)
    assert auuc(*women, definition="causalml") == pytest.approx(0.661550, abs=5e-7)
    assert qini(*women, definition="causalml") == pytest.approx(0.161931, abs=5e-7)


@pytest.mark.data
@pytest.mark.parametrize("segment, outcome, effect, se", [("Mens E-Mail", "visit", 0.07659, 0.003386), ("Womens E-Mail", "visit", 0.045233, 0.003234),
                                                          ("Mens E-Mail", "spend", 0.769827, 0.145247), ("Womens E-Mail", "spend", 0.424412, 0.130333)])
def test_average_effects(hillstrom, segment, outcome, effect, se):
    d = hillstrom[hillstrom.segment.isin([segment, "No E-Mail"])]
    found = average_effect(d[outcome], (d.segment == segment).to_numpy())
    assert found["effect"] == pytest.approx(effect, abs=6e-6)
    assert found["standard_error"] == pytest.approx(se, abs=6e-7)


@pytest.mark.data
def test_our_curve_on_hillstrom_ends_at_half_of_the_effect_and_holds_its_interval(women):
    c = curve(*women)
    assert c.value[-1] == pytest.approx(0.045233, abs=5e-7) and c.depth[-1] == 1
    low, high = qini(*women).interval(samples=50)
    assert low < qini(*women) < high and low > 0


# -- by hand and by brute force ----------------------------------------------------------------------------------------------------

def random_experiment(n=200, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 12, n) if ties else rng.normal(size=n)
    treated = rng.integers(0, 2, n)
    return rng.gamma(1, 3, n) * (rng.random(n) < 0.4), treated, score


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_equals_its_definition_at_every_depth(seed):
    y, t, s = random_experiment(seed=seed)
    c = curve(y, t, s)
    points = {0.0: 0.0}
    for border in np.unique(s)[::-1]:
        top = s >= border
        if 0 < t[top].sum() < top.sum():
            points[top.mean()] = top.mean() * (y[top & (t == 1)].mean() - y[top & (t == 0)].mean())
    assert np.allclose(c.depth, sorted(points)) and np.allclose(c.value, [points[d] for d in sorted(points)])
    assert auuc(y, t, s) == pytest.approx(np.trapezoid(c.value, c.depth) if hasattr(np, "trapezoid") else np.trapz(c.value, c.depth))
    assert qini(y, t, s) == pytest.approx(auuc(y, t, s) - c.value[-1] / 2)


@pytest.mark.parametrize("definition", ["etalage", "sklift", "sklift_no_negative"])
def test_grouped_ties_do_not_mind_the_order_of_rows(definition):
    y, t, s = random_experiment()
    y = (y > 0).astype(float)
    order = np.random.default_rng(1).permutation(len(y))
    assert qini(y[order], t[order], s[order], definition) == pytest.approx(float(qini(y, t, s, definition)), rel=1e-12)
    assert auuc(y[order], t[order], s[order], definition.split("_")[0]) == pytest.approx(float(auuc(y, t, s, definition.split("_")[0])), rel=1e-12)
    # One score for all is a random order.
    assert qini(y, t, np.zeros(len(y))) == pytest.approx(0, abs=1e-15)


def test_scikit_uplift_agrees():
    metrics = pytest.importorskip("sklift.metrics", reason="scikit-uplift is not installed")
    for seed in range(5):
        y, t, s = random_experiment(seed=seed)
        y = (y > 0).astype(int)
        for negative in (True, False):
            ours = qini(y, t, s, "sklift", negative_effect=negative)
            if not negative and average_effect(y, t)["effect"] < 0:
                assert np.isnan(ours)  # scikit-uplift raises ValueError: its perfect curve runs backwards
            else:
                assert ours == pytest.approx(metrics.qini_auc_score(y, s, t, negative_effect=negative))
        assert auuc(y, t, s, "sklift") == pytest.approx(metrics.uplift_auc_score(y, s, t))
        x, v = curve(y, t, s, "sklift")
        assert np.allclose(np.stack([x, v]), np.stack(metrics.qini_curve(y, s, t)))


def test_intervals_of_the_curve_hold_the_truth():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        s = rng.random(1000)
        t = rng.integers(0, 2, 1000)
        y = (rng.random(1000) < 0.2 + 0.2 * s * t).astype(float)
        depth, value, low, high = curve_interval(y, t, s, [0.5, 1.0])
        held += low[1] <= 0.1 <= high[1]
        assert depth[1] == 1 and low[0] < value[0] < high[0]
    assert held >= 180


def test_bad_input_of_measures():
    y, t, s = random_experiment()
    for bad, words in ((lambda: qini(y, np.ones(200), s), "treated is 1 throughout"), (lambda: qini(y, np.zeros(200), s), "treated is 0 throughout"),
                       (lambda: qini(y, t + 1, s), r"treated\[\d+\] is 2"), (lambda: qini(y[:-1], t, s), "shape"), (lambda: auuc([], [], []), "empty"),
                       (lambda: qini(np.r_[np.nan, y[1:]], t, s), r"outcome\[0\]"), (lambda: curve(y, t, np.r_[np.inf, s[1:]]), r"score\[0\]"),
                       (lambda: qini(y, t, s, "magic"), "definition is 'magic'"), (lambda: curve_interval(y, t, s, [0.0]), "depths"),
                       (lambda: uplift.uplift_at(y, t, s, 1.5), "share")):
        with pytest.raises(ValueError, match=words):
            bad()
    with pytest.raises(TypeError, match="outcome has dtype"):
        qini(np.array(["a"] * 200), t, s)
    assert float(qini(y.astype(np.float32), t.astype(bool), s)) == pytest.approx(float(qini(y, t, s)), rel=1e-5)
    assert pickle.loads(pickle.dumps(qini(y, t, s))) == qini(y, t, s)


def test_without_a_response_nothing_is_gained_and_shares_of_it_are_no_number():
    y, (_, t, s) = np.zeros(200), random_experiment()
    assert qini(y, t, s) == auuc(y, t, s) == 0
    assert (np.asarray(curve(y, t, s)[1]) == 0).all()
    for definition in ("sklift", "sklift_no_negative", "causalml"):  # a part of a best curve that is 0 everywhere
        assert np.isnan(qini(y, t, s, definition)) and np.isnan(auuc(y, t, s, definition))
    x = np.c_[s, s * s]
    for learner in (uplift.TLearner, uplift.XLearner, uplift.DRLearner, uplift.LinearUplift):
        assert np.ptp(learner().fit(x, t, y).predict(x)) == 0


# -- learners ----------------------------------------------------------------------------------------------------------------------

def planted(n=6000, seed=0, treatments=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    t = rng.integers(0, treatments + 1, n)
    effects = np.stack([1 + x[:, 0], 0.5 - x[:, 1]], axis=1)[:, :treatments]
    y = x[:, 2] + rng.normal(0, 1, n) + np.where(t > 0, effects[np.arange(n), np.maximum(t, 1) - 1], 0)
    return x, t, y, effects


ALL = [uplift.SLearner, uplift.TLearner, uplift.XLearner, uplift.DRLearner, uplift.LinearUplift]
TREES = [lambda: uplift.UpliftTree(min_arm=50), lambda: uplift.UpliftForest(trees=20, min_arm=30)]


@pytest.mark.parametrize("make", ALL + TREES)
@pytest.mark.parametrize("treatments", [1, 2])
def test_learners_find_planted_effects_of_one_treatment_or_several(make, treatments):
    x, t, y, effects = planted(treatments=treatments)
    learner = make().fit(x, t, y)
    new, _, _, truth = planted(seed=1, treatments=treatments)
    found = learner.predict(new)
    assert found.shape == ((len(new),) if treatments == 1 else (len(new), 2)) and learner.treatments_ == [1, 2][:treatments]
    found = found.reshape(len(new), -1)
    for k in range(treatments):
        assert np.corrcoef(found[:, k], truth[:, k])[0, 1] > (0.98 if make in ALL else 0.75)
    assert np.abs(found.mean(0) - truth.mean(0)).max() < 0.15


def test_labels_and_any_regressor_or_classifier():
    linear = pytest.importorskip("sklearn.linear_model")
    x, t, y, effects = planted()
    labels = np.array(["none", "mail"])[t]
    visit = (y > 1).astype(int)
    for learner in (uplift.SLearner, uplift.TLearner, uplift.XLearner, uplift.DRLearner):
        money = learner(linear.LinearRegression(), control="none").fit(x, labels, y)
        assert np.corrcoef(money.predict(x), effects[:, 0])[0, 1] > (0.98 if learner is not uplift.SLearner else -2)
        yes_no = learner(linear.LogisticRegression(), control="none").fit(x, labels, visit)
        assert money.treatments_ == ["mail"] and np.abs(yes_no.predict(x)).max() < 1.5
    pickle.loads(pickle.dumps(money)).predict(x)


def test_ridge_is_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    from etalage.marketing._uplift_learners import Ridge

    x, _, y, _ = planted(300)
    z = (x - x.mean(0)) / x.std(0)
    assert np.allclose(Ridge(3.0).fit(x, y).predict(x), linear.Ridge(3.0).fit(z, y).predict(z))
    t = np.arange(300) % 2
    pair = [Ridge().fit(x[t == k], y[t == k]) for k in (0, 1)]
    assert np.allclose(uplift.TLearner().fit(x, t, y).predict(x), pair[1].predict(x) - pair[0].predict(x))


def test_the_native_model_is_saved_and_loaded(tmp_path):
    x, t, y, _ = planted(treatments=2)
    before = uplift.LinearUplift(2.0).fit(x, t, y)
    assert before.coefficients_.shape == (2, 5)
    assert np.allclose(before.predict(x), x @ before.coefficients_[:, :-1].T + before.coefficients_[:, -1])
    before.save(tmp_path / "u.etalage")
    for after in (uplift.LinearUplift.load(tmp_path / "u.etalage"), etalage.load(tmp_path / "u.etalage"), pickle.loads(pickle.dumps(before))):
        assert (after.predict(x) == before.predict(x)).all() and after.treatments_ == [1, 2]
    with pytest.raises(etalage.NotFittedError):
        uplift.LinearUplift().save(tmp_path / "none")


@pytest.mark.parametrize("make", ALL + TREES)
def test_bad_input_of_learners(make):
    x, t, y, _ = planted(400)
    with pytest.raises(etalage.NotFittedError):
        make().predict(x)
    for bad, words in ((lambda: make().fit(x, np.ones(400), y), "control"), (lambda: make().fit(x, np.zeros(400), y), "treated"),
                       (lambda: make().fit(x[:-1], t, y), "shape"), (lambda: make().fit(x[:, 0], t, y), "X has shape"),
                       (lambda: make().fit(np.where(x > 3, np.nan, x * np.nan), t, y), "finite"), (lambda: make().fit(x, t, y * np.inf), "finite"),
                       (lambda: make().fit(x, t, y).predict(x[:, :2]), "columns")):
        with pytest.raises(ValueError, match=words):
            bad()
    # A column that says nothing, and no column at all, leave the average effect.
    flat = make().fit(np.ones((400, 1)), t, y).predict(np.ones((3, 1)))
    assert np.isfinite(flat).all() and np.ptp(flat) == 0


def test_trees_with_few_rows_and_odd_features():
    x, t, y, _ = planted(60)
    x[:, 0] = np.where(x[:, 0] > 0, 1e300, -1e300)
    found = uplift.UpliftForest(trees=5, min_arm=2).fit(x, t, y).predict(x)
    assert np.isfinite(found).all()
    for bad in (dict(max_depth=0), dict(min_arm=0), dict(bins=1)):
        with pytest.raises(ValueError, match="must be >= "):
            uplift.UpliftTree(**bad)


@pytest.mark.slow
def test_planted_effects_that_no_line_finds_against_two_models():
    pytest.importorskip("sklearn")
    import importlib.util

    spec = importlib.util.spec_from_file_location("bench_uplift", ROOT / "bench/quality/uplift.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    gains = []
    for seed in range(5):
        x, t, y, _ = bench.planted(2 * seed)
        new, _, _, effect = bench.planted(2 * seed + 1)

        def found(predict, new=new, effect=effect):
            return effect[np.argsort(-predict(new), kind="stable")[: int(0.3 * len(new))]].sum() / len(new)

        base = found(bench.two_models(x, t, y))
        gains.append(found(bench.LEARNERS["forest"](x, t, y)) / base - 1)
    assert np.mean(gains) - 2.78 * np.std(gains, ddof=1) / np.sqrt(5) > 0.2


# -- acting on it ------------------------------------------------------------------------------------------------------------------

def test_choose_by_gain_after_cost():
    u = np.array([[0.2, 0.5], [0.1, -0.2], [0.05, 0.04]])
    choice, gain = uplift.choose(u, value=10, costs=[1, 4.5])
    assert choice.tolist() == [0, -1, -1] and choice.dtype == np.int32 and gain.tolist() == [1, 0, 0]
    assert uplift.choose(u[:, 0], costs=0)[0].tolist() == [0, 0, 0]
    for bad in (dict(costs=-1), dict(costs=[1, 2, 3, 4]), dict(costs=np.nan), dict(value=np.inf)):
        with pytest.raises(ValueError, match="must"):
            uplift.choose(u, **bad)


def test_the_value_of_a_policy_from_an_experiment():
    x, t, y, effects = planted(20_000, treatments=2)
    best = np.where(effects.max(1) > 0, effects.argmax(1) + 1, 0)
    r = uplift.policy_value(y, t, best)
    truth = np.maximum(effects.max(1), 0).mean()
    assert r["snips"].interval[0] < truth < r["snips"].interval[1]
    nobody = uplift.policy_value(y, t, np.zeros(20_000, dtype=int))["snips"].value
    assert nobody == pytest.approx(y[t == 0].mean())
    dear = uplift.policy_value(y, t, best, costs={0: 0, 1: 5, 2: 5})["snips"].value
    assert dear == pytest.approx(r["snips"].value - 5 * ((best > 0) & (best == t)).sum() / np.sum(best == t), abs=0.1)
    with pytest.raises(ValueError, match=r"chosen\[0\]"):
        uplift.policy_value(y, t, np.full(20_000, 3))
    with pytest.raises(ValueError, match="costs has no"):
        uplift.policy_value(y, t, best, costs={0: 0})
