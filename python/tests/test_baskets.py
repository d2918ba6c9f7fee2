# SPDX-License-Identifier: Apache-2.0
import itertools
import lzma
import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.marketing import baskets

pytest.importorskip("pandas")
DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[2] / "../shared/data"))


@pytest.fixture(scope="module")
def groceries():
    path = DATA / "groceries" / "groceries_baskets.csv.xz"
    if not path.exists():
        pytest.skip(f"{path} is not there (set ETALAGE_DATA)")
    # Two labels end in a space, so lines are not stripped.
    return [line.split(",") for line in lzma.open(path, "rt").read().split("\n") if line]


@pytest.fixture(scope="module")
def deep(groceries):
    return baskets.frequent_sets(groceries, 0.001)


def brute(lists, min_count, max_length=None):
    rows = [frozenset(b) for b in lists]
    items = sorted({i for r in rows for i in r})
    out = {}
    for size in range(1, (max_length or len(items)) + 1):
        found = {c: sum(r.issuperset(c) for r in rows) for c in itertools.combinations(items, size)}
        found = {c: n for c, n in found.items() if n >= min_count}
        if not found:
            break
        out.update(found)
    return out


def as_dict(sets):
    return {tuple(sorted(s)): c for s, c in zip(sets["items"], sets["count"])}


def test_counts_of_groceries(groceries, deep):
    assert len(baskets.frequent_sets(groceries, 0.01)) == 333
    assert len(baskets.frequent_sets(groceries, 0.006)) == 747
    assert len(deep) == 13492
    assert deep["length"].value_counts().sort_index().tolist() == [157, 2981, 6831, 3137, 376, 10]
    assert deep["count"].dtype == np.int64 and deep.attrs["baskets"] == 9835
    assert deep["count"].min() == 10  # .001 of 9,835 baskets is 9.835


def test_rules_of_groceries(groceries, deep):
    assert len(baskets.rules(baskets.frequent_sets(groceries, 0.006), 0.25)) == 463
    r = baskets.rules(deep, 0.8)
    assert len(r) == 410
    top = r.iloc[0]
    assert set(top["antecedent"]) == {"liquor", "red/blush wine"} and top["consequent"] == ("bottled beer",)
    assert top["count"] == 19 and top["support"] == pytest.approx(0.001932, abs=5e-7)
    assert top["confidence"] == pytest.approx(0.904762, abs=5e-7)
    assert top["lift"] == pytest.approx(11.235269, abs=5e-7)
    assert top["conviction"] == pytest.approx(9.654448, abs=5e-7) and top["zhang"] == pytest.approx(0.912944, abs=5e-7)
    assert sum(5 * c == 4 * a for c, a in zip(r["count"], r["antecedent_count"])) == 39
    assert len(baskets.rules(deep, np.float32(0.8))) == 410


@pytest.mark.parametrize("seed", range(6))
def test_every_set_of_small_cases_is_counted(seed):
    rng = np.random.default_rng(seed)
    lists = [[f"i{j}" for j in rng.integers(0, 9, rng.integers(0, 8))] for _ in range(40)]  # empty ones and repeats too
    for min_count in (1, 2, 5):
        for length in (None, 1, 2, 3):
            sets = baskets.frequent_sets(lists, min_count, max_length=length, num_threads=1 + seed % 3)
            assert as_dict(sets) == brute(lists, min_count, length)
    sets = baskets.frequent_sets(lists, 0.05)
    assert as_dict(sets) == brute(lists, 2)
    columns = {f"i{j}": j for j in range(9)}
    matrix = sp.lil_matrix((40, 9))
    for row, items in enumerate(lists):
        for i in items:
            matrix[row, columns[i]] = 1
    of_csr = baskets.frequent_sets(matrix.tocsr(), 0.05)
    assert {tuple(f"i{i}" for i in s): c for s, c in as_dict(of_csr).items()} == as_dict(sets)


