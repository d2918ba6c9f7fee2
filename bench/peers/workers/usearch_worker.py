# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import numpy as np
from usearch.index import Index

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve  # noqa: E402


def _searcher(x, metric, kind, build, threads, allowed):
    index = Index(ndim=x.shape[1], metric={"dot": "ip", "cosine": "cos", "l2": "l2sq"}[metric], dtype="f32",
                  connectivity=build["M"], expansion_add=build["ef_construction"])
    index.add(np.arange(len(x), dtype=np.uint64), x, threads=threads)

    def search(q, k, effort):
        index.expansion_search = max(k, effort)
        return index.search(q, k, threads=threads).keys.astype(np.int64)

    return search


index_curve_task(_searcher)

if __name__ == "__main__":
    serve()
