# SPDX-License-Identifier: Apache-2.0
"""LinearSequence as constructed on odd but valid lists: it answers, with numbers, whatever its trials of settings could learn."""

import numpy as np
import pytest

import etalage
from etalage import models

rng = np.random.default_rng(0)


def sequences(lists, num_items, times=None):
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)
    return etalage.Sequences(offsets, np.fromiter((i for x in lists for i in x), np.int32, int(offsets[-1])), times, num_items)


ODD = {
    "all times equal": lambda: sequences(rng.integers(0, 30, (500, 8)), 30, np.full(4000, 5, np.int64)),
    "times before 1970": lambda: sequences(rng.integers(0, 30, (500, 8)), 30, np.tile(np.arange(-8, 0), 500)),
    "one item again and again": lambda: sequences([[0] * int(n) for n in rng.integers(1, 6, 800)], 1),
    "one item, once a list": lambda: sequences([[0]] * 800, 1),
    "no list longer than one": lambda: sequences(rng.integers(0, 40, (900, 1)), 40),
    "lists of none, one and two": lambda: sequences([rng.integers(0, 40, int(n)) for n in rng.integers(0, 3, 900)], 40),
    "empty lists alone": lambda: sequences([[]] * 10, 5),
    "two lists": lambda: sequences([[0, 1], [1, 0]], 2),
    "one pair in every list": lambda: sequences([[0, 1]] * 1000, 2),
    "one long list": lambda: sequences([rng.integers(0, 50, 5000)], 50),
    "far more items than events": lambda: sequences(rng.integers(0, 1_000_000, (300, 2)), 1_000_000),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_lists_are_answered(case):
    data = ODD[case]()
    model = models.LinearSequence().fit(data)
    k = min(3, data.num_items)
    items, scores = model.recommend_session([0], k=k, filter_already_liked_items=False, exclude_last=False)
    assert sorted(set(items)) == sorted(items) and (0 <= items).all() and (items < data.num_items).all()
    assert np.isfinite(scores).all() and (np.diff(scores) <= 0).all()
    assert np.isfinite(model.score(0, None, np.arange(k))).all()
    assert all(np.isfinite(model.resolved[name]) for name in ("l2", "ridge_exponent", "decay", "column_exponent", "query_decay"))


def test_huge_keys_are_keys():
    keys = np.array([2**62, -2**61, 5, -7])
    log = etalage.EventLog.from_frame({"user": np.arange(2000) % 50 * 2**50, "item": keys[rng.integers(0, 4, 2000)], "time": np.full(2000, 7)},
                                      user="user", item="item", time="time", time_unit="s")
    found, scores = models.LinearSequence().fit(log).recommend_ids([3 * 2**50], k=2, filter_already_liked_items=False)
    assert set(found[0]) <= set(keys.tolist()) and np.isfinite(scores).all()
