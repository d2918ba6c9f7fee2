# SPDX-License-Identifier: Apache-2.0
"""Spark's own recommender beside etalage.spark, both in one session.

    python bench/spark/run.py [--data FOLDER] [--master local[2]] [--factors 128] [--sweeps 4] [--only als,lists,...] [--events 2000000]

als        one iteration of ALS for implicit feedback on Gowalla's training pairs: (a fit of `sweeps` - a fit of 1) / (sweeps - 1).
           MLlib multiplies its ridge by each row's count, so no setting makes the two objectives one: the ridge here is MLlib's
           times the mean count, and the loss without a ridge, sum over all cells of c (p - x.y)^2, is shown for both, as is
           Recall@20 on Gowalla's test pairs
lists      the best 20 items for all users: recommendForAllUsers, and spark.recommend (which leaves out what a user has)
measures   from the model to Recall@20 and NDCG@20 over all test users: recommendForAllUsers and RankingEvaluator once a metric
           (needs lists), and spark.evaluate
events     rows with string keys to row blocks: StringIndexer twice, then groupBy, written to Parquet; and spark.interactions
overhead   ten sweeps on Gowalla: spark.ALS against models.ALS on as many cores

Prints a table; seconds are of one run each unless said.
"""

import argparse
import gzip
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import etalage
from etalage import spark


def gowalla(folder, name):
    users, items = [], []
    with gzip.open(Path(folder) / "gowalla" / f"{name}.txt.gz", "rt") as f:
        for line in f:
            user, *row = map(int, line.split())
            users += [user] * len(row)
            items += row
    return np.array(users), np.array(items)


def timed(function):
    begin = time.perf_counter()
    out = function()
    return time.perf_counter() - begin, out


def loss(rows, users, items):
    """sum over all cells of c (p - x.y)^2 with c = 2 on what is observed, 1 elsewhere."""
    rows = rows.tocoo()
    scores = np.einsum("ij,ij->i", users[rows.row].astype(np.float64), items[rows.col].astype(np.float64))
    cells = float(np.sum((users.astype(np.float64).T @ users) * (items.astype(np.float64).T @ items)))
    return cells + float(np.sum(2 * (1 - scores) ** 2 - scores**2))


def recall(rows, test, users, items, k=20):
    found = 0.0
    asked = np.flatnonzero(np.diff(test.indptr))
    for start in range(0, len(asked), 2048):
        u = asked[start:start + 2048]
        scores = users[u] @ items.T
        seen = rows[u].tocoo()
        scores[seen.row, seen.col] = -np.inf
        best = np.argpartition(-scores, k, axis=1)[:, :k]
        hits = np.asarray(test[np.repeat(u, k), best.ravel()]).reshape(len(u), k).sum(axis=1)
        found += float(np.sum(hits / np.diff(test.indptr)[u]))
    return found / len(asked)


