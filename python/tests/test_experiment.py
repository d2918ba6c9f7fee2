# SPDX-License-Identifier: Apache-2.0
import copy
import hashlib
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import etalage
from etalage.evaluation import experiment
from etalage.evaluation.experiment import Allocation, Layers, analyze, assign, interleaving_test, per_shopper, sample_ratio, sequential_interval
from etalage.marketing import slot

VECTORS = Path(__file__).resolve().parents[2] / "tests/golden/slots.tsv"


def expected_slot(key, salt):
    return int(hashlib.sha256(f"{salt}\n{key}".encode()).hexdigest()[:13], 16) % 10000


# -- slots and groups ------------------------------------------------------------------------------------------------------------

def test_slots_are_those_of_the_vector_file():
    rows = [line.split("\t") for line in VECTORS.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) == 80
    for salt, key, want in rows:
        assert slot(key, salt) == int(want) == expected_slot(key, salt)
        if re.fullmatch("-?[0-9]+", key):
            assert slot(int(key), salt) == int(want)


def test_slots_of_many_keys():
    keys = np.arange(-50, 50)
    want = [expected_slot(k, "s") for k in keys]
    for given in (keys, keys.tolist(), keys.astype(str), keys.astype(np.int32), keys.astype(str).astype(object), (str(k) for k in keys)):
        found = slot(given, "s")
        assert found.dtype == np.int32 and found.tolist() == want
    assert slot(np.int64(7), "s") == slot("7", "s") == slot(7, "s") and 0 <= slot(7, "s") < 10000
    assert slot([], "s").tolist() == []
    for bad in (None, 1.5, True, b"x", [1.5], np.array([0.5])):
        with pytest.raises((TypeError, ValueError)):
            slot(bad, "s")
    with pytest.raises(ValueError, match="line break"):
        slot("a", "b\nc")
    with pytest.raises(ValueError, match="64 bits"):
        slot(2**63, "s")


