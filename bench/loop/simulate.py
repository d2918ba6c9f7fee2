# SPDX-License-Identifier: Apache-2.0
"""What the closed loop is worth on a made-up shop with planted taste and position bias: rankers, exploration, off-policy estimates.

    python bench/loop/simulate.py [--seeds 20] [--weeks 10] [--only rankers loop]

The shop: shoppers and products have tastes; a product at place p is looked at with probability LOOKED[p] and then clicked with a
probability that only the shop's maker knows. Two thirds of the products are old, with a history of purchases; the rest are new, as good as
the old ones, and hardly bought yet. A page is worth what it is clicked in expectation: no noise of a measured week is in it.

rankers   a week of pages that are drawn uniformly among the 20 best of the mix (ALS, popularity). Then, on the same history and the same clicks: the
          mix; a LearnedRanker that learned from clicks alone (what was clicked against what else the sources propose); one that learned
          from the impressions (what was clicked against what stood beside it, a click for 1 / propensity, position as a feature)
loop      weeks of pages, the models and a ranker fitted anew after each on all that is known: with 2 % of places drawn uniformly among the 20 best, and
          without. Each week is also asked what the best everywhere would have earned, and that is then shown to everybody once: the
          interval of the difference, both errors counted, should hold 0 in 95 % of weeks
"""

from __future__ import annotations

import argparse
import sys
from statistics import NormalDist

import numpy as np
import scipy.sparse as sp

import etalage
from etalage.models import ALS, LearnedRanker, Popularity
from etalage.serving import Engine

USERS, ITEMS, TASTES, PLACES = 300, 150, 6, 6
LOOKED = 0.75 ** np.arange(PLACES)
DAY = 86_400_000
START = 1_750_000_000_000
CLICK = {"click": {"weight": 0.0, "trending": 0.0}}  # clicks move no page before the next fit: what is measured stays the same


