# SPDX-License-Identifier: Apache-2.0
"""Conversion, dtypes, filters, pickling and agreement with NumPy; the algorithms are tested in C++."""

import copy
import pickle
import threading

import numpy as np
import pytest

import etalage
from etalage.retrieval import ItemFilter, ItemIndex


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((300, 12), dtype=np.float32)


IDS = np.arange(300, dtype=np.int64) * 10**10 + 5


def filled(x, metric="dot", kind="exact", **options):
    ix = ItemIndex(12, metric=metric, kind=kind, **options)
    ix.add(x, IDS)
    return ix


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_agrees_with_numpy(x, metric):
    q = x[:7] + 0.1
    if metric == "l2":
        s = -((q[:, None] - x[None]) ** 2).sum(-1)
    elif metric == "dot":
        s = q @ x.T
    else:
        s = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (x / np.linalg.norm(x, axis=1, keepdims=True)).T
    ids, scores = filled(x, metric).search(q, 9)
    order = np.argsort(-s, axis=1)[:, :9]
    np.testing.assert_array_equal(ids, IDS[order])
    np.testing.assert_allclose(scores, np.take_along_axis(s, order, 1), rtol=1e-4, atol=1e-5)
    assert ids.dtype == np.int64 and scores.dtype == np.float32


def test_one_vector_gives_one_row(x):
    ix = filled(x)
    one_ids, one_scores = ix.search(x[0], 4)
    ids, scores = ix.search(x[:1], 4)
    assert one_ids.shape == (4,)
    np.testing.assert_array_equal(one_ids, ids[0])
    np.testing.assert_array_equal(one_scores, scores[0])
    ix.add(x[0], 7)
    assert 7 in ix and 8 not in ix and ix.remove(7) == 1


def test_forms_of_filters_agree(x):
    ix = filled(x)
    allowed = IDS[::3]
    mask = np.isin(ix.ids, allowed)
    expected = ix.search(x[:4], 6, allow=allowed.tolist())
    assert np.isin(expected[0], allowed).all()
    for form in (allowed, mask, set(allowed.tolist()), [allowed] * 4, [allowed.tolist()] * 4, ItemFilter(allow=allowed),
                 [ItemFilter(allow=allowed)] * 4):
        np.testing.assert_array_equal(ix.search(x[:4], 6, allow=form)[0], expected[0])
    rest = np.setdiff1d(IDS, allowed)
    for form in (rest, ~mask, ItemFilter(allow=rest), ItemFilter(deny=allowed)):
        np.testing.assert_array_equal(ix.search(x[:4], 6, deny=form)[0], expected[0])
    both = ix.search(x[:4], 300, allow=allowed, deny=IDS[:30])
    assert (both[0][0] >= 0).sum() == 90 and not np.isin(both[0], IDS[:30]).any()
    each = ix.search(x[:2], 3, allow=[[int(IDS[4])], []])
    assert each[0].tolist() == [[int(IDS[4]), -1, -1], [-1, -1, -1]]
    assert (ix.search(x[:2], 3, allow=[])[0] == -1).all()
    some = ix.search(x[:2], 3, deny=[None, IDS[:299]])
    assert (some[0][0] >= 0).all() and some[0][1].tolist() == [int(IDS[299]), -1, -1]


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf_pq"])
def test_files_pickles_and_copies_answer_alike(x, kind, tmp_path):
    ix = filled(x, kind=kind)
    ix.remove(IDS[:20])
    expected = ix.search(x, 10)
    ix.save(tmp_path / "ix")
    for again in (etalage.load(tmp_path / "ix"), etalage.load(tmp_path / "ix", verify="header"), pickle.loads(pickle.dumps(ix)),
                  copy.deepcopy(ix)):
        for a, b in zip(again.search(x, 10), expected):
            np.testing.assert_array_equal(a, b)
        assert again.kind == kind and again.options == ix.options
        again.add(x[:20], IDS[:20])
        again.update(x[:1], IDS[-1:])
        assert again.remove(IDS[40:50]) == 10 and len(again) == 290 and len(ix) == 280
        again.compact()
        assert IDS[3] in again.search(x[3], 300)[0]


