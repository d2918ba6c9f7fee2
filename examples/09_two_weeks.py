# SPDX-License-Identifier: Apache-2.0
"""Two weeks of the closed loop on a made-up shop: log, ask what another policy would have earned, train, publish, test, report.

    python examples/09_two_weeks.py [folder for report.html]
"""
import sys
from pathlib import Path

import numpy as np

import etalage
from etalage.evaluation import experiment
from etalage.serving import Engine, Snapshot

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
rng = np.random.default_rng(1)
store = etalage.datasets.synthetic_store(users=400, items=120, seed=1)
data = store.log.interactions({"view": 1, "cart": 3, "purchase": 5, "return": 0})
appeal = dict(zip(data.item_ids, rng.beta(1.2, 8, len(data.item_ids))))  # what the shop does not know: who clicks on what


def week(shop_of, day):
    """Every shopper looks twice at four places; what stands further down is looked at less. Returns clicks by shopper."""
    clicks = dict.fromkeys(data.user_ids, 0)
    for visit in range(2):
        for user in data.user_ids:
            engine = shop_of(user)
            engine.now = day + np.timedelta64(visit, "D")
            answer = engine.recommend(user, k=4, log=True)
            for place, item in enumerate(answer.keys):
                if rng.random() < appeal[item] * 0.8**place:
                    engine.observe(user, item, "view", request=answer.request_id)
                    clicks[user] += 1
    return clicks


# Week one: the first two places are drawn among the ten best, with known probabilities.
models = {"als": etalage.models.ALS(factors=16).fit(data), "popularity": etalage.models.Popularity().fit(data)}
start = (store.log.times.max() + 3_600_000).astype("datetime64[ms]")
engine = Engine(models=models, exploration={"home": {"policy": "epsilon", "epsilon": 0.6, "slots": [0, 1], "pool": 10}})
week(lambda user: engine, start)
for name, policy in [("always the best", "greedy"), ("softmax", {"policy": "softmax", "temperature": 0.2})]:
    print(f"{name}, from this log:", engine.what_if(policy)["snips"])

# Train the second stage on what was shown, and publish it beside the models.
shown = engine.impressions()
ranker = etalage.models.LearnedRanker([etalage.models.ALS(factors=16), etalage.models.Popularity()], method="linear")
ranker.fit(store.log, impressions=shown, columns={"reward": "view"})
after = Snapshot({"learned": ranker, **models}, mix={"standard": {"sources": {"learned": (50, 1.0)}, "fallback": ["popularity"]}})

# Week two: half of the shoppers get it; who is in which half is a hash of their key.
arms = experiment.Allocation("second-stage", {"models": 0.5, "learned": 0.5})
new = Engine()
new.publish(after)
engine.explore("home", None)
clicks = week(lambda user: new if arms.assign(user) == "learned" else engine, start + np.timedelta64(7, "D"))
result = experiment.analyze([arms.assign(user) for user in data.user_ids], {"clicks": list(clicks.values())}, control="models", shares=arms.shares)
result.report(folder / "report.html", what="a ranker learned from one week of impressions", whom="all shoppers of a made-up shop, week two")
print(f"clicks a shopper, learned less models: {result.rows[0].difference:+.3f}, interval {result.rows[0].interval}; wrote {folder / 'report.html'}")
