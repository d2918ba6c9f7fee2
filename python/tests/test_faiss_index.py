# SPDX-License-Identifier: Apache-2.0
"""ItemIndex(kind="faiss"): what FAISS makes, with our scores, filters, keys and files."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import etalage
from etalage.retrieval import ItemIndex

pytest.importorskip("etalage._faiss", reason="this build of etalage is without FAISS")

DIM = 16
RNG = np.random.default_rng(1)
CENTRES = RNG.standard_normal((20, DIM))
VECTORS = (CENTRES[RNG.integers(0, 20, 3000)] + 0.4 * RNG.standard_normal((3000, DIM))).astype(np.float32)
QUERIES = VECTORS[:40] + np.float32(0.1)
IDS = np.random.default_rng(4).permutation(50_000)[:3000].astype(np.int64)


def both(factory, metric="cosine", **options):
    # One thread: FAISS's wait for each other by spinning, which costs most where other tests run beside.
    index = ItemIndex(DIM, metric=metric, kind="faiss", factory=factory, **{"num_threads": 1, **options})
    exact = ItemIndex(DIM, metric=metric, kind="exact")
    for ix in (index, exact):
        ix.add(VECTORS, IDS)
    return index, exact


def share(found, expected):
    return np.mean([len(set(f) & set(e)) / len(e) for f, e in zip(found.tolist(), expected.tolist())])


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("factory", ["Flat", "IVF16,Flat", "HNSW16,RFlat", "IVF16,PQ8x4fs,RFlat", "SQ8"])
def test_answers_and_filters(factory, metric):
    index, exact = both(factory, metric)
    assert (index.kind, index.metric, index.dim, len(index), index.trained) == ("faiss", metric, DIM, 3000, True)
    some = np.sort(IDS[::3])
    for filters in ({}, {"allow": some}, {"deny": some}, {"deny": IDS[:4]}, {"allow": IDS[:4]}, {"allow": [IDS[i:i + 1500] for i in range(40)]}):
        expected, scores = exact.search(QUERIES, 10, **filters)
        found, own = index.search(QUERIES, 10, **filters)
        assert ((found < 0) == (expected < 0)).all()
        if filters.get("allow") is None or len(filters["allow"]) != 4:
            assert share(found, expected) > 0.93
        assert (own[found == expected] == scores[found == expected]).all()
    assert (index.search(QUERIES[0], 5000)[0] >= 0).sum() == 3000


def test_opq_with_scan_codes():
    index, exact = both("OPQ4,IVF8,PQ4x4fs,RFlat", "dot", rescore_factor=40)
    assert not index.trained  # OPQ learns 256 centroids
    assert share(index.search(QUERIES, 10)[0], exact.search(QUERIES, 10)[0]) == 1


@pytest.mark.slow
def test_opq_with_scan_codes_trains_and_finds():
    index, exact = both("OPQ8,IVF8,PQ8x4fs,RFlat", "dot", rescore_factor=20)
    more = np.concatenate([VECTORS * np.float32(1 + s) for s in (0.1, 0.2, 0.3)])
    for ix in (index, exact):
        ix.add(more, np.arange(100_000, 109_000))
    assert index.trained
    assert share(index.search(QUERIES, 10)[0], exact.search(QUERIES, 10)[0]) > 0.85


@pytest.mark.parametrize("factory", ["IVF8,PQ4x4fs", "PQ4x4fs"])
def test_many_equal_codes_do_not_end_the_process(factory):
    index = ItemIndex(DIM, metric="l2", kind="faiss", factory=factory, num_threads=1)
    index.add(np.tile(VECTORS[:30], (100, 1)), np.arange(3000))
    assert index.trained and (index.search(QUERIES, 100)[0] >= 0).all()


def test_changes():
    index, exact = both("IVF16,Flat", nprobe=16)
    for ix in (index, exact):
        ix.update(VECTORS[:100] * 2 - 1, IDS[500:600])
        ix.remove(IDS[1000:1500])
        ix.add(VECTORS[:50], np.arange(100_000, 100_050))
    assert index.dead_rows == 600 and (index.ids == exact.ids).all() and IDS[1001] not in index
    assert share(index.search(QUERIES, 10)[0], exact.search(QUERIES, 10)[0]) > 0.99
    index.compact()
    assert index.dead_rows == 0
    assert share(index.search(QUERIES, 10)[0], exact.search(QUERIES, 10)[0]) > 0.99


def test_training():
    index = ItemIndex(DIM, kind="faiss", factory="IVF100,Flat", nprobe=100)
    index.add(VECTORS, IDS)
    assert not index.trained and (index.search(VECTORS[:9], 1)[0][:, 0] == IDS[:9]).all()
    index.add(VECTORS + np.float32(1), IDS + 50_000)
    assert index.trained and (index.search(VECTORS[:9], 1)[0][:, 0] == IDS[:9]).all()
    early = ItemIndex(DIM, kind="faiss", factory="IVF16,Flat")
    with pytest.raises(ValueError, match="0 items"):
        early.train()
    early.add(VECTORS[:8], np.arange(8))
    with pytest.raises(RuntimeError, match="FAISS .* failed to train"):
        early.train()
    assert len(early) == 8 and early.search(VECTORS[3], 1)[0][0] == 3


def test_settings():
    index, _ = both("IVF16,Flat", nprobe=4, rescore_factor=3)
    assert index.options == {"factory": "IVF16,Flat", "nprobe": 4, "ef_search": 64, "rescore_factor": 3, "compact_share": 0.3, "num_threads": 1}
    index.nprobe, index.ef_search = 9, 77
    assert (index.nprobe, index.ef_search) == (9, 77) and index.memory_bytes > 3000 * DIM * 4 and np.isnan(index.measured_recall)


def test_refusals_name_what_they_refuse():
    with pytest.raises(ValueError, match="factory is 'Nothing', which FAISS"):
        ItemIndex(DIM, kind="faiss", factory="Nothing")
    with pytest.raises(TypeError, match="factory is None, must be text"):
        ItemIndex(DIM, kind="faiss")
    with pytest.raises(TypeError, match="M is not an option of ItemIndex of this kind, must be one of factory"):
        ItemIndex(DIM, kind="faiss", factory="Flat", M=3)
    with pytest.raises(TypeError, match="factory is not an option of ItemIndex of this kind"):
        ItemIndex(DIM, kind="hnsw", factory="Flat")
    with pytest.raises(ValueError, match="nprobe is 0"):
        ItemIndex(DIM, kind="faiss", factory="Flat", nprobe=0)
    for factory, rule in (("IVF0,Flat", "hold numbers in"), ("PQ0", "hold numbers in"), ("PQ4x00", "hold numbers in"), ("IVF99999999999999999999,Flat", "hold numbers in"),
                          ("HNSW1", "have links in"), ("IVF16_HNSW1000,Flat", "have links in"), ("NSG1000000", "have links in"), ("PQ4x64", "have codes of"),
                          ("IMI2x16,PQ4", "have lists of")):
        with pytest.raises(ValueError, match=f"^factory is '.*', must {rule}"):
            ItemIndex(DIM, kind="faiss", factory=factory)
    with pytest.raises(ValueError, match="^factory holds a zero byte at 4, must hold none"):
        ItemIndex(DIM, kind="faiss", factory="Flat\0")
    graph = ItemIndex(DIM, kind="faiss", factory="NSG16")
    graph.add(VECTORS[:400], IDS[:400])
    with pytest.raises(ValueError, match="add is refused: factory 'NSG16' makes a faiss::IndexNSGFlat, which takes no items once it is built"):
        graph.add(VECTORS[400:401], IDS[400:401])
    with pytest.raises(TypeError, match="does not say how many"):
        graph.distances_per_query(QUERIES)
    assert len(graph) == 400 and graph.remove(IDS[:5]) == 5


@pytest.mark.parametrize("keyed", [False, True])
def test_files_are_opened_with_trust_alone(tmp_path, keyed):
    index = ItemIndex(DIM, metric="dot", kind="faiss", factory="IVF16,SQ8,RFlat")
    index.add(VECTORS, [f"sku-{i}" for i in range(3000)] if keyed else IDS)
    index.remove(index.ids[:10])
    index.save(tmp_path / "index")
    for load in (etalage.load, ItemIndex.load):
        with pytest.raises(etalage.FormatError, match="trust_faiss"):
            load(tmp_path / "index")
        for wrong in ("no", 1, None):  # whoever opens it by trust says so
            with pytest.raises(TypeError, match=f"^trust_faiss is {wrong!r}, must be True or False"):
                load(tmp_path / "index", trust_faiss=wrong)
        loaded = load(tmp_path / "index", trust_faiss=True)
        assert (loaded.kind, loaded.keyed, loaded.options) == ("faiss", keyed, index.options)
        for a, b in zip(loaded.search(QUERIES, 10), index.search(QUERIES, 10)):
            assert (a == b).all()
    again = pickle.loads(pickle.dumps(index))
    assert (again.search(QUERIES, 10)[0] == index.search(QUERIES, 10)[0]).all()


def test_damage_is_found(tmp_path):
    index, _ = both("Flat")
    index.save(tmp_path / "index")
    data = bytearray((tmp_path / "index").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "index").write_bytes(data)
    with pytest.raises(etalage.FormatError, match="damaged"):
        etalage.load(tmp_path / "index", trust_faiss=True)


def test_faiss_is_loaded_on_use_and_missed_by_name():
    code = """
