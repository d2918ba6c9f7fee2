# SPDX-License-Identifier: Apache-2.0
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.evaluation import off_policy
from etalage.evaluation.off_policy import TooFewError, confidence_sequence, cross_fit, estimate
from real_data import frames_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_off_policy", ROOT / "bench/quality/off_policy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bandit(n=4000, seed=0, actions=5):
    rng = np.random.default_rng(seed)
    p = np.arange(1, actions + 1) / (actions * (actions + 1) / 2)
    a = rng.choice(actions, n, p=p)
    r = (rng.random(n) < 0.1 + 0.1 * a).astype(float)
    return r, p[a], p[::-1][a], a, np.tile(p, (n, 1)), np.tile(p[::-1], (n, 1))


# -- the Open Bandit Dataset ---------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def obd():
    pandas, folder = frames_of("obd-small")
    chances = pandas.read_csv(folder / "bts_probabilities.csv")

    def read(policy, campaign):
        log = pandas.read_csv(folder / policy / campaign / f"{campaign}.csv.xz")
        joined = log.merge(chances[chances.campaign == campaign], on=["item_id", "position"], how="left")
        assert len(joined) == len(log) == 10_000
        return joined, chances[chances.campaign == campaign].item_id.nunique()

    return read


@pytest.mark.data
@pytest.mark.parametrize("campaign, ips, snips, ess", [("all", 0.004553, 0.004776, 1640), ("men", 0.004534, 0.004604, 2467),
                                                       ("women", 0.006813, 0.006811, 1954)])
def test_random_to_bts_gives_the_published_figures(obd, campaign, ips, snips, ess):
    log, _ = obd("random", campaign)
    r = estimate(log.click, log.propensity_score, log.probability.fillna(0), ("ips", "snips"), samples=100)
    assert r["ips"].value == pytest.approx(ips, abs=5e-7)
    assert r["snips"].value == pytest.approx(snips, abs=5e-7)
    assert r["ips"].ess == pytest.approx(ess, abs=0.5)
    assert 0 <= r["ips"].bernstein[0] <= r["ips"].interval[0] < ips < r["ips"].interval[1] <= r["ips"].bernstein[1]
    if campaign == "all":
        assert r["ips"].value / log.click.mean() == pytest.approx(1.198126, abs=1e-6)


@pytest.mark.data
def test_bts_to_random_on_women_is_refused(obd):
    log, items = obd("bts", "women")
    target = np.full(len(log), 1 / items)
    with pytest.raises(TooFewError, match="effective sample size is 2.0"):
        estimate(log.click, log.propensity_score, target, ("ips",))
    r = estimate(log.click, log.propensity_score, target, ("ips",), allow_small=True)["ips"]
    assert r.ess == pytest.approx(2, abs=0.2) and r.largest_weight > 21_000 and r.mean_weight == pytest.approx(3.13, abs=0.01)
    for campaign, ess in (("all", 340), ("men", 656)):
        log, items = obd("bts", campaign)
        assert estimate(log.click, log.propensity_score, np.full(len(log), 1 / items), ("ips",), samples=100)["ips"].ess == pytest.approx(ess, abs=1)


# -- the contract of the call --------------------------------------------------------------------------------------------------

def test_the_result_is_a_mapping_by_the_names_asked_for():
    r, p, t, *_ = bandit()
    result = estimate(r, p, t, ("snips", "IPS"))
    assert list(result) == ["snips", "IPS"] and len(result) == 2
    e = result["snips"]
    assert e.interval[0] < e.value < e.interval[1] and e.rows == e.groups == 4000
    assert "known probability" in e.assumes and "known probability" in str(result)
    assert estimate(r, p, t)["ips"].value == pytest.approx((r * t / p).mean(), rel=1e-12)
    assert set(estimate(r, p, t)) == {"ips", "snips"}
    assert estimate(r, p, t, seed=1)["ips"].interval != estimate(r, p, t, seed=2)["ips"].interval
    assert estimate(r, p, t, seed=1, num_threads=1)["ips"] == estimate(r, p, t, seed=1, num_threads=3)["ips"]


def test_defaults_are_all_that_have_their_inputs():
    r, p, t, a, all_p, all_t = bandit()
    q = cross_fit(None, a, r, all_t)
    names = estimate(r, p, t, reward_model=q, actions=a, embeddings=np.arange(5) % 2)
    assert set(names) == {"ips", "snips", "dm", "dr", "sndr", "switch_dr", "dros", "mips"}


