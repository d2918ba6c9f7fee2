# SPDX-License-Identifier: Apache-2.0
"""Indexes of the module faiss, whatever its version, become ours, and ours become its."""

import subprocess
import sys

import numpy as np
import pytest

import etalage
from etalage.retrieval import ItemIndex

faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
faiss.omp_set_num_threads(1)  # they wait for each other by spinning
pytestmark = pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")

DIM = 24
METRICS = {"dot": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}


def clustered(n, seed):
    centres = np.random.default_rng(3).standard_normal((20, DIM))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(0, 20, n)] + 0.4 * rng.standard_normal((n, DIM))).astype(np.float32)


VECTORS, QUERIES = clustered(3000, 1), clustered(50, 2)
IDS = np.random.default_rng(4).permutation(100_000)[:3000].astype(np.int64)


def brute(metric, queries=QUERIES, vectors=VECTORS):
    q, x = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return -((q[:, None] - x[None]) ** 2).sum(-1)
    if metric == "cosine":
        q, x = q / np.linalg.norm(q, axis=1)[:, None], x / np.linalg.norm(x, axis=1)[:, None]
    return q @ x.T


def share(found, expected):
    return np.mean([len(set(f) & set(e)) / len(e) for f, e in zip(found.tolist(), expected.tolist())])


