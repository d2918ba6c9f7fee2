# SPDX-License-Identifier: Apache-2.0
import copy
import datetime
import lzma
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.marketing import lifetime

DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[2] / "../shared/data"))
MODELS = [lifetime.BGNBD, lifetime.MBGNBD, lifetime.ParetoNBD, lifetime.MBGCNBD]

# Fader, Hardie, Shang (2010), table 1: repeat donations of a public radio's 1995 cohort; x, t_x, n, customers.
DONATIONS = np.array([
    (0, 0, 6, 3464), (1, 1, 6, 1091), (1, 2, 6, 277), (1, 3, 6, 129), (1, 4, 6, 78), (1, 5, 6, 119), (1, 6, 6, 129), (2, 2, 6, 613), (2, 3, 6, 255),
    (2, 4, 6, 155), (2, 5, 6, 173), (2, 6, 6, 234), (3, 3, 6, 322), (3, 4, 6, 181), (3, 5, 6, 225), (3, 6, 6, 357), (4, 4, 6, 240), (4, 5, 6, 284),
    (4, 6, 6, 512), (5, 5, 6, 335), (5, 6, 6, 728), (6, 6, 6, 1203)], dtype=float).T


def cdnow_file(name):
    if not (DATA / "cdnow" / name).exists():
        pytest.skip(f"{DATA}/cdnow is not there (set ETALAGE_DATA)")
    return lzma.open(DATA / "cdnow" / name, "rt").read()


@pytest.fixture(scope="module")
def cdnow():
    rows = [r.split(",")[1:] for r in cdnow_file("cdnow_customers_summary_with_transactions.csv.xz").splitlines()[1:]]
    return np.array(rows, dtype=float).T


@pytest.fixture(scope="module")
def shop():
    """2,000 customers of a shop where people stop, and buy at their own rates."""
    rng = np.random.default_rng(1)
    n = 2000
    rate, stop, T = rng.gamma(0.8, 1 / 6, n), rng.beta(1, 3, n), rng.uniform(20, 40, n)
    x, tx = np.zeros(n), np.zeros(n)
    for i in range(n):
        t = 0.0
        while rng.random() > stop[i]:
            t += rng.exponential(1 / rate[i])
            if t > T[i]:
                break
            x[i] += 1
            tx[i] = t
    return x, tx, T


@pytest.mark.parametrize("model, letters, values, log_likelihood", [
    (lifetime.BGNBD, "r alpha a b", (0.24259, 4.41353, 0.79289, 2.42575), -9582.4256),
    (lifetime.MBGNBD, "r alpha a b", (0.52484, 6.18299, 0.89136, 1.61400), -9582.1327),
    (lifetime.ParetoNBD, "r alpha s beta", (0.55328, 10.57761, 0.60621, 11.66791), -9594.9739)])
def test_published_optima_of_cdnow(cdnow, model, letters, values, log_likelihood):
    x, tx, T, _ = cdnow
    m = model().fit(x, tx, T)
    assert list(m.params_) == letters.split()
    assert list(m.params_.values()) == pytest.approx(values, abs=6e-6)
    assert m.log_likelihood_ == pytest.approx(log_likelihood, abs=6e-5)
    assert m.converged_ and m.at_bound_ == [] and m.gradient_ < 1e-4
    assert m.report_["customers"] == 2357 and m.report_["distinct"] < 2357
    assert all(0 < e < v for e, v in zip(m.standard_errors_.values(), values))


def test_published_optimum_of_the_money_model(cdnow):
    x, _, _, money = cdnow
    m = lifetime.GammaGamma().fit(x, money)
    assert list(m.params_.values()) == pytest.approx((6.2488, 3.7446, 15.4477), abs=6e-5)
    assert m.log_likelihood_ == pytest.approx(-4055.9232, abs=6e-5)
    assert m.report_["customers"] == 946
    p, q, v = m.params_.values()
    got = m.expected_money(x[:3], money[:3])
    assert got == pytest.approx(p * (v + x[:3] * money[:3]) / (p * x[:3] + q - 1), rel=1e-12)
    assert m.expected_money(0, 0) == pytest.approx(p * v / (q - 1))


