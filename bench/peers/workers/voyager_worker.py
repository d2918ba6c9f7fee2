# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import voyager

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve  # noqa: E402


def _searcher(x, metric, kind, build, threads, allowed):
    space = {"dot": voyager.Space.InnerProduct, "cosine": voyager.Space.Cosine, "l2": voyager.Space.Euclidean}[metric]
    index = voyager.Index(space, num_dimensions=x.shape[1], M=build["M"], ef_construction=build["ef_construction"])
    index.add_items(x, num_threads=threads)
    return lambda q, k, effort: index.query(q, k, num_threads=threads, query_ef=max(k, effort))[0].astype("int64")


index_curve_task(_searcher)

if __name__ == "__main__":
    serve()
