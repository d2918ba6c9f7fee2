# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import index_curve_task, serve, task  # noqa: E402


@task
def topk(users, items, **_):
    """The bare float32 matrix product in blocks of users: nothing is selected, nothing filtered."""
    u, i = np.load(users), np.ascontiguousarray(np.load(items).T)
    out = np.empty((512, i.shape[1]), np.float32)

    def work():
        for start in range(0, len(u), 512):
            block = u[start : start + 512]
            np.matmul(block, i, out=out[: len(block)])

    return work


def _searcher(x, metric, kind, build, threads, allowed):
    """The matrix product over the allowed rows, then a partition."""
    rows = x if allowed is None else np.ascontiguousarray(x[allowed])

    def search(q, k, effort):
        out = np.empty((len(q), k), np.int64)
        for start in range(0, len(q), 256):
            scores = q[start : start + 256] @ rows.T
            out[start : start + len(scores)] = np.argpartition(-scores, k, axis=1)[:, :k] if k < len(rows) else np.argsort(-scores)
        return out if allowed is None else allowed[out]

    return search


index_curve_task(_searcher)



if __name__ == "__main__":
    serve()
