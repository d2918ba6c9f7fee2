# SPDX-License-Identifier: Apache-2.0
"""An index of items under the shop's text keys."""

import pickle
import threading

import numpy as np
import pytest

import etalage
from etalage.retrieval import ItemIndex


@pytest.fixture(params=["exact", "hnsw"])
def pair(request):
    """The same vectors under keys and under numbers."""
    vectors = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    keys = [f"sku-{(i * 7) % 60:02d}" for i in range(60)]
    keyed, plain = ItemIndex(8, kind=request.param), ItemIndex(8, kind=request.param)
    keyed.add(vectors, keys)
    plain.add(vectors, np.arange(60))
    return keyed, plain, vectors, np.array(keys, dtype=object)


def test_answers_are_keys(pair):
    keyed, plain, vectors, keys = pair
    for queries in (vectors[:5], vectors[3]):
        found, scores = keyed.search(queries, 70)
        expected, same = plain.search(queries, 70)
        assert found.shape == expected.shape and found.dtype == object
        np.testing.assert_array_equal(found, np.where(expected < 0, None, keys[expected]))
        np.testing.assert_array_equal(scores, same)
    assert keyed.keyed and not plain.keyed and keyed.ids.tolist() == keys.tolist() and "sku-07" in keyed and "sku-99" not in keyed and 3 not in keyed


def test_filters_are_keys(pair):
    keyed, plain, vectors, keys = pair
    few = ["sku-07", "sku-14", "nothing"]
    numbers = [keys.tolist().index(k) for k in few[:2]]
    for value in (few, np.array(few), np.array(few, object), set(few), keyed.filter(allow=few)):
        assert set(keyed.search(vectors[9], 5, allow=value)[0].tolist()) == {"sku-07", "sku-14", None}
        found = keyed.search(vectors[:4], 3, deny=value)[0]
        np.testing.assert_array_equal(found, keys[plain.search(vectors[:4], 3, deny=numbers)[0]])
    each = keyed.search(vectors[:2], 2, allow=[["sku-07"], None])[0]
    assert each[0].tolist() == ["sku-07", None] and each[1, 0] == keys[1]
    mask = np.arange(60) < 2
    assert set(keyed.search(vectors[9], 2, allow=mask)[0].tolist()) == set(keys[:2])
    assert keyed.search(vectors[9], 2, allow="sku-07")[0].tolist() == ["sku-07", None]


def test_updates_and_removal(pair):
    keyed, _, vectors, keys = pair
    keyed.update(vectors[0], "sku-14")
    assert set(keyed.search(vectors[0], 2)[0].tolist()) == {keys[0], "sku-14"}
    assert keyed.remove(["sku-14", "no"]) == 1 and "sku-14" not in keyed and len(keyed) == 59
    assert keyed.remove("sku-14") == 0
    keyed.add(vectors[2], "sku-14")
    keyed.add(vectors[3], "new")
    assert len(keyed) == 61 and "new" in keyed


@pytest.mark.parametrize("wrong, error, words", [
    (lambda ix, v: ix.add(v[0], "sku-00"), ValueError, "ids holds 'sku-00', which is in the index already"),
    (lambda ix, v: ix.add(v[:2], ["x", "x"]), ValueError, "ids holds 'x' twice, must hold each key once"),
    (lambda ix, v: ix.add(v[:2], ["x", 7]), TypeError, "ids holds 7, must hold text keys"),
    (lambda ix, v: ix.add(v[:2], ("x", None)), TypeError, "ids holds None, must hold text keys"),
    (lambda ix, v: ix.add(v[0], ""), ValueError, "which is empty"),
    (lambda ix, v: ix.add(v[0], 5), TypeError, "ids holds 5, must hold text keys"),
    (lambda ix, v: ix.add(v[:3], ["x", "y"]), ValueError, "ids"),
    (lambda ix, v: ix.update(v[0], "x"), ValueError, "'x', which is not in the index"),
    (lambda ix, v: ix.search(v[0], 2, allow=[3]), TypeError, "allow holds 3, must hold text keys"),
])
def test_wrong_keys_change_nothing(pair, wrong, error, words):
    keyed, _, vectors, keys = pair
    with pytest.raises(error, match=words):
        wrong(keyed, vectors)
    assert keyed.ids.tolist() == keys.tolist() and "x" not in keyed
    keyed.add(vectors[0], "x")
    assert keyed.ids.tolist() == [*keys, "x"]


def test_a_list_of_text_and_numbers_makes_no_keys():
    index = ItemIndex(2)
    with pytest.raises(TypeError, match="ids holds 1, must hold text keys"):
        index.add(np.ones((2, 2), np.float32), ["a", 1])
    assert len(index) == 0 and not index.keyed
    index.add(np.ones(2, np.float32), 1)
    named = ItemIndex(2)
    named.add(np.ones((2, 2), np.float32), [np.str_("a"), "b"])
    assert [type(key) for key in named.ids] == [str, str]


def test_numbers_stay_numbers(pair):
    _, plain, vectors, _ = pair
    for call in (lambda: plain.add(vectors[0], "a"), lambda: plain.search(vectors[0], 2, deny=["a"]), lambda: plain.remove(["a"])):
        with pytest.raises(TypeError, match="must hold integers"):
            call()
    assert "a" not in plain


def test_they_are_saved(pair, tmp_path):
    keyed, plain, vectors, _ = pair
    keyed.remove(["sku-00"])
    expected = keyed.search(vectors[:6], 4)
    keyed.save(tmp_path / "a.index")
    for other in (ItemIndex.load(tmp_path / "a.index"), etalage.load(tmp_path / "a.index"), pickle.loads(pickle.dumps(keyed))):
        np.testing.assert_array_equal(other.search(vectors[:6], 4)[0], expected[0])
        np.testing.assert_array_equal(other.search(vectors[:6], 4)[1], expected[1])
        other.add(vectors[0], "sku-00")
        assert other.search(vectors[0], 1)[0].tolist() == ["sku-00"]
    plain.save(tmp_path / "b.index")
    assert not ItemIndex.load(tmp_path / "b.index").keyed


def test_searches_while_keys_come_in():
    vectors = np.random.default_rng(2).normal(size=(400, 4)).astype(np.float32)
    index, wrong = ItemIndex(4, kind="exact"), []
    index.add(vectors[:1], ["k0"])

    def ask():
        for _ in range(200):
            found, scores = index.search(vectors[:3], 5)
            wrong.extend(f for f, s in zip(found.ravel(), scores.ravel()) if (f is None) != np.isneginf(s))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(1, 400):
        index.add(vectors[i], f"k{i}")
    for t in threads:
        t.join()
    assert not wrong and len(index) == 400
