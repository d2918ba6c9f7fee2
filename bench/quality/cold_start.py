# SPDX-License-Identifier: Apache-2.0
"""Quality of ColdStart: products that no model has seen, ranked for the people who went on to touch them.

    python bench/quality/cold_start.py [--data ../shared/data] [--factors 128] [--seeds 3]

A fifth of the products is held out with all their interactions; ALS is fitted on the rest; each method gives the held-out
ones factors from their attributes, and they are ranked among themselves for every user. Attributes are genres (MovieLens)
and words of the description by TF-IDF (Online Retail). Beside: chance; popularity, which knows nothing of new products and
ranks them by number; the mean vector of each attribute's products, averaged; the mean of the nearest products by cosine,
for the number of neighbours that is best on the test itself. Gain is over the better of the last two, with an interval
by bootstrap over users of the first seed's split. The exploration slot is simulated on the same split: see the second table.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time

import numpy as np
import scipy.sparse as sp

import etalage
from etalage.models import ALS, ColdStart, ExplorationSlot

K = 20


def movielens(folder):
    import pandas as pd

    movies = pd.read_csv(folder / "movielens-small" / "movies.csv.gz")
    ratings = pd.read_csv(folder / "movielens-small" / "ratings.csv.gz")
    movies.columns = [c.lower() for c in movies.columns]
    ratings.columns = [c.lower() for c in ratings.columns]
    log = etalage.EventLog.from_frame({"user": ratings.userid.to_numpy(), "item": ratings.movieid.to_numpy()})
    catalog = etalage.Catalog.from_frame({"item": movies.movieid.to_numpy(), "tags": movies.genres.tolist()}, tags="tags")
    return log, catalog


def online_retail(folder):
    import pandas as pd

    o = pd.read_parquet(folder / "online-retail" / "online_retail.parquet")
    o = o[o["Customer ID"].notna() & (o.Quantity > 0) & o.Description.notna()]
    log = etalage.EventLog.from_frame({"user": o["Customer ID"].astype(np.int64).to_numpy(), "item": o.StockCode.tolist()})
    texts = o.groupby("StockCode").Description.first()
    catalog = etalage.Catalog.from_frame({"item": texts.index.tolist(), "text": texts.tolist()}, text="text")
    return log, catalog


def recalls(users, cold, wanted):
    scores = users @ cold.T
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(wanted, top, 1).sum(1) / wanted.sum(1)


def category_mean(x_known, y, x_new):
    has_known, has_new = (x_known > 0).astype(np.float64), (x_new > 0).astype(np.float64)
    means = (has_known.T @ y) / np.maximum(1, np.asarray(has_known.sum(0)).ravel())[:, None]
    return (has_new @ means) / np.maximum(1, np.asarray(has_new.sum(1)).ravel())[:, None]


def nearest(similarity, y, k):
    kept = np.where(similarity >= np.sort(similarity, axis=1)[:, [-k]], similarity, 0)
    return (kept @ y) / np.maximum(1e-9, kept.sum(1))[:, None]


def split(log, catalog, seed, factors):
    items = log.num_items
    cold = np.random.default_rng(seed).permutation(items)[: items // 5]
    everything = sp.csr_matrix((np.ones(len(log), np.float32), (log.users, log.items)), shape=(log.num_users, items))
    everything.data[:] = 1
    train = log.filtered(~np.isin(log.items, cold)).interactions(duplicates="binary")
    model = ALS(factors=factors, regularization=0.01, alpha=0.05, unobserved_weight=0.05, nu=1.0, iterations=12, compute_objective=False).fit(train)
    wanted = everything[:, cold].toarray() > 0
    users = np.flatnonzero(wanted.any(axis=1))
    return cold, model, users, wanted[users]


def exploration(log, cold, model, users, wanted, cold_factors, seed):
    """Each round one user is shown their ten best known products, or nine and a new one at the fifth place. They click what they
    went on to touch (held-out part) or touched (known part); clicks are counted against a list without the slot."""
    rng = np.random.default_rng(seed)
    known = model.user_items
    rounds = 30000
    who = rng.integers(0, len(users), rounds)
    items, scores = model.recommend(users, k=10, filter_already_liked_items=False)
    liked_known = [set(known[u].indices) for u in users]
    predicted = model.user_factors[users] @ cold_factors.T
    shortlist = np.argsort(-predicted, axis=1)[:, :50]
    rows = []
    for name, policy in (("no slot", None), ("uniform, all new", "uniform"), ("Thompson, all new", "thompson"), ("uniform, 50 predicted", "uniform"), ("Thompson, 50 predicted", "thompson")):
        slot = policy and ExplorationSlot(policy, share=1.0, position=4, seed=seed)
        clicks = new_clicks = lost = 0
        seen = set()
        for r in range(rounds):
            u = who[r]
            if policy is None:
                clicks += sum(i in liked_known[u] for i in items[u])
                continue
            pool = shortlist[u] if "predicted" in name else np.arange(len(cold))
            out, _, place = slot.place(items[u], scores[u], (pool + log.num_items).astype(np.int32), r)
            new = int(out[place]) - log.num_items
            slot.shown(int(out[place]))
            seen.add(new)
            lost += int(items[u][9]) in liked_known[u]
            clicks += sum(int(i) in liked_known[u] for i in out if i < log.num_items)
            if wanted[u, new]:
                slot.clicked(int(out[place]))
                new_clicks += 1
        rows.append((name, clicks / rounds, new_clicks / rounds, lost / rounds, len(seen) / len(cold)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("ETALAGE_DATA", root.parent / "shared" / "data"))
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    for name, load in (("MovieLens, genres", movielens), ("Online Retail, descriptions", online_retail)):
        if args.only and not any(o.lower() in name.lower() for o in args.only):
            continue
        try:
            log, catalog = load(pathlib.Path(args.data))
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: SKIPPED: {error}")
            continue
        results, first, settings, seconds = {}, None, [], 0.0
        for seed in range(args.seeds):
            cold, model, users, wanted = split(log, catalog, seed, args.factors)
            rows = catalog.item_index(list(np.asarray(log.item_ids)[:log.num_items]))
            attributes = etalage._core.CatalogAttributes(catalog, {"min_count": 2}).rows(catalog)[rows]
            y = np.asarray(model.item_factors, np.float64)
            known = np.flatnonzero((y != 0).any(axis=1))
            u = np.asarray(model.user_factors, np.float64)[users]
            x_known, x_new = attributes[known], attributes[cold]
            lengths = [np.sqrt(np.asarray(x.multiply(x).sum(1)).ravel()) for x in (x_known, x_new)]
            similarity = np.asarray((x_new @ x_known.T).todense()) / np.maximum(1e-9, np.outer(lengths[1], lengths[0]))
            one = {"chance": recalls(u, np.random.default_rng(seed).standard_normal((len(cold), args.factors)), wanted),
                   "popularity": recalls(np.ones((len(users), 1)), np.zeros((len(cold), 1)), wanted),
                   "category mean vector": recalls(u, category_mean(x_known, y[known], x_new), wanted)}
            for k in (5, 10, 20, 50):
                one[f"nearest {k}"] = recalls(u, nearest(similarity, y[known], k), wanted)
            begin = time.perf_counter()
            start = ColdStart(model, catalog)
            seconds += time.perf_counter() - begin
            settings.append(tuple(start.options[n] for n in ("power", "regularization", "support_power", "target_power", "evenness")))
            predicted = start.factors(catalog)[rows[cold]].astype(np.float64)
            one["ColdStart"] = recalls(u, predicted, wanted)
            for method, r in one.items():
                results.setdefault(method, []).append(r.mean())
            first = first or (one, cold, model, users, wanted, predicted)
        means = {m: float(np.mean(r)) for m, r in results.items()}
        best_nearest = max((m for m in means if m.startswith("nearest")), key=means.get)
        best = max(("category mean vector", best_nearest), key=means.get)
        print(f"\n{name}: {log.num_users} users, {log.num_items} products, {args.factors} factors, {args.seeds} splits; recall@{K} among {log.num_items // 5} held-out products")
        for method in ("chance", "popularity", "category mean vector", best_nearest, "ColdStart"):
            gain = "" if method != "ColdStart" else f"  {means[method] / means[best] - 1:+.1%} over {best}"
            print(f"  {method:22s} {means[method]:.4f}  ({', '.join(f'{r:.4f}' for r in results[method])}){gain}")
        one, cold, model, users, wanted, predicted = first
        rng = np.random.default_rng(0)
        differences = one["ColdStart"] - one[best]
        samples = [differences[rng.integers(0, len(differences), len(differences))].mean() for _ in range(1000)]
        low, high = np.quantile(samples, [0.025, 0.975])
        print(f"  difference on the first split {differences.mean():+.4f} [{low:+.4f}, {high:+.4f}]; (power, regularization, support_power, target_power, evenness) chosen: {settings}; "
              f"{seconds / args.seeds:.1f} s to choose and learn")
        print(f"  exploration slot at place 5 of 10, 30000 lists: {'':6s} clicks on known  on new  known clicks given up  new products shown")
        for label, clicks, new, lost, shown in exploration(log, cold, model, users, wanted, predicted, 0):
            print(f"    {label:40s} {clicks:20.4f} {new:7.4f} {lost:22.4f} {shown:19.1%}", flush=True)


if __name__ == "__main__":
    main()
