# SPDX-License-Identifier: Apache-2.0
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, recall, serve, task, timed_fit  # noqa: E402
from serving_tasks import use_etalage  # noqa: E402

import etalage  # noqa: E402

use_etalage()


def factors_of(model):
    return model.user_factors, model.item_factors


@task
def als(train, factors, sweeps, regularization, unobserved_weight, threads, alpha=1.0, nu=1.0, solver="cg", out=None):
    """Seconds of a fit of `sweeps` sweeps from SciPy CSR, conversion included."""
    matrix = sp.load_npz(train)
    return timed_fit(lambda: etalage.models.ALS(factors=factors, regularization=regularization, unobserved_weight=unobserved_weight, alpha=alpha,
                                                nu=nu, iterations=sweeps, solver=solver, compute_objective=False, num_threads=threads).fit(matrix),
                     factors_of, out)


@task
def bpr(train, options, threads, out=None):
    matrix = sp.load_npz(train)
    return timed_fit(lambda: etalage.models.BPR(num_threads=threads, compute_objective=False, **options).fit(matrix), factors_of, out)


@task
def topk(users, items, seen, k, threads, out=None):
    """Exact top-k of every user, their own rows filtered."""
    model = etalage.models.Vectors(np.load(users), np.load(items), num_threads=threads)
    rows = sp.load_npz(seen)
    everyone = np.arange(rows.shape[0], dtype=np.int32)
    return timed_fit(lambda: model.recommend(everyone, rows, k=k)[0], as_lists, out)


def as_lists(found):
    return found, np.empty(0)


@task
def neighbours(train, model, options, k, threads, out=None):
    """Fit from SciPy CSR and the k best of every user, their own rows filtered."""
    rows = sp.load_npz(train)
    everyone = np.arange(rows.shape[0], dtype=np.int32)
    return timed_fit(lambda: getattr(etalage.models, model)(num_threads=threads, **options).fit(rows).recommend(everyone, rows, k=k)[0], as_lists, out)


@task
def ease_model(train, l2, threads, k, users, out=None):
    """A whole fit, and lists of some users for what they are worth."""
    rows, who = sp.load_npz(train), np.load(users)
    return timed_fit(lambda: etalage.models.EASE(l2=l2, memory_budget=2**40, num_threads=threads).fit(rows),
                     lambda model: (model.recommend(who, rows[who], k=k)[0], np.empty(0)), out)


@task
def ease(train, l2, threads):
    """The inverse alone, as the peer's LAPACK calls."""
    rows = sp.load_npz(train)
    return lambda: {"seconds": etalage.models.EASE(l2=l2, memory_budget=2**40, num_threads=threads).fit(rows).report.phase_seconds["inverse"]}


@task
def index_build(vectors, metric, kind, options, threads):
    x = np.load(vectors)
    ids = np.arange(len(x), dtype=np.int64)

    def work():
        index = etalage.retrieval.ItemIndex(x.shape[1], metric=metric, kind=kind, num_threads=threads, **options)
        index.add(x, ids)

    return work


@task
def graph_build(vectors, queries, truth, metric, build, effort, threads):
    """Seconds of a build, and what a search finds in what was built."""
    x, q, exact = np.load(vectors), np.load(queries), np.load(truth)

    def work():
        started = time.perf_counter()
        index = etalage.retrieval.ItemIndex(x.shape[1], metric=metric, kind="hnsw", num_threads=threads, ef_search=effort, **build)
        index.add(x, np.arange(len(x), dtype=np.int64))
        return {"seconds": time.perf_counter() - started, "recall": recall(index.search(q, exact.shape[1])[0], exact)}

    return work


@task
def index_search(vectors, queries, truth, metric, kind, options, threads):
    x, q, exact = np.load(vectors), np.load(queries), np.load(truth)
    index = etalage.retrieval.ItemIndex(x.shape[1], metric=metric, kind=kind, num_threads=threads, **options)
    index.add(x, np.arange(len(x), dtype=np.int64))

    def work():
        ids, _ = index.search(q, exact.shape[1])
        return {"recall": float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(ids, exact)]))}

    return work


def _searcher(x, metric, kind, build, threads, allowed, keep=None):
    if keep is not None and keep.load():
        index = etalage.load(keep.load())
    else:
        index = etalage.retrieval.ItemIndex(x.shape[1], metric=metric, kind=kind, num_threads=threads, **build)
        index.add(x, np.arange(len(x), dtype=np.int64))
        if keep is not None:
            keep.save(index.save)
    allow = None if allowed is None else etalage.retrieval.ItemFilter(allow=allowed)

    def search(q, k, effort):
        if kind == "hnsw":
            index.ef_search = effort
        elif kind != "exact":
            index.nprobe = effort
        if len(q) == 1:
            return index.search(q[0], k, allow=allow, num_threads=1)[0][None]
        return index.search(q, k, allow=allow, num_threads=threads)[0]

    return search


index_curve_task(_searcher)


if __name__ == "__main__":
    serve()