@pytest.mark.parametrize("confidence", [0.0, 0.3, 0.5, 0.6, 1.0])
def test_every_rule_of_a_small_case_is_there(confidence):
    rng = np.random.default_rng(1)
    lists = [list(rng.choice(6, rng.integers(1, 5), replace=False)) for _ in range(50)]
    sets = baskets.frequent_sets(lists, 2)
    count = {frozenset(s): c for s, c in zip(sets["items"], sets["count"])}
    for most in (1, 2):
        want = {}
        for s, c in count.items():
            for size in range(1, min(most, len(s) - 1) + 1):
                for right in itertools.combinations(s, size):
                    left = s - set(right)
                    if Fraction(int(c), int(count[left])) >= Fraction(str(confidence)):
                        want[left, frozenset(right)] = (c, count[left], count[frozenset(right)])
        r = baskets.rules(sets, confidence, max_consequent=most)
        got = {(frozenset(a), frozenset(b)): counts for a, b, *counts in zip(r["antecedent"], r["consequent"], r["count"], r["antecedent_count"], r["consequent_count"])}
        assert {k: tuple(v) for k, v in got.items()} == want and len(r) == len(want)
        assert (np.diff(r["lift"]) <= 0).all()


def test_significance_is_scipys(deep):
    stats = pytest.importorskip("scipy.stats")
    r = baskets.rules(deep, 0.0)
    n = 9835
    rows = r.sample(60, random_state=0)
    want = [stats.hypergeom.sf(x - 1, n, a, b) for x, a, b in zip(rows["count"], rows["antecedent_count"], rows["consequent_count"])]
    assert rows["p_value"].to_numpy() == pytest.approx(want, rel=1e-7)
    assert r["q_value"].to_numpy() == pytest.approx(stats.false_discovery_control(r["p_value"]), rel=1e-12)
    assert r.attrs["tested"] == len(r)
    ratios = etalage._core.pair_tests(rows["count"], rows["antecedent_count"], rows["consequent_count"], n)[2]
    assert np.array_equal(rows["log_likelihood_ratio"], ratios)
    strict = baskets.rules(deep, 0.8)
    assert strict.attrs["tested"] == len(r)  # corrected for what was looked at, not for what was kept
    more, fewer, ratio = etalage._core.pair_tests([3, 0, 10, 5], [10, 10, 10, 10], [20, 20, 10, 50], 100)
    tables = [[[x, a - x], [b - x, 100 - a - b + x]] for x, a, b in ((3, 10, 20), (0, 10, 20), (10, 10, 10), (5, 10, 50))]
    assert more == pytest.approx([stats.fisher_exact(t, "greater")[1] for t in tables], rel=1e-9)
    assert fewer == pytest.approx([stats.fisher_exact(t, "less")[1] for t in tables], rel=1e-9)
    g = [stats.chi2_contingency(t, correction=False, lambda_="log-likelihood")[0] for t in tables]
    assert np.abs(ratio) == pytest.approx(g, abs=1e-9) and ratio[1] < 0 < ratio[2]


def test_nothing_is_significant_in_noise():
    rng = np.random.default_rng(3)
    lists = [np.flatnonzero(rng.random(30) < 0.1).tolist() for _ in range(3000)]
    r = baskets.rules(baskets.frequent_sets(lists, 10), 0.0)
    assert len(r) > 500 and (r["p_value"] < 0.05).sum() > 5 and (r["q_value"] < 0.05).mean() < 0.01


def test_thresholds_are_decimals():
    lists = [["a", "b"]] * 3 + [["a"]] * 7
    assert len(baskets.frequent_sets(lists, 0.3)) == 3  # 3 of 10; .3 as a double is below three tenths
    assert len(baskets.frequent_sets(lists, 0.30000001)) == 1
    sets = baskets.frequent_sets(lists * 7, 1)
    assert len(baskets.rules(sets, 0.3)) == 2 and len(baskets.rules(sets, 0.31)) == 1
    for tenth in range(1, 11):
        lists = [["a", "b"]] * tenth + [["a"]] * (10 - tenth)
        assert len(baskets.frequent_sets(lists, tenth / 10)) == 3, tenth


