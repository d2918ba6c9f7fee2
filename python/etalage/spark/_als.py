# SPDX-License-Identifier: Apache-2.0
"""ALS on Spark: the bits of models.ALS, from any number of partitions and executors."""

from __future__ import annotations

import inspect
import os
import shutil
import time
import types
import uuid

from ..models import ALS as LocalALS
from ..models._progress import progress
from ._session import partitions_of, slots
from ._sweeps import Fit
from ._training import Training


class ALS:
    """models.ALS, with its parameters and its objective, fitted by the executors of a Spark session.

    fit() returns a models.ALS whose factors have the bits of models.ALS.fit() on the same matrix (its users and items in the
    order of their keys), for any number of partitions and executors of one SIMD level, on up to 4,194,304 users and as many
    items; beyond, sums of blocks are grouped by 64s and may differ from one machine's in the last bit of a double.
    Threads of a task follow spark.task.cpus; num_threads is that of the model returned. warm_start is not taken.
    """

    def __init__(self, *args, **params):
        self._local = LocalALS(*args, **params)
        if self._local.warm_start:
            raise ValueError("warm_start is True, must be False: a fit on Spark starts at random, or goes on from its folder")

    __signature__ = inspect.signature(LocalALS)

    def get_params(self, deep=True):
        return self._local.get_params(deep)

    def __repr__(self):
        return f"spark.{self._local!r}"

    def fit(self, df, user="user", item="item", event=None, time=None, value=None, *, folder=None, session=None, partitions=None,
            show_progress=False, callback=None, **options):
        """Fits on events, or on the Blocks of spark.interactions(); returns a models.ALS.

        df           a DataFrame of events, with columns as for spark.interactions(); or a Blocks, then with session=
        folder       a folder that driver and executors share. Blocks of rows, every half-sweep and the model's file
                     (model.etalage) are kept there: a fit that was stopped goes on where it was when it is called again with
                     the same arguments. None, for a session on this machine alone: a temporary one
        partitions   tasks that a job of sweeps has; None: as many as may run at once
        callback     asked after each sweep with step, total, seconds, objective, phase; returning False stops and keeps the sweep
        options      event_weights, half_life_days and the others of spark.interactions()
        """
        return _Training(self._local, df, session, folder, partitions).run(
            dict(user=user, item=item, event=event, time=time, value=value), options, show_progress, callback)


class _Training(Training):
    def _train(self, path, blocks, model, begin, show_progress, callback):
        fit = self._fit(path, blocks)
        with progress("ALS", show_progress, callback) as report:
            last = self._sweeps(fit, report, begin)
        self._job("writing the model", 1, "assemble", fit, last, time.perf_counter() - begin, self.local.keep_history, model)

    def _fit(self, path, blocks):
        options = {k: v for k, v in self.local._options().items() if k not in ("num_threads",)}
        work = os.path.join(path, "sweeps")
        # More sweeps, or another tolerance, go on with what is there.
        self._agree(path, {"blocks": blocks.settings, "at": blocks.path,
                           "options": {k: v for k, v in options.items() if k not in ("iterations", "tolerance", "keep_history")}})
        os.makedirs(work, exist_ok=True)
        return Fit(blocks.path, work, {**options, "num_threads": 0})

    def _sweeps(self, fit, report, begin):
        """Runs the halves that are missing; the number of the last one."""
        half = fit.resumed()
        if half // 2 > fit.options["iterations"]:
            raise ValueError(f"iterations is {fit.options['iterations']} and the folder holds {half // 2} sweeps, must be at least as many")
        tasks = min(partitions_of(self.session, self.partitions, slots(self.session)), max(fit.count(0), fit.count(1)))
        shutil.rmtree(os.path.join(fit.work, "claims"), ignore_errors=True)  # of a driver that died
        while half < 1 or not fit.is_over(half):
            # Watched, a job a sweep; else one job for all of them.
            last = 2 * fit.options["iterations"] + 1 if report is None else max(3, half + 2)
            name = "sweeps" if report is None else f"sweep {last // 2}"
            self._job(name, tasks, "sweeps", fit, uuid.uuid4().hex, tasks, last)
            before, half = half, fit.next_half() - 1
            if half == before:
                raise RuntimeError(f"the tasks have done their half-sweeps and {fit.work!r} has no record of them: the driver and the executors "
                                   "must share this folder")
            if report is not None:
                values = fit.objective(half)
                state = types.SimpleNamespace(step=half // 2, total=fit.options["iterations"], seconds=time.perf_counter() - begin,
                                              objective=values[-1] if values else float("nan"), phase="sweep")
                if report(state) is False:
                    break
        shutil.rmtree(os.path.join(fit.work, "claims"), ignore_errors=True)
        return half

    def _job(self, name, tasks, function, fit, *arguments):
        self._tasks(f"spark.ALS: {name}", tasks, tasks, "_als_tasks", function, fit.path, fit.work, fit.options, *arguments)
