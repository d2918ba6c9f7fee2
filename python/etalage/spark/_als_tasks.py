# SPDX-License-Identifier: Apache-2.0
"""Tasks of ALS.fit: many half-sweeps by a few tasks that exchange blocks over the folder, and the model's file at the end."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from . import _folder as folder
from ._sweeps import Fit

_PATIENCE = 5.0  # seconds without a sign of life after which a run is somebody else's
_RUNS = 4  # runs of blocks a task and half: what is left to share out at its end


class _Claims:
    """Who makes which run of blocks. A claim saves double work and nothing else: whoever makes a block, its bytes are the same."""

    def __init__(self, path, owner):
        self.path, self.owner, self.mine, self.seen = path, str(owner), None, {}
        self.over = threading.Event()

    @contextlib.contextmanager
    def living(self):
        """Signs of life of the claim that is held, from a thread of its own: kernels run without the interpreter."""
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            thread.join()

    def _beat(self):
        while not self.over.wait(1.0):
            mine = self.mine
            if mine is not None:
                with contextlib.suppress(OSError):
                    os.utime(mine)

    @contextlib.contextmanager
    def held(self, name):
        """Whether the run is this task's; given back where making it fails."""
        path = os.path.join(self.path, name)
        os.makedirs(self.path, exist_ok=True)
        got = self._take(path)
        if not got:
            yield False
            return
        self.mine = path
        try:
            yield True
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(path)
            raise
        finally:
            self.mine = None

    def _take(self, path):
        try:
            with open(path, "x", encoding="ascii") as f:
                f.write(self.owner)
            return True
        except FileExistsError:
            pass
        try:
            with open(path, encoding="ascii") as f:  # opened anew: a shared file system looks again
                owner, beat = f.read(), os.fstat(f.fileno()).st_mtime_ns
        except FileNotFoundError:
            return False  # given back this moment; asked again soon
        now = time.monotonic()  # clocks of hosts differ: what counts is how long the same time was seen
        last, since = self.seen.get(path, (None, now))
        if beat != last:
            self.seen[path] = beat, now
            since = now
        if owner != self.owner and now - since < _PATIENCE:
            return False
        self.seen.pop(path, None)
        gone = f"{path}.{self.owner}.{beat}"
        try:
            os.rename(path, gone)
        except FileNotFoundError:
            return False  # another was quicker
        return self._take(path)


def sweeps(batches, place, path, work, options, job, tasks, last):
    """Half-sweeps up to `last` or the end of the fit; reports each half. Each task makes the runs that nobody has claimed, its own
    first, and waits for the others': any number of tasks that really run comes to the end, one alone too."""
    import pyarrow as pa

    folder.require_seen(work)
    if not sum(batch.num_rows for batch in batches):
        return
    fit = Fit(path, work, options)
    claims = _Claims(os.path.join(work, "claims", job), place.partition)
    half = fit.next_half() - 1
    with claims.living():
        while half < last and (half < 1 or not fit.is_over(half)):
            half += 1
            runs = fit.runs(half, _RUNS * tasks)
            own = place.partition % tasks
            order = sorted(range(len(runs)), key=lambda n: ((n - own) % tasks, n))
            pause = 0.001
            while not fit.has_record(half):
                missing = set(fit.missing(half))
                if not missing:
                    _finish(fit, half)
                    break
                if not _make(fit, half, runs, [n for n in order if missing.intersection(range(*runs[n]))], claims, place.cpus):
                    time.sleep(pause)
                    pause = min(1.5 * pause, 0.1)
            yield pa.RecordBatch.from_arrays([pa.array([half], pa.int64())], ["id"])


def _make(fit, half, runs, wanted, claims, threads):
    """Makes one of the runs, whether there was one to make."""
    for n in wanted:
        with claims.held(f"{half:05d}-{n:06d}") as mine:
            if mine:
                with _overtaken(fit, half):
                    fit.make_run(half, runs[n], threads)
                return True
    return False


def _finish(fit, half):
    with _overtaken(fit, half):
        fit.finish(half)


@contextlib.contextmanager
def _overtaken(fit, half):
    """Files of a half that the others have left behind may be gone; then there is nothing to do."""
    try:
        yield
    except FileNotFoundError:
        if not fit.has_record(half):
            raise


def assemble(batches, place, path, work, options, number, seconds, keep_history, model_path):
    folder.require_seen(work)
    for batch in batches:
        if batch.num_rows:
            Fit(path, work, options).assemble(model_path, number, seconds, keep_history)
            os.stat(model_path)
        yield batch
