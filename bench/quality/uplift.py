# SPDX-License-Identifier: Apache-2.0
"""Uplift learners against the two-model baseline: on Hillstrom's experiment, and where the effects are planted.

    python bench/quality/uplift.py [--data ../shared/data] [--splits 20]

Incremental outcome a customer from treating the best 30 %, on a half of the customers that nothing was fitted on. Baseline: two logistic
models of scikit-learn on the same features. Paired differences over splits, with the 95 % interval of their mean.
"""

from __future__ import annotations

import argparse
import os
import pathlib

import numpy as np

from etalage.marketing import uplift


def two_models(x, t, y):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = uplift.TLearner(make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)))
    return model.fit(x, t, y).predict


LEARNERS = {
    "S, ridge": lambda x, t, y: uplift.SLearner().fit(x, t, y).predict,
    "T, ridge (native)": lambda x, t, y: uplift.LinearUplift().fit(x, t, y).predict,
    "X, ridge": lambda x, t, y: uplift.XLearner().fit(x, t, y).predict,
    "DR, ridge": lambda x, t, y: uplift.DRLearner().fit(x, t, y).predict,
    "forest": lambda x, t, y: uplift.UpliftForest(trees=50, min_arm=200, max_depth=5).fit(x, t, y).predict,
}


def gain(y, t, score, share=0.3):
    return share * uplift.uplift_at(y, t, score, share)


def hillstrom(data, segment="Womens E-Mail"):
    import pandas as pd

    d = pd.read_csv(pathlib.Path(data) / "hillstrom" / "hillstrom.csv.xz")
    d = d[d.segment.isin([segment, "No E-Mail"])]
    x = pd.get_dummies(d[["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]], columns=["zip_code", "channel"])
    x["log_history"] = np.log(d.history)
    return x.to_numpy(float), (d.segment == segment).to_numpy(int), d.visit.to_numpy(float)


def planted(seed, n=20_000):
    """A visit is likelier for frequent customers, and the treatment moves those in the middle: no line finds them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    t = rng.integers(0, 2, n)
    base = 0.15 + 0.1 * np.tanh(x[:, 0])
    effect = 0.12 * ((np.abs(x[:, 1]) < 0.6) & (x[:, 2] > -0.5))
    return x, t, (rng.random(n) < base + t * effect).astype(float), effect


def compared(splits, make):
    """{learner: paired differences to the baseline [splits]}, baseline [splits]; make(split) gives train, test parts and a judge."""
    found, base = {name: [] for name in LEARNERS}, []
    for split in range(splits):
        train, x_test, judge = make(split)
        base.append(judge(two_models(*train)(x_test)))
        for name, learner in LEARNERS.items():
            found[name].append(judge(learner(*train)(x_test)) - base[-1])
    return {name: np.array(v) for name, v in found.items()}, np.array(base)


def print_table(title, found, base):
    print(f"{title}: baseline {base.mean():.5f}")
    for name, d in found.items():
        half = 2.093 * d.std(ddof=1) / np.sqrt(len(d))
        print(f"  {name:<18} {d.mean():+.5f} [{d.mean() - half:+.5f}, {d.mean() + half:+.5f}]  {100 * d.mean() / base.mean():+.1f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", "../shared/data"))
    parser.add_argument("--splits", type=int, default=20)
    asked = parser.parse_args()
    if (pathlib.Path(asked.data) / "hillstrom").exists():
        x, t, y = hillstrom(asked.data)

        def on_hillstrom(split):
            order = np.random.default_rng(split).permutation(len(y))
            a, b = order[: len(y) // 2], order[len(y) // 2:]
            return (x[a], t[a], y[a]), x[b], lambda score: gain(y[b], t[b], score)

        print_table("Hillstrom, women, visits", *compared(asked.splits, on_hillstrom))
    else:
        print(f"Hillstrom skipped: {asked.data}/hillstrom is not there")

    def on_planted(split):
        xa, ta, ya, _ = planted(2 * split)
        xb, _, _, effect = planted(2 * split + 1)
        # The truth is known: no noise of outcomes in the judgement.
        return (xa, ta, ya), xb, lambda score: float(effect[np.argsort(-score, kind="stable")[: int(0.3 * len(score))]].sum() / len(score))

    print_table("planted effects", *compared(asked.splits, on_planted))


if __name__ == "__main__":
    main()
