# SPDX-License-Identifier: Apache-2.0
"""Rows of run.py beside rusket, each at equal quality: the recall of both sides' lists is printed under a row.

--rusket names the rows to run: als and bpr are the shortest fits of each side that reach a recall, itemknn, ease and lists the same
work on both sides, itemsets a call of bench/marketing/baskets_benchmark.py, which fails unless both find the same number of sets.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import training_rows
from environments import python_of

ROWS = ["als", "bpr", "itemknn", "ease", "itemsets", "lists"]
_ALS = tuple(("rusket", f"rusket ALS, cg_iters {steps}", {"regularization": 10.0, "alpha": 40.0, "cg_iters": steps}) for steps in (3, 5))


def recall(lists: np.ndarray, test: sp.csr_matrix, users: np.ndarray, k: int = 20) -> float:
    found = []
    for row, user in zip(lists, users):
        wanted = test.indices[test.indptr[user]:test.indptr[user + 1]]
        if len(wanted):
            found.append(np.isin(wanted, row[:k]).sum() / len(wanted))
    return float(np.mean(found))


def compare(b, train: sp.csr_matrix, test: sp.csr_matrix, beibei: sp.csr_matrix) -> None:
    everyone, path, rows = np.arange(train.shape[0]), b.save("rusket.npz", train), b.args.rusket
    if "als" in rows:
        training_rows.to_recall(b, train, test, peers=_ALS)
    if "bpr" in rows:
        training_rows.bpr(b, train, test, grids={"rusket": training_rows.BPR_GRIDS["rusket"]})
    if "itemknn" in rows:
        work = {"task": "neighbours", "train": path, "k": 20}
        for method in ("bm25", "tfidf", "cosine"):  # as constructed, ours finds at least as much as any of them
            pair(b, f"ItemKNN / {method} 100, fit + top-20 for all", work | {"model": "ItemKNN", "options": {}},
                 work | {"model": "ItemKNN", "options": {"k": 100, "method": method}}, lambda lists: recall(lists, test, everyone))
    if "ease" in rows:
        some = np.random.default_rng(1).choice(beibei.shape[0], 2000, replace=False)
        kept = held_out(beibei)
        rest = (beibei - kept).tocsr()
        rest.eliminate_zeros()
        work = {"task": "ease_model", "train": b.save("ease.npz", kept), "l2": 100.0, "k": 20, "users": b.save("some.npy", some)}
        pair(b, f"EASE, fit, Beibei, {beibei.shape[1]:,} items", work, work, lambda lists: recall(lists, rest, some))
    if "lists" in rows:
        factors = str(b.scratch / "rusket_factors.npz")
        b.ours.ask(task="als", train=path, factors=128, sweeps=8, regularization=0.0015, unobserved_weight=0.02, threads=b.args.threads, out=factors)
        stored = np.load(factors)
        work = {"task": "topk", "users": b.save("users.npy", stored["users"]), "items": b.save("items.npy", stored["items"]), "seen": path, "k": 20}
        pair(b, "batch top-20, Gowalla, 128 factors, seen out", work, work, lambda lists: recall(lists, test, everyone))
    if "itemsets" in rows:
        script = Path(__file__).resolve().parents[1] / "marketing" / "baskets_benchmark.py"
        subprocess.run([sys.executable, str(script), "--peer-python", python_of("rusket", Path(b.args.environments)), "--data", b.args.data,
                        "--threads", str(b.args.threads)], check=False)


def held_out(rows: sp.csr_matrix, share: float = 0.2) -> sp.csr_matrix:
    kept = rows.copy()
    kept.data[np.random.default_rng(0).random(rows.nnz) < share] = 0
    kept.eliminate_zeros()
    return kept


def pair(b, label: str, mine: dict, theirs: dict, quality) -> None:
    """A row, and under it what the lists of both sides are worth."""
    files = [b.scratch / f"{side}_lists.npz" for side in ("our", "their")]
    for file in files:
        file.unlink(missing_ok=True)
    b.compare(label, "rusket", "rusket", mine | {"out": str(files[0])}, theirs | {"out": str(files[1])})
    if all(file.exists() for file in files):
        values = [quality(np.load(file)["users"]) for file in files]
        b.rows[-1] |= {"our recall@20": values[0], "their recall@20": values[1]}
        print(f"{'':4s}recall@20: etalage {values[0]:.4f}, rusket {values[1]:.4f}", flush=True)
