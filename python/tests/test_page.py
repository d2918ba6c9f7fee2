# SPDX-License-Identifier: Apache-2.0
"""Pages: what must hold on them, value and bound beside brute force, stability."""

import datetime
import itertools

import numpy as np
import pytest

from etalage.marketing import Page


def rows_of(seed, rows=3, candidates=3, products=5, kind=int):
    rng = np.random.default_rng(seed)
    return {f"row {r}": ([kind(i) for i in rng.permutation(products)[:candidates]], rng.uniform(0.01, 0.6, candidates)) for r in range(rows)}


def worth(page, places, weights):
    """places: (item, score) or None, by place."""
    order = np.argsort(-weights, kind="stable")
    value, left, heat = 0.0, 1.0, {}
    for k in order:
        if places[k] is None:
            continue
        item, score = places[k]
        score = score * heat.get(item, 1.0)
        heat[item] = heat.get(item, 1.0) * page.temperature
        value += weights[k] * score * left
        left *= 1 - score if page.click_model == "cascade" else 1
    return value


def best_of_all(page, rows, allowed=lambda places: True):
    weights = np.concatenate(page.weights)
    best = -1.0
    for order in itertools.permutations(rows, len(page.slots)):
        cells = [[None, *zip(*rows[name])] for name, width in zip(order, page.slots) for _ in range(width)]
        row_of = [at for at, width in enumerate(page.slots) for _ in range(width)]
        for places in itertools.product(*cells):
            shown = [p[0] for p in places if p is not None]
            in_row = [(at, p[0]) for at, p in zip(row_of, places) if p is not None]
            if len(set(in_row)) < len(in_row) or (page.temperature == 0 and len(set(shown)) < len(shown)) or not allowed(places):
                continue
            best = max(best, worth(page, places, weights))
    return best


@pytest.mark.parametrize("model", ["position", "cascade"])
@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_value_and_bound_enclose_the_best_page(model, temperature):
    page = Page([2, 2], click_model=model, temperature=temperature)
    for seed in range(8):
        rows = rows_of(seed)
        got = page.compose(rows)
        best = best_of_all(page, rows)
        assert 0.94 * best <= got.value <= best * (1 + 1e-12) and got.bound >= best * (1 - 1e-12)
        score = {(name, i): s for name, (items, scores) in rows.items() for i, s in zip(items, scores)}
        places = [None if i is None else (i, score[name, i]) for name, items in zip(got.rows, got.items) for i in items]
        assert got.value == pytest.approx(worth(page, places, np.concatenate(page.weights)), rel=1e-12)


def test_limits_by_label():
    rows = rows_of(3, products=6)
    brand = {i: "odd" if i % 2 else "even" for i in range(6)}
    page = Page([2, 2], labels={"brand": brand}, at_most={"brand": 2}, at_least={("brand", "odd"): 0.5}, max_steps=40)
    got = page.compose(rows)

    def allowed(places):
        odd = sum(p is not None and p[0] % 2 for p in places)
        return 2 <= odd <= 2 and sum(p is not None and p[0] % 2 == 0 for p in places) <= 2

    best = best_of_all(page, rows, allowed)
    assert got.given[("brand", "odd")] == 2 and got.given.get(("brand", "even"), 0) <= 2
    assert 0.94 * best <= got.value <= best * (1 + 1e-12) <= got.bound * (1 + 2e-12)


