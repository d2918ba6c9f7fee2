# SPDX-License-Identifier: Apache-2.0
"""Spark's own recommender beside etalage.spark, both in one session.

    python bench/spark/run.py [--data FOLDER] [--master local[2]] [--factors 128] [--sweeps 4] [--only als,lists,...] [--events 2000000]
                              [--pairs 2000000]

als        one iteration of ALS for implicit feedback on Gowalla's training pairs: (a fit of `sweeps` - a fit of 1) / (sweeps - 1).
           MLlib minimises sum c (p - x.y)^2 + reg (sum_u n_u |x_u|^2 + sum_i n_i |y_i|^2), n the counts of rows; ours has one ridge
           (or (n + items)^nu), so on rows of different lengths no setting makes the two one: ours is reg times the mean count of
           users, and both objectives are shown for both sides, as is Recall@20 on Gowalla's test pairs
regular    the same on made-up pairs where every user and every item has 100: there ours with regularization = 100 reg IS MLlib's
           objective, and it is shown for both after equal sweeps
lists      the best 20 items for all users: recommendForAllUsers, and spark.recommend (which leaves out what a user has)
measures   from the model to Recall@20 and NDCG@20 over all test users: recommendForAllUsers and RankingEvaluator once a metric
           (needs lists), and spark.evaluate
events     rows with string keys to row blocks: StringIndexer twice, then groupBy, written to Parquet; and spark.interactions
overhead   ten sweeps on Gowalla: spark.ALS against models.ALS on as many cores

Prints a table; seconds of als, regular and events are of the quicker of two runs, the others of one.
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


def objective(rows, users, items, ridge, counted):
    """sum over all cells of c (p - x.y)^2 with c = 2 on what is observed, 1 elsewhere, and the ridge: one for all rows, or MLlib's,
    by their counts."""
    counts = [np.ones(n) for n in rows.shape]
    if counted:
        counts = [np.diff(rows.indptr), np.bincount(rows.indices, minlength=rows.shape[1])]
    norms = [np.einsum("ij,ij->i", f, f, dtype=np.float64) for f in (users, items)]
    return loss(rows, users, items) + ridge * sum(float(n @ c) for n, c in zip(norms, counts))


def loss(rows, users, items):
    """sum over all cells of c (p - x.y)^2 with c = 2 on what is observed, 1 elsewhere."""
    rows = rows.tocoo()
    out = float(np.sum((users.astype(np.float64).T @ users) * (items.astype(np.float64).T @ items)))
    for at in range(0, rows.nnz, 1 << 16):
        pairs = slice(at, at + (1 << 16))
        scores = np.einsum("ij,ij->i", users[rows.row[pairs]].astype(np.float64), items[rows.col[pairs]].astype(np.float64))
        out += float(np.sum(2 * (1 - scores) ** 2 - scores**2))
    return out


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

    def mllib(self, sweeps, pairs=None):
        from pyspark.ml.recommendation import ALS

        return ALS(rank=self.args.factors, maxIter=sweeps, regParam=self.ridge, implicitPrefs=True, alpha=1.0, userCol="user", itemCol="item",
                   ratingCol="r", numUserBlocks=4, numItemBlocks=4, seed=1).fit(self.pairs["train"] if pairs is None else pairs)

    def etalage(self, sweeps, blocks=None, **more):
        params = {"factors": self.args.factors, "iterations": sweeps, "regularization": self.ours, "seed": 1, "compute_objective": False, **more}
        return spark.ALS(**params).fit(blocks or self.blocks, session=self.session, folder=tempfile.mkdtemp(dir=self.work))

    def iteration(self, fit):
        """Seconds of one sweep, and the fit of all: each number of sweeps twice, the quicker counts."""
        n = self.args.sweeps
        one, _ = min((timed(lambda: fit(1)) for _ in range(2)), key=lambda t: t[0])
        whole, found = min((timed(lambda: fit(n)) for _ in range(2)), key=lambda t: t[0])
        return (whole - one) / (n - 1), found

    def factors(self, model, shape):
        """Dense factors of either side, by the users and items of the pairs."""
        out = [np.zeros((n, self.args.factors), np.float32) for n in shape]
        if hasattr(model, "userFactors"):
            for to, frame in zip(out, (model.userFactors, model.itemFactors)):
                table = frame.toArrow() if hasattr(frame, "toArrow") else frame
                to[table["id"].to_numpy()] = np.stack(table["features"].to_numpy())
        else:
            for to, side, found in zip(out, ("user", "item"), (model.user_factors, model.item_factors)):
                to[model._ids(side).keys] = found
        return out

    def als(self):
        own, self.model = self.iteration(self.etalage)
        peer, self.peer = self.iteration(self.mllib)
        self.path = f"{self.work}/model.etalage"
        self.model.save(self.path)
        train, test = self.matrix["train"], self.matrix["test"]
        theirs, mine = (self.factors(m, train.shape) for m in (self.peer, self.model))
        self.row(f"ALS {self.args.factors}, one iteration", peer, own,
                 f"recall@20 {recall(train, test, *theirs):.4f} / {recall(train, test, *mine):.4f} after {self.args.sweeps} sweeps; MLlib's objective "
                 f"{objective(train, *theirs, self.ridge, True):.0f} / {objective(train, *mine, self.ridge, True):.0f}, ours "
                 f"{objective(train, *theirs, self.ours, False):.0f} / {objective(train, *mine, self.ours, False):.0f}")

    def regular(self):
        import pyarrow as pa
        import pyarrow.parquet as pq

        each, rng = 100, np.random.default_rng(7)
        n = self.args.pairs // each
        steps, places = rng.choice(n, each, replace=False), rng.permutation(n)
        users = np.repeat(np.arange(n), each)
        items = places[(users + np.tile(steps, n)) % n]
        os.makedirs(f"{self.work}/regular", exist_ok=True)
        for part in range(4):
            cut = slice(len(users) * part // 4, len(users) * (part + 1) // 4)
            pq.write_table(pa.table({"user": pa.array(users[cut], pa.int32()), "item": pa.array(items[cut], pa.int32()),
                                     "r": np.ones(len(users[cut]), np.float32)}), f"{self.work}/regular/{part}.parquet")
        rows = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(n, n))
        pairs = self.session.read.parquet(f"{self.work}/regular").cache()
        pairs.count()
        took, blocks = timed(lambda: spark.interactions(pairs, folder=f"{self.work}/regular-blocks"))
        ridge = self.ridge * each
        own, mine = self.iteration(lambda sweeps: self.etalage(sweeps, blocks, regularization=ridge))
        peer, theirs = self.iteration(lambda sweeps: self.mllib(sweeps, pairs))
        values = [objective(rows, *self.factors(m, rows.shape), self.ridge, True) for m in (theirs, mine)]
        self.row(f"ALS {self.args.factors}, {len(users):,} pairs", peer, own,
                 f"the one objective of both {values[0]:.0f} / {values[1]:.0f} ({values[1] / values[0] - 1:+.2%}) after {self.args.sweeps} sweeps; "
                 f"blocks of rows {took:.1f} s")
        local = etalage.models.ALS(factors=self.args.factors, iterations=10, regularization=ridge, seed=1, compute_objective=False)
        data = blocks.interactions()
        peer, _ = timed(lambda: local.fit(data))
        own, found = timed(lambda: self.etalage(10, blocks, regularization=ridge))
        self.row("ten sweeps, the library / on Spark", peer, own, "the same bits" if np.array_equal(found.item_factors, local.item_factors) else "OTHER BITS")
        pairs.unpersist()

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

        log.select("user", "item", "value").write.format("noop").mode("overwrite").save()  # both find the files read once, and code made
        own, _ = min((timed(lambda: spark.interactions(log, value="value", folder=f"{self.work}/log-blocks", overwrite=True)) for _ in range(2)),
                     key=lambda t: t[0])
        peer, _ = min((timed(indexed) for _ in range(2)), key=lambda t: t[0])
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
    p.add_argument("--pairs", type=int, default=2_000_000)
    p.add_argument("--only", default="als,lists,measures,regular,events,overhead")
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
