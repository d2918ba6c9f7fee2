# SPDX-License-Identifier: Apache-2.0
"""What variety costs in relevance: MovieLens small, the 200 best of ALS re-ranked to 20.

    python bench/quality/rerank_cost.py [--users 600]

A fifth of each user's ratings is held out. ndcg and recall are against these; alike is the mean cosine of two films of a
list in the item factors; genres counts the distinct first genres in a list; KL is the divergence of the list's genres
from those of the user's training films (Steck 2018, smoothed by 0.01).
"""

import argparse
import csv
import gzip
import os
import sys
from pathlib import Path

import numpy as np

import etalage
from etalage.evaluation import split
from etalage.serving import rerank

K, WINDOW = 20, 200


def load():
    folder = Path(os.environ.get("ETALAGE_DATA", Path(__file__).resolve().parents[2] / "../shared/data")) / "movielens-small"
    if not folder.exists():
        sys.exit(f"skipped: {folder} is not there (set ETALAGE_DATA)")
    with gzip.open(folder / "ratings.csv.gz", "rt") as f:
        rows = [(int(r["userId"]), int(r["movieId"]), int(float(r["timestamp"]))) for r in csv.DictReader(f)]
    with gzip.open(folder / "movies.csv.gz", "rt") as f:
        genres = {int(r["movieId"]): r["genres"].split("|")[0] for r in csv.DictReader(f)}
    users, items, times = zip(*rows)
    return etalage.EventLog.from_frame({"user": list(users), "item": list(items), "time": list(times)}, time="time", time_unit="s"), genres


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=600)
    args = parser.parse_args()
    log, genres = load()
    parts = split.random_holdout(log, share=0.2, seed=1)
    train, test = parts.train.interactions(duplicates="binary"), parts.test.interactions(duplicates="binary")
    model = etalage.models.ALS(factors=64, regularization=0.01, alpha=10.0, iterations=15, seed=1).fit(train)
    names = sorted(set(genres.values()))
    group = np.array([names.index(genres[i]) for i in train.item_ids.tolist()], np.int32)
    seen, held = train.user_items, test.user_items
    users = [u for u in range(held.shape[0]) if held.indptr[u + 1] > held.indptr[u] and seen.indptr[u + 1] > seen.indptr[u]][:args.users]
    items, scores = model.recommend(np.array(users, np.int32), k=WINDOW)
    factors = model.item_factors / np.maximum(np.linalg.norm(model.item_factors, axis=1, keepdims=True), 1e-12)
    discount = 1 / np.log2(np.arange(K) + 2)

    def measure(method, diversity):
        rows = []
        for n, u in enumerate(users):
            found = items[n][items[n] >= 0]
            raw = scores[n][:len(found)]
            relevance = (0.1 + 0.9 * (raw - raw[-1]) / max(raw[0] - raw[-1], 1e-9)).astype(np.float32)
            taste = np.bincount(group[seen.indices[seen.indptr[u]:seen.indptr[u + 1]]], minlength=len(names)).astype(np.float64)
            taste /= taste.sum()
            order = rerank(relevance, K, method, diversity=diversity, window=WINDOW,
                           **({"groups": group[found], "target": taste.astype(np.float32)} if method == "calibrated" else
                              {"vectors": factors[found]} if method != "none" else {}))
            chosen = found[order]
            relevant = held.indices[held.indptr[u]:held.indptr[u + 1]]
            hit = np.isin(chosen, relevant)
            cosine = factors[chosen] @ factors[chosen].T
            shares = np.bincount(group[chosen], minlength=len(names)) / len(chosen)
            mixed = 0.99 * shares + 0.01 * taste
            used = taste > 0
            rows.append(((hit * discount[:len(hit)]).sum() / discount[:min(K, len(relevant))].sum(), hit.sum() / len(relevant),
                         (cosine.sum() - len(chosen)) / (len(chosen) * (len(chosen) - 1)), (shares > 0).sum(),
                         (taste[used] * np.log(taste[used] / mixed[used])).sum()))
        return np.array(rows)

    base = measure("none", 0)
    print(f"{len(users)} users, {len(group)} films, {K} of {WINDOW} candidates")
    print(f"{'method':12s}{'diversity':>10s}{'ndcg@20':>10s}{'change':>9s}{'+-':>8s}{'recall@20':>11s}{'alike':>8s}{'genres':>8s}{'KL':>8s}")
    for method, diversity in [("none", 0.0)] + [(m, d) for m in ("mmr", "dpp", "calibrated") for d in (0.1, 0.3, 0.5, 0.7)]:
        rows = base if method == "none" else measure(method, diversity)
        mean, change = rows.mean(0), rows[:, 0] - base[:, 0]
        half = 1.96 * change.std(ddof=1) / np.sqrt(len(change))
        print(f"{method:12s}{diversity:10.1f}{mean[0]:10.4f}{change.mean():+9.4f}{half:8.4f}{mean[1]:11.4f}{mean[2]:8.3f}{mean[3]:8.2f}{mean[4]:8.3f}")


if __name__ == "__main__":
    main()
