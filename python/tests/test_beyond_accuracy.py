# SPDX-License-Identifier: Apache-2.0
"""Measures beyond accuracy, held to their definitions written out in loops."""
import itertools
import math
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import _core
from etalage.evaluation import _beyond as evaluation_beyond
from etalage.evaluation import compare, evaluate, evaluate_next, evaluate_ranking, split
from etalage.models import EASE, ItemKNN, Popularity
from real_data import rows

EACH = ("novelty", "popularity", "diversity", "serendipity")
ALL = (*EACH, "gini", "popularity_bias")


def matrix(lists, width):
    return rows(*lists, width=width)


@pytest.fixture(scope="module")
def parts():
    store = etalage.datasets.synthetic_store(users=400, items=200, seed=3)
    return split.random_holdout(store.log.interactions(), 0.2, seed=1)


def by_hand(lists, train, test, k, vectors=None, hide_seen=True):
    """Every measure of plain lists {user: items}, by its formula."""
    num_users, num_items = train.shape
    seen = {u: set(train.indices[train.indptr[u] : train.indptr[u + 1]]) for u in range(num_users)}
    count = [sum(i in seen[u] for u in seen) for i in range(num_items)]
    people = sum(bool(s) for s in seen.values())
    ranks = {c: r + 1 for r, c in enumerate(sorted({c for c in count if c}, reverse=True))}
    if vectors is None:
        vectors = train.toarray().T.astype(np.float64)
    out = {m: [] for m in EACH}
    shown, own, listed_popularity = [0] * num_items, [], []

    def cosine(a, b):
        length = math.sqrt(a @ a) * math.sqrt(b @ b)
        return a @ b / length if length else 0.0

    for u in range(num_users):
        relevant = set(test.indices[test.indptr[u] : test.indptr[u + 1]]) - (seen[u] if hide_seen else set())
        if not relevant:
            continue
        items = [int(i) for i in lists[u] if i >= 0][:k]
        for i in items:
            shown[i] += 1
        n = max(len(items), 1)
        out["popularity"].append(sum(count[i] for i in items) / n)
        out["novelty"].append(sum(-math.log2(max(count[i], 1) / people) for i in items) / n)
        pairs = list(itertools.combinations(items, 2))
        out["diversity"].append(sum(1 - cosine(vectors[a], vectors[b]) for a, b in pairs) / len(pairs) if pairs else 0.0)
        unexpected = 0.0
        for r, i in enumerate(items, 1):
            for_user = (num_items + 1 - r) / num_items
            for_any = (num_items + 1 - ranks[count[i]]) / num_items if count[i] else 0.0
            unexpected += max(for_user - for_any, 0) * (i in relevant)
        out["serendipity"].append(unexpected / k)
        if seen[u]:
            own.append(sum(count[i] for i in seen[u]) / len(seen[u]))
            listed_popularity.append(out["popularity"][-1])
    total = sum(shown)
    out["gini"] = sum(abs(a - b) for a in shown for b in shown) / (2 * num_items * total) if total else math.nan
    out["popularity_bias"] = np.mean(listed_popularity) / np.mean(own) - 1 if own else math.nan
    return out


def random_case(seed, users=12, items=9):
    rng = np.random.default_rng(seed)
    train = matrix([rng.choice(items, rng.integers(0, 4), replace=False) for _ in range(users)], items)
    test = matrix([rng.choice(items, rng.integers(0, 4), replace=False) for _ in range(users)], items)
    return rng, train, test


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hide_seen", [True, False])
def test_lists_without_ties_agree_with_the_definitions(seed, hide_seen):
    rng, train, test = random_case(seed)
    lists = np.array([rng.permutation(9) for _ in range(12)], np.int32)
    lists[:, 6:] = -1
    lists[3, 2:] = -1
    lists[5, 0] = -1  # an empty list
    lists[5, 1:] = 7
    plain = [row if 5 != u else [] for u, row in enumerate(lists)]
    r = evaluate(lists, train, test, k=(1, 3, 20), metrics=(*ALL, "recall"), filter_already_liked_items=hide_seen)
    for k in (1, 3, 20):
        expected = by_hand(plain, train, test, k, hide_seen=hide_seen)
        for name in EACH:
            np.testing.assert_allclose(r.per_user[f"{name}@{k}"], expected[name], atol=1e-12, err_msg=name)
            assert r[f"{name}@{k}"] == pytest.approx(np.mean(expected[name]))
        for name in ("gini", "popularity_bias"):
            assert r[f"{name}@{k}"] == pytest.approx(expected[name], abs=1e-12)
            assert f"{name}@{k}" not in r.per_user
    alone = evaluate(lists, train, test, k=(1, 3, 20), metrics="recall", filter_already_liked_items=hide_seen)
    assert all(r[f"recall@{k}"] == alone[f"recall@{k}"] for k in (1, 3, 20))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("users", [5, 60])  # items with short vectors, and few items with long ones
