# SPDX-License-Identifier: Apache-2.0
"""Events to a matrix beside polars and pandas, and a CSV file to typed columns beside polars.

    python bench/peers/events_benchmark.py [--events 10000000] [--users 1000000] [--items 100000] [--threads 2] [--rounds 5]

Matrix: 10 million events with string ids as Arrow columns -> users x items with summed weights and the keys in index order.
polars does the same work in two ways: a lazy group_by on the two strings that sums, or Categorical codes first and a group_by
on those; pandas in two as well: factorize both columns to codes and group the sums by one 64-bit code of the pair, or a groupby
on the two strings (--pandas-strings: slow); etalage: Interactions.from_frame. polars and pandas begin with frames of their own
made of the table, which is not counted; etalage with the table. Every side runs in a process of its own, warm (the first round
is not counted). Against each peer the two sides take turns (pairing.py), so that a busy machine is busy for both; ratios are
those of a pair, their median with its 95 % interval. Peak memory is that of the process, input included, and of the process
without the work.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from pairing import alternate


def make_table(a):
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(7)
    users = rng.integers(0, a.users, a.events)
    # A shop's items: few are seen often.
    items = (a.items * rng.random(a.events) ** 2).astype(np.int64)
    user_words = pa.array([f"user-{i:09d}" for i in range(a.users)])
    item_words = pa.array([f"SKU{i:07d}" for i in range(a.items)])
    return pa.table({"user": user_words.take(pa.array(users)), "item": item_words.take(pa.array(items)),
                     "value": pa.array(rng.integers(1, 5, a.events).astype(np.float32))})


def load(a):
    import pyarrow as pa

    with pa.OSFile(a.data, "rb") as f:
        return pa.ipc.open_file(f).read_all()


def side_etalage(a):
    import etalage

    table = load(a)

    def run():
        d = etalage.Interactions.from_frame(table, value="value", num_threads=a.threads)
        return d.nnz, float(d.user_items.data.sum(dtype="f8"))

    return run


def side_polars_strings(a):
    import polars as pl

    table = load(a)
    frame = pl.from_arrow(table)

    def run():
        out = frame.lazy().group_by("user", "item").agg(pl.col("value").sum()).collect()
        return out.height, float(out["value"].cast(pl.Float64).sum())

    return run


def side_polars_codes(a):
    import polars as pl

    table = load(a)
    frame = pl.from_arrow(table)

    def run():
        coded = frame.lazy().with_columns(pl.col("user").cast(pl.Categorical).to_physical(), pl.col("item").cast(pl.Categorical).to_physical())
        out = coded.group_by("user", "item").agg(pl.col("value").sum()).collect()
        return out.height, float(out["value"].cast(pl.Float64).sum())

    return run


def side_pandas_codes(a):
    import numpy as np
    import pandas as pd

    frame = load(a).to_pandas()

    def run():
        users, user_ids = pd.factorize(frame["user"])
        items, item_ids = pd.factorize(frame["item"])
        pair = users.astype(np.int64) * len(item_ids) + items
        out = frame["value"].groupby(pair, sort=False).sum()
        return len(out), float(out.to_numpy().sum(dtype="f8"))

    return run


def side_pandas_strings(a):
    frame = load(a).to_pandas()

    def run():
        out = frame.groupby(["user", "item"], sort=False)["value"].sum()
        return len(out), float(out.to_numpy().sum(dtype="f8"))

    return run


def side_input_only(a):
    load(a)
    return lambda: (0, 0.0)


def side_etalage_csv(a):
    import etalage

    def run():
        log = etalage.EventLog.from_csv(a.csv, time="time", value="value", num_threads=a.threads)
        return len(log), float(log.values.sum(dtype="f8"))

    return run


def side_polars_csv(a):
    import polars as pl

    def run():
        f = pl.read_csv(a.csv, columns=["user", "item", "time", "value"], try_parse_dates=True, schema_overrides={"value": pl.Float32})
        return f.height, float(f["value"].cast(pl.Float64).sum())

    return run


def worker(a):
    run = globals()["side_" + a.side](a)
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        check = run()
        print(json.dumps({"seconds": time.perf_counter() - begin, "check": check,
                          "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


def compare(a, title, sides):
    environment = dict(os.environ, POLARS_MAX_THREADS=str(a.threads))
    workers = {}
    for side in sides:
        arguments = [sys.executable, __file__, "--side", side, "--threads", str(a.threads), "--data", a.data or "", "--csv", a.csv or ""]
        p = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        if p.stdout.readline().strip() != "ready":
            raise SystemExit(f"{side} failed")
        workers[side] = p
    seconds = {s: [] for s in sides}
    last = {}

    def once(side):
        def run():
            workers[side].stdin.write("go\n")
            workers[side].stdin.flush()
            last[side] = json.loads(workers[side].stdout.readline())
            seconds[side].append(last[side]["seconds"])
            return last[side]

        return run

    ours = sides[0]
    work = [s for s in sides if s != "input_only"]
    ratios = {s: alternate(once(ours), once(s), at_least=a.rounds, at_most=max(a.rounds, a.most_rounds)) for s in work[1:]}
    for s in sides:
        if s not in last:
            once(s)()
    for p in workers.values():
        p.stdin.close()
        p.wait()
    checks = {s: last[s]["check"] for s in work}
    for s in work:
        assert checks[s][0] == checks[ours][0] and abs(checks[s][1] / checks[ours][1] - 1) < 1e-6, checks
    print(f"\n{title}; {a.threads} threads, results equal")
    print(f"{'':16}{'best s':>8}{'median':>9}{'peak MB':>10}   that / etalage, 95 % interval, pairs")
    for s in sides:
        line = f"{s:16}{min(seconds[s]):8.2f}{sorted(seconds[s])[len(seconds[s]) // 2]:9.2f}{last[s]['peak_mb']:10.0f}"
        if s in ratios:
            r = ratios[s]
            line += f"   {r['ratio']:.2f} [{r['low']:.2f}, {r['high']:.2f}] {r['rounds']}"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="pairs against each peer at least")
    parser.add_argument("--most-rounds", type=int, default=25)
    parser.add_argument("--skip-csv", action="store_true")
    parser.add_argument("--sides", nargs="+", default=["etalage", "polars_strings", "polars_codes", "pandas_codes"], help="of the matrix; ours first")
    parser.add_argument("--pandas-strings", action="store_true", help="pandas' groupby on the strings as well")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--csv", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.side:
        return worker(a)
    import pyarrow as pa
    import pyarrow.csv

    with tempfile.TemporaryDirectory() as folder:
        a.data = os.path.join(folder, "events.arrow")
        table = make_table(a)
        with pa.OSFile(a.data, "wb") as f, pa.ipc.new_file(f, table.schema) as out:
            out.write_table(table)
        compare(a, f"{a.events:,} events, {a.users:,} users, {a.items:,} items, strings -> matrix",
                a.sides + ["pandas_strings"] * a.pandas_strings + ["input_only"])
        if not a.skip_csv:
            a.csv = os.path.join(folder, "events.csv")
            times = pa.array(range(a.events), pa.int64()).cast(pa.timestamp("s")).cast(pa.string())
            pa.csv.write_csv(table.append_column("time", times), a.csv)
            del table, times
            print(f"\nfile of {os.path.getsize(a.csv) / 1e6:.0f} MB")
            compare(a, "CSV -> typed columns (etalage also numbers the keys)", ["etalage_csv", "polars_csv"])


if __name__ == "__main__":
    main()