def test_searching_while_another_thread_changes(x):
    ix = filled(x, kind="hnsw", metric="cosine")
    done = threading.Event()

    def change():
        for i in range(40):
            ids = 10**15 + np.arange(50) + 100 * i
            ix.add(x[:50], ids)
            ix.update(x[50:100], ids)
            ix.remove(ids)
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    while not done.is_set():
        ids, _ = ix.search(x[:8], 5)
        assert (ids >= 0).all()
    thread.join()
    assert len(ix) == 300


def test_bad_input_is_named(x):
    ix = filled(x)
    for call, message in (
        (lambda: ix.add(x[:1], [-1]), r"ids\[0\] is -1, must be >= 0"),
        (lambda: ix.add(x[:2], [1, 1]), "twice in one call"),
        (lambda: ix.add(x[:1], IDS[:1]), "must not be in the index yet"),
        (lambda: ix.add(x[:1] * np.nan, [1]), r"vectors\[0\] holds nan, must be finite"),
        (lambda: ix.add(x[:1, :3], [1]), "3 columns, must have dim = 12"),
        (lambda: ix.update(x[:1], [1]), "must be in the index"),
        (lambda: ix.search(x[:1], -1), "k is -1, must be >= 0"),
        (lambda: ix.search(x[:1, :3], 1), "3 columns, must have dim = 12"),
        (lambda: ix.search(x[:1], 1, allow=[-4]), "allow holds id -4, must be >= 0"),
        (lambda: ix.search(x[:1], 1, allow=np.ones(7, bool)), "mask of 7 entries, must have one for each of the 300 ids"),
        (lambda: ix.search(x[:1], 1, deny=[[1], [2]]), "deny has 2 lists, must have one for each of the 1 queries"),
        (lambda: ItemIndex(12, metric="cos"), "metric is 'cos'"),
        (lambda: ItemIndex(12, kind="tree"), "kind is 'tree'"),
        (lambda: ItemIndex(0), "dim is 0, must be >= 1"),
        (lambda: ItemIndex(12, M=1), "M is 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="nonsense is not an option"):
        ItemIndex(12, nonsense=1)
    with pytest.raises(TypeError, match="allow has dtype float64"):
        ix.search(x[:1], 1, allow=[1.5])
    assert ix.search(x[:3], 0)[0].shape == (3, 0) and ix.search(x[:0], 3)[0].shape == (0, 3)
    assert len(ix) == 300


def test_a_damaged_file_is_a_format_error(x, tmp_path):
    path = tmp_path / "ix"
    filled(x, kind="hnsw").save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(etalage.FormatError, match="checksum"):
        etalage.load(path)


def test_counts_what_a_search_scores():
    rng = np.random.default_rng(3)
    x, q = rng.standard_normal((4000, 16)).astype(np.float32), rng.standard_normal((20, 16)).astype(np.float32)
    exact = ItemIndex(16, kind="exact")
    exact.add(x, np.arange(4000))
    assert exact.distances_per_query(q, 10) == 4000
    lists = ItemIndex(16, kind="ivf_pq", nprobe=2)
    lists.add(x, np.arange(4000))
    graph = ItemIndex(16, kind="hnsw", ef_search=16)
    graph.add(x, np.arange(4000))
    few = graph.distances_per_query(q, 10)
    assert 16 < few < 2000 and 10 <= lists.distances_per_query(q, 10) < 4000
    graph.ef_search = 64
    assert graph.distances_per_query(q[0], 10) > 0 and graph.distances_per_query(q, 10) > few
    with pytest.raises(ValueError, match="queries has 15 columns, must have dim = 16"):
        exact.distances_per_query(q[:, :15], 10)