def test_probabilities_of_all_actions_do_as_those_of_the_logged():
    r, p, t, a, all_p, all_t = bandit()
    one, all_ = estimate(r, p, t), estimate(r, all_p, all_t, actions=a)
    assert one["ips"].value == all_["ips"].value and one["snips"].interval == all_["snips"].interval
    q = np.tile(0.1 + 0.1 * np.arange(5), (len(r), 1))
    e = estimate(r, all_p, all_t, ("dm", "dr"), reward_model=(q, q), actions=a)
    assert e["dm"].value == pytest.approx(float((all_t[0] * q[0]).sum()))
    assert e["dr"].value == pytest.approx(float(np.mean((all_t * q).sum(1) + t / p * (r - q[0][a]))))
    with pytest.raises(ValueError, match="actions is not given"):
        estimate(r, all_p, t)
    with pytest.raises(ValueError, match=r"actions\[0\] is 9"):
        estimate(r, all_p, t, actions=np.r_[9, a[1:]])
    with pytest.raises(ValueError, match="summed over all actions"):
        estimate(r, all_p, all_t * 0.9, actions=a)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int, bool, object, list, "pandas"])
def test_every_kind_of_array_is_read(dtype):
    r, p, t, *_ = bandit()
    want = estimate(r, p, t, ("ips",))["ips"].value
    if dtype == "pandas":
        pandas = pytest.importorskip("pandas")
        found = estimate(pandas.Series(r, index=np.arange(len(r))[::-1]), pandas.Series(p), pandas.Series(t), ("ips",))
    elif dtype is list:
        found = estimate(r.tolist(), p.tolist(), t.tolist(), ("ips",))
    else:
        found = estimate(r.astype(dtype), p, t, ("ips",))
    assert found["ips"].value == want


def test_estimators_without_their_inputs_are_value_errors():
    r, p, t, a, *_ = bandit()
    for name in ("dm", "dr", "sndr", "switch_dr", "dros"):
        with pytest.raises(ValueError, match="reward_model"):
            estimate(r, p, t, (name,))
        with pytest.raises(ValueError, match="must be"):
            estimate(r, p, t, (name,), reward_model=(r, r[:-1]))
    with pytest.raises(ValueError, match="both parts"):
        estimate(r, p, t, ("dr",), reward_model=(None, r))
    estimate(r, p, t, ("dm",), reward_model=(None, r))
    with pytest.raises(ValueError, match="embeddings"):
        estimate(r, p, t, ("mips",))
    with pytest.raises(ValueError, match="deterministic"):
        estimate(r, p, t, ("replay",))
    with pytest.raises(ValueError, match="must be one of 'replay', 'dm'"):
        estimate(r, p, t, ("magic",))
    with pytest.raises(ValueError, match="at least one"):
        estimate(r, p, t, ())
    with pytest.raises(ValueError, match="form is 'tree'"):
        estimate(r, p, t, form="tree")


@pytest.mark.parametrize("change, words", [
    (lambda r, p, t: p.__setitem__(3, 0), r"propensities\[3\] is 0, must be in \(0, 1\]"),
    (lambda r, p, t: p.__setitem__(3, 1.5), r"propensities\[3\] is 1.5"),
    (lambda r, p, t: p.__setitem__(3, np.nan), r"propensities\[3\] is nan"),
    (lambda r, p, t: t.__setitem__(3, -0.1), r"target_probabilities\[3\] is -0.1"),
    (lambda r, p, t: t.__setitem__(3, np.inf), r"target_probabilities\[3\] is inf"),
    (lambda r, p, t: r.__setitem__(3, np.nan), r"rewards\[3\] is nan"),
])
def test_bad_values_are_named(change, words):
    r, p, t, *_ = (x.copy() for x in bandit())
    change(r, p, t)
    with pytest.raises(ValueError, match=words):
        estimate(r, p, t)


def test_bad_shapes_and_labels_are_named():
    r, p, t, *_ = bandit()
    for bad in (lambda: estimate(r, p[:-1], t), lambda: estimate(r, p, t[:, None, None]), lambda: estimate([], [], []), lambda: estimate(1.0, 1.0, 1.0),
                lambda: estimate(r, p, t, groups=r[:5]), lambda: estimate(r, p, t, groups=[None, 1] * 2000),
                lambda: estimate(r, p, t, groups=np.full(4000, np.nan)), lambda: estimate(r, p, t, confidence=1.0),
                lambda: estimate(r, p, t, samples=3), lambda: estimate(r, p, t, min_ess=-1), lambda: estimate(r, p, t, reward_range=(0, 0.5)),
                lambda: estimate(r, p, t, reward_range=(1, 0)), lambda: estimate(r, p, t, ("mips",), embeddings=np.full(4000, np.nan)),
                lambda: estimate(r, p, t, ("mips",), embeddings=[1, 2, 3]), lambda: estimate(r, np.ones(4000), t)):
        with pytest.raises(ValueError, match="must"):
            bad()
    with pytest.raises(TypeError, match="rewards"):
        estimate(np.array(["a"] * 4000), p, t)