@pytest.mark.parametrize("kind", [int, str])
def test_limits_are_those_of_each_candidates_labels(kind):
    # Keys as dicts know them: 3, 3.0 and np.int64(3) are one; labels of no candidate, candidates of no label, several labels of one.
    rng = np.random.default_rng(0)
    rows = rows_of(1, rows=4, candidates=30, products=40, kind=kind)
    spelled = [int, float, np.int64, np.float32] if kind is int else [str]
    tags = {spelled[i % len(spelled)](i): [f"t{j}" for j in rng.choice(6, rng.integers(0, 4), replace=False)] for i in range(5, 60)}
    tags |= {"of another kind": ["t0"], -1.5: ["t1"], float("inf"): ["t2"], float("nan"): ["t3"], (1, 2): ["t4"], 2**80: ["t5"]}
    page = Page([4, 4, 4], labels={"tag": tags}, at_most={"tag": 3, ("tag", "t1"): 2}, at_least={("tag", "t2"): 1})
    got = page.compose(rows)
    shown = [i for items in got.items for i in items if i is not None]
    count = {("tag", f"t{j}"): sum(f"t{j}" in tags.get(i, []) for i in shown) for j in range(6)}
    assert {name: n for name, n in got.given.items() if n} == {name: n for name, n in count.items() if n}
    assert all(n <= 3 for n in count.values()) and count["tag", "t1"] <= 2 and count["tag", "t2"] >= 1


def test_promised_places_are_kept():
    rows = rows_of(1, kind=lambda i: f"sku-{i}")
    got = Page([2, 2]).compose(rows, pins={("row 2", 1): ("sponsored", 0.05)}, pin_rows={"row 2": 1, "row 0": None})
    assert got.rows == ["row 0", "row 2"] and got.items[1][1] == "sponsored"
    assert np.isclose(got.scores[1, 1], 0.05)
    assert len({i for _, items in got for i in items}) == 4
    frame = got.to_frame()
    assert list(frame.columns) == ["position", "row", "slot", "item", "score"] and len(frame) == 4


def test_an_email_of_rows_of_different_widths():
    rng = np.random.default_rng(0)
    rows = {f"r{r}": (rng.permutation(40)[:15], rng.uniform(0, 0.1, 15)) for r in range(6)}
    got = Page([1, 3, 3], click_model="cascade", weights=[[1.0], [0.8, 0.7, 0.6], [0.5, 0.4, 0.3]]).compose(rows)
    assert [len(i) for i in got.items] == [1, 3, 3] and got.gap < 0.05


def test_stable_within_a_period_and_rotating_between():
    rng = np.random.default_rng(0)
    start = datetime.datetime(2026, 3, 1, 12)
    page = Page([3, 3], stable_for=datetime.timedelta(hours=6), rotation=0.3)
    rows = {f"r{r}": (rng.permutation(60)[:30], rng.uniform(0.4, 0.5, 30)) for r in range(4)}
    first = page.compose(rows, shopper="anna", now=start)
    noisy = {name: (items, scores * rng.uniform(0.5, 1.5, len(scores))) for name, (items, scores) in rows.items()}
    again = page.compose(noisy, shopper="anna", now=start + datetime.timedelta(minutes=1), previous=first)
    assert page.period("anna", start) == page.period("anna", start + datetime.timedelta(minutes=1)) == first.period
    assert again.items == first.items and again.rows == first.rows
    # What is sold out goes, the rest stays.
    gone = first.items[0][1]
    left = {name: (items[items != gone], scores[items != gone]) for name, (items, scores) in noisy.items()}
    third = page.compose(left, shopper="anna", now=start + datetime.timedelta(minutes=2), previous=first)
    assert gone not in {i for _, items in third for i in items}
    assert third.items[0][0] == first.items[0][0] and third.items[1] == first.items[1]
    later = page.compose(rows, shopper="anna", now=start + datetime.timedelta(hours=6), previous=first)
    assert later.period == first.period + 1 and later.items != first.items
    # The same visit is the same page without any memory.
    assert page.compose(rows, shopper="anna", now=start).items == first.items
    others = [page.compose(rows, shopper=f"s{i}", now=start).items for i in range(5)]
    assert any(o != first.items for o in others)


def test_what_the_engine_pads_is_no_candidate():
    got = Page([3]).compose({"short": (np.array([4, 7, -1], np.int32), np.array([0.5, 0.25, -np.inf], np.float32))})
    assert got.items == [[4, 7, None]]


