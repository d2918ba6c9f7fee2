# SPDX-License-Identifier: Apache-2.0
"""Budgets that last for a day of requests, beside the best choice in hindsight."""

import os

import numpy as np
import pytest

import etalage
from etalage.marketing import BudgetPacer, SpendLedger, allocate

REQUESTS, OFFERS = 20_000, 5


def day(seed, drift=0.0):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2, 1, (REQUESTS, OFFERS)) * (1 + drift * np.sin(2 * np.pi * np.arange(REQUESTS) / REQUESTS))[:, None]
    return values, rng.random((REQUESTS, OFFERS)) + 0.1


def worth(choice, values):
    given = np.flatnonzero(choice >= 0)
    return values[given, choice[given]].sum()


@pytest.mark.parametrize("drift, floor, floor_by_profile", [(0.0, 0.997, 0.997), (0.2, 0.985, 0.993)])
def test_share_of_hindsight(drift, floor, floor_by_profile):
    plain, by_profile = [], []
    for seed in range(4):
        values, costs = day(seed, drift)
        budget = costs.mean() * REQUESTS * 0.3
        hindsight = allocate(values, costs, budget).bound
        before_values, before_costs = day(100 + seed, drift)
        yesterday = BudgetPacer(budget, REQUESTS, prices=allocate(before_values, before_costs, budget).prices)
        yesterday.replay(before_values, before_costs)
        plan = allocate(before_values, before_costs, budget)
        spent = np.where(plan.choice >= 0, before_costs[np.arange(REQUESTS), np.maximum(plan.choice, 0)], 0).reshape(100, -1).sum(1)
        for found, profile in ((plain, None), (by_profile, spent)):
            pacer = BudgetPacer(budget, REQUESTS, prices=plan.prices, profile=profile)
            found.append(worth(pacer.replay(values, costs), values) / hindsight)
            assert pacer.spent[0] <= budget and pacer.requests == REQUESTS
    assert np.mean(plain) >= floor and np.mean(by_profile) >= floor_by_profile


def test_decisions_one_by_one_are_those_of_a_replay():
    values, costs = day(1)
    costs = np.stack([costs, costs[:, ::-1]], 2)[:2000]
    budgets = costs.mean((0, 1)) * 2000 * [0.3, 0.2]
    a, b = BudgetPacer(budgets, 2000), BudgetPacer(budgets, 2000)
    one_by_one = [a.decide(values[i], costs[i]) for i in range(2000)]
    assert b.replay(values[:2000], costs).tolist() == one_by_one
    np.testing.assert_array_equal(a.prices, b.prices)
    spent = np.array([costs[i, o] for i, o in enumerate(one_by_one) if o >= 0]).sum(0)
    np.testing.assert_allclose(a.spent, spent)
    assert (spent <= budgets).all()
    profile = a.spending_profile(10)
    assert profile.shape == (10,) and profile.sum() == pytest.approx(1)


def test_a_budget_is_never_exceeded_even_by_wrong_expectations():
    values, costs = day(2)
    for expected in (10, 1e9):
        pacer = BudgetPacer(50.0, expected)
        pacer.replay(values, costs)
        assert pacer.spent[0] <= 50
    nothing = BudgetPacer(0.0, 100)
    assert nothing.decide([1.0, 2.0], [1.0, 1.0]) == -1
    assert nothing.decide([1.0, 2.0], [0.0, 0.0]) == 1


