# SPDX-License-Identifier: Apache-2.0
"""What runs around every task in a Python worker. Mistakes there reach the driver in one line that names job, partition and host."""

from __future__ import annotations

import dataclasses

from .. import _core

_MARK = "etalage.spark "


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a task runs."""

    partition: int
    cpus: int  # spark.task.cpus: the threads that a kernel may use


def task(job, module, name, *arguments):
    """A function for mapInArrow that runs etalage.spark.<module>.<name>(batches, place, *arguments).

    It is shipped by value and imports the package itself, so that a worker without the wheel, or with another version of it,
    can say so; a function of the package would fail while it is unpickled, with a traceback alone.
    """
    version, mark = _core.build_info()["version"], _MARK

    def run(batches):
        import importlib
        import os
        import socket
        import sys

        from pyspark import TaskContext

        context = TaskContext.get()
        partition = context.partitionId()
        where = f"{job}, partition {partition} (attempt {context.attemptNumber()}) on {socket.gethostname()}"

        def failed(error, text):
            raise RuntimeError(f"{mark}{type(error).__name__}: {where}: {text}") from error

        try:
            import etalage
        except ImportError as error:
            failed(error, f"this worker's Python {sys.executable} cannot import etalage ({error}); install etalage {version} there, or ship "
                          "an environment with the job (docs/spark.md)")
        if etalage.__version__ != version:
            failed(RuntimeError(), f"this worker has etalage {etalage.__version__} in {os.path.dirname(etalage.__file__)}, the driver has "
                                   f"{version}: both must be the same")
        try:
            place = importlib.import_module("etalage.spark._worker").Place(partition, max(1, context.cpus()))
            yield from getattr(importlib.import_module("etalage.spark." + module), name)(batches, place, *arguments)
        except Exception as error:
            text = " ".join(str(error).split())
            failed(error, text if len(text) <= 2000 else text[:2000] + " ...")

    return run