def test_clashes_are_named():
    rows = rows_of(0)
    page = Page([2, 2])
    with pytest.raises(ValueError, match="position 0 to 'row 0' and to 'row 1'"):
        page.compose(rows, pin_rows={"row 0": 0, "row 1": 0})
    with pytest.raises(ValueError, match="promised two places"):
        page.compose(rows, pins={("row 0", 0): 3, ("row 1", 0): 3})
    with pytest.raises(ValueError, match=r"3 rows are promised a position, and the page has 2"):
        page.compose(rows, pin_rows={f"row {r}": None for r in range(3)})
    limited = Page([2, 2], labels={"brand": {i: "A" for i in range(5)}}, at_most={("brand", "A"): 1}, at_least={("brand", "A"): 2})
    with pytest.raises(ValueError, match=r"at_least of \('brand', 'A'\) is 2 and at_most 1"):
        limited.compose(rows)
    wide = Page([2, 2], labels={"brand": {9: "B"}}, at_least={("brand", "B"): 1})
    with pytest.raises(ValueError, match=r"\('brand', 'B'\) is 1, and only 0 different products"):
        wide.compose(rows)


@pytest.mark.parametrize("call, error, message", [
    (lambda: Page("12"), TypeError, "slots is '12'"),
    (lambda: Page([]), ValueError, "slots is"),
    (lambda: Page([2], click_model="dbn"), ValueError, "click_model is 'dbn'"),
    (lambda: Page([2], weights=[[1.0]]), ValueError, r"weights\[0\] has shape \(1,\)"),
    (lambda: Page([2], click_model="cascade", weights=[[1.0, 2.0]]), ValueError, "weights holds 2.0"),
    (lambda: Page([2], temperature=2), ValueError, "temperature is 2"),
    (lambda: Page([2], rotation=1.0), ValueError, "rotation is 1.0"),
    (lambda: Page([2], at_most={"brand": 1}), ValueError, "at_most names 'brand'"),
    (lambda: Page([2], labels={"b": {}}, at_least={"b": 1}), TypeError, "at_least names 'b'"),
    (lambda: Page([2], labels={"b": {}}, at_most={"b": -1}), ValueError, "is -1"),
    (lambda: Page([2], stable_for=0), ValueError, "stable_for is 0"),
    (lambda: Page([2], stable_for=5).compose({"a": ([1], [0.1])}), ValueError, "must be given with stable_for"),
    (lambda: Page([2]).compose([([1], [0.1])]), TypeError, "rows is"),
    (lambda: Page([2]).compose({"a": ([1, 2], [0.1])}), ValueError, r"rows\['a'\] has products of shape"),
    (lambda: Page([2]).compose({"a": ([1, 1], [0.1, 0.2])}), ValueError, "product 1 twice"),
    (lambda: Page([2]).compose({"a": ([1], [float("nan")])}), ValueError, "hold nan at 0"),
    (lambda: Page([2]).compose({"a": ([1], [-0.5])}), ValueError, "hold -0.5 at 0"),
    (lambda: Page([2], click_model="cascade").compose({"a": ([1], [1.0])}), ValueError, "probability"),
    (lambda: Page([2]).compose({"a": ([1], [0.1]), "b": (["x"], [0.1])}), TypeError, "of one kind"),
    (lambda: Page([2]).compose({"a": ([1], [0.1])}, pins={("z", 0): 1}), ValueError, "row 'z'"),
    (lambda: Page([2]).compose({"a": ([1], [0.1])}, pins={("a", 0): "x"}), TypeError, "an integer"),
    (lambda: Page([2]).compose({"a": ([1], [0.1])}, pins={("a", 5): 1}), ValueError, "slot 5|pins"),
    (lambda: Page([2], max_steps=-1).compose({"a": ([1], [0.1])}), ValueError, "max_steps is -1"),
])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