class Bench:
    def __init__(self, args):
        from pyspark.sql import SparkSession

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        paths = os.pathsep.join([str(Path(etalage.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self.session = (SparkSession.builder.master(args.master).appName("bench").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
                        .config("spark.driver.memory", "3g").config("spark.executorEnv.PYTHONPATH", paths)
                        .config("spark.sql.shuffle.partitions", "8").getOrCreate())
        self.session.sparkContext.setLogLevel("ERROR")
        self.args, self.rows = args, []
        self.work = tempfile.mkdtemp(prefix="bench-spark-")

    def row(self, work, peer, ours, note=""):
        self.rows.append((work, peer, ours, note))
        print(f"{work:34} {peer:9.2f} s {ours:9.2f} s {peer / ours:7.1f} x  {note}", flush=True)

    def prepare(self):
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = {name: gowalla(self.args.data, name) for name in ("train", "test")}
        for name, (users, items) in parts.items():
            pq.write_table(pa.table({"user": pa.array(users, pa.int32()), "item": pa.array(items, pa.int32()), "r": np.ones(len(users), np.float32)}),
                           f"{self.work}/{name}.parquet")
        shape = [max(int(p[n].max()) for p in parts.values()) + 1 for n in (0, 1)]
        self.matrix = {n: sp.csr_matrix((np.ones(len(u), np.float32), (u, i)), shape=shape) for n, (u, i) in parts.items()}
        self.pairs = {n: self.session.read.parquet(f"{self.work}/{n}.parquet").repartition(4).cache() for n in parts}
        for frame in self.pairs.values():
            frame.count()
        self.blocks = spark.interactions(self.pairs["train"], folder=f"{self.work}/blocks")
        # MLlib's ridge is reg times a row's count; of ours the mean over users and items.
        nnz = self.matrix["train"].nnz
        self.ridge = 0.02
        self.ours = self.ridge * nnz / len(np.unique(parts["train"][0]))

    def mllib(self, sweeps):
        from pyspark.ml.recommendation import ALS

        return ALS(rank=self.args.factors, maxIter=sweeps, regParam=self.ridge, implicitPrefs=True, alpha=1.0, userCol="user", itemCol="item",
                   ratingCol="r", numUserBlocks=4, numItemBlocks=4, seed=1).fit(self.pairs["train"])

    def etalage(self, sweeps, **more):
        return spark.ALS(factors=self.args.factors, iterations=sweeps, regularization=self.ours, seed=1, compute_objective=False, **more).fit(
            self.blocks, session=self.session, folder=tempfile.mkdtemp(dir=self.work))

    def als(self):
        n = self.args.sweeps
        self.etalage(1)
        own_one, _ = timed(lambda: self.etalage(1))
        own, self.model = timed(lambda: self.etalage(n))
        peer_one, _ = timed(lambda: self.mllib(1))
        peer, self.peer = timed(lambda: self.mllib(n))
        self.path = f"{self.work}/model.etalage"
        self.model.save(self.path)
        train, test = self.matrix["train"], self.matrix["test"]

        def dense(frame, count):
            out = np.zeros((count, self.args.factors), np.float32)
            for r in frame.collect():
                out[r["id"]] = r["features"]
            return out

        users, items = dense(self.peer.userFactors, train.shape[0]), dense(self.peer.itemFactors, train.shape[1])
        mine = np.zeros_like(users), np.zeros_like(items)
        for out, side, factors in zip(mine, ("user", "item"), (self.model.user_factors, self.model.item_factors)):
            out[self.model._ids(side).keys] = factors
        self.row(f"ALS {self.args.factors}, one iteration", (peer - peer_one) / (n - 1), (own - own_one) / (n - 1),
                 f"loss {loss(train, users, items):.0f} / {loss(train, *mine):.0f}, recall@20 {recall(train, test, users, items):.4f} / "
                 f"{recall(train, test, *mine):.4f} after {n} sweeps")

    def lists(self):
        peer, _ = timed(lambda: self.peer.recommendForAllUsers(20).write.mode("overwrite").parquet(f"{self.work}/peer"))
        own, _ = timed(lambda: spark.recommend(self.session, self.path, k=20, out=f"{self.work}/lists"))
        self.peer_lists = peer
        self.row("top-20 for all users, to Parquet", peer, own)

    def measures(self):
        from pyspark.ml.evaluation import RankingEvaluator
        from pyspark.sql import functions as F

        truth = self.pairs["test"].groupBy("user").agg(F.collect_list(F.col("item").cast("double")).alias("label"))

        def both():
            lists = self.session.read.parquet(f"{self.work}/peer").select(
                "user", F.expr("transform(recommendations, x -> cast(x.item as double))").alias("prediction"))
            joined = lists.join(truth, "user").cache()
            return [RankingEvaluator(metricName=m, k=20, predictionCol="prediction", labelCol="label").evaluate(joined) for m in ("recallAtK", "ndcgAtK")]

        peer, _ = timed(both)
        own, mine = timed(lambda: spark.evaluate(self.session, self.path, self.pairs["test"], 20))
        self.row("recall@20 and ndcg@20, with lists", self.peer_lists + peer, own,
                 f"of the peer {peer:.2f} s on lists that are there; ours {mine['recall@20']:.4f}, {mine['ndcg@20']:.4f}")

    def events(self):
        import pyarrow as pa
        import pyarrow.parquet as pq
        from pyspark.ml.feature import StringIndexer
        from pyspark.sql import functions as F

        rng, n = np.random.default_rng(3), self.args.events
        for part in range(8):
            users, items = rng.zipf(1.3, n // 8) % (n // 20), rng.zipf(1.2, n // 8) % 50_000
            text = pa.table({"user": pa.array(np.char.add("user-", users.astype("U12")).tolist()),
                             "item": pa.array(np.char.add("sku-", items.astype("U12")).tolist()), "value": rng.random(n // 8).astype(np.float32)})
            os.makedirs(f"{self.work}/log", exist_ok=True)
            pq.write_table(text, f"{self.work}/log/{part}.parquet")
        log = self.session.read.parquet(f"{self.work}/log")

        def indexed():
            out = log
            for c in ("user", "item"):
                out = StringIndexer(inputCol=c, outputCol=c + "_i").fit(out).transform(out)
            rows = out.groupBy("user_i", "item_i").agg(F.sum("value").alias("v")).groupBy("user_i").agg(F.collect_list(F.struct("item_i", "v")).alias("r"))
            rows.write.mode("overwrite").parquet(f"{self.work}/indexed")

        own, _ = timed(lambda: spark.interactions(log, value="value", folder=f"{self.work}/log-blocks"))
        peer, _ = timed(indexed)
        self.row(f"{n:,} events to row blocks", peer, own)

    def overhead(self):
        data = self.blocks.interactions()
        local = etalage.models.ALS(factors=self.args.factors, iterations=10, regularization=self.ours, seed=1, compute_objective=False)
        peer, _ = timed(lambda: local.fit(data))
        own, found = timed(lambda: self.etalage(10))
        same = np.array_equal(found.item_factors, local.item_factors)
        self.row("ten sweeps, the library / on Spark", peer, own, "the same bits" if same else "OTHER BITS")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default=os.environ.get("ETALAGE_DATA"), help="folder of the data sets (default: $ETALAGE_DATA)")
    p.add_argument("--master", default="local[2]")
    p.add_argument("--factors", type=int, default=128)
    p.add_argument("--sweeps", type=int, default=4)
    p.add_argument("--events", type=int, default=2_000_000)
    p.add_argument("--only", default="als,lists,measures,events,overhead")
    args = p.parse_args()
    if args.data is None:
        raise SystemExit("--data is not given, must be the folder of the data sets")
    bench = Bench(args)
    try:
        bench.prepare()
        print(f"{args.master}, load {os.getloadavg()[0]:.1f}\n{'work':34} {'Spark':>11} {'etalage':>11} {'ratio':>9}")
        for name in args.only.split(","):
            getattr(bench, name)()
    finally:
        bench.session.stop()
        shutil.rmtree(bench.work, ignore_errors=True)


if __name__ == "__main__":
    main()
