# SPDX-License-Identifier: Apache-2.0
"""The real data sets as arrays, read where they lie (../shared/data or --data; README there)."""

from __future__ import annotations

import functools
import gzip
import json
import pathlib

import numpy as np
import scipy.sparse as sp

import etalage


class Missing(Exception):
    """The data set is not on this machine."""


def _open(data: pathlib.Path, name: str):
    path = pathlib.Path(data) / name
    if not path.exists():
        raise Missing(f"{path} is not there (set ETALAGE_DATA or --data)")
    return gzip.open(path, "rt") if path.suffix == ".gz" else path


def _rows(data, name) -> dict[int, list[int]]:
    with _open(data, name) as lines:
        parts = (line.split() for line in lines)
        return {int(p[0]): [int(i) for i in p[1:]] for p in parts if p}


def matrix(rows: dict[int, list[int]], shape) -> sp.csr_matrix:
    """users x items, ones."""
    lengths = [len(r) for r in rows.values()]
    users = np.repeat(np.fromiter(rows, np.int64, len(rows)), lengths)
    items = np.fromiter((i for r in rows.values() for i in r), np.int64, sum(lengths))
    m = sp.csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=shape)
    m.data[:] = 1
    return m


def sequences(lists, num_items: int, times=None) -> etalage.Sequences:
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)
    items = np.fromiter((i for x in lists for i in x), np.int32, int(offsets[-1]))
    stamps = None if times is None else np.fromiter((t for x in times for t in x), np.int64, int(offsets[-1]))
    return etalage.Sequences(offsets, items, stamps, num_items)


