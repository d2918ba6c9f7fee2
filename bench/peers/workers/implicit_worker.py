# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task, timed_fit  # noqa: E402
from serving_tasks import use_implicit  # noqa: E402

from implicit import nearest_neighbours  # noqa: E402
from implicit.cpu.als import AlternatingLeastSquares  # noqa: E402
from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: E402
from implicit.cpu.topk import topk as implicit_topk  # noqa: E402

use_implicit()


def timed(make, train, out):
    """A fresh model each time: implicit's fit goes on from the factors that a model has."""
    matrix = sp.load_npz(train)

    def fit():
        model = make()
        model.fit(matrix, show_progress=False)
        return model

    return timed_fit(fit, lambda model: (model.user_factors, model.item_factors), out)


@task
def als(train, factors, sweeps, regularization, threads, alpha=1.0, solver="cg", out=None):
    return timed(lambda: AlternatingLeastSquares(factors=factors, regularization=regularization, alpha=alpha, iterations=sweeps, num_threads=threads,
                                                 use_cg=solver == "cg", calculate_training_loss=False), train, out)


@task
def bpr(train, options, threads, out=None):
    return timed(lambda: BayesianPersonalizedRanking(num_threads=threads, random_state=1, **options), train, out)


@task
def topk(users, items, seen, k, threads):
    u, i, rows = np.load(users), np.load(items), sp.load_npz(seen).tocsr()
    return lambda: {"checksum": int(implicit_topk(i, u, k, filter_query_items=rows, num_threads=threads)[0].astype(np.int64).sum())}


@task
def neighbours(train, model, options, k, threads):
    rows = sp.load_npz(train).tocsr()
    everyone = np.arange(rows.shape[0], dtype=np.int32)

    def work():
        fitted = getattr(nearest_neighbours, model)(num_threads=threads, **options)
        fitted.fit(rows, show_progress=False)
        return {"checksum": int(fitted.recommend(everyone, rows, N=k)[0].astype(np.int64).sum())}

    return work


if __name__ == "__main__":
    serve()
