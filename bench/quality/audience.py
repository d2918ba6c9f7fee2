# SPDX-License-Identifier: Apache-2.0
"""Who redeems a coupon of a campaign: lift in the first decile on Complete Journey, features dated before each campaign starts.

    python bench/quality/audience.py [--data ../shared/data] [--samples 1000]

Rows are pairs of a campaign and a household that was mailed. A campaign that starts on day t is scored by models whose training pairs come
from campaigns that ended before t (their outcomes are known by then), with features that use nothing from t on. Lift: the redeeming
share of the best tenth of all test pairs, over the share of all; 95 % interval by drawing households with replacement.
"""

from __future__ import annotations

import argparse
import os
import pathlib

import numpy as np
import pandas as pd

from etalage.marketing import audience

FIRST_TEST = pd.Timestamp("2017-08-01")


def load(folder):
    folder = pathlib.Path(folder) / "complete-journey"

    def read(name):
        return pd.read_parquet(folder / f"{name}.parquet")

    described = read("campaign_descriptions").set_index("campaign_id")
    pairs = read("campaigns").merge(described, left_on="campaign_id", right_index=True)
    coupons = read("coupons").drop_duplicates(["campaign_id", "coupon_upc", "product_id"])
    redeemed = read("coupon_redemptions")
    products = read("products")[["product_id", "product_category"]]
    coupons = coupons.merge(products, on="product_id", how="left")
    bought = read("transactions_sample").merge(products, on="product_id", how="left")
    pairs["redeemed"] = pd.MultiIndex.from_frame(pairs[["campaign_id", "household_id"]]).isin(
        pd.MultiIndex.from_frame(redeemed[["campaign_id", "household_id"]])).astype(int)
    return pairs, coupons, redeemed, bought, read("demographics").set_index("household_id")


def features_of(campaign, pairs, coupons, redeemed, bought, demographics):
    """One row for each household that got the campaign; everything is dated before its first day."""
    mine = pairs[pairs.campaign_id == campaign]
    start, kind = mine.start_date.iloc[0], mine.campaign_type.iloc[0]
    homes = pd.Index(mine.household_id)
    past = redeemed[redeemed.redemption_date < start]
    mailed = pairs[pairs.start_date < start]
    trips = bought[bought.transaction_timestamp < start]
    started = set(mailed.campaign_id)
    known = past.merge(pairs[["campaign_id", "campaign_type"]].drop_duplicates(), on="campaign_id")

    def of(series, fill=0.0):
        return series.astype(float).reindex(homes).fillna(fill).to_numpy()

    def days(series):
        return of((start - series).dt.days.astype(float), 400.0)

    by_home, mail_home, trip_home = past.groupby("household_id"), mailed.groupby("household_id"), trips.groupby("household_id")
    out = pd.DataFrame({"campaign_id": campaign, "household_id": homes})
    out["type_a"], out["type_b"] = float(kind == "Type A"), float(kind == "Type B")
    out["length"] = float((mine.end_date.iloc[0] - start).days)
    out["redemptions"] = np.log1p(of(by_home.size()))
    out["redemption_days"] = np.log1p(of(by_home.redemption_date.nunique()))
    out["redemptions_90"] = np.log1p(of(past[past.redemption_date >= start - pd.Timedelta(days=90)].groupby("household_id").size()))
    out["since_redemption"] = np.log1p(days(by_home.redemption_date.max()))
    got, hit = of(mail_home.size()), of(by_home.campaign_id.nunique())
    out["mailed"], out["campaigns_redeemed"] = np.log1p(got), hit
    # A household's own rate, drawn to the overall one by two campaigns' worth.
    base = hit.sum() / max(got.sum(), 1.0)
    out["rate"] = (hit + 2.0 * base) / (got + 2.0)
    same = mailed[mailed.campaign_type == kind].groupby("household_id").size()
    same_hit = known[known.campaign_type == kind].groupby("household_id").campaign_id.nunique()
    out["rate_same_type"] = (of(same_hit) + 2.0 * base) / (of(same) + 2.0)
    out["baskets"] = np.log1p(of(trip_home.basket_id.nunique()))
    out["spend"] = np.log1p(of(trip_home.sales_value.sum()).clip(0))
    lately = trips[trips.transaction_timestamp >= start - pd.Timedelta(days=60)]
    out["spend_60"] = np.log1p(of(lately.groupby("household_id").sales_value.sum()).clip(0))
    out["since_trip"] = np.log1p(days(trip_home.transaction_timestamp.max()).clip(0))
    out["coupon_lines"] = np.log1p(of(trips[trips.coupon_disc > 0].groupby("household_id").size()))
    out["discount_share"] = of(trip_home.retail_disc.sum() / trip_home.sales_value.sum().clip(lower=1.0))
    # What the campaign's coupons are for, beside what the household buys.
    coupons = coupons[coupons.campaign_id.isin(started | {campaign})]
    own = coupons[coupons.campaign_id == campaign]
    products = set(own.product_id)
    out["coupon_products"] = np.log1p(of(trips[trips.product_id.isin(products)].groupby("household_id").size()))
    affinity = trips.product_category.map(own.product_category.value_counts(normalize=True)).fillna(0.0).groupby(trips.household_id).sum()
    out["category_affinity"] = np.log1p(of(affinity))
    # Redeemers of earlier coupons that share products with this campaign's.
    shared = coupons[coupons.product_id.isin(products)].coupon_upc.unique()
    out["similar_redeemed"] = np.log1p(of(past[past.coupon_upc.isin(shared)].groupby("household_id").size()))
    out["demographics"] = homes.isin(demographics.index).astype(float)
    income = demographics.income.str.extract(r"(\d+)")[0].astype(float)
    out["income"] = np.log1p(of(income, income.median()))
    out["children"] = of(pd.to_numeric(demographics.kids_count.str.extract(r"(\d+)")[0]).astype(float))
    out["size"] = of(demographics.household_size.str.extract(r"(\d+)")[0].astype(float), 2.0)
    out["wide_campaign"] = np.log1p(len(homes))
    out["redeemed"], out["start"], out["end"] = mine.redeemed.to_numpy(), start, mine.end_date.iloc[0]
    return out


