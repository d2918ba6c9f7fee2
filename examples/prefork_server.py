# SPDX-License-Identifier: Apache-2.0
"""A pre-fork server: the parent loads the model and answers once, then forks workers that answer and even train.

The workers share the pages of the mapped model file, and may use every call of the library, parallel ones included.

    python examples/prefork_server.py [workers]
"""

import json
import os
import sys
import tempfile

import numpy as np
import scipy.sparse as sp

import etalage


def purchases(users=400, items=120, seed=7):
    """Shoppers of four tastes, each buying among the items of their own."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((users, items), np.float32)
    for u in range(users):
        rows[u, rng.choice(np.arange(u % 4, items, 4), 8, replace=False)] = 1
    return etalage.Interactions.from_csr(sp.csr_matrix(rows), user_ids=[f"shopper-{u}" for u in range(users)],
                                         item_ids=[f"product-{i}" for i in range(items)])


def work(worker, model, data):
    """What a worker does with its requests; here three of them."""
    keys, _ = model.recommend_ids([f"shopper-{worker}", "a newcomer"], k=3)
    everyone, _ = model.recommend(np.arange(model.num_users), k=5)  # a parallel loop in a forked child
    retrained = etalage.models.ALS(factors=8, iterations=5, num_threads=2, seed=1).fit(data)
    return {"worker": worker, "pid": os.getpid(), "for the shopper": keys[0].tolist(), "for a newcomer": keys[1].tolist(),
            "users answered": len(everyone), "same after training here": bool(
                np.array_equal(retrained.recommend(np.arange(model.num_users), k=5)[0], everyone))}


def main(workers=3):
    data = purchases()
    path = os.path.join(tempfile.mkdtemp(), "model.etalage")
    etalage.models.ALS(factors=8, iterations=5, num_threads=2, seed=1).fit(data).save(path)
    model = etalage.load(path)
    model.recommend(np.arange(model.num_users))  # the parent's threads exist before the fork

    children = []
    for worker in range(workers):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "w") as out:
                    json.dump(work(worker, model, data), out)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        children.append((pid, reader))

    failed = 0
    for pid, reader in children:
        with os.fdopen(reader) as answers:
            text = answers.read()
        _, status = os.waitpid(pid, 0)
        failed += status != 0
        print(text or f"worker {pid} ended with status {status}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
