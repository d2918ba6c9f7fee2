# SPDX-License-Identifier: Apache-2.0
"""Tasks of evaluate: the lists of a partition's users, measured by the local evaluation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .. import _core
from ..evaluation import evaluate, evaluate_ranking
from . import _models as models
from ._list_tasks import _index
from ._measure import exact_parts

_USERS = 16384  # users measured at a time: their rows and values are in memory


def measure(batches, place, spec, k, metrics, hide_seen, check_fit):
    """Exact partial sums of every metric over the users of a partition, whose pairs come together: (name, part)."""
    model = models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    sums = _Sums()
    users, items, values = [], [], []

    def take(last):
        """Measures the users that are whole: all but the newest one, unless nothing comes any more."""
        u, i, v = (np.concatenate(c) for c in (users, items, values))
        whole = len(u) if last else int(np.argmax(u == u[-1]))
        _add(model, u[:whole], i[:whole], v[:whole], k, metrics, hide_seen, check_fit, place, sums.add)
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
    yield sums.batch()


class _Sums:
    """Exact partial sums by name."""

    def __init__(self):
        self._parts = {}

    def add(self, name, numbers):
        self._parts[name] = exact_parts([*self._parts.get(name, []), *np.asarray(numbers).tolist()])

    def batch(self):
        import pyarrow as pa

        out = [(name, part) for name, parts in self._parts.items() for part in parts]
        return pa.RecordBatch.from_arrays([pa.array([n for n, _ in out], pa.string()), pa.array([p for _, p in out], pa.float64())], ["name", "part"])


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


def measure_lists(batches, place, spec, k, metrics, hide_seen):
    """Exact partial sums over rows (user, liked items, listed items or null), each user once."""
    model = None if spec is None else models.opened(spec["model_path"], spec["identity"], spec["shipped"])
    sums = _Sums()
    for batch in batches:
        if batch.num_rows:
            _add_lists(batch, model, k, metrics, hide_seen, place, sums)
    yield sums.batch()


def _add_lists(batch, model, k, metrics, hide_seen, place, sums):
    import pyarrow as pa

    users, liked, listed = batch.columns
    if users.null_count:
        raise ValueError(f"column 'user' has a null key in row {_first(users.is_null())} of a batch, must have none: filter them out")
    owner, items, _ = _flat(liked, users, "test")
    list_owner, list_items, place_in = _flat(listed, users, "lists")
    if model is not None:
        owner, items, hidden = _of_model(model, users, owner, items, hide_seen)
        sums.add("hidden", [hidden])
    both = pa.chunked_array([items, list_items]).combine_chunks()
    both = both.chunk(0) if isinstance(both, pa.ChunkedArray) else both
    codes = np.asarray(both.dictionary_encode().indices)
    count = int(codes.max(initial=-1)) + 1
    n = len(users)
    relevant = sp.csr_matrix((np.ones(len(owner), np.float32), (owner, codes[:len(owner)])), shape=(n, max(1, count)))
    relevant.data[:] = 1  # a pair counts once
    ranking = np.full((n, max(max(k), int(place_in.max(initial=-1)) + 1)), -1, np.int32)
    ranking[list_owner, place_in] = codes[len(owner):]
    order = np.sort(ranking, axis=1)
    twice = np.flatnonzero(((order[:, 1:] == order[:, :-1]) & (order[:, 1:] >= 0)).any(axis=1))
    if len(twice):
        raise ValueError(f"lists has an item twice in the list of user {users[int(twice[0])].as_py()!r}, must have each once")
    if relevant.nnz == 0:
        return
    out = evaluate_ranking(ranking[:, :max(k)], _core.Interactions.from_csr(relevant), k=k, metrics=metrics, num_threads=place.cpus)
    for name, per_user in out.per_user.items():
        sums.add(name, per_user)
    sums.add("users", [out["users"]])


def _first(mask):
    return int(np.flatnonzero(np.asarray(mask))[0])


def _flat(column, users, name):
    """(row, value, place within the row) of the values of a column of lists."""
    import pyarrow.compute as pc

    values = column.flatten()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
    owner = np.repeat(np.arange(len(column)), lengths)
    if values.null_count:
        row = owner[_first(values.is_null())]
        raise ValueError(f"column 'item' of {name} has a null key for user {users[int(row)].as_py()!r}, must have none: filter them out")
    return owner, values, np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _of_model(model, users, owner, items, hide_seen):
    """The relevant pairs whose user and item the model knows and, with hide_seen, its rows do not hold; how many were hidden."""
    import pyarrow as pa

    index, of = model.ids("user").find(users)[owner], model.ids("item").find(items)
    kept = (index >= 0) & (of >= 0)
    hidden = 0
    if hide_seen and kept.any():
        rows, row_of = np.unique(index[kept], return_inverse=True)
        seen = np.asarray((_train(model).user_items_view[rows] != 0)[row_of, of[kept]]).ravel().astype(bool)
        hidden = len({(int(u), int(i)) for u, i in zip(index[kept][seen], of[kept][seen])})
        kept[kept] = ~seen
    return owner[kept], items.filter(pa.array(kept)), hidden


def _train(model):
    """The rows that the model keeps, made once a worker."""
    if not hasattr(model, "train"):
        model.train = _core.Interactions.from_csr(model.core.user_items)
    return model.train
