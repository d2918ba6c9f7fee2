# SPDX-License-Identifier: Apache-2.0
"""Tasks of serving_rows.py, registered by each worker for its own library: use(library)."""

import json
import os
import time

import numpy as np
import scipy.sparse as sp
from protocol import task

METRICS = ("recall", "ndcg", "map", "precision", "mrr")


def quantiles_of(requests, one):
    """Seconds of a request, one after another: the median, and p99."""
    times = []
    for r in requests:
        started = time.perf_counter()
        one(r)
        times.append(time.perf_counter() - started)
    return {"seconds": float(np.percentile(times, 50)), "p99": float(np.percentile(times, 99))}


def csr_of(histories, items):
    n, m = histories.shape
    rows = sp.csr_matrix((np.ones(n * m, np.float32), histories.ravel(), np.arange(0, n * m + 1, m)), shape=(n, items))
    rows.sum_duplicates()
    return [rows[i] for i in range(n)]


def use_etalage():
    import etalage

    @task
    def fold_in(items, histories, threads, train, index=None):
        lists, seen = np.load(histories), sp.load_npz(train)
        weight = {"alpha": 0.02, "unobserved_weight": 0.02, "nu": 1.0, "regularization": 2.4 / (0.02 * seen.shape[1])}
        model = etalage.models.ALS(factors=np.load(items, mmap_mode="r").shape[1], iterations=2, compute_objective=False, num_threads=threads, **weight)
        model.fit(seen)
        rows = csr_of(lists, seen.shape[1])
        if index == "exact":
            model.build_index("exact")
        elif index == "ivf":
            truth = [set(np.ravel(model.recommend(None, r, k=10)[0])) for r in rows]
            for nprobe in (1, 2, 4, 8, 16, 32, 64):
                model.build_index("ivf", nprobe=nprobe)
                recall = np.mean([len(t & set(np.ravel(model.recommend(None, r, k=10)[0]))) / 10 for t, r in zip(truth, rows)])
                if recall >= 0.95:
                    break
            else:
                raise RuntimeError(f"recall@10 of {recall:.3f} is below 0.95")
        return lambda: quantiles_of(rows, lambda r: model.recommend(None, r, k=10))

    @task
    def rank_and_measure(train, test, k, threads):
        rows, held = sp.load_npz(train), sp.load_npz(test)
        model = etalage.models.ALS(factors=64, iterations=3, regularization=0.01, num_threads=threads, compute_objective=False).fit(rows)
        return lambda: dict(etalage.evaluation.evaluate(model, rows, held, k=(k,), metrics=METRICS, num_threads=threads)) and {}

    @task
    def measure_lists(lists, test, k, threads):
        found, held = np.load(lists), sp.load_npz(test)
        return lambda: dict(etalage.evaluation.evaluate_ranking(found, held, k=(k,), metrics=METRICS, num_threads=threads)) and {}

    @task
    def open_model(users, items, factors, folder, threads, verify="full"):
        path = os.path.join(folder, "model.etalage")
        rng = np.random.default_rng(0)
        etalage.models.Vectors(rng.random((users, factors), np.float32), rng.random((items, factors), np.float32)).save(path)
        return lambda: etalage.load(path, verify=verify).recommend(0, k=10, filter_already_liked_items=False) and None


def use_implicit():
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k

    @task
    def fold_in(items, histories, threads):
        factors, lists = np.load(items), np.load(histories)
        model = AlternatingLeastSquares(factors=factors.shape[1], regularization=0.1, num_threads=threads)
        model.item_factors, model.user_factors = factors, factors[:1].copy()
        rows = csr_of(lists, len(factors))
        return lambda: quantiles_of(rows, lambda r: model.recommend(0, r, N=10, recalculate_user=True))

    @task
    def rank_and_measure(train, test, k, threads):
        rows, held = sp.load_npz(train).tocsr(), sp.load_npz(test).tocsr()
        model = AlternatingLeastSquares(factors=64, iterations=3, num_threads=threads, calculate_training_loss=False)
        model.fit(rows, show_progress=False)
        return lambda: ranking_metrics_at_k(model, rows, held, K=k, show_progress=False, num_threads=threads) and {}

    @task
    def open_model(users, items, factors, folder, threads):
        path = os.path.join(folder, "implicit.npz")
        rng = np.random.default_rng(0)
        model = AlternatingLeastSquares(factors=factors, num_threads=threads)
        model.user_factors, model.item_factors = rng.random((users, factors), np.float32), rng.random((items, factors), np.float32)
        model.save(path)
        nothing = sp.csr_matrix((1, items), dtype=np.float32)
        return lambda: AlternatingLeastSquares.load(path).recommend(0, nothing, N=10, filter_already_liked_items=False) and None


def use_irspack():
    from irspack import Evaluator, IALSRecommender

    @task
    def fold_in(items, histories, threads):
        factors, lists = np.load(items), np.load(histories)
        few = sp.csr_matrix((np.ones(len(factors), np.float32), (np.zeros(len(factors), np.int64), np.arange(len(factors)))))
        model = IALSRecommender(few, n_components=factors.shape[1], train_epochs=1, n_threads=threads).learn()
        rows = csr_of(lists, len(factors))

        def one(r):
            scores = model.get_score_cold_user_remove_seen(r)[0]
            best = np.argpartition(-scores, 10)[:10]
            return best[np.argsort(-scores[best])]

        return lambda: quantiles_of(rows[: 20 if len(factors) < 100_000 else 6], one)

    @task
    def rank_and_measure(train, test, k, threads):
        rows, held = sp.load_npz(train).tocsr(), sp.load_npz(test).tocsr()
        model = IALSRecommender(rows, n_components=64, train_epochs=3, n_threads=threads).learn()
        judge = Evaluator(held, cutoff=k, n_threads=threads)
        return lambda: judge.get_score(model) and {}


def use_ranx():
    import ranx

    @task
    def measure_lists(lists, test, k, threads):
        found, held = np.load(lists), sp.load_npz(test).tocsr()
        who = [u for u in range(held.shape[0]) if held.indptr[u] < held.indptr[u + 1]]
        qrels = ranx.Qrels({str(u): {str(i): 1 for i in held.indices[held.indptr[u] : held.indptr[u + 1]]} for u in who})
        run = ranx.Run({str(u): {str(i): float(k - r) for r, i in enumerate(found[u])} for u in who})
        names = [f"{m}@{k}" for m in METRICS]
        return lambda: json.loads(json.dumps({n: float(v) for n, v in ranx.evaluate(qrels, run, names).items()})) and {}
