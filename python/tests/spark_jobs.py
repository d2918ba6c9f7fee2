# SPDX-License-Identifier: Apache-2.0
"""What tests of jobs on a real Spark share: a session, an event log, the model that one machine fits on it, tasks that are killed."""

import hashlib
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.spark._worker import task

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'etalage[spark]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")
if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
    pytest.skip("Spark needs Java 17, and there is no java", allow_module_level=True)

EVENTS = 12_000
WEIGHTS = {"view": 1.0, "cart": 2.0, "buy": 4.0, "back": 1.0}


def session(master, **conf):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = pyspark.sql.SparkSession.builder.master(master).appName("etalage")
    paths = os.pathsep.join([str(Path(etalage.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    for name, value in {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "4",
                        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executorEnv.PYTHONPATH": paths,
                        "spark.task.maxFailures": "2", "spark.sql.session.timeZone": "America/New_York", **conf}.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


@pytest.fixture(scope="module", params=["local[2]", "local-cluster[2,1,1024]"])
def running(request):
    made = session(request.param)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(11)
    return {"who": np.array([f"u{u}" for u in rng.zipf(1.3, EVENTS) % 1500], object),
            "what": rng.integers(-600, 700, EVENTS) * 10**13,
            "kind": np.array(["view", "cart", "buy", "back"], object)[rng.integers(0, 4, EVENTS)],
            "at": rng.integers(1767225600_000, 1772409600_000, EVENTS),
            "n": np.round(rng.random(EVENTS) * 5, 2)}


def table(columns):
    import pyarrow as pa

    return pa.table({"who": pa.array(columns["who"], pa.string()), "what": columns["what"], "kind": pa.array(columns["kind"], pa.string()),
                     "at": pa.array(columns["at"] * 1000, pa.timestamp("us", tz="UTC")), "n": columns["n"]})


@pytest.fixture(scope="module")
def parquet(columns, tmp_path_factory):
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("lake") / "events.parquet"
    pq.write_table(table(columns), path, row_group_size=3000)
    return str(path)


@pytest.fixture(scope="module")
def events(running, parquet):
    return running.read.parquet(parquet)


NAMES = dict(user="who", item="what", event="kind", time="at", value="n")


def ordered(data):
    """Interactions with users and items in the order of their keys."""
    users, items = np.asarray(data.user_ids), np.asarray(data.item_ids)
    a, b = np.argsort(users, kind="stable"), np.argsort(items, kind="stable")
    matrix = data.user_items.tocsr()[a][:, b]
    matrix.sort_indices()
    return etalage.Interactions.from_csr(matrix, user_ids=users[a], item_ids=items[b])


def local(columns, names=NAMES, **options):
    """EventLog.interactions on the same rows, in the order in which Spark's count."""
    keep = np.lexsort([columns[names[n]] for n in ("value", "event", "item", "time", "user") if names.get(n)])
    frame = {n: (c[keep] if n != "at" else c[keep].astype("datetime64[ms]")) for n, c in columns.items()}
    named = {**dict(event=None, time=None, value=None), **names}
    return ordered(etalage.EventLog.from_frame(frame, **named).interactions(**options))


def equal(blocks, expected):
    got = blocks.interactions()
    assert (got.user_ids == expected.user_ids).all() and (got.item_ids == expected.item_ids).all()
    a, b = got.user_items.tocsr(), expected.user_items.tocsr()
    a.sort_indices(), b.sort_indices()
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("indptr", "indices", "data"))
    items = sp.vstack([blocks.rows("items", i) for i in range(len(blocks.ranges("items")))]).tocsr()
    assert (items != b.T.tocsr()).nnz == 0 and blocks.nnz == b.nnz


def digest(path):
    found = hashlib.sha256()
    for folder, _, names in sorted(os.walk(path)):
        if "keys" not in folder:  # runs of keys are a partition's
            for name in sorted(names):
                if not name.endswith(".json"):
                    found.update(name.encode() + Path(folder, name).read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def params():
    return dict(factors=12, iterations=3, seed=4, alpha=2.0)


@pytest.fixture(scope="module")
def expected(columns, params):
    return etalage.models.ALS(**params).fit(local(columns, event_weights=WEIGHTS, half_life_days=30))


def same(model, other):
    assert np.array_equal(model.user_factors, other.user_factors) and np.array_equal(model.item_factors, other.item_factors)
    # Products of float32 are summed in another order, and norms of users before they are turned.
    assert model._model.report.objective == pytest.approx(other._model.report.objective, rel=1e-6)


@pytest.fixture(scope="module")
def model_path(expected, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.etalage"
    expected.save(path)
    return str(path)


def lists(found, key="user", item="item"):
    return {(r[key], r["rank"]): (r[item], r["score"]) for r in found}


def wanted(model, users, **options):
    keys, scores = model.recommend_ids(users, **options)
    return {(u, j + 1): (int(keys[i, j]), float(scores[i, j])) for i, u in enumerate(users) for j in range(keys.shape[1])
            if scores[i, j] > -np.inf}


@contextmanager
def killed_once(folder, *modules, after_rows=False, jvm=False):
    """The first task of each kind of these modules' jobs kills its worker before its first rows leave it (or after), or the JVM of its
    executor; which kinds there were is told by files killed.<name> in the folder."""
    def killing(job, module, name, *arguments):
        made, flag = task(job, module, name, *arguments), str(folder / f"killed.{name}")

        def run(batches):
            import os
            import signal

            for n, batch in enumerate(made(batches)):
                if after_rows:
                    yield batch
                if n == 0:
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                        victim = os.getpid()
                        if jvm:  # the daemon that forks workers is this one's parent; its own is the executor
                            with open(f"/proc/{os.getppid()}/stat") as f:
                                victim = int(f.read().rpartition(")")[2].split()[1])
                        os.kill(victim, signal.SIGKILL)
                    except FileExistsError:
                        pass
                if not after_rows:
                    yield batch

        return run

    for module in modules:
        module.task = killing
    try:
        yield
    finally:
        for module in modules:
            module.task = task
