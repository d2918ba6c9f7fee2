# SPDX-License-Identifier: Apache-2.0
"""The audience of one product among many shoppers, beside one exact top-k pass over the same factors, in one process.

    python bench/marketing/audience_benchmark.py [--users 1000000] [--factors 64] [-k 1000] [--repeats 7]

Prints the median of each and the median of their ratios, round by round: a matrix product with a partition in NumPy, and the exact search
of an ItemIndex that holds the shoppers. Then the most memory that the audience took beyond the model.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import tracemalloc

import numpy as np

import etalage
from etalage.marketing import audience


def timed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def own_memory():
    """Megabytes of this process that no file holds."""
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))


def write(path, users, factors):
    rng = np.random.default_rng(0)
    etalage.models.Vectors(rng.standard_normal((users, factors), dtype=np.float32), rng.standard_normal((10, factors), dtype=np.float32)).save(path)


def streamed(args):
    maker = multiprocessing.get_context("spawn").Process(target=write, args=(args.file, args.users, args.factors))
    maker.start()
    maker.join()
    try:
        if maker.exitcode:
            raise SystemExit(f"the model could not be written to {args.file}")
        begin = time.perf_counter()
        model = etalage.load(args.file)
        opened, before = time.perf_counter() - begin, own_memory()
        seconds = [timed(lambda: audience(model, item=7, k=args.k)) for _ in range(args.repeats)]
        most = max(own_memory(), before)
        tracemalloc.start()
        audience(model, item=7, k=args.k)
        print(f"{args.users:,} shoppers x {args.factors} in a file of {os.path.getsize(args.file) / 2**20:,.0f} MB: opened in {opened:.2f} s, audience of one product "
              f"{np.median(seconds):.2f} s (first {seconds[0]:.2f}), own memory {before:.0f} MB before, {most:.0f} MB after, at most "
              f"{tracemalloc.get_traced_memory()[1] / 2**20:.0f} MB of arrays during")
    finally:
        if os.path.exists(args.file):
            os.remove(args.file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("-k", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-index", action="store_true", help="without the second copy of the factors that an index needs")
    parser.add_argument("--file", help="where the model may lie for the streamed audience")
    args = parser.parse_args()
    if args.file:
        streamed(args)
        return
    rng = np.random.default_rng(0)
    users = rng.standard_normal((args.users, args.factors), dtype=np.float32)
    items = rng.standard_normal((10, args.factors), dtype=np.float32)
    model = etalage.models.Vectors(users, items)
    del users
    factors = model.user_factors

    def product():
        scores = factors @ items[7]
        top = np.argpartition(-scores, args.k)[: args.k]
        return top[np.argsort(-scores[top], kind="stable")]

    sides = {"audience": lambda: audience(model, item=7, k=args.k), "NumPy product and partition": product}
    if not args.no_index:
        index = etalage.retrieval.ItemIndex(args.factors, "dot", "exact")
        index.add(factors, np.arange(args.users))
        sides["exact index over shoppers"] = lambda: index.search(items[7:8], args.k)
    times = {name: [] for name in sides}
    for turn in range(args.repeats + 1):
        for name, call in sides.items():
            seconds = timed(call)
            if turn:  # the first round warms up
                times[name].append(seconds)
    for name, seconds in times.items():
        ratio = np.median(np.array(times["audience"]) / np.array(seconds))
        print(f"{name:<28} {1e3 * np.median(seconds):8.1f} ms   audience takes {ratio:.2f} of it")
    tracemalloc.start()
    audience(model, item=7, k=args.k)
    print(f"most memory beyond the model {tracemalloc.get_traced_memory()[1] / args.users:.1f} bytes a shopper")


if __name__ == "__main__":
    main()
