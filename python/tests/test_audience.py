# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.marketing import Audience, audience, lookalikes, slot
from etalage.serving import Filter

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ETALAGE_DATA", ROOT / "../shared/data"))


@pytest.fixture(scope="module")
def store():
    return etalage.datasets.synthetic_store(users=600, items=150, events=12_000, seed=3)


@pytest.fixture(scope="module")
def catalog(store):
    return etalage.Catalog.from_frame(store.catalog.to_dict(), item="item", category="category", category_separator=" > ")


@pytest.fixture(scope="module")
def als(store):
    return etalage.models.ALS(factors=8, iterations=4, seed=1).fit(store.log)


MODELS = {
    "ALS": lambda log: etalage.models.ALS(factors=8, iterations=3).fit(log),
    "BPR": lambda log: etalage.models.BPR(factors=8).fit(log),
    "WARP": lambda log: etalage.models.WARP(factors=8).fit(log),
    "FeatureALS": lambda log: etalage.models.FeatureALS(factors=8).fit(log),
    "Item2Vec": lambda log: etalage.models.Item2Vec(factors=8).fit(log.sequences()),
    "UserKNN": lambda log: etalage.models.UserKNN().fit(log),
    "ItemKNN": lambda log: etalage.models.ItemKNN().fit(log),
    "Popularity": lambda log: etalage.models.Popularity().fit(log),
}


def brute(model, items, k, allowed, combine="max"):
    """Keys by a full sort of model.score(): score descending, index ascending."""
    table = model.score(np.arange(model.num_users), None, items)
    score = table.max(axis=1) if combine == "max" else table.mean(axis=1, dtype=np.float32)
    order = [u for u in np.lexsort((np.arange(len(score)), -score)) if allowed[u]][:k]
    return [model.user_ids[u] for u in order], score[order]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("combine", ["max", "mean"])
def test_equals_a_full_sort_of_the_models_scores(store, name, combine):
    model = MODELS[name](store.log)
    rows = model.user_items.toarray() > 0
    for items in ([5], [3, 40, 77]):
        allowed = ~rows[:, items].any(axis=1)
        for k in (0, 1, 37, 600):
            got = audience(model, item=[model.item_ids[i] for i in items], k=k, combine=combine, why=False)
            keys, scores = brute(model, items, k, allowed, combine)
            assert got.users.tolist() == keys
            np.testing.assert_array_equal(got.scores, scores)
            assert got.excluded == {"bought": int((~allowed).sum())} and got.eligible == allowed.sum()


def test_ties_go_to_the_lower_index():
    assert audience(scores=[1, 2, 2, 0, 2], k=2).users.tolist() == [1, 2]
    u = np.ones((70_000, 3), np.float32)  # more than one block
    got = audience(etalage.models.Vectors(u, np.ones((2, 3), np.float32)), item=1, k=5)
    assert got.users.tolist() == [0, 1, 2, 3, 4]


def test_users_without_factors_get_the_models_cold_start_answer():
    rows = sp.csr_matrix(np.kron(np.eye(2), np.ones((6, 4))).astype(np.float32)[:, :7])
    rows = sp.vstack([rows, sp.csr_matrix((3, 7), dtype=np.float32)]).tocsr()
    model = etalage.models.ALS(factors=4, iterations=5).fit(rows)
    got = audience(model, item=0, k=10, exclude_buyers=False)
    score = model.score(np.arange(15), None, [0])[:, 0]
    np.testing.assert_array_equal(got.users, np.argsort(-score, kind="stable")[:10])


def test_cosine_vectors_are_ranked_by_their_own_scores():
    rng = np.random.default_rng(0)
    model = etalage.models.Vectors(rng.normal(size=(50, 4)), rng.normal(size=(5, 4)), metric="cosine")
    score = model.score(np.arange(50), None, [2])[:, 0]
    np.testing.assert_array_equal(audience(model, item=2, k=9).users, np.argsort(-score, kind="stable")[:9])


def test_category_and_filter_are_their_products(als, catalog, store):
    path = catalog.categories[0][:1]
    mine = [als.item_ids.tolist().index(key) for key, c in zip(catalog.item_ids, catalog.categories)
            if c[:1] == path and key in set(als.item_ids)]
    keys, _ = brute(als, sorted(mine), 20, np.ones(600, bool))
    by_path = audience(als, category=path[0], catalog=catalog, k=20, exclude_buyers=False)
    assert by_path.users.tolist() == keys
    by_filter = audience(als, predicate=Filter.category(path[0]), catalog=catalog, k=20, exclude_buyers=False)
    assert by_filter.users.tolist() == keys