def test_small_samples_are_refused_unless_told():
    r, p, t = np.array([1.0, 0, 1]), np.full(3, 0.5), np.array([1.0, 1, 0])
    assert issubclass(TooFewError, ValueError)
    for name in ("ips", "snips", "replay"):
        with pytest.raises(TooFewError, match="effective sample size is 2"):
            estimate(r, p, t, (name,))
    found = estimate(r, p, t, ("ips", "snips", "replay"), allow_small=True)
    assert [e.value for e in found.values()] == [pytest.approx(2 / 3), 0.5, 0.5]
    assert estimate(r, p, t, ("ips",), min_ess=2)["ips"].ess == 2
    with pytest.raises(TooFewError, match="never does"):
        estimate(r, p, np.zeros(3), ("ips",), allow_small=True)
    error = pickle.loads(pickle.dumps(TooFewError("few")))
    assert isinstance(error, TooFewError) and TooFewError is etalage.evaluation.off_policy.TooFewError


def test_the_logs_own_policy_is_its_mean_and_no_positive_is_no_certainty():
    r, p, *_ = bandit()
    same = estimate(r, p, p)
    assert same["ips"].value == pytest.approx(r.mean()) and same["ips"].ess == len(r)
    none = estimate(np.zeros(4000), p, p)["snips"]
    assert none.value == 0 and not none.varied and none.notes
    assert none.interval == (0, pytest.approx(1 - 0.025 ** (1 / 4000)))


def test_a_target_that_does_what_the_log_never_did_is_noted():
    r, p, t, a, *_ = bandit()
    keep = a != 0  # as if action 0, the target's favourite, had been taken out of the log
    e = estimate(r[keep], p[keep], t[keep], ("ips",))["ips"]
    assert any("mean weight" in note for note in e.notes)
    assert not estimate(r, p, t, ("ips",))["ips"].notes


def test_one_shopper_is_no_evidence():
    r, p, t, *_ = bandit()
    e = estimate(r, p, t, ("ips",), groups=np.zeros(4000))["ips"]
    assert e.groups == 1 and e.interval[1] - e.interval[0] > 0.9 and any("shoppers only" in note for note in e.notes)


def test_shoppers_may_have_any_label():
    r, p, t, *_ = bandit()
    numbers = np.arange(4000) // 8
    want = estimate(r, p, t, groups=numbers)["ips"]
    assert want.groups == 500 and want.rows == 4000
    assert estimate(r, p, t, groups=[f"shopper {g:04}" for g in numbers])["ips"] == want
    assert estimate(r, p, t, groups=numbers.astype(np.int64) * 10**15)["ips"] == want


def test_lists_state_their_form():
    rng = np.random.default_rng(3)
    n, places = 3000, 3
    p = rng.uniform(0.3, 0.9, (n, places))
    t = rng.uniform(0.2, 0.8, (n, places))
    r = (rng.random((n, places)) < 0.2).astype(float)
    w = t / p
    q = (np.full((n, places), 0.2), np.full((n, places), 0.2))
    independent = estimate(r, p, t, ("ips", "dr"), reward_model=q)
    assert independent["ips"].value == pytest.approx((w * r).sum(1).mean())
    down = estimate(r, p, t, ("ips", "snips"), form="reward-interaction")
    steps = w.cumprod(axis=1)
    assert down["ips"].value == pytest.approx((steps * r).sum(1).mean())
    assert down["snips"].value == pytest.approx(((steps * r).sum(0) / steps.sum(0)).sum())
    whole = estimate(r, p, t, ("ips",), form="whole")
    assert whole["ips"].value == pytest.approx((steps[:, -1:] * r).sum(1).mean())
    assert len({e["ips"].assumes for e in (independent, down, whole)}) == 3
    assert "marginals" in independent["ips"].assumes and "places above" in down["ips"].assumes
    # A list that is shorter is padded, and the padding counts for nothing.
    pad = [np.hstack([x, np.full((n, 1), v)]) for x, v in ((r, 0), (p, 1), (t, 1))]
    assert estimate(*pad, ("ips",))["ips"].value == independent["ips"].value
    assert set(estimate(r, p, t, reward_model=q, form="cascade")) == {"ips", "snips", "dm", "dr", "sndr"}
    # One place is a list of one.
    assert estimate(r[:, :1], p[:, :1], t[:, :1], ("ips",))["ips"] == estimate(r[:, 0], p[:, 0], t[:, 0], ("ips",))["ips"]


