# SPDX-License-Identifier: Apache-2.0
"""A day of a shop in twenty lines: a morning's models, live shoppers, a retrain, a rollback, and a restart."""
import tempfile

import etalage

store = etalage.datasets.synthetic_store(users=2000, items=800, seed=1)
products = etalage.Catalog(store.catalog.item_ids, names=store.catalog.names(), brands=store.catalog.to_dict()["brand"], prices=store.catalog.prices)
data = store.log.interactions(event_weights={"view": 1, "cart": 3, "purchase": 5, "return": 0})
als = etalage.models.ALS(factors=32, iterations=5).fit(data)
popularity = etalage.models.Popularity().fit(data)
with tempfile.TemporaryDirectory() as folder:
    engine = etalage.serving.Engine(folder, durability="every 50 ms", catalog=products, models={"als": als, "popularity": popularity},
                                    rules=[{"type": "cap", "by": "brand", "max": 3}], metrics=True)
    keys, scores = engine.recommend("somebody new", k=5)  # nobody is without an answer
    for item in keys[:2]:
        engine.observe("somebody new", item, "view")  # the next request sees it
    print(engine.recommend("somebody new", k=5, explain=True).why[0])
    print(engine.recommend("somebody new", k=5, placement="product_page", anchors=[keys[0]], filter={"price": {"max": 50}}))
    retrained = etalage.models.ALS(factors=48, iterations=5).fit(data)
    engine.publish(etalage.serving.Snapshot({"als": retrained, "popularity": popularity}, products))
    print("answered by publication", engine.recommend("somebody new").snapshot, "and after a rollback by", engine.rollback())
    engine.merge_users("somebody new", "customer 17")
    engine.sync()
    del engine
    print(etalage.serving.Engine(folder).user("customer 17"))  # the journal brings everything back