def test_tied_items_count_by_the_mean_over_all_their_orders(seed, users):
    rng, train, test = random_case(seed, users=users, items=5)
    test = sp.vstack([test[:5], sp.csr_matrix((users - 5, 5), dtype=np.float32)]).tocsr()
    levels = np.sort(rng.integers(0, 2, (5, 5)))[:, ::-1].astype(np.float32)
    lists = np.array([rng.permutation(5) for _ in range(5)], np.int32)
    r = evaluate_ranking(lists, test, train=train, users=np.arange(5), k=(1, 2, 3), metrics=(*EACH, "gini"), scores=levels)
    assert r["users"] >= 2
    for k in (1, 2, 3):
        chance = np.zeros((5, 5))
        orders = [p for p in itertools.permutations(range(5))]
        for u in range(5):
            allowed = [p for p in orders if list(levels[u][list(p)]) == list(levels[u])]
            for p in allowed:
                chance[u, lists[u][list(p)][:k]] += 1 / len(allowed)
            if u not in r.user_index:
                chance[u] = 0
                continue
            at = list(r.user_index).index(u)
            each = [by_hand([lists[u][list(p)] if v == u else [] for v in range(users)], train, test, k) for p in allowed]
            for m in EACH:
                assert r.per_user[f"{m}@{k}"][at] == pytest.approx(np.mean([e[m][at] for e in each]), abs=1e-12), (m, u, k)
        shown = chance.sum(axis=0)
        assert r[f"gini@{k}"] == pytest.approx(np.abs(shown[:, None] - shown).sum() / (10 * shown.sum()), abs=1e-12)


def test_example_of_serendipity_published_with_rectools():
    train = matrix([[0, 1], [0, 1], [0], []], 4)
    test = matrix([[0, 1], [1, 2], [1], [1]], 4)
    lists = np.array([[0, 1], [1, 2], [2, -1], [1, 2]], np.int32)
    r = evaluate(lists, train, test, k=(1, 2), metrics="serendipity", filter_already_liked_items=False)
    np.testing.assert_allclose(r.per_user["serendipity@1"], [0, 0.25, 0, 0.25])
    np.testing.assert_allclose(r.per_user["serendipity@2"], [0, 0.5, 0, 0.125])


def test_gini_from_equal_shares_to_one_item_for_everybody():
    n = 6
    train, test = sp.csr_matrix((n, n), dtype=np.float32), sp.csr_matrix(np.ones((n, n), np.float32))
    even = np.array([[(u + j) % n for j in range(3)] for u in range(n)], np.int32)
    assert evaluate(even, train, test, k=3, metrics="gini")["gini@3"] == pytest.approx(0, abs=1e-12)
    one = np.full((n, 1), 4, np.int32)
    r = evaluate(one, train, test, k=1, metrics=("gini", "popularity", "popularity_bias"))
    assert r["gini@1"] == pytest.approx((n - 1) / n)
    assert r["popularity@1"] == 0 and math.isnan(r["popularity_bias@1"])
    assert math.isnan(evaluate(np.full((n, 1), -1, np.int32), train, test, k=1, metrics="gini")["gini@1"])


def test_a_random_ranker_is_more_diverse_and_newer_than_popularity(parts):
    popular = evaluate(Popularity().fit(parts.train), parts.train, parts.test, k=10, metrics=ALL)
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(parts.train.num_items)[:10] for _ in range(parts.train.num_users)], np.int32)
    chance = evaluate(lists, parts.train, parts.test, k=10, metrics=ALL)
    for name in ("diversity", "novelty"):
        assert chance[f"{name}@10"] > popular[f"{name}@10"]
        assert chance.compare(popular, f"{name}@10")["p_value"] < 0.01
    assert chance["gini@10"] < popular["gini@10"] and chance["popularity@10"] < popular["popularity@10"]
    assert popular["popularity_bias@10"] > 0 > chance["popularity_bias@10"]


