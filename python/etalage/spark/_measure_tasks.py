# SPDX-License-Identifier: Apache-2.0
"""Tasks of evaluate: the lists of a partition's users, measured by the local evaluation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .. import _core
from ..evaluation import evaluate
from . import _models as models
from ._list_tasks import _index
from ._measure import exact_parts

_USERS = 16384  # users measured at a time: their rows and values are in memory


def measure(batches, place, spec, k, metrics, hide_seen, check_fit):
    """Exact partial sums of every metric over the users of a partition, whose pairs come together: (name, part)."""
    import pyarrow as pa

    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    sums = {}
    users, items, values = [], [], []

    def add(name, numbers):
        sums[name] = exact_parts([*sums.get(name, []), *np.asarray(numbers).tolist()])

    def take(last):
        """Measures the users that are whole: all but the newest one, unless nothing comes any more."""
        u, i, v = (np.concatenate(c) for c in (users, items, values))
        whole = len(u) if last else int(np.argmax(u == u[-1]))
        _add(model, u[:whole], i[:whole], v[:whole], k, metrics, hide_seen, check_fit, place, add)
        users[:], items[:], values[:] = [u[whole:]], [i[whole:]], [v[whole:]]

    seen = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        u, i = _index(model, "user", batch.column(0), "user"), _index(model, "item", batch.column(1), "item")
        v = np.ones(len(u)) if batch.num_columns < 3 else batch.column(2).to_numpy(zero_copy_only=False)
        known = (u >= 0) & (i >= 0)
        users.append(u[known]), items.append(i[known]), values.append(v[known])
        seen += int(known.sum())
        if seen >= _USERS * 16:
            take(False)
            seen = len(users[0])
    if seen:
        take(True)
    out = [(name, part) for name, parts in sums.items() for part in parts]
    yield pa.RecordBatch.from_arrays([pa.array([n for n, _ in out], pa.string()), pa.array([p for _, p in out], pa.float64())], ["name", "part"])


def _add(model, users, items, values, k, metrics, hide_seen, check_fit, place, add):
    asked = np.unique(users)
    if not len(asked):
        return
    weights = sp.coo_matrix((values, (users, items)), shape=(model.model.num_users, model.model.num_items)).tocsr()
    weights.data = (weights.data > 0).astype(np.float32)
    weights.eliminate_zeros()
    train = _train(model)
    if hide_seen and weights.nnz:
        left = weights - weights.multiply(train.user_items_view != 0)
        left.eliminate_zeros()
        add("hidden", [weights.nnz - left.nnz])
        weights = left.tocsr()
    if weights.nnz == 0:
        return
    out = evaluate(model.model, train, _core.Interactions.from_csr(weights), k, metrics, filter_already_liked_items=hide_seen,
                   check_fit=check_fit, num_threads=place.cpus)
    for name, per_user in out.per_user.items():
        add(name, per_user)
    add("users", [out["users"]])


def _train(model):
    """The rows that the model keeps, made once a worker."""
    if not hasattr(model, "train"):
        model.train = _core.Interactions.from_csr(model.core.user_items)
    return model.train
