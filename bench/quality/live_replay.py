# SPDX-License-Identifier: Apache-2.0
"""Do live events help? The test period is replayed in time order through two engines with the same snapshot.

    python bench/quality/live_replay.py [--data ../shared/data] [--only online-retail] [--limit 20000]

Before each purchase (all lines of one customer at one time) both engines are asked for 20 products; then one of them is
told of the purchase by observe(), the other is not and stays as its models were fitted. recall@20 and ndcg@20 of a
customer are means over their purchases; differences are paired by customer, with 95 % bootstrap intervals. A second line
leaves out each customer's first purchase, before which there is little news of them.

Online Retail: models of the purchases before 2010-11-01, repeats count. Synthetic store: its last fifth by time, views
and carts are told too, and what is bought counts.
"""

from __future__ import annotations

import argparse
import os
import pathlib

import numpy as np

import datasets
import etalage
from etalage.serving import Engine, Snapshot

K = 20


def models_of(log, catalog=None):
    interactions = log.interactions(event_weights=None if log.event_names is None or not len(log.event_names) else {"view": 1, "cart": 3, "purchase": 5, "return": 0})
    binary = etalage.Interactions.from_csr((interactions.user_items > 0).astype(np.float32), user_ids=interactions.user_ids, item_ids=interactions.item_ids)
    return {
        "als": etalage.models.ALS(factors=64, regularization=0.003, unobserved_weight=0.02, nu=1.0, iterations=15, seed=1).fit(interactions),
        "rp3beta": etalage.models.RP3beta(beta=0.3).fit(binary),
        "item_to_item": etalage.models.ItemKNN(num_neighbors=100).fit(binary),
        "popularity": etalage.models.Popularity().fit(interactions),
    }


def online_retail(data):
    d = datasets.online_retail(data)
    return d["all"], d["test"], None


def synthetic(data):
    store = etalage.datasets.synthetic_store(users=3000, items=1500, seed=5)
    catalog = etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")
    cut = int(np.quantile(store.log.times, 0.8))
    parts = etalage.evaluation.split.temporal(store.log, at=np.datetime64(cut, "ms"))
    return parts.train, parts.test, catalog


def replayed(train, test, catalog, limit):
    """Rows by time, and by customer within a time: (user key, item key, event, ms)."""
    times = np.asarray(test.times)
    order = np.lexsort((np.asarray(test.users), times))[:limit]
    users, items = np.asarray(test.user_ids, object)[test.users], np.asarray(test.item_ids, object)[test.items]
    events = np.array([test.event_names[e] for e in test.events], object) if test.events is not None and len(test.events) else np.full(len(times), "purchase", object)
    return [(users[i], items[i], events[i], int(times[i])) for i in order]


def one_purchase(answer, truth):
    hit = np.fromiter((key in truth for key in answer), float, len(answer))
    discount = 1 / np.log2(np.arange(len(hit)) + 2)
    return hit.sum() / len(truth), (hit * discount).sum() / (1 / np.log2(np.arange(min(K, len(truth))) + 2)).sum()


def run(name, load, data, limit):
    train, test, catalog = load(data)
    newest = int(np.asarray(train.times).max())
    profiles = etalage.profile.Profiles(catalog).add(train)
    snapshot = Snapshot(models_of(train, catalog), catalog, profiles=profiles, trained=newest)
    live, stale = Engine(), Engine()
    for engine in (live, stale):
        engine.publish(snapshot)
    per_user: dict = {}
    rows = replayed(train, test, catalog, limit)
    at = 0
    while at < len(rows):
        user, _, _, ms = rows[at]
        end = at
        while end < len(rows) and rows[end][0] == user and rows[end][3] == ms:
            end += 1
        bought = {r[1] for r in rows[at:end] if r[2] == "purchase"}
        if bought:
            live.now = stale.now = ms
            scores = [one_purchase(engine.recommend(user, K, exclude_seen=False).keys, bought) for engine in (live, stale)]
            per_user.setdefault(user, []).append(scores)
        live.now = ms
        for r in rows[at:end]:
            live.observe(r[0], r[1], r[2], r[3])
        at = end
    means = np.array([np.mean(v, axis=0) for v in per_user.values()])      # users x {live, stale} x {recall, ndcg}
    later = np.array([np.mean(v[1:], axis=0) for v in per_user.values() if len(v) > 1])
    rng = np.random.default_rng(0)
    print(f"\n{name}: {len(rows)} events, {sum(map(len, per_user.values()))} purchases of {len(means)} customers")
    print(f"{'':34s}{'with observe()':>16s}{'without':>10s}   difference, 95 %")
    for label, values in (("all purchases", means), ("after their first one", later)):
        draws = rng.integers(0, len(values), (2000, len(values)))
        for m, metric in enumerate(("recall@20", "ndcg@20")):
            difference = values[:, 0, m] - values[:, 1, m]
            low, high = np.quantile(difference[draws].mean(1), (0.025, 0.975))
            print(f"{label + ', ' + metric:34s}{values[:, 0, m].mean():16.4f}{values[:, 1, m].mean():10.4f}   {difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared/data"))
    parser.add_argument("--only", choices=("online-retail", "synthetic"))
    parser.add_argument("--limit", type=int, default=None, help="events to replay")
    args = parser.parse_args()
    for name, load in (("online-retail", online_retail), ("synthetic", synthetic)):
        if args.only in (None, name):
            try:
                run(name, load, args.data, args.limit)
            except datasets.Missing as missing:
                print(f"{name}: skipped, {missing}")


if __name__ == "__main__":
    main()