def test_published_forecasts(cdnow):
    x, tx, T, _ = cdnow
    bg = lifetime.BGNBD().fit(x, tx, T)
    assert bg.expected_purchases(39, 2, 30.43, 38.86) == pytest.approx(1.226, abs=5e-4)
    for t, e in ((1 / 7, 0.0078), (1, 0.0532), (3, 0.1506), (31.86, 1.0405), (32, 1.0437), (78, 1.8576)):
        assert bg.expected_purchases(t) == pytest.approx(e, abs=4e-4)  # the sheet stopped short of the optimum
    pareto = lifetime.ParetoNBD().set_fitted({"r": 0.5532, "alpha": 10.5776, "s": 0.6061, "beta": 11.6656})
    assert pareto.expected_purchases(52, 26, 30.86, 31) == pytest.approx(25.46, abs=5e-3)
    assert bg.p_alive(0, 0, 20) == 1.0


def test_donations():
    x, tx, n, customers = DONATIONS
    m = lifetime.BGBB().fit(x, tx, n, customers)
    assert list(m.params_.values()) == pytest.approx((1.204, 0.750, 0.657, 2.783), abs=6e-4)
    assert m.log_likelihood_ == pytest.approx(-33225.6, abs=0.05)
    assert customers @ m.expected_purchases(5, x, tx, n) == pytest.approx(12884.2, abs=0.1)
    assert m.p_alive(6, 6, 6) == 1.0 and 0 < m.p_alive(1, 1, 6) < m.p_alive(1, 3, 6) < 1
    assert m.report_["customers"] == 11104


def test_a_row_per_customer_and_a_weight_are_the_same():
    x, tx, n, customers = DONATIONS
    repeats = customers.astype(int)
    one = lifetime.BGBB().fit(x, tx, n, customers)
    many = lifetime.BGBB().fit(np.repeat(x, repeats), np.repeat(tx, repeats), np.repeat(n, repeats))
    assert one.params_ == many.params_


def test_summaries_of_the_log_are_the_published_ones():
    rows = [line.split() for line in cdnow_file("CDNOW_sample.txt.xz").splitlines() if line.strip()]
    rows = [[r[1], *r] for r in rows if r[0].isdigit()]  # the sample's own numbers, which the summaries use
    day = [datetime.datetime.strptime(r[3], "%Y%m%d").replace(hour=12 + i % 3) for i, r in enumerate(rows)]
    log = etalage.EventLog.from_frame({"user": [int(r[0]) for r in rows], "item": [0] * len(rows), "time": day, "value": [float(r[5]) for r in rows]},
                                      time="time", value="value")
    s = lifetime.summarize(log, until="1997-09-30")
    expected = np.array([r.split(",") for r in cdnow_file("cdnow_customers_summary.csv.xz").splitlines()[1:]], dtype=float)[:, -3:]
    order = np.argsort(s.customer)
    assert len(s) == 2357 and s.later > 1000
    assert s.frequency[order] == pytest.approx(expected[:, 0])
    assert s.recency[order] == pytest.approx(expected[:, 1], abs=6e-3)
    assert s.T[order] == pytest.approx(expected[:, 2], abs=6e-3)
    assert lifetime.BGNBD().fit(s).log_likelihood_ == pytest.approx(-9582.43, abs=0.5)
    money = [r.split(",") for r in cdnow_file("cdnow_customers_summary_with_transactions.csv.xz").splitlines()[1:]]
    assert s.money[order] == pytest.approx([float(r[-1]) for r in money], abs=6e-3)

    days = lifetime.summarize(log, until="1997-09-30", unit="days")
    assert days.T == pytest.approx(7 * s.T)
    a, b = lifetime.BGNBD().fit(s), lifetime.BGNBD().fit(days)
    assert b.params_["alpha"] == pytest.approx(7 * a.params_["alpha"], rel=1e-6)
    assert b.params_["r"] == pytest.approx(a.params_["r"], rel=1e-6)
    assert (b.expected_purchases(70, days.frequency, days.recency, days.T)
            == pytest.approx(a.expected_purchases(10, s.frequency, s.recency, s.T), rel=1e-6))

    events = lifetime.summarize_events([int(r[0]) for r in rows], day, [float(r[5]) for r in rows], until=datetime.date(1997, 9, 30))
    assert np.array_equal(events.frequency, s.frequency[order]) and np.array_equal(events.T, s.T[order])


