# SPDX-License-Identifier: Apache-2.0
"""The package reaches executors in an archive, as docs/spark.md says, where nothing is installed."""

import shutil
import tarfile
from pathlib import Path

import pytest

import etalage
from etalage import spark
from etalage.spark._worker import task
from spark_jobs import session

pytestmark = pytest.mark.slow


def test_the_package_travels_in_an_archive(tmp_path):
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'etalage[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17, and there is no java")
    with tarfile.open(tmp_path / "lib.tar.gz", "w:gz", compresslevel=1, dereference=True) as archive:
        archive.add(Path(etalage.__file__).parent, "etalage", filter=lambda f: None if "__pycache__" in f.name else f)
    running = session("local-cluster[1,2,1024]", **{"spark.task.cpus": "2", "spark.archives": f"{tmp_path}/lib.tar.gz#lib", "spark.executorEnv.PYTHONPATH": "./lib",
                                                    "spark.executorEnv.PYTHONSAFEPATH": "1"})
    try:
        def where(batches):
            import etalage as there
            import pyarrow as pa

            for _ in batches:
                yield pa.RecordBatch.from_arrays([pa.array([there.__file__])], ["path"])

        path = running.range(1).mapInArrow(where, "path string").first()["path"]
        assert "/lib/" in path and not path.startswith(str(Path(etalage.__file__).parents[1]))
        # Threads of a task are those that it may use: one beside the caller's here, and no pool of a whole machine.
        probe = task("spark.test", "_list_tasks", "probe")

        def counting(batches):
            import os

            import numpy as np
            import pyarrow as pa
            from etalage import _core
            from etalage.spark import _list_tasks

            def threads(batches, place):
                for _ in batches:
                    before = len(os.listdir("/proc/self/task"))
                    _core.als_turn(np.eye(64), np.ones((20_000, 64), np.float32), place.cpus)
                    yield pa.RecordBatch.from_arrays([pa.array([place.cpus]), pa.array([len(os.listdir("/proc/self/task")) - before])], ["cpus", "more"])

            _list_tasks.probe = threads
            try:
                yield from probe(batches)
            finally:
                del _list_tasks.probe

        found = running.range(1).mapInArrow(counting, "cpus bigint, more bigint").first()
        assert found["cpus"] == 2 and found["more"] <= 1
        frame = running.createDataFrame([("a", 1), ("b", 1), ("a", 2)], "user string, item int")
        assert spark.interactions(frame).nnz == 3
    finally:
        running.stop()
