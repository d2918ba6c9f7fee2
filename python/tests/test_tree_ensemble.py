# SPDX-License-Identifier: Apache-2.0
"""Boosted trees read from other libraries' files: the small ones in tests/golden/trees, LightGBM live, and its ranking example."""

import json
import lzma
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.models import TreeEnsemble

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "trees"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def rows(name):
    key = "whole_categories" if name.startswith(("xgboost", "catboost_one_hot")) else "rows"
    return np.array([[np.nan if x is None else x for x in row] for row in EXPECTED[key]])


@pytest.mark.parametrize("name", sorted(EXPECTED["scores"]))
def test_scores_are_those_of_the_library(name, tmp_path):
    trees = TreeEnsemble.load(FOLDER / name)
    want = np.array(EXPECTED["scores"][name])
    got = trees.predict(rows(name))
    assert got.dtype == np.float64 and got.shape == want.shape
    if name.startswith("lightgbm"):
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, atol=1e-6)
    np.testing.assert_array_equal(trees.predict(rows(name), num_threads=2), got)
    np.testing.assert_array_equal(trees.predict(np.asfortranarray(rows(name))), got)
    trees.save(tmp_path / "trees.etalage")
    for again in (etalage.load(tmp_path / "trees.etalage"), TreeEnsemble.load(tmp_path / "trees.etalage"), pickle.loads(pickle.dumps(trees))):
        assert type(again) is TreeEnsemble and repr(again) == repr(trees)
        np.testing.assert_array_equal(again.predict(rows(name)), got)


@pytest.mark.parametrize("name", sorted(EXPECTED["refused"]))
def test_what_is_not_supported_is_named(name):
    with pytest.raises(etalage.FormatError, match=EXPECTED["refused"][name]):
        TreeEnsemble.load(FOLDER / name)


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "model.json"
    text = (FOLDER / "xgboost_binary.json").read_text()
    for content, words in [("", "must be a text or JSON file"), ("{}", "none of the fields"), (text[:500], "damaged JSON"),
                           (text.replace("binary:logistic", "binary:guess"), "binary:guess"), ("PK\x03\x04", "not a tree model")]:
        path.write_text(content)
        with pytest.raises(etalage.FormatError, match=words):
            TreeEnsemble.load(path)
    with pytest.raises(FileNotFoundError):
        TreeEnsemble.load(tmp_path / "absent.txt")
    with pytest.raises(TypeError):
        TreeEnsemble("model.txt")


def test_bad_rows_are_refused():
    trees = TreeEnsemble.load(FOLDER / "lightgbm_binary.txt")
    with pytest.raises(ValueError, match="5 features, must have the 6"):
        trees.predict(np.zeros((3, 5)))
    with pytest.raises(ValueError):
        trees.predict(np.zeros(6))
    with pytest.raises(TypeError):
        trees.predict([["a"] * 6])
    assert trees.predict(np.zeros((0, 6))).shape == (0,)
    np.testing.assert_array_equal(trees.predict(np.zeros((2, 6), np.int64)), trees.predict(np.zeros((2, 6))))


def test_lightgbm_as_installed_bit_for_bit(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 20))
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0] * x[:, 1]) + rng.normal(size=2000)
    grades = np.clip(np.digitize(y, [0, 1, 2]), 0, 3)
    model = lightgbm.LGBMRanker(n_estimators=60, num_leaves=31, verbose=-1, n_jobs=1).fit(x, grades, group=np.full(100, 20))
    model.booster_.save_model(tmp_path / "ranker.txt")
    trees = TreeEnsemble.load(tmp_path / "ranker.txt")
    want = model.booster_.predict(x, raw_score=True)
    np.testing.assert_array_equal(trees.predict(x), want)
    narrow = x.astype(np.float32)
    np.testing.assert_array_equal(trees.predict(narrow), model.booster_.predict(narrow.astype(np.float64), raw_score=True))


@pytest.mark.data
def test_the_ranking_example_of_lightgbm(tmp_path):
    data = Path(os.environ.get("ETALAGE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "lambdarank"
    if not data.exists():
        pytest.skip(f"no data in {data}")
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    (tmp_path / "model.txt").write_bytes(lzma.open(data / "model_100trees.txt.xz").read())
    trees = TreeEnsemble.load(tmp_path / "model.txt")
    with lzma.open(data / "rank.test.xz") as f:
        x, grades = sklearn_datasets.load_svmlight_file(f, n_features=trees.num_features, zero_based=False)
    scores = trees.predict(x.toarray())
    with lzma.open(data / "expected_test_scores.txt.xz") as f:
        np.testing.assert_array_equal(scores, np.loadtxt(f))
    # ndcg with gains 2^l - 1; a query without a relevant row counts 1, as LightGBM counts it.
    sizes = np.loadtxt(data / "rank.test.query", dtype=int)
    totals = {1: [], 3: [], 5: []}
    for begin, end in zip(np.cumsum(sizes) - sizes, np.cumsum(sizes)):
        order = np.argsort(-scores[begin:end], kind="stable")
        gains = 2.0 ** grades[begin:end] - 1
        for k, found in totals.items():
            discount = 1 / np.log2(2 + np.arange(min(k, end - begin)))
            best = np.sort(gains)[::-1][:k] @ discount
            found.append(gains[order][:k] @ discount / best if best > 0 else 1.0)
    assert [round(float(np.mean(totals[k])), 6) for k in (1, 3, 5)] == [0.62, 0.618018, 0.665494]