def test_the_likelihood_is_that_of_the_papers(shop):
    special = pytest.importorskip("scipy.special")
    x, tx, T = shop
    lg, lb = special.gammaln, special.betaln
    m = lifetime.BGNBD().fit(x, tx, T)
    r, alpha, a, b = m.params_.values()
    active = lb(a, b + x) - lb(a, b) - (r + x) * np.log(alpha + T)
    with np.errstate(divide="ignore"):
        stopped = np.where(x > 0, lb(a + 1, b + np.maximum(x, 1) - 1) - lb(a, b) - (r + x) * np.log(alpha + tx), -np.inf)
    assert (lg(r + x) - lg(r) + r * np.log(alpha) + np.logaddexp(active, stopped)).sum() == pytest.approx(m.log_likelihood_, rel=1e-12)

    m = lifetime.ParetoNBD().fit(x, tx, T)
    r, alpha, s, beta = m.params_.values()
    big, small = (alpha, beta) if alpha >= beta else (beta, alpha)
    second = s + 1 if alpha >= beta else r + x

    def a0(t):
        return special.hyp2f1(r + s + x, second, r + s + x + 1, (big - small) / (big + t)) / (big + t) ** (r + s + x)

    value = lg(r + x) - lg(r) + r * np.log(alpha) + s * np.log(beta) + np.log(
        (alpha + T) ** -(r + x) * (beta + T) ** -s + s / (r + s + x) * (a0(tx) - a0(T)))
    few = x < 30  # the difference of the two hypergeometric functions cancels beyond
    one = [lifetime.ParetoNBD().set_fitted(m.params_).p_alive(x, tx, T)]
    inverse = 1 + s / (r + s + x) * (alpha + T) ** (r + x) * (beta + T) ** s * (a0(tx) - a0(T))
    assert one[0][few] == pytest.approx(1 / inverse[few], rel=1e-8)
    assert value[few].sum() == pytest.approx(lifetime.ParetoNBD().fit(x, tx, T).log_likelihood_ - value[~few].sum(), rel=1e-9)


