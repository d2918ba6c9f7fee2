# SPDX-License-Identifier: Apache-2.0
"""Quality of PurchaseIntent on a temporal hold-out, beside logistic regression on recency, frequency and money.

    python bench/quality/intent.py [--data ../shared/data] [--figure reliability.png]

Each log is cut in time: models are judged on moments after the cut whose horizon lies within the log. They are refitted every
four weeks as the test goes on (PurchaseIntent.walk_forward): each moment is judged by the last fit before it, which saw nothing
later, its own latest tenth held out for calibration. --refit-days 10000 fits once. AUC has a bootstrap interval and its difference to the baseline a paired
one, shoppers resampled whole. ECE is over ten bins of equally many moments. Complete Journey and Online Retail ask at weekly
cut-offs about each shopper, the synthetic store about each event of a visit.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time

import numpy as np

import etalage
from etalage.profile import PurchaseIntent


def complete_journey(folder):
    import pandas as pd

    t = pd.read_parquet(folder / "complete-journey" / "transactions_sample.parquet")
    p = pd.read_parquet(folder / "complete-journey" / "products.parquet")
    t = t.sort_values("transaction_timestamp", kind="stable")
    log = etalage.EventLog.from_frame(
        {"user": t.household_id.to_numpy(), "item": t.product_id.to_numpy(), "time": t.transaction_timestamp.to_numpy(),
         "value": t.sales_value.to_numpy()}, time="time", value="value")
    p = p.drop_duplicates("product_id")
    path = p[["department", "product_category", "product_type"]].fillna("").agg(" > ".join, axis=1).str.replace(r"( > )+$", "", regex=True)
    catalog = etalage.Catalog.from_frame({"item": p.product_id.to_numpy(), "category": path.tolist(), "brand": p.brand.fillna("").tolist()},
                                         category="category", brand="brand")
    return log, catalog, {"unit": "shopper", "horizon_days": 7, "warmup_days": 60, "profile_options": {"value_is_amount": True}}


def online_retail(folder):
    import pandas as pd

    o = pd.read_parquet(folder / "online-retail" / "online_retail.parquet")
    o = o[o["Customer ID"].notna() & (o.Price > 0)]
    o = o.assign(time=pd.to_datetime(o.InvoiceDate)).sort_values("time", kind="stable")
    log = etalage.EventLog.from_frame(
        {"user": o["Customer ID"].astype(np.int64).to_numpy(), "item": o.StockCode.tolist(),
         "event": np.where(o.Quantity > 0, "purchase", "return").tolist(), "time": o.time.to_numpy(),
         "value": (o.Quantity * o.Price).abs().to_numpy()}, event="event", time="time", value="value")
    prices = o.groupby("StockCode").Price.median()
    catalog = etalage.Catalog.from_frame({"item": prices.index.tolist(), "price": prices.to_numpy()}, price="price")
    return log, catalog, {"unit": "shopper", "horizon_days": 7, "warmup_days": 60, "profile_options": {"value_is_amount": True}}


def synthetic(_):
    store = etalage.datasets.synthetic_store(users=4000, items=1000, seed=11)
    catalog = etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")
    return store.log, catalog, {"unit": "session", "horizon_days": 0.02, "warmup_days": 60}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("ETALAGE_DATA", root.parent / "shared" / "data"))
    parser.add_argument("--only", nargs="*", help="parts of names")
    parser.add_argument("--boosting", action="store_true", help="also scikit-learn's trees, a minute or so a fit")
    parser.add_argument("--refit-days", type=float, default=28)
    parser.add_argument("--figure", help="where to draw the reliability curves")
    parser.add_argument("--resamples", type=int, default=200)
    args = parser.parse_args()
    curves = []
    print(f"{'data':17s} {'model':22s} {'moments':>8s} {'buy':>6s} {'AUC':>7s} {'95 %':>17s} {'AUC - RFM':>26s} {'log-loss':>9s} {'ECE':>7s} {'s':>6s}")
    for name, load, share in (("Complete Journey", complete_journey, 0.75), ("Online Retail", online_retail, 0.75), ("synthetic store", synthetic, 0.75)):
        if args.only and not any(o.lower() in name.lower() for o in args.only):
            continue
        try:
            log, catalog, settings = load(pathlib.Path(args.data))
        except (FileNotFoundError, ImportError) as error:
            print(f"{name:17s} SKIPPED: {error}")
            continue
        times = log.times
        cut = int(times.min() + share * (times.max() - times.min()))
        baseline = None
        for label, extra in (("recency, freq., money", {"features": "rfm", "knots": 0}), ("logistic, Platt", {}), ("logistic, isotonic", {"calibration": "isotonic"}),
                             ("boosting, Platt", {"model": "boosting"})):
            if "boosting" in label and not args.boosting:
                continue
            begin = time.perf_counter()
            try:
                r = PurchaseIntent(calibration_share=0.1, **settings, **extra).walk_forward(log, catalog, since=cut, refit_days=args.refit_days)
            except ImportError as error:
                print(f"{name:17s} {label:22s} SKIPPED: {error}")
                continue
            seconds = time.perf_counter() - begin
            baseline = baseline or r
            low, high = r.interval("auc", resamples=args.resamples)
            text = ""
            if r is not baseline:
                d, dl, dh = r.compare(baseline, "auc", resamples=args.resamples)
                text = f"{d:+.4f} [{dl:+.4f}, {dh:+.4f}]"
            print(f"{name:17s} {label:22s} {r['examples']:8d} {r['positives'] / r['examples']:6.3f} {r['auc']:7.4f} [{low:.4f}, {high:.4f}] {text:>26s} "
                  f"{r['log_loss']:9.4f} {r['calibration_error']:7.4f} {seconds:6.1f}", flush=True)
            if label == "logistic, Platt":
                curves.append((name, r))
    if args.figure and curves:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.9), layout="constrained")
        for ax, (name, r) in zip(np.atleast_1d(axes), curves):
            r.plot(ax).set_title(name)
        figure.savefig(args.figure, dpi=120)
        print(args.figure)


if __name__ == "__main__":
    main()
