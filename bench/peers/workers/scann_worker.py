# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import scann

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve  # noqa: E402


def _searcher(x, metric, kind, build, threads, allowed):
    builder = scann.scann_ops_pybind.builder(x, 10, "dot_product").set_n_training_threads(threads)
    builder = builder.tree(num_leaves=build["leaves"], num_leaves_to_search=build["leaves"] // 20, training_sample_size=250_000)
    index = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()

    def search(q, k, effort):
        leaves, reorder = effort
        call = index.search_batched if threads == 1 else index.search_batched_parallel
        return call(q, k, pre_reorder_num_neighbors=reorder, leaves_to_search=leaves)[0].astype("int64")

    return search


index_curve_task(_searcher)

if __name__ == "__main__":
    serve()
