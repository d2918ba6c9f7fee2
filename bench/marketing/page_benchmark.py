# SPDX-License-Identifier: Apache-2.0
"""Time and gap of whole pages: 20 rows of 12 places from 20 x 200 candidates, given and found among a million products.

    python bench/marketing/page_benchmark.py [--pages 300] [--products 2000] [--catalogue 1000000] [--factors 32] [--visits 30]

Prints p50 and p99 of the composition (the compiled call, candidates given as arrays) and the gap, for both click models, without limits, with
maxima and with minima for thirty brands; then the whole call from Python. Last the page with its retrieval, 200 candidates a row by exact search over all
products, beside a page of one row, in turns: seconds and the ratio. Times on a machine that does other things are upper limits; "cpu" is of the thread alone.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from etalage import _core
from etalage.marketing import Page

LIMITS = {"no limits": {}, "30 maxima": {"at_most": {"brand": 12}}, "30 minima": {"at_least": {("brand", b): 4 for b in range(30)}}}


def composition(args):
    inner = []
    compose = _core.compose_page

    def timed(*given):
        begin = time.thread_time()
        try:
            return compose(*given)
        finally:
            inner.append(time.thread_time() - begin)

    brand = {i: i % 30 for i in range(args.products)}
    for model in ("position", "cascade"):
        for name, limits in LIMITS.items():
            page, gaps, outer = Page([12] * 20, click_model=model, labels={"brand": brand}, **limits), [], []
            inner.clear()
            for seed in range(args.pages):
                rng = np.random.default_rng(seed)
                liked = rng.lognormal(0, 0.7, args.products)
                rows = {}
                for r in range(20):
                    items = rng.choice(args.products, 200, replace=False)
                    rows[f"row {r}"] = (items, np.minimum(0.9, 0.02 * liked[items] * rng.lognormal(0, 0.7, 200)))
                _core.compose_page = timed
                begin = time.perf_counter()
                gaps.append(page.compose(rows).gap)
                outer.append(time.perf_counter() - begin)
                _core.compose_page = compose
            p50, p99 = np.quantile(inner, [0.5, 0.99]) * 1e3
            print(f"{model:<9}{name:<10} composition cpu p50 {p50:6.2f} ms  p99 {p99:6.2f} ms   gap median {np.median(gaps):.4f}  "
                  f"largest {max(gaps):.4f}   from Python p50 {1e3 * np.median(outer):6.2f} ms")


def with_retrieval(args):
    from etalage.models import Vectors

    rng = np.random.default_rng(0)
    shoppers = rng.standard_normal((1000, args.factors), dtype=np.float32)
    model = Vectors(shoppers, rng.standard_normal((args.catalogue, args.factors), dtype=np.float32))
    pages = {1: Page([12]), 20: Page([12] * 20)}

    def visit(rows, seed):
        wanted = shoppers[np.random.default_rng(seed).integers(0, len(shoppers), rows)]  # a taste, or what a row is about
        begin = time.perf_counter()
        items, scores = model.recommend_vectors(wanted, 200)
        worth = 0.9 / (1 + np.exp(-scores / args.factors**0.5))
        pages[rows].compose({f"row {r}": (items[r], worth[r]) for r in range(rows)})
        return time.perf_counter() - begin

    seconds = {rows: [] for rows in pages}
    for seed in range(args.visits + 2):
        for rows in pages:
            took = visit(rows, seed)
            if seed > 1:  # the first two warm up
                seconds[rows].append(took)
    one, all_rows = (np.array(seconds[rows]) for rows in (1, 20))
    low, middle, high = np.quantile(all_rows / one, [0.25, 0.5, 0.75])
    print(f"with retrieval among {args.catalogue:,} products: one row p50 {1e3 * np.median(one):.1f} ms, 20 rows p50 {1e3 * np.median(all_rows):.1f} ms, "
          f"{middle:.2f} [{low:.2f}, {high:.2f}] of one row (quartiles of {args.visits} turns)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("pages", 300), ("products", 2000), ("catalogue", 1_000_000), ("factors", 32), ("visits", 30)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    composition(args)
    with_retrieval(args)


if __name__ == "__main__":
    main()
