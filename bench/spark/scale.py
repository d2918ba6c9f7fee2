# SPDX-License-Identifier: Apache-2.0
"""How etalage.spark grows, measured here, and what that says of a cluster.

    python bench/spark/scale.py [--quick] [--factors 128] [--hosts 20] [--cores 16] [--events 1e10] [--users 1e8] [--items 1e7] [--network 1.25]
                                [--only growth,executors,driver] [--work FOLDER]

Measures interactions() and sweeps of ALS on made-up events, four times the events, users, items, and executors (local-cluster with
1, 2 and 4 processes of one core) one at a time, and what the driver holds for more and more users; prints the exponents of time, the
bytes that blocks and factors have, and from both a sheet for a cluster: --hosts executors of --cores cores with --network GB/s each.
What does not fit is said at the end. --only does a part; --work keeps what was found for the next call.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import etalage
from etalage import spark


def events(folder, count, users, items):
    """Parquet files of events with string keys: who is drawn evenly, what by a power of its rank."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    os.makedirs(folder)
    names = pa.array([f"sku-{i:09d}" for i in range(items)]), pa.array([f"shopper-{u:010d}" for u in range(users)])
    for part in range(8):
        n = count // 8
        who = np.concatenate([rng.integers(0, users, n - min(n, users // 8)), np.arange(part, users, 8)[:min(n, users // 8)]])  # everybody once
        what = (items * rng.random(n) ** 2.5).astype(np.int64)
        pq.write_table(pa.table({"user": names[1].take(pa.array(who)), "item": names[0].take(pa.array(what)), "value": rng.random(n).astype(np.float32)}),
                       f"{folder}/{part}.parquet")


def session(master):
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    paths = os.pathsep.join([str(Path(etalage.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    made = (SparkSession.builder.master(master).appName("scale").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.memory", "2g").config("spark.executorEnv.PYTHONPATH", paths).config("spark.driver.host", "127.0.0.1").getOrCreate())
    made.sparkContext.setLogLevel("OFF")
    return made


def size(folder):
    return sum(os.path.getsize(os.path.join(at, n)) for at, _, names in os.walk(folder) for n in names)


class Run:
    def __init__(self, made, work, factors):
        self.session, self.work, self.factors = made, work, factors

    def __call__(self, count, users, items):
        """{blocks: seconds of interactions(), sweep: of one sweep, pairs, bytes} of the quicker of two runs."""
        lake = f"{self.work}/lake-{count}-{users}-{items}"
        if not os.path.exists(lake):
            shutil.rmtree(lake + ".new", ignore_errors=True)
            events(lake + ".new", count, users, items)
            os.rename(lake + ".new", lake)
        frame, out = self.session.read.parquet(lake), {"blocks": np.inf, "sweep": np.inf}
        for attempt in range(2):
            begin = time.perf_counter()
            blocks = spark.interactions(frame, value="value", folder=f"{self.work}/blocks", overwrite=True)
            out["blocks"] = min(out["blocks"], time.perf_counter() - begin)
            took = []
            for sweeps in (1, 5):
                fit = tempfile.mkdtemp(dir=self.work)
                begin = time.perf_counter()
                spark.ALS(factors=self.factors, iterations=sweeps, regularization=1.0, alpha=1.0, unobserved_weight=0.1, nu=0.0, seed=1,
                          compute_objective=False).fit(blocks, session=self.session, folder=fit)
                took.append(time.perf_counter() - begin)
                shutil.rmtree(fit)
            out["sweep"] = min(out["sweep"], max(1e-3, (took[1] - took[0]) / 4))
        return {**out, "pairs": blocks.nnz, "bytes": size(blocks.path), "users": blocks.num_users, "items": blocks.num_items}


def growth(args, work):
    """(base, four times the events) as Run gives them; prints the exponents."""
    base, names = args.base, ("events", "users", "items")
    made = session("local[2]")
    run = Run(made, work, args.factors)
    run(50_000, 2_000, 500)  # a first run of everything
    first = run(*base.tolist())
    print(f"\n{base[0]:,} events, {base[1]:,} users, {base[2]:,} items, {args.factors} factors, local[2], load {os.getloadavg()[0]:.1f}: blocks "
          f"{first['blocks']:.2f} s, a sweep {first['sweep']:.3f} s, {first['bytes'] / first['pairs']:.1f} bytes a pair in both orders and keys")
    print(f"{'four times':12} {'blocks':>9} {'exponent':>9} {'a sweep':>9} {'exponent':>9}")
    for n, name in enumerate(names):
        more = base.copy()
        more[n] *= 4
        got = run(*more.tolist())
        exponent = {k: np.log(got[k] / first[k]) / np.log(4) for k in ("blocks", "sweep")}
        print(f"{name:12} {got['blocks']:7.2f} s {exponent['blocks']:9.2f} {got['sweep']:7.3f} s {exponent['sweep']:9.2f}", flush=True)
        if name == "events":
            large = got
    made.stop()
    return first, large


def executors(args, work):
    """Prints seconds with 1, 2 and 4 executors."""
    print(f"\n{'executors':12} {'blocks':>9} {'':9} {'a sweep':>9}")
    for processes in (1, 2, 4):
        made = session(f"local-cluster[{processes},1,1024]")
        got = Run(made, work, args.factors)(*args.base.tolist())
        print(f"{processes:12} {got['blocks']:7.2f} s {'':9} {got['sweep']:7.3f} s" + ("  (more than the cores of this machine)" if processes > os.cpu_count() else ""), flush=True)
        made.stop()


def driver(args, work):
    """Prints what the driver holds while it trains, writes everybody's lists and profiles and measures, for more and more users:
    Python's peak, and the JVM's heap after a collection. Executors are processes of their own."""
    import datetime
    import tracemalloc

    from pyspark.sql import functions as F

    made = session("local-cluster[1,1,1024]")
    print(f"\n{'users':>12} {'Python, peak':>14} {'JVM, after':>14}")
    for users in (1000, *(int(args.base[1]) // n for n in (16, 4, 1))):  # the first imports and caches
        lake = f"{work}/lake-driver-{users}"
        if not os.path.exists(lake):
            shutil.rmtree(lake + ".new", ignore_errors=True)
            events(lake + ".new", 4 * users, users, 500)
            os.rename(lake + ".new", lake)
        frame = made.read.parquet(lake).withColumn("time", F.lit(datetime.datetime(2026, 1, 1)))
        out = tempfile.mkdtemp(dir=work)
        tracemalloc.start()
        spark.ALS(factors=16, iterations=2, seed=1).fit(frame, folder=f"{out}/fit")
        path = f"{out}/fit/model.etalage"
        spark.recommend(made, path, k=5, out=f"{out}/lists")
        spark.evaluate(made, path, frame.select("user", "item"), 5, check_fit=False, filter_already_liked_items=False)
        spark.profiles(frame, out=f"{out}/profiles")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        runtime = made._jvm.java.lang.Runtime.getRuntime()
        runtime.gc()
        print(f"{users:12,} {peak / 1e6:11.1f} MB {(runtime.totalMemory() - runtime.freeMemory()) / 1e6:11.1f} MB", flush=True)
        shutil.rmtree(out)
    made.stop()


def sheet(args, first, large):
    """Seconds and bytes at args' size from the unit costs here, those of a core; two cores were at work."""
    cores, f, hosts = 2, args.factors, args.hosts
    pair = cores * (large["sweep"] - first["sweep"]) / (large["pairs"] - first["pairs"])  # core seconds a pair and sweep
    row = max(0.0, cores * first["sweep"] - pair * first["pairs"]) / (first["users"] + first["items"])
    event = cores * large["blocks"] / (4 * args.base_events)
    pairs, users, items = args.events * large["pairs"] / (4 * args.base_events), args.users, args.items
    compute = (pair * pairs + row * (users + items)) / (hosts * args.cores)
    users_bytes, items_bytes = 4 * f * users, 4 * f * items
    network = (users_bytes + items_bytes) / (args.network * 1e9)
    print(f"""
{hosts} executors of {args.cores} cores, {args.network:g} GB/s each; {args.events:.0e} events, {users:.0e} users, {items:.0e} items, {f} factors
(seconds and pairs by the unit costs above: {pair * 1e9:.0f} ns a pair, {row * 1e6:.2f} us a row and sweep, {event * 1e9:.0f} ns an event, of one core)
  pairs of one user and item            {pairs:.1e}; blocks of rows {large['bytes'] / large['pairs'] * pairs / 1e12:.2f} TB in the shared folder
  events to blocks                      {event * args.events / (hosts * args.cores):8.0f} s of all cores; codes written and read once {20 * 2 * args.events / 1e12:.2f} TB
  a sweep, kernels                      {compute:8.0f} s
  a sweep, factors read by each host    {(users_bytes + items_bytes) / 1e9:8.0f} GB, {network:.0f} s: {'the network' if network > compute else 'the kernels'} limit{'s' if network > compute else ''}
  a sweep, all hosts                    {hosts * (users_bytes + items_bytes) / 1e12:8.2f} TB read from the shared folder, {(users_bytes + items_bytes) / 1e12:.2f} TB written
  hosts where network and kernels meet  {max(1, int(compute * hosts / network)):8d}
  driver                                a line for each of {max(1, int(args.events / 2**22)):,} files of events and {-(-int(users) // 65536) - (-int(items) // 65536):,} blocks
What breaks first: the model's file is made by one task: {(users_bytes + items_bytes) / 1e9:.0f} GB of factors, {8 * pairs / 1e9:.0f} GB of rows (without them with
keep_history=False) and the keys of {users:.0e} users as objects, about {users * 80 / 1e9:.0f} GB, on one host. Then a shared folder below
{hosts * args.network:.0f} GB/s. A block gathers up to {min(1.0, 65536 * pairs / users / items) * items_bytes / 1e9:.1f} GB of the items' factors, which each host's page cache holds once.""")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true")
    shop = {"factors": 128, "hosts": 20, "cores": 16, "events": 1e10, "users": 1e8, "items": 1e7, "network": 1.25}
    for name, default in shop.items():
        p.add_argument(f"--{name}", type=type(default), default=default)
    p.add_argument("--only", default="growth,executors,driver")
    p.add_argument("--work", help="a folder that keeps what is measured on, and what was found")
    args = p.parse_args()
    args.base = np.array([400_000, 20_000, 5_000] if args.quick else [1_600_000, 80_000, 20_000])
    args.base_events = int(args.base[0])
    work = os.path.abspath(args.work) if args.work else tempfile.mkdtemp(prefix="scale-spark-")
    kept = Path(work) / f"growth-{args.base_events}-{args.factors}.json"
    try:
        os.makedirs(work, exist_ok=True)
        for name in args.only.split(","):
            found = {"growth": growth, "executors": executors, "driver": driver}[name](args, work)
            if name == "growth":
                kept.write_text(json.dumps(found))
        if kept.exists():
            sheet(args, *json.loads(kept.read_text()))
    finally:
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
