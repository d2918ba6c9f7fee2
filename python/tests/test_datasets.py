# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import etalage
from etalage.evaluation import compare, split


def test_same_as_from_cpp():
    # tests/datasets/synthetic_store_test.cpp expects the same number.
    store = etalage.datasets.synthetic_store(users=800, items=400, seed=7, events=40_000)
    assert store.hash() == 0xCC45035B24A9A1DF


def test_frames_and_catalog():
    store = etalage.datasets.synthetic_store(users=100, items=50, seed=1)
    assert store.log.num_users == 100 and len(store.log) == 4000 and len(store.catalog) == 50
    frame = store.to_dict()
    again = etalage.EventLog.from_frame(frame, event="event", time="time", value="value", session="session")
    assert len(again) == 4000
    assert again.interactions().nnz == store.log.interactions().nnz
    assert isinstance(store.catalog.names()[0], str) and (store.catalog.prices > 0).all()
    assert store.segments.shape == (100,)
    pandas = pytest.importorskip("pandas")
    assert isinstance(store.to_pandas(), pandas.DataFrame) and len(store.catalog.to_pandas()) == 50
    pytest.importorskip("pyarrow")
    assert store.to_arrow().num_rows == 4000


def test_a_good_model_finds_what_popularity_does_not():
    store = etalage.datasets.synthetic_store(users=2000, items=1000, seed=42)
    parts = split.random_holdout(store.log.interactions(duplicates="binary"), 0.2, seed=1)
    als = etalage.models.ALS(factors=32, regularization=1.0, alpha=10.0, iterations=10, seed=1)
    table = compare({"popularity": etalage.models.Popularity(), "als": als}, parts.train, parts.test, k=20, metrics="recall")
    recall = {row["model"]: row["recall@20"] for row in table.rows}
    assert recall["als"] > 3.5 * recall["popularity"]


def test_bad_input_is_named():
    make = etalage.datasets.synthetic_store
    with pytest.raises(ValueError, match="users is 0, must be >= 1"):
        make(users=0)
    with pytest.raises(ValueError, match="events is 5, must be >= users"):
        make(users=10, events=5)
    with pytest.raises(ValueError, match="start_ms is .* must be a midnight"):
        make(start="2024-01-01T05:00")
    with pytest.raises(ValueError, match="seed is -1"):
        make(seed=-1)
    with pytest.raises(TypeError, match="items is 2.5"):
        make(items=2.5)
    assert len(make(users=1, items=1, days=1).log) == 40
    assert np.all(make(users=3, items=5, days=2).catalog.stock >= 0)
