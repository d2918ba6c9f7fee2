# SPDX-License-Identifier: Apache-2.0
"""Allocation under budgets: a million shoppers x ten offers with three budgets, and beside HiGHS (highspy where it is installed, else as
SciPy carries it).

    python bench/marketing/allocation_benchmark.py [--shoppers 1000000] [--offers 10] [--threads 2] [--highs 20000] [--rounds 5] [--days 20]

Prints seconds and the certified gap at full size; the ratio of times beside HiGHS's linear relaxation on the smaller problem, both in this
process in turns, with what the bound is above HiGHS's optimum; and what a day of 100,000 requests decided one by one is worth beside the
best choice in hindsight: at stationary values, at 20 % sinusoidal drift, and there with yesterday's profile of spending.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from pairing import alternate, median_interval


def problem(shoppers, offers, seed=1):
    rng = np.random.default_rng(seed)
    values, costs = rng.gamma(2, 1, (shoppers, offers)), rng.random((shoppers, offers, 3)) + 0.1
    return values, costs, costs.mean((0, 1)) * shoppers * 0.3


def highs(values, costs, budgets):
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, kron, identity, vstack

    shoppers, offers = values.shape
    one = kron(identity(shoppers), csr_matrix(np.ones((1, offers))), format="csr")
    matrix = vstack([one, csr_matrix(costs.reshape(-1, costs.shape[2]).T)], format="csr")
    limits = np.r_[np.ones(shoppers), budgets]
    try:
        import highspy
    except ImportError:
        return -linprog(-values.ravel(), A_ub=matrix, b_ub=limits, bounds=(0, 1), method="highs").fun
    model, solver = highspy.HighsLp(), highspy.Highs()
    columns = matrix.tocsc()
    model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
    model.col_cost_, model.col_lower_, model.col_upper_ = -values.ravel(), np.zeros(values.size), np.ones(values.size)
    model.row_lower_, model.row_upper_ = np.full(len(limits), -highspy.kHighsInf), limits
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = columns.indptr, columns.indices, columns.data
    solver.setOptionValue("output_flag", False)
    solver.passModel(model)
    solver.run()
    return -solver.getInfo().objective_function_value


def hindsight(days, requests=100_000, offers=5):
    from etalage.marketing import BudgetPacer, allocate

    def day(seed, drift):
        rng = np.random.default_rng(seed)
        wave = 1 + drift * np.sin(2 * np.pi * np.arange(requests) / requests)
        return rng.gamma(2, 1, (requests, offers)) * wave[:, None], rng.random((requests, offers)) + 0.1

    for name, drift, informed, with_profile in (("stationary, no prices to begin with", 0, False, False), ("stationary", 0, True, False),
                                                ("20 % drift", 0.2, True, False), ("20 % drift, yesterday's profile", 0.2, True, True)):
        shares = []
        for seed in range(days):
            values, costs = day(seed, drift)
            budget = costs.mean() * requests * 0.3
            best = allocate(values, costs, budget).bound
            before = day(1000 + seed, drift)
            plan = allocate(*before, budget)
            spent = np.where(plan.choice >= 0, before[1][np.arange(requests), np.maximum(plan.choice, 0)], 0).reshape(100, -1).sum(1)
            pacer = BudgetPacer(budget, requests, prices=plan.prices if informed else None, profile=spent if with_profile else None)
            choice = pacer.replay(values, costs)
            given = np.flatnonzero(choice >= 0)
            shares.append(values[given, choice[given]].sum() / best)
        middle, low, high = median_interval(shares)
        print(f"online, {name}: {middle:.4f} [{low:.4f}, {high:.4f}] of hindsight over {days} days, least {min(shares):.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("shoppers", 1_000_000), ("offers", 10), ("threads", 2), ("highs", 20_000), ("rounds", 5), ("days", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    from etalage.marketing import allocate

    values, costs, budgets = problem(a.shoppers, a.offers)
    seconds = []
    for _ in range(a.rounds):
        begin = time.perf_counter()
        found = allocate(values, costs, budgets, num_threads=a.threads)
        seconds.append(time.perf_counter() - begin)
    middle, low, high = median_interval(seconds)
    print(f"{a.shoppers:,} shoppers x {a.offers} offers, 3 budgets, {a.threads} threads: {middle:.2f} s [{low:.2f}, {high:.2f}], gap {found.gap:.1e}")
    values, costs, budgets = problem(a.highs, 5)

    def timed(solve):
        def run():
            begin = time.perf_counter()
            solve()
            return {"seconds": time.perf_counter() - begin}

        return run

    result = alternate(timed(lambda: allocate(values, costs, budgets, num_threads=a.threads)), timed(lambda: highs(values, costs, budgets)), at_least=3, at_most=9)
    found, optimum = allocate(values, costs, budgets), highs(values, costs, budgets)
    print(f"{a.highs * 5:,} variables beside HiGHS: {result['ratio']:.0f} [{result['low']:.0f}, {result['high']:.0f}] times as fast; value {found.value / optimum - 1:+.1e}, "
          f"bound {found.bound / optimum - 1:+.1e} of its optimum")
    hindsight(a.days)


if __name__ == "__main__":
    main()
