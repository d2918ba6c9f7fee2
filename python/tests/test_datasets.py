# SPDX-License-Identifier: Apache-2.0
import pickle

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


def test_the_catalogue_of_the_store_is_taken_where_catalogues_are():
    store = etalage.datasets.synthetic_store(users=60, items=30, seed=1)
    products = store.catalog.to_catalog()
    columns = store.catalog.to_dict()
    assert products.item_ids.tolist() == store.catalog.item_ids.tolist() and list(products.names) == list(store.catalog.names())
    assert " > ".join(products.categories[3]) == columns["category"][3] and list(products.tags[3]) == [f"style:{columns['style'][3]}"]
    np.testing.assert_array_equal(products.prices, store.catalog.prices)
    np.testing.assert_array_equal(products.stock, store.catalog.stock)
    data = store.log.interactions({"view": 1, "cart": 1, "purchase": 1, "return": 0})
    als = etalage.models.ALS(factors=4, iterations=2).fit(data)
    cold = etalage.models.ColdStart(als, store.catalog, power=1)
    np.testing.assert_array_equal(cold.factors(store.catalog), etalage.models.ColdStart(als, products, power=1).factors(products))
    assert cold.extended(store.catalog).num_items == cold.extended(products).num_items
    assert str(store.log.describe(store.catalog)) == str(store.log.describe(products))
    assert etalage.serving.align_catalog(store.catalog, als).item_ids.tolist() == etalage.serving.align_catalog(products, als).item_ids.tolist()
    profiles = etalage.profile.Profiles(store.catalog).add(store.log)
    assert str(profiles[3]) == str(etalage.profile.Profiles(products).add(store.log)[3])
    profiles.set_catalog(store.catalog)
    intent = etalage.profile.PurchaseIntent(horizon_days=7)
    np.testing.assert_array_equal(intent.examples(store.log, store.catalog)["features"], intent.examples(store.log, products)["features"])
    assert len(etalage.serving.Snapshot({"als": als}, store.catalog)) == 30
    assert len(pickle.loads(pickle.dumps(store.catalog))) == 30


@pytest.mark.parametrize("call", [lambda c, log: log.describe(c), lambda c, log: etalage.serving.Snapshot({}, c), lambda c, log: etalage.profile.Profiles(c),
                                  lambda c, log: etalage.profile.PurchaseIntent().examples(log, c)])
def test_a_frame_is_no_catalogue(call):
    store = etalage.datasets.synthetic_store(users=60, items=30, seed=1)
    with pytest.raises(TypeError, match=r"catalog is a dict, must be an etalage.Catalog \(Catalog.from_frame makes one\)"):
        call(store.catalog.to_dict(), store.log)