@pytest.mark.parametrize("make, words", [
    (lambda: BudgetPacer(-1, 10), r"budgets\[0\] is -1, must be finite and >= 0"),
    (lambda: BudgetPacer([], 10), "budgets"),
    (lambda: BudgetPacer(1, 0), "expected_requests is 0"),
    (lambda: BudgetPacer([1, 2], 10, prices=[1]), "prices.size"),
    (lambda: BudgetPacer(1, 10, profile=[0, 0]), "sum of profile"),
    (lambda: BudgetPacer(1, 10, step=float("nan")), "step is nan"),
    (lambda: BudgetPacer(1, 10).decide([1.0], [-1.0]), "costs is -1"),
    (lambda: BudgetPacer(1, 10).decide([float("nan")], [1.0]), "values is nan"),
    (lambda: BudgetPacer(1, 10).decide([1.0], [1.0, 2.0]), r"costs has shape \(2,\)"),
    (lambda: BudgetPacer(1, 10).decide([1.0], [1.0], progress=2), "progress is 2"),
    (lambda: BudgetPacer(1, 10).decide([1.0], [1.0], progress=-1), "progress is -1"),
    (lambda: BudgetPacer([1, 1], 10).decide([1.0, 2.0, 3.0], np.ones((2, 3))), r"costs has shape \(2, 3\)"),  # budgets by offers
    (lambda: BudgetPacer(1, 10).decide(np.ma.masked_array([1.0], mask=True), [1.0]), "values is nan"),
    (lambda: BudgetPacer(np.ma.masked_array([1.0], mask=True), 10), r"budgets\[0\] is nan"),
])
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_ledger_keeps_what_was_spent(tmp_path):
    with SpendLedger(tmp_path / "ledger", [100, 7], block=10) as ledger:
        assert ledger.spend(30, 2) and ledger.spend(0, 5) and not ledger.spend(1, 1)
        assert ledger.spent == [30, 7] and ledger.reserved == [40, 7]
        assert ledger.spend(1, 0) and ledger.reserved == [40, 7]
        with pytest.raises(Exception, match="one writer"):
            SpendLedger(tmp_path / "ledger", [100, 7])
    with pytest.raises(Exception, match="after close"):
        ledger.spend(1, 0)
    with SpendLedger(tmp_path / "ledger", [100, 7]) as ledger:
        assert ledger.spent == [31, 7] and ledger.spend(69, 0) and not ledger.spend(1, 0)
    with pytest.raises(etalage.FormatError, match="budgets"):
        SpendLedger(tmp_path / "ledger", [100])
    for budgets, words in (([-1], "budgets"), ([], "budgets")):
        with pytest.raises(ValueError, match=words):
            SpendLedger(tmp_path / "other", budgets)
    with pytest.raises(TypeError):
        SpendLedger(tmp_path / "other", 0.5)


@pytest.mark.parametrize("make, words", [
    (lambda folder: SpendLedger(folder, True), "budgets is True"),
    (lambda folder: SpendLedger(folder, [1.5]), "budgets is 1.5"),
    (lambda folder: SpendLedger(folder, 2**63), "must fit in 64 bits"),
    (lambda folder: SpendLedger(folder, 10, block="x"), "block is 'x'"),
    (lambda folder: SpendLedger(folder, 10).spend(2**64), "must fit in 64 bits"),
    (lambda folder: SpendLedger(folder, 10).spend(1.0), "amounts is 1.0"),
])
def test_units_are_whole_numbers(make, words, tmp_path):
    with pytest.raises((TypeError, ValueError), match=words):
        make(tmp_path)


def test_a_forked_child_spends_nothing(tmp_path):
    ledger = SpendLedger(tmp_path / "ledger", 100, block=50)
    assert ledger.spend(1)
    pid = os.fork()
    if pid == 0:
        try:
            ledger.spend(1)
            os._exit(1)
        except Exception:
            ledger.close()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert sum(ledger.spend(1) for _ in range(200)) == 99


def test_published_prices_choose_as_the_allocation_did():
    import pickle

    from etalage.marketing import OfferPrices, allocate

    rng = np.random.default_rng(0)
    values, costs = rng.gamma(2, 1, (2000, 4)), rng.uniform(0.1, 1.1, (2000, 4, 2))
    plan = allocate(values, costs, [300, 250], offer_max=[500, 100, 500, 500])
    prices = pickle.loads(pickle.dumps(OfferPrices.of(plan)))
    got = prices.choose(values, costs)
    worth = values - plan.offer_prices - (costs * plan.prices).sum(axis=2)
    assert np.array_equal(got, np.where(worth.max(axis=1) > 0, worth.argmax(axis=1), -1))
    assert (got == plan.choice).mean() > 0.98  # what was repaired differs
    assert prices.choose(values[7], costs[7]) == got[7]
    with pytest.raises(ValueError, match=r"budget\[0\] is -1"):
        OfferPrices([-1.0])
    with pytest.raises(ValueError, match="values has shape"):
        prices.choose(values[7], costs[7][:2])
    with pytest.raises(ValueError, match="the number of offers"):
        prices.choose(values[7, :2], costs[7, :2])