def test_edges():
    assert len(baskets.frequent_sets([], 0.5)) == 0 and len(baskets.frequent_sets([[], []], 0.5)) == 0
    one = baskets.frequent_sets([["a"], ["a"], ["b"], []], 0.5)  # an empty basket is a basket
    assert as_dict(one) == {("a",): 2} and one["support"].tolist() == [0.5]
    assert len(baskets.rules(one, 0.5)) == 0
    single = baskets.frequent_sets([["a"], ["b"], ["a"]], 1)  # baskets of one item hold no pair
    assert as_dict(single) == {("a",): 2, ("b",): 1} and len(baskets.rules(single, 0.0)) == 0
    assert len(baskets.bundles(single, {"a": 2, "b": 2}, {"a": 1, "b": 1})) == 0
    same = baskets.frequent_sets([["a", "a", "b"]], 1)
    assert as_dict(same) == {("a",): 1, ("b",): 1, ("a", "b"): 1}
    r = baskets.rules(same, 1)
    assert np.isinf(r["conviction"]).all() and (r["p_value"] == 1).all()
    explicit = sp.csr_matrix((np.array([1, 0, 2]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 2))
    assert as_dict(baskets.frequent_sets(explicit, 1)) == {(0,): 1, (1,): 1}
    data = etalage.Interactions.from_frame({"user": ["o1", "o1", "o2"], "item": ["x", "y", "x"]})
    assert as_dict(baskets.frequent_sets(data, 1)) == {("x",): 2, ("y",): 1, ("x", "y"): 1}


def test_labels_are_pythons_whatever_holds_them():
    pa, pl, pd = pytest.importorskip("pyarrow"), pytest.importorskip("polars"), pytest.importorskip("pandas")
    lists = [["a", "b"], ["a"], ["b", "a", "a"], []]
    want = {("a",): 3, ("b",): 2, ("a", "b"): 2}
    for given in (pa.array(lists), pa.chunked_array([lists[:2], lists[2:]]), pl.Series(lists), pd.Series(lists), [np.array(b, dtype=str) for b in lists]):
        found = baskets.frequent_sets(given, 2)
        assert dict(zip(found["items"], found["count"])) == want
        assert all(type(label) is str for items in found["items"] for label in items)
    whole = baskets.frequent_sets([np.array([1, 2]), np.array([2], np.int32)], 1)
    assert all(type(label) is int for items in whole["items"] for label in items)
    assert len(baskets.frequent_sets(pa.array([["a"], None]), 1)) == 1  # a missing list is an empty basket


def test_bad_input_is_named():
    ok = [["a", "b"], ["a"]]
    for support, text in ((0.0, "min_support is 0"), (-0.1, "min_support is -0.1"), (1.5, "min_support is 1.5"), (math.nan, "min_support is nan"), (0, "min_support is 0")):
        with pytest.raises(ValueError, match=text):
            baskets.frequent_sets(ok, support)
    for support in ("0.1", True, None):
        with pytest.raises(TypeError, match="min_support"):
            baskets.frequent_sets(ok, support)
    with pytest.raises(TypeError, match=r"baskets\[1\] is 'abc'"):
        baskets.frequent_sets([["a"], "abc"], 1)
    with pytest.raises(TypeError, match=r"baskets\[0\] holds a label"):
        baskets.frequent_sets([[["a"]]], 1)
    for missing in (None, math.nan):
        with pytest.raises(ValueError, match="missing label"):
            baskets.frequent_sets([["a", missing]], 1)
    with pytest.raises(TypeError, match="baskets is a ndarray"):
        baskets.frequent_sets(np.eye(2), 1)
    with pytest.raises(TypeError, match="baskets is a str"):
        baskets.frequent_sets("abc", 1)
    with pytest.raises(ValueError, match="max_length is 0"):
        baskets.frequent_sets(ok, 1, max_length=0)
    with pytest.raises(ValueError, match="min_count is 1, must be larger: there are more than max_sets = 100 sets"):
        baskets.frequent_sets([list(range(40))], 1, max_sets=100)
    sets = baskets.frequent_sets(ok, 1)
    with pytest.raises(ValueError, match="min_confidence is 1.1"):
        baskets.rules(sets, 1.1)
    with pytest.raises(ValueError, match="sets lack {'a'}"):
        baskets.rules(sets[sets["items"] != ("a",)], 0.1)
    with pytest.raises(ValueError, match="baskets is None"):
        bare = sets.copy()
        bare.attrs = {}
        baskets.rules(bare, 0.1)
    assert len(baskets.rules(bare, 0.1, baskets=2)) == 2
    with pytest.raises(ValueError, match=r"count holds 2, must be in \[1, 1\]"):
        baskets.rules(bare, 0.1, baskets=1)


@pytest.fixture(scope="module")
def mixed_log():
    """Shoppers look at two printers and buy one; ink comes with either, and later; books are apart."""
    rng = np.random.default_rng(8)
    rows = []
    for user in range(600):
        t = int(rng.integers(0, 10**6))
        if user % 2:
            bought = ["printer A", "printer B"][user // 2 % 2]
            rows += [(user, "printer A", "view", t), (user, "printer B", "view", t + 1), (user, bought, "purchase", t + 2)]
            if rng.random() < 0.6:
                rows.append((user, "ink", "purchase", t + 3))
        else:
            rows += [(user, "book", "view", t), (user, "book", "purchase", t + 1)]
            if rng.random() < 0.02:
                rows.append((user, "ink", "purchase", t + 2))
    u, i, e, t = zip(*rows)
    return etalage.EventLog.from_frame({"user": u, "item": i, "event": e, "time": np.array(t) * 10**3}, event="event", time="time", time_unit="ms")


def test_complements_and_substitutes_come_from_one_log(mixed_log):
    r = baskets.relations(mixed_log)
    got = {(frozenset((a, b)), kind) for a, b, kind in zip(r["a"], r["b"], r["relation"])}
    assert got == {(frozenset(("printer A", "printer B")), "substitute"), (frozenset(("printer A", "ink")), "complement"), (frozenset(("printer B", "ink")), "complement")}
    ink = r[r["relation"] == "complement"].iloc[0]
    assert ink["a"].startswith("printer") and ink["b"] == "ink" and ink["b_then_a"] == 0 and ink["direction_p"] < 1e-6
    printers = r[r["relation"] == "substitute"].iloc[0]
    assert printers["bought_together"] == 0 and printers["viewed_lift"] > 1.5
    assert len(baskets.relations(mixed_log, min_views=10**6, min_purchases=10**6)) == 0
    with pytest.raises(ValueError, match="view is 'look'"):
        baskets.relations(mixed_log, view="look")
    with pytest.raises(ValueError, match="max_q is 0"):
        baskets.relations(mixed_log, max_q=0)


def test_bundles_keep_every_limit():
    lists = [["a", "b"]] * 30 + [["c", "d", "e"]] * 20 + [["a", "c"]] * 5 + [["f"]] * 45
    sets = baskets.frequent_sets(lists, 3)
    price = {"a": 10, "b": 5, "c": 20, "d": 20, "e": 5, "f": 1}
    cost = {"a": 4, "b": 2, "c": 15, "d": 15, "e": 1, "f": 0}
    stock = {"a": 9, "b": 9, "c": 9, "d": 0, "e": 9, "f": 9}
    b = baskets.bundles(sets, price, cost)
    assert set(b["items"].iloc[0]) == {"a", "b"} or set(b["items"].iloc[0]) == {"c", "d", "e"}
    flat = [i for items in b["items"] for i in items]
    assert len(flat) == len(set(flat))
    first = b.iloc[0]
    lift = first["count"] / 100 / math.prod(sum(i in x for x in lists) / 100 for i in first["items"])
    assert first["lift"] == pytest.approx(lift)
    assert first["margin"] == pytest.approx(sum(price[i] - cost[i] for i in first["items"]))
    assert first["value"] == pytest.approx(first["count"] * (1 - 1 / lift) * first["margin"])
    assert not any("d" in items for items in baskets.bundles(sets, price, cost, stock, repeat_items=True)["items"])
    assert (baskets.bundles(sets, price, cost, max_price=30, repeat_items=True)["price"] <= 30).all()
    assert all(len(i) == 2 for i in baskets.bundles(sets, price, cost, max_size=2, repeat_items=True)["items"])
    cheap = baskets.bundles(sets, price, cost, discount=0.5, repeat_items=True)
    assert (cheap["margin"] >= 0).all() and len(cheap) < len(baskets.bundles(sets, price, cost, repeat_items=True))
    assert len(baskets.bundles(sets, price, cost, k=0)) == 0
    with pytest.raises(ValueError, match="cost lacks 'b'"):
        baskets.bundles(sets, price, {"a": 1})
    with pytest.raises(ValueError, match=r"price\['a'\] is -1"):
        baskets.bundles(sets, {**price, "a": -1}, cost)
    with pytest.raises(ValueError, match="discount is 1"):
        baskets.bundles(sets, price, cost, discount=1)


def test_visits_of_a_log_are_baskets_by_the_shops_keys():
    store = etalage.datasets.synthetic_store(users=200, items=60, seed=1)
    log = store.log.filtered(store.log.events == store.log.event_names.index("purchase"))
    visits = log.sequences(by="session")
    found = baskets.frequent_sets(visits, 2)
    expected = baskets.frequent_sets([[log.item_ids[i] for i in visit] for visit in visits], 2)

    def counted(frame):
        return sorted((sorted(items), count) for items, count in zip(frame["items"], frame["count"]))

    assert counted(found) == counted(expected) and found["length"].max() >= 2 and found.attrs["baskets"] == len(visits)
    bare = baskets.frequent_sets(etalage.Sequences([0, 2, 3], [4, 4, 4]), 1)
    assert bare["items"].tolist() == [(4,)] and bare["count"].tolist() == [2]
    with pytest.raises(TypeError, match="an EventLog, must say what a basket is"):
        baskets.frequent_sets(log, 2)


@pytest.mark.parametrize("call, option", [
    (lambda v: baskets.frequent_sets([["a", "b"]], 0.5, max_length=v), "max_length"), (lambda v: baskets.frequent_sets([["a", "b"]], 0.5, max_sets=v), "max_sets"),
    (lambda v: baskets.frequent_sets([["a", "b"]], 0.5, num_threads=v), "num_threads"),
    (lambda v: baskets.rules(baskets.frequent_sets([["a", "b"]], 0.5), 0.5, max_consequent=v), "max_consequent"),
    (lambda v: baskets.rules(baskets.frequent_sets([["a", "b"]], 0.5), 0.5, num_threads=v), "num_threads")])
def test_options_of_a_wrong_type_are_named(call, option):
    for value in ("a", 1.5, [1]):
        with pytest.raises(TypeError, match=rf"^{option} is .*, must be an integer$"):
            call(value)
    with pytest.raises(ValueError, match=rf"^{option} is 1180591620717411303424, must be at most"):
        call(2**70)
    with pytest.raises(TypeError, match="^min_confidence is 'a', must be a number"):
        baskets.rules(baskets.frequent_sets([["a", "b"]], 0.5), "a")
