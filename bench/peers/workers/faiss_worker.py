# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve, task  # noqa: E402


@task
def topk(users, items, k, threads, **_):
    """Flat inner product; nothing is filtered, which is less work than ours."""
    faiss.omp_set_num_threads(threads)
    u, i = np.load(users), np.load(items)
    index = faiss.IndexFlatIP(i.shape[1])
    index.add(i)
    return lambda: {"checksum": int(index.search(u, k)[1].sum())}


def _hnsw(x, options):
    index = faiss.IndexHNSWFlat(x.shape[1], options["M"], faiss.METRIC_L2)
    index.hnsw.efConstruction = options["ef_construction"]
    index.add(x)
    index.hnsw.efSearch = options["ef_search"]
    return index


@task
def index_build(vectors, options, threads, **_):
    faiss.omp_set_num_threads(threads)
    x = np.load(vectors)
    return lambda: {"size": _hnsw(x, options).ntotal}


@task
def index_search(vectors, queries, truth, options, threads, **_):
    faiss.omp_set_num_threads(threads)
    x, q, exact = np.load(vectors), np.load(queries), np.load(truth)
    index = _hnsw(x, options)

    def work():
        ids = index.search(q, exact.shape[1])[1]
        return {"recall": float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(ids, exact)]))}

    return work


def _searcher(x, metric, kind, build, threads, allowed):
    faiss.omp_set_num_threads(threads)
    inner = faiss.METRIC_INNER_PRODUCT if metric == "dot" else faiss.METRIC_L2
    if kind == "subset":  # flat over the allowed rows alone
        index = faiss.IndexFlat(x.shape[1], inner)
        index.add(np.ascontiguousarray(x[allowed]))
        return lambda q, k, effort: allowed[index.search(q, k)[1]]
    if kind == "flat":
        index = faiss.IndexFlat(x.shape[1], inner)
        index.add(x)
        return lambda q, k, effort: index.search(q, k)[1]
    if kind == "ivf_pq_fast_scan":
        index = faiss.index_factory(x.shape[1], f"IVF{build['nlist']},PQ{x.shape[1] // 2}x4fsr,RFlat", inner)
        index.train(x)
        index.add(x)

        def search(q, k, effort):
            index.k_factor = build["k_factor"]
            faiss.extract_index_ivf(index.base_index).nprobe = effort
            return index.search(q, k)[1]

        return search
    index = faiss.IndexHNSWFlat(x.shape[1], build["M"], inner)
    index.hnsw.efConstruction = build["ef_construction"]
    index.add(x)
    selector = None if allowed is None else faiss.IDSelectorBatch(allowed)

    def search(q, k, effort):
        if selector is None:
            index.hnsw.efSearch = effort
            return index.search(q, k)[1]
        return index.search(q, k, params=faiss.SearchParametersHNSW(efSearch=effort, sel=selector))[1]

    return search


index_curve_task(_searcher)



if __name__ == "__main__":
    serve()
