# SPDX-License-Identifier: Apache-2.0
"""Campaigns from end to end: plan, list, results, what may be called incremental."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from etalage import cli
from etalage.marketing import campaign, slot

DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))


def shop(n=6000, seed=0):
    """Shoppers, what a coupon adds for each (known here), and what they spend without it."""
    rng = np.random.default_rng(seed)
    effect = rng.gamma(2, 2, n)
    return np.array([f"u{i}" for i in range(n)], dtype=object), effect, rng.gamma(2, 10, n)


def test_plan_keeps_the_budget_and_holds_stable_slots_out():
    users, effect, _ = shop()
    plan = campaign.plan(users, effect, 1.0, 2000, offers=["coupon"], hold_out=0.2, salt="spring")
    assert len(plan) == 2000 and plan.spent[0] == (~plan.held_out).sum() <= 2000
    assert np.array_equal(plan.held_out, np.asarray(slot(plan.users, "spring")) < 2000)
    assert set(plan.users) == set(users[np.argsort(-effect)[:2000]])
    # A larger budget moves nobody between the groups.
    more = campaign.plan(users, effect, 1.0, 3000, offers=["coupon"], hold_out=0.2, salt="spring")
    now = dict(zip(more.users, more.held_out))
    assert all(now[u] == h for u, h in zip(plan.users, plan.held_out))
    assert plan.allocation.gap <= 1e-3


def test_measured_effect_covers_the_planted_one():
    users, effect, base = shop()
    index = {u: i for i, u in enumerate(users)}
    rng = np.random.default_rng(1)
    covered = 0
    for turn in range(40):
        plan = campaign.plan(users, effect, 1.0, 3000, hold_out=0.3, salt=f"s{turn}")
        rows = np.array([index[u] for u in plan.users])
        spent = base[rows] + rng.normal(0, 5, len(rows)) + effect[rows] * ~plan.held_out
        truth = effect[rows][~plan.held_out].sum()
        got = campaign.measure(plan.users, plan.columns()["group"], {"revenue": spent}, costs=plan.costs, hold_out=0.3, salt=f"s{turn}")
        low, high = got["revenue"].total_interval
        covered += low <= truth <= high
        assert got.randomised and got.cost == plan.spent[0]
    assert covered >= 33  # of 40 at 95 %: 33 or fewer happens once in a thousand times


def test_offers_are_compared_within_themselves():
    # Offer b goes to rich shoppers; pooled groups would be told apart by wealth alone where shares differ.
    rng = np.random.default_rng(2)
    offers = np.repeat(["a", "b"], 1000)
    held = np.concatenate([rng.random(1000) < 0.5, rng.random(1000) < 0.1])
    y = np.repeat([1.0, 100.0], 1000) + rng.normal(0, 1, 2000)
    got = campaign.measure(np.arange(2000), np.where(held, "held out", "sent"), {"revenue": y}, offers=offers, randomised=True)
    low, high = got["revenue"].interval
    assert low < 0 < high and abs(got["revenue"].difference) < 0.2
    parts = [got["revenue", o] for o in "ab"]
    assert got["revenue"].total == pytest.approx(sum(p.difference * p.sent for p in parts))
    assert got["revenue"].standard_error * got["revenue"].sent == pytest.approx(np.sqrt(sum((p.standard_error * p.sent) ** 2 for p in parts)))
    a, b = y[:1000][~held[:1000]], y[:1000][held[:1000]]
    assert parts[0].difference == pytest.approx(a.mean() - b.mean())



@pytest.mark.parametrize("how, why", [
    ({}, "nothing says that those held out were drawn at random"),
    ({"randomised": False}, "were not drawn at random"),
    ({"hold_out": 0.3, "salt": "other"}, "are not in the group that their slot gives"),
    ({"hold_out": 0.5, "randomised": True}, "were held out where"),
])
def test_without_a_randomised_hold_out_nothing_is_incremental(how, why, tmp_path):
    users, effect, base = shop(2000)
    plan = campaign.plan(users, effect, 1.0, 1500, hold_out=0.3, salt="s")
    got = campaign.measure(plan.users, plan.columns()["group"], {"revenue": base[:1500]}, **how)
    assert not got.randomised and why in got.why_not and np.isnan(got["revenue"].total)
    got.report(tmp_path / "r.html", plan=plan)
    text = (tmp_path / "r.html").read_text()
    assert "incremental" not in text.lower() and "does not say what writing to them caused" in " ".join(text.split())
    assert "incremental" not in " ".join(got.sentences()).lower()


def test_report_says_what_was_found_and_needs_no_network(tmp_path):
    users, effect, base = shop()
    plan = campaign.plan(users, effect, 1.0, 3000, offers=["10% <off>"], hold_out=0.3, salt="s")
    index = {u: i for i, u in enumerate(users)}
    rows = [index[u] for u in plan.users]
    y = base[rows] + effect[rows] * 3 * ~plan.held_out
    got = campaign.measure(plan.users, plan.columns()["group"], {"revenue": y, "orders": np.ones(3000)}, offers=plan.offers, costs=plan.costs, hold_out=0.3,
                           salt="s", definitions={"revenue": "euros in 30 days"})
    got.report(tmp_path / "r.html", plan=plan, name="Spring <1>", what="a coupon")
    text = (tmp_path / "r.html").read_text()
    assert "Incremental revenue" in text and "Spring &lt;1&gt;" in text and "euros in 30 days" in text and "gap" in text
    assert "incremental orders" in text  # told that it is not told apart
    assert "src=" not in text and "href=\"http" not in text and "@import" not in text


def test_hillstrom(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = DATA / "hillstrom" / "hillstrom.csv.xz"
    if not path.exists():
        pytest.skip(f"no {path}: set ETALAGE_DATA")
    frame = pandas.read_csv(path)
    two = frame[frame.segment != "Mens E-Mail"].reset_index(drop=True)
    groups = np.where(two.segment == "Womens E-Mail", "sent", "held out")
    got = campaign.measure(np.arange(len(two)), groups, {"visit": two.visit, "spend": two.spend}, randomised=True, hold_out=0.5)
    assert got.randomised
    assert got["visit"].difference == pytest.approx(0.045233, abs=2e-6) and got["visit"].standard_error == pytest.approx(0.003234, abs=2e-6)
    assert got["spend"].difference == pytest.approx(0.424412, abs=2e-6)
    assert got["spend"].total == pytest.approx(0.424412 * (groups == "sent").sum(), rel=1e-5) and got["spend"].total_interval[0] > 0


def run(*arguments):
    assert cli.main([str(a) for a in arguments]) == 0


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_command_line_from_list_to_report(tmp_path, capsys, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    users, effect, base = shop(3000)
    table = tmp_path / "shoppers.csv"
    table.write_text("household,gain,price\n" + "".join(f"{u},{e!r},1.5\n" for u, e in zip(users, effect.tolist())))
    listed = tmp_path / f"list.{ending}"
    run("campaign", "plan", table, "--user", "household", "--offer", "coupon=gain:price", "--budget", "2000", "--hold-out", "0.25", "--salt", "s", "--out", listed)
    said = capsys.readouterr().err
    assert "held out, of 3000 shoppers" in said and "gap" in said
    from etalage._cli_campaign import read_columns

    rows = read_columns(str(listed), ["user", "group", "cost"])
    costs = [float(c) for c, g in zip(rows["cost"], rows["group"]) if g == "sent"]
    assert sum(costs) <= 2000 and len(rows["user"]) == int(2000 / 1.5)
    at = {u: i for i, u in enumerate(users)}
    results = tmp_path / "results.csv"
    results.write_text("who,revenue\nstranger,5\n" + "".join(
        f"{u},{base[at[u]] / 2}\n{u},{base[at[u]] / 2 + 20 * (g == 'sent')}\n" for u, g in zip(rows["user"], rows["group"])))
    report = tmp_path / "report.html"
    run("campaign", "measure", listed, results, "--user", "who", "--outcome", "revenue", "--hold-out", "0.25", "--salt", "s", "--report", report)
    out = capsys.readouterr()
    assert "Incremental revenue" in out.out and "Sending cost" in out.out and "1 shoppers of" in out.err and "incremental" in report.read_text().lower()
    run("campaign", "measure", listed, results, "--user", "who", "--outcome", "revenue", "--report", report, "--overwrite", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["randomised"] is False and told["effects"][0]["total"] is None and "incremental" not in report.read_text().lower()


def test_command_line_by_a_model(tmp_path, capsys):
    import etalage

    store = etalage.datasets.synthetic_store(users=200, items=50, seed=1)
    model = etalage.models.ALS(factors=8, iterations=2).fit(store.log)
    model.save(tmp_path / "m.etalage")
    run("campaign", "plan", tmp_path / "m.etalage", "--item", str(store.catalog.item_ids[3]), "--k", 60, "--cost", "0.5", "--budget", "20", "--hold-out", "0.1",
        "--salt", "s", "--out", tmp_path / "list.csv")
    rows = (tmp_path / "list.csv").read_text().splitlines()
    assert rows[0] == "user,offer,value,cost,group" and len(rows) == 41
    expected = etalage.marketing.audience(model, item=store.catalog.item_ids[3], k=40).users
    assert [r.split(",")[0] for r in rows[1:]] == [str(u) for u in expected]


@pytest.mark.parametrize("arguments, message", [
    (("plan", "t.csv", "--out", "l.csv"), "--item and --offer"),
    (("plan", "t.csv", "--offer", "c=gain", "--out", "l.csv"), "must be NAME=VALUE:COST"),
    (("plan", "t.csv", "--offer", "c=gain:dear", "--out", "l.csv"), "the cost 'dear'"),
    (("plan", "t.csv", "--offer", "c=none:1", "--out", "l.csv"), "'none'"),
    (("plan", "t.csv", "--offer", "c=name:1", "--out", "l.csv"), "must be a number"),
    (("plan", "t.csv", "--offer", "c=gain:1", "--hold-out", "0.1", "--out", "l.csv"), "--salt"),
    (("plan", "t.csv", "--offer", "c=gain:1", "--offer-max", "d=3", "--out", "l.csv"), "--offer-max"),
    (("plan", "t.csv", "--offer", "c=gain:1", "--budget", "0.5", "--out", "l.csv"), "nobody is worth writing to"),
    (("plan", "t.csv", "--offer", "c=gain:-1", "--budget", "5", "--out", "l.csv"), "costs"),
    (("measure", "t.csv", "t.csv", "--outcome", "gain"), "'group'"),
])
def test_mistakes_on_the_command_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("user,gain,name\na,1.0,x\nb,2.0,y\n")
    assert cli.main(["campaign", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("call, error, message", [
    (lambda: campaign.plan([1, 1], [1.0, 2.0], 1.0, 1), ValueError, "a key twice"),
    (lambda: campaign.plan([1, 2], [1.0, 2.0], 1.0, 1, hold_out=0.1), ValueError, "salt is None"),
    (lambda: campaign.plan([1, 2], [1.0, 2.0], -1.0, 1), ValueError, "costs"),
    (lambda: campaign.plan([1, 2], [1.0], 1.0, 1), ValueError, "users has shape"),
    (lambda: campaign.plan([1, 2], [1.0, 2.0], 1.0, 1, offers=["a", "b"]), ValueError, "offers is"),
    (lambda: campaign.measure([1, 2], ["sent", "control"], {"y": [1, 2]}), ValueError, "'control'"),
    (lambda: campaign.measure([1, 2], ["sent", "sent"], {}), TypeError, "outcomes"),
    (lambda: campaign.measure([1, 2], ["sent", "sent"], {"y": [1]}), ValueError, r"outcomes\['y'\] has shape \(1,\)"),
    (lambda: campaign.measure([1, 2], ["sent", "sent"], {"y": [1, np.nan]}), ValueError, "finite"),
    (lambda: campaign.measure([1, 2], ["sent", "sent"], {"y": [1, 2]}, costs=-1), ValueError, "costs"),
])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
