# SPDX-License-Identifier: Apache-2.0
"""Scoring boosted trees: TreeEnsemble beside LightGBM in one process, one thread, lists of candidates.

    python bench/peers/trees_benchmark.py [--trees 100] [--leaves 31] [--rows 300] [--features 300] [--threads 1]

A lambdarank model is trained on made-up data, saved, and read back by both. Each side scores the same float64 lists; the scores
must be equal bit for bit. LightGBM is called by Booster.predict on a contiguous float64 array with raw_score, its fastest way for a list.
Ratios are those of a pair, their median with its 95 % interval.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from pairing import alternate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("trees", 100), ("leaves", 31), ("rows", 300), ("features", 300), ("threads", 1), ("lists", 60)):
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    import lightgbm

    from etalage.models import TreeEnsemble

    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, a.features))
    x[rng.random(x.shape) < 0.05] = np.nan
    signal = np.nan_to_num(x[:, :20]) @ rng.normal(size=20) + rng.normal(size=len(x)) * 2
    grades = np.digitize(signal, np.quantile(signal, [0.6, 0.8, 0.9, 0.97]))
    train = lightgbm.Dataset(x, grades, group=np.full(len(x) // 50, 50))
    model = lightgbm.train({"objective": "lambdarank", "num_leaves": a.leaves, "verbose": -1, "num_threads": 2}, train, a.trees)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.txt"
        model.save_model(path)
        theirs, ours = lightgbm.Booster(model_file=path), TreeEnsemble.load(path)
    lists = [np.ascontiguousarray(x[rng.integers(0, len(x), a.rows)]) for _ in range(a.lists)]
    for rows in lists[:3]:
        np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows, raw_score=True))

    def timed(score):
        def run():
            begin = time.perf_counter()
            for rows in lists:
                score(rows)
            return {"seconds": time.perf_counter() - begin}

        return run

    result = alternate(timed(lambda rows: ours.predict(rows, num_threads=a.threads)),
                       timed(lambda rows: theirs.predict(rows, raw_score=True, num_threads=a.threads)), at_least=9, at_most=40)
    scored = a.rows * a.lists
    print(f"{ours.num_trees} trees of {a.leaves} leaves, lists of {a.rows} rows, {a.features} features, {a.threads} thread(s)")
    print(f"etalage {result['ours']['seconds'] / scored * 1e6:.2f} us a row, LightGBM {lightgbm.__version__} {result['theirs']['seconds'] / scored * 1e6:.2f} us; "
          f"ratio {result['ratio']:.2f} [{result['low']:.2f}, {result['high']:.2f}]")


if __name__ == "__main__":
    main()