def test_nothing_depends_on_how_items_are_numbered(parts):
    rng = np.random.default_rng(1)
    order = rng.permutation(parts.train.num_items)
    train, test = (sp.csr_matrix(p.user_items_view) for p in (parts.train, parts.test))
    a = evaluate(Popularity().fit(train), train, test, k=(5, 10, 40, 80), metrics=ALL)
    shuffled = train[:, order], test[:, order]
    b = evaluate(Popularity().fit(shuffled[0]), *shuffled, k=(5, 10, 40, 80), metrics=ALL)
    assert max(a[f"tied@{k}"] for k in (5, 10, 40, 80)) > 0
    for name in a.metrics:
        assert a[name] == pytest.approx(b[name], rel=1e-9), name
    # A model that gives all items one score shows each of them alike.
    flat = np.tile(np.arange(len(order), dtype=np.int32), (train.shape[0], 1))
    r = evaluate((flat, np.zeros(flat.shape)), train, test, k=10, metrics=ALL, filter_already_liked_items=False)
    assert r["gini@10"] == pytest.approx(0, abs=1e-9)
    assert r["popularity@10"] == pytest.approx(train.getnnz(axis=0).mean())


def test_blocks_do_not_matter(parts, monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(parts.train.num_items, 40))
    model = Popularity().fit(parts.train)
    asked = {"k": (10, 40), "metrics": ALL}
    whole = [evaluate(model, parts.train, parts.test, **asked, item_features=f) for f in (None, vectors)]
    for setting, value in (("_PLACES", 7), ("_ENTRIES", 100), ("_GRAM", 0)):
        monkeypatch.setattr(f"etalage.evaluation._beyond.{setting}", value)
        for before, features in zip(whole, (None, vectors)):
            r = evaluate(model, parts.train, parts.test, **asked, item_features=features)
            for name in r.metrics:
                assert r[name] == pytest.approx(before[name], rel=1e-9), (name, setting)


@pytest.mark.parametrize("model", [Popularity(), EASE(), ItemKNN()], ids=lambda m: type(m).__name__)
def test_own_foreign_and_given_lists_agree(parts, model):
    model.fit(parts.train)

    class Foreign:
        asked = 0

        def recommend(self, userid, user_items, N=10, filter_already_liked_items=True):
            Foreign.asked += len(userid)
            return model.recommend(userid, user_items, k=N, filter_already_liked_items=filter_already_liked_items)

    own = evaluate(model, parts.train, parts.test, metrics=("recall", *ALL, "coverage"))
    assert own.metrics == [f"{m}@{k}" for m in ("recall", *ALL, "coverage") for k in (10, 20)]
    users = np.arange(parts.train.num_users)
    lists = model.recommend(users, parts.train.user_items_view, k=parts.train.num_items)
    for other in (Foreign(), lists):
        r = evaluate(other, parts.train, parts.test, metrics=("recall", *ALL, "coverage"))
        for name in own.metrics:
            assert r[name] == pytest.approx(own[name], rel=1e-9, abs=1e-12), name
    if not isinstance(model, Popularity):  # of which lists are asked for again where they end in a tie
        assert Foreign.asked < 1.5 * len(users)
    plain = evaluate(model, parts.train, parts.test, metrics=("recall", "coverage"))
    assert all(own[n] == plain[n] for n in plain.metrics) and own["hidden"] == plain["hidden"]


@pytest.mark.parametrize("model", [etalage.models.SessionKNN, etalage.models.SequentialRules, ItemKNN, etalage.models.ALS,
                                   etalage.models.RepeatPurchase], ids=lambda m: m.__name__)
def test_lists_are_those_that_accuracy_is_measured_on(model, monkeypatch):
    parts = split.leave_last_out(etalage.datasets.synthetic_store(users=150, items=60, seed=4).log)
    model, test = model().fit(parts.train), parts.test.interactions()
    add, asked = evaluation_beyond.BeyondAccuracy.add, {}

    def watched(self, rows, items, scores=None):
        asked["measure"].add(rows, items, scores)
        add(self, rows, items, scores)

    monkeypatch.setattr(evaluation_beyond.BeyondAccuracy, "add", watched)
    for train in (parts.train, parts.train.sequences(), parts.train.interactions()):
        for hide in (True, False):
            for again in (True, False):
                seen = parts.train.interactions() if hide else None
                asked["measure"] = _core.RankingEvaluator(test, None, seen, [5, 10], ["ndcg", "recall", "coverage"], 0)
                r = evaluate(model, train, test, k=(5, 10), metrics=("ndcg", "recall", "coverage", "novelty"),
                             filter_already_liked_items=hide, recalculate_user=again)
                lists = asked["measure"].finish()
                for name in lists.names:
                    assert r[name] == lists.value(name), (name, type(train), hide, again)