@pytest.mark.parametrize("kind", [lifetime.BGNBD, lifetime.MBGNBD])
def test_forecasts_are_the_papers_closed_form_where_that_has_a_value(kind):
    special = pytest.importorskip("scipy.special")
    params = {"r": 0.6, "alpha": 5.0, "a": 1.7, "b": 2.3}
    m = kind().set_fitted(params)
    r, alpha, a, b = params.values()
    for x, tx, T, t in ((0, 0, 30, 10), (3, 20, 30, 52), (40, 38, 40, 5), (1, 0.5, 60, 200)):
        if kind is lifetime.BGNBD:
            odds = 0 if x == 0 else a / (b + x - 1) * ((alpha + T) / (alpha + tx)) ** (r + x)
            bb = b + x
        else:
            odds = a / (b + x) * ((alpha + T) / (alpha + tx)) ** (r + x)
            bb = b + x + 1
        z = t / (alpha + T + t)
        e = (a + bb - 1) / (a - 1) * (1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * special.hyp2f1(r + x, bb, a + bb - 1, z)) / (1 + odds)
        assert m.expected_purchases(t, x, tx, T) == pytest.approx(e, rel=1e-9)
        assert m.p_alive(x, tx, T) == pytest.approx(1 / (1 + odds), rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_no_nan_where_a_plus_b_is_below_one_or_histories_are_extreme(model):
    params = dict(zip(model._letters, (0.02, 3.0, 0.05, 0.1) if model is not lifetime.ParetoNBD else (0.02, 3.0, 1.0, 900.0)))
    m = model().set_fitted(params)
    x = np.array([0, 0, 1, 1, 5, 300, 5000, 100000])
    T = np.array([0, 1e5, 1e-3, 1e4, 50, 50, 300, 2000])
    tx = np.minimum(T, np.array([0, 0, 1e-3, 1e-3, 49, 20, 299.99, 2000]))
    for t in (0, 1e-9, 1, 52, 500):
        e = m.expected_purchases(t, x, tx, T)
        assert np.isfinite(e).all() and (e >= 0).all()
        assert (e == 0).all() == (t == 0)
    p = m.p_alive(x, tx, T)
    assert ((p >= 0) & (p <= 1)).all()
    steps = np.array([m.expected_purchases(t, x, tx, T) for t in (1, 2, 4, 8, 16)])
    assert (np.diff(steps, axis=0) >= 0).all()


def simulated_regular(k, n=1500, seed=3):
    rng = np.random.default_rng(seed)
    who, when = [], []
    for i in range(n):
        rate, stop, t, end = rng.gamma(2.0, 0.25) * k, rng.beta(0.5, 4), rng.uniform(0, 10), 52.0
        who.append(i)
        when.append(t)
        while rng.random() > stop:
            t += rng.gamma(k, 1 / rate)
            if t > end:
                break
            who.append(i)
            when.append(t)
    return np.array(who), np.array(when)


def test_regular_buyers_are_seen_and_forecast_better():
    who, when = simulated_regular(3)
    m = lifetime.MBGCNBD().fit_events(who, when, until=40.0)
    s = lifetime.summarize_events(who, when, until=40.0)
    flat = lifetime.MBGNBD().fit(s)
    assert m.k_ == 3 and m.params_["k"] == 3
    assert m.log_likelihood_of_k_[1] == pytest.approx(flat.log_likelihood_, abs=1e-6)
    assert m.log_likelihood_ == max(m.log_likelihood_of_k_.values()) > flat.log_likelihood_ + 100
    later = np.bincount(who[when > 40.0], minlength=1500)[s.customer]
    errors = [np.abs(f.expected_purchases(12, s.frequency, s.recency, s.T) - later).mean() for f in (m, flat)]
    assert errors[0] < errors[1]
    assert m.expected_purchases(12, s.frequency, s.recency, s.T).sum() == pytest.approx(later.sum(), rel=0.07)
    assert lifetime.MBGCNBD().fit(s.frequency, s.recency, s.T).k_ > 1  # from recency alone


def test_a_given_k_of_one_is_the_mbg_model(shop):
    a, b = lifetime.MBGCNBD(k=1).fit(*shop), lifetime.MBGNBD().fit(*shop)
    assert list(a.params_.values())[1:] == list(b.params_.values())
    assert np.array_equal(a.expected_purchases(9, *shop), b.expected_purchases(9, *shop))
    # k > 1: by simulation of phases, stops and rates from the posterior.
    m = lifetime.MBGCNBD(k=2).set_fitted({"r": 1.5, "alpha": 8.0, "a": 0.9, "b": 3.0})
    rng = np.random.default_rng(0)
    n, total, alive_n, weight = 400000, 0.0, 0.0, 0.0
    rate, stop = rng.gamma(1.5, 1 / 8.0, n), rng.beta(0.9, 3.0, n)
    x, tx, T, t = 3, 20.0, 28.0, 15.0
    density = rate ** (2 * x) * np.exp(-rate * tx) * (1 - stop) ** x
    quiet = np.exp(-rate * (T - tx)) * (1 + rate * (T - tx)) * (1 - stop)
    weight, alive_n = (density * (quiet + stop)).sum(), (density * quiet).sum()
    assert m.p_alive(x, tx, T) == pytest.approx(alive_n / weight, rel=0.02)
    phases = (rng.random(n) < rate * (T - tx) / (1 + rate * (T - tx))).astype(int) + rng.poisson(rate * t)
    made = phases // 2
    kept = (1 - (1 - stop) ** made) / stop
    total = (density * quiet * kept).sum() / weight
    assert m.expected_purchases(t, x, tx, T) == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_order_threads_and_files_change_no_bit(shop, model, tmp_path):
    x, tx, T = shop
    a = model(num_threads=1).fit(x, tx, T)
    order = np.random.default_rng(0).permutation(len(x))
    b = model(num_threads=3).fit(x[order], tx[order], T[order])
    assert a.params_ == b.params_ and a.log_likelihood_of_k_ == b.log_likelihood_of_k_ if model is lifetime.MBGCNBD else a.params_ == b.params_
    a.save(tmp_path / "m.etalage")
    for other in (etalage.load(tmp_path / "m.etalage"), lifetime.load(tmp_path / "m.etalage", verify="header"), pickle.loads(pickle.dumps(a)), copy.deepcopy(a)):
        assert type(other) is model and other.params_ == a.params_ and other.get_params() == a.get_params()
        assert np.array_equal(other.covariance_, a.covariance_) and other.log_likelihood_ == a.log_likelihood_
        assert other.expected_purchases(9, x, tx, T, interval=0.9, draws=30)[1].tolist() == a.expected_purchases(9, x, tx, T, interval=0.9, draws=30)[1].tolist()


def test_money_and_discrete_models_come_back_from_files(tmp_path):
    rng = np.random.default_rng(2)
    g = lifetime.GammaGamma().fit(rng.integers(1, 9, 300), rng.gamma(5, 4, 300))
    x, tx, n, customers = DONATIONS
    b = lifetime.BGBB().fit(x, tx, n, customers)
    for m in (g, b):
        m.save(tmp_path / "m.etalage")
        for other in (etalage.load(tmp_path / "m.etalage"), pickle.loads(pickle.dumps(m))):
            assert type(other) is type(m) and other.params_ == m.params_
    assert pickle.loads(pickle.dumps(lifetime.MBGCNBD(k=2))).get_params() == lifetime.MBGCNBD(k=2).get_params()
    etalage.models.Popularity().fit(np.eye(3, dtype=np.float32)).save(tmp_path / "p.etalage")
    with pytest.raises(etalage.FormatError, match="Popularity"):
        lifetime.load(tmp_path / "p.etalage")


def test_intervals_hold_the_estimate_and_narrow_with_more_customers(shop):
    x, tx, T = shop
    m = lifetime.MBGNBD().fit(x, tx, T)
    wide = lifetime.MBGNBD().fit(x[:200], tx[:200], T[:200])
    for call in (lambda f: f.expected_purchases(10, x[:50], tx[:50], T[:50], interval=0.95), lambda f: f.p_alive(x[:50], tx[:50], T[:50], interval=0.95)):
        e, low, high = call(m)
        assert (low <= e).all() and (e <= high).all() and (low < high).all()
        _, wide_low, wide_high = call(wide)
        assert (wide_high - wide_low).mean() > 2 * (high - low).mean()
    e, low, high = m.expected_purchases(10, interval=0.5)
    assert isinstance(e, float) and low < e < high


def test_coverage_of_the_parameters_intervals():
    """The estimate's 95 % interval holds the truth in about 95 % of simulated shops (60 shops; at least 52, at most 60)."""
    rng = np.random.default_rng(5)
    truth = {"p": 6.0, "q": 4.0, "v": 15.0}
    inside = 0
    for _ in range(60):
        x = rng.integers(1, 10, 400)
        nu = rng.gamma(4.0, 1 / 15.0, 400)
        m = lifetime.GammaGamma().fit(x, rng.gamma(6.0 * x, 1 / (nu * x)))
        inside += abs(np.log(m.params_["q"] / truth["q"])) < 1.96 * np.sqrt(m.covariance_[1, 1])
    assert 52 <= inside <= 60


def test_value_is_purchases_times_money_and_falls_with_the_rate(shop):
    x, tx, T = shop
    money = np.where(x > 0, np.random.default_rng(4).gamma(4, 8, len(x)), 0)
    m, g = lifetime.MBGNBD().fit(x, tx, T), lifetime.GammaGamma().fit(x, money)
    plain = lifetime.customer_value(m, g, 52, x, tx, T, money)
    assert plain == pytest.approx(m.expected_purchases(52, x, tx, T) * g.expected_money(x, money), rel=1e-12)
    rate, total, before = 0.01, 0, 0
    for end in range(1, 53):
        now = m.expected_purchases(end, x, tx, T)
        total = total + (now - before) / (1 + rate) ** end
        before = now
    assert lifetime.customer_value(m, g, 52, x, tx, T, money, discount_rate=rate) == pytest.approx(total * g.expected_money(x, money), rel=1e-9)
    v, low, high = lifetime.customer_value(m, g, 52, x[:20], tx[:20], T[:20], money[:20], interval=0.95)
    assert (low < v).all() and (v < high).all()
    assert isinstance(lifetime.customer_value(m, g, 52, 2, 10.0, 30.0, 25.0), float)
    with pytest.raises(ValueError, match=r"t is 1e\+18, must be so near that customer 0"):
        lifetime.customer_value(m, g, 1e18, x, tx, T, money)
    with pytest.raises(TypeError, match="money_model"):
        lifetime.customer_value(m, m, 52, x, tx, T, money)


def test_heavy_tails_converge():
    rng = np.random.default_rng(6)
    n = 3000
    rate = rng.pareto(0.9, n) * 0.05  # no mean
    T = rng.uniform(10, 100, n)
    x = np.minimum(rng.poisson(np.minimum(rate * T, 1e5)), 100000).astype(float)
    tx = np.where(x > 0, T * rng.random(n) ** (1 / np.maximum(x, 1)), 0)
    for model in MODELS:
        m = model().fit(x, tx, T)
        assert m.converged_, model
        assert np.isfinite(list(m.params_.values())).all()
        assert np.isfinite(m.expected_purchases(10, x, tx, T)).all()


def test_data_without_the_difference_that_a_parameter_describes():
    """Nobody stops and all buy alike: a goes to 0 and r, alpha grow together; said, not hidden."""
    rng = np.random.default_rng(7)
    T = np.full(500, 40.0)
    x = rng.poisson(8, 500).astype(float)
    tx = np.where(x > 0, 40 - rng.exponential(1, 500).clip(0, 39), 0)
    for model in (lifetime.BGNBD, lifetime.ParetoNBD, lifetime.MBGNBD):
        m = model().fit(x, tx, T)
        assert m.converged_ or m.at_bound_
        assert np.isfinite(m.expected_purchases(10, x, tx, T)).all()
        e, low, high = m.expected_purchases(10, x[:5], tx[:5], T[:5], interval=0.95)
        assert np.isfinite(low).all() and np.isfinite(high).all()


def test_bad_input_is_named():
    ok = ([1, 0], [2.0, 0.0], [3.0, 4.0])
    bad = {
        "frequency[0]": ([0.5, 0], [2.0, 0.0], [3.0, 4.0]),
        "frequency[1]": ([1, -1], [2.0, 0.0], [3.0, 4.0]),
        "recency[0]": ([1, 0], [5.0, 0.0], [3.0, 4.0]),  # a purchase in the future
        "recency[1]": ([1, 0], [2.0, 1.0], [3.0, 4.0]),
        "T[1]": ([1, 0], [2.0, 0.0], [3.0, np.nan]),
        "T[0]": ([1, 0], [2.0, 0.0], [np.inf, 4.0]),
        "recency.size()": ([1, 0], [2.0], [3.0, 4.0]),
        "frequency is 0 for every": ([0, 0], [0.0, 0.0], [3.0, 4.0]),  # one purchase each
        "frequency is 0 for every one of 0": ([], [], []),
    }
    for model in MODELS:
        for text, columns in bad.items():
            with pytest.raises(ValueError) as e:
                model().fit(*columns)
            assert text in str(e.value)
        with pytest.raises(etalage.NotFittedError):
            model().expected_purchases(1, 1, 1.0, 2.0)
        m = model().fit([1, 0, 2, 3], [2.0, 0.0, 3, 9], [3.0, 4.0, 9, 10])
        for t in (-1, np.nan, np.inf, 1e18):
            if model is not lifetime.ParetoNBD or t != 1e18:
                with pytest.raises(ValueError, match="t is"):
                    m.expected_purchases(t, *ok)
        with pytest.raises(ValueError, match=r"level is 1\.5"):
            m.p_alive(*ok, interval=1.5)
        with pytest.raises(ValueError, match="draws is 3"):
            m.p_alive(*ok, interval=0.9, draws=3)
        with pytest.raises(TypeError, match="recency"):
            m.p_alive(1, None, 2.0)
    with pytest.raises(ValueError, match="a is -1"):
        lifetime.BGNBD().set_fitted({"r": 1, "alpha": 1, "a": -1, "b": 1})
    with pytest.raises(ValueError, match="must have 'r', 'alpha', 'a', 'b'"):
        lifetime.BGNBD().set_fitted({"r": 1})
    for k in (0, 13, -1):
        with pytest.raises(ValueError, match="k is"):
            lifetime.MBGCNBD(k=k)


def test_bad_money_is_named():
    g = lifetime.GammaGamma()
    for money in (0.0, -3.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"money\[1\] is .*finite and > 0"):
            g.fit([1, 2], [5.0, money])
    g.fit([1, 2, 0, 4], [5.0, 6.0, np.nan, 9.0])  # without repeats money means nothing
    assert g.report_["customers"] == 3
    with pytest.raises(ValueError, match="frequency is 0 for every one of 2"):
        g.fit([0, 0], [1.0, 2.0])
    one = lifetime.GammaGamma().fit([3, 4, 5], [7.0, 7.0, 7.0])  # no spread at all
    assert one.expected_money([3], [7.0])[0] == pytest.approx(7.0, rel=1e-2)


def test_bad_events_are_named():
    with pytest.raises(ValueError, match="time has 1 entries, must have 2"):
        lifetime.summarize_events(["a", "b"], [1.0])
    with pytest.raises(ValueError, match=r"times\[0\] is"):
        lifetime.summarize_events(["a", "b"], [np.nan, 1.0])
    with pytest.raises(ValueError, match="missing"):
        lifetime.summarize_events(["a", "b"], np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"))
    with pytest.raises(ValueError, match=r"customer\[1\] is None"):
        lifetime.summarize_events(np.array(["a", None], dtype=object), [1.0, 2.0])
    for mixed in ([1, "a"], [1.5, 2.0], [True, False], [b"a", b"b"]):  # NumPy makes strings of the first
        with pytest.raises(TypeError, match="customer"):
            lifetime.summarize_events(mixed, [1.0, 2.0])
    assert lifetime.summarize_events([7.0, 8.0], [1.0, 2.0]).customer.tolist() == [7, 8]  # integers of a frame with gaps elsewhere
    with pytest.raises(TypeError, match="must be a date as time is"):
        lifetime.summarize_events(["a"], ["2024-01-01"], until=3.0)
    with pytest.raises(ValueError, match="unit is 'months'"):
        lifetime.summarize_events(["a"], ["2024-01-01"], unit="months")
    s = lifetime.summarize_events(["b", "a", "a", "a", "c"], ["2024-01-01", "2024-01-01", "2024-01-01T20:00:00", "2024-01-15", "2024-02-01"],
                                  [1.0, 2.0, 3.0, 4.0, 5.0], until="2024-01-22")
    assert s.customer.tolist() == ["a", "b"] and s.later == 1
    assert s.frequency.tolist() == [1, 0] and s.recency.tolist() == [2, 0] and s.T.tolist() == [3, 3] and s.money.tolist() == [4, 0]
    log = etalage.EventLog.from_frame({"user": ["a"], "item": ["x"], "event": ["view"], "time": [0]}, event="event", time="time", time_unit="ms")
    with pytest.raises(ValueError, match="'view', must name"):
        lifetime.summarize(log)
    with pytest.raises(ValueError, match="'sold'"):
        lifetime.summarize(log, events="sold")
    with pytest.raises(ValueError, match="no times"):
        lifetime.summarize(etalage.EventLog.from_frame({"user": ["a"], "item": ["x"]}))


def test_summaries_stand_for_their_columns_in_every_call():
    r = np.random.default_rng(3)
    s = lifetime.summarize_events(r.integers(0, 200, 900), r.uniform(0, 100, 900), r.gamma(5, 2, 900))
    m, g = lifetime.MBGNBD().fit(s), lifetime.GammaGamma().fit(s)
    assert g.params_ == lifetime.GammaGamma().fit(s.frequency, s.money).params_
    columns = (s.frequency, s.recency, s.T)
    for of_summaries, of_columns in [(m.p_alive(s), m.p_alive(*columns)), (m.expected_purchases(9, s), m.expected_purchases(9, *columns)),
                                     (g.expected_money(s), g.expected_money(s.frequency, s.money)),
                                     (lifetime.customer_value(m, g, 9, s, interval=0.9), lifetime.customer_value(m, g, 9, *columns, s.money, interval=0.9))]:
        np.testing.assert_array_equal(of_summaries, of_columns)
    for call in (lambda: m.p_alive(s, s.recency), lambda: g.fit(s, s.money), lambda: lifetime.customer_value(m, g, 9, s, money=s.money)):
        with pytest.raises(TypeError, match="beside Summaries, must be left out"):
            call()
    without = lifetime.summarize_events([1, 1, 2], [0.0, 3.0, 1.0])
    for call in (lambda: g.fit(without), lambda: lifetime.customer_value(m, g, 9, without)):
        with pytest.raises(ValueError, match="have no money"):
            call()
