# SPDX-License-Identifier: Apache-2.0
"""A shop's rules over several sources: filter, cap, share, pin, variety, and why each product is there.

python examples/06_rules.py
"""

import numpy as np

import etalage
from etalage.serving import CatalogIndex, Filter, ListSource, ModelSource, Ranker, Rules, align_catalog, rerank

store = etalage.datasets.synthetic_store(users=1500, items=500, seed=7)
weights = {"view": 1.0, "cart": 3.0, "purchase": 5.0, "return": 0.0}
data = store.log.interactions(event_weights=weights)
als = etalage.models.ALS(factors=32, iterations=10, seed=1).fit(data)
knn = etalage.models.ItemKNN().fit(data)

# Rows of the catalogue are the models' item indices.
columns = store.catalog.to_dict()
catalog = align_catalog(etalage.Catalog(columns["item"], names=columns["name"], brands=columns["brand"], prices=columns["price"],
                                        stock=columns["stock"].astype(np.float32),
                                        categories=[c.split(" > ") for c in columns["category"]]), als)
index = CatalogIndex(catalog)

popular = np.argsort(-np.asarray(data.user_items.sum(axis=0)).ravel()).astype(np.int32)
affordable = float(np.nanquantile(catalog.prices, 0.25))
rules = Rules.from_json({"rules": [
    {"type": "include", "name": "sellable", "predicate": {"in_stock": True, "known_price": True}},
    {"type": "cap", "name": "two a brand", "by": "brand", "max": 2},
    {"type": "min_share", "name": "affordable", "predicate": {"price": {"max": affordable}}, "share": 0.7},
    {"type": "boost", "name": "campaign", "predicate": {"brand": catalog.brands[0]}, "factor": 1.5},
    {"type": "pin", "name": "editor's choice", "item": str(catalog.item_ids[int(popular[0])]), "position": 1, "placements": ["home"]}]})
for message in rules.validate(index):
    print("note:", message)

ranker = Ranker(index,
                [ModelSource("als", als), ModelSource("similar", knn, ask="similar"),
                 ListSource("popular", (popular, np.arange(len(popular), 0, -1, dtype=np.float32)))],
                mix={"sources": [("als", 100, 1.0), ("similar", 50, 0.5)], "fallback": ["popular"]},
                rules=rules, rerank={"method": "mmr", "diversity": 0.3}, vectors=als.item_factors)

history = data.user_items[3].indices
for title, request in [("home page of a known shopper", dict(user=3, history=history)),
                       ("product page of an unknown one, at most 15", dict(
                           placement="product_page", anchors=[int(popular[5])], filter=Filter.price(max=15))),
                       ("nobody knows anything", dict())]:
    answer = ranker.rank(6, trace=True, **request)
    print(f"\n{title}: {answer.trace['eligible']} eligible, {answer.trace['candidates']} candidates")
    for item, score, source, why in zip(answer.items, answer.scores, answer.sources, answer.trace["items"]):
        done = ", ".join(f"{e['name']}: {e['what']}" for e in why["rules"])
        print(f"  {catalog.name(int(item))[:34]:34s} {catalog.prices[item]:8.2f}  {score:.2f}  {source or '-':8s} {done}")

print("\nwhat variety takes and gives, 20 of the 100 best for 300 shoppers")
items, scores = als.recommend(np.arange(300), k=100)
unit = als.item_factors / np.linalg.norm(als.item_factors, axis=1, keepdims=True).clip(1e-9)
for method, diversity in [("none", 0.0), ("mmr", 0.3), ("mmr", 0.7), ("dpp", 0.3)]:
    kept, alike = [], []
    for found, raw in zip(items, scores):
        relevance = ((raw - raw[-1]) / (raw[0] - raw[-1])).astype(np.float32)
        order = rerank(relevance, 20, method, diversity=diversity, vectors=unit[found])
        kept.append(relevance[order].sum() / relevance[:20].sum())
        cosine = unit[found[order]] @ unit[found[order]].T
        alike.append((cosine.sum() - 20) / 380)
    print(f"  {method:5s}{diversity:5.1f}   relevance kept {np.mean(kept):6.1%}   mean cosine in a list {np.mean(alike):.3f}")