def test_logs_in_order():
    log = etalage.datasets.synthetic_store(users=200, items=80, seed=4).log
    parts = split.leave_last_out(log)
    for model in (etalage.models.Transitions(), Popularity()):
        model.fit(parts.train)
        r = evaluate(model, parts.train, parts.test.interactions(), k=10, metrics=("ndcg", *ALL))
        rows = parts.train.sequences() if isinstance(model, etalage.models.Transitions) else parts.train.interactions().user_items_view
        lists = model.recommend(np.arange(rows.num_users if hasattr(rows, "num_users") else len(log.user_ids)), rows, k=80)
        given = evaluate(lists, parts.train, parts.test, k=10, metrics=("ndcg", *ALL))
        for name in r.metrics:
            assert r[name] == pytest.approx(given[name], rel=1e-9), name


def test_diversity_by_vectors_and_by_catalogue():
    rng, train, test = random_case(7)
    lists = np.array([rng.permutation(9)[:5] for _ in range(12)], np.int32)
    vectors = rng.normal(size=(9, 3))
    vectors[4] = 0
    expected = by_hand(lists, train, test, 5, vectors)["diversity"]
    catalog = etalage.Catalog(list("abcdefghi"), vectors=vectors.astype(np.float32))
    for given in (vectors, vectors * 1e200, vectors * 1e-200, sp.coo_matrix(vectors), catalog):
        r = evaluate(lists, train, test, k=5, metrics="diversity", item_features=given)
        np.testing.assert_allclose(r.per_user["diversity@5"], expected, atol=1e-6 if given is catalog else 1e-12)
    # Two items of one category are alike, those that share the one above it by half, others not at all.
    catalog = etalage.Catalog(list("abcd"), categories=[("x", "y"), ("x", "y"), ("x", "z"), "w"])
    train, test = sp.csr_matrix((3, 4), dtype=np.float32), sp.csr_matrix(np.ones((3, 4), np.float32))
    r = evaluate(np.array([[0, 1], [0, 2], [0, 3]]), train, test, k=2, metrics="diversity", item_features=catalog)
    np.testing.assert_allclose(r.per_user["diversity@2"], [0, 0.5, 1], atol=1e-12)


def test_a_catalogue_is_read_by_the_keys_of_train():
    frame = {"user": ["u", "u", "v", "v"], "item": ["b", "a", "b", "c"]}
    data = etalage.Interactions.from_frame(frame, user="user", item="item")
    catalog = etalage.Catalog(["a", "b", "c", "d"], categories=["x", "x", "y", "y"])
    a, b, c = data.item_index(["a", "b", "c"])
    lists = np.array([[a, b], [b, c]], np.int32)
    r = evaluate(lists, data, data, k=2, metrics="diversity", item_features=catalog, filter_already_liked_items=False)
    np.testing.assert_allclose(r.per_user["diversity@2"], [0, 1], atol=1e-12)


def test_rows_for_some_users():
    rng, train, test = random_case(2)
    users = np.array([7, 2, 9, 0], np.int32)
    lists = np.array([rng.permutation(9)[:4] for _ in range(12)], np.int32)
    whole = evaluate_ranking(lists, test, train=train, k=4, metrics=EACH)
    some = evaluate_ranking(lists[users], test, train=train, users=users, k=4, metrics=EACH)
    where = [list(whole.user_index).index(u) for u in some.user_index]
    assert len(where)
    for name in some.metrics:
        np.testing.assert_array_equal(some.per_user[name], whole.per_user[name][where])


def test_intervals_pairs_pickles_and_groups(parts):
    a = evaluate(EASE().fit(parts.train), parts.train, parts.test, k=10, metrics=("novelty", "gini"))
    b = evaluate(Popularity().fit(parts.train), parts.train, parts.test, k=10, metrics=("novelty", "gini"))
    low, high = a.interval("novelty@10")
    assert low < a["novelty@10"] < high
    assert a.compare(b, "novelty@10")["difference"] == pytest.approx(a["novelty@10"] - b["novelty@10"])
    assert set(a.by_history["with history"]) == {"users", "novelty@10"}
    again = pickle.loads(pickle.dumps(a))
    assert {n: again[n] for n in again} == {n: a[n] for n in a}
    with pytest.raises(KeyError, match="gini@10.*each user has"):
        a.per_user["gini@10"]


