# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task  # noqa: E402

from cmfrec import CMF_implicit  # noqa: E402


@task
def als(train, factors, sweeps, regularization, threads, out=None):
    rows = sp.load_npz(train).tocoo()
    return lambda: CMF_implicit(k=factors, lambda_=regularization, alpha=8.0, niter=sweeps, use_cg=True, precompute_for_predictions=False,
                                nthreads=threads, verbose=False).fit(rows) and None


if __name__ == "__main__":
    serve()
