# SPDX-License-Identifier: Apache-2.0
"""A nightly batch on Spark: Parquet events in; a model file and every shopper's list as Parquet out.

    pip install 'etalage[spark]'        # and Java 17
    python examples/spark_batch.py [--events FOLDER] [--out FOLDER] [--master local[2]]

Without --events it makes a synthetic store's. On a cluster --events and --out are on a file system that driver and executors
share; started again after a failure it goes on where it was (docs/spark.md).
"""

import argparse
import os
import sys
import tempfile

import etalage
from etalage import spark

WEIGHTS = {"view": 1.0, "cart": 3.0, "purchase": 5.0, "return": 0.0}


def synthetic(path):
    """Events of a synthetic store as a folder of Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    log = etalage.datasets.synthetic_store(seed=7, users=400, items=150).log
    table = pa.table(log)
    table = table.set_column(table.schema.get_field_index("time"), "time", table.column("time").cast(pa.timestamp("us", tz="UTC")))
    os.makedirs(path, exist_ok=True)
    for part in range(4):
        at = len(table) * part // 4
        pq.write_table(table.slice(at, len(table) * (part + 1) // 4 - at), os.path.join(path, f"events-{part}.parquet"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events")
    arguments.add_argument("--out")
    arguments.add_argument("--master", default="local[2]")
    args = arguments.parse_args()
    out = os.path.abspath(args.out or tempfile.mkdtemp(prefix="spark-batch-"))

    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.builder.master(args.master).appName("spark_batch").config("spark.ui.enabled", "false").getOrCreate()
    if args.events is None:
        args.events = os.path.join(out, "events")
        synthetic(args.events)

    events = session.read.parquet(args.events)
    model = spark.ALS(factors=32, iterations=8, seed=1).fit(
        events, user="user", item="item", event="event", time="time", event_weights=WEIGHTS, half_life_days=60,
        folder=os.path.join(out, "fit"))
    print(f"fitted {model.num_users} users x {model.num_items} items in {model._model.report.seconds:.1f} s")

    path = os.path.join(out, "fit", "model.etalage")
    lists = spark.recommend(session, path, k=10, out=os.path.join(out, "lists"), overwrite=True)
    lists.orderBy("user", "rank").show(5)
    print(f"{lists.count()} rows in {os.path.join(out, 'lists')}")

    # The same file answers here, or in C++: etalage::load(path).
    user = lists.first()["user"]
    keys, scores = etalage.load(path).recommend_ids(user, k=3)
    print(f"{user}: {', '.join(f'{key} {score:.3f}' for key, score in zip(keys, scores))}")

    # Who they are: a row a shopper here, and the file that an engine's snapshot takes.
    shop = spark.profiles(events, event="event", out=os.path.join(out, "profiles"), overwrite=True)
    counts = {r["segment"]: r["count"] for r in shop.groupBy("segment").count().orderBy("segment").collect()}
    print(f"segments: {', '.join(f'{count} {name}' for name, count in counts.items())}; "
          f"{etalage.load(os.path.join(out, 'profiles', 'profiles.etalage')).by_id(user)!r}")
    session.stop()


if __name__ == "__main__":
    main()
