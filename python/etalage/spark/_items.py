# SPDX-License-Identifier: Apache-2.0
"""ItemKNN, P3alpha, RP3beta and EASE on Spark: sums by blocks of items, with the bits of the models of one machine."""

from __future__ import annotations

import inspect
import math
import os
import time

from .. import _core, models
from ._item_steps import ItemFit
from ._session import partitions_of, slots
from ._training import Training


class _ItemModel:
    """The model of etalage.models of this name, with its parameters, fitted by the executors of a Spark session.

    fit() returns that model, with the bits of its own fit() on the same matrix (users and items in the order of their keys) for
    any number of partitions and executors of one SIMD level. A task holds the rows of the users of some items.
    """

    def __init__(self, *args, **params):
        self._local = self._class(*args, **params)

    def get_params(self, deep=True):
        return self._local.get_params(deep)

    def __repr__(self):
        return f"spark.{self._local!r}"

    def fit(self, df, user="user", item="item", event=None, time=None, value=None, *, folder=None, session=None, partitions=None, **options):
        """Fits on events, or on the Blocks of spark.interactions(); returns the fitted model.

        df, columns, folder, session, options   as for spark.ALS.fit(). Blocks of weights that are in the folder are not made again
        partitions   of each job; None: up to four for each task that may run at once
        """
        return _Training(self._local, df, session, folder, partitions).run(dict(user=user, item=item, event=event, time=time, value=value), options)


class ItemKNN(_ItemModel):
    __doc__ = _ItemModel.__doc__
    _class = models.ItemKNN
    __signature__ = inspect.signature(models.ItemKNN)


class P3alpha(_ItemModel):
    __doc__ = _ItemModel.__doc__
    _class = models.P3alpha
    __signature__ = inspect.signature(models.P3alpha)


class RP3beta(_ItemModel):
    __doc__ = _ItemModel.__doc__
    _class = models.RP3beta
    __signature__ = inspect.signature(models.RP3beta)


class EASE(_ItemModel):
    """models.EASE, with its parameters, fitted by the executors of a Spark session.

    The Gram matrix is summed in the cluster, block of items by block; one task inverts it in its memory, 4 num_items^2 bytes (which
    memory_budget limits: 8 GiB are 46,340 items) and num_items^3 operations by spark.task.cpus threads. More items, and method
    "approximate", are a ValueError before anything is summed. fit() returns a models.EASE with the bits of its own fit() on the same matrix
    (users and items in the order of their keys) for any number of partitions and executors of one SIMD level. Where it would solve over
    the users, because they are fewer than .8 of the items, that one task does so too.
    """

    _class = models.EASE
    __signature__ = inspect.signature(models.EASE)


class _Training(Training):
    def _train(self, path, blocks, model, begin):
        kind = self.local._kind
        work = os.path.join(path, "weights")
        asked = {k: v for k, v in self.local._options().items() if k not in ("num_threads", "keep_history")}
        self._agree(path, {"blocks": blocks.settings, "at": blocks.path, "kind": kind, "options": asked})
        os.makedirs(work, exist_ok=True)
        fit = ItemFit(blocks.path, work, kind, None)
        tasks = partitions_of(self.session, self.partitions, 4 * slots(self.session))

        def step(name):
            missing = fit.missing(name)
            if missing:
                self._tasks(f"spark.{kind}: {name}", len(missing), tasks, "_item_tasks", "step", fit.path, fit.work, kind, fit.options, name, missing)
            if fit.missing(name):
                raise RuntimeError(f"blocks {fit.missing(name)[:5]} of {name} were reported but are not in {work!r}: the driver and the executors "
                                   "must share this folder")

        step("totals")
        counts, _, _ = fit.totals()
        # What "auto" becomes, as the local fit reads it from the shape of the data.
        users, items = blocks.shape
        chosen = self.local._settled(users, items, blocks.nnz, blocks.nnz / max(1, int((counts > 0).sum())))
        if getattr(self.local, "method", None) == "auto" and "method" in chosen:
            chosen["method"] = "exact"  # there is no other here; without the memory for it, that is what is refused
        fit.options = {**self.local._options(), **chosen, "num_threads": 0}
        if kind == "EASE":
            if _sums_gram(fit.options, users, items):
                step("gram")
        else:
            if kind == "ItemKNN":
                step("squares")
            step("rows")
        self._tasks(f"spark.{kind}: writing the model", 1, 1, "_item_tasks", "assemble", fit.path, work, kind, fit.options, model,
                    self.local.keep_history, time.perf_counter() - begin)


def _sums_gram(options, users, items):
    """Whether the Gram matrix of the items is what is needed; ValueError where one task cannot hold what it would solve."""
    if options["method"] == "approximate":
        raise ValueError("method is 'approximate', must be 'exact' or 'auto' on Spark: candidates of an item need the rows of all their users")
    try:
        return _core.EaseModel.over_items({**options, "method": "exact", "num_threads": 0}, users, items)
    except ValueError:
        budget = options["memory_budget"]
        raise ValueError(f"data has {items} items, whose Gram matrix takes {4 * items * items} bytes in the task that inverts it, must have at most "
                         f"{math.isqrt(budget // 4)} with memory_budget={budget}: give executors the memory and raise it, or leave out rare items "
                         "with min_item_count") from None