def test_comparison_with_best_and_table(parts):
    table = compare({"<b>popular": Popularity(), "ease": EASE}, parts.train, parts.test, k=10, metrics=("recall", "novelty", "gini"))
    assert table.best == table.rows[0]["model"] == "ease"
    assert table.rows[0]["novelty@10"] == table.evaluations["ease"]["novelty@10"]
    page = table._repr_html_()
    assert "&lt;b&gt;popular" in page and "<b>" not in page and page.count("<tr>") == 3
    page = table.evaluations["ease"]._repr_html_()
    assert f"<td>{table.rows[0]['gini@10']:.4f}</td>" in page


def test_long_frame(parts):
    r = evaluate(EASE().fit(parts.train), parts.train, parts.test, metrics=("recall", "novelty", "gini"))
    columns = {c: np.asarray(v) for c, v in dict(r.to_frame()).items()}
    assert list(columns) == ["user", "metric", "k", "value", "with_history"] and len(columns["user"]) == 4 * r["users"]
    mine = (columns["metric"] == "novelty") & (columns["k"] == 20)
    np.testing.assert_array_equal(columns["user"][mine], r.user_index)
    np.testing.assert_array_equal(columns["value"][mine], r.per_user["novelty@20"])
    keys = dict(r.to_frame(parts.train.user_ids))["user"]
    assert list(keys[: r["users"]]) == list(np.asarray(parts.train.user_ids)[r.user_index])
    with pytest.raises(ValueError, match="user_ids"):
        r.to_frame([1, 2])


def test_picture(parts, tmp_path):
    pytest.importorskip("matplotlib")
    r = evaluate(EASE().fit(parts.train), parts.train, parts.test, k=10, metrics=("recall", "novelty", "gini"))
    ax = r.plot(path=tmp_path / "a.png")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["recall@10"] and (tmp_path / "a.png").stat().st_size > 1000
    assert [t.get_text() for t in r.plot("novelty@10", path=tmp_path / "b.png").get_yticklabels()] == ["novelty@10"]
    with pytest.raises(KeyError, match="gini@10"):
        r.plot(["gini@10"])
    with pytest.raises(ValueError, match="names"):
        r.plot([])


def test_bad_input_is_named(parts):
    _, train, test = random_case(0)
    lists = np.zeros((12, 1), np.int32)
    for call in (lambda: evaluate(lists, train, test, metrics="noveltyy"), lambda: evaluate(EASE(), train, test, metrics=("recall", "noveltyy")),
                 lambda: compare({"a": EASE()}, train, test, metrics=("recall", "noveltyy"))):
        with pytest.raises(ValueError, match="'noveltyy', must be one of .*recall.*coverage, novelty.*serendipity"):
            call()
    with pytest.raises(TypeError, match="metrics holds 3, must be names"):
        evaluate(lists, train, test, metrics=["recall", 3])
    with pytest.raises(ValueError, match="'gini'.*each user has"):
        compare({"a": EASE()}, train, test, metrics=("gini", "recall"))
    with pytest.raises(ValueError, match="'novelty'.*train is None"):
        evaluate_ranking(lists, test, metrics="novelty")
    with pytest.raises(ValueError, match="'novelty'.*next items"):
        evaluate_next(EASE().fit(train), etalage.datasets.synthetic_store(users=20, items=9, seed=1).log, metrics="novelty")
    with pytest.raises(ValueError, match="item_features is given"):
        evaluate(lists, train, test, metrics="novelty", item_features=np.ones((9, 2)))
    for bad, text in ((np.ones((8, 2)), "8 rows"), (np.full((9, 2), np.nan), "finite"), (np.ones(9), "dimensions"),
                      (sp.csr_matrix((8, 2)), "8 rows"), (etalage.Catalog(list("abcdefghi")), "vectors and categories"),
                      (etalage.Catalog(list("abcdefghij"), vectors=np.ones((10, 2))), "10 products")):
        with pytest.raises((ValueError, TypeError), match="item_features.*" + text):
            evaluate(lists, train, test, metrics="diversity", item_features=bad)
