# SPDX-License-Identifier: Apache-2.0
"""What the order of tied items is worth, and what it costs to take its expectation (Gowalla).

    python bench/quality/ties.py [--data ../shared/data] [--repeats 3] [--num-threads 0]

For each model: recall@20 by the order of indices, under random renumberings of the items (the model fitted anew), and as
evaluate() has it; the share of lists cut inside a tie; seconds of evaluate() beside those of making the lists and
measuring them as they stand, both in one process, taken in turn, best of the repeats.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time

import numpy as np
import scipy.sparse as sp

import etalage
from etalage.evaluation import evaluate, evaluate_ranking

from datasets import gowalla

K = 20


class Level:
    """Every item has the same score."""

    def fit(self, data):
        users, items = data.shape
        self._model = etalage.models.Vectors(np.ones((users, 1), np.float32), np.ones((items, 1), np.float32))
        return self._model


MODELS = {
    "all equal": Level,
    "Popularity": etalage.models.Popularity,
    "ItemKNN": lambda: etalage.models.ItemKNN(num_neighbors=100),
    "ALS": lambda: etalage.models.ALS(factors=64, iterations=4, alpha=1.0),
}


def as_it_stands(model, train, test, num_threads: int):
    users = np.flatnonzero(np.diff(test.indptr)).astype(np.int32)
    items, _ = model.recommend(users, train[users], k=K)
    return evaluate_ranking(items, test, users=users, train=train, k=K, metrics=("recall", "ndcg"), num_threads=num_threads)


def main() -> None:
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", here.parent / "shared" / "data"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--renumberings", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--num-threads", type=int, default=0)
    args = parser.parse_args()
    data = gowalla(args.data)
    train, test = data["all"], data["test"]
    random = np.random.default_rng(1)
    print(f"{'model':12} {'by index':>9} {'renumbered':>20} {'expected':>9} {'tied@20':>8} {'s as it stands':>15} {'s evaluate':>11} {'ratio':>6}")
    for name in args.models:
        model = MODELS[name]().fit(train)
        seconds = {"stands": [], "evaluate": []}
        for _ in range(args.repeats):
            started = time.perf_counter()
            stands = as_it_stands(model, train, test, args.num_threads)
            seconds["stands"].append(time.perf_counter() - started)
            started = time.perf_counter()
            r = evaluate(model, train, test, k=K, metrics=("recall", "ndcg"), num_threads=args.num_threads)
            seconds["evaluate"].append(time.perf_counter() - started)
        renumbered = []
        for _ in range(args.renumberings):
            order = random.permutation(train.shape[1])
            a, b = (sp.csr_matrix(m[:, order]) for m in (train, test))
            renumbered.append(as_it_stands(MODELS[name]().fit(a), a, b, args.num_threads)["recall@20"])
        before, after = min(seconds["stands"]), min(seconds["evaluate"])
        print(f"{name:12} {stands['recall@20']:9.4f} {' '.join(f'{x:.4f}' for x in renumbered):>20} {r['recall@20']:9.4f} "
              f"{r['tied@20']:8.4f} {before:15.3f} {after:11.3f} {after / before:6.2f}", flush=True)


if __name__ == "__main__":
    main()
