# SPDX-License-Identifier: Apache-2.0
"""Allocation under budgets, held to the integer optimum of HiGHS on small cases and to its own certificate on larger ones."""

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from etalage import marketing
from etalage.marketing import allocate


def as_matrix(a, offers):
    if not isinstance(a.choice, np.ndarray):
        return a.choice.toarray().astype(float)
    x = np.zeros((len(a.choice), offers))
    x[np.flatnonzero(a.choice >= 0), a.choice[a.choice >= 0]] = 1
    return x


def check_feasible(a, values, costs, budgets, per_shopper=1, eligible=None, offer_min=None, offer_max=None, exclusive=()):
    x = as_matrix(a, values.shape[1])
    assert a.value == pytest.approx((values * x).sum(), rel=1e-12)
    spent = (costs * x[:, :, None]).sum((0, 1))
    np.testing.assert_allclose(a.spent, spent, rtol=1e-9)
    assert (spent <= np.asarray(budgets) * (1 + 1e-12) + 1e-12).all()
    assert (x.sum(1) <= per_shopper).all()
    if eligible is not None:
        assert not x[~np.asarray(eligible, bool)].any()
    np.testing.assert_array_equal(a.given, x.sum(0))
    if offer_min is not None:
        assert (x.sum(0) >= offer_min).all()
    if offer_max is not None:
        assert (x.sum(0) <= offer_max).all()
    for group in exclusive:
        assert (x[:, group].sum(1) <= 1).all()
    assert a.value <= a.bound and a.gap == pytest.approx((a.bound - a.value) / max(abs(a.bound), abs(a.value)) if a.bound != a.value else 0)
    assert (np.asarray(a.prices) >= 0).all()


def optimum(values, costs, budgets, per_shopper=1, eligible=None, offer_min=None, offer_max=None, exclusive=(), whole=True):
    """HiGHS, as SciPy carries it."""
    n, m = values.shape
    rows, low, high = [], [], []
    for b, budget in enumerate(budgets):
        rows.append(costs[:, :, b].ravel())
        low.append(-np.inf)
        high.append(budget)
    for s in range(n):
        row = np.zeros((n, m))
        row[s] = 1
        rows.append(row.ravel())
        low.append(0)
        high.append(per_shopper)
        for group in exclusive:
            row = np.zeros((n, m))
            row[s, group] = 1
            rows.append(row.ravel())
            low.append(0)
            high.append(1)
    for o in range(m):
        row = np.zeros((n, m))
        row[:, o] = 1
        rows.append(row.ravel())
        low.append(0 if offer_min is None else offer_min[o])
        high.append(n if offer_max is None else offer_max[o])
    upper = np.ones((n, m)) if eligible is None else np.asarray(eligible, float)
    r = milp(-values.ravel(), constraints=LinearConstraint(csr_matrix(np.array(rows)), low, high), bounds=Bounds(0, upper.ravel()),
             integrality=np.full(n * m, int(whole)))
    return None if r.x is None else -r.fun


@pytest.mark.parametrize("seed", range(25))
def test_small_cases_against_the_integer_optimum(seed):
    rng = np.random.default_rng(seed)
    n, m, k = int(rng.integers(1, 40)), int(rng.integers(1, 6)), int(rng.integers(0, 4))
    values = rng.normal(1, 1, (n, m)).round(2)
    costs = rng.gamma(2, 1, (n, m, k)).round(2) * (rng.random((n, m, k)) < 0.8)
    settings = {"per_shopper": int(rng.integers(1, 4))}
    if rng.random() < 0.5:
        settings["eligible"] = rng.random((n, m)) < 0.7
    if rng.random() < 0.4:
        settings["offer_max"] = rng.integers(0, n + 1, m)
    if rng.random() < 0.4 and m >= 3:
        settings["exclusive"] = [[0, 2]]
    if rng.random() < 0.4 and "eligible" not in settings and "offer_max" not in settings and n > 2 * m:
        settings["offer_min"] = rng.integers(0, 2, m)
    budgets = costs.sum((0, 1)) * rng.random(k) + (costs.max((0, 1)) * m * 2 if "offer_min" in settings and n else 0)
    a = allocate(values, costs, budgets, **settings)
    check_feasible(a, values, costs, budgets, **settings)
    best = optimum(values, costs, budgets, **settings)
    assert a.value <= best + 1e-6 and best <= a.bound * (1 + 1e-9) + 1e-6
    # Repair of a few shoppers loses little even where whole offers cannot fill a budget.
    assert a.value >= best - 0.05 * abs(best) - 1e-9


def test_the_bound_is_the_optimum_of_the_relaxed_problem():
    rng = np.random.default_rng(3)
    values, costs = rng.gamma(2, 1, (60, 4)), rng.random((60, 4, 2)) + 0.1
    budgets = costs.mean((0, 1)) * 60 * 0.3
    a = allocate(values, costs, budgets, max_steps=3000, target_gap=0)
    assert a.bound == pytest.approx(optimum(values, costs, budgets, whole=False), rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"per_shopper": 2, "exclusive": [[0, 1, 2]]}, {"offer_max": [500, 20_000, 20_000, 100, 0], "offer_min": [300, 0, 50, 0, 0]}])