def test_assign_is_stable_and_has_the_shares():
    shares = {"control": 0.5, "new": 0.3}
    groups = assign(np.arange(20_000), "ranking", shares)
    assert groups[42] == assign(42, "ranking", shares) == assign("42", "ranking", shares)
    counts = {g: groups.count(g) for g in ("control", "new", None)}
    assert sample_ratio(counts, {**shares, None: 0.2})["ok"]
    assert set(assign(list(range(200)), "ranking", [0.5, 0.5])) == {0, 1}
    # Thirds add up: nobody is left over.
    assert None not in assign(np.arange(3000), "x", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    # Another salt, other groups.
    other = assign(np.arange(20_000), "banner", shares)
    both = sum(a == b == "control" for a, b in zip(groups, other))
    assert abs(both - 5000) < 4 * math.sqrt(20_000 * 0.25 * 0.75)


@pytest.mark.parametrize("shares", [{}, [], {"a": 0.6, "b": 0.5}, {"a": -0.1}, {"a": 1.1}, {"a": math.nan}, {"a": 1e-6}, {"": 0.5}, {1: 0.5}, "ab",
                                    0.5, {"a": "half"}, {"a": True}, {"a": None}])
def test_bad_shares(shares):
    with pytest.raises((TypeError, ValueError), match="share|group"):
        assign("k", "s", shares)


def test_with_share_moves_slots_only_between_that_group_and_nobody():
    rng = np.random.default_rng(0)
    for _ in range(30):
        names = [f"g{k}" for k in range(rng.integers(2, 9))]
        now = Allocation("s", {name: float(x) for name, x in zip(names, rng.dirichlet(np.ones(len(names) + 1)).round(4))})
        keys = np.arange(500)
        for _ in range(15):
            group = names[rng.integers(len(names))]
            share = float(rng.integers(0, 10_001)) / 10_000
            before = now.table.copy()
            free = 1 - sum(now.shares.values())
            if share > now.shares[group] + free + 1e-9:
                with pytest.raises(ValueError, match="at most"):
                    now.with_share(group, share)
                continue
            after = now.with_share(group, share)
            assert (now.table == before).all()  # immutable
            assert after.shares[group] == pytest.approx(share)
            for old, new in zip(now.assign(keys), after.assign(keys)):
                assert old == new or {old, new} == {group, None}
            now = after


def test_an_allocation_is_kept(tmp_path):
    before = Allocation("checkout", {"control": 0.5, "new": 0.1}).with_share("new", 0.25).with_share("third", 0.1)
    before.save(tmp_path / "a.etalage")
    for after in (Allocation.load(tmp_path / "a.etalage"), etalage.load(tmp_path / "a.etalage"), pickle.loads(pickle.dumps(before)), copy.deepcopy(before)):
        assert after == before and after.groups == ["control", "new", "third"] and after.salt == "checkout"
        assert after.shares == {"control": 0.5, "new": 0.25, "third": 0.1}
    assert before.table.dtype == np.int16 and before.table.shape == (10_000,)
    damaged = bytearray((tmp_path / "a.etalage").read_bytes())
    damaged[-100] ^= 1
    (tmp_path / "b.etalage").write_bytes(damaged)
    with pytest.raises(etalage.FormatError):
        Allocation.load(tmp_path / "b.etalage")
    with pytest.raises(FileNotFoundError):
        Allocation.load(tmp_path / "none")
    assert assign(5, "checkout", {"control": 0.5, "new": 0.1}) == Allocation("checkout", {"control": 0.5, "new": 0.1}).assign(5)


def test_groups_by_number():
    table = Allocation("s", [0.5, 0.2]).with_share(1, 0.1).with_share(2, 0.3)
    assert table.shares == {0: 0.5, 1: 0.1, 2: 0.3} and table.assign(5) in (0, 1, 2, None)
    for group in (None, 1.5, 3):
        with pytest.raises(TypeError, match="group is"):
            Allocation("s", {"a": 0.5}).with_share(group, 0.1)


def test_layers_are_independent_and_spare_the_hold_out():
    layers = Layers("shop", {"ranking": {"control": 0.5, "new": 0.5}, "banner": {"a": 0.5, "b": 0.5}}, holdout=0.1, period="2026-H1")
    seen = [(layers.is_held_out(k), layers.assign(k)) for k in range(5000)]
    held = [a for h, a in seen if h]
    assert 400 < len(held) < 600 and all(a == {"ranking": None, "banner": None} for a in held)
    together = sum(a == {"ranking": "new", "banner": "b"} for h, a in seen if not h)
    assert abs(together - 4500 / 4) < 4 * math.sqrt(4500 * 3 / 16)
    later = Layers("shop", {"ranking": {"control": 0.5, "new": 0.5}}, holdout=0.1, period="2026-H2")
    both = sum(h and later.is_held_out(k) for k, (h, _) in enumerate(seen))
    assert both < 100  # drawn anew
    with pytest.raises(ValueError, match="salt"):
        Layers("s", {"a": Allocation("x", {"g": 1}), "b": Allocation("x", {"g": 1})})


# -- metrics ---------------------------------------------------------------------------------------------------------------------

def shop(n=4000, effect=0.0, seed=0):
    rng = np.random.default_rng(seed)
    groups = np.array(assign(np.arange(n), f"s{seed}", {"control": 0.5, "new": 0.5}), dtype=object)
    taste = rng.gamma(2, 5, n)
    return groups, taste + rng.normal(0, 2, n) + effect * (groups == "new"), taste + rng.normal(0, 2, n)


def test_a_difference_is_welchs():
    stats = pytest.importorskip("scipy.stats")
    groups, money, _ = shop(effect=1.0)
    r = analyze(groups, {"money": money}, control="control", shares={"control": 0.5, "new": 0.5})
    row = r["money", "new"]
    test = stats.ttest_ind(money[groups == "new"], money[groups == "control"], equal_var=False)
    assert row.p_value == pytest.approx(test.pvalue) and row.interval == pytest.approx(tuple(test.confidence_interval()))
    assert row.difference == pytest.approx(money[groups == "new"].mean() - money[groups == "control"].mean())
    assert row.decided and "raises money" in r.sentence(row) and r.sample_ratio["ok"]
    assert row.relative_interval[0] < row.relative < row.relative_interval[1]


def test_cuped_keeps_the_effect_and_takes_out_the_variance():
    plain, adjusted, held = [], [], 0
    for seed in range(60):
        groups, money, before = shop(600, effect=1.0, seed=seed)
        plain.append(analyze(groups, {"m": money}, control="control")["m", "new"])
        adjusted.append(analyze(groups, {"m": money}, control="control", before={"m": before})["m", "new"])
        held += adjusted[-1].interval[0] <= 1 <= adjusted[-1].interval[1]
    assert np.mean([a.difference for a in adjusted]) == pytest.approx(1, abs=0.15)
    assert np.mean([a.variance_kept for a in adjusted]) < 0.3
    assert np.mean([a.standard_error for a in adjusted]) < 0.6 * np.mean([p.standard_error for p in plain])
    assert held >= 52


def test_sequential_intervals_hold_at_all_looks():
    rng = np.random.default_rng(1)
    wrong = {"fixed": 0, "sequential": 0}
    looks = np.arange(100, 3001, 100)
    for _ in range(200):
        a, b = rng.exponential(1, 3000), rng.exponential(1, 3000)
        hit = dict.fromkeys(wrong, False)
        for n in looks:
            d, se = a[:n].mean() - b[:n].mean(), math.sqrt(a[:n].var(ddof=1) / n + b[:n].var(ddof=1) / n)
            low, high = sequential_interval(d, se, 2 * n, planned=2000)
            hit["fixed"] |= abs(d) > 1.96 * se
            hit["sequential"] |= not low <= 0 <= high
        for name in wrong:
            wrong[name] += hit[name]
    assert wrong["sequential"] <= 10 and wrong["fixed"] > 30
    groups, money, _ = shop()
    r = analyze(groups, {"m": money}, control="control", sequential=True, planned=4000)["m", "new"]
    fixed = analyze(groups, {"m": money}, control="control")["m", "new"]
    assert r.interval[0] < fixed.interval[0] and math.isnan(r.p_value)


def test_per_shopper_sums_events():
    assert per_shopper(["c", "a", "b"], ["a", "x", "a", "c"], [1.0, 9, 2, 5]).tolist() == [5, 3, 0]
    assert per_shopper([3, 1], [1, 1, 7]).tolist() == [0, 2]
    assert per_shopper([3, 1], np.array([], dtype=int)).tolist() == [0, 0]
    with pytest.raises(ValueError, match="twice"):
        per_shopper(["a", "a"], ["a"])
    with pytest.raises(ValueError, match="one value an event"):
        per_shopper(["a"], ["a"], [1.0, 2.0])


def test_a_sample_ratio_mismatch_is_found():
    assert sample_ratio({"a": 5000, "b": 5050}, {"a": 0.5, "b": 0.5})["ok"]
    r = sample_ratio({"a": 5000, "b": 5500}, {"a": 0.5, "b": 0.5})
    assert not r["ok"] and r["statistic"] == pytest.approx(500**2 / 10500) and r["expected"]["a"] == 5250
    for counts, shares in (({"a": 1}, {"a": 1.0}), ({"a": 0, "b": 0}, {"a": 0.5, "b": 0.5}), ({"z": 3}, {"a": 0.5, "b": 0.5})):
        with pytest.raises(ValueError, match="must"):
            sample_ratio(counts, shares)
    groups, money, _ = shop()
    r = analyze(groups, {"m": money}, control="control", shares={"control": 0.3, "new": 0.7})
    assert "Do not read" in r.sentence(r.rows[0])


def test_odd_input_of_analyze():
    groups, money, before = shop(100)
    nothing = analyze(groups, {"m": np.zeros(100)}, control="control")
    assert math.isnan(nothing.rows[0].interval[0]) and "nothing can be said" in nothing.sentence(nothing.rows[0])
    some = np.where(np.arange(100) < 10, None, groups)
    assert analyze(some, {"m": money}, control="control").outside == 10
    for bad in (dict(control="other"), dict(control="control", confidence=1.5), dict(control="control", before={"x": money}),
                dict(control="control", before={"m": money[:5]})):
        with pytest.raises(ValueError, match="must"):
            analyze(groups, {"m": money}, **bad)
    for values in (money[:-1], np.r_[np.nan, money[1:]]):
        with pytest.raises(ValueError, match="must"):
            analyze(groups, {"m": values}, control="control")
    with pytest.raises(ValueError, match="at least 2"):
        analyze(["control", "control", "new"], {"m": [1, 2, 3]}, control="control")
    with pytest.raises(ValueError, match="beside the control"):
        analyze(["control"] * 5, {"m": [1, 2, 3, 4, 5]}, control="control")


# -- interleaving ----------------------------------------------------------------------------------------------------------------

def test_interleaving_finds_the_better_ranker():
    rng = np.random.default_rng(0)
    relevance = rng.random(50)
    good, poor = np.argsort(-relevance), np.argsort(-(relevance + rng.normal(0, 0.5, 50)))
    for draw in ("team_draft", "balanced"):
        first, second = np.zeros(400), np.zeros(400)
        for request in range(400):
            items, teams = getattr(experiment, draw)(poor, good, 10, seed=request)
            assert len(set(items.tolist())) == 10
            clicks = rng.random(10) < 0.3 * relevance[items] ** 3
            if draw == "team_draft":
                first[request], second[request] = clicks[teams == 0].sum(), clicks[teams == 1].sum()
            else:
                first[request], second[request] = experiment.balanced_credit(poor, good, items, clicks)
        r = interleaving_test(first, second)
        assert r["interval"][0] > 0 and r["p_value"] < 0.01 and r["shoppers"] == 400
    assert interleaving_test([1, 0], [1, 0])["p_value"] == 1
    with pytest.raises(ValueError, match="must"):
        interleaving_test([1], [1, 2])
    with pytest.raises(ValueError, match="k is -1"):
        experiment.team_draft([1], [2], -1, seed=0)


# -- the report ------------------------------------------------------------------------------------------------------------------

def test_the_report_is_one_file_that_asks_for_nothing(tmp_path):
    groups, money, before = shop(effect=1.0)
    r = analyze(groups, {"money": money, "<visits>": np.round(before)}, control="control", before={"money": before}, shares={"control": 0.5, "new": 0.5},
                definitions={"money": "paid & not returned, in euro"}, name="ranking <b>2</b>")
    r.report(tmp_path / "report.html", what="a new ranker", whom="all who came in May")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    for part in ("a new ranker", "all who came in May", "paid &amp; not returned", "ranking &lt;b&gt;2&lt;/b&gt;", "&lt;visits&gt;", "raises money",
                 "chi-square", "95 %"):
        assert part in text
    assert "<visits>" not in text and not re.search(r'(src|href)\s*=\s*"(?!#)', text.replace("xlink:href", "href")) and "<script" not in text
    assert text.count("<svg") == 1 and text.count("<circle") == 2 and 'class="decided"' in text
    r.report(tmp_path / "again.html", what="a new ranker", whom="all who came in May")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text
    with pytest.raises(OSError):
        r.report(tmp_path / "no" / "folder.html")


def test_a_report_without_jinja2_names_the_extra(tmp_path, monkeypatch):
    import sys

    groups, money, _ = shop(effect=1.0)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"etalage\[report\]"):
        analyze(groups, {"money": money}, control="control").report(tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_settings_that_are_no_numbers_are_named(tmp_path):
    from etalage.evaluation import experiment

    groups, values = np.arange(20) % 2, np.arange(20.0)
    for call, words in [
        (lambda: experiment.sequential_interval(0, 1, 100, confidence=1), "confidence is 1"),
        (lambda: experiment.sequential_interval(0, 1, 100, confidence=0), "confidence is 0"),
        (lambda: experiment.sequential_interval(0, 1, 100, planned=-3), "planned is -3"),
        (lambda: experiment.sequential_interval(np.nan, 1, 100), "difference is nan"),
        (lambda: experiment.analyze(groups, {"m": values}, control=0, sequential=True, planned=0), "planned is 0"),
        (lambda: experiment.analyze(groups, {"m": values}, control=0, confidence="x"), "confidence is 'x'"),
        (lambda: experiment.analyze(groups, values, control=0), "metrics is a ndarray"),
        (lambda: experiment.analyze(groups, {3: values}, control=0), "metrics names 3"),
        (lambda: experiment.analyze(groups, {"m": values.astype(str)}, control=0), "m has dtype"),
        (lambda: experiment.analyze(groups, {"m": values}, control=0, shares={0: "x", 1: 0.5}), "share of 0 is 'x'"),
        (lambda: experiment.analyze(groups, {"m": values}, control=0, shares={0: -0.5, 1: 0.5}), "share of 0 is -0.5"),
        (lambda: experiment.sample_ratio({"a": 1.5, "b": 2}, {"a": 0.5, "b": 0.5}), "whole numbers"),
        (lambda: experiment.sample_ratio({"a": np.inf, "b": 2}, {"a": 0.5, "b": 0.5}), "whole numbers"),
        (lambda: experiment.per_shopper([1, 2], ["1", "2"]), "event_keys are strings, must be numbers"),
        (lambda: experiment.per_shopper(["1", "2"], [1, 2]), "event_keys are numbers, must be strings"),
        (lambda: experiment.per_shopper([[1, 2]], [1]), "keys has shape"),
        (lambda: experiment.per_shopper(["a", None], ["a"]), r"keys\[1\] is None"),
        (lambda: experiment.analyze(groups, {"m": values}, control=0).report(tmp_path / "r.html", what=3), "what is 3"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            call()
    none = experiment.per_shopper([1, 2], [])
    assert none.dtype == np.float64 and none.tolist() == [0, 0]


@pytest.mark.parametrize("call", [experiment.team_draft, experiment.balanced])
def test_interleaving_names_options_of_a_wrong_type(call):
    for k, seed, name in (("a", 1, "k"), (1.5, 1, "k"), (None, 1, "k"), (2, "x", "seed"), (2, 1.5, "seed")):
        with pytest.raises(TypeError, match=rf"^{name} is .*, must be an integer$"):
            call([1, 2], [2, 3], k, seed=seed)
    for k, seed, name in ((2, -1, "seed"), (2, 2**70, "seed"), (2**70, 1, "k")):
        with pytest.raises(ValueError, match=rf"^{name} is {k if name == 'k' else seed}, must be"):
            call([1, 2], [2, 3], k, seed=seed)