def test_vector_ranks_by_dot_product(als):
    vector = als.item_factors[4] + als.item_factors[9]
    got = audience(als, vector=vector, k=25)
    want = np.argsort(-(als.user_factors.astype(np.float64) @ vector), kind="stable")[:25]
    assert set(got.users) == set(als.user_ids[want])
    np.testing.assert_allclose(got.scores, (als.user_factors @ vector)[want], rtol=1e-5)


def test_share_is_read_as_its_shortest_decimal():
    assert len(audience(scores=np.arange(100.0), share=0.07)) == 7
    assert len(audience(scores=np.arange(1000.0), share=np.float32(0.1))) == 100
    assert len(audience(scores=np.arange(374.0), share=0.1)) == 38  # rounded up
    assert len(audience(scores=np.arange(10.0), share=0)) == 0
    assert len(audience(scores=[1, 2, -np.inf, -np.inf], share=1)) == 2  # of those who can be chosen


def test_users_restrict_and_order_masks(als):
    some = als.user_ids[[30, 4, 200, 77]]
    got = audience(als, item=als.item_ids[3], users=some, predicate=np.array([True, True, False, True]), k=10, exclude_buyers=False)
    score = als.score([30, 4, 77], None, [3])[:, 0]
    assert got.users.tolist() == als.user_ids[np.array([30, 4, 77])[np.argsort(-score)]].tolist()
    assert got.population == 4 and got.excluded == {"predicate": 1}
    assert audience(users=["b", "a", "c"], predicate=lambda keys: keys != "a", k=5).users.tolist() == ["b", "c"]
    assert audience(users=["b", "a"], scores=[1, 2], k=5).users.tolist() == ["a", "b"]


def test_every_exclusion_counts_once_and_no_member_is_excluded():
    keys = [f"u{i}" for i in range(40)]
    first = audience(users=keys, scores=np.arange(40), k=10)  # u39 .. u30
    got = audience(
        users=keys, scores=np.r_[np.arange(39.0), -np.inf], k=100, predicate=np.arange(40) != 0,
        consent={k: k != "u1" for k in keys if k != "u2"},
        contacted={"u3": "2026-01-09", "u4": "2026-01-03", "u1": "2026-01-10", "stranger": "2026-01-10"},
        min_days=7, now="2026-01-10", campaigns=[first, ["u30", "u31", "nobody"], ["u5"]], max_contacts=2, hold_out=0.3, salt="x")
    assert got.excluded == {"predicate": 1, "consent": 2, "contacted": 1, "frequency cap": 2, "no score": 1}
    assert got.eligible + sum(got.excluded.values()) == got.population == 40
    out = {"u0", "u1", "u2", "u3", "u30", "u31", "u39"}
    assert set(got.users) | set(got.held_out) == set(keys) - out
    assert not set(got.users) & set(got.held_out) and len(got.held_out)
    # Exactly min_days ago is long enough.
    assert "u0" in audience(users=["u0"], scores=[1], k=1, contacted={"u0": "2026-01-03"}, min_days=7, now="2026-01-10").users
    # Consent as a set or a mask.
    assert audience(users=keys, scores=np.ones(40), k=9, consent={"u7", "u9"}).users.tolist() == ["u7", "u9"]
    assert audience(users=keys, scores=np.ones(40), k=9, consent=np.arange(40) == 5).users.tolist() == ["u5"]
    assert audience(users=["a", "b"], scores=[1, 2], k=9, consent=[True, False]).users.tolist() == ["a"]


def test_buyers_are_left_out_by_log_event_and_time(store, als):
    log = store.log
    key = als.item_ids[3]
    item = log.item_ids.tolist().index(key)
    bought = (log.events == log.event_names.index("purchase")) & (log.items == item)
    ever = set(log.user_ids[np.unique(log.users[bought])])
    assert ever
    got = audience(als, item=key, k=600, log=log, buy_event="purchase")
    assert set(got.users) == set(als.user_ids) - ever and got.excluded == {"bought": len(ever)}
    since = np.sort(np.asarray(log.times)[bought])[-1]  # the last purchase itself counts
    late = set(log.user_ids[log.users[bought & (np.asarray(log.times) >= since)]])
    got = audience(als, item=key, k=600, log=log, buy_event="purchase", bought_since=since)
    assert set(got.users) == set(als.user_ids) - late
    # Without products: who bought anything.
    lately = set(log.user_ids[log.users[np.asarray(log.times) >= since]])
    got = audience(log=log, scores=np.ones(log.num_users), k=600, bought_since=since)
    assert set(got.users) == set(log.user_ids) - lately
    # Scores of anything, the product's buyers left out by the model's rows.
    assert len(audience(als, item=key, scores=np.ones(600), k=600)) < 600