def test_larger_cases_close_the_gap_with_the_same_bits_on_any_threads(settings):
    rng = np.random.default_rng(5)
    n, m = 30_000, 5
    values, costs = rng.gamma(2, 1, (n, m)), rng.random((n, m, 3)) + 0.1
    budgets = costs.mean((0, 1)) * n * [0.2, 0.3, 5.0]
    a = allocate(values, costs, budgets, num_threads=1, **settings)
    check_feasible(a, values, costs, budgets, **settings)
    assert a.gap < 1e-3
    b = allocate(values, costs, budgets, num_threads=2, **settings)
    assert (a.value, a.bound) == (b.value, b.bound)
    np.testing.assert_array_equal(as_matrix(a, m), as_matrix(b, m))
    # A budget that nobody reaches has no price.
    assert a.prices[2] == pytest.approx(0, abs=1e-6) and a.prices[0] > 0


def test_a_price_is_what_one_more_unit_is_worth():
    rng = np.random.default_rng(6)
    values, costs = rng.gamma(2, 1, (20_000, 3)), rng.random((20_000, 3)) + 0.1
    a, b = allocate(values, costs, 3000.0), allocate(values, costs, 3030.0)
    assert a.prices[0] == pytest.approx((b.value - a.value) / 30, rel=0.05)


def test_shapes_and_special_cases():
    values = np.array([[3.0, 1.0], [2.0, -1.0], [0.0, 5.0]])
    costs = np.ones((3, 2))
    a = allocate(values, costs, [2])
    assert a.choice.dtype == np.int32 and a.choice.tolist() == [0, -1, 1] and a.value == 8
    assert allocate(values, costs, 0).choice.tolist() == [-1, -1, -1]
    assert allocate(values, costs, 0).gap == 0
    free = allocate(values, np.zeros((3, 2)), [0])
    assert free.choice.tolist() == [0, 0, 1]
    assert allocate(values, np.empty((3, 2, 0)), []).value == 10
    many = allocate(values, costs, [10], per_shopper=5)
    assert many.choice.shape == (3, 2) and many.value == 11
    assert allocate(values, costs, [10], eligible=lambda shopper, offer: shopper != offer).choice.tolist() == [1, 0, 1]
    assert allocate(values, costs, [10], eligible=csr_matrix([[1, 0], [0, 0], [0, 1]])).choice.tolist() == [0, -1, 1]
    assert allocate(values, costs, [10], offer_min=[0, 3]).choice.tolist() == [1, 1, 1]
    assert allocate(np.empty((0, 2)), np.empty((0, 2)), [1]).value == 0


@pytest.mark.parametrize("arguments, words", [
    (dict(costs=-np.ones((3, 2))), r"costs\[0, 0, 0\] is -1, must be finite and >= 0"),
    (dict(costs=np.full((3, 2), np.nan)), r"costs\[0, 0, 0\] is nan"),
    (dict(costs=np.ma.masked_array(np.ones((3, 2)), mask=[[0, 0], [0, 1], [0, 0]])), r"costs\[1, 1, 0\] is nan"),
    (dict(costs=np.ones((2, 2))), "costs has shape"),
    (dict(values=np.full((3, 2), np.inf)), r"values\[0, 0\] is inf, must be finite"),
    (dict(budgets=[-1]), r"budgets\[0\] is -1"),
    (dict(budgets=[1, 2]), "costs has shape"),
    (dict(per_shopper=0), "per_shopper is 0, must be >= 1"),
    (dict(eligible=np.ones((2, 2))), "eligible has shape"),
    (dict(offer_min=[2, 2]), "offer_min adds up to 4, and 3 shoppers x per_shopper 1 are fewer places"),
    (dict(offer_min=[3, 0], eligible=[[1, 1], [1, 1], [0, 1]]), r"offer_min\[0\] is 3, and only 2 shoppers are eligible for offer 0"),
    (dict(offer_min=[2, 2], per_shopper=2, exclusive=[[0, 1]]), "offer_min of offers 0, 1, of which .* exclude each other, adds up to 4, .* only 3"),
    (dict(offer_min=[1, 2], eligible=[[1, 1], [1, 1], [0, 0]]), "offer_min of offers 0, 1 adds up to 3, and the eligible shoppers can take only 2"),
    (dict(offer_min=[2, 1], budgets=[2.5]), "offer_min of offers 0, 1 takes at least 3.* of budget 0, which is 2.5"),
    (dict(offer_min=[2, 0], offer_max=[1, 1]), "the minimum must not be above the maximum"),
    (dict(offer_min=[0.5, 0]), "offer_min must hold whole numbers"),
    (dict(exclusive=[[0, 1], [1]]), "exclusive holds offer 1 twice"),
    (dict(exclusive=[[7]]), "exclusive holds offer 7"),
])
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        allocate(**(dict(values=np.ones((3, 2)), costs=np.ones((3, 2)), budgets=[3]) | arguments))


