# SPDX-License-Identifier: Apache-2.0
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task  # noqa: E402

import buffalo  # noqa: E402

buffalo.set_log_level(0)


def trained(kind, option, train, settings, threads):
    """buffalo keeps its input in an HDF5 file of its own: making it is not timed, to its favour."""
    folder = tempfile.mkdtemp()
    source = buffalo.MatrixMarketOptions().get_default_option()
    source.input.main = sp.load_npz(train)
    source.data.tmp_dir, source.data.path, source.data.validation = folder, os.path.join(folder, "mm.h5py"), {}
    chosen = option().get_default_option()
    for name, value in (settings | {"num_workers": threads, "compute_loss_on_training": False, "evaluation_on_learning": False, "validation": {}}).items():
        chosen[name] = value
    model = kind(chosen, data_opt=source)

    def work():
        model.initialize()
        started = time.perf_counter()
        model.train()
        return {"seconds": time.perf_counter() - started}

    return model, work


@task
def als(train, factors, sweeps, regularization, threads, out=None):
    return trained(buffalo.ALS, buffalo.ALSOption, train, {"d": factors, "num_iters": sweeps, "reg_u": regularization, "reg_i": regularization, "alpha": 8.0}, threads)[1]


@task
def bpr(train, options, threads, out=None):
    model, train_it = trained(buffalo.BPRMF, buffalo.BPRMFOption, train, options | {"use_bias": False}, threads)

    def work():
        answer = train_it()
        if out:
            np.savez(out, users=model.P, items=model.Q)
        return answer

    return work


if __name__ == "__main__":
    serve()
