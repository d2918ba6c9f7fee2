# SPDX-License-Identifier: Apache-2.0
"""ItemIndex(recall=...): the search setting fits by itself, and what it reaches is what it says."""

import math
import pickle

import numpy as np
import pytest

import etalage
from etalage.retrieval import ItemIndex


def vectors(n, dim, seed, clustered=True):
    rng = np.random.default_rng(seed)
    if not clustered:
        return rng.normal(size=(n, dim)).astype(np.float32)
    centres = np.random.default_rng(0).normal(size=(200, dim))
    return (centres[rng.integers(0, 200, n)] + 0.7 * rng.normal(size=(n, dim))).astype(np.float32)


def recall(index, exact, queries):
    found, truth = index.search(queries, 10)[0], exact.search(queries, 10)[0]
    return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth)])


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_new_queries_reach_the_target(kind, metric):
    x, queries = vectors(12_000, 24, 1), vectors(1500, 24, 2)
    exact = ItemIndex(24, metric=metric, kind="exact")
    exact.add(x, np.arange(len(x)))
    efforts = []
    for target in (0.9, 0.99):
        index = ItemIndex(24, metric=metric, kind=kind, recall=target)
        assert math.isnan(index.measured_recall)
        index.add(x, np.arange(len(x)))
        reached = recall(index, exact, queries)
        assert index.measured_recall >= target and reached >= target - 0.01
        # A row that its own walk does not see is a little harder to reach than a new one: its neighbours have links to it instead of each other.
        assert reached - 0.04 < index.measured_recall < reached + 0.02
        efforts.append(index.ef_search if kind == "hnsw" else index.nprobe)
        assert len(index) == len(x) and index.ids.tolist() == list(range(len(x)))
    assert efforts[0] <= efforts[1]


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_rows_that_come_sorted_do_not_mislead(kind):
    x = np.concatenate([vectors(12_000, 16, 5, clustered=False), 5 + 0.01 * vectors(1500, 16, 6, clustered=False)])
    index = ItemIndex(16, kind=kind, recall=0.95)
    index.add(x, np.arange(len(x)))
    exact = ItemIndex(16, kind="exact")
    exact.add(x, np.arange(len(x)))
    assert recall(index, exact, vectors(1000, 16, 7, clustered=False)) >= 0.94


def test_it_is_tuned_again_after_growth_and_kept_in_files(tmp_path):
    x = vectors(9000, 16, 3, clustered=False)
    index = ItemIndex(16, kind="hnsw", recall=0.95)
    for begin in range(0, 3000, 300):
        index.add(x[begin:begin + 300], np.arange(begin, begin + 300))
    first = index.ef_search
    assert index.measured_recall >= 0.95
    index.add(x[3000:], np.arange(3000, 9000))
    assert index.ef_search > first
    index.save(tmp_path / "index.etalage")
    for again in (etalage.load(tmp_path / "index.etalage"), pickle.loads(pickle.dumps(index))):
        assert again.measured_recall == index.measured_recall and again.ef_search == index.ef_search and again.options["recall"] == 0.95
    exact = ItemIndex(16, kind="exact")
    exact.add(x, np.arange(len(x)))
    assert recall(index, exact, vectors(1000, 16, 4, clustered=False)) >= 0.94


def test_few_items_and_bad_values():
    exact = ItemIndex(4, kind="exact", recall=0.95)
    exact.add(vectors(3000, 4, 1), np.arange(3000))
    assert exact.measured_recall == 1.0
    small = ItemIndex(4, recall=0.95)
    small.add(np.ones((5, 4), np.float32), np.arange(5))
    assert math.isnan(small.measured_recall) and small.search(np.ones(4), 3)[0].tolist() == [0, 1, 2]
    same = ItemIndex(4, recall=0.95)
    same.add(np.ones((4000, 4), np.float32), np.arange(4000))
    assert same.measured_recall == 1.0
    for bad in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="recall"):
            ItemIndex(4, recall=bad)
    with pytest.raises(TypeError):
        ItemIndex(4, recall="high")
    for bad in ("HNSW", None, 3, ["hnsw"]):
        with pytest.raises(ValueError, match="kind is .*, must be one of exact, hnsw, ivf, ivf_pq, faiss"):
            ItemIndex(4, kind=bad)


def test_lists_of_a_bulk_load_in_sorted_order_reach_the_target():
    x = vectors(12_000, 24, 5)
    x = x[np.argsort(x[:, 0])]
    queries = vectors(1500, 24, 6)
    exact, index = ItemIndex(24, kind="exact"), ItemIndex(24, kind="ivf", recall=0.95)
    for made in (exact, index):
        made.add(x, np.arange(len(x)))
    reached = recall(index, exact, queries)
    assert reached >= 0.94 and abs(index.measured_recall - reached) < 0.02
    assert index.ids.tolist() == list(range(len(x)))
