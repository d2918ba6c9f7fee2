# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import hnswlib
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve, task  # noqa: E402


def _index(x, options, threads):
    index = hnswlib.Index(space="l2", dim=x.shape[1])
    index.init_index(max_elements=len(x), M=options["M"], ef_construction=options["ef_construction"], random_seed=1)
    index.set_num_threads(threads)
    index.add_items(x)
    index.set_ef(options["ef_search"])
    return index


@task
def index_build(vectors, options, threads, **_):
    x = np.load(vectors)
    return lambda: {"size": _index(x, options, threads).get_current_count()}


@task
def index_search(vectors, queries, truth, options, threads, **_):
    x, q, exact = np.load(vectors), np.load(queries), np.load(truth)
    index = _index(x, options, threads)

    def work():
        ids = index.knn_query(q, k=exact.shape[1])[0]
        return {"recall": float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(ids, exact)]))}

    return work


def _searcher(x, metric, kind, build, threads, allowed):
    index = hnswlib.Index(space="l2" if metric == "l2" else "ip", dim=x.shape[1])
    index.init_index(max_elements=len(x), M=build["M"], ef_construction=build["ef_construction"], random_seed=1)
    index.set_num_threads(threads)
    index.add_items(x)
    may = None if allowed is None else set(allowed.tolist())

    def search(q, k, effort):
        index.set_ef(max(k, effort))
        if may is None:
            return index.knn_query(q, k=k, num_threads=threads)[0]
        return index.knn_query(q, k=k, num_threads=1, filter=lambda i: i in may)[0]  # its filter is a Python call

    return search


index_curve_task(_searcher)



if __name__ == "__main__":
    serve()