import sys, etalage
etalage.retrieval.ItemIndex(3)
print("etalage._faiss" in sys.modules, "scipy.linalg" in sys.modules)
sys.modules["etalage._faiss"] = None
try:
    etalage.retrieval.ItemIndex(3, kind="faiss", factory="Flat")
except ImportError as e:
    print(e)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == "False False" and "libfaiss-dev" in said[1]


def test_an_index_trained_elsewhere_is_served_here():
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    theirs = faiss.index_factory(DIM, "IVF16,PQ8x4fs,RFlat", faiss.METRIC_L2)
    theirs.train(VECTORS)
    theirs.add(VECTORS)
    exact = ItemIndex(DIM, metric="l2", kind="exact")
    exact.add(VECTORS, np.arange(3000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said where the FAISS that is linked does not read what a newer one wrote
        ours = ItemIndex.from_faiss(theirs)
    assert ours.metric == "l2" and ours.kind in ("faiss", "ivf")
    assert share(ours.search(QUERIES, 10)[0], exact.search(QUERIES, 10)[0]) > 0.9


@pytest.mark.parametrize("metric", ["dot", "l2", "cosine"])
@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "IVF16,Flat", "IVF16,SQ8,RFlat"])
def test_it_can_be_checked_there(factory, metric):
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    index, _ = both(factory, metric, nprobe=16)
    index.remove(IDS[:100])
    theirs = index.to_faiss()
    assert isinstance(theirs, faiss.IndexIDMap2) and theirs.ntotal == 2900
    distances, labels = theirs.search(3 * QUERIES, 10)
    found, scores = index.search(3 * QUERIES, 10)
    assert share(found, labels) > 0.95
    same = found == labels
    np.testing.assert_allclose(scores[same], (-distances if metric == "l2" else distances)[same], rtol=1e-3, atol=1e-2)
    keyed = ItemIndex(DIM, metric=metric, kind="faiss", factory=factory, nprobe=16)
    keyed.add(VECTORS, [f"sku-{i}" for i in range(3000)])
    assert keyed.ids[keyed.to_faiss().search(QUERIES[:1], 1)[1][0, 0]] == keyed.search(QUERIES[0], 1)[0][0]
