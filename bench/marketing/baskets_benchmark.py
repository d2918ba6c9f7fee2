# SPDX-License-Identifier: Apache-2.0
"""Frequent sets of the groceries data beside rusket's and mlxtend's miners, alternating in one run.

    python bench/marketing/baskets_benchmark.py --peer-python PATH [--support 0.001] [--rounds 7] [--data ../shared/data] [--threads 2]

--peer-python is an interpreter that has rusket 0.1.101 and mlxtend 0.25.0 with pandas. Each side gets what it likes best, already in
memory (ours: a CSR; theirs: a boolean frame) and gives its frame of sets; also ours from lists of labels. Prints the median seconds of
each and fails unless all find the same number of sets.
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--support", type=float, default=0.001)
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
    base = statistics.median(seconds["etalage, CSR"])
    for name, values in seconds.items():
        print(f"{name:16s} {statistics.median(values):8.4f} s  {statistics.median(values) / base:6.1f} x  {counts[name]} sets")
    return 0 if len(set(counts.values())) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
