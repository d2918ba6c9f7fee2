# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task  # noqa: E402


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


if __name__ == "__main__":
    serve()
