# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task  # noqa: E402

from irspack import IALSRecommender  # noqa: E402


@task
def als(train, factors, sweeps, regularization, unobserved_weight, threads, solver="CG"):
    matrix = sp.load_npz(train)

    def work():
        IALSRecommender(matrix, n_components=factors, alpha0=unobserved_weight, reg=regularization, train_epochs=sweeps,
                        solver_type=solver, n_threads=threads).learn()

    return work


if __name__ == "__main__":
    serve()
