# SPDX-License-Identifier: Apache-2.0
"""A data scientist's first week: from a frame to a served model, what customers are worth, and coupons within a budget.

python examples/07_first_week.py [--synthetic] [--users N] [--out FOLDER]

Online Retail (a gift shop's invoices) where $ETALAGE_DATA, else ../shared/data beside the repository, has it; the made-up shop otherwise, or
with --synthetic, with --users shoppers. Prints a line a step: its seconds and what came of it. Needs pandas and optuna
(pip install pandas optuna), and pyarrow for Online Retail. Without --out its files go to a folder that is removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import etalage
from etalage import evaluation, models, tuning
from etalage.evaluation import experiment, off_policy
from etalage.marketing import allocate, baskets, lifetime, uplift
from etalage.profile import Profiles
from etalage.serving import Engine

DATA = Path(os.environ.get("ETALAGE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
RETAIL = DATA / "online-retail" / "online_retail.parquet"
DAY = np.timedelta64(1, "D")
HELD_OUT = 38  # days that are test, and as many before them that are valid


@dataclass
class Shop:
    """log: everything; purchases: those rows alone; money: purchases whose values are money. recipe: how a log becomes the matrix
    that models are fitted on; relevant: how one becomes what they are to find. min_support: of frequent sets. refused: rows
    of the frame that could not be read."""

    log: etalage.EventLog
    purchases: etalage.EventLog
    money: etalage.EventLog
    catalog: etalage.Catalog
    recipe: dict
    relevant: dict
    min_support: float
    refused: int


def made_up(users: int) -> Shop:
    store = etalage.datasets.synthetic_store(users=users, items=max(60, users // 4), seed=7)
    frame = store.to_pandas()
    log = etalage.EventLog.from_frame(frame, user="user", item="item", event="event", time="time", value="value", session="session")
    bought = frame[frame["event"] == "purchase"]
    price = dict(zip(store.catalog.item_ids, store.catalog.prices))
    money = etalage.EventLog.from_frame(bought.assign(money=bought["value"] * bought["item"].map(price)), time="time", value="money")
    return Shop(log, log.filtered(log.events == log.event_names.index("purchase")), money, store.catalog.to_catalog(),
                {"event_weights": {"view": 1, "cart": 3, "purchase": 5}, "return_event": "return", "return_cancels": "purchase",
                 "half_life_days": 90, "value_transform": "log1p"},
                {"event_weights": {"view": 0, "cart": 0, "purchase": 1, "return": 0}, "duplicates": "binary"}, 0.001, log.report.rows_refused)


def online_retail() -> Shop:
    import pandas

    frame = pandas.read_parquet(RETAIL)
    frame = frame.assign(money=frame["Quantity"] * frame["Price"])
    columns = {"user": "Customer ID", "item": "StockCode", "time": "InvoiceDate", "session": "Invoice", "on_error": "skip"}  # a fifth has no customer
    log = etalage.EventLog.from_frame(frame, value="Quantity", **columns)
    money = etalage.EventLog.from_frame(frame[frame["money"] > 0], value="money", **columns)
    named = frame[frame["Description"].notna() & (frame["Price"] > 0)].drop_duplicates("StockCode", keep="last")
    catalog = etalage.Catalog.from_frame(named, item="StockCode", name="Description", price="Price")
    # Postage, vouchers and fees are lines of an invoice, and no products.
    no_products = log.item_index([key for key, _, _ in log.describe(catalog).suspects])
    refused, log = log.report.rows_refused, log.filtered(~np.isin(log.items, no_products))
    return Shop(log, log.filtered(log.values > 0), money, catalog, {"negative_values": "cancel", "half_life_days": 180, "value_transform": "log1p"},
                {"negative_values": "cancel", "duplicates": "binary"}, 0.01, refused)


class Week:
    """with week("step") as say: ... say("what came of it")."""

    def __init__(self):
        self.begin = time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, step):
        begin, said = time.perf_counter(), []
        yield said.append
        print(f"{time.perf_counter() - begin:7.2f} s  {step:12s} {said[-1]}", flush=True)


def coupon_experiment(shoppers, summary, spent):
    """No data here have coupons, so an experiment is played: who gets what is drawn by the shopper's key, and a coupon moves
    customers who have been silent for long, the larger one twice as much. Returns arms, outcomes and the true effects."""
    arms = experiment.assign(list(shoppers), "spring coupons", {"none": 0.4, "small": 0.3, "large": 0.3})
    silent = summary.T - summary.recency > np.median(summary.T - summary.recency)
    effect = silent[:, None] * np.array([0.0, 4.0, 8.0])
    column = np.array([("none", "small", "large").index(arm) for arm in arms])
    return np.array(arms), np.minimum(spent, 30) + effect[np.arange(len(arms)), column], effect[:, 1:]


def main(shop: Shop, out: Path, week: Week) -> None:
    with week("describe") as say:
        d = shop.log.describe(shop.catalog)
        say(f"{d.rows:,} rows of {d.users:,} shoppers and {d.items:,} products, {str(d.first)[:10]} to {str(d.last)[:10]}, {d.repeat_share:.0%} repeats")
    cut = d.last - HELD_OUT * DAY
    with week("split") as say:
        parts = evaluation.split.temporal(shop.log, cut, valid_at=cut - HELD_OUT * DAY)
        past = evaluation.split.temporal(shop.log, cut).train  # train and valid in one
        train, known = (part.interactions(**shop.recipe, now=cut) for part in (parts.train, past))
        wanted, test = parts.valid.interactions(**shop.relevant), parts.test.interactions(**shop.relevant)
        say(f"before {str(cut)[:10]}: {train.user_items_view.nnz:,} pairs to learn from, {wanted.user_items_view.nnz:,} to choose by, "
            f"{test.user_items_view.nnz:,} to judge by")

    # What was looked at or bought before may well be bought next, so it is not masked.
    again = {"filter_already_liked_items": False}
    with week("compare") as say:
        table = evaluation.compare({"popular": models.Popularity, "item kNN": models.ItemKNN, "EASE": models.EASE, "ALS": models.ALS,
                                    "graph filter": models.GraphFilter}, train, wanted, params="auto", k=(20,), **again)
        say(f"recall@20 of {table.rows[0]['users']} shoppers (with history, without): "
            + ", ".join(f"{r['model']} {r['recall@20']:.3f} ({r['with history']:.3f}, {r['without history']:.3f})" for r in table.rows))
    with week("tune") as say:
        found = tuning.search(models.EASE, train, wanted, budget=6, **again)
        say(found)
    with week("blend") as say:
        blend = models.Blend([("EASE", models.EASE(**found.best_params)), ("graph filter", models.GraphFilter())], method="zscore")
        blend.fit(train, wanted, refit_members=False, **again)  # learns the weights
        # Then on the whole past by one recipe: a return in the valid part takes back what was bought in the train part.
        blend.set_params(weights=list(blend.weights_.values())).fit(known)
        r = evaluation.evaluate(blend, known, test, k=(20,), **again)
        low, high = r.interval("recall@20")
        say(f"weights {', '.join(f'{name} {w:.2f}' for name, w in blend.weights_.items())}; on test, once: recall@20 {r['recall@20']:.3f} "
            f"[{low:.3f}, {high:.3f}], {r.by_history['with history']['recall@20']:.3f} with history")
    keys = known.user_ids
    one = int(r.user_index[np.flatnonzero(r.has_history)[0]])
    with week("explain") as say:
        best = blend.recommend(one, k=1, **again)[0][0]
        _, because, _ = blend.explain(one, None, best, k=3)
        names = shop.catalog.names_of(known.item_ids[[best, *because[because != best][:2]]])
        say(f"{names[0]} for {keys[one]}, because of {' and '.join(names[1:])}")
    with week("to a file") as say:
        import pandas

        asked, k = keys[r.user_index], 10
        items, scores = blend.recommend_ids(asked, k=k, **again)
        rows = pandas.DataFrame({"user": np.repeat(asked, k), "rank": np.tile(np.arange(1, k + 1), len(asked)), "item": items.ravel(),
                                 "score": scores.ravel()})
        rows = rows[np.isfinite(rows["score"])]  # rows with fewer than k products are padded
        rows.assign(name=shop.catalog.names_of(rows["item"])).to_csv(out / "recommendations.csv", index=False)
        say(f"recommendations.csv, {len(rows):,} rows for {len(asked):,} shoppers")
    with week("save, load") as say:
        blend.save(out / "model.etalage")
        loaded = etalage.load(out / "model.etalage")
        same = np.array_equal(loaded.recommend_ids(asked, k=k, **again)[0], items)
        say(f"model.etalage, {(out / 'model.etalage').stat().st_size / 1e6:.1f} MB; the same answers: {same}")

    with week("serve") as say:
        parts_of_shop = {"models": {"blend": loaded, "popularity": models.Popularity().fit(known)}, "profiles": Profiles(shop.catalog).add(past)}
        with Engine(out / "journal", catalog=shop.catalog, trained=cut, **parts_of_shop) as engine:
            engine.now = cut  # a replay: the engine's day is that of the data
            shopper = keys[one]
            before = engine.recommend(shopper, k=3, exclude_seen=False)
            engine.set_available(before.keys[0], False)
            engine.set_price(before.keys[1], 0.01)
            sale = engine.recommend(shopper, k=20, exclude_seen=False, filter={"price": {"max": 0.01}})
            engine.observe(shopper, before.keys[2], "view", time=cut)
            after = engine.recommend(shopper, k=3, exclude_seen=False)
            say(f"{before.keys[0]} sold out: {'gone' if before.keys[0] not in after.keys else 'still there'}; {before.keys[1]} on sale: "
                f"{'found by its price' if before.keys[1] in sale.keys else 'not found'}; they are {engine.profile(shopper).segment}")

    with week("value") as say:
        s = lifetime.summarize(shop.money, until=cut, unit="days")
        model, amount = lifetime.MBGNBD().fit(s), lifetime.GammaGamma().fit(s)
        expected = model.expected_purchases(HELD_OUT, s)
        worth = lifetime.customer_value(model, amount, 365, s)
        later = lifetime.summarize(shop.money, unit="days")
        came = later.frequency[np.isin(later.customer, s.customer)].sum() - s.frequency.sum()
        say(f"{len(s):,} customers, days with a purchase in the {HELD_OUT} days after: {expected.sum():,.0f} forecast, {came:,.0f} came; "
            f"the best tenth holds {np.sort(worth)[-len(worth) // 10:].sum() / worth.sum():.0%} of a year's value")
    with week("baskets") as say:
        sets = baskets.frequent_sets(shop.purchases.sequences(by="session"), min_support=shop.min_support, max_length=2)
        rules = baskets.rules(sets, min_confidence=0.2)
        top = rules.iloc[0] if len(rules) else None
        say(f"{len(sets):,} sets, {len(rules):,} rules" + ("" if top is None else
            f"; {shop.catalog.names_of(top['antecedent'])[0]} -> {shop.catalog.names_of(top['consequent'])[0]}: lift {top['lift']:.1f}, {top['count']} baskets"))

    with week("coupons") as say:
        spent = np.zeros(len(known.user_ids))
        after_cut = shop.money.filtered(shop.money.times >= cut.astype(np.int64))
        np.add.at(spent, known.user_index(np.asarray(after_cut.user_ids)[after_cut.users]), after_cut.values)
        arm, outcome, effect = coupon_experiment(s.customer, s, spent[known.user_index(s.customer)])
        features = np.column_stack([np.log1p(s.frequency), s.T - s.recency, (s.T - s.recency) > np.median(s.T - s.recency), np.log1p(s.money)])
        learned = np.array(experiment.assign(list(s.customer), "halves", {"learn": 0.5, "act": 0.5})) == "learn"
        learner = uplift.DRLearner(control="none").fit(features[learned], arm[learned], outcome[learned])
        gain = learner.predict(features[~learned])  # [shoppers, treatments]
        cost = {"none": 0.0, **{"small": 1.0, "large": 3.0}}
        costs = np.array([cost[name] for name in learner.treatments_])
        plan = allocate(gain, costs, budgets=0.4 * len(gain))
        chosen = np.array([*learner.treatments_, "none"])[plan.choice]
        say(f"{np.count_nonzero(plan.choice >= 0):,} of {len(gain):,} customers get one, {plan.spent[0]:,.0f} of {0.4 * len(gain):,.0f} spent, "
            f"at most {plan.gap:.2%} below the best plan")
        acted, drawn = ~learned, [("small", "large").index(name) for name in learner.treatments_]
        true = np.where(plan.choice >= 0, effect[acted][np.arange(len(gain)), np.array(drawn)[plan.choice]] - costs[plan.choice], 0).mean()
    with week("off-policy") as say:
        planned = uplift.policy_value(outcome[acted], arm[acted], chosen, costs=cost, estimators=["snips"])["snips"]
        nobody = uplift.policy_value(outcome[acted], arm[acted], np.full(len(gain), "none"), costs=cost, estimators=["snips"])["snips"]
        say(f"a customer brings {planned.value:.2f} [{planned.interval[0]:.2f}, {planned.interval[1]:.2f}] under the plan by the experiment's log, "
            f"{nobody.value:.2f} [{nobody.interval[0]:.2f}, {nobody.interval[1]:.2f}] without coupons; in truth the plan adds {true:.2f}")
    with week("mail") as say:
        # A mail shows one of five bestsellers, drawn by fixed shares. What would it have sold with the model's choice in it?
        heroes = np.argsort(-np.bincount(past.items, minlength=known.user_items_view.shape[1]))[:5]
        rng = np.random.default_rng(1)
        shares = np.array([0.4, 0.25, 0.15, 0.1, 0.1])
        shown = rng.choice(5, size=len(keys), p=shares)
        sold = (test.user_items_view[:, heroes].toarray() > 0).astype(float)
        target = np.full((len(keys), 5), 0.04)
        target[np.arange(len(keys)), blend.fitted_members["graph filter"].score(np.arange(len(keys)), None, heroes).argmax(axis=1)] += 0.8
        rows = np.arange(len(keys))
        history = (known.user_items_view[:, heroes].toarray() > 0).astype(float)
        q = off_policy.cross_fit(history, shown, sold[rows, shown], target)
        e = off_policy.estimate(sold[rows, shown], shares[shown], target[rows, shown], ["snips", "dr"], reward_model=q)["dr"]
        say(f"sold a shopper: {sold[rows, shown].mean():.4f} as it was, {e.value:.4f} [{e.interval[0]:.4f}, {e.interval[1]:.4f}] with the model's "
            f"choice, {(target * sold).sum(axis=1).mean():.4f} in truth")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--synthetic", action="store_true", help="the made-up shop, whatever data are there")
    parser.add_argument("--users", type=int, default=2000, help="shoppers of the made-up shop, 300 or more")
    parser.add_argument("--out", type=Path, help="folder for the files")
    arguments = parser.parse_args()
    if arguments.users < 300:
        parser.error(f"--users is {arguments.users}, must be at least 300: effects of fewer are not to be told from chance")
    real = not arguments.synthetic and RETAIL.exists()
    missing = [name for name in ("pandas", "optuna", *(["pyarrow"] if real else [])) if importlib.util.find_spec(name) is None]
    if missing:
        print(f"skipped: needs {', '.join(missing)} (pip install {' '.join(missing)})")
        sys.exit(0)
    with contextlib.ExitStack() as stack:
        folder = arguments.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        week = Week()
        with week("load") as say:
            shop = online_retail() if real else made_up(arguments.users)
            say(f"{RETAIL.name if real else 'the made-up shop'}: {shop.log}, {shop.catalog}; {shop.refused:,} rows refused")
        main(shop, folder, week)
        print(f"{(time.perf_counter() - week.begin) / 60:.1f} minutes")
