# SPDX-License-Identifier: Apache-2.0
"""Who are my shoppers, what will they buy again, and who is about to buy? On the synthetic store.

python examples/profiles_and_intent.py [reliability.png]
"""

import sys

import numpy as np

import etalage
from etalage.profile import Profiles, PurchaseIntent

store = etalage.datasets.synthetic_store(users=2000, items=600, seed=7)
catalog = etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")
log = store.log

profiles = Profiles(catalog).add(log)
print("segments:", {name: n for name, n in profiles.segments().items() if n})
shopper = int(np.argmax(profiles.to_dict()["orders"]))
print(profiles[shopper])
again = profiles.buy_again(shopper, k=3, horizon_days=14)
for item, due, chance in zip(again["item"], again["due"], again["probability"]):
    print(f"  may buy {catalog.name(int(catalog.item_index([item])[0]))} again: due {str(due)[:10]}, {chance:.0%} within two weeks")

cut = int(np.quantile(log.times, 0.8))
intent = PurchaseIntent("session", horizon_days=0.02).fit(log.filtered(log.times <= cut), catalog)
rfm = PurchaseIntent("session", horizon_days=0.02, features="rfm").fit(log.filtered(log.times <= cut), catalog)
r, baseline = (model.evaluate(log, catalog, since=cut) for model in (intent, rfm))
difference, low, high = r.compare(baseline, resamples=100)
print(f"who buys within half an hour: {r}")
print(f"  AUC above recency, frequency and money: {difference:+.3f} [{low:+.3f}, {high:+.3f}]")
print("  most telling now:", list(intent.explain(profiles, shopper))[:4])

if len(sys.argv) > 1:
    import matplotlib

    matplotlib.use("Agg")
    r.plot().figure.savefig(sys.argv[1], dpi=130)
    print(sys.argv[1])
