# SPDX-License-Identifier: Apache-2.0
"""Spark's own recommender beside etalage.spark, both in one session.

    python bench/spark/run.py [--data FOLDER] [--master local[2]] [--factors 128] [--sweeps 4] [--only als,lists,...] [--repeats 3]
                              [--events 2000000] [--pairs 2000000] [--work FOLDER] [--prepare]

als        one iteration of ALS for implicit feedback on Gowalla's training pairs: (a fit of `sweeps` - a fit of 1) / (sweeps - 1).
           MLlib minimises sum c (p - x.y)^2 + reg (sum_u n_u |x_u|^2 + sum_i n_i |y_i|^2), n the counts of rows; ours has one ridge
           (or (n + items)^nu), so on rows of different lengths no setting makes the two one: ours is reg times the mean count of
           users, and both objectives are shown for both sides, as is Recall@20 on Gowalla's test pairs
regular    the same on made-up pairs where every user and every item has 100: there ours with regularization = 100 reg IS MLlib's
           objective, and it is shown for both after equal sweeps
lists      the best 20 items for all users: recommendForAllUsers, and spark.recommend (which leaves out what a user has), to Parquet
measures   Recall@20 and NDCG@20 over all test users from the model: recommendForAllUsers and RankingEvaluator once a metric, and
           spark.evaluate; and on lists that are there: RankingEvaluator, and spark.evaluate(lists=)
events     rows with string keys to row blocks: StringIndexer twice, then groupBy, written to Parquet; and spark.interactions
overhead   ten sweeps on Gowalla: spark.ALS against models.ALS on as many cores
large      the same on the pairs of `regular`

Both sides of a row run `repeats` times, in turns; what is shown is the median of each and of the ratios of the turns, with their
range. Each row runs by itself (--only); --work keeps what was made for the next call, --prepare makes it and measures nothing.
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

EACH = 100  # pairs of every user and item where the two objectives are one


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
                        .config("spark.driver.memory", args.memory).config("spark.executorEnv.PYTHONPATH", paths)
                        .config("spark.sql.shuffle.partitions", "8").config("spark.sql.files.maxPartitionBytes", "32m").getOrCreate())
        self.session.sparkContext.setLogLevel("ERROR")
        self.args, self.held = args, {}
        self.work = os.path.abspath(args.work) if args.work else tempfile.mkdtemp(prefix="bench-spark-")
        os.makedirs(self.work, exist_ok=True)
        self.ridge = 0.02

    def row(self, work, turns, note=""):
        """turns: [(seconds of Spark, of etalage)]."""
        turns = np.array(turns)
        ratios = turns[:, 0] / turns[:, 1]
        print(f"{work:36} {np.median(turns[:, 0]):9.2f} s {np.median(turns[:, 1]):9.2f} s {np.median(ratios):7.2f} x  "
              f"[{ratios.min():.2f}, {ratios.max():.2f}], load {os.getloadavg()[0]:.1f}  {note}", flush=True)

    def turns(self, peer, ours, warm=True):
        """[(seconds of the peer, of ours)] of as many turns as asked for, and what both gave last. warm: a turn before them that does not
        count, so that code is made by the JVM and workers are started."""
        out, last = [], None
        for turn in range(-1 if warm else 0, self.args.repeats):
            seconds, last = zip(*(timed(f) for f in ((peer, ours) if turn % 2 else (ours, peer))))
            seconds, last = (seconds, last) if turn % 2 else (seconds[::-1], last[::-1])
            if turn >= 0:
                out.append(seconds)
        return out, last

    # What rows are measured on, made once

    def kept(self, name, make):
        """A file or folder of the work folder, made under another name first; not there again when --work is kept."""
        path = os.path.join(self.work, name)
        if not os.path.exists(path):
            make(path + ".new")
            os.rename(path + ".new", path)
        return path

    def gowalla(self):
        """Both matrices, both frames and the training pairs' blocks."""
        if "gowalla" not in self.held:
            import pyarrow as pa
            import pyarrow.parquet as pq

            if self.args.data is None:
                raise SystemExit("--data is not given, must be the folder of the data sets")
            parts = {name: gowalla(self.args.data, name) for name in ("train", "test")}
            for name, (users, items) in parts.items():
                pq.write_table(pa.table({"user": pa.array(users, pa.int32()), "item": pa.array(items, pa.int32()), "r": np.ones(len(users), np.float32)}),
                               f"{self.work}/{name}.parquet")
            shape = [max(int(p[n].max()) for p in parts.values()) + 1 for n in (0, 1)]
            matrix = {n: sp.csr_matrix((np.ones(len(u), np.float32), (u, i)), shape=shape) for n, (u, i) in parts.items()}
            frames = {n: self.session.read.parquet(f"{self.work}/{n}.parquet").repartition(4).cache() for n in parts}
            for frame in frames.values():
                frame.count()
            blocks = spark.Blocks(self.kept("gowalla-blocks", lambda path: spark.interactions(frames["train"], folder=path)))
            # MLlib's ridge is reg times a row's count; of ours the mean over users.
            self.ours = self.ridge * matrix["train"].nnz / len(np.unique(parts["train"][0]))
            self.held["gowalla"] = matrix, frames, blocks
        return self.held["gowalla"]

    def model(self):
        """The path of our model of Gowalla."""
        _, _, blocks = self.gowalla()
        return self.kept(f"model-{self.args.factors}.etalage", lambda path: self.etalage(self.args.sweeps, blocks).save(path))

    def peer(self):
        """MLlib's model of Gowalla."""
        from pyspark.ml.recommendation import ALSModel

        _, frames, _ = self.gowalla()
        return ALSModel.load(self.kept(f"mllib-{self.args.factors}", lambda path: self.mllib(self.args.sweeps, frames["train"]).save(path)))

    def pairs(self):
        """(users and items of the regular pairs, their frame, their blocks)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        each, rng = EACH, np.random.default_rng(7)
        n = self.args.pairs // each
        steps, places = rng.choice(n, each, replace=False), rng.permutation(n)
        users = np.repeat(np.arange(n, dtype=np.int32), each)
        items = places.astype(np.int32)[(users + np.tile(steps.astype(np.int32), n)) % n]

        def make(path):
            os.makedirs(path, exist_ok=True)
            for part in range(4):
                cut = slice(len(users) * part // 4, len(users) * (part + 1) // 4)
                pq.write_table(pa.table({"user": pa.array(users[cut]), "item": pa.array(items[cut]), "r": np.ones(len(users[cut]), np.float32)}),
                               f"{path}/{part}.parquet")

        frame = self.session.read.parquet(self.kept(f"pairs-{self.args.pairs}", make))
        blocks = spark.Blocks(self.kept(f"pairs-{self.args.pairs}-blocks", lambda path: spark.interactions(frame, folder=path)))
        return users, items, frame, blocks

    def log(self):
        """The folder of a log with keys of text, some shoppers and products in many events."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def make(path):
            rng, n = np.random.default_rng(3), self.args.events
            names = [pa.array([f"{kind}-{i}" for i in range(count)]) for kind, count in (("user", n // 20), ("sku", 50_000))]
            os.makedirs(path, exist_ok=True)
            for part in range(8):
                users, items = (np.int64(len(names[side]) * rng.random(n // 8, np.float32) ** (2, 4)[side]) for side in (0, 1))
                pq.write_table(pa.table({"user": names[0].take(pa.array(users)), "item": names[1].take(pa.array(items)),
                                         "value": rng.random(n // 8).astype(np.float32)}), f"{path}/{part}.parquet")

        return self.kept(f"log-{self.args.events}", make)

    def prepare(self, names):
        """What the rows of these names need, and nothing measured."""
        for name in names:
            {"events": self.log, "regular": self.pairs, "large": self.pairs, "als": self.gowalla, "overhead": self.gowalla}.get(
                name, lambda: (self.model(), self.peer()))()

    # Both sides of a fit

    def mllib(self, sweeps, pairs):
        from pyspark.ml.recommendation import ALS

        return ALS(rank=self.args.factors, maxIter=sweeps, regParam=self.ridge, implicitPrefs=True, alpha=1.0, userCol="user", itemCol="item",
                   ratingCol="r", numUserBlocks=4, numItemBlocks=4, seed=1).fit(pairs)

    def etalage(self, sweeps, blocks, **more):
        params = {"factors": self.args.factors, "iterations": sweeps, "seed": 1, "compute_objective": False, **more}
        params.setdefault("regularization", self.ours if "gowalla" in self.held else 1.0)
        folder = tempfile.mkdtemp(dir=self.work)
        try:
            return spark.ALS(**params).fit(blocks, session=self.session, folder=folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def iterations(self, mllib, ours):
        """[(seconds of one sweep of MLlib, of ours)], by turns of the difference between many sweeps and one; and both fits of many."""
        n = self.args.sweeps
        one, _ = self.turns(lambda: mllib(1), lambda: ours(1))
        many, fits = self.turns(lambda: mllib(n), lambda: ours(n), warm=False)
        return [tuple((b - a) / (n - 1) for a, b in zip(*turn)) for turn in zip(one, many)], fits

    def factors(self, model, shape):
        """Dense factors of either side, by the users and items of the pairs."""
        out = [np.zeros((n, self.args.factors), np.float32) for n in shape]
        if hasattr(model, "userFactors"):
            for to, frame in zip(out, (model.userFactors, model.itemFactors)):
                for r in frame.toLocalIterator():
                    to[r["id"]] = r["features"]
        else:
            for to, side, found in zip(out, ("user", "item"), (model.user_factors, model.item_factors)):
                to[model._ids(side).keys] = found
        return out

    # Rows

    def als(self):
        matrix, frames, blocks = self.gowalla()
        turns, fits = self.iterations(lambda n: self.mllib(n, frames["train"]), lambda n: self.etalage(n, blocks))
        train, test = matrix["train"], matrix["test"]
        theirs, mine = (self.factors(m, train.shape) for m in fits)
        self.row(f"ALS {self.args.factors}, one iteration", turns,
                 f"recall@20 {recall(train, test, *theirs):.4f} / {recall(train, test, *mine):.4f} after {self.args.sweeps} sweeps; MLlib's objective "
                 f"{objective(train, *theirs, self.ridge, True):.0f} / {objective(train, *mine, self.ridge, True):.0f}, ours "
                 f"{objective(train, *theirs, self.ours, False):.0f} / {objective(train, *mine, self.ours, False):.0f}")

    def regular(self):
        users, items, frame, blocks = self.pairs()
        ridge = self.ridge * EACH
        frame = frame.cache()
        frame.count()
        turns, fits = self.iterations(lambda n: self.mllib(n, frame), lambda n: self.etalage(n, blocks, regularization=ridge))
        frame.unpersist()
        rows = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)))
        values = [objective(rows, *self.factors(m, rows.shape), self.ridge, True) for m in fits]
        self.row(f"ALS {self.args.factors}, {len(users):,} pairs", turns,
                 f"the one objective of both {values[0]:.0f} / {values[1]:.0f} ({values[1] / values[0] - 1:+.2%}) after {self.args.sweeps} sweeps")

    def lists(self):
        peer, path = self.peer(), self.model()
        turns, _ = self.turns(lambda: peer.recommendForAllUsers(20).write.mode("overwrite").parquet(f"{self.work}/peer"),
                              lambda: spark.recommend(self.session, path, k=20, out=f"{self.work}/lists", overwrite=True))
        self.row("top-20 for all users, to Parquet", turns)

    def measures(self):
        from pyspark.ml.evaluation import RankingEvaluator
        from pyspark.sql import functions as F

        peer, path, test = self.peer(), self.model(), self.gowalla()[1]["test"]
        truth = test.groupBy("user").agg(F.collect_list(F.col("item").cast("double")).alias("label"))

        def evaluators(lists):
            joined = lists.select("user", F.expr("transform(recommendations, x -> cast(x.item as double))").alias("prediction")).join(truth, "user").cache()
            out = [RankingEvaluator(metricName=m, k=20, predictionCol="prediction", labelCol="label").evaluate(joined) for m in ("recallAtK", "ndcgAtK")]
            joined.unpersist()
            return out

        turns, (_, mine) = self.turns(lambda: evaluators(peer.recommendForAllUsers(20)), lambda: spark.evaluate(self.session, path, test, 20))
        self.row("recall@20 and ndcg@20 of a model", turns, f"ours {mine['recall@20']:.4f}, {mine['ndcg@20']:.4f}")
        made = self.kept("peer-lists", lambda at: peer.recommendForAllUsers(20).write.parquet(at))
        there = self.session.read.parquet(made)
        arrays = there.select("user", F.expr("transform(recommendations, x -> x.item)").alias("item"))
        turns, (theirs, mine) = self.turns(lambda: evaluators(there), lambda: spark.evaluate(self.session, None, test, 20, lists=arrays))
        self.row("recall@20 and ndcg@20 of lists", turns, f"{theirs[0]:.4f}, {theirs[1]:.4f} / {mine['recall@20']:.4f}, {mine['ndcg@20']:.4f}")

    def events(self):
        from pyspark.ml.feature import StringIndexer
        from pyspark.sql import functions as F

        log = self.session.read.parquet(self.log())

        def indexed(out=log):
            for c in ("user", "item"):
                out = StringIndexer(inputCol=c, outputCol=c + "_i").fit(out).transform(out)
            rows = out.groupBy("user_i", "item_i").agg(F.sum("value").alias("v")).groupBy("user_i").agg(F.collect_list(F.struct("item_i", "v")).alias("r"))
            rows.write.mode("overwrite").parquet(f"{self.work}/indexed")

        def ours(frame=log):
            return spark.interactions(frame, value="value", folder=f"{self.work}/log-blocks", overwrite=True)

        few = log.where("value < 0.02")  # both find the files read once, code made and workers started
        ours(few), indexed(few)
        turns, _ = self.turns(indexed, ours, warm=False)
        self.row(f"{self.args.events:,} events to row blocks", turns)

    def _ten(self, name, blocks, ridge):
        data = blocks.interactions()
        local = etalage.models.ALS(factors=self.args.factors, iterations=10, regularization=ridge, seed=1, compute_objective=False)
        self.etalage(1, blocks, regularization=ridge)  # starts workers
        turns, (one, other) = self.turns(lambda: local.fit(data), lambda: self.etalage(10, blocks, regularization=ridge), warm=False)
        self.row(f"ten sweeps, {name}, library / on Spark", turns,
                 "the same bits" if np.array_equal(one.item_factors, other.item_factors) else "OTHER BITS")

    def overhead(self):
        _, _, blocks = self.gowalla()
        self._ten("Gowalla", blocks, self.ours)

    def large(self):
        _, _, _, blocks = self.pairs()
        self._ten(f"{blocks.nnz:,} pairs", blocks, self.ridge * EACH)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default=os.environ.get("ETALAGE_DATA"), help="folder of the data sets (default: $ETALAGE_DATA)")
    p.add_argument("--master", default="local[2]")
    p.add_argument("--memory", default="3g", help="of the driver, which in local[n] is the executor too")
    p.add_argument("--factors", type=int, default=128)
    p.add_argument("--sweeps", type=int, default=4)
    p.add_argument("--events", type=int, default=2_000_000)
    p.add_argument("--pairs", type=int, default=2_000_000)
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--work", help="a folder that keeps what is measured on; without it a temporary one")
    p.add_argument("--prepare", action="store_true", help="make what the rows need, measure nothing")
    p.add_argument("--only", default="als,lists,measures,regular,events,overhead,large")
    args = p.parse_args()
    bench, names = Bench(args), args.only.split(",")
    try:
        if args.prepare:
            bench.prepare(names)
            return
        print(f"{args.master}\n{'work':36} {'Spark':>11} {'etalage':>11} {'ratio':>9}")
        for name in names:
            getattr(bench, name)()
    finally:
        bench.session.stop()
        if not args.work:
            shutil.rmtree(bench.work, ignore_errors=True)


if __name__ == "__main__":
    main()