KEYS = ["campaign_id", "household_id", "redeemed", "start", "end"]


def logistic():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))


def trees():
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=120, learning_rate=0.04, num_leaves=6, min_child_samples=30, subsample=0.7, subsample_freq=1,
                          colsample_bytree=0.5, reg_lambda=10, random_state=0, verbose=-1, n_jobs=1)


def forward(table, make):
    """The score of each test pair by a model of campaigns that had ended before its own began."""
    columns = [c for c in table.columns if c not in KEYS]
    out = pd.Series(np.nan, index=table.index[table.start >= FIRST_TEST])
    for start in sorted(table.start[out.index].unique()):
        train, test = table[table.end < start], table[table.start == start]
        model = make().fit(train[columns].to_numpy(), train.redeemed)
        out[test.index] = model.predict_proba(test[columns].to_numpy())[:, 1]
    return out.to_numpy()


def lift(redeemed, score):
    first = audience(scores=score, share=0.1, why=False).users
    return redeemed[first].mean() / redeemed.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", "../shared/data"))
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples of households")
    args = parser.parse_args()
    parts = load(args.data)
    order = parts[0].sort_values("start_date", kind="stable").campaign_id.unique()
    table = pd.concat([features_of(c, *parts) for c in order], ignore_index=True)
    test = table[table.start >= FIRST_TEST]
    y = test.redeemed.to_numpy()
    print(f"{len(test)} pairs of a household and a campaign from {FIRST_TEST.date()} on, {y.sum()} redeem")
    scores = {"past redemptions": test.redemptions.to_numpy(), "logistic": forward(table, logistic), "LightGBM": forward(table, trees)}

    _, home = np.unique(test.household_id, return_inverse=True)
    members = np.split(np.argsort(home, kind="stable"), np.cumsum(np.bincount(home))[:-1])
    rng = np.random.default_rng(0)
    draws = [np.concatenate([members[h] for h in rng.integers(0, len(members), len(members))]) for _ in range(args.samples)]
    for name, score in scores.items():
        low, high = np.percentile([lift(y[d], score[d]) for d in draws], [2.5, 97.5])
        print(f"  {name:<18} lift of the first decile {lift(y, score):.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
