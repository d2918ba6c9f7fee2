# SPDX-License-Identifier: Apache-2.0
"""Is the mix of sources better than each of them? Online Retail (cut at 2010-11-01, October is validation) and Beauty.

    python bench/quality/engine_mix.py [--data ../shared/data] [--only online-retail]

Sources have the settings that were chosen for them on the same validation part (settings.json). Each names its 200 best; serving.Ranker mixes them. Weights and normalisation are chosen on validation by
coordinate search, models are refitted on train + validation, test is measured once. Differences are paired by user, with
95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib

import numpy as np
import scipy.sparse as sp

import datasets
import etalage
from etalage.serving import CatalogIndex, GivenSource, ModelSource, Ranker

K, QUOTA = 20, 200
GRID = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def chosen(task, model, **more):
    """With the settings that were chosen on the task's validation part."""
    settings = json.loads((pathlib.Path(__file__).parent / "settings.json").read_text())
    return getattr(etalage.models, model)(**settings[f"{task}: {model}"]["params"], **more)


def own_history(sequences_of, users):
    """Buy again: what each user bought, by how often and how lately. (items, scores) a user."""
    out = {}
    for u in users:
        bought = sequences_of(u)
        score = {}
        for place, item in enumerate(reversed(bought)):
            score[item] = score.get(item, 0.0) + 1.0 / (1.0 + 0.05 * place)
        ranked = sorted(score, key=lambda i: (-score[i], i))
        out[u] = (np.array(ranked, np.int32), np.array([score[i] for i in ranked], np.float32))
    return out


def online_retail(data, which):
    d = datasets.online_retail(data)
    log, held = (d["head"], d["tail"]) if which == "choose" else (d["all"], d["test"])
    interactions = log.interactions()
    models = {
        "als": chosen("online retail, all", "ALS", factors=64, seed=1).fit(log),
        "item knn": chosen("online retail, all", "ItemKNN").fit(log),
        "rp3beta": chosen("online retail, all", "RP3beta").fit(log),
        "repeats": etalage.models.RepeatPurchase().fit(log),
        "transitions": etalage.models.Transitions().fit(log),
        "popular": etalage.models.Popularity().fit(log),
    }
    relevant = held.interactions(duplicates="binary").user_items
    known = np.diff(interactions.user_items.indptr) > 0
    users = [u for u in range(relevant.shape[0]) if u < len(known) and known[u] and relevant.indptr[u + 1] > relevant.indptr[u]]
    rows = log.sequences(by="user")
    offsets, items = np.asarray(rows.offsets), np.asarray(rows.items)
    return models, relevant, users, lambda u: items[offsets[u]:offsets[u + 1]].tolist(), False


def beauty(data, which):
    whole = datasets.beauty(data)["query_test"]
    offsets, items = np.asarray(whole.offsets), np.asarray(whole.items)
    lists = [items[offsets[u]:offsets[u + 1]].tolist() for u in range(len(offsets) - 1)]
    cut = 2 if which == "choose" else 1
    n = 1 + int(items.max())
    history = [x[:-cut] for x in lists]
    row = np.repeat(np.arange(len(history)), [len(x) for x in history])
    matrix = sp.csr_matrix((np.ones(len(row), np.float32), (row, np.concatenate(history))), shape=(len(history), n))
    matrix.data[:] = 1
    binary = etalage.Interactions.from_csr(matrix)
    models = {
        "als": etalage.models.ALS(factors=64, regularization=0.003, unobserved_weight=0.02, nu=1.0, iterations=15, seed=1).fit(binary),
        "item knn": etalage.models.ItemKNN(num_neighbors=100).fit(binary),
        "rp3beta": etalage.models.RP3beta(beta=0.3).fit(binary),
        "linear": chosen("beauty", "LinearSequence").fit(datasets.sequences(history, n)),
        "transitions": chosen("beauty", "Transitions").fit(datasets.sequences(history, n)),
        "popular": etalage.models.Popularity().fit(binary),
    }
    target = np.array([x[-cut] for x in lists])
    relevant = sp.csr_matrix((np.ones(len(lists), np.float32), (np.arange(len(lists)), target)), shape=(len(lists), n))
    users = [u for u in range(len(lists)) if history[u] and target[u] not in history[u]]
    return models, relevant, users, lambda u: history[u], True


def measure(lists, relevant, users):
    """recall@20 and ndcg@20 by user."""
    discount = 1 / np.log2(np.arange(K) + 2)
    ideal = np.concatenate([[0], np.cumsum(discount)])
    out = np.zeros((len(users), 2))
    for n, u in enumerate(users):
        truth = relevant.indices[relevant.indptr[u]:relevant.indptr[u + 1]]
        hit = np.isin(lists[n][:K], truth)
        out[n] = hit.sum() / len(truth), (hit * discount[:len(hit)]).sum() / ideal[min(K, len(truth))]
    return out