def test_it_is_in_the_room():
    assert marketing.allocate is allocate and isinstance(allocate([[1.0]], [[1.0]], 1), marketing.Allocation)


@pytest.mark.parametrize("arguments, words", [
    ({"values": "x"}, "values"),
    ({"values": np.ones((3, 2)) + 1j}, "values has dtype complex128"),
    ({"values": np.ones((3, 2)).astype("m8[s]")}, "values has dtype"),
    ({"costs": np.ones((3, 2)).astype(str)}, "costs has dtype"),
    ({"budgets": "5"}, "budgets has dtype"),
    ({"per_shopper": 1.5}, "per_shopper is 1.5"),
    ({"per_shopper": None}, "per_shopper is None"),
    ({"exclusive": [[0, 1.5]]}, "exclusive holds offer 1.5"),
    ({"exclusive": "01"}, "exclusive is '01'"),
    ({"exclusive": [0, 1]}, r"exclusive is \[0, 1\]"),
    ({"eligible": lambda s, o: True}, "what eligible gives has shape"),
    ({"eligible": np.full((3, 2), np.nan)}, "eligible holds NaN"),
    ({"eligible": np.full((3, 2), "no")}, "eligible has dtype"),
    ({"offer_max": "3"}, "offer_max has dtype"),
    ({"offer_max": -np.inf}, "offer_max must hold whole numbers"),
])
def test_what_is_no_number_is_refused_in_our_words(arguments, words):
    given = {"values": np.ones((3, 2)), "costs": np.ones((3, 2)), "budgets": 2.0, **arguments}
    with pytest.raises((TypeError, ValueError), match=words):
        allocate(**given)


@pytest.mark.parametrize("beyond", [np.inf, 1e300, 2**70, np.uint64(2**63 + 5)])
def test_a_maximum_beyond_all_shoppers_is_none(beyond):
    values = np.arange(6.0).reshape(3, 2)
    assert allocate(values, np.ones((3, 2)), 2.0, offer_max=beyond).value == allocate(values, np.ones((3, 2)), 2.0).value
    assert allocate(values, np.ones((3, 2)), 2.0, per_shopper=2**40).value == allocate(values, np.ones((3, 2)), 2.0, per_shopper=2).value


def test_budgets_of_nothing_and_forced_losses_have_tight_bounds():
    rng = np.random.default_rng(8)
    values, costs = rng.random((50, 4)), rng.random((50, 4)) + 0.1
    nothing = allocate(values, costs, 0)
    assert nothing.value == nothing.bound == nothing.gap == 0
    forced = allocate(-values, costs, 50, offer_min=2)
    best = optimum(-values, costs[:, :, None], [50], offer_min=[2] * 4)
    assert forced.value == pytest.approx(best, rel=0.05) and forced.bound >= best - 1e-9 and forced.gap < 0.2
    with pytest.raises(ValueError, match="within 1e150"):
        allocate(values * 1e200, costs, 1)


@pytest.mark.parametrize("option", ["target_gap", "max_steps", "full_steps", "sample", "num_threads"])
@pytest.mark.parametrize("value", ["a", None, [1]])
def test_options_of_a_wrong_type_are_named(option, value):
    with pytest.raises(TypeError, match=rf"^{option} is .*, must be (an integer|a number)$"):
        allocate(np.ones((2, 2)), np.ones((2, 2)), 1.0, **{option: value})
    if option != "target_gap":
        with pytest.raises(ValueError, match=rf"^{option} is 1180591620717411303424, must be at most"):
            allocate(np.ones((2, 2)), np.ones((2, 2)), 1.0, **{option: 2**70})


def test_costs_that_are_alike_for_all_shoppers():
    values = np.random.default_rng(5).uniform(0, 5, (40, 3))
    one, two = np.array([1.0, 2.0, 0.5]), np.array([[1.0, 0.0], [2.0, 1.0], [0.5, 3.0]])
    for costs, budgets in ((one, 20.0), (two, [20.0, 10.0])):
        whole = np.broadcast_to(costs, (40, *costs.shape)).copy()
        found, expected = allocate(values, costs, budgets), allocate(values, whole, budgets)
        np.testing.assert_array_equal(found.choice, expected.choice)
        assert found.bound == expected.bound and found.given.sum() > 0
    with pytest.raises(ValueError, match=r"costs has shape \(2,\), must be \(40, 3, 1\).*or \(3,\) with one budget, where all shoppers cost alike"):
        allocate(values, [1.0, 2.0], 20.0)
    with pytest.raises(ValueError, match=r"costs has shape \(3,\)"):
        allocate(values, one, [20.0, 10.0])
