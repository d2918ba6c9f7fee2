# SPDX-License-Identifier: Apache-2.0
"""Search of this build beside that of another one: the same model, the same questions, in turn.

    PYTHONPATH=build/release/python python bench/peers/build_benchmark.py --against PATH [--rows one ...] [--rounds 15]

PATH is the folder with the other build's Python package. One thread. Factors are those of ALS fitted to the synthetic store of
a million products (128 factors), and made-up rows of one length; they are kept in --data from run to run.

    one          one known user's list of 10 (20, 100), no index: the median of 40 users' times
    seen         the same with 50 items of the user's left out, which are looked up
    gowalla      one user's list from Gowalla's factors times 25, each a little moved (--gowalla FOLDER with items.npy, users.npy)
    equal        one user's list where all rows have one length: nothing can be left out
    few, batch   16 users at once, 2,000 users at once
    live         one list after each change of an item's row
    engine       median answer of `engine_benchmark run`: --engine BINARY FILE is this build's program with the file that it
                 prepared, --against-engine BINARY FILE the other's

Ratio = that build's time / this build's: above 1 this one is faster; the median of the rounds with its 95 % interval. A row ends
the run where the two sides do not answer with the same bits.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from pairing import alternate  # noqa: E402
from protocol import Worker, serve, task  # noqa: E402

USERS = 40


def digest(answers) -> str:
    sha = hashlib.sha256()
    for ids, scores in answers:
        sha.update(np.ascontiguousarray(ids).tobytes() + np.ascontiguousarray(scores).tobytes())
    return sha.hexdigest()


def opened(items, users):
    from etalage.models import Vectors

    return Vectors(np.load(users), np.load(items), num_threads=1)


@task
def one_at_a_time(items, users, k, seen=0, changes=False):
    import scipy.sparse as sp

    model, n = opened(items, users), len(np.load(items, mmap_mode="r"))
    rows = np.load(items, mmap_mode="r")
    rng = np.random.default_rng(5)
    histories = [sp.csr_matrix((np.ones(seen, np.float32), np.sort(rng.permutation(n)[:seen]).astype(np.int32), np.array([0, seen], np.int64)), shape=(1, n))
                 for _ in range(USERS)] if seen else []

    def work():
        times, answers = [], []
        for u in range(USERS):
            if changes:
                item = int(rng.integers(n))
                model.partial_fit_items([item], np.asarray(rows[item : item + 1]) * np.float32(1.01))
            begin = time.perf_counter()
            if seen:
                answers.append(model.recommend(u, histories[u], k=k))
            else:
                answers.append(model.recommend(u, k=k, filter_already_liked_items=False))
            times.append(time.perf_counter() - begin)
        return {"seconds": statistics.median(times), "digest": "" if changes else digest(answers)}

    for _ in range(3):
        work()
    return work


@task
def engine(binary, file, seconds):
    def work():
        out = subprocess.run([binary, "run", file, str(seconds)], capture_output=True, text=True, timeout=200).stdout
        return {"seconds": float(re.search(r"^p50 +([0-9.]+) ms", out, re.MULTILINE)[1]) / 1e3, "digest": ""}

    return work


@task
def together(items, users, k, many):
    model = opened(items, users)

    def work():
        begin = time.perf_counter()
        answer = model.recommend(np.arange(many), k=k, filter_already_liked_items=False)
        return {"seconds": time.perf_counter() - begin, "digest": digest([answer])}

    return work


def store_factors(items: int):
    import etalage

    log = etalage.datasets.synthetic_store(users=items, items=items, events=10 * items).log
    # The settings of engine_benchmark.
    model = etalage.models.ALS(factors=128, iterations=4, alpha=0.02, unobserved_weight=0.02, regularization=2.4 / (0.02 * items), nu=1, compute_objective=False)
    model.fit(log.interactions(duplicates="binary").user_items)
    return np.asarray(model.item_factors), np.asarray(model.user_factors)[np.random.default_rng(1).permutation(items)[:2000]]


def alike(items: int):
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((items, 128), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), rng.standard_normal((2000, 128), dtype=np.float32)


def many_of(folder: Path, items: int):
    rng = np.random.default_rng(3)
    rows, users = np.load(folder / "items.npy"), np.load(folder / "users.npy")
    rows = rows[rng.integers(len(rows), size=items)]
    rows += rng.standard_normal(rows.shape, dtype=np.float32) * (0.3 * np.linalg.norm(rows, axis=1, keepdims=True) / rows.shape[1] ** 0.5).astype(np.float32)
    return rows, users[rng.permutation(len(users))[:2000]]


class Rows:
    def __init__(self, args):
        self.args = args
        self.wrong = False
        Path(args.data).mkdir(parents=True, exist_ok=True)

    def files(self, name, make):
        paths = {side: str(Path(self.args.data) / f"{name}-{self.args.items}-{side}.npy") for side in ("items", "users")}
        if not all(Path(p).exists() for p in paths.values()):
            for path, array in zip(paths.values(), make()):
                np.save(path, np.ascontiguousarray(array, np.float32))
        return paths

    def compare(self, title, theirs=None, **request):
        """theirs: what that side is asked, where it differs."""
        theirs = request if theirs is None else request | theirs
        python = os.environ.get("PYTHONPATH", "")
        sides = [Worker(sys.executable, str(HERE / "build_benchmark.py"), 1, {"PYTHONPATH": path, "ETALAGE_BENCHMARK_WORKER": "1"})
                 for path in (python, str(self.args.against))]
        result = alternate(lambda: sides[0].ask(**request), lambda: sides[1].ask(**theirs), width=0.02, at_least=min(5, self.args.rounds), at_most=self.args.rounds)
        for side in sides:
            side.close()
        if "error" in result:
            print(f"{title:44s} {result['error']}", flush=True)
            self.wrong = True
            return
        ours, other = result["ours"], result["theirs"]
        same = ours["digest"] == other["digest"]
        self.wrong |= not same
        print(f"{title:44s} {ours['seconds'] * 1e3:10.3f} ms {other['seconds'] * 1e3:10.3f} ms  {result['ratio']:7.2f}x [{result['low']:.2f}, {result['high']:.2f}]"
              f"  {('the same bits' if ours['digest'] else '') if same else 'OTHER ANSWERS'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", required=True, help="folder with the other build's Python package")
    parser.add_argument("--rows", nargs="+", default=["one", "seen", "equal", "few", "batch", "live"])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gowalla", type=Path, help="folder with factors to make a million of")
    parser.add_argument("--engine", nargs=2, metavar=("BINARY", "FILE"))
    parser.add_argument("--against-engine", nargs=2, metavar=("BINARY", "FILE"))
    parser.add_argument("--seconds", type=float, default=3, help="of a run of engine_benchmark")
    parser.add_argument("--data", default="build/peers/data")
    parser.add_argument("--prepare", action="store_true", help="make the factors and end")
    args = parser.parse_args()
    rows = Rows(args)
    if "engine" in args.rows and not (args.engine and args.against_engine):
        parser.error("--rows names engine, --engine and --against-engine must be given")
    store = rows.files("store", lambda: store_factors(args.items)) if set(args.rows) - {"equal", "gowalla", "engine"} else None
    flat = rows.files("alike", lambda: alike(args.items)) if "equal" in args.rows else None
    more = rows.files("gowalla", lambda: many_of(args.gowalla, args.items)) if "gowalla" in args.rows else None
    if args.prepare:
        return 0
    size = f"{args.items:,} x 128"
    for row in args.rows:
        if row == "one":
            for k in (10, 20, 100):
                rows.compare(f"one list of {k}, {size}, ALS", task="one_at_a_time", k=k, **store)
        elif row == "seen":
            rows.compare(f"one list of 10, 50 seen, {size}, ALS", task="one_at_a_time", k=10, seen=50, **store)
        elif row == "gowalla":
            rows.compare(f"one list of 10, {size}, Gowalla's", task="one_at_a_time", k=10, **more)
        elif row == "equal":
            rows.compare(f"one list of 10, {size}, one length", task="one_at_a_time", k=10, **flat)
        elif row == "few":
            rows.compare(f"16 lists of 10, {size}, ALS", task="together", k=10, many=16, **store)
        elif row == "batch":
            rows.compare(f"2,000 lists of 10, {size}, ALS", task="together", k=10, many=2000, **store)
        elif row == "live":
            rows.compare(f"one list of 10 after a change, {size}, ALS", task="one_at_a_time", k=10, changes=True, **store)
        elif row == "engine":
            (binary, file), (other, its) = args.engine, args.against_engine
            rows.compare("engine_benchmark, p50 of an answer", {"binary": other, "file": its}, task="engine", binary=binary, file=file, seconds=args.seconds)
        else:
            parser.error(f"--rows names {row}")
    return 1 if rows.wrong else 0


if __name__ == "__main__":
    if os.environ.get("ETALAGE_BENCHMARK_WORKER"):
        serve()
    else:
        sys.exit(main())