@pytest.mark.parametrize("how", ["all", "target", "logged", "rows"])
def test_mips_from_each_way_of_giving_embeddings(how):
    r, p, t, a, all_p, all_t = bandit(20_000)
    cell = np.array([0, 0, 1, 1, 1])
    r = (np.random.default_rng(1).random(len(r)) < np.array([0.2, 0.5])[cell[a]]).astype(float)
    truth = float((all_t[0] * np.array([0.2, 0.5])[cell]).sum())
    given = {"all": (all_p, all_t, cell), "target": (p, all_t, cell), "logged": (p, t, np.stack([cell, cell], axis=1)),
             "rows": (p, t, np.array(["a", "b"])[cell][a])}[how]
    e = estimate(r, given[0], given[1], ("mips",), actions=a, embeddings=given[2])["mips"]
    assert e.value == pytest.approx(truth, abs=0.01)
    weight = np.array([all_t[0][cell == c].sum() / all_p[0][cell == c].sum() for c in (0, 1)])
    assert e.largest_weight == pytest.approx(weight.max(), rel=0.03 if how == "target" else 1e-9)


def test_cross_fit_takes_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    r, p, t, a, _, all_t = bandit()
    x = np.random.default_rng(0).normal(size=(len(r), 2))
    native = cross_fit(x, a, r, all_t)
    for model in (linear.LogisticRegression(), linear.Ridge()):
        q = cross_fit(x, a, r, all_t, model=model, groups=np.arange(len(r)) // 4)
        assert np.abs(q[0] - native[0]).mean() < 0.02 and np.abs(q[1] - native[1]).mean() < 0.02
    with pytest.raises(ValueError, match="kind"):
        cross_fit(x, a, r, all_t, kind="magic")
    with pytest.raises(ValueError, match="contexts"):
        cross_fit(x[:-1], a, r, all_t)


def test_confidence_sequences():
    r, p, t, *_ = bandit(20_000)
    s = confidence_sequence(r, p, t)
    truth = float((np.arange(1, 6)[::-1] / 15 * (0.1 + 0.1 * np.arange(5))).sum())
    assert ((s.low <= truth) & (truth <= s.high)).all() and s.high[-1] - s.low[-1] < 0.15
    assert (np.diff(s.low) >= 0).all() and (np.diff(s.high) <= 0).all()
    money = confidence_sequence(r * 50 - 10, p, t, reward_range=(-10, 40))
    assert np.allclose(money.low, s.low * 50 - 10) and np.allclose(money.high, s.high * 50 - 10)
    with pytest.raises(ValueError, match=r"rewards\[\d+\]"):
        confidence_sequence(r * 2, p, t)


# -- what they are worth, the benchmark in small ----------------------------------------------------------------------------------

@pytest.mark.slow
def test_doubly_robust_beats_ips_and_snips(bench):
    squares = bench.errors(seeds=100, rounds=2000, names=("ips", "snips", "dr"), model=bench.half_right)
    for name in ("ips", "snips"):
        _, low, _ = bench.mean_interval(squares[name] - squares["dr"])
        assert low > 0, name


@pytest.mark.slow
def test_mips_does_not_mind_the_number_of_actions(bench):
    rmse, slope = bench.slopes((10, 100, 1000), seeds=30, rounds=3000, contextual=False)
    assert abs(slope["mips"]) < 0.1 < slope["ips"], rmse


@pytest.mark.slow
def test_intervals_hold_the_truth(bench):
    for name, (share, _) in bench.coverage(replays=200, rounds=4000, samples=100, names=("ips", "snips", "dr")).items():
        assert share >= 0.9, name


@pytest.mark.slow
def test_confidence_sequences_hold_the_truth_at_all_times(bench):
    share, width = bench.sequences(replays=200, rounds=3000)
    assert share >= 0.95 and width < 0.7


def test_module_names():
    assert {"estimate", "TooFewError", "confidence_sequence", "cross_fit"} <= set(dir(off_policy))


def test_cross_fit_takes_rows_that_are_distributions():
    with pytest.raises(ValueError, match=r"target_probabilities\[3\] summed over all actions is 2, must be 1"):
        target = np.full((20, 2), 0.5)
        target[3] = 1
        cross_fit(None, np.arange(20) % 2, np.arange(20) % 2, target)


def test_a_value_beyond_float64_is_refused():
    n = 200
    with pytest.raises(ArithmeticError, match="not finite"):
        estimate(np.full(n, 1e308), np.full(n, 0.5), np.ones(n), estimators=["ips"], reward_range=(0, 1e308))