@functools.lru_cache(1)
def gowalla(data) -> dict:
    """head / tail: the first four and the last fifth of each row of train; all: train + valid; test."""
    train, valid, test = (_rows(data, f"gowalla/{part}.txt.gz") for part in ("train", "valid", "test"))
    users = 1 + max(max(train), max(valid), max(test))
    shape = (users, 1 + max(max(r, default=0) for part in (train, valid, test) for r in part.values()))
    return {
        "head": matrix({u: r[: len(r) - len(r) // 5] for u, r in train.items()}, shape),
        "tail": matrix({u: r[len(r) - len(r) // 5:] for u, r in train.items()}, shape),
        "all": matrix({u: train.get(u, []) + valid.get(u, []) for u in range(users)}, shape),
        "test": matrix(test, shape),
    }


@functools.lru_cache(1)
def beibei(data) -> dict:
    """One held-out buy a user; validation is one random training buy of each user with two or more (seed 0)."""
    train, test = _rows(data, "beibei/buy-train.txt.gz"), _rows(data, "beibei/buy-test.txt.gz")
    shape = (1 + max(max(train), max(test)), 1 + max(max(r, default=0) for part in (train, test) for r in part.values()))
    rng = np.random.default_rng(0)
    held = {u: [r[int(rng.integers(len(r)))]] for u, r in train.items() if len(r) > 1}
    head = {u: [i for i in r if i not in held.get(u, [])] for u, r in train.items()}
    return {"head": matrix(head, shape), "tail": matrix(held, shape), "all": matrix(train, shape), "test": matrix(test, shape)}


@functools.lru_cache(1)
def beibei_newest(data) -> dict:
    """The same, validation is the training buy with the largest item id. Ids seem to grow with time: the test buy's lies at the 86th percentile of its
    user's row (read off train and test ids, so this cut is not blind to test)."""
    train, shape = _rows(data, "beibei/buy-train.txt.gz"), beibei(data)["all"].shape
    held = {u: [max(r)] for u, r in train.items() if len(r) > 1}
    head = {u: [i for i in r if i not in held.get(u, [])] for u, r in train.items()}
    return {**beibei(data), "head": matrix(head, shape), "tail": matrix(held, shape)}


@functools.lru_cache(1)
def beauty(data) -> dict:
    """Purchases in order; without the last two, without the last one, whole."""
    with _open(data, "amazon-beauty/sequences.txt.gz") as lines:
        lists = [[int(i) - 1 for i in line.split()[1:]] for line in lines]
    n = 1 + max(max(x) for x in lists)
    return {"head": sequences([x[:-2] for x in lists], n), "query_valid": sequences([x[:-1] for x in lists], n),
            "all_but_last": sequences([x[:-1] for x in lists], n), "query_test": sequences(lists, n)}


def attribute_vectors(lists, num_items: int, idf_power: float = 2.0) -> np.ndarray:
    """Rows of unit length [num_items x attributes] of (item, [attribute, ...]) pairs: an attribute that c of n items have counts
    ln(n / c)^idf_power. An item without attributes is all 0."""
    items = np.repeat([i for i, _ in lists], [len(a) for _, a in lists])
    attributes = np.fromiter((a for _, row in lists for a in row), np.int64, len(items))
    have = sp.csr_matrix((np.ones(len(items)), (items, attributes)), shape=(num_items, int(attributes.max()) + 1))
    have.data[:] = 1
    weights = np.log(num_items / np.maximum(1, np.bincount(have.indices, minlength=have.shape[1]))) ** idf_power
    rows = (have @ sp.diags(weights)).toarray()
    return (rows / np.maximum(np.sqrt((rows ** 2).sum(1, keepdims=True)), 1e-30)).astype(np.float32)


@functools.lru_cache(1)
def beauty_attributes(data) -> np.ndarray:
    """Categories and brand of the items, as vectors; the power was chosen among .5, 1 and 2 on the last but one item."""
    with _open(data, "amazon-beauty/item2attributes.json.gz") as text:
        lists = [(int(item) - 1, attributes) for item, attributes in json.load(text).items()]
    return attribute_vectors(lists, beauty(data)["head"].num_items)


@functools.lru_cache(1)
def yoochoose(data) -> dict:
    """Clicks of sessions; the last training day is validation."""

    def sessions(name):
        with _open(data, f"yoochoose-sessions/{name}.txt.gz") as lines:
            next(lines)
            table = np.array([[float(v) for v in line.split("\t")] for line in lines])
        order = np.lexsort((table[:, 2], table[:, 0]))
        table = table[order]
        cut = np.flatnonzero(np.diff(table[:, 0])) + 1
        return [(rows[:, 1].astype(np.int64), (rows[:, 2] * 1000).astype(np.int64)) for rows in np.split(table, cut)]

    train, test = sessions("clicks-train_full"), sessions("clicks-test")
    keys = np.unique(np.concatenate([items for items, _ in train]))

    def indexed(part):
        lists, times = [], []
        for items, stamps in part:
            at = np.searchsorted(keys, items).clip(max=len(keys) - 1)
            known = keys[at] == items
            if known.sum():
                lists.append(at[known].tolist())
                times.append(stamps[known].tolist())
        return sequences(lists, len(keys), times)

    last = max(stamps[-1] for _, stamps in train) - 86_400_000
    return {"head": indexed([s for s in train if s[1][-1] <= last]), "tail": indexed([s for s in train if s[1][-1] > last]),
            "all": indexed(train), "test": indexed(test)}


def _pandas():
    try:
        import pandas
    except ImportError:
        raise Missing("pandas with pyarrow is not installed (pip install pandas pyarrow)") from None
    return pandas


@functools.lru_cache(1)
def movielens(data) -> dict:
    """Ratings as they are; the newest 20 % of each user is test, the 20 % before it validation."""
    path = pathlib.Path(data) / "movielens-small/ratings.csv.gz"
    if not path.exists():
        raise Missing(f"{path} is not there (set ETALAGE_DATA or --data)")
    log = etalage.EventLog.from_csv(path, user="userId", item="movieId", time="timestamp", time_unit="s")
    parts = etalage.evaluation.split.tail_holdout(log, 0.2, valid_share=0.2)
    before_test = etalage.evaluation.split.tail_holdout(log, 0.2)
    return {"head": parts.train, "tail": parts.valid, "all": before_test.train, "test": before_test.test}


@functools.lru_cache(1)
def online_retail(data) -> dict:
    """Lines with a known customer, bought quantities; cut at 2010-11-01, October is validation."""
    path = pathlib.Path(data) / "online-retail/online_retail.parquet"
    if not path.exists():
        raise Missing(f"{path} is not there (set ETALAGE_DATA or --data)")
    frame = _pandas().read_parquet(path)
    frame = frame[frame["Customer ID"].notna() & (frame["Quantity"] > 0)]
    frame = frame.assign(user=frame["Customer ID"].astype("int64").astype(str), item=frame["StockCode"].astype(str))
    columns = {"user": frame["user"].to_numpy(), "item": frame["item"].to_numpy(),
               "time": _pandas().to_datetime(frame["InvoiceDate"]).to_numpy().astype("datetime64[ms]")}
    log = etalage.EventLog.from_frame(columns, user="user", item="item", time="time")
    temporal = etalage.evaluation.split.temporal
    final = temporal(log, at="2010-11-01")
    inner = temporal(final.train, at="2010-10-01")
    return {"head": inner.train, "tail": inner.test, "all": final.train, "test": final.test}
