# SPDX-License-Identifier: Apache-2.0
"""How the driver talks to one library in an environment of its own.

A worker is a script that defines tasks and calls serve(). The driver sends one JSON object a line,
{"task": name, ...arguments}, and gets one back, {"seconds": s, ...} or {"error": text}. A task does its untimed
preparation in its first call (keyed by its arguments) and times only the work that the table names.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import traceback

TASKS = {}


def task(function):
    """Registers prepare(**arguments) -> work; work() -> dict of results beside the seconds it took."""
    TASKS[function.__name__] = function
    return function


def rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def recall(found, exact) -> float:
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist())) / exact.size


class Unfinished(RuntimeError):
    """An index that is not whole within the seconds given; what there is of it was kept."""


class KeptIndex:
    """The file of an index that is built once and read from then on, with what its building took beside it. at_most: seconds
    after which a side that can go on from a part of an index leaves off with Unfinished."""

    def __init__(self, path, at_most=None):
        self.path, self.at_most = path, at_most
        self.part, self._facts = f"{path}.part", f"{path}.json"
        self._was_there = os.path.exists(path)

    def load(self):
        """The path where the index is whole, else None."""
        return self.path if self._was_there else None

    def save(self, write) -> None:
        """write(path): to a name of its own first, so that a file under the right name is whole."""
        write(self.part)
        os.replace(self.part, self.path)

    def leave_off(self, write, seconds: float, done: str) -> None:
        write(self.part)
        self._note({"build_seconds": self._earlier() + seconds})
        raise Unfinished(f"{done} are in {self.part}: the same command goes on from there")

    def facts(self, built: dict) -> dict:
        """Seconds and MB that its building took, those of calls that left off included."""
        if not self._was_there:
            self._note(built | {"build_seconds": self._earlier() + built["build_seconds"]})
        with open(self._facts) as file:
            return json.load(file)

    def _earlier(self) -> float:
        if not os.path.exists(self._facts):
            return 0.0
        with open(self._facts) as file:
            return json.load(file)["build_seconds"]

    def _note(self, built: dict) -> None:
        with open(self._facts, "w") as out:
            json.dump(built, out)


def index_curve_task(make):
    """The task index_curve from make(x, metric, kind, build, threads, allowed) -> search(queries, k, effort): recall and
    seconds of all queries at each effort. The index is built in the untimed first call, or, where `keep` names a file, read
    from there once it was built: make takes a KeptIndex then."""
    import numpy as np

    def index_curve(vectors, queries, truth, metric, kind, build, efforts, threads, allowed=None, keep=None, at_most=None):
        x, q, exact = np.load(vectors), np.load(queries), np.load(truth)
        file = None if keep is None else KeptIndex(keep, at_most)
        before, started = rss_mb(), time.perf_counter()
        search = make(x, metric, kind, build, threads, None if allowed is None else np.load(allowed), **({"keep": file} if file else {}))
        built = {"build_seconds": time.perf_counter() - started, "index_mb": rss_mb() - before}
        if file is not None:
            built = file.facts(built)

        def work():
            points = []
            for effort in efforts:
                best = float("inf")
                for _ in range(2):
                    begin = time.perf_counter()
                    ids = np.asarray(search(q, exact.shape[1], effort))
                    best = min(best, time.perf_counter() - begin)
                points.append([recall(ids, exact), best])
            return {"points": points, "seconds": points[0][1]} | built

        return work

    TASKS["index_curve"] = index_curve


def timed_fit(fit, factors, out):
    """work() of a task: seconds of fit(), and where `out` is a path the factors(model) -> (users, items) there."""
    import numpy as np

    def work():
        started = time.perf_counter()
        model = fit()
        seconds = time.perf_counter() - started
        if out:
            users, items = factors(model)
            np.savez(out, users=users, items=items)
        return {"seconds": seconds}

    return work


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not reach the driver
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps(request, sort_keys=True)
        try:
            if key not in prepared:
                prepared.clear()
                prepared[key] = TASKS[request.pop("task")](**request)
            started = time.perf_counter()
            result = prepared[key]() or {}
            result.setdefault("seconds", time.perf_counter() - started)
            result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        except Exception:  # a peer may raise anything; the table shows it
            result = {"error": traceback.format_exc(limit=3)}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


class Worker:
    """The driver's side."""

    def __init__(self, python: str, script: str, threads: int, extra_env: dict | None = None):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
        env = os.environ | dict.fromkeys(names, str(threads)) | (extra_env or {})
        self.process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=env)

    def ask(self, **request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process died"}

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