def lists_of(models, again, users, masked):
    """Each source's QUOTA best as (items, scores) by user."""
    lists = {}
    for name, model in models.items():
        items, scores = model.recommend(np.array(users, np.int32), k=QUOTA, filter_already_liked_items=masked)
        lists[name] = [(i[i >= 0], s[i >= 0]) for i, s in zip(items, scores)]
    if not masked:
        lists["buy again"] = [tuple(part[:QUOTA] for part in again[u]) for u in users]
    return lists


def parts_of(lists, normalization):
    """Normalised scores as Mixer makes them, by source and user."""
    def one(scores):
        if normalization == "rank":
            return 61 / (61 + np.arange(len(scores)))
        return (scores - scores.min()) / (scores.max() - scores.min()) if len(scores) and scores.max() > scores.min() else np.ones(len(scores))

    return {name: [one(s) for _, s in rows] for name, rows in lists.items()}


def mixed(lists, parts, weights, n_items, users):
    out = []
    for n in range(len(users)):
        total = np.zeros(n_items)
        for name, w in weights.items():
            if w:
                total[lists[name][n][0]] += w * parts[name][n]
        best = np.argpartition(-total, K)[:K]
        out.append(best[np.lexsort((best, -total[best]))])
    return out


def choose(lists, relevant, users, n_items):
    """Weights and normalisation with the largest gain over the best single source, in the metric that gains less."""
    single = np.max([measure([i for i, _ in rows], relevant, users).mean(0) for rows in lists.values()], axis=0)

    def gain(parts, weights):
        return (measure(mixed(lists, parts, weights, n_items, users), relevant, users).mean(0) / single).min()

    best = (-1.0, None, None)
    for normalization in ("rank", "min_max"):
        parts = parts_of(lists, normalization)
        weights = dict.fromkeys(lists, 1.0)
        value = gain(parts, weights)
        for _ in range(2):
            for name in lists:
                for w in GRID:
                    tried = {**weights, name: w}
                    if not any(tried.values()):
                        continue
                    v = gain(parts, tried)
                    if v > value + 1e-9:
                        value, weights = v, tried
        if value > best[0]:
            best = (value, weights, normalization)
    return best[1], best[2]


def run(name, load, data):
    rng = np.random.default_rng(0)
    models, relevant, users, sequence, masked = load(data, "choose")
    sample = sorted(rng.permutation(users)[:4000].tolist())
    lists = lists_of(models, own_history(sequence, sample), sample, masked)
    weights, normalization = choose(lists, relevant, sample, relevant.shape[1])

    models, relevant, users, sequence, masked = load(data, "final")
    again = own_history(sequence, users)
    n_items = relevant.shape[1]
    index = CatalogIndex(etalage.Catalog(list(range(n_items))))
    used = [n for n, w in weights.items() if w > 0]
    ranker = Ranker(index, [ModelSource(n, models[n], "anyone") if n in models else GivenSource(n) for n in used],
                    mix={"sources": [(n, QUOTA, weights[n]) for n in used], "normalization": normalization})
    answers = []
    for u in users:
        history = np.array(sequence(u), np.int32) if masked else None
        answers.append(ranker.rank(K, user=u, seen=history, given=again[u] if "buy again" in used else None, exclude_seen=masked).items)
    lists = lists_of(models, again, users, masked)
    rows = {"mix": measure(answers, relevant, users), **{n: measure([i for i, _ in lists[n]], relevant, users) for n in lists}}

    print(f"\n{name}: {len(users)} users, {n_items} items; {normalization}, weights " + ", ".join(f"{n} {weights[n]:g}" for n in used))
    print(f"{'':14s}{'recall@20':>10s}{'ndcg@20':>10s}   mix minus it, 95 %: recall@20, ndcg@20")
    draws = rng.integers(0, len(users), (2000, len(users)))
    for source, values in rows.items():
        line = f"{source:14s}{values[:, 0].mean():10.4f}{values[:, 1].mean():10.4f}"
        if source != "mix":
            for m in (0, 1):
                low, high = np.quantile((rows["mix"][:, m] - values[:, m])[draws].mean(1), (0.025, 0.975))
                line += f"   [{low:+.4f}, {high:+.4f}]"
        print(line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared/data"))
    parser.add_argument("--only", choices=("online-retail", "beauty"))
    args = parser.parse_args()
    for name, load in (("online-retail", online_retail), ("beauty", beauty)):
        if args.only in (None, name):
            try:
                run(name, load, args.data)
            except datasets.Missing as missing:
                print(f"{name}: skipped, {missing}")


if __name__ == "__main__":
    main()
