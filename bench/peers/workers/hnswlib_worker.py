# SPDX-License-Identifier: Apache-2.0
import os
import sys
import time
from pathlib import Path

import hnswlib
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, recall, serve, task  # noqa: E402


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


@task
def graph_build(vectors, queries, truth, metric, build, effort, threads):
    """Seconds of a build, and what a search finds in what was built."""
    x, q, exact = np.load(vectors), np.load(queries), np.load(truth)

    def work():
        started = time.perf_counter()
        index = _built(x, metric, build, threads)
        seconds = time.perf_counter() - started
        index.set_ef(effort)
        return {"seconds": seconds, "recall": recall(index.knn_query(q, k=exact.shape[1])[0], exact)}

    return work


def _built(x, metric, build, threads, keep=None):
    """The index, from keep's file where there is one. A build that takes longer than keep.at_most seconds leaves off and goes on
    from there the next time."""
    index = hnswlib.Index(space="l2" if metric == "l2" else "ip", dim=x.shape[1])
    started, file = time.perf_counter(), keep and (keep.load() or os.path.exists(keep.part) and keep.part)
    if file:
        index.load_index(file, max_elements=len(x))
    else:
        index.init_index(max_elements=len(x), M=build["M"], ef_construction=build["ef_construction"], random_seed=1)
    index.set_num_threads(threads)
    step = len(x) if keep is None or keep.at_most is None else 4096
    for begin in range(index.get_current_count(), len(x), step):
        index.add_items(x[begin : begin + step])
        if step < len(x) and time.perf_counter() - started > keep.at_most and begin + step < len(x):
            keep.leave_off(index.save_index, time.perf_counter() - started, f"{begin + step:,} of {len(x):,} rows")
    if keep is not None and not keep.load():
        keep.save(index.save_index)
    return index


def _searcher(x, metric, kind, build, threads, allowed, keep=None):
    index = _built(x, metric, build, threads, keep)
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
