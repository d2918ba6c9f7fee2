# SPDX-License-Identifier: Apache-2.0
"""Quality of ALS on Gowalla (the LightGCN split): Recall@20 and NDCG@20, whole catalogue ranked, training items masked.

    python bench/quality/gowalla_als.py [--data ../shared/data] [--factors 128 256] [--solvers cg subspace cholesky]

Settings are chosen without the test part: the last fifth of each row of train is held out (rows keep an order and the
test part continues them; the published random cut misleads), every setting of a small grid is fitted on the rest, and the
best sum of both metrics wins. Then one fit on train + valid a solver, measured once on test.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import os
import pathlib
import time

import numpy as np
import scipy.sparse as sp

import etalage

ITERATIONS = 14
UNOBSERVED_WEIGHTS = (0.01, 0.02, 0.04)
REGULARIZATIONS = (0.0015, 0.003, 0.005)
FLOORS = {128: (0.163, 0.136), 256: (0.172, 0.142)}
K = 20


def read_rows(path: pathlib.Path) -> dict[int, list[int]]:
    with gzip.open(path, "rt") as lines:
        parts = (line.split() for line in lines)
        return {int(p[0]): [int(i) for i in p[1:]] for p in parts if p}


def to_csr(rows: dict[int, list[int]], shape: tuple[int, int]) -> sp.csr_matrix:
    users = np.repeat(list(rows), [len(r) for r in rows.values()])
    items = np.fromiter(itertools.chain.from_iterable(rows.values()), np.int32)
    matrix = sp.csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=shape)
    matrix.data[:] = 1
    return matrix


def model(factors: int, unobserved_weight: float, regularization: float, solver: str, num_threads: int):
    return etalage.models.ALS(factors=factors, regularization=regularization, alpha=unobserved_weight,
                              unobserved_weight=unobserved_weight, nu=1.0, iterations=ITERATIONS, solver=solver,
                              compute_objective=False, num_threads=num_threads)


def measure(m, train: sp.csr_matrix, test: sp.csr_matrix) -> tuple[float, float, float]:
    begin = time.perf_counter()
    m.fit(etalage.Interactions.from_csr(train))
    seconds = time.perf_counter() - begin
    r = etalage.evaluation.evaluate(m, train, test, k=(K,), metrics=("recall", "ndcg"))
    return r[f"recall@{K}"], r[f"ndcg@{K}"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("ETALAGE_DATA", root.parent / "shared" / "data"))
    parser.add_argument("--factors", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--solvers", nargs="+", default=["cg", "subspace", "cholesky"])
    parser.add_argument("--num-threads", type=int, default=0)
    args = parser.parse_args()
    folder = pathlib.Path(args.data) / "gowalla"
    if not (folder / "train.txt.gz").exists():
        print(f"SKIPPED: no Gowalla data in {folder}")
        return

    train, valid, test = (read_rows(folder / f"{part}.txt.gz") for part in ("train", "valid", "test"))
    users = 1 + max(max(train), max(valid), max(test))
    items = 1 + max(max(r, default=0) for part in (train, valid, test) for r in part.values())
    shape = (users, items)
    head = to_csr({u: r[: len(r) - len(r) // 5] for u, r in train.items()}, shape)
    tail = to_csr({u: r[len(r) - len(r) // 5:] for u, r in train.items()}, shape)
    everything = to_csr({u: train.get(u, []) + valid.get(u, []) for u in range(users)}, shape)
    held_out = to_csr(test, shape)

    rows = []
    for factors in args.factors:
        print(f"\n{factors} factors, chosen on the last fifth of each row of train "
              f"(nu 1, alpha = unobserved_weight, {ITERATIONS} iterations, cg)")
        print(f"{'unobserved_weight':>18} {'regularization':>15} {'recall@20':>10} {'ndcg@20':>9}")
        best = None
        for weight, regularization in itertools.product(UNOBSERVED_WEIGHTS, REGULARIZATIONS):
            recall, ndcg, _ = measure(model(factors, weight, regularization, "cg", args.num_threads), head, tail)
            print(f"{weight:>18} {regularization:>15} {recall:>10.4f} {ndcg:>9.4f}", flush=True)
            best = max(best or (0.0,), (recall + ndcg, weight, regularization))
        for solver in args.solvers:
            recall, ndcg, seconds = measure(model(factors, best[1], best[2], solver, args.num_threads), everything, held_out)
            rows.append((factors, solver, best[1], best[2], recall, ndcg, seconds))

    print("\ntest part, fitted on train + valid")
    print(f"{'factors':>8} {'solver':>9} {'unobserved_weight':>18} {'regularization':>15} {'recall@20':>10} {'ndcg@20':>9} "
          f"{'fit s':>7}  floor")
    for factors, solver, weight, regularization, recall, ndcg, seconds in rows:
        floor = FLOORS.get(factors)
        verdict = "" if floor is None else f"{floor[0]} / {floor[1]} " + (
            "reached" if recall >= floor[0] and ndcg >= floor[1] else "MISSED")
        print(f"{factors:>8} {solver:>9} {weight:>18} {regularization:>15} {recall:>10.4f} {ndcg:>9.4f} {seconds:>7.1f}  {verdict}")


if __name__ == "__main__":
    main()