def test_hold_out_moves_only_by_its_own_size():
    rng = np.random.default_rng(5)
    for trial in range(20):
        scores = rng.normal(size=300)
        k, a, b = int(rng.integers(1, 300)), *rng.random(2)
        salt, other = f"s{trial}", f"o{trial}"
        keys = [f"c{i}" for i in rng.permutation(300)]
        base = audience(users=keys, scores=scores, k=k, hold_out={salt: a, other: b})
        chosen = set(base.users) | set(base.held_out)
        assert set(base.held_out) == {c for c in chosen if slot(c, salt) < a * 10000 or slot(c, other) < b * 10000}
        # Another group's size moves nobody in or out of this one, nor who was chosen.
        moved = audience(users=keys, scores=scores, k=k, hold_out={salt: a, other: rng.random()})
        assert moved.groups[salt].tolist() == base.groups[salt].tolist()
        assert set(moved.users) | set(moved.held_out) == chosen
        # A larger share keeps those already held out; a larger audience too; so does another order of the shoppers.
        more = audience(users=keys, scores=scores, k=k, hold_out={salt: min(1.0, a + 0.1), other: b})
        assert set(base.held_out) <= set(more.held_out)
        wider = audience(users=keys[::-1], scores=scores[::-1], k=300, hold_out={salt: a, other: b})
        assert set(base.held_out) <= set(wider.held_out) and set(base.users) <= set(wider.users)
    assert len(audience(scores=np.ones(9), k=9, hold_out=1.0, salt="s")) == 0
    assert len(audience(scores=np.ones(9), k=9, hold_out=0.0, salt="s").held_out) == 0


def test_lookalikes_by_factors_and_items(als):
    seeds = als.user_ids[[3, 50, 51]]
    unit = als.user_factors / np.maximum(np.linalg.norm(als.user_factors, axis=1, keepdims=True), 1e-30)
    score = (unit @ unit[[3, 50, 51]].T).mean(axis=1)
    score[[3, 50, 51]] = -9
    got = lookalikes(seeds, als, k=15)
    assert got.users.tolist() == als.user_ids[np.argsort(-score, kind="stable")[:15]].tolist()
    assert got.excluded == {"seed": 3} and all(r and r[0][0] in seeds for r in got.reasons)

    # Seeds need not be among those to choose from.
    other = lookalikes(seeds, als, users=als.user_ids[[100, 7, 3]], k=5)
    assert other.excluded == {"seed": 1} and set(other.users) == set(als.user_ids[[100, 7]])

    rows = (als.user_items.toarray() > 0) * 1.0
    rows *= np.log((rows.shape[0] + 1) / (rows.sum(axis=0) + 1))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    score = (rows @ rows[[3, 50, 51]].T).mean(axis=1)
    score[[3, 50, 51]] = -9
    got = lookalikes(seeds, als, by="items", k=15)
    np.testing.assert_allclose(got.scores, np.sort(score)[::-1][:15], rtol=1e-5)
    seen = als.user_items[[3, 50, 51]].indices
    assert all(r and r[0][0] in set(als.item_ids[seen]) for r in got.reasons)


def test_reasons(als, store):
    got = audience(als, item=als.item_ids[3], k=4, hold_out=0.3, salt="r")
    assert len(got.reasons) == len(got.users)
    for key, mine in zip(got.users, got.reasons):
        row = als.user_ids.tolist().index(key)
        _, items, weights = als.explain(row, None, 3, 3)
        assert mine == [(als.item_ids[i], float(w)) for i, w in zip(items, weights) if w > 0] and mine
    got = audience(scores=[3, 1, 2], k=2, contributions={"recency": [2.0, 0, -1], "spend": [1.0, 1, 3]})
    assert got.reasons == [[("recency", 2.0), ("spend", 1.0)], [("spend", 3.0)]]
    assert audience(scores=[1, 2], k=1, why=False).reasons is None
    popular = etalage.models.Popularity().fit(store.log)
    assert len(audience(popular, item=popular.item_ids[0], k=2).reasons) == 2


