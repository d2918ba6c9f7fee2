# SPDX-License-Identifier: Apache-2.0
"""Time and gap of whole pages: 20 rows of 12 places from 20 x 200 given candidates.

    python bench/marketing/page_benchmark.py [--pages 300] [--products 2000]

Prints p50 and p99 of the composition (the compiled call, candidates given as arrays) and the gap, for both click models, with and without
limits by brand; then the whole call from Python. Times on a machine that does other things are upper limits.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from etalage import _core
from etalage.marketing import Page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--products", type=int, default=2000)
    args = parser.parse_args()
    inner = []
    compose = _core.compose_page

    def timed(*given):
        begin = time.perf_counter()
        try:
            return compose(*given)
        finally:
            inner.append(time.perf_counter() - begin)

    brand = {i: i % 30 for i in range(args.products)}
    for model in ("position", "cascade"):
        for limits in ({}, {"labels": {"brand": brand}, "at_most": {"brand": 12}}):
            page, gaps, outer = Page([12] * 20, click_model=model, **limits), [], []
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
            print(f"{model:<9}{'limits' if limits else 'plain':<7} composition p50 {p50:6.2f} ms  p99 {p99:6.2f} ms   gap median {np.median(gaps):.4f}  "
                  f"largest {max(gaps):.4f}   from Python p50 {1e3 * np.median(outer):6.2f} ms")


if __name__ == "__main__":
    main()
