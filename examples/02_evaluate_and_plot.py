# SPDX-License-Identifier: Apache-2.0
"""How many factors does this shop need? Compares models on held-out purchases and draws the answer.

python examples/02_evaluate_and_plot.py [picture.png]
"""

import sys

import etalage
from etalage.evaluation import evaluate, split

store = etalage.datasets.synthetic_store(users=2000, items=600, seed=7)
parts = split.leave_last_out(store.log)
weights = {"view": 1.0, "cart": 3.0, "purchase": 5.0, "return": 0.0}
train = parts.train.interactions(event_weights=weights)
valid = parts.valid.interactions(event_weights=weights)

results = {"popularity": evaluate(etalage.models.Popularity().fit(train), train, valid, k=20, metrics=("recall",))}
for factors in (8, 16, 32, 64):
    model = etalage.models.ALS(factors=factors, iterations=10, seed=1).fit(train)
    results[f"ALS, {factors} factors"] = evaluate(model, train, valid, k=20, metrics=("recall",))

for name, result in results.items():
    low, high = result.interval("recall@20")
    print(f"{name:18s} recall@20 {result['recall@20']:.4f}  [{low:.4f}, {high:.4f}]  {result['users']} shoppers")

if len(sys.argv) > 1:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    names = list(results)
    middle = [results[n]["recall@20"] for n in names]
    bounds = [results[n].interval("recall@20") for n in names]
    errors = [[m - b[0] for m, b in zip(middle, bounds)], [b[1] - m for m, b in zip(middle, bounds)]]
    axes.barh(names, middle, xerr=errors, capsize=3, color="#31688e")
    axes.invert_yaxis()
    axes.set_xlabel("recall@20 on held-out items, 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[1], dpi=130)
    print(sys.argv[1])
