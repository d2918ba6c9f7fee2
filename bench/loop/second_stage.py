# SPDX-License-Identifier: Apache-2.0
"""What a learned second stage costs an engine: recommend() with and without it, both in one run, request after request.

    python bench/loop/second_stage.py prepare FOLDER [--products 1000000] [--shoppers 20000]     minutes
    python bench/loop/second_stage.py run FOLDER [--requests 3000]

A made-up shop of groups of products; ALS of 128 factors proposes 300 candidates by its index, the ranker is up to 100 trees of at most 31 leaves on
top of the linear one, over every feature that it has for two sources. One thread, known shoppers, k = 20, what is seen is left out. Times are of the
Python call and hold its conversion; the ranker's own part is the difference of the pairs.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import numpy as np

import etalage
from etalage.models import ALS, LearnedRanker, Popularity
from etalage.serving import Engine, Snapshot

MIX = {"standard": {"sources": {"als": 300}}}


def prepare(folder, products, shoppers):
    rng = np.random.default_rng(0)
    groups = 200
    users = np.repeat(np.arange(shoppers), 12)
    # Two thirds of a shopper's events lie in the groups of their taste; the first products of a group are bought most.
    taste = rng.integers(0, groups, (shoppers, 3))
    group = np.where(rng.random(len(users)) < 0.67, taste[users, rng.integers(0, 3, len(users))], rng.integers(0, groups, len(users)))
    rank = (products // groups * rng.random(len(users)) ** 4).astype(np.int64)
    # Every product is in the catalogue: one event each, of anybody, long before.
    log = etalage.EventLog.from_frame(
        {"user": np.concatenate([rng.integers(0, shoppers, products), users]), "item": np.concatenate([np.arange(products), rank * groups + group]),
         "time": np.concatenate([np.full(products, 1_600_000_000_000), 1_700_000_000_000 + rng.integers(0, 30 * 86_400_000, len(users))])},
        user="user", item="item", time="time", time_unit="ms")
    data = log.interactions()
    began = time.perf_counter()
    models = {"als": ALS(factors=128, iterations=1, regularization=0.01, alpha=1.0, unobserved_weight=0.1, compute_objective=False).fit(data)}
    models["als"].build_index("ivf")
    print(f"factors and index after {time.perf_counter() - began:.0f} s", flush=True)
    sources = [("als", ALS(factors=16, iterations=1, regularization=0.01, alpha=1.0, unobserved_weight=0.1, compute_objective=False)), ("popularity", Popularity())]
    ranker = LearnedRanker(sources, candidates=100, num_trees=100, num_leaves=31, min_rows_in_leaf=20, max_lists=2000, max_negatives=50).fit(log)
    print(f"ranker after {time.perf_counter() - began:.0f} s", flush=True)
    for name, stage in (("plain", None), ("learned", ranker)):
        Snapshot(models, ranker=stage, mix=MIX).save(pathlib.Path(folder) / f"{name}.snapshot")
    print(f"saved after {time.perf_counter() - began:.0f} s", flush=True)


def run(folder, requests, shoppers):
    engines = {}
    for name in ("plain", "learned"):
        engines[name] = Engine()
        engines[name].publish(Snapshot.load(pathlib.Path(folder) / f"{name}.snapshot"))
    rng = np.random.default_rng(1)
    users = rng.integers(0, shoppers, requests)
    took = {name: [] for name in engines}
    for n, user in enumerate(users):
        for name in (("plain", "learned"), ("learned", "plain"))[n % 2]:
            began = time.perf_counter()
            engines[name].recommend(int(user), k=20)
            if n >= 100:
                took[name].append(1e3 * (time.perf_counter() - began))
    print("| engine | p50 ms | p99 ms |\n|---|---|---|")
    for name, t in took.items():
        print(f"| {name} | {np.median(t):.3f} | {np.quantile(t, 0.99):.3f} |")
    print(f"\nthe stage: {np.median(np.subtract(took['learned'], took['plain'])):.3f} ms (median of pairs)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "run"))
    parser.add_argument("folder")
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--shoppers", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=3000)
    args = parser.parse_args()
    if args.what == "prepare":
        pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
        prepare(args.folder, args.products, args.shoppers)
    else:
        run(args.folder, args.requests, args.shoppers)
