# SPDX-License-Identifier: Apache-2.0
"""Rows of run.py beside rusket, each at equal quality: the recall of both sides' lists is printed under a row.

Item sets beside its miner: bench/marketing/baskets_benchmark.py.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import training_rows

_ALS = tuple(("rusket", f"rusket ALS, cg_iters {steps}", {"regularization": 10.0, "alpha": 40.0, "cg_iters": steps}) for steps in (3, 5))


def recall(lists: np.ndarray, test: sp.csr_matrix, users: np.ndarray, k: int = 20) -> float:
    found = []
    for row, user in zip(lists, users):
        wanted = test.indices[test.indptr[user]:test.indptr[user + 1]]
        if len(wanted):
            found.append(np.isin(wanted, row[:k]).sum() / len(wanted))
    return float(np.mean(found))


def compare(b, train: sp.csr_matrix, test: sp.csr_matrix, beibei: sp.csr_matrix) -> None:
    training_rows.to_recall(b, train, test, peers=_ALS)
    training_rows.bpr(b, train, test, grids={"rusket": training_rows.BPR_GRIDS["rusket"]})
    everyone, path = np.arange(train.shape[0]), b.save("rusket.npz", train)
    work = {"task": "neighbours", "train": path, "k": 20}
    for similarity in ("cosine", "tfidf"):
        pair(b, f"ItemKNN {similarity} 100, fit + top-20 for all, Gowalla", work | {"model": "ItemKNN", "options": {"num_neighbors": 100, "similarity": similarity}},
             work | {"model": "ItemKNN", "options": {"k": 100, "method": similarity}}, lambda lists: recall(lists, test, everyone))
    some = np.random.default_rng(1).choice(beibei.shape[0], 2000, replace=False)
    kept = held_out(beibei)
    work = {"task": "ease_model", "train": b.save("ease.npz", kept), "l2": 100.0, "k": 20, "users": b.save("some.npy", some)}
    rest = (beibei - kept).tocsr()
    rest.eliminate_zeros()
    pair(b, f"EASE, fit, Beibei, {beibei.shape[1]:,} items", work, work, lambda lists: recall(lists, rest, some))
    factors = str(b.scratch / "rusket_factors.npz")
    b.ours.ask(task="als", train=path, factors=128, sweeps=8, regularization=0.0015, unobserved_weight=0.02, threads=b.args.threads, out=factors)
    stored = np.load(factors)
    work = {"task": "topk", "users": b.save("users.npy", stored["users"]), "items": b.save("items.npy", stored["items"]), "seen": path, "k": 20}
    pair(b, "batch top-20, Gowalla, 128 factors, seen out", work, work, lambda lists: recall(lists, test, everyone))


def held_out(rows: sp.csr_matrix, share: float = 0.2) -> sp.csr_matrix:
    kept = rows.copy()
    kept.data[np.random.default_rng(0).random(rows.nnz) < share] = 0
    kept.eliminate_zeros()
    return kept


def pair(b, label: str, mine: dict, theirs: dict, quality) -> None:
    out = str(b.scratch / "lists.npz")
    worker, values = b.peer("rusket"), []
    for side, arguments in ((b.ours, mine), (worker, theirs)):
        answer = side.ask(**arguments, out=out, threads=b.args.threads)
        values.append(f"failed: {answer['error'].strip().splitlines()[-1]}" if "error" in answer else f"{quality(np.load(out)['users']):.4f}")
    worker.close()
    b.compare(label, "rusket", "rusket", mine, theirs)
    print(f"{'':4s}recall@20: etalage {values[0]}, rusket {values[1]}", flush=True)
