# SPDX-License-Identifier: Apache-2.0
"""The objective of ALS against its formula in NumPy, over every cell; and the rivals' objectives at their settings."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS

SETTINGS = [
    dict(alpha=4.0, unobserved_weight=1.0, nu=0.0, regularization=0.3),
    dict(alpha=0.1, unobserved_weight=0.1, nu=1.0, regularization=0.02),
    dict(alpha=0.5, unobserved_weight=2.5, nu=0.5, regularization=0.5),
]


def random_rows(users=40, items=30, seed=0, negative=True, ones=False):
    rng = np.random.default_rng(seed)
    r = np.where(rng.random((users, items)) < 0.2, rng.integers(1, 6, (users, items)) / 2.0, 0.0)
    if negative:
        r *= rng.choice([1, 1, 1, -1], r.shape)
    return (r > 0).astype(float) if ones else r


def ridge(observed, others, p):
    return p["regularization"] * (observed.sum(1) + p["unobserved_weight"] * others) ** p["nu"]


def objective(r, x, y, **p):
    observed = r != 0
    c = np.where(observed, 1 + p["alpha"] * np.abs(r), p["unobserved_weight"])
    error = (r > 0) - x @ y.T
    return ((c * error**2).sum() + (ridge(observed, len(y), p) * (x**2).sum(1)).sum()
            + (ridge(observed.T, len(x), p) * (y**2).sum(1)).sum())


def doubles(m):
    return m.user_factors.astype(np.float64), m.item_factors.astype(np.float64)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "subspace"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_report_holds_the_objective_of_the_formula(setting, solver):
    r = random_rows()
    m = ALS(factors=6, iterations=5, solver=solver, **setting).fit(sp.csr_matrix(r))
    expected = objective(r, *doubles(m), **setting)
    assert m.report.objective[-1] == pytest.approx(expected, rel=1e-5)
    assert len(m.report.objective) == 6
    steps = np.diff(m.report.objective)
    assert (steps <= 1e-6 * expected).all()


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_small_step_lowers_the_objective_at_the_solution(setting):
    r = random_rows(seed=1)
    m = ALS(factors=4, iterations=300, solver="cholesky", compute_objective=False, **setting).fit(sp.csr_matrix(r))
    x, y = doubles(m)
    best = objective(r, x, y, **setting)
    rng = np.random.default_rng(2)
    for _ in range(50):
        dx, dy = rng.normal(size=x.shape), rng.normal(size=y.shape)
        assert objective(r, x + 1e-2 * dx, y + 1e-2 * dy, **setting) > best


def test_implicits_objective_at_its_settings():
    # c = a on observed ones, 1 elsewhere
    a, reg = 7.0, 0.3
    r = random_rows(seed=3, ones=True)
    m = ALS(factors=5, iterations=6, alpha=a - 1, unobserved_weight=1.0, nu=0.0, regularization=reg).fit(sp.csr_matrix(r))
    x, y = doubles(m)
    theirs = (np.where(r > 0, a, 1.0) * (r - x @ y.T) ** 2).sum() + reg * ((x**2).sum() + (y**2).sum())
    assert m.report.objective[-1] == pytest.approx(theirs, rel=1e-5)


def test_rendles_objective_at_their_settings():
    # sum_S (s - 1)^2 + a0 sum_all s^2 + reg (|S_u| + a0 n_items)^nu |x_u|^2 + ..., with factors sqrt(1 + a0) smaller
    a0, reg = 0.2, 0.02
    r = random_rows(seed=4, ones=True)
    m = ALS(factors=5, iterations=6, alpha=a0, unobserved_weight=a0, nu=1.0, regularization=reg * (1 + a0)).fit(sp.csr_matrix(r))
    x, y = (f / np.sqrt(1 + a0) for f in doubles(m))
    s = x @ y.T
    p = dict(regularization=reg, unobserved_weight=a0, nu=1.0)
    theirs = (((s - 1) ** 2)[r > 0].sum() + a0 * (s**2).sum() + (ridge(r > 0, len(y), p) * (x**2).sum(1)).sum()
              + (ridge((r > 0).T, len(x), p) * (y**2).sum(1)).sum())
    # Ours is theirs times (1 + a0)^2, less what their targets leave over at any factors.
    ours = (theirs - (r > 0).sum() * a0 / (1 + a0)) * (1 + a0) ** 2
    assert m.report.objective[-1] == pytest.approx(ours, rel=1e-5)


def test_fold_in_and_explanation_are_the_closed_form():
    p = dict(alpha=2.0, unobserved_weight=0.3, nu=1.0, regularization=0.02)
    r = random_rows(seed=5)
    rows = sp.csr_matrix(r)
    m = ALS(factors=6, iterations=4, **p).fit(rows)
    _, y = doubles(m)
    user, item = 7, 11
    c = np.where(r[user] != 0, 1 + p["alpha"] * np.abs(r[user]), p["unobserved_weight"])
    a = (y.T * c) @ y + np.eye(6) * ridge(r[user : user + 1] != 0, len(y), p)
    x = np.linalg.solve(a, y.T @ (c * (r[user] > 0)))
    scores = m.score(user, rows[user], np.arange(30), recalculate_user=True)
    np.testing.assert_allclose(scores, y @ x, atol=1e-4)
    total, top, weights = m.explain(user, rows[user], item, k=30)
    liked = np.flatnonzero(r[user] > 0)
    parts = y[item] @ np.linalg.solve(a, y[liked].T) * c[liked]
    order = np.argsort(-parts, kind="stable")
    kept = top >= 0
    np.testing.assert_array_equal(top[kept], liked[order])
    np.testing.assert_allclose(weights[kept], parts[order], atol=1e-4)
    assert total == pytest.approx(parts.sum(), abs=1e-4)


def test_threads_do_not_change_a_bit():
    rows = sp.csr_matrix(random_rows(users=300, items=200, seed=6))
    for solver in ("cholesky", "cg", "subspace"):
        one, two = (ALS(factors=20, iterations=3, solver=solver, num_threads=n).fit(rows) for n in (1, 2))
        assert one.user_factors.tobytes() == two.user_factors.tobytes()
        assert one.item_factors.tobytes() == two.item_factors.tobytes()
        assert one.report.objective == two.report.objective


def test_warm_start_goes_on():
    rows = sp.csr_matrix(random_rows(seed=7))
    whole = ALS(factors=5, iterations=6).fit(rows)
    halves = ALS(factors=5, iterations=3, warm_start=True).fit(rows).fit(rows)
    assert whole.item_factors.tobytes() == halves.item_factors.tobytes()


def test_singular_equations_are_a_numerical_error():
    m = ALS(factors=64, iterations=2, regularization=0.0, solver="cholesky")
    with pytest.raises(etalage.NumericalError, match="increase regularization"):
        m.fit(sp.csr_matrix(np.eye(3)))
