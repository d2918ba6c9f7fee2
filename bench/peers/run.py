# SPDX-License-Identifier: Apache-2.0
"""etalage beside what a user would pick instead, both sides in one run.

    python bench/peers/run.py [--only als als_synthetic als_to_recall bpr topk topk_million neighbours ease index fold_in
                              evaluate open rusket events] [--rusket als bpr itemknn ease itemsets lists] [--data ../shared/data] [--threads 2]
                              [--out bench/results]

Each peer is installed in an environment of its own under build/peers on first use. Two sides alternate until the 95 %
interval of the median ratio is within 5 %. A ratio above 1 means that etalage is faster. Prints tables and writes
peers.json beside them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from environments import python_of  # noqa: E402
from pairing import alternate  # noqa: E402
import rusket_rows  # noqa: E402
import serving_rows  # noqa: E402
import training_rows  # noqa: E402
from protocol import Worker  # noqa: E402

PARTS = ["als", "als_synthetic", "als_to_recall", "bpr", "topk", "topk_million", "neighbours", "ease", "index", "fold_in", "evaluate", "open", "rusket", "events"]


class Bench:
    def __init__(self, args):
        self.args = args
        self.scratch = Path(tempfile.mkdtemp(prefix="etalage-bench-"))
        self.rows = []
        self.ours = Worker(sys.executable, str(HERE / "workers" / "etalage_worker.py"), args.threads)

    def peer(self, name: str, extra_env: dict | None = None) -> Worker:
        python = python_of(name, Path(self.args.environments))
        return Worker(python, str(HERE / "workers" / f"{name}_worker.py"), self.args.threads, extra_env)

    def compare(self, work: str, against: str, peer: str, mine: dict, theirs: dict, fields: dict | None = None) -> None:
        """fields: names of what the tasks return beside "seconds", and what to call them in the table."""
        threads = self.args.threads
        fields = {"seconds": ""} | (fields or {})
        try:
            worker = self.peer(peer)
        except RuntimeError as error:
            print(f"{work:44s} {against:24s} {error}", flush=True)
            self.rows.append({"work": work, "against": against, "error": str(error)})
            return
        result = alternate(lambda: self.ours.ask(**mine, threads=threads), lambda: worker.ask(**theirs, threads=threads),
                           at_most=self.args.rounds, fields=tuple(fields))
        worker.close()
        self.rows.append({"work": work, "against": against} | result)
        if "error" in result:
            print(f"{work:44s} {against:24s} {result['error']}", flush=True)
            return
        quality = "".join(f"  {k} {result['ours'][k]:.3f} / {result['theirs'][k]:.3f}" for k in ("recall",) if k in result["ours"])
        for field, label in fields.items():
            r = result["fields"][field]
            mark = "" if r["low"] >= r["ratio"] * 0.95 and r["high"] <= r["ratio"] * 1.05 else "  (noisy)"
            print(f"{work + label:44s} {against:24s} {r['ours']:9.3g} {r['theirs']:9.3g} "
                  f"{r['ratio']:6.2f}x [{r['low']:.2f}, {r['high']:.2f}] {result['rounds']:3d}{mark}{quality}", flush=True)

    def save(self, name: str, array) -> str:
        path = self.scratch / name
        sp.save_npz(path, array) if sp.issparse(array) else np.save(path, array)
        return str(path)


def gowalla(data: Path, parts=("train", "valid")) -> sp.csr_matrix:
    """train + valid, or other parts, as float32 CSR of ones."""
    users, items = [], []
    for name in parts:
        with gzip.open(data / "gowalla" / f"{name}.txt.gz", "rt") as file:
            for line in file:
                first, *rest = map(int, line.split())
                users += [first] * len(rest)
                items += rest
    matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(29858, 40981))
    matrix.data[:] = 1
    return matrix


def bench_topk(b: Bench, train: sp.csr_matrix) -> None:
    path = b.save("train.npz", train)
    factors = b.scratch / "factors.npz"
    b.ours.ask(task="als", train=path, factors=128, sweeps=8, regularization=0.0015, unobserved_weight=0.02,
               threads=b.args.threads, out=str(factors))
    loaded = np.load(factors)
    work = {"task": "topk", "users": b.save("users.npy", loaded["users"]), "items": b.save("items.npy", loaded["items"]),
            "seen": path, "k": 20}
    label = "exact top-20, Gowalla, 128 factors, seen out"
    b.compare(label, "implicit", "implicit", work, work)
    b.compare(label, "faiss-cpu flat, no filter", "faiss", work, work)
    b.compare(label, "bare OpenBLAS product", "openblas", work, work)


def bench_topk_million(b: Bench) -> None:
    rng = np.random.default_rng(5)
    users, items = 2_000, b.args.catalogue
    popularity = np.exp(0.3 * rng.standard_normal((items, 1), dtype=np.float32))  # norms differ as those of fitted factors do
    nothing = sp.csr_matrix((users, items), dtype=np.float32)
    work = {"task": "topk", "users": b.save("many_users.npy", rng.standard_normal((users, 128), dtype=np.float32)),
            "items": b.save("many_items.npy", popularity * rng.standard_normal((items, 128), dtype=np.float32)),
            "seen": b.save("nothing.npz", nothing), "k": 20}
    for name, peer in (("implicit", "implicit"), ("faiss-cpu flat, no filter", "faiss"), ("bare OpenBLAS product", "openblas")):
        b.compare(f"exact top-20, {users:,} users x {items:,} items", name, peer, work, work)


def synthetic_events(pairs: int) -> sp.csr_matrix:
    """users x 100,000 items, 40 pairs a user, items by popularity 1 / (rank + 50), shuffled."""
    rng = np.random.default_rng(6)
    users, items = pairs // 40, 100_000
    chance = np.cumsum(1.0 / (np.arange(items) + 50.0))
    order = rng.permutation(items).astype(np.int32)
    what = order[np.searchsorted(chance, rng.random(pairs) * chance[-1]).clip(max=items - 1)]
    rows = sp.csr_matrix((np.ones(pairs, np.float32), what, np.arange(0, pairs + 1, 40, dtype=np.int64)), shape=(users, items))
    rows.sum_duplicates()
    rows.data[:] = 1
    return rows


def bench_neighbours(b: Bench, train: sp.csr_matrix) -> None:
    path = b.save("train.npz", train)
    work = {"task": "neighbours", "train": path, "k": 100}
    for similarity, theirs in (("cosine", "CosineRecommender"), ("tfidf", "TFIDFRecommender")):
        mine = {"model": "ItemKNN", "options": {"num_neighbors": 100, "similarity": similarity}}
        b.compare(f"ItemKNN {similarity} 100, fit + top-100 for all", f"implicit {theirs}", "implicit", work | mine,
                  work | {"model": theirs, "options": {"K": 100}})
    for name, mine, theirs in (("P3alpha", {"alpha": 1.0}, {"alpha": 1.0}), ("RP3beta", {"beta": 0.1}, {"beta": 0.1})):
        b.compare(f"{name} 500, fit + top-100 for all", f"irspack {name}", "irspack",
                  work | {"model": name, "options": {"num_neighbors": 500} | mine},
                  work | {"model": f"{name}Recommender", "options": {"top_k": 500} | theirs})


def beibei(data: Path) -> sp.csr_matrix:
    """What was bought, float32 CSR of ones."""
    users, items = [], []
    with gzip.open(data / "beibei" / "buy-train.txt.gz", "rt") as file:
        for line in file:
            first, *rest = map(int, line.split())
            users += [first] * len(rest)
            items += rest
    matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)))
    matrix.data[:] = 1
    return matrix


def bench_ease(b: Bench, data: Path, train: sp.csr_matrix | None) -> None:
    """Beibei's 8 thousand items; Gowalla's 41 thousand need 7 GB a side and minutes, so they are asked for by --large."""
    for name, rows, l2 in (("Beibei", beibei(data), 100.0), ("Gowalla", train if b.args.large else None, 80.0)):
        if rows is not None:
            work = {"task": "ease", "train": b.save(f"{name}.npz", rows), "l2": l2}
            b.compare(f"EASE exact, {rows.shape[1]:,} items, the inverse", "LAPACK spotrf + spotri", "scipy", work, work)


def clustered(n: int, dim: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around 1,000 centres, and 2,000 queries of the same kind; unit length."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((1000, dim), dtype=np.float32)
    def draw(count):
        x = centres[rng.integers(len(centres), size=count)] + 0.5 * rng.standard_normal((count, dim), dtype=np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)
    return draw(n), draw(2000)


def bench_index(b: Bench) -> None:
    x, q = clustered(b.args.vectors, 96)
    truth = np.concatenate([np.argsort(-(q[s : s + 200] @ x.T), axis=1)[:, :10] for s in range(0, len(q), 200)])
    files = {"vectors": b.save("x.npy", x), "queries": b.save("q.npy", q), "truth": b.save("truth.npy", truth.astype(np.int64))}
    for ef in (32, 64, 128):
        options = {"M": 16, "ef_construction": 100, "ef_search": ef}
        work = files | {"task": "index_search", "options": options, "metric": "cosine", "kind": "hnsw"}
        for peer, name in (("hnswlib", "hnswlib"), ("faiss", "faiss-cpu HNSW")):
            b.compare(f"HNSW search, {len(x):,} x 96, M 16, ef {ef}", name, peer, work, work)
    build = {"task": "index_build", "vectors": files["vectors"], "options": options, "metric": "cosine", "kind": "hnsw"}
    b.compare(f"HNSW build, {len(x):,} x 96, M 16", "hnswlib", "hnswlib", build, build)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", "../shared/data"))
    parser.add_argument("--environments", default="build/peers")
    parser.add_argument("--out", default="build/peers/results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=25, help="at most so many pairs a row")
    parser.add_argument("--factors", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--against", nargs="+", help="of the rows of ALS sweeps those against these: 'irspack CG' 'implicit CG' ...")
    parser.add_argument("--rusket", nargs="+", choices=rusket_rows.ROWS, default=rusket_rows.ROWS, help="of the rows beside rusket these")
    parser.add_argument("--large", action="store_true", help="rows that need 7 GB and minutes: EASE on Gowalla")
    parser.add_argument("--catalogue", type=int, default=1_000_000, help="items of the large fold-in row")
    parser.add_argument("--events", type=int, default=20_000_000, help="size of the synthetic ALS row")
    parser.add_argument("--vectors", type=int, default=200_000, help="size of the index rows")
    args = parser.parse_args()

    import etalage

    about = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()} | etalage.build_info()
    print("  ".join(f"{k}: {v}" for k, v in about.items()))
    print(f"\n{'work':44s} {'against':24s} {'etalage s':>9s} {'peer s':>9s} {'ratio':>7s}  95 % interval, rounds")
    b = Bench(args)
    have_data = (Path(args.data) / "gowalla").exists()
    of_gowalla = {"als", "als_to_recall", "bpr", "topk", "neighbours", "ease", "evaluate", "rusket"} & set(args.only)
    if not have_data and of_gowalla:
        print(f"{', '.join(sorted(of_gowalla))} skipped: {args.data}/gowalla is not there (set ETALAGE_DATA)")
    if have_data:
        train = gowalla(Path(args.data))
        if "als" in args.only:
            training_rows.sweeps(b, train, "Gowalla", True)
        if "als_to_recall" in args.only:
            training_rows.to_recall(b, train, gowalla(Path(args.data), ("test",)))
        if "bpr" in args.only:
            training_rows.bpr(b, train, gowalla(Path(args.data), ("test",)))
        if "topk" in args.only:
            bench_topk(b, train)
        if "neighbours" in args.only:
            bench_neighbours(b, train)
        if "ease" in args.only:
            bench_ease(b, Path(args.data), train)
        if "rusket" in args.only:
            rusket_rows.compare(b, train, gowalla(Path(args.data), ("test",)), beibei(Path(args.data)))
        if "evaluate" in args.only:
            serving_rows.evaluate(b, train, gowalla(Path(args.data), ("test",)))
    if "als_synthetic" in args.only:
        b.args.factors = args.factors[:1]
        training_rows.sweeps(b, synthetic_events(args.events), f"{args.events / 1e6:g} million synthetic", False)
    if "topk_million" in args.only:
        bench_topk_million(b)
    if "fold_in" in args.only:
        serving_rows.fold_in(b)
    if "open" in args.only:
        serving_rows.open_model(b)
    if "index" in args.only:
        bench_index(b)
    b.ours.close()
    if "events" in args.only:
        import subprocess

        subprocess.run([sys.executable, str(HERE / "events_benchmark.py")], check=False)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "peers.json").write_text(json.dumps({"about": {k: str(v) for k, v in about.items()}, "rows": b.rows}, indent=1))
    print(f"\n{out / 'peers.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
