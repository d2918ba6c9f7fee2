# SPDX-License-Identifier: Apache-2.0
"""The package reaches executors in an archive, as docs/spark.md says, where nothing is installed."""

import shutil
import tarfile
from pathlib import Path

import pytest

import etalage
from etalage import spark
from test_spark import session

pytestmark = pytest.mark.slow


def test_the_package_travels_in_an_archive(tmp_path):
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'etalage[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17, and there is no java")
    with tarfile.open(tmp_path / "lib.tar.gz", "w:gz", compresslevel=1, dereference=True) as archive:
        archive.add(Path(etalage.__file__).parent, "etalage", filter=lambda f: None if "__pycache__" in f.name else f)
    running = session("local-cluster[1,1,1024]", **{"spark.archives": f"{tmp_path}/lib.tar.gz#lib", "spark.executorEnv.PYTHONPATH": "./lib",
                                                    "spark.executorEnv.PYTHONSAFEPATH": "1"})
    try:
        def where(batches):
            import etalage as there
            import pyarrow as pa

            for _ in batches:
                yield pa.RecordBatch.from_arrays([pa.array([there.__file__])], ["path"])

        path = running.range(1).mapInArrow(where, "path string").first()["path"]
        assert "/lib/" in path and not path.startswith(str(Path(etalage.__file__).parents[1]))
        frame = running.createDataFrame([("a", 1), ("b", 1), ("a", 2)], "user string, item int")
        assert spark.interactions(frame).nnz == 3
    finally:
        running.stop()
