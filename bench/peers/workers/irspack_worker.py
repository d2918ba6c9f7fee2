# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task, timed_fit  # noqa: E402
from serving_tasks import use_irspack  # noqa: E402

import irspack  # noqa: E402
from irspack import IALSRecommender  # noqa: E402
from irspack.utils.id_mapping import retrieve_recommend_from_score  # noqa: E402

use_irspack()


@task
def als(train, factors, sweeps, regularization, unobserved_weight, threads, solver="CG", out=None):
    matrix = sp.load_npz(train)
    return timed_fit(lambda: IALSRecommender(matrix, n_components=factors, alpha0=unobserved_weight, reg=regularization, train_epochs=sweeps,
                                             solver_type=solver, n_threads=threads).learn(),
                     lambda model: (model.get_user_embedding(), model.get_item_embedding()), out)


@task
def neighbours(train, model, options, k, threads):
    matrix = sp.load_npz(train).tocsr()

    def work():
        fitted = getattr(irspack, model)(matrix, n_threads=threads, **options).learn()
        total = 0
        for begin in range(0, matrix.shape[0], 2048):
            end = min(begin + 2048, matrix.shape[0])
            scores = fitted.get_score_remove_seen_block(begin, end)
            total += sum(sum(item for item, _ in row) for row in retrieve_recommend_from_score(scores, [], k, n_threads=threads))
        return {"checksum": total}

    return work


if __name__ == "__main__":
    serve()
