# SPDX-License-Identifier: Apache-2.0
"""Frequent sets of the groceries data beside rusket's and mlxtend's miners, alternating in one run.

    python bench/marketing/baskets_benchmark.py --peer-python PATH [--support 0.001] [--rounds 7] [--data ../shared/data] [--threads 2]

--peer-python is an interpreter that has rusket 0.1.101 and mlxtend 0.25.0 with pandas. Each side gets what it likes best, already in
memory (ours: a CSR; theirs: a boolean frame) and gives its frame of sets; also ours from lists of labels. Prints the median seconds of
each, the median of its ratios turn by turn with its interval, and fails unless all find the same number of sets.

    python bench/marketing/baskets_benchmark.py --baskets 10000000 [--support 0.01 0.001]

Ours alone, on that many baskets drawn from the groceries with replacement: seconds, and the most memory that the call took beyond the
CSR that it was given (Linux).
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from pairing import median_interval

PEER = """
import json, lzma, sys, time
import numpy as np, pandas as pd
lists = [line.split(",") for line in lzma.open(sys.argv[1], "rt").read().split("\\n") if line]
labels = sorted({i for b in lists for i in b})
at = {i: k for k, i in enumerate(labels)}
hot = np.zeros((len(lists), len(labels)), dtype=bool)
for row, b in enumerate(lists):
    hot[row, [at[i] for i in b]] = True
frame = pd.DataFrame(hot, columns=labels)
import rusket
from mlxtend.frequent_patterns import fpgrowth
calls = {"rusket": lambda s: rusket.mine(frame, min_support=s, use_colnames=True), "mlxtend": lambda s: fpgrowth(frame, min_support=s, use_colnames=True)}
for line in sys.stdin:
    name, support = json.loads(line)
    start = time.perf_counter()
    found = calls[name](support)
    print(json.dumps([time.perf_counter() - start, len(found)]), flush=True)
"""


def drawn(lists, labels, baskets):
    """A CSR of baskets drawn with replacement."""
    import numpy as np
    import scipy.sparse as sp

    lengths = np.array([len(b) for b in lists])
    begins = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.array([labels[i] for b in lists for i in b], dtype=np.int32)
    pick = np.random.default_rng(0).integers(0, len(lists), baskets)
    offsets = np.concatenate([[0], np.cumsum(lengths[pick])]).astype(np.int64)
    items = np.empty(offsets[-1], dtype=np.int32)
    for begin in range(0, baskets, 100_000):
        part, first = pick[begin:begin + 100_000], offsets[begin]
        within = offsets[begin:begin + len(part)] - first
        total = int(offsets[begin + len(part)] - first)
        items[first:first + total] = flat[np.repeat(begins[part] - within, lengths[part]) + np.arange(total)]
    return sp.csr_matrix((np.ones(len(items), np.int8), items, offsets), shape=(baskets, len(labels)))


def resident(field):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(field))


def large(lists, labels, args) -> int:
    from etalage.marketing import baskets

    csr = drawn(lists, labels, args.baskets)
    for support in args.support:
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")  # the peak starts anew
        before, start = resident("VmRSS"), time.perf_counter()
        found = baskets.frequent_sets(csr, support, num_threads=args.threads)
        took = time.perf_counter() - start
        print(f"{args.baskets:,} baskets, {csr.nnz:,} items, support {support}: {took:.2f} s with {args.threads} threads, {len(found)} sets, "
              f"{resident('VmHWM') - before:.0f} MB beyond the CSR", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python")
    parser.add_argument("--support", type=float, nargs="+", default=[0.001])
    parser.add_argument("--baskets", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", str(Path(__file__).resolve().parents[2] / "../shared/data")))
    args = parser.parse_args()
    import numpy as np
    import scipy.sparse as sp

    from etalage.marketing import baskets

    path = Path(args.data) / "groceries" / "groceries_baskets.csv.xz"
    lists = [line.split(",") for line in lzma.open(path, "rt").read().split("\n") if line]
    labels = {i: k for k, i in enumerate(sorted({i for b in lists for i in b}))}
    rows = np.repeat(np.arange(len(lists)), [len(b) for b in lists])
    if args.baskets:
        return large(lists, labels, args)
    if not args.peer_python or len(args.support) > 1:
        parser.error("--peer-python and one --support are needed beside other miners")
    args.support = args.support[0]
    csr = sp.csr_matrix((np.ones(len(rows)), (rows, [labels[i] for b in lists for i in b])))

    peer = subprocess.Popen([args.peer_python, "-W", "ignore", "-c", PEER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(name):
        peer.stdin.write(json.dumps([name, args.support]) + "\n")
        peer.stdin.flush()
        return json.loads(peer.stdout.readline())

    def ours(data):
        start = time.perf_counter()
        found = baskets.frequent_sets(data, args.support, num_threads=args.threads)
        return time.perf_counter() - start, len(found)

    sides = {"etalage, CSR": lambda: ours(csr), "etalage, lists": lambda: ours(lists), "rusket": lambda: ask("rusket"), "mlxtend": lambda: ask("mlxtend")}
    seconds, counts = {n: [] for n in sides}, {}
    for turn in range(args.rounds + 1):
        for name, call in sides.items():
            took, counts[name] = call()
            if turn:  # the first is warm-up
                seconds[name].append(took)
    peer.stdin.close()
    peer.wait()
    for name, values in seconds.items():
        ratio, low, high = median_interval([theirs / ours for theirs, ours in zip(values, seconds["etalage, CSR"])])
        print(f"{name:16s} {statistics.median(values):8.4f} s  {ratio:6.2f} [{low:.2f}, {high:.2f}] of etalage with a CSR  {counts[name]} sets")
    return 0 if len(set(counts.values())) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
