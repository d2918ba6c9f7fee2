# SPDX-License-Identifier: Apache-2.0
"""How cost grows with the work, one size at a time: tables, fitted exponents, log-log plots.

    python bench/scale/run.py [--only events items factors threads threads_large topk graph memory] [--most-events 20e6] [--most-items 1e6]
                              [--plot scale.png] [--out build/scale.json]

Data are generated: items drawn with probability ~ 1 / (rank + 50), users with lengths around the mean. Each time is the best
of the repeats that fit into a few seconds. The exponent is the slope of log cost over log size by least squares over all
sizes. Memory is the highest resident size while the call runs less that before it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import pathlib
import sys
import textwrap
import time

import numpy as np
import pyarrow
import scipy.sparse as sp

import etalage

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from pairing import median_interval  # noqa: E402


def matrix(events: int, users: int, items: int, seed: int = 0) -> sp.csr_matrix:
    """users x items with about `events` pairs, sorted, ones."""
    rng = np.random.default_rng(seed)
    popularity = np.cumsum(1.0 / (np.arange(items) + 50.0))
    who = np.sort(rng.integers(users, size=events, dtype=np.int64))
    what = np.searchsorted(popularity, rng.random(events) * popularity[-1]).clip(max=items - 1)
    rng.shuffle(order := np.arange(items, dtype=np.int64))
    pairs = np.unique(who * items + order[what])
    rows = pairs // items
    indptr = np.zeros(users + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=users), out=indptr[1:])
    return sp.csr_matrix((np.ones(len(pairs), np.float32), (pairs % items).astype(np.int32), indptr), shape=(users, items))


def memory_mb(field: str) -> float:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def best_of(work, seconds: float = 3.0, at_most: int = 5) -> float:
    began, best = time.perf_counter(), math.inf
    for _ in range(at_most):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() - began > seconds:
            break
    return best


def exponent(sizes, costs) -> float:
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


class Report:
    def __init__(self):
        self.series = []

    def add(self, title, size_name, cost_name, rows, note, fit="power"):
        """rows: (size, cost, ...) with further columns for the reader."""
        sizes, costs = [r[0] for r in rows], [r[1] for r in rows]
        print(f"\n{title}\n{size_name:>14} {cost_name:>16}")
        for r in rows:
            print(f"{r[0]:>14,} {r[1]:>16.4g}" + "".join(f"   {x}" for x in r[2:]))
        if fit == "power" and len(rows) > 1:
            found = exponent(sizes, costs)
            text = f"cost ~ size^{found:.2f}; {note}"
        elif fit == "log" and len(rows) > 2:
            b, a = np.polyfit(np.log(sizes), costs, 1)
            left = np.abs(np.polyval([b, a], np.log(sizes)) - costs).max() / np.mean(costs)
            found = [float(a), float(b)]
            text = f"cost = {a:.1f} + {b:.1f} ln n, largest deviation {100 * left:.1f} % of the mean; {note}"
        else:
            found, text = None, note
        print(text, flush=True)
        self.series.append({"title": title, "size": size_name, "cost": cost_name, "rows": [list(r) for r in rows], "fit": found, "text": text})

    def plot(self, path):
        from matplotlib.figure import Figure

        columns = min(3, len(self.series))
        figure = Figure(figsize=(4.2 * columns, 3.4 * -(-len(self.series) // columns)), layout="constrained")
        for at, s in enumerate(self.series, start=1):
            ax = figure.add_subplot(-(-len(self.series) // columns), columns, at)
            sizes, costs = [r[0] for r in s["rows"]], [r[1] for r in s["rows"]]
            ax.plot(sizes, costs, "o-", color="#4477aa")
            ax.set_xscale("log")
            ax.set_xticks(sizes, [f"{x / 1e9:.2g}G" if x >= 1e9 else f"{x / 1e6:.3g}M" if x >= 1e6 else f"{x / 1e3:.3g}k" if x >= 1e3 else str(x) for x in sizes])
            ax.xaxis.set_minor_formatter("")
            if isinstance(s["fit"], list):
                ax.plot(sizes, np.polyval(s["fit"][::-1], np.log(sizes)), "--", color="#999999", label="a + b ln n")
                ax.legend(frameon=False, fontsize=7)
            else:
                ax.set_yscale("log")
            ax.set_title(textwrap.fill(s["title"], 48), fontsize=8)
            ax.set_xlabel(s["size"])
            ax.set_ylabel(s["cost"])
            ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=130)


def als(factors: int, threads: int = 0, sweeps: int = 2, **options):
    return etalage.models.ALS(factors=factors, iterations=sweeps, regularization=0.003, unobserved_weight=0.02, alpha=0.02, nu=1.0,
                              compute_objective=False, num_threads=threads, keep_history=False, **options)


def sweep_seconds(rows, factors, threads=0) -> float:
    """A sweep, from the difference of fits of three and one: start and transposition are not in it."""
    one = best_of(lambda: als(factors, threads, 1).fit(rows), 2, 3)
    three = best_of(lambda: als(factors, threads, 3).fit(rows), 2, 3)
    return max(three - one, 1e-9) / 2


def events(report, args):
    rows = []
    sizes = [n for n in (1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000) if n <= args.most_events]
    for n in sizes:
        m = matrix(n, n // 25, 100_000)
        rows.append((m.nnz, sweep_seconds(m, 64), f"{m.shape[0]:,} users x {m.shape[1]:,} items"))
    report.add("ALS, one sweep of CG, 64 factors, by pairs (users grow along)", "pairs", "seconds", rows, "linear expected")


def items(report, args):
    rows = []
    for n in (n for n in (10_000, 100_000, 1_000_000, 5_000_000) if n <= args.most_items):
        m = matrix(2_000_000, 100_000, n)
        rows.append((n, sweep_seconds(m, 64)))
    report.add("ALS, one sweep of CG, 64 factors, 2 million pairs, by items", "items", "seconds", rows,
               "below 1 expected: pairs and users cost the same whatever the number of items")


def factors(report, args):
    m = matrix(1_000_000, 40_000, 40_000)
    rows = [(f, sweep_seconds(m, f)) for f in (32, 64, 128, 256, 512)]
    report.add("ALS, one sweep of CG, 1 million pairs, by factors", "factors", "seconds", rows,
               "between 1 (pairs) and 2 (Gram products) expected")


def bandwidth(threads: int) -> float:
    """GB/s of a triad over arrays far larger than the caches, in one process a thread."""
    from concurrent.futures import ThreadPoolExecutor

    n = 20_000_000
    arrays = [(np.zeros(n, np.float32), np.ones(n, np.float32), np.ones(n, np.float32)) for _ in range(threads)]

    def triad(three):
        for s in range(0, n, 1 << 16):  # in pieces, so that the intermediate product stays in the cache
            out, x, y = (v[s : s + (1 << 16)] for v in three)
            np.multiply(y, 3.0, out=out)
            np.add(out, x, out=out)

    with ThreadPoolExecutor(threads) as pool:
        return threads * 12e-9 * n / best_of(lambda: list(pool.map(triad, arrays)))


def threads(report, args):
    m = matrix(2_000_000, 80_000, 40_000)
    rng = np.random.default_rng(1)
    users, catalogue = rng.standard_normal((4096, 128), dtype=np.float32), rng.standard_normal((100_000, 128), dtype=np.float32)
    x, queries = clustered(100_000, 96, 4, 1_000), clustered(4_000, 96, 5, 1_000)
    indexes = {}
    for kind in ("hnsw", "ivf"):
        indexes[kind] = etalage.retrieval.ItemIndex(96, metric="cosine", kind=kind)
        indexes[kind].add(x, np.arange(len(x)))
    everyone = np.arange(4096)
    names = np.char.add("user-", rng.integers(200_000, size=2_000_000).astype(str))
    events = pyarrow.table({"user": names, "item": np.char.add("item-", rng.integers(50_000, size=len(names)).astype(str)), "time": np.arange(len(names), dtype=np.int64)})

    def log(n):
        return etalage.EventLog.from_frame(events, user="user", item="item", time="time", time_unit="s", num_threads=n).interactions(num_threads=n)

    work = {
        "ALS, one sweep of CG, 128 factors": lambda n: sweep_seconds(m, 128, n),
        "top-20 of 4,096 users over 100,000 items, 128 factors": lambda n: best_of(
            lambda model=etalage.models.Vectors(users, catalogue, num_threads=n): model.recommend(everyone, k=20, filter_already_liked_items=False)),
        "graph, 4,000 queries, 100,000 x 96": lambda n: best_of(lambda: indexes["hnsw"].search(queries, 10, num_threads=n)),
        "lists, 4,000 queries, 100,000 x 96": lambda n: best_of(lambda: indexes["ivf"].search(queries, 10, num_threads=n)),
        "ItemKNN, 100 neighbours, fit": lambda n: best_of(lambda: etalage.models.ItemKNN(100, num_threads=n).fit(m)),
        "2 million events with string keys to a matrix": lambda n: best_of(lambda: log(n)),
    }
    by_threads(report, args, work)


def threads_large(report, args):
    """What a million pairs are too few for: blocks of BPR and WARP that two threads share, and the Gram matrix of EASE."""
    pairs = int(args.threads_events)
    many, narrow = (etalage.Interactions.from_csr(matrix(pairs, pairs // 25, n)) for n in (100_000, 6_000))
    work = {
        f"EASE, {narrow.nnz:,} pairs of 6,000 items, fit": lambda n: best_of(lambda: etalage.models.EASE(l2=100.0, num_threads=n).fit(narrow), 0),
        f"BPR, {many.nnz:,} pairs, an epoch of 64 factors": lambda n: best_of(
            lambda: etalage.models.BPR(factors=64, epochs=1, compute_objective=False, num_threads=n).fit(many), 0),
        f"WARP, {many.nnz:,} pairs, an epoch of 64 factors": lambda n: best_of(
            lambda: etalage.models.WARP(factors=64, epochs=1, compute_objective=False, num_threads=n).fit(many), 0),
    }
    by_threads(report, args, work)


def by_threads(report, args, work):
    print("\nbandwidth of a triad, GB/s: " + ", ".join(f"{n} thread{'s' * (n > 1)} {bandwidth(n):.1f}" for n in (1, 2)))
    for title, seconds in work.items():
        if args.threads_of and not any(title.startswith(w) for w in args.threads_of):
            continue
        seconds(2)  # pages, caches and the pool of threads are warm
        pairs = [(seconds(1), seconds(2)) for _ in range(args.threads_rounds)]
        ratio, low, high = median_interval([one / two for one, two in pairs])
        one, two = min(one for one, _ in pairs), min(two for _, two in pairs)
        report.add(f"{title}, by threads", "threads", "seconds", [(1, one), (2, two, f"{ratio:.2f} [{low:.2f}, {high:.2f}] times as fast, {len(pairs)} pairs")],
                   "", fit=None)


def topk(report, args):
    rng = np.random.default_rng(2)
    rows = []
    for n in (n for n in (10_000, 100_000, 1_000_000) if n <= args.most_items):
        users = 2048
        model = etalage.models.Vectors(rng.standard_normal((users, 64), dtype=np.float32), rng.standard_normal((n, 64), dtype=np.float32))
        rows.append((users * n, best_of(lambda model=model: model.recommend(np.arange(2048), k=20, filter_already_liked_items=False))))
    report.add("exact top-20, 2,048 users, 64 factors, by users x items", "users x items", "seconds", rows, "linear expected")


def clustered(n: int, dim: int, seed: int, kinds: int):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((kinds, dim), dtype=np.float32)
    return centres[rng.integers(len(centres), size=n)] + 0.5 * rng.standard_normal((n, dim), dtype=np.float32)


def graph(report, args):
    """Distance computations of a graph query where recall@10 is 0.95, between the two ef_search around it. A catalogue grows
    by new kinds of products, a hundred of each, or by more of the same thousand kinds, which then crowd."""
    for label, kinds_of in (("100 items a kind", lambda n: n // 100), ("1,000 kinds", lambda n: 1_000)):
        rows, seconds = [], []
        for n in (n for n in (10_000, 30_000, 100_000, 300_000, 1_000_000) if n <= args.most_items):
            x, queries = clustered(n, 48, 4, kinds_of(n)), clustered(300, 48, 5, kinds_of(n))
            index = etalage.retrieval.ItemIndex(48, metric="cosine", kind="hnsw")
            index.add(x, np.arange(n))
            exact = etalage.retrieval.ItemIndex(48, metric="cosine", kind="exact")
            exact.add(x, np.arange(n))
            truth = exact.search(queries, 10)[0]
            before = None
            for ef in (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256):
                index.ef_search = ef
                found = index.search(queries, 10)[0]
                here = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, truth)]), index.distances_per_query(queries, 10)
                if here[0] >= 0.95:
                    break
                before = here
            counted = here[1] if before is None else float(np.interp(0.95, [before[0], here[0]], [before[1], here[1]]))
            rows.append((n, counted, f"ef {ef}, recall {here[0]:.3f}"))
            seconds.append((n, 1e6 * best_of(lambda index=index: index.search(queries, 10), 1) / len(queries), f"ef {ef}"))
        report.add(f"graph index, 48 dimensions, {label}, distance computations a query at recall@10 of 0.95", "items", "distances", rows,
                   "a + b ln n expected", fit="log")
        report.add(f"the same, {label}, time of a query in a batch", "items", "microseconds", seconds, "caches make it grow faster than the distances")


def memory(report, args):
    """ALS keeps 4 f (users + items) bytes of factors; a fit holds one transposed matrix (8 bytes a pair) beside them."""
    rows = []
    for n in (n for n in (1_000_000, 4_000_000, 16_000_000) if n <= args.most_events):
        m = matrix(n, n // 10, 50_000)
        data = etalage.Interactions.from_csr(m)
        ctypes.CDLL(None).malloc_trim(0)  # else what making the data has left free would hide what the fit takes
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = memory_mb("VmRSS")
        model = als(64, sweeps=1).fit(data)
        peak = memory_mb("VmHWM") - before
        formula = (4 * 64 * sum(m.shape) + 8 * m.nnz + 8 * (m.shape[1] + 1)) / 2**20
        rows.append((m.nnz, peak, f"formula {formula:.0f} MB, {100 * (peak / formula - 1):+.0f} %"))
        del model
    report.add("ALS, 64 factors, memory of a fit beyond the data", "pairs", "MB", rows, "factors + one transposed matrix expected")


PARTS = {f.__name__: f for f in (events, items, factors, threads, threads_large, topk, graph, memory)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--most-events", type=float, default=20e6)
    parser.add_argument("--most-items", type=float, default=1e6)
    parser.add_argument("--threads-events", type=float, default=10e6, help="pairs that EASE, BPR and WARP are fitted on")
    parser.add_argument("--threads-rounds", type=int, default=3, help="pairs of one thread and two")
    parser.add_argument("--threads-of", nargs="+", help="of the rows by threads those whose names begin so: EASE BPR WARP")
    parser.add_argument("--plot")
    parser.add_argument("--out", default="build/scale.json")
    args = parser.parse_args()
    report = Report()
    print("  ".join(f"{k}: {v}" for k, v in etalage.build_info().items()))
    for name in args.only:
        PARTS[name](report, args)
    out = pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report.series, indent=1))
    if args.plot:
        report.plot(args.plot)
        print(f"\n{args.plot}")


if __name__ == "__main__":
    main()
