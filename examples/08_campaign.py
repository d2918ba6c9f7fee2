# SPDX-License-Identifier: Apache-2.0
"""A campaign from end to end, and the page that its shoppers then see.

python examples/08_campaign.py [--out FOLDER]

1. The made-up shop, where the truth is known: a pilot with random coupons, uplift learned from it, coupons within a budget, a stable
   hold-out, what they brought beside the truth, and a home page of rows from the engine with the campaign's promotion on it.
2. Complete Journey (where $ETALAGE_DATA, else ../shared/data, has it): whom of the mailed households to give the last campaign's coupons, at a
   stated cost, and what was redeemed. Nobody was held out there, so the report does not speak of effects.
3. Hillstrom's e-mail experiment, likewise: incremental spend with its interval.

Lists and reports go to FOLDER; without it, to one that is removed at the end. 2 and 3 need pandas, 2 pyarrow too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

import etalage
from etalage.marketing import Page, audience, campaign, uplift
from etalage.serving import Engine

DATA = Path(os.environ.get("ETALAGE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
WEIGHTS = {"view": 1, "cart": 3, "purchase": 5, "return": 0}


def made_up_shop(out: Path):
    store = etalage.datasets.synthetic_store(users=4000, items=300, seed=3)
    log, rng = store.log, np.random.default_rng(0)
    users = np.asarray(log.user_ids)
    bought = np.bincount(np.asarray(log.users)[np.asarray(log.events) == list(log.event_names).index("purchase")], minlength=len(users))
    seen = np.bincount(log.users, minlength=len(users))
    features = np.column_stack([np.log1p(bought), np.log1p(seen)])
    # The truth: a coupon moves those who look much and buy little. Nobody below sees it but to compare.
    effect = 6 * np.clip(features[:, 1] - features[:, 0] - 1, 0, None)

    def spend(coupon):
        return rng.gamma(2, 8, len(users)) + 4 * features[:, 0] + effect * coupon

    pilot = rng.integers(0, 2, len(users))
    learned = uplift.LinearUplift().fit(features, pilot, spend(pilot)).predict(features).ravel()

    model = etalage.models.ALS(factors=32, iterations=8).fit(log.interactions(WEIGHTS))
    target = np.asarray(log.item_ids)[np.bincount(log.items, minlength=log.num_items).argmax()]
    whom = audience(model, item=target, share=0.5, exclude_buyers=False, why=False)
    plan = campaign.plan(users, learned, 2.0, 1500, offers=["coupon"], hold_out=0.2, salt="spring",
                         eligible=campaign.in_audience(users, whom)[:, None])
    print(f"made-up shop: {len(plan)} of {plan.population} chosen, {int(plan.held_out.sum())} held out, {plan.spent[0]:.0f} of {plan.budgets[0]:.0f} spent, "
          f"gap {100 * plan.allocation.gap:.2g} %")
    rows = log.user_index(plan.users)
    got_it = np.zeros(len(users))
    got_it[rows[~plan.held_out]] = 1
    after = spend(got_it)
    result = campaign.measure(plan.users, plan.columns()["group"], {"revenue": after[rows]}, offers=plan.offers, costs=plan.costs, hold_out=0.2, salt="spring",
                              definitions={"revenue": "what a shopper spent in the month after"})
    truth = effect[rows[~plan.held_out]].sum()
    low, high = result["revenue"].total_interval
    print(f"  incremental revenue {result['revenue'].total:.0f} [{low:.0f}, {high:.0f}], truth {truth:.0f}, cost {result.cost:.0f}")
    result.report(out / "made_up.html", plan=plan, name="Coupons in the made-up shop", what="a coupon of 2")
    return store, model, plan


def home_page(store, model, plan):
    """Rows from the engine's own answers, one page of them."""
    catalog = store.catalog.to_dict()
    keys = np.asarray(store.catalog.item_ids)
    brand = dict(zip(keys.tolist(), catalog["brand"]))
    promoted = {key: "spring" for key in keys[np.argsort(catalog["price"])[:40]].tolist()}
    products = etalage.Catalog(store.catalog.item_ids, names=store.catalog.names(), brands=catalog["brand"], prices=store.catalog.prices)
    popularity = etalage.models.Popularity().fit(store.log.interactions(WEIGHTS))
    with tempfile.TemporaryDirectory() as folder, Engine(folder, catalog=products, models={"als": model, "popularity": popularity}) as engine:
        shopper = plan.users[~plan.held_out][0]

        def row(**request):
            answer = engine.recommend(shopper, k=40, **request)
            # Places in an answer as chances of a click: scores of several sources are on several scales.
            return list(answer.keys), 0.3 / np.log2(2 + np.arange(len(answer.keys)))

        prices = np.sort(np.asarray(store.catalog.prices))
        rows = {"For you": row(), "Small prices": row(filter={"price": {"max": float(prices[len(prices) // 3])}}),
                "Something special": row(filter={"price": {"min": float(prices[2 * len(prices) // 3])}}), "New to you": row(exclude_seen=True)}
    page = Page([6, 6, 6], click_model="cascade", labels={"brand": brand, "promotion": promoted}, at_most={"brand": 4}, at_least={("promotion", "spring"): 3},
                stable_for=6 * 3600)
    home = page.compose(rows, pin_rows={"For you": 0}, shopper=str(shopper), now=0)
    names = dict(zip(keys.tolist(), store.catalog.names()))
    print(f"  home page of {shopper}: value {home.value:.3f}, no page is worth more than {home.bound:.3f}; {home.given[('promotion', 'spring')]} places of the promotion")
    for name, items in home:
        print(f"    {name:<18} {', '.join(names[i] for i in items[:3])}, ...")


def complete_journey(out: Path):
    folder = DATA / "complete-journey"
    if not folder.exists():
        print(f"Complete Journey: no {folder}, left out")
        return
    import pandas as pd

    described = pd.read_parquet(folder / "campaign_descriptions.parquet").sort_values("start_date")
    sent, redeemed = pd.read_parquet(folder / "campaigns.parquet"), pd.read_parquet(folder / "coupon_redemptions.parquet")
    sizes = sent.groupby("campaign_id").size()
    described = described[described.campaign_id.map(sizes) >= 300]
    last = described.iloc[-1]
    homes = sent[sent.campaign_id == last.campaign_id].household_id.to_numpy()
    before = redeemed[redeemed.redemption_date < last.start_date]
    mailed = sent[sent.campaign_id.isin(described[described.end_date < last.start_date].campaign_id)].groupby("household_id").size().reindex(homes).fillna(0)
    hits = before.groupby("household_id").campaign_id.nunique().reindex(homes).fillna(0)
    base = hits.sum() / max(1, mailed.sum())
    rate = ((hits + 2 * base) / (mailed + 2)).to_numpy()  # a household's own rate, drawn to all households'
    # Stated, for the data give neither: a redeemed coupon is worth 5, and mailing one costs 0.30.
    plan = campaign.plan(homes, 5 * rate, 0.3, 0.3 * 0.3 * len(homes), offers=["coupons"])
    plan.save(out / "complete_journey.parquet")
    during = redeemed[redeemed.campaign_id == last.campaign_id]
    result = campaign.measure(plan.users, plan.columns()["group"], {"redemptions": (during.household_id.to_numpy(), np.ones(len(during)))}, costs=plan.costs)
    share = np.isin(plan.users, during.household_id).mean() / np.isin(homes, during.household_id).mean()
    result.report(out / "complete_journey.html", plan=plan, name=f"Campaign {last.campaign_id}", what="mailed coupons, 0.30 each")
    print(f"Complete Journey, campaign {last.campaign_id}: {len(plan)} of {len(homes)} mailed households within the budget, who redeem {share:.2f} times as often as all")
    print(f"  {result.sentences()[0]}")


def hillstrom(out: Path):
    path = DATA / "hillstrom" / "hillstrom.csv.xz"
    if not path.exists():
        print(f"Hillstrom: no {path}, left out")
        return
    import pandas as pd

    frame = pd.read_csv(path)
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        two = frame[frame.segment.isin([arm, "No E-Mail"])]
        groups = np.where(two.segment == arm, campaign.SENT, campaign.HELD_OUT)
        result = campaign.measure(two.index.to_numpy(), groups, {"spend": two.spend.to_numpy(), "visits": two.visit.to_numpy()}, randomised=True, hold_out=0.5)
        result.report(out / f"hillstrom_{arm.split()[0].lower()}.html", name=f"Hillstrom, {arm}", what=f"{arm}, drawn at random by the shop")
        print(f"Hillstrom, {arm}: {result.sentences()[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        home_page(*made_up_shop(out))
        complete_journey(out)
        hillstrom(out)
        if args.out:
            print(f"lists and reports in {out}")


if __name__ == "__main__":
    main()