def made(factory, metric, ids=None):
    index = faiss.index_factory(DIM, factory, METRICS[metric])
    index.train(VECTORS)
    index.add(VECTORS) if ids is None else index.add_with_ids(VECTORS, ids)
    return index


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_a_flat_index_answers_as_it_did(metric):
    theirs = made("Flat", metric)
    ours = ItemIndex.from_faiss(theirs)
    assert (ours.metric, ours.kind, len(ours), ours.dim) == (metric, "exact", 3000, DIM)
    distances, labels = theirs.search(QUERIES, 10)
    found, scores = ours.search(QUERIES, 10)
    assert share(found, labels) == 1
    np.testing.assert_allclose(scores, distances if metric == "dot" else -distances, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize(("factory", "kind"), [("HNSW16,Flat", "hnsw"), ("IVF32,Flat", "ivf"), ("IVF32,PQ24x4fs,RFlat", None),
                                               ("RR24,Flat", "exact")])
def test_what_keeps_its_vectors_is_converted_exactly(factory, kind, metric):
    theirs = made(factory, metric)
    ours = ItemIndex.from_faiss(theirs)
    assert ours.metric == metric and (ours.kind == kind or kind is None and ours.kind in ("faiss", "ivf"))
    found, scores = ours.search(QUERIES, 10)
    best = np.argsort(-brute(metric), axis=1)[:, :10]
    assert share(found, best) > 0.95
    np.testing.assert_allclose(scores, np.take_along_axis(brute(metric), found, 1), rtol=1e-3, atol=1e-3)
    assert theirs.ntotal == 3000, "the index that was given is left as it is"


def test_other_graphs_become_ours():
    theirs = faiss.index_factory(DIM, "NSG16,Flat")
    theirs.add(VECTORS[:300])
    ours = ItemIndex.from_faiss(theirs)
    assert ours.kind == "hnsw" and (ours.search(VECTORS[:300], 1)[0][:, 0] == np.arange(300)).mean() > 0.99


def test_settings_are_kept_and_not_lowered():
    graph = made("HNSW24,Flat", "l2")
    graph.hnsw.efSearch, lists = 200, made("IVF32,Flat", "dot")
    options = ItemIndex.from_faiss(graph).options
    assert (options["M"], options["ef_construction"], options["ef_search"]) == (24, graph.hnsw.efConstruction, 200)
    options = ItemIndex.from_faiss(lists).options
    assert (options["nlist"], options["nprobe"]) == (32, 16)


@pytest.mark.parametrize("factory", ["IDMap,Flat", "IDMap2,Flat", "IDMap,HNSW16,Flat", "IVF32,Flat"])
def test_ids_are_kept(factory):
    theirs = made(factory, "l2", IDS)
    ours = ItemIndex.from_faiss(theirs)
    assert set(ours.ids.tolist()) == set(IDS.tolist())
    found, _ = ours.search(VECTORS[:40], 1)
    assert (found[:, 0] == IDS[:40]).mean() > 0.95


def test_ids_may_be_given_as_numbers_or_keys():
    theirs = made("Flat", "l2")
    assert ItemIndex.from_faiss(theirs, IDS).search(VECTORS[7], 1)[0][0] == IDS[7]
    keys = [f"sku-{i}" for i in range(3000)]
    assert ItemIndex.from_faiss(theirs, keys).search(VECTORS[7], 1)[0][0] == "sku-7"
    assert ItemIndex.from_faiss(made("IDMap,Flat", "l2", IDS), keys).search(VECTORS[7], 1)[0][0] == "sku-7"
    with pytest.raises(ValueError, match="ids has 2 entries, must have one for each of the 3000"):
        ItemIndex.from_faiss(theirs, [1, 2])
    for wrong, said in ((3, "is 3"), ("sku", "is 'sku'"), (set(keys), "is {'sku-"), (IDS[:, None], r"has shape \(3000, 1\)")):
        with pytest.raises(ValueError, match=f"^ids {said}.*, must be a list or an array of one dimension"):
            ItemIndex.from_faiss(theirs, wrong)
    with pytest.raises(ValueError, match="faiss_index has ids of its own"):
        ItemIndex.from_faiss(made("IVF32,Flat", "l2", IDS), keys)


def test_normalised_inner_products_are_cosines():
    theirs = made("L2norm,Flat", "dot")
    ours = ItemIndex.from_faiss(theirs)
    assert ours.metric == "cosine"
    found, scores = ours.search(QUERIES, 10)
    distances, labels = theirs.search(QUERIES, 10)
    assert share(found, labels) == 1
    np.testing.assert_allclose(scores, distances, rtol=1e-4)


@pytest.mark.parametrize("factory", ["IVF32,SQ8", "SQ8", "PCA16,Flat", "IVF32,PQ8x4fs"])
def test_codes_are_reconstructed_and_that_is_said(factory):
    theirs = made(factory, "l2")
    with pytest.warns(UserWarning, match="does not keep its vectors as they were added"):
        ours = ItemIndex.from_faiss(theirs)
    if ours.kind == "faiss":
        assert ours.options["factory"].startswith("faiss::Index") and ours.trained
    if factory == "SQ8":
        distances, labels = theirs.search(QUERIES, 10)
        found, scores = ours.search(QUERIES, 10)
        assert share(found, labels) > 0.99
        np.testing.assert_allclose(scores, -distances, rtol=1e-3, atol=1e-3)


def test_what_removed_rows_leave_is_taken():
    theirs = made("IDMap2,Flat", "dot", IDS)
    theirs.remove_ids(IDS[:1000])
    ours = ItemIndex.from_faiss(theirs)
    assert set(ours.ids.tolist()) == set(IDS[1000:].tolist())
    assert share(ours.search(QUERIES, 10)[0], theirs.search(QUERIES, 10)[1]) == 1


def test_an_empty_index_is_one():
    assert len(ItemIndex.from_faiss(faiss.IndexFlatIP(DIM))) == 0
    assert ItemIndex(DIM).to_faiss().ntotal == 0


@pytest.mark.parametrize("given", [np.zeros((2, 2)), faiss.IndexBinaryFlat(64), None])
def test_what_is_no_index_is_refused(given):
    with pytest.raises(TypeError, match="must be an index of float vectors"):
        ItemIndex.from_faiss(given)


def test_other_metrics_are_refused():
    with pytest.raises(ValueError, match="must be METRIC_INNER_PRODUCT or METRIC_L2"):
        ItemIndex.from_faiss(faiss.IndexFlat(DIM, faiss.METRIC_L1))


def test_it_is_ours_afterwards(tmp_path):
    ours = ItemIndex.from_faiss(made("HNSW16,Flat", "l2"))
    ours.remove([0, 1]), ours.update(VECTORS[5], 2), ours.add(VECTORS[:1], [5000])
    ours.save(tmp_path / "index")
    assert etalage.load(tmp_path / "index").search(VECTORS[5], 2)[0].tolist() == [2, 5]


@pytest.mark.parametrize("metric", ["dot", "l2", "cosine"])
@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf", "ivf_pq"])
def test_ours_can_be_checked_there(metric, kind):
    ours = ItemIndex(DIM, metric=metric, kind=kind, nlist=16, nprobe=16, pq_m=12, pq_bits=4, ef_search=300, rescore_factor=100)
    ours.add(VECTORS, IDS)
    ours.remove(IDS[:100])
    ours.update(VECTORS[:50], IDS[200:250])
    theirs = ours.to_faiss()
    assert isinstance(theirs, faiss.IndexIDMap2) and theirs.ntotal == len(ours) == 2900
    distances, labels = theirs.search(3 * QUERIES, 10)
    found, scores = ours.search(3 * QUERIES, 10)
    assert share(found, labels) > (0.999 if kind in ("exact", "ivf") else 0.97)
    same = found == labels
    np.testing.assert_allclose(scores[same], (-distances if metric == "l2" else distances)[same], rtol=1e-4, atol=1e-3)
    back = ItemIndex.from_faiss(theirs)
    assert back.metric == metric and set(back.ids.tolist()) == set(ours.ids.tolist())


def test_there_in_any_structure_and_with_keys_as_positions():
    ours = ItemIndex(DIM, metric="cosine", kind="exact")
    ours.add(VECTORS, [f"sku-{i}" for i in range(3000)])
    ours.remove(["sku-3"])
    theirs = ours.to_faiss("IVF16,Flat")
    faiss.extract_index_ivf(theirs).nprobe = 16
    labels = theirs.search(QUERIES, 5)[1]
    assert share(ours.ids[labels], ours.search(QUERIES, 5)[0]) > 0.99
    with pytest.raises(ValueError, match="factory is 'NoSuchThing', which FAISS"):
        ours.to_faiss("NoSuchThing")
    with pytest.raises(ValueError, match="factory is 'IVF5000,Flat', which FAISS .* cannot fill with 2999 items"):
        ours.to_faiss("IVF5000,Flat")
    for wrong in ("", "IVF0,Flat", "PQ0"):
        with pytest.raises(ValueError, match="factory is '.*', must name a type, and hold numbers from 1 on"):
            ours.to_faiss(wrong)
    with pytest.raises(TypeError, match="factory is b'Flat', must be text"):
        ours.to_faiss(b"Flat")


def test_without_faiss_the_error_says_what_to_install():
    code = "import sys; sys.modules['faiss'] = None\nimport etalage\ntry:\n    etalage.retrieval.ItemIndex(3).to_faiss()\nexcept ImportError as e:\n    print(e)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install faiss-cpu" in said
