# SPDX-License-Identifier: Apache-2.0
"""Filters, rules and the ranker from Python: conversion, and agreement with NumPy."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.serving import (CatalogIndex, Filter, GivenSource, IndexSource, ListSource, ModelSource, Ranker, Rules, align_catalog,
                             category_paths, rerank)

N = 60
RNG = np.random.default_rng(0)
PRICES = np.where(np.arange(N) % 7 == 0, np.nan, np.arange(N)).astype(np.float32)
BRANDS = [f"b{i % 5}" for i in range(N)]
CATEGORIES = [["A" if i % 2 else "B", "ab"[i % 3 == 0]] for i in range(N)]
TAGS = [["new"] if i % 4 == 0 else [f"product:{i // 2}"] for i in range(N)]
VECTORS = RNG.normal(size=(N, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def index():
    return CatalogIndex(etalage.Catalog(list(range(100, 100 + N)), categories=CATEGORIES, brands=BRANDS, prices=PRICES,
                                        stock=(np.arange(N) % 3).astype(np.float32), tags=TAGS))


def test_filters_agree_with_numpy(index):
    cheap = PRICES <= 20
    f = Filter.category("A/b") & Filter.price(max=20) & ~Filter.brand("b1", "b2")
    expected = np.array([c == ["A", "b"] for c in CATEGORIES]) & cheap & ~np.isin(BRANDS, ["b1", "b2"])
    assert (index.mask(f) == expected).all() and index.count(f) == expected.sum() and (index.items(f) == np.flatnonzero(expected)).all()
    assert (index.mask(Filter.in_stock() | Filter.tag("new")) == ((np.arange(N) % 3 > 0) | (np.arange(N) % 4 == 0))).all()
    assert (index.mask(~Filter.price(max=20)) == ~cheap).all()
    assert (index.items(Filter.items(103, "105", 7)) == [3, 5]).all()
    assert index.unknown_names(Filter.brand("b1", "acme")) == ["brand acme"]
    assert Filter.brand("x", "y") == Filter.brand("y", "x") and hash(Filter.in_stock()) == hash(Filter.in_stock())
    assert pickle.loads(pickle.dumps(f)) == f and Filter.from_json(f.to_json()) == f
    index.mask(f)
    assert index.cache["hits"] > 0
    codes, names = index.groups("brand")
    assert [names[c] for c in codes] == BRANDS


def test_a_filter_serves_an_index(index):
    ix = etalage.retrieval.ItemIndex(8, kind="exact")
    ix.add(VECTORS, np.arange(N))
    f = Filter.price(max=20)
    ids, _ = ix.search(VECTORS[0], k=N, allow=index.item_filter(f))
    assert sorted(ids[ids >= 0]) == np.flatnonzero(PRICES <= 20).tolist()


@pytest.mark.parametrize("make, message", [
    (lambda: Filter.price(), "price has neither min nor max"),
    (lambda: Filter.price(min=5, max=2), "price.min is 5, must be <= max, 2"),
    (lambda: Filter.brand(), "brand is an empty list"),
    (lambda: Filter.category("a//b"), "category is 'a//b'"),
    (lambda: Filter.from_json('{"price": {"max": "cheap"}}'), "predicate.price.max: is \"cheap\""),
    (lambda: Rules.from_json({"rules": [{"type": "cap", "by": "brand", "max": 0}]}), "rules[0].max: is 0"),
    (lambda: Rules.from_json("{"), "rules: line 1, column 2"),
    (lambda: category_paths({"a": "b", "b": "a"}), "the cycle a > b > a"),
    (lambda: rerank([0.5], 1, "mmr", diversity=2), "diversity is 2"),
    (lambda: rerank([0.5], 1, "random"), "method is"),
])
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_filters_take_only_what_they_mean():
    with pytest.raises(TypeError, match="brand is"):
        Filter.brand(3)
    with pytest.raises(TypeError, match="items holds"):
        Filter.items(1.5)


@pytest.mark.parametrize("path, said", [
    (3, "path is 3 (int), must be a path like 'Home/Kitchen' or a list of names from the root"), (None, "path is None, must be a path"),
    (b"Home", "path is b'Home' (bytes), must be a path"), ({"Home": 1}, "path is {'Home': 1} (dict), must be a path"), (["Home", 3], "path holds 3 (int), must be a path"),
    (("Home", None), "path holds None, must be a path")])
def test_what_is_no_path_of_a_category_is_refused_by_name(path, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        Filter.category(path)
    assert Filter.category("Home/Kitchen") == Filter.category(["Home", "Kitchen"]) == Filter.category(path=("Home", "Kitchen"))


def test_rules_round_trip_and_report(index):
    rules = Rules([{"type": "include", "predicate": {"in_stock": True}}, {"type": "pin", "item": 100, "position": 1}])
    assert len(rules) == 2 and Rules.from_json(rules.to_json()) == rules and Rules.from_json(rules.to_dict()) == rules
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert rules.validate() == []
    assert any("which includes and excludes forbid" in m for m in rules.validate(index))


def test_rerank_is_mmr():
    relevance = RNG.random(N).astype(np.float32)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    cosine = unit @ unit.T
    chosen = []
    for _ in range(10):
        nearest = cosine[:, chosen].max(1) if chosen else np.zeros(N)
        value = 0.6 * relevance - 0.4 * nearest
        value[chosen] = -np.inf
        chosen.append(int(value.argmax()))
    assert rerank(relevance, 10, "mmr", diversity=0.4, vectors=VECTORS).tolist() == chosen
    assert rerank(relevance, 5, "none").tolist() == np.argsort(-relevance)[:5].tolist()
    assert len(set(rerank(relevance, N, "dpp", vectors=VECTORS).tolist())) == N
    groups = (np.arange(N) % 3).astype(np.int32)
    calibrated = rerank(relevance, 10, "calibrated", diversity=0.95, groups=groups, target=[0.5, 0.5, 0.0])
    assert np.bincount(groups[calibrated], minlength=3).tolist() == [5, 5, 0]


def test_ranker_answers(index):
    model = etalage.models.Vectors().fit(RNG.normal(size=(4, 8)).astype(np.float32), VECTORS)
    ix = etalage.retrieval.ItemIndex(8, kind="exact")
    ix.add(VECTORS, np.arange(N))
    import scipy.sparse as sp
    together = sp.csr_matrix((np.float32([3, 1]), ([0, 0], [4, 5])), shape=(N, N))
    ranker = Ranker(index,
                    [ModelSource("model", model), IndexSource("content", ix, vectors=VECTORS), ListSource("bought", together),
                     ListSource("popular", (np.arange(N, dtype=np.int32), np.arange(N, 0, -1, dtype=np.float32))), GivenSource()],
                    mix={"sources": [("model", 20, 1.0), ("content", 10, 0.5), ("bought", 10, 0.5)], "fallback": ["popular"]},
                    placements={"search": [("given", 50, 1.0)]},
                    rules=[{"type": "include", "predicate": {"in_stock": True}}, {"type": "cap", "by": "brand", "max": 2},
                           {"type": "not_again", "days": 2}],
                    rerank={"method": "mmr", "diversity": 0.2}, vectors=VECTORS)
    day = 86_400_000
    got = ranker.rank(8, user=1, session=[3], anchors=[0], purchases=([1, 2], [0, 9 * day]), now_ms=10 * day, trace=True, audit_id=5,
                      filter=Filter.price(max=50))
    assert len(got.items) == 8 and got.trace["audit_id"] == 5 and len(got.trace["items"]) == 8
    assert all(i % 3 and PRICES[i] <= 50 and i not in (0, 2, 3) for i in got.items.tolist())
    assert max(np.unique([BRANDS[i] for i in got.items], return_counts=True)[1]) <= 2
    assert set(got.sources) <= {"model", "content", "bought", "popular", None}
    total, items, weights = ranker.explain(4, "bought", anchors=[0])
    assert total == 3 and items.tolist() == [0] and weights.tolist() == [3]
    found = ranker.rank(2, placement="search", given=(np.int32([7, 4, 10]), np.float32([3, 2, 1])), exclude_seen=False)
    assert set(found.items.tolist()) <= {7, 4, 10} and found.trace is None
    assert len(ranker.rank(5).items) == 5
    assert ranker.rank(10**12, filter=Filter.items(101, 104)).items.tolist().__len__() == 2
    with pytest.raises(ValueError, match="placement is 'shop'"):
        ranker.rank(3, placement="shop")
    with pytest.raises(ValueError, match="mix.sources\\[0\\] is 'x'|standard.sources\\[0\\] is 'x'"):
        Ranker(index, [], mix=[("x", 1, 1.0)])


def test_align_catalog_follows_a_model():
    log = etalage.EventLog.from_frame({"user": ["u", "u", "v"], "item": ["c", "a", "c"]})
    model = etalage.models.Popularity().fit(log)
    aligned = align_catalog(etalage.Catalog(["a", "b", "c"], brands=["x", "y", "z"]), model)
    assert list(aligned.item_ids) == ["c", "a", "b"] and aligned.brands == ["z", "x", "y"]


def test_the_documents_examples_are_valid():
    text = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        Rules.from_json(json.loads(block))
