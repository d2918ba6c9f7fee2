# SPDX-License-Identifier: Apache-2.0
"""Blocks of Python in docs/ run as they stand there, in the order of its page, with the names that its page takes as given."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage import evaluation, models

DOCS = Path(__file__).resolve().parents[2] / "docs"
WEIGHTS = {"view": 1, "cart": 3, "purchase": 5, "return": 0}


def blocks(page):
    """The blocks of Python in a page of docs/."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.S)


# A call whose arguments are a shop's own (mails, consent, earlier campaigns); test_audience.py makes such calls.
OWN = {"marketing/audiences.md", "spark.md"}  # test_spark_lists.py runs the latter
PAGES = sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md") if blocks(p.relative_to(DOCS)) and str(p.relative_to(DOCS)) not in OWN)


class Given(dict):
    """Names that a page may take as given; what is asked for first is made."""

    def __init__(self, page):
        self.rng = np.random.default_rng(1)
        size = {"users": 80, "items": 40} if page == "tuning.md" else {"users": 300, "items": 120}
        self.store = etalage.datasets.synthetic_store(seed=1, **size)
        super().__init__(etalage=etalage, np=np, store=self.store, log=self.store.log, catalog=self.store.catalog.to_catalog(), **self.of(page))

    def __missing__(self, name):
        makers = {
            "frame": self.store.to_dict, "data": lambda: self["log"].interactions(WEIGHTS),
            "als": lambda: models.ALS(factors=8, iterations=3).fit(self["data"]), "knn": lambda: models.ItemKNN().fit(self["data"]),
            "popularity": lambda: models.Popularity().fit(self["data"]), "model": lambda: self["als"], "retrained": lambda: self["als"],
            "train": lambda: evaluation.split.leave_last_out(self["log"]).train.interactions(WEIGHTS),
            "past": lambda: self["log"].interactions(WEIGHTS),
            "valid": lambda: evaluation.split.leave_last_out(self["log"]).valid.interactions(WEIGHTS),
        }
        if name not in makers:
            raise KeyError(name)
        self[name] = makers[name]()
        return self[name]

    def of(self, page):
        r = self.rng
        columns = self.store.to_dict()
        if page == "cold_start.md":
            return {"items": np.arange(10), "scores": np.linspace(1, 0, 10), "candidates": [110, 111], "request_number": 7, "item": 110}
        if page == "data.md":
            with gzip.open("events.csv.gz", "wt") as out:
                out.writelines(f"{line}\n" for line in ("user,item,time", "a,1,2020-01-01", ",2,2020-01-01"))
            kept = columns["event"] != "return"
            typed = {name: column[columns["event"] != "cart"] for name, column in columns.items()}
            columns = {name: column[kept] for name, column in columns.items()}
            shop = {"Customer ID": ["a", "a", None, "b"], "StockCode": ["1", "1", "2", "3"], "InvoiceDate": ["2010-01-01"] * 4, "Quantity": [3, -1, 1, 2]}
            return {"frame": {"customer": columns["user"], "sku": columns["item"], "what": columns["event"], "at": columns["time"], "qty": columns["value"]},
                    "online_retail": shop, "typed": etalage.EventLog.from_frame(typed, event="event", value="value", time="time")}
        if page == "loop.md":
            n = 2000
            shoppers = np.array([f"u{i}" for i in r.integers(0, 400, n)])
            place = {"query_id": np.arange(n) // 2, "visitor": shoppers[np.arange(n) // 2], "sku": r.integers(0, 20, n), "rank": np.arange(n) % 2,
                     "at": np.datetime64("2026-01-01", "ms") + np.arange(n), "p": np.full(n, 0.05)}
            events = {"user": place["visitor"], "item": place["sku"], "event": r.choice(["click", "purchase", "return"], n), "value": np.ones(n),
                      "time": place["at"] + np.timedelta64(1, "h")}
            return {"frame": place, "events": events, "target_of_rows": np.full(n, 0.05), "contexts": r.normal(size=(n, 3)), "actions": r.integers(0, 4, n), "rewards": r.integers(0, 2, n), "propensities": np.full(n, 0.25),
                    "target_probabilities": np.full((n, 4), 0.25), "target": np.full(n, 0.25), "shoppers": shoppers, "shopper": "u1", "groups": np.where(r.integers(0, 2, n) == 1, "new", "control"), "revenue": r.exponential(size=n),
                    "earlier": r.exponential(size=n)}
        if page == "impressions.md":
            return {"models": {"popularity": models.Popularity().fit(self.store.log.interactions(WEIGHTS))}}
        if page == "profiles.md":
            return {"user": 3, "item": 5, "now": self.store.log.times.max() + 1000}
        if page == "python.md":
            return {"mailing": self.store.log.user_ids[:5], "frame": {**columns, "event": np.where(columns["event"] == "purchase", "buy", np.where(columns["event"] == "cart", "cart", "view"))}}
        if page == "retrieval.md":
            vectors = r.normal(size=(3000, 96)).astype(np.float32)
            return {"vectors": vectors, "ids": np.arange(3000), "queries": vectors[:5], "new_vectors": vectors[:2], "changed_ids": [0, 1], "old_ids": [2], "sold_out": [7, 8],
                    "users": vectors[:50, :16], "items": vectors[:2800, :16], "dim": 96}
        if page == "faiss.md":
            pytest.importorskip("faiss"), pytest.importorskip("etalage._faiss")
            vectors = r.normal(size=(3000, 32)).astype(np.float32)
            return {"vectors": vectors, "ids": np.arange(3000), "queries": vectors[:5], "sold_out": [7, 8]}
        if page == "rules.md":
            return {"items": np.arange(20, dtype=np.int32), "scores": np.linspace(1, 0, 20, dtype=np.float32), "rules": [], "vectors": r.normal(size=(120, 8)).astype(np.float32)}
        if page == "tuning.md":
            pytest.importorskip("optuna")
        if page in ("datasets.md", "marketing/bundles.md", "profiles.md"):
            pytest.importorskip("pandas")
        if page == "datasets.md":
            pytest.importorskip("pyarrow")
        if page == "marketing/allocation.md":
            return {"values": r.uniform(0, 5, (1000, 3)), "costs": r.uniform(0, 2, (1000, 3, 2)), "yesterday": None, "values_of_this_request": [2.0, 1.0, 3.0],
                    "costs_of_this_request": r.uniform(0, 2, (3, 2))}
        if page == "marketing/bundles.md":
            price = dict(zip(self.store.catalog.item_ids, self.store.catalog.prices))
            return {"price": price, "cost": {k: p / 2 for k, p in price.items()}, "stock": dict(zip(self.store.catalog.item_ids, self.store.catalog.stock))}
        if page == "marketing/campaigns.md":
            keys = np.array([f"u{i}" for i in range(4000)])
            return {"users": keys, "values": r.gamma(2, 2, (4000, 2)), "costs": r.uniform(1, 2, (4000, 2)), "event_users": r.choice(keys, 9000),
                    "event_values": r.gamma(2, 5, 9000)}
        if page == "marketing/pages.md":
            deals = list(self.store.catalog.item_ids[:40])
            return {"deals": deals, "deal_scores": r.uniform(0.1, 1, 40), "brand_of": dict(zip(self.store.catalog.item_ids, [f"b{i % 9}" for i in range(120)])),
                    "promotion_of": {deal: "spring" for deal in deals[::2]}}
        if page == "marketing/uplift.md":
            x, mailed = r.normal(size=(2000, 3)), r.integers(0, 2, 2000)
            return {"X": x, "X_new": x, "treatment": np.where(mailed == 1, "mail", "none"), "treated": mailed, "outcome": x[:, 0] + mailed * (x[:, 1] > 0),
                    "margin": 1.0, "rule": lambda x: np.where(x[:, 1] > 0, "mail", "none")}
        if page == "models/tree_ensemble.md":
            lightgbm = pytest.importorskip("lightgbm")
            rows = r.normal(size=(200, 4))
            lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, rows[:, 0] > 0), 3).save_model("ranker.txt")
            return {"rows": rows}
        if page == "models/feature_als.md":
            genres = np.eye(12, dtype=np.float32)[np.arange(120) % 12]
            return {"genres": genres, "new_genres": genres[:2], "new_keys": ["new-1", "new-2"]}
        return {}


@pytest.mark.parametrize("page", PAGES)
def test_python_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = Given(page)
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"docs/{page}, block {number}", "exec"), given, given)
