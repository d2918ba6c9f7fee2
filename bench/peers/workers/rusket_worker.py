# SPDX-License-Identifier: Apache-2.0
import os
import sys
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "2"))  # rusket has no argument for it

import numpy as np  # noqa: E402
import scipy.sparse as sp  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve, task, timed_fit  # noqa: E402

import rusket  # noqa: E402


def factors_of(model):
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


def as_lists(found):
    return found, np.empty(0)


def fitted(model, rows):
    model.fit(rows)
    return model


@task
def als(train, factors, sweeps, regularization, alpha, threads, cg_iters=None, out=None):
    """cg_iters: None for its default, 5."""
    rows = sp.load_npz(train).tocsr()
    return timed_fit(lambda: fitted(rusket.ALS(factors=factors, regularization=regularization, alpha=alpha, iterations=sweeps,
                                               cg_iters=cg_iters), rows), factors_of, out)


@task
def bpr(train, options, threads, out=None):
    rows = sp.load_npz(train).tocsr()
    return timed_fit(lambda: fitted(rusket.BPR(**options), rows), factors_of, out)


@task
def ease_model(train, l2, threads, k, users, out=None):
    """A whole fit, and lists of some users for what they are worth."""
    rows = sp.load_npz(train).tocsr()
    return timed_fit(lambda: fitted(rusket.EASE(regularization=l2), rows),
                     lambda model: (lists_of(model, np.load(users), k), np.empty(0)), out)


@task
def neighbours(train, model, options, k, threads, out=None):
    """A fit and the k best of every user, their own rows filtered: it has no call for all of them."""
    rows = sp.load_npz(train).tocsr()

    return timed_fit(lambda: lists_of(fitted(getattr(rusket, model)(**options), rows), range(rows.shape[0]), k), as_lists, out)


def lists_of(model, users, k):
    found = np.full((len(users), k), -1, np.int64)
    for at, user in enumerate(users):
        items = np.asarray(model.recommend_items(int(user), n=k, exclude_seen=True)[0])
        found[at, : len(items)] = items
    return found


@task
def topk(users, items, seen, k, threads, out=None):
    """Lists of all users from given factors."""
    model = rusket.ALS.from_factors(np.load(users), np.load(items))
    rows = sp.load_npz(seen).tocsr()

    return timed_fit(lambda: model.batch_recommend(n=k, exclude_seen=False, exclude=rows),
                     lambda frame: as_lists(frame[frame.columns[1]].to_numpy().reshape(-1, k)), out)


if __name__ == "__main__":
    serve()
