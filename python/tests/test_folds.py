# SPDX-License-Identifier: Apache-2.0
"""Folds that walk through time, and values by segment."""

import numpy as np
import pytest

import etalage
from etalage.evaluation import compare, compare_folds, evaluate, split
from etalage.models import EASE, Popularity

DAY = 86_400_000


@pytest.fixture(scope="module")
def log():
    return etalage.datasets.synthetic_store(users=300, items=80, seed=4).log


def test_folds_lie_one_behind_the_other(log):
    folds = split.rolling(log, 3, 20)
    stop = int(log.times.max()) + 1
    for i, fold in enumerate(folds):
        begin = stop - (3 - i) * 20 * DAY
        assert fold.train.times.max() < begin <= fold.test.times.min() and fold.test.times.max() < begin + 20 * DAY
        assert len(fold.train) == (log.times < begin).sum() and len(fold.valid) == 0 and fold.train.num_users == log.num_users
    short = split.rolling(log, 2, 20, train_days=15, end=stop - 5 * DAY)
    assert short[1].test.times.max() < stop - 5 * DAY and short[1].train.times.min() >= stop - 40 * DAY


@pytest.mark.parametrize("given, words", [({"folds": 0}, "folds is 0"), ({"test_days": -1}, "test_days is -1"), ({"train_days": "x"}, "train_days is 'x'"),
                                          ({"folds": 400}, "fold 1 of 400 has no events in its train part")])
def test_wrong_folds_are_named(log, given, words):
    with pytest.raises(ValueError, match=words):
        split.rolling(log, **given)
    with pytest.raises(ValueError, match="log has no times"):
        split.rolling(etalage.EventLog.from_frame({"user": [1], "item": [1]}))


def test_models_over_folds(log):
    folds = split.rolling(log, 3, 20)
    found = compare_folds({"ease": EASE(), "popularity": Popularity}, folds, k=5, metrics=("recall", "ndcg"))
    single = [compare({"ease": EASE()}, f.train, f.test, k=5, metrics=("recall",)).rows[0]["recall@5"] for f in folds]
    row = next(r for r in found.rows if r["model"] == "ease")
    assert [row["fold 1"], row["fold 2"], row["fold 3"]] == single and row["mean"] == pytest.approx(np.mean(single))
    assert (row["low"], row["high"]) == (min(single), max(single)) and sum(r["wins"] for r in found.rows) == 3
    assert found.best == found.rows[0]["model"] and "recall@5 over 3 folds" in str(found) and "<table>" in found._repr_html_()
    frame = found.to_frame()
    assert len(frame["fold"]) == 3 * 2 * 2
    with pytest.raises(ValueError, match=r"models\['e'\] is fitted, must not be"):
        compare_folds({"e": EASE().fit(log)}, folds)
    with pytest.raises(TypeError, match="holds what is no Split"):
        compare_folds({"e": EASE()}, [log])


def test_by_segment(log):
    train, _, test = split.temporal(log, int(np.quantile(log.times, 0.8)))
    r = evaluate(EASE().fit(train), train, test, k=5)
    labels = np.array(["new", "old", None], dtype=object)[np.arange(log.num_users) % 3]
    found = r.by_segment(labels)
    assert list(found) == ["new", "old"]
    chosen = labels[r.user_index] == "old"
    assert found["old"]["users"] == chosen.sum() and found["old"]["recall@5"] == pytest.approx(r.per_user["recall@5"][chosen].mean())
    with pytest.raises(ValueError, match="must have one label for each user"):
        r.by_segment(["a"])
