# SPDX-License-Identifier: Apache-2.0
"""Approximate, exact and filtered search beside other libraries, at recall@10 of exactly 0.95 and 0.99.

    python bench/peers/search_benchmark.py [--rows graph lists exact filter graph_build] [--sets clustered words FOLDER] [--vectors 500000] [--dim 96]
                                           [--threads 1 2] [--rounds 5] [--peers hnswlib faiss usearch voyager scann]
                                           [--data FOLDER] [--build-at-most SECONDS]

Each side builds its index once, in a process of its own, and answers all queries at several efforts; the time at a recall is
interpolated (log seconds over recall) from the points around it. Sides alternate; ratios are medians over the rounds with
their 95 % interval. A ratio above 1 means that etalage is faster.

graph_build (words alone) sets the seconds of building a graph beside hnswlib's. With --data the vectors, their true neighbours, the
settings chosen for words and the graphs of words are kept, so that a run after the first only searches. --build-at-most lets a long
build of hnswlib leave off after so many seconds; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from environments import python_of  # noqa: E402
from pairing import median_interval  # noqa: E402
from protocol import Worker  # noqa: E402
from run import clustered  # noqa: E402
from search_curve import seconds_at  # noqa: E402
from word_rows import compare_words  # noqa: E402

GRAPH = {"M": 16, "ef_construction": 100}
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
PROBES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
LEAVES = [1, 2, 3, 4, 6, 8, 16, 32, 64]  # of scann, each with
RESCORED = [20, 30, 60, 100, 200]        # so many rows


def truth_of(x, q, allowed=None, k=10):
    rows = x if allowed is None else x[allowed]
    top = np.concatenate([np.argpartition(-(q[s : s + 100] @ rows.T), k, axis=1)[:, :k].copy() for s in range(0, len(q), 100)])
    return (top if allowed is None else allowed[top]).astype(np.int64)


def made_once(folder, name, make):
    """The arrays of make(), from a file where there is a folder for one."""
    file = None if folder is None else Path(folder) / f"{name}.npz"
    if file is not None and file.exists():
        with np.load(file) as arrays:
            return [arrays[n] for n in arrays.files]
    arrays = make()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, *arrays)
    return list(arrays)


class Search:
    def __init__(self, args):
        self.args = args
        self.scratch = Path(tempfile.mkdtemp(prefix="etalage-bench-"))
        self.rows = []

    def save(self, name, array):
        np.save(self.scratch / name, array)
        return str(self.scratch / name)

    def worker(self, side, threads):
        python = sys.executable if side == "etalage" else python_of(side, Path(self.args.environments))
        return Worker(python, str(HERE / "workers" / f"{side}_worker.py"), threads)

    def compare(self, title, files, ours, peers, targets, threads):
        """ours, peers: (label, worker, task arguments)."""
        mine = self.worker("etalage", threads)
        for label, side, arguments in peers:
            try:
                theirs = self.worker(side, threads)
            except RuntimeError as error:
                print(f"{title:34s} {label:24s} {error}", flush=True)
                continue
            pairs = []
            for _ in range(self.args.rounds):
                a = mine.ask(task="index_curve", threads=threads, **files, **ours)
                b = theirs.ask(task="index_curve", threads=threads, **files, **arguments)
                if "error" in a or "error" in b:
                    print(f"{title:34s} {label:24s} {(a.get('error') or b.get('error')).strip().splitlines()[-1]}", flush=True)
                    break
                pairs.append((a, b))
            theirs.close()
            if not pairs:
                continue
            for target in targets:
                times = [(seconds_at(a["points"], target), seconds_at(b["points"], target)) for a, b in pairs]
                if any(t[0] is None or t[1] is None for t in times):
                    who = "etalage" if times[0][0] is None else label
                    print(f"{title:34s} {label:24s} recall {target}: not reached by {who}", flush=True)
                    continue
                ratio, low, high = median_interval([b / a for a, b in times])
                best = min(a for a, _ in times), min(b for _, b in times)
                print(f"{title:34s} {label:24s} recall {target}  {self.queries / best[0]:9.0f} {self.queries / best[1]:9.0f} q/s  "
                      f"{ratio:5.2f}x [{low:.2f}, {high:.2f}]  build {pairs[0][0]['build_seconds']:.1f} / {pairs[0][1]['build_seconds']:.1f} s  "
                      f"{pairs[0][0]['index_mb']:.0f} / {pairs[0][1]['index_mb']:.0f} MB", flush=True)
                self.rows.append({"work": title, "against": label, "recall": target, "ratio": ratio, "low": low, "high": high,
                                  "ours": pairs[0][0], "theirs": pairs[0][1]})
        mine.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["graph", "lists", "exact", "filter"])
    parser.add_argument("--sets", nargs="+", default=["clustered"], help="clustered, words (fetched on first use), or a folder with items.npy and users.npy")
    parser.add_argument("--vectors", type=int, default=500_000)
    parser.add_argument("--dim", type=int, default=96, help="of the clustered vectors")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=["hnswlib", "faiss", "usearch", "voyager", "scann"])
    parser.add_argument("--data", help="a folder in which vectors, true neighbours, settings and graphs are kept from run to run")
    parser.add_argument("--build-at-most", type=float, metavar="SECONDS", help="of one call, for a graph of hnswlib that --data keeps")
    parser.add_argument("--environments", default="build/peers")
    parser.add_argument("--out", default="build/peers/results")
    args = parser.parse_args()
    b = Search(args)
    for name in args.sets:
        if name == "words":
            compare_words(b, args, lambda of, x, q: made_once(args.data, f"{of}-truth", lambda: (truth_of(x, q),))[0])
            continue
        if name == "clustered":
            x, q = made_once(args.data, f"clustered-{args.vectors}-{args.dim}", lambda: clustered(args.vectors, args.dim))
            metric, label = "cosine", f"{len(x):,} x {args.dim} clustered"
        else:
            x, q = np.load(Path(name) / "items.npy"), np.load(Path(name) / "users.npy")
            q = q[np.random.default_rng(1).permutation(len(q))[:4000]]
            metric, label = "dot", f"{len(x):,} x {x.shape[1]} factors"
        x, q = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(q, np.float32)
        b.queries = len(q)
        files = {"vectors": b.save("x.npy", x), "queries": b.save("q.npy", q)}
        if {"graph", "lists"} & set(args.rows):
            kept = args.data if name == "clustered" else None
            truth, = made_once(kept, f"clustered-{args.vectors}-{args.dim}-truth", lambda: (truth_of(x, q),))
            files["truth"] = b.save("t.npy", truth)
        graph = {"metric": metric, "build": GRAPH, "efforts": EFS}
        leaves = max(16, int(len(x) ** 0.5))
        partitioned = {
            "scann": ("scann", "scann", {"metric": metric, "kind": "scann", "build": {"leaves": leaves},
                                         "efforts": [[p, r] for p in LEAVES for r in RESCORED]}),
            "faiss": ("faiss IVF-PQ fast scan", "faiss", {"metric": metric, "kind": "ivf_pq_fast_scan", "efforts": PROBES,
                                                          "build": {"nlist": leaves, "k_factor": 20}})}
        lists = {"metric": metric, "kind": "ivf", "build": {}, "efforts": PROBES}
        for threads in args.threads:
            if "graph" in args.rows:
                peers = [(f"{p} HNSW", p, graph | {"kind": "hnsw"}) for p in args.peers if p != "scann"]
                b.compare(f"hnsw, {label}, {threads} thr", files, graph | {"kind": "hnsw"}, peers, (0.95, 0.99), threads)
                if metric == "dot":  # where lists are the better index
                    b.compare(f"ivf, {label}, {threads} thr", files, lists, peers, (0.95, 0.99), threads)
            if "lists" in args.rows:
                peers = [partitioned[p] for p in args.peers if p in partitioned]
                b.compare(f"ivf, {label}, {threads} thr", files, lists, peers, (0.95, 0.99), threads)
            if "exact" in args.rows:
                one = files | {"queries": b.save("one.npy", q[:1]), "truth": b.save("one_truth.npy", truth_of(x, q[:1]))}
                keep, b.queries = b.queries, 1
                flat = {"metric": metric, "build": {}, "efforts": [0]}
                b.compare(f"one query, exact, {label}", one, flat | {"kind": "exact"}, [("faiss flat", "faiss", flat | {"kind": "flat"})], (0.99,), threads)
                b.queries = keep
            if "filter" in args.rows:
                for share in (0.1, 0.01, 0.001):
                    allowed = np.sort(np.random.default_rng(2).permutation(len(x))[: int(len(x) * share)]).astype(np.int64)
                    some = files | {"allowed": b.save("allowed.npy", allowed), "truth": b.save("ft.npy", truth_of(x, q, allowed))}
                    peers = [("product over allowed rows", "openblas", graph | {"kind": "product", "efforts": [0]}),
                             ("faiss flat on the subset", "faiss", graph | {"kind": "subset", "efforts": [0]})]
                    if "hnswlib" in args.peers:
                        peers.append(("faiss HNSW, selector", "faiss", graph | {"kind": "hnsw", "efforts": [64, 256, 1024, 4096]}))
                    b.compare(f"filter {share:.1%}, {label}, {threads} thr", some, graph | {"kind": "hnsw", "efforts": [32, 64, 128]}, peers, (0.95,), threads)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "search.json").write_text(json.dumps(b.rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