def test_a_later_fit_leaves_the_reasons_alone(store):
    model = etalage.models.ALS(factors=8, iterations=3).fit(store.log)
    a, b = (audience(model, item=model.item_ids[3], k=4) for _ in range(2))
    want = a.reasons
    model.set_params(factors=2)
    model.fit(store.log)
    assert b.reasons == want
    again = pickle.loads(pickle.dumps(b))
    assert again.reasons == want and again.users.tolist() == a.users.tolist()


def test_overlap_and_frame():
    a, b = audience(scores=[3, 2, 1, 0], k=2), audience(scores=[0, 1, 2, 3], k=3)
    np.testing.assert_array_equal(a.overlap([b, [0, 9]]), [[2, 1, 1], [1, 3, 0], [1, 0, 2]])
    np.testing.assert_array_equal(a.overlap(b), [[2, 1], [1, 3]])
    pytest.importorskip("pandas")
    c = audience(scores=np.arange(50), k=20, hold_out=0.4, salt="f")
    frame = c.to_frame()
    assert frame.user.tolist() == c.users.tolist() + c.held_out.tolist()
    assert frame.held_out.sum() == len(c.held_out) > 0 and isinstance(c, Audience)


@pytest.mark.parametrize("call, message", [
    (lambda m: audience(m, item="x", k=1), "item holds 'x', must be a product of the model"),
    (lambda m: audience(m, item=[], k=1), "item is empty"),
    (lambda m: audience(m, k=1), "must give one of them"),
    (lambda m: audience(m, item="x", vector=[1], k=1), "item and vector are given, must be one of them"),
    (lambda m: audience(m, seeds=["x"], k=1), r"seeds\[0\] is 'x', must be a shopper that the model knows"),
    (lambda m: audience(m, seeds=[], k=1), "seeds is empty"),
    (lambda m: audience(m, vector=[1.0], k=1), r"vector has shape \(1,\), must be \(8,\)"),
    (lambda m: audience(m, vector=[np.nan] * 8, k=1), r"vector\[0\] is nan, must be finite"),
    (lambda m: audience(m, category="A", k=1), "catalog is None"),
    (lambda m: audience(None, item="x", k=1), "model is None"),
    (lambda m: audience("als", item="x", k=1), "model is 'als'"),
    (lambda m: audience(scores=[1.0, np.nan], k=1), r"scores\[1\] is nan"),
    (lambda m: audience(scores=[[1.0]], k=1), r"scores has shape \(1, 1\)"),
    (lambda m: audience(scores=["a"], k=1), "scores has shape"),
    (lambda m: audience(m, scores=[1.0], k=1), "scores has 1 entries, must have one for each of the 600 users"),
    (lambda m: audience(users=["a", "a"], scores=[1, 2], k=1), "users holds 'a' at 0 and at 1"),
    (lambda m: audience(m, item=m.item_ids[0], users=["nobody"], k=1), r"users\[0\] is 'nobody'"),
    (lambda m: audience(scores=[1], k=-1), "k is -1, must be >= 0"),
    (lambda m: audience(scores=[1], k=1.5), "k is 1.5"),
    (lambda m: audience(scores=[1]), "must give one of them"),
    (lambda m: audience(scores=[1], k=1, share=0.5), "must give one of them"),
    (lambda m: audience(scores=[1], share=1.5), r"share is 1.5, must be in \[0, 1\]"),
    (lambda m: audience(scores=[1], share=float("nan")), "share is nan"),
    (lambda m: audience(scores=[1], k=1, hold_out=0.1), "salt is None with hold_out 0.1"),
    (lambda m: audience(scores=[1], k=1, hold_out=-0.1, salt="s"), r"hold_out is -0.1, must be in \[0, 1\]"),
    (lambda m: audience(scores=[1], k=1, hold_out={"a": 2}), r"hold_out\['a'\] is 2"),
    (lambda m: audience(scores=[1], k=1, hold_out=0.1, salt=3), "salt is 3"),
    (lambda m: audience(scores=[1], k=1, contacted={0: "2026-01-01"}), "min_days is None"),
    (lambda m: audience(scores=[1], k=1, contacted={0: "soon"}, min_days=1, now="2026-01-01"), r"contacted\[0\] is 'soon'"),
    (lambda m: audience(scores=[1], k=1, contacted={0: 0}, min_days=-1, now="2026-01-01"), "min_days is -1"),
    (lambda m: audience(scores=[1], k=1, consent={0: "no"}), r"consent\[0\] is 'no'"),
    (lambda m: audience(scores=[1], k=1, consent="all"), "consent is 'all'"),
    (lambda m: audience(scores=[1], k=1, consent=np.array([True, False])), r"must be bool \(1,\)"),
    (lambda m: audience(scores=[1], k=1, campaigns=[[0]]), "max_contacts is None"),
    (lambda m: audience(scores=[1], k=1, campaigns=[[0]], max_contacts=0), "max_contacts is 0"),
    (lambda m: audience(scores=[1], k=1, campaigns=["u1"], max_contacts=1), "campaigns"),
    (lambda m: audience(scores=[1], k=1, predicate=[1]), "predicate has dtype int64"),
    (lambda m: audience(scores=[1], k=1, exclude_buyers=True), "exclude_buyers is True without products"),
    (lambda m: audience(m, item=m.item_ids[0], k=1, bought_since="2026-01-01"), "log is None with bought_since"),
    (lambda m: audience(scores=[1], k=1, contributions={"a": [1, 2]}), r"contributions\['a'\]"),
    (lambda m: audience(m, item=m.item_ids[0], k=1, combine="sum"), "combine is 'sum'"),
    (lambda m: audience(m, vector=["a"] * 8, k=1), "vector has dtype"),
    (lambda m: audience(m, vector=[1e39] * 8, k=1), r"vector\[0\] is inf"),
    (lambda m: audience(m, vector=[3e38] * 8, k=1), "exceed float32"),
    (lambda m: audience(m, category=3, catalog=None, k=1), "category is 3"),
    (lambda m: audience(m, item=m.item_ids[0], k=1, exclude_buyers=1), "exclude_buyers is 1"),
    (lambda m: audience(m, item=m.item_ids[0], k=1, log="x"), "log is 'x'"),
    (lambda m: audience(m, item=m.item_ids[0], k=1, log=etalage.EventLog.from_frame({"user": ["a"], "item": ["b"]}), bought_since=0),
     "log has no times"),
    (lambda m: audience(scores=[1], k=1, now="2026-01-01"), "contacted is None"),
    (lambda m: audience(scores=[1], k=1, campaigns=3, max_contacts=1), "campaigns is 3"),
    (lambda m: audience(scores=[1], k=1, contributions={"a": [np.nan]}), r"contributions\['a'\]\[0\] is nan"),
    (lambda m: audience(etalage.models.Popularity().fit(m.user_items), vector=[1.0], k=1), "Popularity has no user_factors"),
    (lambda m: audience(m, item=m.item_ids[0], by="items", k=1), "by is 'items' without seeds"),
    (lambda m: lookalikes([m.user_ids[0]], m, by="taste", k=1), "by is 'taste'"),
])
def test_bad_input_names_argument_value_and_rule(als, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(als)


def test_no_rows_and_exclude_buyers_asked_for():
    model = etalage.models.ALS(factors=2, iterations=1).fit(sp.csr_matrix(np.eye(4, dtype=np.float32)))
    with pytest.raises(ValueError, match="exclude_buyers is True and the model keeps no rows"):
        audience(model, item=0, k=1, exclude_buyers=True)
    assert len(audience(model, item=0, k=2)) == 2


@pytest.fixture(scope="module")
def journey():
    """(bench/quality/audience.py as a module, its tables)."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    if not (DATA / "complete-journey").exists():
        pytest.skip(f"{DATA / 'complete-journey'} is not there (set ETALAGE_DATA)")
    spec = importlib.util.spec_from_file_location("bench_audience", ROOT / "bench/quality/audience.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, module.load(DATA)


def test_journey_features_use_nothing_from_the_campaigns_start_on(journey):
    bench, (pairs, coupons, redeemed, bought, people) = journey
    for campaign in ("13", "20"):
        start = pairs.start_date[pairs.campaign_id == campaign].iloc[0]
        later = set(pairs.campaign_id[pairs.start_date > start])
        whole = bench.features_of(campaign, pairs, coupons, redeemed, bought, people)
        past = bench.features_of(
            campaign, pairs[~pairs.campaign_id.isin(later)], coupons[~coupons.campaign_id.isin(later)],
            redeemed[redeemed.redemption_date < start], bought[bought.transaction_timestamp < start], people)
        columns = [c for c in whole.columns if c not in bench.KEYS]
        np.testing.assert_array_equal(whole[columns], past[columns])


@pytest.mark.slow
def test_journey_lift_of_the_first_decile(journey):
    pandas = pytest.importorskip("pandas")
    bench, parts = journey
    order = parts[0].sort_values("start_date", kind="stable").campaign_id.unique()
    table = pandas.concat([bench.features_of(c, *parts) for c in order], ignore_index=True)
    test = table[table.start >= bench.FIRST_TEST]
    assert (len(test), test.redeemed.sum()) == (3739, 513)
    assert bench.lift(test.redeemed.to_numpy(), test.redemptions.to_numpy()) == pytest.approx(2.79, abs=0.1)
    assert bench.lift(test.redeemed.to_numpy(), bench.forward(table, bench.logistic)) >= 3.8


def test_shoppers_are_streamed_from_a_mapped_file(tmp_path):
    import tracemalloc

    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((300_000, 32), dtype=np.float32), rng.standard_normal((5, 32), dtype=np.float32)
    model = etalage.models.Vectors(users, items)
    want = audience(model, item=3, k=500)
    model.save(tmp_path / "vectors.etl")
    loaded = etalage.load(tmp_path / "vectors.etl")
    tracemalloc.start()
    try:
        found = audience(loaded, item=3, k=500)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(found.users, want.users) and np.array_equal(found.scores, want.scores)
    assert most < users.nbytes / 4  # a few numbers a shopper, never the factors


def lifetime_case():
    from etalage.marketing import lifetime

    rng = np.random.default_rng(0)
    n = 400
    first = np.datetime64("2024-01-01") + rng.integers(0, 60, n)
    rows = [(i, first[i] + gap) for i in range(n) for gap in np.concatenate([[0], np.cumsum(rng.integers(3, 60, rng.integers(0, 8)))])]
    who, when = [f"c{i}" for i, _ in rows], np.array([day for _, day in rows])
    customers = lifetime.summarize_events(who, when, rng.gamma(5, 4, len(rows)))
    repeat = customers.frequency > 0
    return customers, lifetime.MBGNBD().fit(customers), lifetime.GammaGamma().fit(customers.frequency[repeat], customers.money[repeat])


def test_by_a_lifetime_model():
    from etalage.marketing import lifetime, loyalty

    customers, model, money = lifetime_case()
    alive = model.p_alive(customers)
    expected = model.expected_purchases(26, customers)
    scores = {"value": lifetime.customer_value(model, money, 26, customers), "purchases": expected, "alive": alive,
              "leaving": expected / alive - expected}
    for by, score in scores.items():
        got = audience(model, by=by, customers=customers, t=26, money_model=money, k=20, hold_out=0.2, salt="s")
        order = np.argsort(-score, kind="stable")[:20]
        assert sorted([*got.users, *got.held_out]) == sorted(np.asarray(customers.customer)[order])
        assert sorted([*got.scores, *got.held_out_scores]) == pytest.approx(sorted(score[order]))
    stage = loyalty.lifecycle(model, customers, new=70)
    assert set(stage) == {"new", "active", "at risk", "lapsed"}
    assert (alive[stage == "active"] >= 0.7).all() and (alive[stage == "lapsed"] < 0.3).all() and (customers.frequency[stage == "new"] == 0).all()


@pytest.mark.parametrize("options, error, message", [
    ({"by": "value", "t": 5}, TypeError, "customers is None"),
    ({"by": "value", "customers": 1, "t": 5}, ValueError, "money_model is None|customers is"),
    ({"by": "worth"}, ValueError, "by is 'worth'|are all None"),
])
def test_bad_lifetime_audiences(options, error, message):
    customers, model, _ = lifetime_case()
    if "customers" in options:
        options = options | {"customers": customers}
    with pytest.raises(error, match=message):
        audience(model, k=5, **options)
    with pytest.raises(ValueError, match="t is None"):
        audience(model, by="purchases", customers=customers, k=5)
    with pytest.raises(TypeError, match="model is"):
        audience(None, by="alive", customers=customers, k=5)
    with pytest.raises(ValueError, match="customers, t or money_model are given"):
        audience(None, scores=[1.0], customers=customers, k=1)
