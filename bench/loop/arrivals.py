# SPDX-License-Identifier: Apache-2.0
"""Ten weeks of a made-up shop whose products arrive weekly: what 2 % of exploration is worth, and whether its estimates hold the next week.

    python bench/loop/arrivals.py [--seeds 20] [--first 0] [--weeks 10] [--sources rates] [--only ends estimates] [--out found.jsonl]

The shop: 200 shoppers and 80 products with tastes, four weeks of purchases by taste; 12 products more every week, which one shopper each has found
elsewhere. A product at place p of six is looked at with probability LOOKED[p] and then clicked with a probability that only the shop's maker
knows (few products are hits). Everybody looks 30 times a week. Models see the last four weeks.

ends        after each week a LearnedRanker (ALS, ItemKNN, Popularity, Popularity("rate"); linear; a click for 1) that orders every product is fitted
            anew on what the last three weeks showed: rates of the older half of the pages, 700 lists of the newer. With exploration each
            place shows, with probability 2 %, any of the products alike. Worth of the best pages after the last fit, and of all pages that
            the ten weeks showed, drawn places and all; with exploration less without, the same shops, paired.
            --sources events: without rates, so that what was shown and passed over is known to no source
estimates   pages by ALS, 2 % of places drawn: what showing the best everywhere earns, estimated in week n (SNIPS, interval by shopper), against
            what it earns when it is shown to everybody once in week n + 1: the interval of the difference, both errors counted

What a page is worth are its expected clicks by the shop's own probabilities, which no model sees: no noise of a week's clicks is in it. Both
arms have the same shoppers, products, looks and wishes (what a shopper would click at a visit, if it were shown and looked at); only what is drawn
differs. Draws are made here, by the rule and with the propensities of Engine.explore({"policy": "epsilon"}), so that ten weeks take seconds. --out keeps
what was found, a line a seed and arm, and a run goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np

import etalage
from etalage.evaluation import off_policy
from etalage.models import ALS, ItemKNN, LearnedRanker, Popularity

USERS, FIRST, WEEKLY, TASTES, PLACES, VISITS = 200, 80, 12, 6, 6, 30
LISTS, RECENT = 700, 3
LOOKED = 0.75 ** np.arange(PLACES)
DAY, START = 86_400_000, 1_750_000_000_000


class Shop:
    """The made-up truth, and what the shop's log knows of it."""

    def __init__(self, seed, weeks):
        rng = np.random.default_rng(seed)
        n = FIRST + WEEKLY * weeks
        appeal = rng.normal(-3.5, 1.8, n)
        taste = 2.5 * rng.dirichlet(np.full(TASTES, 0.3), USERS) @ rng.dirichlet(np.full(TASTES, 0.3), n).T
        self.attraction = 1 / (1 + np.exp(-(appeal + taste)))
        self.events = []  # (users, items, times)
        likes = self.attraction[:, :FIRST] / self.attraction[:, :FIRST].sum(1, keepdims=True)
        for k in range(80):
            bought = (likes.cumsum(1) < rng.random((USERS, 1))).sum(1).clip(0, FIRST - 1)
            self.events.append((np.arange(USERS), bought, np.full(USERS, START - 28 * DAY + k * 28 * DAY // 80)))
        self.arrivals = [(rng.integers(USERS, size=FIRST), np.arange(FIRST), np.full(FIRST, START - 29 * DAY))]
        self.offered = FIRST
        self.seed = seed

    def arrive(self, now):
        new = np.arange(self.offered, self.offered + WEEKLY)
        self.arrivals.append((np.random.default_rng([self.seed, 1, now // DAY]).integers(USERS, size=WEEKLY), new, np.full(WEEKLY, now - DAY)))
        self.offered += WEEKLY

    def known(self, now):
        """The last four weeks, and that each product is there."""
        u, i, t = (np.concatenate(x) for x in zip(*self.events))
        inside = t >= now - 28 * DAY
        u, i, t = (np.concatenate(x) for x in zip((u[inside], i[inside], t[inside]), *self.arrivals))
        order = np.argsort(t, kind="stable")
        return etalage.EventLog.from_frame({"user": u[order], "item": i[order], "time": t[order]}, user="user", item="item", time="time", time_unit="ms")

    def worth(self, order):
        """Expected clicks a page."""
        return float((self.attraction[np.arange(USERS)[:, None], order[:, :PLACES]] * LOOKED).sum(1).mean())

    def week(self, order, now, epsilon, visits):
        """Pages of all visits: (who, shown, propensities, clicked, times); the best of order [users, products] or, with epsilon, any product."""
        rng, looks, wishes = (np.random.default_rng([self.seed, part, now // DAY]) for part in (2, 3, 4))
        offered = self.offered
        who = np.tile(np.arange(USERS), visits)
        m = len(who)
        taken = np.zeros((m, offered), bool)
        shown, propensity = np.zeros((m, PLACES), np.int64), np.zeros((m, PLACES))
        for place in range(PLACES):
            left = np.where(np.take_along_axis(taken, order[who], 1), offered, np.arange(offered))
            best = order[who, left.argmin(1)]
            drawn, explored = best.copy(), rng.random(m) < epsilon
            if explored.any():
                drawn[explored] = np.where(taken[explored], -1, rng.random((explored.sum(), offered))).argmax(1)
            shown[:, place] = drawn
            propensity[:, place] = epsilon / (offered - place) + (drawn == best) * (1 - epsilon)
            taken[np.arange(m), drawn] = True
        wanted = wishes.random((m, self.attraction.shape[1]), np.float32) < self.attraction[who]
        clicked = (looks.random((m, PLACES)) < LOOKED) & np.take_along_axis(wanted, shown, 1)
        times = now + np.repeat(np.arange(visits) * 3_600_000, USERS)
        r, c = np.nonzero(clicked)
        self.events.append((who[r], shown[r, c], times[r]))
        return who, shown, propensity, clicked, times


def ordered(model, log, offered, depth):
    """[users, offered] products in the shop's numbers, best first; those that the model does not name come last."""
    users, items = np.asarray(log.user_ids), np.asarray(log.item_ids)
    found = model.recommend(np.arange(len(users), dtype=np.int32), k=depth, filter_already_liked_items=False)[0]
    out = np.empty((USERS, offered), np.int64)
    for user, ranked in zip(users, np.asarray(found)):
        named = items[ranked[ranked >= 0]]
        out[user] = np.concatenate([named, np.setdiff1d(np.arange(offered), named, assume_unique=True)])
    return out


def ranker(rates):
    sources = [("als", ALS(factors=12, iterations=8, num_threads=1)), ("knn", ItemKNN(num_threads=1)), ("popularity", Popularity())]
    if rates:
        sources.append(("rate", Popularity("rate")))
    return LearnedRanker(sources, method="linear", candidates=20, l2=0.1, max_lists=LISTS, position_bias="weights", num_threads=1)


def ends(seed, weeks, rates, epsilon):
    """[worth of the best pages after each week's fit], [worth of the pages that each week showed], worth of the best there are."""
    shop, learned, frames, worth, earned = Shop(seed, weeks), None, [], [], []
    for week in range(weeks):
        now = START + 7 * week * DAY
        shop.arrive(now)
        log = shop.known(now)
        if learned is None:
            learned = ranker(False).fit(log, filter_already_liked_items=False)
        else:
            learned.refit(log, impressions=together(frames) if rates else None)
        who, shown, _, clicked, times = shop.week(ordered(learned, log, shop.offered, shop.offered), now, epsilon, VISITS)
        earned.append(float((shop.attraction[who[:, None], shown] * LOOKED).sum(1).mean()))
        each = lambda values: np.repeat(values, PLACES)
        frames = [*frames, {"request": each(np.arange(len(who)) + week * 10**6), "user": each(who), "item": shown.ravel(), "time": each(times),
                            "position": np.tile(np.arange(1, PLACES + 1), len(who)), "reward": clicked.ravel().astype(float)}][-RECENT:]
        log = shop.known(now)
        learned = ranker(rates).fit(log, impressions=together(frames), filter_already_liked_items=False)
        worth.append(shop.worth(ordered(learned, log, shop.offered, shop.offered)))
    best = -np.sort(-shop.attraction[:, :shop.offered], axis=1)[:, :PLACES]
    return worth, earned, float((best * LOOKED).sum(1).mean())


def together(frames):
    return {name: np.concatenate([f[name] for f in frames]) for name in frames[0]}


def estimates(seed, weeks, epsilon=0.02, visits=10):
    """[(estimate, its error, what was shown, its error)] a week."""
    shop, found = Shop(seed, weeks), []
    for week in range(weeks):
        now = START + 7 * week * DAY
        shop.arrive(now)
        log = shop.known(now)
        order = ordered(ALS(factors=12, iterations=8, num_threads=1).fit(log.interactions()), log, shop.offered, 20)
        who, shown, propensity, clicked, _ = shop.week(order, now, epsilon, visits)
        # The best that is left at each place: what the target shows there with certainty.
        target = (propensity > 1 - epsilon).astype(float)
        r = off_policy.estimate(clicked.astype(float), propensity, target, ("snips",), form="reward_interaction", groups=who, samples=300)["snips"]
        again = shop.week(order, now + 6 * DAY, 0.0, 1)[3].sum(1)
        found.append((r.value, (r.interval[1] - r.interval[0]) / 2 / 1.96, float(again.mean()), float(again.std(ddof=1) / np.sqrt(len(again)))))
    return found


def paired(name, differences):
    d = np.asarray(differences)
    z = NormalDist().inv_cdf(0.975) * d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.nan
    print(f"| {name} | {d.mean():+.4f} [{d.mean() - z:+.4f}, {d.mean() + z:+.4f}] | {(d > 0).sum()} of {len(d)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--weeks", type=int, default=10)
    parser.add_argument("--sources", nargs="+", default=["rates"], choices=("rates", "events"))
    parser.add_argument("--only", nargs="+", default=["ends", "estimates"], choices=("ends", "estimates"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    known = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out and args.out.exists() else []

    def found(what, compute):
        """What is in the file, else computed and put there; what: of which run."""
        what = {**what, "weeks": args.weeks}
        for line in known:
            if all(line.get(k) == v for k, v in what.items()):
                return line["found"]
        value = compute()
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps({**what, "found": value}) + "\n")
        return value

    seeds = range(args.first, args.first + args.seeds)
    if "ends" in args.only:
        for sources in args.sources:
            both = [[found({"seed": s, "sources": sources, "epsilon": e}, lambda s=s, e=e: ends(s, args.weeks, sources == "rates", e)) for e in (0.02, 0.0)]
                    for s in seeds]
            last = np.asarray([[arm[0][-1] for arm in pair] for pair in both])
            shown = np.asarray([[np.mean(arm[1]) for arm in pair] for pair in both])
            print(f"\nsources {sources}, {args.weeks} weeks, expected clicks a page: best pages after the last with 2 % drawn {last[:, 0].mean():.4f}, without "
                  f"{last[:, 1].mean():.4f}, the best there are {np.mean([pair[0][2] for pair in both]):.4f}; all pages shown {shown[:, 0].mean():.4f}, "
                  f"without {shown[:, 1].mean():.4f}\n\n| paired over seeds, with exploration less without | difference, 95 % interval | above 0 |\n|---|---|---|")
            paired("best pages after the last week", last[:, 0] - last[:, 1])
            paired("all pages shown, drawn places and all", shown[:, 0] - shown[:, 1])
    if "estimates" in args.only:
        checks = np.asarray([found({"seed": s, "estimates": "als"}, lambda s=s: estimates(s, args.weeks)) for s in seeds]).reshape(-1, 4)
        gap, error = checks[:, 0] - checks[:, 2], np.hypot(checks[:, 1], checks[:, 3])
        print(f"\nforetold less shown: mean {gap.mean():+.4f}; the interval of the difference holds 0 in {(np.abs(gap) <= 1.96 * error).mean():.1%} of "
              f"{len(gap)} weeks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