class Shop:
    """The made-up truth, and what the shop's log knows of it."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        users, items = rng.dirichlet(np.full(TASTES, 0.3), USERS), rng.dirichlet(np.full(TASTES, 0.3), ITEMS)
        appeal = rng.normal(-2.2, 0.8, ITEMS)
        self.attraction = 1 / (1 + np.exp(-(appeal + 2.5 * users @ items.T)))  # [users, items]
        old = np.arange(ITEMS) < 2 * ITEMS // 3
        self.users, self.items, self.times = [], [], []
        weight = self.attraction * np.where(old, 1.0, 0.02)
        for n in range(8):
            for user in range(USERS):
                self.add(user, int(rng.choice(ITEMS, p=weight[user] / weight[user].sum())), START - (60 - 7 * n) * DAY)
        for item in range(ITEMS):
            self.add(int(rng.integers(USERS)), item, START - 61 * DAY)

    def add(self, user, item, time):
        self.users.append(user)
        self.items.append(item)
        self.times.append(time)

    def log(self):
        order = np.argsort(self.times, kind="stable")
        return etalage.EventLog.from_frame({"user": np.asarray(self.users)[order], "item": np.asarray(self.items)[order],
                                            "time": np.asarray(self.times)[order]}, user="user", item="item", time="time", time_unit="ms")

    def worth(self, pages):
        """Expected clicks a page of pages [users, places]."""
        return float((self.attraction[np.arange(USERS)[:, None], pages] * LOOKED[:pages.shape[1]]).sum(1).mean())

    def visits(self, engine, now, times, keep=True):
        """Everybody looks `times` times; clicks are observed, and with keep they are in the log. Clicks a page [users x times]."""
        out = []
        for visit in range(times):
            at = now + visit * 3_600_000
            engine.now = np.datetime64(at, "ms")
            for user in range(USERS):
                answer = engine.recommend(user, k=PLACES, exclude_seen=False, log=True)
                items = np.asarray(answer.keys, np.int64)
                clicked = self.rng.random(len(items)) < LOOKED[:len(items)] * self.attraction[user, items]
                for item in items[clicked]:
                    engine.observe(user, int(item), "click", request=answer.request_id)
                    if keep:
                        self.add(user, int(item), at)
                out.append((user, clicked.sum()))
        return np.asarray(out)


def sources():
    return [ALS(factors=12, iterations=8, num_threads=1), Popularity()]


def fitted(log):
    """By one id space: keys are numbers, so rows are those of the log."""
    data = log.interactions()
    return {"als": ALS(factors=12, iterations=8, num_threads=1).fit(data), "popularity": Popularity().fit(data)}


def pages_of(engine):
    return np.stack([np.asarray(engine.recommend(user, k=PLACES, exclude_seen=False).keys, np.int64) for user in range(USERS)])


def frame_of(engine):
    shown = engine.impressions()
    return {**{n: shown[n] for n in ("request", "user", "item", "position", "propensity", "time")}, "reward": shown["click"]}


def together(frames):
    """Frames of several engines; numbers of requests made different."""
    return {n: np.concatenate([f[n] + (10_000_000 * i if n == "request" else 0) for i, f in enumerate(frames)]) for n in frames[0]}


def rankers(seed):
    """(mix, learned from clicks, learned from impressions): expected clicks a page."""
    shop = Shop(seed)
    before = shop.log()
    models = fitted(before)
    engine = Engine(models=models, event_types=CLICK, exploration={"home": {"policy": "epsilon", "epsilon": 1.0, "pool": 20}})
    shop.visits(engine, START, 8)
    mix = shop.worth(pages_of(engine))
    known = len(before)
    rows = before.interactions().user_items
    ids = [np.asarray(x) for x in (before.user_ids, before.item_ids)]
    u, i = (np.searchsorted(np.sort(k), v) for k, v in zip(ids, (shop.users[known:], shop.items[known:])))
    u, i = np.argsort(ids[0])[u], np.argsort(ids[1])[i]
    taken = sp.csr_matrix((np.ones(len(u), np.float32), (u, i)), shape=rows.shape)
    taken.data[:] = 1
    options = {"method": "linear", "candidates": 20, "num_threads": 1}
    by_clicks = LearnedRanker(sources(), **options).fit(before, valid=taken, refit_sources=False, filter_already_liked_items=False)
    by_shown = LearnedRanker(sources(), **options).fit(before, impressions=frame_of(engine), refit_sources=False, filter_already_liked_items=False)

    def worth(ranker):
        return shop.worth(pages_of(Engine(models={"learned": ranker}, mix={"standard": {"sources": {"learned": ITEMS}}}, event_types=CLICK)))

    return mix, worth(by_clicks), worth(by_shown)


def loop(seed, weeks, epsilon):
    """(expected clicks of the best pages after the last fit, [(what was predicted, its error, what was shown, its error)])."""
    shop, frames, checks = Shop(seed), [], []
    learned = None
    for week in range(weeks):
        now = START + 7 * week * DAY
        models = fitted(shop.log())
        explore = {"home": {"policy": "epsilon", "epsilon": epsilon, "pool": 20}} if epsilon else None
        if learned is None:
            engine = Engine(models=models, event_types=CLICK, exploration=explore)
        else:
            engine = Engine(models={**models, "learned": learned}, mix={"standard": {"sources": {"learned": ITEMS}}}, event_types=CLICK, exploration=explore)
        shop.visits(engine, now, 3)
        frames.append(frame_of(engine))
        if epsilon:
            predicted = engine.what_if("greedy", estimators=("snips",))["snips"]
            engine.explore("home", None)
            again = shop.visits(engine, now + DAY, 1, keep=False)[:, 1]
            low, high = predicted.interval
            checks.append((predicted.value, (high - low) / 2 / 1.96, again.mean(), again.std(ddof=1) / np.sqrt(len(again))))
        learned = LearnedRanker(sources(), method="linear", candidates=20, num_threads=1)
        learned.fit(shop.log(), impressions=together(frames), filter_already_liked_items=False)
    engine = Engine(models={"learned": learned}, mix={"standard": {"sources": {"learned": ITEMS}}}, event_types=CLICK)
    return shop.worth(pages_of(engine)), checks


def paired(name, differences):
    d = np.asarray(differences)
    error = d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.nan
    z = NormalDist().inv_cdf(0.975)
    print(f"| {name} | {d.mean():+.4f} [{d.mean() - z * error:+.4f}, {d.mean() + z * error:+.4f}] | {(d > 0).sum()} of {len(d)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weeks", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=["rankers", "loop"], choices=("rankers", "loop"))
    args = parser.parse_args()
    if "rankers" in args.only:
        found = np.asarray([rankers(seed) for seed in range(args.seeds)])
        print(f"expected clicks a page: mix {found[:, 0].mean():.4f}, from clicks {found[:, 1].mean():.4f}, from impressions {found[:, 2].mean():.4f}\n")
        print("| paired over seeds | difference, 95 % interval | above 0 |\n|---|---|---|")
        paired("from impressions less from clicks", found[:, 2] - found[:, 1])
        paired("from impressions less mix", found[:, 2] - found[:, 0])
        paired("from clicks less mix", found[:, 1] - found[:, 0])
    if "loop" in args.only:
        ends, checks = [], []
        for seed in range(args.seeds):
            with_, seen = loop(seed, args.weeks, 0.02)
            without, _ = loop(seed, args.weeks, 0)
            ends.append((with_, without))
            checks += seen
        ends, checks = np.asarray(ends), np.asarray(checks)
        print(f"\nexpected clicks a page after {args.weeks} weeks: with 2 % drawn {ends[:, 0].mean():.4f}, without {ends[:, 1].mean():.4f}\n")
        print("| paired over seeds | difference, 95 % interval | above 0 |\n|---|---|---|")
        paired("with exploration less without", ends[:, 0] - ends[:, 1])
        gap, error = checks[:, 0] - checks[:, 2], np.hypot(checks[:, 1], checks[:, 3])
        print(f"\nforetold less shown: mean {gap.mean():+.4f}; the interval of the difference holds 0 in {(np.abs(gap) <= 1.96 * error).mean():.1%} of {len(gap)} weeks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
